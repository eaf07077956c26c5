"""Archives to documents with all cores: `extract_archives`. A process an archive, a deadline and a memory limit a page, nothing done twice.

Every archive gives `KEY.jsonl.zst` (all its pages in their order, kept or dropped) and then `KEY.json` (counts), whose presence means
that it is finished: a rerun passes it by. A run that was killed goes on inside the archives it was at, from the page it was at. The
output does not depend on how many workers there were, where they ran or when they were killed, with one exception: a page close to its
deadline may pass it on a slow day.

An archive is one file of the task `archive_watcher.extract_archive`, which `data_pipeline/tasks` runs here or on other machines. What makes
a document of a page is a plain function of a module, by name, since it runs in other processes. One archive is worked on by one process:
many archives use many cores, one does not.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

from data_pipeline.archives.archive_pages import starts_by_count
from data_pipeline.archives.record_pages import LARGEST
from data_pipeline.documents.document import Doc, Page
from data_pipeline.documents.places import names, remove
from data_pipeline.documents.stored_bytes import is_remote, local_path
from data_pipeline.extraction.archive_watcher import NO_ARCHIVE
from data_pipeline.extraction.archive_worker import DOCUMENTS
from data_pipeline.extraction.extraction_options import MATHEMATICS, ExtractionOptions
from data_pipeline.tasks.file_work import FileWork, counts_of
from data_pipeline.tasks.run_all import Progress as Ran
from data_pipeline.tasks.run_all import run_all
from data_pipeline.tasks.running_task import Limits
from verifiers.input_error import InputError

_TASK = "data_pipeline.extraction.archive_watcher:extract_archive"
_EXTRACT = "data_pipeline.extraction.page_to_document:extract"
_FORMAT = 3
"""Part of the configuration: raise it when the same archive gives other documents."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is; the numbers are totals since its beginning."""

    pages: int
    bytes: int
    outcomes: Mapping[str, int]
    """"kept", and pages dropped by reason."""
    finished: int
    """Archives finished, those of earlier runs counted."""
    archives: int
    seconds: float
    archive: str = ""
    """The archive that has just been finished; "" in between."""
    failed: Mapping[str, str] | None = None
    """Archives that could not be read, and why."""
    aside: Mapping[str, str] = field(default_factory=dict)
    """Of these, the ones that are not tried again unless asked: the process that worked on them broke again and again."""
    share: float = 0.0
    """Of the bytes of this run's local archives, how much is read; 0.0 where that is not known."""


def extract_archives(
    sources: Sequence[str],
    out: Path | str,
    options: ExtractionOptions,
    *,
    workers: int = 0,
    task: Callable[[Page], Doc] | None = None,
    on: str = "",
    limits: Limits = Limits(),  # noqa: B008
    below: Path | None = None,
) -> Iterator[Progress]:
    """Extract every source that is not finished in `out`; yields about twice a second, after each archive, and at the end.

    out: a folder or a place (`s3://...`). workers: 0 for one a core. task: what makes a document of a page,
    `data_pipeline.extraction.page_to_document.extract` if not given. on, limits: as `run_all` has them. below: as `archive_key` has it.
    An archive that is no archive is finished with the outcome "read: no archive". Raises InputError at the end where none could be
    read, or one may be readable later (a server that does not answer); the others are finished then.
    """
    name = _name_of(task)
    config = config_hash(options, name)
    by_key = {archive_key(source, below): source for source in sources}  # a.warc and ./a.warc are one
    works = [_work(key, source, str(out), options, config, name) for key, source in by_key.items()]
    _forget_markers_without_documents(works, str(out))
    run = _Run(works)
    with closing(run_all(_TASK, works, on=on, workers=workers, limits=limits)) as all_of_them:
        for ran in all_of_them:
            yield run.progress(ran)
    run.complain()


def config_hash(options: ExtractionOptions, task: str = _EXTRACT) -> str:
    """Of everything that decides what an archive's documents are."""
    made_by = "" if task == _EXTRACT else task  # our own is told by its format: where its code lies says nothing about the documents
    values = [_FORMAT, made_by, float(options.page_seconds), options.page_megabytes, options.prefilter, options.keep_rejects, LARGEST]
    values += [options.markup, options.sought] if options.prefilter and options.markup != MATHEMATICS else []
    values += [hashlib.blake2b(_bytes_of(name), digest_size=8).hexdigest() for name in (*options.block, *options.allow)]
    values += [len(options.block), len(options.allow)] if options.block or options.allow else []
    return hashlib.blake2b(json.dumps(values).encode(), digest_size=8).hexdigest()


def _bytes_of(name: str) -> bytes:
    """Of a list of addresses: what it says decides, not where it lies."""
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise InputError(f"{name}: {error.strerror or error}; give a text file with a host or address a line") from error


def archive_key(source: str, below: Path | None = None) -> str:
    """A file name for an archive: its own, and a hash of where it lies; in the folder `below`, where that itself lies does not count."""
    place = source if is_remote(source) else str(local_path(source).absolute())
    if below and not is_remote(source) and local_path(source).absolute().is_relative_to(below.absolute()):
        place = str(local_path(source).absolute().relative_to(below.absolute()))
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", place.rstrip("/").rsplit("/", 1)[-1]).strip("._")[:80]
    return f"{name or 'archive'}-{hashlib.blake2b(place.encode('utf-8', 'surrogateescape'), digest_size=8).hexdigest()}"


def _forget_markers_without_documents(works: Sequence[FileWork], out: str) -> None:
    """Somebody may have removed documents to have them made again."""
    there = set(names(out))
    for work in works:
        if f"{work.key}.json" in there and work.key + DOCUMENTS not in there:
            counts = counts_of(work)
            if counts is None or NO_ARCHIVE not in counts["outcomes"]:
                remove(work.place(".json"))


class _Run:
    """The archives of a run, and what became of them."""

    def __init__(self, works: Sequence[FileWork]) -> None:
        self._sources = {work.key: work.source for work in works}
        self._sizes = {work.key: _stored(work.source) for work in works}
        self._through = 0
        """Stored bytes of the archives that are finished."""
        self._failed: dict[str, str] = {}
        self._hopeless: set[str] = set()

    def progress(self, ran: Ran) -> Progress:
        if ran.work is not None:
            self._through += self._sizes[ran.work.key]
            if ran.ended is not None and NO_ARCHIVE in ran.ended["outcomes"]:
                self._failed[ran.work.source] = str(ran.ended["errors"][0])
                self._hopeless.add(ran.work.source)
        aside = {self._sources[key]: reason for key, reason in ran.aside.items()}
        self._failed |= {self._sources[key]: reason for key, reason in ran.failed.items()} | aside
        self._hopeless |= aside.keys()
        counts = ran.counts
        share = (self._through + counts.get("at", 0)) / max(1, sum(self._sizes.values()))
        archive = ran.work.source if ran.work is not None else ""
        return Progress(
            counts.get("pages", 0), counts.get("bytes", 0), counts.get("outcomes", {}), ran.finished, ran.files, ran.seconds, archive,
            dict(self._failed), aside, min(1.0, share),
        )  # fmt: skip

    def complain(self) -> None:
        later = len(self._failed) - len(self._hopeless)
        archives = len(self._sources)
        if not self._failed or (not later and len(self._failed) < archives):
            return
        first = next(iter(self._failed.values()))
        if len(self._failed) == 1 == archives:
            raise InputError(first)
        raise InputError(f"{len(self._failed)} of {archives} archives could not be finished; the others are, run again to go on; {first}")


def _stored(source: str) -> int:
    """Bytes of a local archive; 0 for what has no offsets, and where nobody knows."""
    path = local_path(source)
    return path.stat().st_size if not is_remote(source) and not starts_by_count(source) and path.is_file() else 0


def _work(key: str, source: str, out: str, options: ExtractionOptions, config: str, task: str) -> FileWork:
    return FileWork(key, source, out, config, {"task": task, "extraction": asdict(options)})


def _name_of(task: Callable[[Page], Doc] | None) -> str:
    if task is None:
        return _EXTRACT
    name, module = getattr(task, "__qualname__", "<"), getattr(task, "__module__", "__main__")
    if "<" in name or module == "__main__":
        raise ValueError(f"task must be a function of an importable module, not {task!r}: it runs in other processes")
    return f"{module}:{name}"
