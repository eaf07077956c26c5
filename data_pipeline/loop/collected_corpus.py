"""What becomes of a collection: language, boilerplate, quality, decontamination, shards; and the problems in it.

The collected documents are written down with their scores, file by file, their domains' lines are counted, and each file goes through the
stages (`corpus_tasks.py`). Language comes first, because the later rules are written for languages they know; boilerplate before quality,
because a menu should not spoil a page; decontamination last, on the text as it will be published. Every collected page has an outcome: kept
pages are in `corpus/`, all others in `rejected.jsonl.zst` with their reason (and, with `keep_rejects`, their text).

What lies between (`collected/`, `cleaned/`, `found/`) is removed when the corpus and its problems are there.
"""

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import zstandard

from data_pipeline.cleaning.benchmark_index import Benchmarks
from data_pipeline.cleaning.decontamination import removal
from data_pipeline.cleaning.repeated_lines import find_boilerplate
from data_pipeline.documents.corpus_shards import write_shards
from data_pipeline.documents.document import Doc, to_line
from data_pipeline.documents.document_files import open_lines, read_files, write_lines
from data_pipeline.loop.corpus_tasks import found_file, hits_file
from data_pipeline.loop.mining_round import Round, digest_of
from data_pipeline.loop.page_pool import PagePool, documents_file
from data_pipeline.loop.run_settings import Settings, fields, to_mapping
from data_pipeline.loop.spread_work import Spread
from data_pipeline.loop.step_records import Record, is_done, read_json, recorded, step_file, watched
from data_pipeline.problems.problem_mining import different_problems, read_found, write_found
from data_pipeline.subjects.named_subject import fingerprint, subject_of
from verifiers.atomic_files import atomic_path, write_json

_PASSING = ("collected", "cleaned", "found", "steps/cleaning")


def write_corpus(pool: PagePool, last: Round, spread: Spread, out: Path) -> int:
    """`corpus/` and `rejected.jsonl.zst`, unless they are there; how many documents are kept."""
    settings = spread.settings
    if not is_done(out, "corpus"):
        with recorded(out, "corpus") as whole:
            records = _cleaned(pool, last, spread, out)
            flow = _with_rejects(read_files(_files(pool, out / "cleaned")), out / "rejected.jsonl.zst")
            spread.watch.begin("corpus", last.collected)
            flow = watched(flow, Counter(), spread.watch)
            write_shards(flow, out / "corpus", suffix=settings.format, tokenizer=settings.tokenizer or None, config=_config(settings))
            whole.entered, whole.kept = records[0].entered, records[-1].kept
            whole.bytes_in, whole.bytes_out = records[0].bytes_in, records[-1].bytes_out
            for record in records:
                whole.dropped.update(record.dropped)
                write_json(step_file(out, record.step), record.row(), indent=1)
    return int(json.loads((out / "corpus" / "manifest.json").read_text())["documents"])


def _config(settings: Settings) -> dict[str, Any]:
    """What made the corpus; not how many processes did, or where."""
    machine = {name for name, entry in fields().items() if entry.metadata["step"] == "machine"}
    return {name: value for name, value in to_mapping(settings).items() if name not in machine}


def _cleaned(pool: PagePool, last: Round, spread: Spread, out: Path) -> list[Record]:
    """The collection through the stages, in `cleaned/`; a row for each stage."""
    settings, seconds = spread.settings, out / "steps" / "cleaning"
    assert last.folder is not None
    subject = {"subject": settings.subject}
    made_by = f"{digest_of(last.folder / 'figures.json')} {fingerprint(settings.subject)}"
    spread.each(pool, "write_collected", out / "collected", {"pages": str(last.pages), **subject}, made_by, label="collecting")
    spread.watch.note("counting the lines that sites repeat")
    find_boilerplate(_files(pool, out / "collected"), out / "boilerplate.npy")
    if settings.benchmarks:
        spread.watch.note(Benchmarks.load(map(Path, settings.benchmarks)).summary())
    seconds.mkdir(parents=True, exist_ok=True)
    rules: dict[str, Any] = {name: getattr(settings, name) for name in ("languages", "quality", "benchmarks", "unit", "keep_rejects")}
    decided = json.dumps([rules, made_by, digest_of(out / "boilerplate.npy"), _told(settings.benchmarks)])
    places = {"collected": str(out / "collected"), "boilerplate": str(out / "boilerplate.npy"), "seconds": str(seconds)}
    markers = spread.each(pool, "write_cleaned", out / "cleaned", {**rules, **places, **subject}, decided, label="cleaning")
    if settings.benchmarks:
        lines = (line for key in pool.keys for line in open_lines(hits_file(out / "cleaned", key)))
        write_lines(out / "contamination.jsonl", lines)
        spread.watch.note(removal(sum((Counter(marker["removed"]) for marker in markers), Counter())))
    return _added_up(markers, [read_json(seconds / f"{key}.json") for key in pool.keys])


def _told(benchmarks: Sequence[str]) -> list[str]:
    """What decides the outcome of a benchmark's file or folder: the bytes."""
    places = [place for name in benchmarks for place in (Path(name), *sorted(Path(name).rglob("*")))]
    return [digest_of(place) for place in places if place.is_file()]


def _added_up(markers: Sequence[Mapping[str, Any]], seconds: Sequence[Mapping[str, float]]) -> list[Record]:
    records: dict[str, Record] = {}
    for marker, took in zip(markers, seconds, strict=True):
        for name, row in marker["stages"].items():
            record = records.setdefault(name, Record(name))
            record.entered, record.kept = record.entered + row["in"], record.kept + row["out"]
            record.bytes_in, record.bytes_out = record.bytes_in + row["bytes_in"], record.bytes_out + row["bytes_out"]
            record.seconds += took.get(name, 0.0)
            for reason, count in row["dropped"].items():
                record.dropped[reason] = record.dropped.get(reason, 0) + count
    return list(records.values())


def _files(pool: PagePool, folder: Path) -> list[Path]:
    return [documents_file(folder, key) for key in pool.keys]


def _with_rejects(docs: Iterator[Doc], path: Path) -> Iterator[Doc]:
    """Passes on all documents; those dropped are written to `path`, which appears when the last one has passed."""
    with atomic_path(path) as temporary, zstandard.open(temporary, "wt", encoding="utf-8", errors="replace") as file:
        for doc in docs:
            if doc.dropped is not None:
                file.write(to_line(doc))
            yield doc


def write_problem_file(pool: PagePool, spread: Spread, out: Path) -> int:
    """`problems.jsonl`, unless it is there, or not wanted, or the subject has no problems; how many problems it holds."""
    settings = spread.settings
    wanted = settings.problems and subject_of(settings.subject).problems is not None
    if wanted and not is_done(out, "problems"):
        with recorded(out, "problems", unit="problems") as record:
            told = json.dumps([fingerprint(settings.subject), _told(settings.benchmarks), digest_of(out / "corpus" / "manifest.json")])
            options = {"cleaned": str(out / "cleaned"), "subject": settings.subject, "benchmarks": settings.benchmarks}
            markers = spread.each(pool, "write_found", out / "found", options, told, label="problems")
            counts: Counter[str] = sum((Counter(marker["counts"]) for marker in markers), Counter())
            found = (problem for key in pool.keys for problem in read_found(found_file(out / "found", key)))
            write_found(out / "problems.jsonl", different_problems(found, counts))
            record.entered, record.kept = counts.pop("found", 0), counts.pop("kept", 0)
            record.dropped = dict(counts)
    for name in _PASSING:
        shutil.rmtree(out / name, ignore_errors=True)
    return int(json.loads(step_file(out, "problems").read_text())["out"]) if wanted else 0
