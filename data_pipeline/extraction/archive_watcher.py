"""The process that watches the workers: `python -m data_pipeline.extraction.archive_watcher`, started by `extract_archives.py`, which it
serves over pipes.

It imports the task once and forks a worker for each archive, some at a time; it has no threads, so that forking is safe, and a worker
that takes over after a kill starts in milliseconds. It looks every 20 ms: a page over its time, or a worker that died on one, costs that
page, and the next worker goes on behind it. When its standard input ends, because whoever started it is gone, it kills all workers; and
when it is itself killed, the kernel kills them. It does no work of its own on pages, so nothing hostile reaches it.

In: one line of JSON, the jobs. Out: lines of JSON, about twice a second and after each archive.
"""

import ctypes
import importlib
import json
import os
import select
import signal
import sys
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any

from data_pipeline.archives.archive_pages import starts_by_count
from data_pipeline.documents.stored_bytes import is_remote, local_path
from data_pipeline.extraction.archive_worker import Job, Task, work, write_marker
from data_pipeline.extraction.progress_slot import Slot, Snapshot
from verifiers.input_error import InputError

_LOOK = 0.02
_TELL = 0.5
_STALLED = 900.0
_READ, _NO_ARCHIVE = 0, 3
_MOST_DEATHS = 3
"""How often a worker may die between two pages, reading, before its archive is given up."""


@dataclass(slots=True)
class _Worker:
    pid: int
    job: Job
    slot: Slot
    deaths: int = 0
    beats: int = -1
    moved: float = 0.0


class Pool:
    def __init__(self, jobs: list[Job], workers: int, task: Task) -> None:
        self._waiting, self._workers, self._task = deque(jobs), workers, task
        self._alive: list[_Worker] = []
        self._pages = self._read = 0
        self._outcomes: Counter[str] = Counter()
        self._told = 0.0
        self._sizes = {job.key: _stored(job.source) for job in jobs}
        self._done = 0
        """Stored bytes of the archives that are through."""

    def run(self) -> None:
        while self._waiting or self._alive:
            while self._waiting and len(self._alive) < self._workers:
                job = self._waiting.popleft()
                self._alive.append(_Worker(0, job, Slot(job.slot)))
                self._start(self._alive[-1], None)
            if select.select([0], [], [], _LOOK)[0] and not os.read(0, 1):
                self.kill()
                return
            for worker in list(self._alive):
                self._look_after(worker)
            if time.monotonic() - self._told > _TELL:
                self._tell({})
        self._tell({"finished": True})

    def kill(self) -> None:
        for worker in self._alive:
            os.kill(worker.pid, signal.SIGKILL)
            os.waitpid(worker.pid, 0)

    def _start(self, worker: _Worker, verdict: str | None) -> None:
        sys.stdout.flush()
        worker.beats, worker.moved = -1, time.monotonic()
        worker.slot.end()  # the clock of the one before
        pool = os.getpid()
        worker.pid = os.fork()
        if worker.pid == 0:
            _child(pool, worker, self._task, verdict)

    def _look_after(self, worker: _Worker) -> None:
        now = time.monotonic()
        since, beats = worker.slot.clock()
        if beats != worker.beats:
            worker.beats, worker.moved = beats, now
        pid, status = os.waitpid(worker.pid, os.WNOHANG)
        if pid:
            self._ended(worker, os.waitstatus_to_exitcode(status))
        elif since and now - since > worker.job.options.page_seconds:
            self._end(worker)
            late = worker.slot.clock() == (since, beats)  # else it ended while this one looked, and the next page is not to blame
            self._start(worker, "extract: too slow" if late else None)
        elif not since and now - worker.moved > _STALLED:
            self._end(worker)
            self._died(worker)

    def _end(self, worker: _Worker) -> None:
        os.kill(worker.pid, signal.SIGKILL)
        os.waitpid(worker.pid, 0)

    def _ended(self, worker: _Worker, code: int) -> None:
        since, _ = worker.slot.clock()
        if code == _READ and not since:
            self._retire(worker, "")
        elif code == _NO_ARCHIVE and not since:
            state = worker.slot.load() or Snapshot()
            self._retire(worker, state.failure or "cannot be read", hopeless=state.hopeless)
        elif since:
            self._start(worker, "extract: too much memory" if code == -signal.SIGKILL else "extract: crashed")
        else:
            self._died(worker)

    def _died(self, worker: _Worker) -> None:
        worker.deaths += 1
        if worker.deaths < _MOST_DEATHS:
            self._start(worker, None)
        else:
            self._retire(worker, f"{worker.job.source}: the process that read it died {worker.deaths} times")

    def _retire(self, worker: _Worker, failure: str, *, hopeless: bool = False) -> None:
        """An archive is finished, or given up for this run; a file that will never be read is finished with that as its only outcome."""
        job = worker.job
        if failure and hopeless:
            write_marker(job, Snapshot(config=job.config, outcomes={"read: no archive": 1}, errors=[failure]))
            job.file(".jsonl.zst").unlink(missing_ok=True)
        worker.slot.close()
        self._alive.remove(worker)
        self._done += self._sizes[job.key]
        if not failure or hopeless:
            done = json.loads(job.file(".json").read_text(encoding="utf-8"))
            self._pages, self._read = self._pages + done["pages"], self._read + done["bytes"]
            self._outcomes.update(done["outcomes"])
            job.part.unlink(missing_ok=True)
            job.slot.unlink(missing_ok=True)
        self._tell({"source": job.source, "failure": failure, "hopeless": hopeless})

    def _tell(self, event: dict[str, Any]) -> None:
        self._told = time.monotonic()
        pages, read, outcomes, done = self._pages, self._read, self._outcomes.copy(), self._done
        for worker in self._alive:
            state = worker.slot.load()
            if state is not None and state.config == worker.job.config:
                pages, read = pages + state.number, read + state.read
                outcomes.update(state.outcomes)
                done += min(state.start, self._sizes[worker.job.key])
        share = done / max(1, sum(self._sizes.values()))
        print(json.dumps({"pages": pages, "bytes": read, "outcomes": outcomes, "share": share, **event}), flush=True)


def _stored(source: str) -> int:
    """Bytes of a local archive; 0 for what has no offsets, and where nobody knows."""
    path = local_path(source)
    return path.stat().st_size if not is_remote(source) and not starts_by_count(source) and path.is_file() else 0


def _child(pool: int, worker: _Worker, task: Task, verdict: str | None) -> None:
    """Never returns."""
    code = 1
    try:
        _die_with_parent(pool)
        os.close(0)
        os.dup2(2, 1)  # what the task prints is not for the pipe
        code = _READ if work(worker.job, task, worker.slot, verdict) else _NO_ARCHIVE
    finally:
        sys.stderr.flush()
        os._exit(code)


def _die_with_parent(pool: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != pool:
        os._exit(1)


def _task(name: str) -> Task:
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found  # type: ignore[no-any-return]


def main() -> int:
    line = bytearray()
    while (byte := os.read(0, 1 << 16)) and not line.endswith(b"\n"):
        line += byte
        if line.endswith(b"\n"):
            break
    order = json.loads(bytes(line))
    try:
        task = _task(order["task"])
    except (ImportError, AttributeError, InputError) as error:
        print(json.dumps({"fatal": f"the extraction cannot be started: {error}"}), flush=True)
        return 1
    pool = Pool([Job.from_mapping(job) for job in order["jobs"]], order["workers"], task)
    try:
        pool.run()
    except BrokenPipeError:
        pool.kill()
    except OSError as error:
        pool.kill()
        print(json.dumps({"fatal": f"{error.filename or 'the disk'}: {error.strerror}; what is done so far is kept"}), flush=True)
        return 1
    return 0


def order_line(jobs: list[Job], workers: int, task: str) -> bytes:
    """What `main` reads."""
    return json.dumps({"jobs": [asdict(job) for job in jobs], "workers": workers, "task": task}).encode() + b"\n"


if __name__ == "__main__":
    sys.exit(main())
