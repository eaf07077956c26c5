"""What becomes of a collection, file by file: `page_tasks.py`'s second half, one task a step and a file of the same stem as its result.

* `write_collected`: the documents of a round's collected pages, with their score.
* `write_cleaned`: the same through the stages (language, boilerplate, quality, decontamination), dropped ones with their reason.
* `write_found`: the problems in what is kept, not yet compared with those of other files.

Seconds are no part of a result, which is the same every time: a task leaves them in a folder of their own.
"""

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from data_pipeline.cleaning.benchmark_index import Benchmarks, Hit
from data_pipeline.cleaning.decontamination import decontaminate, hit_rows
from data_pipeline.cleaning.prose_language import keep_languages
from data_pipeline.cleaning.repeated_lines import remove_boilerplate
from data_pipeline.documents.document import Doc, Stage, drop_if, to_line
from data_pipeline.documents.document_files import docs_in, read_docs, write_lines
from data_pipeline.loop.page_pool import documents_file, table_file
from data_pipeline.loop.step_records import Record
from data_pipeline.problems import problem_mining
from data_pipeline.subjects.named_subject import subject_of
from data_pipeline.tasks.file_work import FileWork, Tell
from verifiers.atomic_files import write_json

Stamps = tuple[tuple[int, int], ...]
_TELL = 100  # documents


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


def write_collected(work: FileWork, tell: Tell) -> Mapping[str, Any]:
    """options: pages (the folder of the last round's tables), extracted, subject."""
    places = pq.read_table(
        table_file(Path(work.options["pages"]), work.key),
        columns=["frame", "line", "score"],
        filters=[("collected", "=", True)],
        partitioning=None,
    )
    documents = documents_file(Path(work.options["extracted"]), work.key)
    name = subject_of(work.options["subject"]).name
    docs = docs_in(documents, places["frame"].to_pylist(), places["line"].to_pylist())
    scored = (doc.score(name, round(score, 6)) for doc, score in zip(docs, places["score"].to_pylist(), strict=True))
    return {"pages": write_lines(documents_file(Path(work.out), work.key), _lines(scored, tell))}


def write_cleaned(work: FileWork, tell: Tell) -> Mapping[str, Any]:
    """options: collected, boilerplate, languages, quality, subject, benchmarks, unit, keep_rejects, seconds (a folder).

    Beside the documents there is `KEY.hits.jsonl`, every hit of a benchmark.
    """
    records: list[Record] = []
    removed: Counter[str] = Counter()
    hits: list[str] = []
    stages = list(_stages(work.options, hits, removed))
    flow = measured(read_docs(documents_file(Path(work.options["collected"]), work.key)), stages, records)
    kept = (doc if doc.dropped is None or work.options["keep_rejects"] else replace(doc, text="") for doc in flow)
    pages = write_lines(documents_file(Path(work.out), work.key), _lines(kept, tell))
    write_lines(hits_file(Path(work.out), work.key), hits)
    write_json(Path(work.options["seconds"]) / f"{work.key}.json", {record.step: record.seconds for record in records})
    rows = {record.step: record.row() for record in records}
    for row in rows.values():
        del row["seconds"]
    return {"pages": pages, "stages": rows, "removed": dict(removed)}


def write_found(work: FileWork, tell: Tell) -> Mapping[str, Any]:
    """options: cleaned, subject, benchmarks."""
    find = subject_of(work.options["subject"]).problems
    assert find is not None
    hits = _benchmarks(work.options["benchmarks"]).hits if work.options["benchmarks"] else None
    counts: Counter[str] = Counter()
    docs = read_docs(documents_file(Path(work.options["cleaned"]), work.key))
    problem_mining.write_found(found_file(Path(work.out), work.key), problem_mining.found_problems(docs, counts, hits, find=find))
    return {"pages": 0, "counts": dict(counts)}


def hits_file(folder: Path, key: str) -> Path:
    return folder / f"{key}.hits.jsonl"


def found_file(folder: Path, key: str) -> Path:
    return folder / f"{key}.found.jsonl"


def _lines(docs: Iterable[Doc], tell: Tell) -> Iterator[str]:
    for count, doc in enumerate(docs, start=1):
        yield to_line(doc)[:-1]
        if count % _TELL == 0:
            tell({"pages": count})


def _stages(options: Mapping[str, Any], hits: list[str], removed: Counter[str]) -> Iterator[tuple[str, Stage]]:
    yield "language", keep_languages(tuple(options["languages"]))
    yield "boilerplate", remove_boilerplate(np.load(options["boilerplate"], mmap_mode="r"))
    if options["quality"]:
        yield "quality", drop_if(subject_of(options["subject"]).quality_rule)
    if options["benchmarks"]:

        def report(doc: Doc, found: Sequence[Hit]) -> None:
            hits.extend(json.dumps(row, ensure_ascii=False) for row in hit_rows(doc.id, found))

        yield "decontaminate", decontaminate(_benchmarks(options["benchmarks"]), unit=options["unit"], report=report, removed=removed)


def stamps(files: Iterable[Path]) -> Stamps:
    """What tells whether files that a process remembers have been written anew."""
    return tuple((said.st_mtime_ns, said.st_size) for said in (file.stat() for file in files))


def _benchmarks(names: Sequence[str]) -> Benchmarks:
    """Loaded once in a process, whichever files it cleans."""
    return _loaded(tuple(names), stamps(map(Path, names)))


@lru_cache(maxsize=1)
def _loaded(names: tuple[str, ...], told: Stamps) -> Benchmarks:
    return Benchmarks.load(map(Path, names))
