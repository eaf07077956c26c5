"""The thread behind a `VerifierPool`, which owns its worker processes. Everyone else uses `verifier_pool.py`.

Callers open a `PoolCall`, leave items with `Dispatcher.submit`, and find verdicts in the call; `withdraw` ends it. What a
worker was already sent cannot be taken back from it, so a cancelled item that runs is given a grace and then ends with its worker.
"""

import atexit
import os
import selectors
import subprocess
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from verifiers.child_environment import child_environment
from verifiers.input_error import InputError
from verifiers.problem import Problem
from verifiers.verdict import Status, Verdict
from verifiers.worker_pool.pool_figures import PoolFigures
from verifiers.worker_pool.pool_messages import Item, PoolCall, Result, WorkerAnswer, message_from, problem_to_bytes, to_bytes
from verifiers.worker_pool.worker_process import AHEAD, WorkerProcess

_SLOW = 0.25  # seconds after which what is queued behind an item is offered to idle workers
_GRACE = 0.25  # seconds that an item of a call that has ended may go on running; less than a worker's start is worth
_CLOSED = "the pool was closed before all verdicts were there"
_TICK = 0.1  # seconds between looks at the clock while verdicts are awaited
_SENT_AHEAD = 1 << 20  # bytes on their way to a worker, above which no more items are added


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """What `VerifierPool` was asked for; its docstring says what they mean."""

    workers: int
    deadline: float
    start_deadline: float
    recycle_after: int
    recycle_above: int | None
    give_up_after: int
    chunk: int


class Dispatcher:
    """The thread that owns the workers. Methods without an underscore are for callers, all others run in it."""

    def __init__(self, setup: bytes, rewards: str, limits: PoolLimits, figures: PoolFigures) -> None:
        self._setup, self._rewards, self._limits, self._figures = setup, rewards, limits, figures
        # Replacements must find what the first worker found, wherever the caller has moved since.
        self._folder = os.getcwd()
        self._environment = {"PYTHONHASHSEED": "0"} | child_environment()  # so that a verdict does not depend on the worker
        self._process = os.getpid()
        self._lock = threading.RLock()  # re-entrant: a forgotten stream may be finalised, and withdraw, in the middle of anything
        self._inbox: list[Item] = []
        self._calls: set[PoolCall] = set()
        self._withdrawn = False
        self._closing = False
        self._thread: threading.Thread | None = None
        self._wake_out = self._wake_in = -1
        self._pending: deque[Item] = deque()
        self._workers: list[WorkerProcess] = []
        self._ending: list[subprocess.Popen[bytes]] = []
        self._encoded: tuple[Problem | None, bytes] = (None, b"")
        self._lost: Counter[str] = Counter()
        """Items that got no verdict from a verifier, since it last gave one."""
        _dispatchers.add(self)

    def open(self, call: PoolCall) -> None:
        """From now on the call hears of the pool's end, even if it has no items."""
        if self._process != os.getpid():
            raise RuntimeError(f"this pool belongs to process {self._process}; a forked process must make its own VerifierPool")
        with self._lock:
            if self._closing:
                raise RuntimeError("the pool is closed")
            self._calls.add(call)

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

    def withdraw(self, call: PoolCall, *, finished: bool) -> None:
        """The call is over: what it still has in the queues, if not `finished`, is dropped, and what runs for it not waited for."""
        if self._process != os.getpid():
            return
        if call.ended is None:
            call.ended = time.monotonic()
        with self._lock:
            self._calls.discard(call)
            self._withdrawn |= not finished

    def close(self) -> None:
        if self._process != os.getpid():  # a forked child's copy: the workers are not its own
            return
        with self._lock:
            first, self._closing = not self._closing, True
            if not first:
                return
            if self._thread is None:
                self._end(list(self._calls), RuntimeError(_CLOSED))
                return
            os.write(self._wake_in, b"!")
        self._thread.join()
        atexit.unregister(self.close)
        os.close(self._wake_in)
        os.close(self._wake_out)

    def forget(self) -> None:
        """In a forked child: let go of the workers, which end with the process that they belong to."""
        for worker in self._workers:
            worker.let_go()
        self._workers.clear()

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
                busy = any(worker.busy for worker in self._workers)
                watch = busy or self._ending or any(worker.served != worker.weighed for worker in self._workers)
                events = selector.select(_TICK if watch else None)
                for key, mask in events:
                    if key.fileobj == self._wake_out:
                        os.read(self._wake_out, 4096)
                    elif mask & selectors.EVENT_READ:
                        self._receive(key.data)
                self._check_workers(selector, quiet=not events)
        finally:
            with self._lock:
                self._closing = True
                calls = list(self._calls)
            self._end(calls, RuntimeError(_CLOSED))
            for worker in list(self._workers):
                self._dismiss(worker, selector)
            for process in self._ending:
                process.wait()
            selector.close()

    def _take_inbox(self) -> None:
        with self._lock:
            items, self._inbox = self._inbox, []
            withdrawn, self._withdrawn = self._withdrawn, False
        self._pending.extend(items)
        if withdrawn and self._pending:
            self._pending = deque(item for item in self._pending if item.call.ended is None)
        self._ending = [process for process in self._ending if process.poll() is None]

    def _offer_queued(self) -> None:
        """Let idle workers have what waits behind an item that takes long; whoever is first delivers."""
        idle = self._limits.workers - sum(worker.busy for worker in self._workers)
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
        while len(self._workers) < self._limits.workers and len(self._pending) > sum(not worker.queue for worker in self._workers):
            try:
                worker = WorkerProcess(self._setup, self._folder, self._environment)
            except OSError as error:
                self._fail(RuntimeError(f"a verifier process cannot be started: {error}"))
                return
            self._workers.append(worker)
            selector.register(worker.outlet, selectors.EVENT_READ, worker)

    def _hand_out(self) -> None:
        """Give each worker as many items as it should finish in `AHEAD` seconds, and no more than its share."""
        ready = [worker for worker in self._workers if worker.ready and not worker.closed and not worker.heavy]
        for position, worker in enumerate(ready):
            share = -(-len(self._pending) // (len(ready) - position))
            depth = min(self._limits.chunk, max(1, int(AHEAD / worker.pace)))
            room = min(share, depth - len(worker.queue), self._limits.recycle_after - worker.served - len(worker.queue))
            if len(worker.queue) > depth // 2:  # refill in portions, not one by one
                continue
            while room > 0 and self._pending and worker.unsent < _SENT_AHEAD:
                item = self._pending.popleft()
                if item.done or item.call.ended is not None:
                    continue
                line = self._encode(worker.given, item)
                if line is not None:
                    worker.give(item, line)
                    room -= 1

    def _encode(self, number: int, item: Item) -> bytes | None:
        try:
            if self._encoded[0] is not item.problem:  # the responses to one problem come one after the other
                self._encoded = (item.problem, problem_to_bytes(item.problem))
            return b'%d {"problem":%b,"response":%b}\n' % (number, self._encoded[1], to_bytes(item.response))
        except Exception as error:  # noqa: BLE001  # a meta's objects raise what they like, and the other calls must not suffer
            text = f"problem {item.problem.id}: its meta must hold JSON values only: {error or type(error).__name__}"
            self._end([item.call], InputError(text))
            return None

    def _flush(self, selector: selectors.BaseSelector) -> None:
        for worker in self._workers:
            worker.write()
            registered = worker.inlet in selector.get_map()
            if worker.unsent and not registered and not worker.closed:
                selector.register(worker.inlet, selectors.EVENT_WRITE, worker)
            elif registered and (not worker.unsent or worker.closed):
                selector.unregister(worker.inlet)

    def _receive(self, worker: WorkerProcess) -> None:
        """Take in all that a worker has sent."""
        by_call: dict[PoolCall, list[Result]] = {}
        for line in worker.read():
            try:
                message = message_from(line)
            except ValueError:  # a reward got hold of the descriptor
                worker.distrust()
                break
            worker.since = time.monotonic()
            if not isinstance(message, WorkerAnswer):
                self._take_message(worker, message)
                continue
            if not worker.queue or message.number != worker.served:  # whose verdict is it? nobody's, rather than another item's
                worker.distrust()
                break
            item, _ = worker.queue.popleft()
            worker.served += 1
            worker.pace += 0.3 * (max(message.seconds, 1e-5) - worker.pace)
            if self._lost:
                self._lost.pop(self._verifier(item), None)
            if not item.done:
                item.done = True
                by_call.setdefault(item.call, []).append((item.index, message.verdict, message.seconds))
        for call, results in by_call.items():
            self._deliver(call, results)

    def _take_message(self, worker: WorkerProcess, message: dict[str, Any]) -> None:
        if "ready" in message:
            worker.ready = True
            worker.light = worker.resident()
        elif "loading" in message:
            worker.loading = message["loading"]
            worker.light = worker.resident()
        else:
            worker.failed = True
            self._fail(InputError(message["error"]))

    def _deliver(self, call: PoolCall, results: list[Result]) -> None:
        if call.ended is None:
            call.arrived.put(results)

    def _check_workers(self, selector: selectors.BaseSelector, *, quiet: bool) -> None:
        """Dismiss the workers that are dead, that have served their time, or that have passed a deadline."""
        for worker in list(self._workers):
            limit = self._limits.deadline if worker.ready and not worker.loading else self._limits.start_deadline
            late = worker.busy and time.monotonic() - worker.since > limit
            if late or (quiet and worker.process.poll() is not None):
                self._receive(worker)  # what has arrived by now counts
                late = worker.busy and time.monotonic() - worker.since > limit
            self._note_memory(worker)
            if worker.closed or worker.process.returncode is not None:
                self._bury(worker, selector)
            elif late:
                self._expire(worker, limit, selector)
            elif self._in_vain(worker):
                self._free(worker, selector)
            elif (worker.heavy or worker.served >= self._limits.recycle_after) and not worker.queue:
                self._recycle(worker, selector)

    def _note_memory(self, worker: WorkerProcess) -> None:
        """Note whether its memory has grown too much: now and then while it works, and once when it has fallen idle."""
        now = time.monotonic()
        if worker.served == worker.weighed or now - worker.weighed_at < _TICK:
            return
        worker.weighed, worker.weighed_at = worker.served, now
        limit = self._limits.recycle_above
        worker.heavy = limit is not None and worker.resident() - worker.light > limit

    def _in_vain(self, worker: WorkerProcess) -> bool:
        """Whether it is still at an item of a call that ended a while ago; an import is let finish, the next caller will need it."""
        if not worker.queue or worker.loading:
            return False
        ended = worker.queue[0][0].call.ended
        return ended is not None and time.monotonic() - ended > _GRACE

    def _free(self, worker: WorkerProcess, selector: selectors.BaseSelector) -> None:
        self._dismiss(worker, selector)
        self._requeue(list(worker.queue))

    def _recycle(self, worker: WorkerProcess, selector: selectors.BaseSelector) -> None:
        self._dismiss(worker, selector)

    def _bury(self, worker: WorkerProcess, selector: selectors.BaseSelector) -> None:
        how = self._dismiss(worker, selector)
        if worker.ready:
            self._blame(worker, Status.CRASH, f"worker died: {how}")
        elif not worker.failed:  # else it said why, and the calls of that time have heard
            self._fail(InputError(f"a reward worker died while it loaded the rewards: {how}; its standard error may say more"))

    def _expire(self, worker: WorkerProcess, limit: float, selector: selectors.BaseSelector) -> None:
        self._dismiss(worker, selector)
        if worker.ready:
            what = f"loading {worker.queue[0][0].problem.verifier} took" if worker.loading else "no verdict: the verifier took"
            self._blame(worker, Status.TIMEOUT, f"{what} longer than {limit:g} s")
        else:
            self._fail(InputError(f"loading the rewards took longer than {limit:g} s; make their imports faster or raise start_deadline"))

    def _blame(self, worker: WorkerProcess, status: Status, detail: str) -> None:
        """The item that a dead worker was at gets no verdict, the others another worker."""
        if not worker.queue:
            return
        (blamed, _), *others = worker.queue
        self._requeue(others)
        if blamed.done or blamed.call.ended is not None:
            return
        self._count_lost(blamed, detail)
        blamed.done = True
        self._deliver(blamed.call, [(blamed.index, Verdict(None, status, detail), time.monotonic() - worker.since)])

    def _requeue(self, entries: list[tuple[Item, int]]) -> None:
        for item, _ in reversed(entries):
            item.copies -= 1
            if not item.done and item.copies == 0:
                item.copies = 1
                self._pending.appendleft(item)

    def _count_lost(self, item: Item, detail: str) -> None:
        """End the calls that wait for a verifier which never gives a verdict: each item would cost a deadline, and teach nothing."""
        verifier = self._verifier(item)
        self._lost[verifier] += 1
        limit = self._limits.give_up_after * self._limits.workers
        if limit and self._lost[verifier] >= limit:
            self._lost[verifier] = limit - 1  # one more will do, unless a verdict comes first
            text = f"{verifier} gave no verdict on {limit} responses one after the other (the last one: {detail})"
            error = InputError(f"{text}; mend the verifier or raise the deadline; give_up_after=0 would go on")
            self._end([item.call], error)  # instead of its verdict, which may be the last that it waits for
            self._fail(error, verifier)

    def _verifier(self, item: Item) -> str:
        return self._rewards or str(item.problem.verifier)

    def _dismiss(self, worker: WorkerProcess, selector: selectors.BaseSelector) -> str:
        self._workers.remove(worker)
        for descriptor in (worker.inlet, worker.outlet):
            if descriptor in selector.get_map():
                selector.unregister(descriptor)
        how = worker.kill()
        self._figures.replaced()
        self._ending.append(worker.process)
        return how

    def _fail(self, error: Exception, verifier: str | None = None) -> None:
        """End every call that has items in hand, or those only that wait for `verifier`."""
        items = [*self._pending, *(item for worker in self._workers for item, _ in worker.queue)]
        if verifier is not None:
            items = [item for item in items if self._verifier(item) == verifier]
        self._end({item.call for item in items if not item.done}, error)
        self._pending = deque(item for item in self._pending if item.call.ended is None)

    def _end(self, calls: Iterable[PoolCall], error: Exception) -> None:
        for call in calls:
            if call.ended is None:
                call.ended = time.monotonic()
                call.arrived.put(error)


_dispatchers: "weakref.WeakSet[Dispatcher]" = weakref.WeakSet()


def _forget_all() -> None:
    for dispatcher in list(_dispatchers):
        dispatcher.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
