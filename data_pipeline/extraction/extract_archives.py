"""Archives to documents with all cores: `extract_archives`. A process an archive, a deadline and a memory limit a page, nothing done twice.

Every archive gives `KEY.jsonl.zst` (all its pages in their order, kept or dropped) and then `KEY.json` (counts), whose presence means
that it is finished: a rerun passes it by. A run that was killed goes on inside the archives it was at, from the page it was at. The
output does not depend on how many workers there were or on when they were killed, with one exception: a page close to its deadline may
pass it on a slow day.

This module starts the pool (`archive_watcher.py`), which forks the workers (`archive_worker.py`), and tells how far they are. The
task is a plain function of a module, by name, since it runs in other processes. One archive is worked on by one process: many archives
use many cores, one does not.
"""

import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from data_pipeline.archives.record_pages import LARGEST
from data_pipeline.documents.document import Doc, Page
from data_pipeline.documents.stored_bytes import is_remote, local_path
from data_pipeline.extraction.archive_watcher import order_line
from data_pipeline.extraction.archive_worker import Job
from data_pipeline.extraction.extraction_options import ExtractionOptions
from verifiers.atomic_files import remove_leftovers
from verifiers.child_environment import child_environment
from verifiers.input_error import InputError

_EXTRACT = "data_pipeline.extraction.page_to_document:extract"
_FORMAT = 3
"""Part of the configuration: raise it when the same archive gives other documents."""
_PATIENCE = 5.0


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
    share: float = 0.0
    """Of the bytes of this run's local archives, how much is read; 0.0 where that is not known."""


def extract_archives(
    sources: Sequence[str],
    out: Path,
    options: ExtractionOptions,
    *,
    workers: int = 0,
    task: Callable[[Page], Doc] | None = None,
) -> Iterator[Progress]:
    """Extract every source that is not finished in `out`; yields about twice a second, after each archive, and at the end.

    workers: 0 for one a core. task: what makes a document of a page, `data_pipeline.extraction.page_to_document.extract` if not given.
    An archive that is no archive is finished with the outcome "read: no archive". Raises InputError at the end where none could be
    read, or one may be readable later (a server that does not answer); the others are finished then.
    """
    name = _name_of(task)
    config = config_hash(options, name)
    out.mkdir(parents=True, exist_ok=True)
    with _locked(out) as lock:
        remove_leftovers(out)
        jobs = [_job(source, out, options, config) for source in dict.fromkeys(sources)]
        done = [finished_counts(job) for job in jobs]
        open_jobs = [job for job, counts in zip(jobs, done, strict=True) if counts is None]
        base = _Base([counts for counts in done if counts is not None], len(jobs))
        if not open_jobs:
            yield base.progress({})
            return
        yield from _run(open_jobs, workers or len(os.sched_getaffinity(0)), name, lock, base)


def config_hash(options: ExtractionOptions, task: str = _EXTRACT) -> str:
    """Of everything that decides what an archive's documents are."""
    made_by = "" if task == _EXTRACT else task  # our own is told by its format: where its code lies says nothing about the documents
    values = [_FORMAT, made_by, float(options.page_seconds), options.page_megabytes, options.prefilter, options.keep_rejects, LARGEST]
    values += [hashlib.blake2b(_bytes_of(name), digest_size=8).hexdigest() for name in (*options.block, *options.allow)]
    values += [len(options.block), len(options.allow)] if options.block or options.allow else []
    return hashlib.blake2b(json.dumps(values).encode(), digest_size=8).hexdigest()


def _bytes_of(name: str) -> bytes:
    """Of a list of addresses: what it says decides, not where it lies."""
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise InputError(f"{name}: {error.strerror or error}; give a text file with a host or address a line") from error


def archive_key(source: str) -> str:
    """A file name for an archive: its own, and a hash of where it lies."""
    place = source if is_remote(source) else str(local_path(source).absolute())
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", place.rstrip("/").rsplit("/", 1)[-1]).strip("._")[:80]
    return f"{name or 'archive'}-{hashlib.blake2b(place.encode('utf-8', 'surrogateescape'), digest_size=8).hexdigest()}"


def finished_counts(job: Job) -> Mapping[str, int | Mapping[str, int]] | None:
    """What the marker of a finished archive says; None where there is none, or one of another configuration."""
    try:
        counts = json.loads(job.file(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if counts.get("config") != job.config or not (job.file(".jsonl.zst").exists() or "read: no archive" in counts["outcomes"]):
        return None
    return dict(counts)


class _Base:
    """What was finished before, the clock, and what failed."""

    def __init__(self, done: list[Mapping[str, int | Mapping[str, int]]], archives: int) -> None:
        self.done, self.archives, self.began = len(done), archives, time.monotonic()
        self.failed: dict[str, str] = {}
        self.hopeless = 0

    def progress(self, event: Mapping[str, object]) -> Progress:
        pages, size, outcomes = event.get("pages", 0), event.get("bytes", 0), event.get("outcomes", {})
        assert isinstance(pages, int)
        assert isinstance(size, int)
        assert isinstance(outcomes, dict)
        seconds = time.monotonic() - self.began
        share = event.get("share", 0.0)
        assert isinstance(share, float)
        return Progress(pages, size, outcomes, self.done, self.archives, seconds, str(event.get("source", "")), dict(self.failed), share)


def _run(jobs: list[Job], workers: int, task: str, lock: int, base: _Base) -> Iterator[Progress]:
    environment = child_environment((entry or os.getcwd() for entry in sys.path), OMP_NUM_THREADS="1")
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "data_pipeline.extraction.archive_watcher"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        pass_fds=(lock,),  # held as long as any of its processes lives
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    finished = False
    try:
        process.stdin.write(order_line(jobs, workers, task))
        process.stdin.flush()
        for line in process.stdout:
            event = json.loads(line)
            if "fatal" in event:
                raise InputError(event["fatal"])
            finished = finished or "finished" in event
            if event.get("failure"):
                base.failed[event["source"]] = event["failure"]
                base.hopeless += event["hopeless"]
            base.done += "source" in event and (not event["failure"] or event["hopeless"])
            yield base.progress(event)
    finally:
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
        process.wait()
    if not finished:
        raise RuntimeError(f"the extraction's pool of workers ended with exit code {process.returncode}; run again to go on")
    _complain(base)


def _complain(base: _Base) -> None:
    later = len(base.failed) - base.hopeless
    if not base.failed or (not later and len(base.failed) < base.archives):
        return
    first = next(iter(base.failed.values()))
    if len(base.failed) == 1 == base.archives:
        raise InputError(first)
    raise InputError(f"{len(base.failed)} of {base.archives} archives could not be finished; the others are, run again to go on; {first}")


def _job(source: str, out: Path, options: ExtractionOptions, config: str) -> Job:
    return Job(archive_key(source), source, str(out), config, options)


def _name_of(task: Callable[[Page], Doc] | None) -> str:
    if task is None:
        return _EXTRACT
    name, module = getattr(task, "__qualname__", "<"), getattr(task, "__module__", "__main__")
    if "<" in name or module == "__main__":
        raise ValueError(f"task must be a function of an importable module, not {task!r}: it runs in other processes")
    return f"{module}:{name}"


@contextmanager
def _locked(out: Path) -> Iterator[int]:
    """One run at a time in a folder; one that was just killed has a moment to go."""
    descriptor = os.open(out / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise InputError(f"{out}: another run is writing there; wait for it or choose another folder") from None
                time.sleep(0.1)
        yield descriptor
    finally:
        os.close(descriptor)
