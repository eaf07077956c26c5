"""The thread behind a `VerifierPool`, and the worker processes that it owns. Everyone else uses `pool.py`.

Callers leave items with `Dispatcher.submit` and read verdicts from their `Call`. Writing to a worker never blocks and reading
never stops, so responses of any size pass; a worker that neither reads nor answers is killed like any other.
"""

import atexit
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import MappingProxyType
from typing import Any, NamedTuple

from verifiers.input_error import InputError
from verifiers.problem import Problem
from verifiers.verdict import Status, StepScore, Verdict

_AHEAD = 0.05  # seconds of work that a worker is given in advance
_SLOW = 0.25  # seconds after which what is queued behind an item is offered to idle workers
_TICK = 0.1  # seconds between looks at the clock while verdicts are awaited
_SENT_AHEAD = 1 << 20  # bytes on their way to a worker, above which no more items are added

Result = tuple[int, Verdict, float]
"""The index of an item, its verdict, and the seconds that it took."""


class Fed(NamedTuple):
    """An iterator of items has ended after so many, or has raised."""

    total: int
    error: Exception | None


class Call:
    """One caller, who waits for `arrived`: lists of results, the end of an iterator, or the exception that ends the call."""

    __slots__ = ("abandoned", "arrived")

    def __init__(self) -> None:
        self.arrived: SimpleQueue[list[Result] | Fed | Exception] = SimpleQueue()
        self.abandoned = False


@dataclass(slots=True, eq=False)
class Item:
    call: Call
    index: int
    problem: Problem
    response: str
    done: bool = False
    copies: int = 1
    """In how many queues it stands: more than one when it was also offered to an idle worker."""


class _Worker:
    """One worker process: its pipes, what it was sent and has not answered, and the clock of what it is doing now."""

    def __init__(self, setup: bytes, folder: str, environment: Mapping[str, str]) -> None:
        lifeline, self._lifeline = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "verifiers.worker", str(lifeline)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            cwd=folder,
            env=environment,
            start_new_session=True,  # a group to kill, and no Ctrl-C from the terminal
            pass_fds=(lifeline,),
        )
        os.close(lifeline)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.inlet, self.outlet = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self.inlet, False)
        os.set_blocking(self.outlet, False)
        self.ready = False
        self.loading = False
        self.failed = False
        self.closed = False
        """Whether it has closed its end of the pipe: it is dead, or as good as."""
        self.queue: deque[tuple[Item, int]] = deque()
        """Items not yet answered, each with the number of bytes written once it is sent completely."""
        self.served = 0
        self.pace = _AHEAD
        """Seconds for one verdict, a moving average."""
        self.since = time.monotonic()
        """When it last began something: its start, a verdict, or the arrival of a new one's last byte."""
        self._outgoing: deque[memoryview] = deque()
        self._queued = self._written = 0
        self._partial = b""
        self.send(setup)

    @property
    def unsent(self) -> int:
        return self._queued - self._written

    @property
    def busy(self) -> bool:
        return not self.ready or bool(self.queue)

    def send(self, data: bytes) -> None:
        self._outgoing.append(memoryview(data))
        self._queued += len(data)

    def give(self, item: Item, line: bytes) -> None:
        if not self.queue:
            self.since = time.monotonic()
        self.send(line)
        self.queue.append((item, self._queued))

    def write(self) -> None:
        """Write what the pipe takes now."""
        with suppress(BlockingIOError, BrokenPipeError):  # its death is seen where it is read from
            while self._outgoing:
                if len(self._outgoing) > 1 and len(self._outgoing[0]) < 4096:  # few system calls for many small items
                    self._outgoing = deque([memoryview(b"".join(self._outgoing))])
                count = os.write(self.inlet, self._outgoing[0])
                if self.queue and self._written < self.queue[0][1]:
                    self.since = time.monotonic()
                self._written += count
                self._outgoing[0] = self._outgoing[0][count:]
                if not self._outgoing[0]:
                    self._outgoing.popleft()

    def read(self) -> list[bytes]:
        """The complete lines that have arrived."""
        pieces = [self._partial]
        while not self.closed:
            try:
                data = os.read(self.outlet, 1 << 18)
            except BlockingIOError:
                break
            pieces.append(data)
            self.closed = not data
        *lines, self._partial = b"".join(pieces).split(b"\n")
        return lines

    def kill(self) -> str:
        """End the whole process group and say how the worker ended: by itself, if it was already dead."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=1.0 if self.closed else 0.0)  # give the exit code of a dying one time to appear
        code = self.process.returncode
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        os.close(self._lifeline)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()
        if code is None:
            return "it closed its pipe to the parent"
        if code >= 0:
            return f"exit code {code}"
        names = {member.value: member.name for member in signal.Signals}
        return f"signal {names.get(-code, -code)}" + (" (out of memory?)" if code == -signal.SIGKILL else "")


class Dispatcher:
    """The thread that owns the workers. Everything but `submit` and `close` runs in it."""

    def __init__(self, setup: bytes, limit: int, deadlines: tuple[float, float], recycle_after: int, chunk: int) -> None:
        self._setup, self._limit, self._recycle_after, self._chunk = setup, limit, recycle_after, chunk
        self._deadline, self._start_deadline = deadlines
        # Replacements must find what the first worker found, wherever the caller has moved since.
        self._folder = os.getcwd()
        self._environment = _environment()
        self._lock = threading.Lock()
        self._inbox: list[Item] = []
        self._closing = False
        self._thread: threading.Thread | None = None
        self._wake_out = self._wake_in = -1
        self._pending: deque[Item] = deque()
        self._workers: list[_Worker] = []
        self._ending: list[subprocess.Popen[bytes]] = []
        self._encoded: tuple[Problem | None, bytes] = (None, b"")

    def submit(self, items: list[Item]) -> None:
        if not items:
            return
        with self._lock:
            if self._closing:
                raise RuntimeError("the pool is closed")
            if self._thread is None:
                self._wake_out, self._wake_in = os.pipe()
                os.set_blocking(self._wake_in, False)
                self._thread = threading.Thread(target=self._run, name="reckon-verifiers", daemon=True)
                self._thread.start()
                atexit.register(self.close)
            if not self._inbox:
                os.write(self._wake_in, b"!")
            self._inbox.extend(items)

    def close(self) -> None:
        with self._lock:
            first, self._closing = not self._closing, True
            if self._thread is None or not first:
                return
            os.write(self._wake_in, b"!")
        self._thread.join()
        atexit.unregister(self.close)
        os.close(self._wake_in)
        os.close(self._wake_out)

    def _run(self) -> None:
        selector = selectors.DefaultSelector()
        selector.register(self._wake_out, selectors.EVENT_READ)
        try:
            while not self._closing:
                self._take_inbox()
                self._offer_queued()
                self._hire(selector)
                self._hand_out()
                self._flush(selector)
                events = selector.select(_TICK if any(worker.busy for worker in self._workers) or self._ending else None)
                for key, mask in events:
                    if key.fileobj == self._wake_out:
                        os.read(self._wake_out, 4096)
                    elif mask & selectors.EVENT_READ:
                        self._receive(key.data)
                self._judge(selector, quiet=not events)
        finally:
            with self._lock:
                self._closing = True
            self._take_inbox()
            self._fail(RuntimeError("the pool was closed before all verdicts were there"))
            for worker in list(self._workers):
                self._dismiss(worker, selector)
            for process in self._ending:
                process.wait()
            selector.close()

    def _take_inbox(self) -> None:
        with self._lock:
            items, self._inbox = self._inbox, []
        self._pending.extend(items)
        self._ending = [process for process in self._ending if process.poll() is None]

    def _offer_queued(self) -> None:
        """Let idle workers have what waits behind an item that takes long; whoever is first delivers."""
        idle = self._limit - sum(worker.busy for worker in self._workers)
        if self._pending or not idle:
            return
        now = time.monotonic()
        for worker in self._workers:
            if worker.ready and len(worker.queue) > 1 and now - worker.since > _SLOW:
                for item, _ in list(worker.queue)[1:]:
                    if item.copies == 1 and not item.done:
                        item.copies += 1
                        self._pending.append(item)

    def _hire(self, selector: selectors.BaseSelector) -> None:
        """Start workers while there are more items than workers that could take one now."""
        while len(self._workers) < self._limit and len(self._pending) > sum(not worker.queue for worker in self._workers):
            try:
                worker = _Worker(self._setup, self._folder, self._environment)
            except OSError as error:
                self._fail(RuntimeError(f"a verifier process cannot be started: {error}"))
                return
            self._workers.append(worker)
            selector.register(worker.outlet, selectors.EVENT_READ, worker)

    def _hand_out(self) -> None:
        """Give each worker as many items as it should finish in `_AHEAD` seconds, and no more than its share."""
        ready = [worker for worker in self._workers if worker.ready and not worker.closed]
        for position, worker in enumerate(ready):
            share = -(-len(self._pending) // (len(ready) - position))
            depth = min(self._chunk, max(1, int(_AHEAD / worker.pace)))
            room = min(share, depth - len(worker.queue), self._recycle_after - worker.served - len(worker.queue))
            if len(worker.queue) > depth // 2:  # refill in portions, not one by one
                continue
            while room > 0 and self._pending and worker.unsent < _SENT_AHEAD:
                item = self._pending.popleft()
                if item.done or item.call.abandoned:
                    continue
                line = self._encode(item)
                if line is not None:
                    worker.give(item, line)
                    room -= 1

    def _encode(self, item: Item) -> bytes | None:
        if self._encoded[0] is not item.problem:  # the responses to one problem come one after the other
            try:
                self._encoded = (item.problem, _problem_bytes(item.problem))
            except (TypeError, ValueError) as error:
                item.call.abandoned = True
                item.call.arrived.put(InputError(f"problem {item.problem.id}: its meta must hold JSON values only: {error}"))
                return None
        return b'{"problem":%b,"response":%b}\n' % (self._encoded[1], _bytes(item.response))

    def _flush(self, selector: selectors.BaseSelector) -> None:
        for worker in self._workers:
            worker.write()
            registered = worker.inlet in selector.get_map()
            if worker.unsent and not registered and not worker.closed:
                selector.register(worker.inlet, selectors.EVENT_WRITE, worker)
            elif registered and (not worker.unsent or worker.closed):
                selector.unregister(worker.inlet)

    def _receive(self, worker: _Worker) -> None:
        """Take in all that a worker has sent."""
        by_call: dict[Call, list[Result]] = {}
        for line in worker.read():
            try:
                reply = json.loads(line.decode("utf-8", "surrogatepass"))
            except ValueError:  # a reward got hold of the descriptor
                worker.closed = True
                break
            worker.since = time.monotonic()
            if "ready" in reply:
                worker.ready = True
            elif "loading" in reply:
                worker.loading = reply["loading"]
            elif "error" in reply:
                worker.failed = True
                self._fail(InputError(reply["error"]))
            else:
                item, _ = worker.queue.popleft()
                worker.served += 1
                worker.pace += 0.3 * (max(reply["seconds"], 1e-5) - worker.pace)
                if not item.done:
                    item.done = True
                    by_call.setdefault(item.call, []).append((item.index, _verdict(reply), reply["seconds"]))
        for call, results in by_call.items():
            call.arrived.put(results)

    def _judge(self, selector: selectors.BaseSelector, *, quiet: bool) -> None:
        """Dismiss the workers that are dead, that have served their time, or that have passed a deadline."""
        for worker in list(self._workers):
            limit = self._deadline if worker.ready and not worker.loading else self._start_deadline
            late = worker.busy and time.monotonic() - worker.since > limit
            if late or (quiet and worker.process.poll() is not None):
                self._receive(worker)  # what has arrived by now counts
                late = worker.busy and time.monotonic() - worker.since > limit
            if worker.closed or worker.process.returncode is not None:
                self._bury(worker, selector)
            elif late:
                self._expire(worker, limit, selector)
            elif worker.served >= self._recycle_after and not worker.queue:
                self._dismiss(worker, selector)

    def _bury(self, worker: _Worker, selector: selectors.BaseSelector) -> None:
        how = self._dismiss(worker, selector)
        if worker.ready:
            self._requeue(worker, Status.CRASH, f"worker died: {how}")
        elif not worker.failed:  # else it said why, and the calls of that time have heard
            self._fail(InputError(f"a reward worker died while it loaded the rewards: {how}; its standard error may say more"))

    def _expire(self, worker: _Worker, limit: float, selector: selectors.BaseSelector) -> None:
        self._dismiss(worker, selector)
        if worker.ready:
            what = f"loading {worker.queue[0][0].problem.verifier} took" if worker.loading else "no verdict: the verifier took"
            self._requeue(worker, Status.TIMEOUT, f"{what} longer than {limit:g} s")
        else:
            self._fail(InputError(f"loading the rewards took longer than {limit:g} s; make their imports faster or raise start_deadline"))

    def _requeue(self, worker: _Worker, status: Status, detail: str) -> None:
        """The item that a dead worker was at gets the blame, the others another worker."""
        if not worker.queue:
            return
        (blamed, _), *others = worker.queue
        if not blamed.done:
            blamed.done = True
            blamed.call.arrived.put([(blamed.index, Verdict(None, status, detail), time.monotonic() - worker.since)])
        for item, _ in reversed(others):
            item.copies -= 1
            if not item.done and item.copies == 0:
                item.copies = 1
                self._pending.appendleft(item)

    def _dismiss(self, worker: _Worker, selector: selectors.BaseSelector) -> str:
        self._workers.remove(worker)
        for descriptor in (worker.inlet, worker.outlet):
            if descriptor in selector.get_map():
                selector.unregister(descriptor)
        how = worker.kill()
        self._ending.append(worker.process)
        return how

    def _fail(self, error: Exception) -> None:
        """End every call with an exception."""
        items = [*self._pending, *(item for worker in self._workers for item, _ in worker.queue)]
        self._pending.clear()
        for call in {item.call for item in items if not item.done}:
            if not call.abandoned:
                call.abandoned = True
                call.arrived.put(error)


def _environment() -> dict[str, str]:
    """This process's, with our own packages importable, and string hashes fixed so that a verdict does not depend on the worker."""
    ours = str(Path(__file__).resolve().parent.parent)
    paths = [ours, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {"PYTHONHASHSEED": "0", **os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _bytes(value: object) -> bytes:
    """JSON that keeps lone surrogates, which model output may hold."""
    return json.dumps(value, ensure_ascii=False, default=_json_value).encode("utf-8", "surrogatepass")


def _json_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):  # numpy
        return value.tolist()
    raise TypeError(f"{value!r:.60} is a {type(value).__name__}")


def _problem_bytes(problem: Problem) -> bytes:
    fields = ("id", "prompt", "answer", "verifier", "meta")
    return _bytes({name: getattr(problem, name) for name in fields})


def _verdict(reply: dict[str, Any]) -> Verdict:
    steps = tuple(StepScore(end, score) for end, score in reply["steps"])
    return Verdict(reply["score"], Status(reply["status"]), reply["detail"], MappingProxyType(reply["parts"]), steps)
