"""One archive extracted, under a watch: `extract_archive`, a task of `data_pipeline/tasks`.

It forks a worker that goes through the archive page by page, and looks every 20 ms: a page over its time, or a worker that died on one,
costs that page, and the next worker goes on behind it, from milliseconds after. The process that forks has one thread, so that forking is
safe, and does no work of its own on pages, so that nothing hostile reaches it. Workers are killed by the kernel when it dies.

What is not finished lies beside the documents, or, where these go to a store, in a folder of this machine: a later attempt goes on there.
An archive has a lock of its own: of two runs one is refused, and of two attempts of one run (`beside` in the work's options) the second
keeps its part to itself. Both write the same bytes.
"""

import ctypes
import fcntl
import hashlib
import importlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from data_pipeline.documents.places import remove
from data_pipeline.documents.stored_bytes import is_remote, local_path
from data_pipeline.extraction.archive_worker import DOCUMENTS, Job, Task, work
from data_pipeline.extraction.extraction_options import ExtractionOptions
from data_pipeline.extraction.progress_slot import Slot, Snapshot
from data_pipeline.tasks.file_work import FileWork, Tell
from verifiers.atomic_files import remove_abandoned
from verifiers.input_error import InputError

NO_ARCHIVE = "read: no archive"
_LOOK = 0.02
_TELL = 0.5
_STALLED = 900.0
_READ, _NOT_READ = 0, 3
_MOST_DEATHS = 3
"""How often a worker may die between two pages, reading, before this attempt is given up."""
_PATIENCE, _LITTLE_PATIENCE = 2.0, 0.5


def extract_archive(file: FileWork, tell: Tell) -> Mapping[str, Any]:
    """Documents of all pages of `file.source` to `KEY.jsonl.zst`; what was counted.

    Options: `task`, which makes a document of a page ("module:function"); `extraction`, the fields of ExtractionOptions; `beside`. A file
    that is no archive gives the outcome NO_ARCHIVE and no documents. Raises InputError where it cannot be read today.
    """
    options = ExtractionOptions(**{**file.options["extraction"], **_lists(file.options["extraction"])})
    task = _page_task(file.options["task"])
    folder = parts_folder(file.out)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / f".part-{file.key}.lock", file) as alone:
        own = "" if alone else f".{os.getpid()}"
        if alone and not is_remote(file.out):
            remove_abandoned(local_path(file.place(DOCUMENTS)))
        job = Job(file, options, folder / f".part-{file.key}{own}.jsonl", folder / f".part-{file.key}{own}.slot")
        watcher = Watcher(job, task, tell)
        try:
            counts = watcher.run()
        except BaseException:
            if not alone:
                _clear(job)
            raise
        _clear(job)
        return counts


def parts_folder(out: str) -> Path:
    """Where what is not finished lies: in the folder of the outputs, or for a store in one of this machine."""
    if not is_remote(out):
        return local_path(out)
    return Path(tempfile.gettempdir()) / f"reckon-{os.getuid()}" / hashlib.blake2b(out.rstrip("/").encode(), digest_size=8).hexdigest()


class Watcher:
    """Goes through one archive with one worker after the other."""

    def __init__(self, job: Job, task: Task, tell: Tell) -> None:
        self._job, self._task, self._tell = job, task, tell
        self.slot = Slot(job.slot)
        self._pid = self._deaths = 0
        self._killed_at = -1
        self._beats, self._moved, self._told = -1, 0.0, 0.0
        self._result: Mapping[str, Any] | None = None

    def run(self) -> Mapping[str, Any]:
        try:
            self._start(None)
            while self._result is None:
                time.sleep(_LOOK)
                self._look()
                if time.monotonic() - self._told > _TELL:
                    self._tell_all()
            return self._result
        finally:
            if self._pid:
                self._end()
            self.slot.close()

    def _start(self, verdict: str | None) -> None:
        self._beats, self._moved = -1, time.monotonic()
        self.slot.end()  # the clock of the one before
        watcher = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            _child(watcher, self._job, self._task, self.slot, verdict)

    def _look(self) -> None:
        now = time.monotonic()
        since, beats = self.slot.clock()
        if beats != self._beats:
            self._beats, self._moved = beats, now
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid:
            self._pid = 0
            self._ended(os.waitstatus_to_exitcode(status))
        elif since and now - since > self._job.options.page_seconds:
            self._end()
            late = self.slot.clock() == (since, beats)  # else it ended while this one looked, and the next page is not to blame
            self._start("extract: too slow" if late else None)
        elif not since and now - self._moved > _STALLED:
            self._end()
            self._died()

    def _end(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self._pid = 0

    def _ended(self, code: int) -> None:
        since, _ = self.slot.clock()
        if code == _READ and not since:
            self._result = _counts(self.slot.load() or Snapshot())
        elif code == _NOT_READ and not since:
            self._not_read(self.slot.load() or Snapshot())
        elif since:
            self._start(self._verdict(code))
        else:
            self._died()

    def _verdict(self, code: int) -> str | None:
        """On the page at which the worker died. The kernel kills for memory, and others for no reason: the page has another try."""
        if code != -signal.SIGKILL:
            return "extract: crashed"
        page = (self.slot.load() or Snapshot()).number
        again, self._killed_at = self._killed_at == page, page
        return "extract: too much memory" if again else None

    def _not_read(self, state: Snapshot) -> None:
        if state.disk:
            raise OSError(state.disk, state.failure)
        if not state.hopeless:
            raise InputError(state.failure or f"{self._job.work.source}: cannot be read")
        remove(self._job.documents)
        self._result = _counts(Snapshot(outcomes={NO_ARCHIVE: 1}, errors=[state.failure]))

    def _died(self) -> None:
        self._deaths += 1
        if self._deaths >= _MOST_DEATHS:
            raise ChildProcessError(f"the process that read it died {self._deaths} times")
        self._start(None)

    def _tell_all(self) -> None:
        self._told = time.monotonic()
        state = self.slot.load()
        if state is not None and state.config == self._job.work.config:
            self._tell({"pages": state.number, "bytes": state.read, "outcomes": state.outcomes, "at": state.start})


def _counts(state: Snapshot) -> Mapping[str, Any]:
    """What an archive gave; no time, so that it gives the same bytes again."""
    return {
        "pages": state.number, "bytes": state.read, "outcomes": dict(sorted(state.outcomes.items())),
        "records": dict(sorted(state.records.items())), "errors": state.errors,
    }  # fmt: skip


def _child(watcher: int, job: Job, task: Task, slot: Slot, verdict: str | None) -> None:
    """Never returns."""
    code = 1
    try:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != watcher:
            os._exit(1)
        code = _READ if work(job, task, slot, verdict) else _NOT_READ
    finally:
        sys.stderr.flush()
        os._exit(code)


@lru_cache
def _page_task(name: str) -> Task:
    module, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise InputError(f"the extraction cannot be started: {error}") from error
    return found  # type: ignore[no-any-return]


def _lists(options: Mapping[str, Any]) -> dict[str, Any]:
    """As the dataclass has them: JSON has no tuples."""
    return {name: tuple(value) for name, value in options.items() if isinstance(value, list)}


def _clear(job: Job) -> None:
    job.part.unlink(missing_ok=True)
    job.slot.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path, file: FileWork) -> Iterator[bool]:
    """Whether this attempt has the archive for itself; one that was just killed has a moment to go. The lock goes with its holder."""
    beside = bool(file.options.get("beside"))
    until = time.monotonic() + (_LITTLE_PATIENCE if beside else _PATIENCE)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:  # not one that its holder has just removed
                break
        except BlockingIOError:
            if time.monotonic() > until:
                os.close(descriptor)
                if not beside:
                    raise InputError(f"{file.out}: another run is writing there; wait for it or choose another folder") from None
                yield False
                return
        except OSError:  # a file system without locks
            os.close(descriptor)
            yield False
            return
        os.close(descriptor)
        time.sleep(_LOOK)
    try:
        yield True
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)
