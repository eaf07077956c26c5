"""The first steps of a run: the cached extraction of all pages, what is known of them without their texts, the copies among them, and the
pool that is left.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import astuple, fields, replace
from pathlib import Path
from typing import Any

from data_pipeline.archives.named_inputs import expand
from data_pipeline.cleaning.duplicates import MEGAMATH, Dedup, find_copies
from data_pipeline.columns.page_columns import columns_work
from data_pipeline.extraction.extract_archives import archive_key, extract_archives
from data_pipeline.extraction.extraction_options import ExtractionOptions
from data_pipeline.loop.page_pool import PagePool
from data_pipeline.loop.run_settings import Settings
from data_pipeline.loop.seed_pages import Seed
from data_pipeline.loop.spread_work import Spread, config_of
from data_pipeline.loop.step_records import Record, Watch, is_done, read_json, recorded
from data_pipeline.subjects.named_subject import fingerprint, subject_of
from data_pipeline.tasks.running_task import Limits
from verifiers.input_error import InputError

SOUND = ("pages", "skipped: ")
"""How the counts of records begin that nothing is wrong with."""
NO_ARCHIVE = "read: no archive"
NAMED = 20
"""Damaged archives that are told one by one."""


def processes(settings: Settings) -> int:
    return settings.workers or len(os.sched_getaffinity(0))


def duplicates_of(settings: Settings) -> Dedup:
    """What counts as a copy, as the settings say it."""
    base = MEGAMATH if settings.lsh == "11x10" else Dedup()
    return replace(base, near=settings.near, threshold=settings.near_threshold)


def gathered_pool(out: Path, folder: Path, keys: Sequence[str], seed: Seed, spread: Spread) -> PagePool:
    """The pool of the extraction files of these stems; copies and pool lie in `folder`, made where they are missing."""
    settings, places = spread.settings, {"extracted": str(out / "extracted")}
    for place in (out / "columns", folder / "duplicates", folder / "pool"):
        place.mkdir(parents=True, exist_ok=True)
    files = {key: read_json(out / "extracted" / f"{key}.json") for key in keys}
    signatures = duplicates_of(settings).signatures
    works = [
        columns_work(key, f"{key}.jsonl.zst", out / "columns", signatures, of=f"{marker['config']} {fingerprint(settings.subject)}")
        for key, marker in files.items()
    ]
    works = [replace(work, options={**work.options, **places, "subject": settings.subject}) for work in works]
    spread.run("write_page_columns", works, label="columns")
    find_duplicates(out, folder, keys, settings, spread.watch)
    made_by = config_of("pool", *(work.config for work in works), *map(str, astuple(duplicates_of(settings))), seed.digest())
    named = {
        "columns": str(out / "columns"), "duplicates": str(folder / "duplicates"), "urls": str(seed.urls), "hosts": sorted(seed.hosts),
    }  # fmt: skip
    pool = PagePool(folder / "pool", out / "extracted", tuple(keys), 0, 0, made_by)
    counts = spread.each(pool, "write_pool", folder / "pool", named, "")
    return replace(pool, pages=sum(count["pages"] for count in counts), tokens=sum(count["tokens"] for count in counts))


def find_duplicates(out: Path, folder: Path, keys: Sequence[str], settings: Settings, watch: Watch) -> None:
    """The copies among the pages of these files, in `folder`, unless they are there."""
    step = "duplicates" if folder == out else f"{folder.name}-pool"
    if is_done(out, step):
        return
    watch.begin("duplicates: URL, exact" + (", near" if settings.near else ""))
    with recorded(out, step) as record:
        counts = find_copies(keys, out / "columns", out / "extracted", folder / "duplicates", duplicates_of(settings))
        record.dropped = {reason: count for reason, count in counts.items() if count}
        record.entered = sum(read_json(out / "extracted" / f"{key}.json")["outcomes"].get("kept", 0) for key in keys)
        record.kept = record.entered - sum(record.dropped.values())


def limits_of(settings: Settings) -> Limits:
    """What one file may cost: its page's memory, and as much again for what stands around it."""
    return Limits(megabytes=max(Limits().megabytes, settings.page_megabytes + 1000), set_aside_too=settings.retry)


def extraction_options(settings: Settings) -> ExtractionOptions:
    subject = subject_of(settings.subject)
    if settings.prefilter and not subject.markup:
        raise InputError(f"prefilter: nothing is known of the markup of {subject.noun}; leave it out, or give the Subject its `markup`")
    names = {entry.name for entry in fields(ExtractionOptions)} & {entry.name for entry in fields(Settings)}
    values: dict[str, Any] = {name: getattr(settings, name) for name in names}
    if settings.prefilter:
        values |= {"markup": subject.markup, "sought": subject.noun}
    return ExtractionOptions(**values)


def extracted_files(
    inputs: Sequence[str], folder: Path, settings: Settings, watch: Watch, *, out: Path | None, below: Path | None = None
) -> list[Path]:
    """The extraction files of the inputs, made where they are missing, in the order of the inputs. below: as `archive_key` has it.

    With `out`, as a step of its run: by name then, an order that does not depend on how the archives were given.
    """
    sources = expand(inputs)
    if out is not None and is_done(out, "extract"):
        _tell_new(sources, folder, watch)
        if settings.retry and any(folder.glob("*.failed.json")):
            watch.note("the extraction of this run is done: --retry comes too late for it; a new --out takes all archives in")
        return finished(folder)
    watch.begin(f"extracting {len(sources)} {'source' if len(sources) == 1 else 'sources'}")
    with recorded(out, "extract") if out is not None else nullcontext(Record("seed")) as record:
        aside: Mapping[str, str] = {}
        for progress in extract_archives(
            sources,
            folder,
            extraction_options(settings),
            workers=processes(settings),
            on=settings.on,
            limits=limits_of(settings),
            below=below,
        ):
            aside = progress.aside
            watch.advance(progress.pages, size=progress.bytes, outcomes=progress.outcomes, share=progress.share)
        markers = [read_json(path) for path in _markers(sources, folder, below)]
        _count(markers, record)
        record.details["processes"] = min(processes(settings), len(sources))
        if aside:
            record.details["set_aside"] = dict(sorted(aside.items()))
    for line in [*damage_lines(damages(markers)), *aside_lines(aside)]:
        watch.note(line)
    if out is not None:
        return finished(folder)
    return [file for file in map(_documents, _markers(sources, folder, below)) if file.is_file()]


def finished(folder: Path) -> list[Path]:
    """The archives whose marker is there, by name."""
    return [file for marker in sorted(folder.glob("*.json")) if (file := _documents(marker)).is_file()]


def damages(markers: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """What was wrong, and how often, in each archive where something was."""
    found = {}
    for marker in markers:
        records, outcomes = marker.get("records", {}), marker.get("outcomes", {})
        wrong = {name: count for name, count in sorted(records.items()) if not name.startswith(SOUND)}
        wrong |= {name: outcomes[name] for name in (NO_ARCHIVE,) if name in outcomes}
        if wrong:
            found[str(marker["source"])] = wrong
    return found


def damage_lines(damaged: Mapping[str, Mapping[str, int]]) -> list[str]:
    """For the terminal: an archive a line."""
    if not damaged:
        return []
    lines = [f"damaged: {len(damaged):,} {'archive' if len(damaged) == 1 else 'archives'}; what could be read in them was"]
    for source, wrong in list(damaged.items())[:NAMED]:
        lines.append(f"  {source}: " + ", ".join(f"{what.removeprefix('read: ')} {count:,}" for what, count in wrong.items()))
    return lines + [f"  ... {len(damaged) - NAMED:,} more"] * (len(damaged) > NAMED)


def aside_lines(aside: Mapping[str, str]) -> list[str]:
    """For the terminal: archives that no run tries again unless asked."""
    if not aside:
        return []
    lines = [f"set aside: {len(aside):,} {'archive' if len(aside) == 1 else 'archives'}; --retry tries again"]
    lines += [f"  {reason}" for reason in list(aside.values())[:NAMED]]
    return lines + [f"  ... {len(aside) - NAMED:,} more"] * (len(aside) > NAMED)


def _documents(marker: Path) -> Path:
    return marker.with_name(marker.name.removesuffix(".json") + ".jsonl.zst")


def _markers(sources: Sequence[str], folder: Path, below: Path | None = None) -> list[Path]:
    return [path for source in sources if (path := folder / f"{archive_key(source, below)}.json").is_file()]


def _tell_new(sources: Sequence[str], folder: Path, watch: Watch) -> None:
    """A folder or a glob among the inputs may have grown since; the pool has not."""
    new = len(sources) - len(_markers(sources, folder))
    if new > 0:
        watch.note(f"{new:,} of {len(sources):,} sources came after this run had extracted its own: left out; a new --out takes them in")


def _count(markers: Sequence[Mapping[str, Any]], record: Record) -> None:
    """The funnel's row from the markers; what the archives held besides pages (requests, malformed records) stands beside it."""
    records: Counter[str] = Counter()
    for marker in markers:
        for reason, count in marker["outcomes"].items():
            if reason == "kept":
                record.kept += count
            elif reason != NO_ARCHIVE:  # no page: told under "damaged"
                record.dropped[reason] = record.dropped.get(reason, 0) + count
        records.update(marker.get("records", {}))
        record.bytes_in += marker.get("bytes", 0)
    record.details["records"] = dict(sorted(records.items()))
    record.details["damaged"] = damages(markers)
    record.entered = record.kept + sum(record.dropped.values())
