"""The first two steps of a run: the cached extraction of all pages, and the copies among them."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from data_pipeline.dedup import Dedup, Duplicates, dedup
from data_pipeline.inputs import expand
from data_pipeline.mine_watch import Record, Watch, is_done, recorded
from data_pipeline.settings import Settings
from data_pipeline.shards import read_docs
from data_pipeline.workers import extract_archives


def processes(settings: Settings) -> int:
    return settings.workers or len(os.sched_getaffinity(0))


def find_duplicates(files: Sequence[Path], out: Path, settings: Settings, watch: Watch) -> Duplicates:
    """`duplicates.jsonl`, unless it is there."""
    if is_done(out, "duplicates"):
        return Duplicates(out / "duplicates.jsonl")
    watch.begin("duplicates: URL, exact" + (", near" if settings.near else ""))
    with recorded(out, "duplicates") as record:
        found = dedup(files, out, Dedup(near=settings.near, threshold=settings.near_threshold))
        record.dropped = {reason: count for reason, count in found.counts().items() if count}
        for file in files:
            for doc in read_docs(file):
                record.entered += doc.dropped is None
        record.kept = record.entered - len(found)
    return found


def extracted_files(inputs: Sequence[str], folder: Path, settings: Settings, watch: Watch, *, out: Path | None) -> list[Path]:
    """The extraction files of the inputs, made where they are missing; with `out`, a step of its run."""
    if out is not None and is_done(out, "extract"):
        return finished(folder)
    sources = expand(inputs)
    watch.begin(f"extracting {len(sources)} {'source' if len(sources) == 1 else 'sources'}")
    with recorded(out, "extract") if out is not None else nullcontext(Record("seed")) as record:
        for progress in extract_archives(sources, folder, settings, workers=processes(settings)):
            watch.advance(progress.pages, size=progress.bytes, outcomes=progress.outcomes)
        _count(folder, record)
    return finished(folder)


def finished(folder: Path) -> list[Path]:
    """The archives whose marker is there, by name: an order that does not depend on how they were given or on who was first."""
    return [path for path in sorted(folder.glob("*.jsonl.zst")) if path.with_name(path.name.removesuffix(".jsonl.zst") + ".json").is_file()]


def _count(folder: Path, record: Record) -> None:
    """The funnel's row from the markers; what the archives held besides pages (requests, malformed records) stands beside it."""
    records: Counter[str] = Counter()
    for file in sorted(folder.glob("*.json")):
        marker = json.loads(file.read_text())
        counts = Counter(marker["outcomes"])
        record.kept += counts.pop("kept", 0)
        for reason, count in counts.items():
            record.dropped[reason] = record.dropped.get(reason, 0) + count
        records.update(marker.get("records", {}))
        record.bytes_in += marker.get("bytes", 0)
    record.details["records"] = dict(sorted(records.items()))
    record.entered = record.kept + sum(record.dropped.values())
