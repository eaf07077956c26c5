"""Worker processes that run verifiers: the only place with time limits and kills.

A verifier may hang in C, exhaust its stack or crash its interpreter, so it runs in a process of its own and a limit is enforced
by killing that process (and its group) from outside. One thread owns the workers and their pipes; callers hand it items and
receive verdicts, so any number of threads may use one pool.

Items are sent ahead of need, as many as a worker is expected to finish within a twentieth of a second, and a deadline counts
from the arrival of the worker's previous verdict. Pipes are drained before a deadline is judged: a parent that was busy, or
suspended, does not turn verdicts that are already there into time-outs. When a worker dies, the item at the front of its queue
is to blame; the others go to another worker. A verdict is delivered exactly once, but an item that was queued behind a slow one
may be *run* twice: a reward with side effects must bear that.

Not covered: a reward's child processes that leave its process group survive it, and workers run with the user's rights.
"""

import json
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from verifiers.dispatch import Call, Dispatcher, Fed, Item, Result
from verifiers.input_error import InputError
from verifiers.problem import Problem
from verifiers.problem_file import gold_response
from verifiers.verdict import Status, Verdict, as_verdict


class VerifierPool:
    """Worker processes that give verdicts, within a deadline for each.

    `rewards` are `name` or `name=weight` specs for all problems (see `reward_function.compose_rewards`), resolved against the
    current folder; without any, each problem's own `verifier` runs. `deadline` is in seconds for one verdict, `start_deadline`
    for importing the rewards; a worker is replaced after `recycle_after` verdicts (leaks); at most `chunk` items are sent to a
    worker ahead; `memory_limit` in bytes limits a worker's address space. Processes start when first needed, and end with
    `close()`, with the `with` block, or with this process, even if it is killed.

    Every method may raise InputError with the worker's own text if the rewards cannot be loaded, or a problem's `meta` holds
    something that JSON cannot carry; and RuntimeError after `close()`.
    """

    def __init__(
        self,
        rewards: Sequence[str] = (),
        *,
        workers: int = 2,
        deadline: float = 10.0,
        start_deadline: float = 120.0,
        recycle_after: int = 100_000,
        chunk: int = 128,
        memory_limit: int | None = None,
    ) -> None:
        if min(workers, recycle_after, chunk) < 1 or min(deadline, start_deadline) <= 0:
            raise InputError("workers, recycle_after and chunk must be at least 1, and the deadlines above 0 seconds")
        self.deadline = deadline
        self._window = 2 * workers * chunk
        specs = [rewards] if isinstance(rewards, str) else list(rewards)
        setup = {"rewards": specs, "sys_path": [entry or str(Path.cwd()) for entry in sys.path], "memory_limit": memory_limit}
        self._dispatcher = Dispatcher(json.dumps(setup).encode() + b"\n", workers, (deadline, start_deadline), recycle_after, chunk)

    def __enter__(self) -> "VerifierPool":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Kill the workers. Callers that are still waiting get RuntimeError; closing twice is harmless."""
        self._dispatcher.close()

    def verify_many(self, items: Iterable[tuple[Problem, str]]) -> list[Verdict]:
        """The verdict of each (problem, response), in the order of `items`; of an iterator, work begins with the first one."""
        verdicts = {index: verdict for index, verdict, _ in self.stream(items)}
        return [verdicts[index] for index in range(len(verdicts))]

    def stream(self, items: Iterable[tuple[Problem, str]]) -> Iterator[Result]:
        """(index, verdict, seconds) of each (problem, response), as they finish, in any order.

        An iterator is read in a thread of its own, no further ahead than `2 * workers * chunk` items of what was taken from this
        stream. If it raises, the verdicts of the items before come first and then its exception.
        """
        call = Call()
        window = threading.Semaphore(self._window)
        try:
            if isinstance(items, Sequence):
                self._dispatcher.submit([Item(call, n, problem, response) for n, (problem, response) in enumerate(items)])
                call.arrived.put(Fed(len(items), None))
            else:
                threading.Thread(target=self._feed, args=(call, iter(items), window), name="reckon-items", daemon=True).start()
            yield from _results(call, window)
        finally:
            call.abandoned = True
            window.release()

    def probe(self, problem: Problem) -> Verdict:
        """The verdict on the problem's own gold answer as the response: the check before a run that rewards work at all.

        Raises InputError, quoting what the reward returned or raised, if it fails or takes longer than the deadline. A reward
        that declines a problem (returns None) does not fail.
        """
        [verdict] = self.verify_many([(problem, gold_response(problem))])
        if verdict.status is Status.CRASH and not verdict.detail.endswith(as_verdict(None).detail):
            raise InputError(f"{verdict.detail}, on problem {problem.id} with its gold answer {problem.answer!r:.80} as the response")
        if verdict.status is Status.TIMEOUT:
            raise InputError(f"{verdict.detail} on problem {problem.id} with its gold answer; make it faster or raise the deadline")
        return verdict

    def _feed(self, call: Call, items: Iterator[tuple[Problem, str]], window: threading.Semaphore) -> None:
        count = 0
        try:
            for problem, response in items:
                window.acquire()
                if call.abandoned:
                    return
                self._dispatcher.submit([Item(call, count, problem, response)])
                count += 1
        except Exception as error:  # noqa: BLE001  # not swallowed: handed to the thread that reads the stream
            call.arrived.put(Fed(count, error))
        else:
            call.arrived.put(Fed(count, None))


def _results(call: Call, window: threading.Semaphore) -> Iterator[Result]:
    """What arrives for a call, until as many results as items were fed."""
    received = 0
    fed: Fed | None = None
    while fed is None or received < fed.total:
        arrived = call.arrived.get()
        if isinstance(arrived, Fed):
            fed = arrived
        elif isinstance(arrived, Exception):
            raise arrived
        else:
            for result in arrived:
                received += 1
                yield result
                window.release()
    if fed.error is not None:
        raise fed.error
