"""Worker processes that run verifiers: the only place with time limits and kills.

A verifier may hang in C, exhaust its stack or crash its interpreter, so it runs in a process of its own and a limit is enforced
by killing that process (and its group) from outside. One thread owns the workers and their pipes; callers hand it items and
receive verdicts, so any number of threads may use one pool.

Items are sent ahead of need, as many as a worker is expected to finish within a twentieth of a second, and a deadline counts
from the arrival of the worker's previous verdict. Pipes are drained before a deadline is judged: a parent that was busy, or
suspended, does not turn verdicts that are already there into time-outs. When a worker dies, the item at the front of its queue
is to blame; the others go to another worker. A verdict is delivered exactly once, but an item that was queued behind a slow one
may be *run* twice: a reward with side effects must bear that. Verdicts and items are numbered: a worker that answers what it was
not asked, because a reward wrote to its pipe, counts as dead. A reward may fork; its child gives no verdicts.

A call ends early when its stream is closed. What it has in the queues is dropped, nothing more of it is
delivered, and a worker that is still at one of its items a quarter of a second later is killed, so that the next caller does not
wait for what nobody wants. A verifier that hangs or dies on everything ends its calls too, with InputError, after `give_up_after`
items for each worker: a training run would otherwise pay a deadline for every completion, and learn nothing from any.

Not covered: a reward's child processes that leave its process group survive it, and workers run with the user's rights. Calls
are served first come, first served: a small one waits behind a large one. An iterator of items that blocks cannot be
interrupted: a call that ends early leaves its thread waiting for the next item, in vain.
"""

import math
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from verifiers.input_error import InputError
from verifiers.problem import Problem
from verifiers.rewards.load_reward import spec_of
from verifiers.verdict import Reward, Verdict
from verifiers.worker_pool.dispatcher import Dispatcher, PoolLimits
from verifiers.worker_pool.pool_figures import PoolFigures
from verifiers.worker_pool.pool_messages import Fed, Item, PoolCall, Result, to_bytes


class VerifierPool:
    """Worker processes that give verdicts, within a deadline for each.

    `rewards` are `name` or `name=weight` specs for all problems (see `load_reward.compose_rewards`), resolved against the
    current folder, or functions that a worker can import by their module's name; without any, each problem's own `verifier` runs.
    `deadline` is in seconds for one verdict, `start_deadline` for importing the rewards. A worker is replaced after `recycle_after`
    verdicts, and when its resident memory has grown by more
    than `recycle_above` bytes since it imported its verifier (None: never; nor on systems without /proc); what one verdict may
    take is `memory_limit`'s business, the bytes of a worker's address space. At most `chunk` items are sent to a worker ahead.
    After `give_up_after` x `workers` items in a row without a verdict, in time-outs and dead workers, the calls that wait for
    that verifier end with InputError, as does every next item it loses until it gives a verdict; 0 turns this off. Processes
    start when first needed, and end with `close()`, with the `with` block, or with this process, even if it is killed.

    A pool cannot be pickled and does not survive a fork: make it inside the Ray actor or the process that uses it. Every method
    may raise InputError with the worker's own text if the rewards cannot be loaded, or a problem's `meta` holds something that
    JSON cannot carry, or an item is no problem with a string; and RuntimeError after `close()`, or in a forked child.
    """

    def __init__(
        self,
        rewards: str | Reward | Sequence[str | Reward] = (),
        *,
        workers: int = 2,
        deadline: float = 10.0,
        start_deadline: float = 120.0,
        recycle_after: int = 100_000,
        recycle_above: int | None = 1 << 30,
        chunk: int = 128,
        memory_limit: int | None = None,
        give_up_after: int = 20,
    ) -> None:
        if min(workers, recycle_after, chunk) < 1 or not all(0 < seconds < math.inf for seconds in (deadline, start_deadline)):
            raise InputError("workers, recycle_after and chunk must be at least 1, and the deadlines finite and above 0 seconds")
        if give_up_after < 0 or (recycle_above is not None and recycle_above < 1):
            raise InputError("give_up_after must be at least 0, and recycle_above at least 1 byte, or None")
        self.deadline = deadline
        self._window = 2 * workers * chunk
        specs = [reward if isinstance(reward, str) else spec_of(reward) for reward in _as_sequence(rewards)]
        setup = {"rewards": specs, "sys_path": [entry or str(Path.cwd()) for entry in sys.path], "memory_limit": memory_limit}
        limits = PoolLimits(workers, deadline, start_deadline, recycle_after, recycle_above, give_up_after, chunk)
        self._figures = PoolFigures()
        self._dispatcher = Dispatcher(to_bytes(setup) + b"\n", ", ".join(specs), limits, self._figures)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a VerifierPool cannot be pickled, its workers belong to this process: make one inside the actor that uses it")

    def __enter__(self) -> "VerifierPool":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Kill the workers. Callers that are still waiting get RuntimeError; closing twice is harmless."""
        self._dispatcher.close()

    def take_figures(self) -> dict[str, float]:
        """Since the last time: `verdicts`, `replaced_workers`, and of one verdict's seconds `p50_seconds`, `p99_seconds`, `max_seconds`."""
        return self._figures.take()

    def verify_many(self, items: Iterable[tuple[Problem, str]]) -> list[Verdict]:
        """The verdict of each (problem, response), in the order of `items`; of an iterator, work begins with the first one."""
        verdicts = {index: verdict for index, verdict, _ in self.stream(items)}
        return [verdicts[index] for index in range(len(verdicts))]

    def stream(self, items: Iterable[tuple[Problem, str]]) -> Iterator[Result]:
        """(index, verdict, seconds) of each (problem, response), as they finish, in any order.

        An iterator is read in a thread of its own, no further ahead than `2 * workers * chunk` items of what was taken from this
        stream, and may block: what it gave before is judged meanwhile. If it raises, the verdicts of the items before come first
        and then its exception. Closing the stream cancels what is left.
        """
        call = PoolCall()
        window = threading.Semaphore(self._window)
        received, fed = 0, None
        self._dispatcher.open(call)
        try:
            self._start(call, items, window)
            while fed is None or received < fed.total:
                arrival = call.arrived.get()
                if isinstance(arrival, Exception):
                    raise arrival
                if isinstance(arrival, Fed):
                    fed = arrival
                    continue
                received += len(arrival)
                self._figures.judged([seconds for _, _, seconds in arrival])
                for result in arrival:
                    yield result
                    window.release()
            if fed.error is not None:
                raise fed.error
        finally:
            self._dispatcher.withdraw(call, finished=fed is not None and received >= fed.total)
            window.release()

    def _start(self, call: PoolCall, items: Iterable[tuple[Problem, str]], window: threading.Semaphore) -> None:
        if isinstance(items, Sequence):
            self._dispatcher.submit([_make_item(call, n, problem, response) for n, (problem, response) in enumerate(items)])
            call.arrived.put(Fed(len(items), None))
        else:
            threading.Thread(target=self._feed, args=(call, iter(items), window), name="reckon-items", daemon=True).start()

    def _feed(self, call: PoolCall, items: Iterator[tuple[Problem, str]], window: threading.Semaphore) -> None:
        count = 0
        try:
            for problem, response in items:
                window.acquire()
                if call.ended is not None:
                    return
                self._dispatcher.submit([_make_item(call, count, problem, response)])
                count += 1
        except BaseException as error:  # noqa: BLE001  # not swallowed: handed to the thread that reads the stream
            call.arrived.put(Fed(count, error))
        else:
            call.arrived.put(Fed(count, None))


def _as_sequence(rewards: str | Reward | Sequence[str | Reward]) -> Sequence[str | Reward]:
    if isinstance(rewards, str) or callable(rewards):
        return [rewards]
    if isinstance(rewards, Sequence):
        return rewards
    raise InputError(f"rewards: give names such as 'math_answer' or 'FILE.py:FUNCTION', or functions, not {rewards!r:.60}")


def _make_item(call: PoolCall, index: int, problem: object, response: object) -> Item:
    """Refuses here, where the caller's mistake is the caller's alone, what no worker could take."""
    if not isinstance(problem, Problem) or not isinstance(response, str):
        raise InputError(f"item {index}: expected a Problem and a string, not {type(problem).__name__} and {type(response).__name__}")
    return Item(call, index, problem, response)
