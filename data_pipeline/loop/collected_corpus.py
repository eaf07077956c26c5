"""What becomes of a collection: language, boilerplate, quality, decontamination, shards; and the problems in it.

The collection is written down with its scores (`collected.jsonl.zst`), its domains' lines are counted, and it is streamed through the
stages once. Language comes first, because the later rules are written for languages they know; boilerplate before quality, because a menu
should not spoil a page; decontamination last, on the text as it will be published. Every collected page has an outcome: kept pages are in
`corpus/`, all others in `rejected.jsonl.zst` with their reason (and, with `keep_rejects`, their text).
"""

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import zstandard

from data_pipeline.cleaning.benchmark_index import Benchmarks, Hit
from data_pipeline.cleaning.decontamination import decontaminate, hit_rows, removal
from data_pipeline.cleaning.prose_language import keep_languages
from data_pipeline.cleaning.repeated_lines import find_boilerplate, remove_boilerplate
from data_pipeline.documents.corpus_shards import write_shards
from data_pipeline.documents.document import Doc, Stage, drop_if, to_line
from data_pipeline.documents.document_files import read_docs, write_docs
from data_pipeline.loop.mining_round import Round
from data_pipeline.loop.page_pool import PagePool, table_file
from data_pipeline.loop.run_settings import Settings, fields, to_mapping
from data_pipeline.loop.step_records import Record, Watch, is_done, recorded, step_file, watched
from data_pipeline.problems.problem_mining import write_problems
from data_pipeline.subjects.named_subject import subject_of
from verifiers.atomic_files import atomic_path, write_json

COLLECTION = "collected.jsonl.zst"


class Gauge:
    """Counts what passes one point of the flow, and the time spent above it."""

    def __init__(self) -> None:
        self.alive = self.size = 0
        self.dropped: Counter[str] = Counter()
        self.seconds = 0.0

    def __call__(self, docs: Iterator[Doc]) -> Iterator[Doc]:
        while True:
            start = time.perf_counter()
            doc = next(docs, None)
            self.seconds += time.perf_counter() - start
            if doc is None:
                return
            if doc.dropped is None:
                self.alive += 1
                self.size += len(doc.text.encode("utf-8", "replace"))
            else:
                self.dropped[doc.dropped] += 1
            yield doc


def measured(docs: Iterator[Doc], stages: Iterable[tuple[str, Stage]], records: list[Record]) -> Iterator[Doc]:
    """The documents through named stages; when they have all passed, `records` gets a row for each stage."""
    names, gauges = [], [Gauge()]
    flow = gauges[0](docs)
    for name, stage in stages:
        names.append(name)
        gauges.append(Gauge())
        flow = gauges[-1](stage(flow))
    yield from flow
    for name, above, below in zip(names, gauges, gauges[1:], strict=False):
        record = Record(name, entered=above.alive, kept=below.alive, bytes_in=above.size, bytes_out=below.size)
        record.dropped = dict(below.dropped - above.dropped)
        record.seconds = max(0.0, below.seconds - above.seconds)
        records.append(record)


def write_corpus(pool: PagePool, last: Round, settings: Settings, out: Path, watch: Watch) -> int:
    """`corpus/` and `rejected.jsonl.zst`, unless they are there; how many documents are kept."""
    if not is_done(out, "corpus"):
        records: list[Record] = []
        with recorded(out, "corpus") as whole:
            watch.begin("corpus", last.collected)
            collection = out / COLLECTION
            write_docs(collection, _collection(pool, last, subject_of(settings.subject).name))
            flow = measured(read_docs(collection), _stages(collection, settings, out, watch), records)
            flow = watched(_with_rejects(flow, out / "rejected.jsonl.zst", settings.keep_rejects), Counter(), watch)
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


def _collection(pool: PagePool, last: Round, score_name: str) -> Iterator[Doc]:
    """The collected pages with their score."""
    for key in pool.keys:
        pages = pq.read_table(table_file(last.pages, key), columns=["frame", "line", "score"], filters=[("collected", "=", True)])
        for score, doc in zip(pages["score"].to_pylist(), pool.docs(key, pages), strict=True):
            yield doc.score(score_name, round(score, 6))


def _stages(collection: Path, settings: Settings, out: Path, watch: Watch) -> list[tuple[str, Stage]]:
    stages = [
        ("language", keep_languages(settings.languages)),
        ("boilerplate", remove_boilerplate(find_boilerplate([collection], out / "boilerplate.npy"))),
    ]
    if settings.quality:
        stages.append(("quality", drop_if(subject_of(settings.subject).quality_rule)))
    if settings.benchmarks:
        stages.append(("decontaminate", _decontamination(settings, out / "contamination.jsonl", watch)))
    return stages


def _decontamination(settings: Settings, path: Path, watch: Watch) -> Stage:
    """The stage, with every hit listed in `path`, and told what was read and what went."""
    benchmarks = Benchmarks.load(map(Path, settings.benchmarks))
    removed: Counter[str] = Counter()
    watch.note(benchmarks.summary())

    def stage(docs: Iterator[Doc]) -> Iterator[Doc]:
        with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:

            def report(doc: Doc, hits: Sequence[Hit]) -> None:
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in hit_rows(doc.id, hits))

            yield from decontaminate(benchmarks, unit=settings.unit, report=report, removed=removed)(docs)
        watch.note(removal(removed))

    return stage


def _with_rejects(docs: Iterator[Doc], path: Path, texts: bool) -> Iterator[Doc]:
    """Passes on all documents; those dropped are written to `path`, which appears when the last one has passed."""
    with atomic_path(path) as temporary, zstandard.open(temporary, "wt", encoding="utf-8", errors="replace") as file:
        for doc in docs:
            if doc.dropped is not None:
                file.write(to_line(doc if texts else replace(doc, text="")))
            yield doc


def write_problem_file(settings: Settings, out: Path, watch: Watch) -> int:
    """`problems.jsonl`, unless it is there or not wanted; how many problems it holds."""
    if not settings.problems:
        return 0
    if not is_done(out, "problems"):
        watch.begin("problems")
        hits = Benchmarks.load(map(Path, settings.benchmarks)).hits if settings.benchmarks else None
        with recorded(out, "problems", unit="problems") as record:
            counts = write_problems(read_docs(out / "corpus"), out / "problems.jsonl", hits)
            record.entered, record.kept = counts.pop("found", 0), counts.pop("kept", 0)
            record.dropped = dict(counts)
    kept: int = json.loads(step_file(out, "problems").read_text())["out"]
    return kept
