"""The last step of the ladder: an algebra system, in another process, where every request is killed at its deadline.

Reached only by expressions that hold an integral, a limit, a derivative or a sum with symbolic bounds (`calculus_parser.py`), and under the
default policy only where both sides do; plain numbers never are. There is one worker for each process (`algebra_worker.py`), started
when first needed (the import of sympy, about a second, does not count); a child of fork() starts its own, and it ends with this process.
Threads take turns. What the algebra system cannot decide is not the same; what it had no time, no memory or no chance to decide raises
`Undecided` and is asked again the next time.

Left out: a guarantee. sympy's rules are trusted where they end in 0.
"""

import atexit
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from verifiers.child_environment import PACKAGE_ROOT, child_environment
from verifiers.child_process import ChildProcess
from verifiers.mathematics.arithmetic.exact_sums import Call, Expr, size_of
from verifiers.verdict import Status, Undecided

DEADLINE = 2.0  # seconds of one request, from its turn
START_DEADLINE = 60.0  # seconds to import sympy on a busy machine
GRACE = 1.0  # seconds after which a worker that is silent past the deadline is killed itself
_LONGEST_REPLY = 1 << 16
MAX_SIZE = 200  # atoms and terms of both sides together


def same_by_algebra(left: Expr, right: Expr) -> bool:
    """Whether the algebra system says that the two are the same; the order does not matter. Undecided where it failed."""
    if size_of(left) + size_of(right) > MAX_SIZE:
        return False
    return _ask_worker(*sorted((left, right), key=repr)) is True


@lru_cache(maxsize=1024)
def _ask_worker(left: Expr, right: Expr) -> bool | None:
    return WORKER.ask(tree_of(left), tree_of(right))


def tree_of(value: Expr) -> list[Any]:
    return [[str(c), [[_atom(name), str(exponent)] for name, exponent in monomial]] for monomial, c in value.terms]


def _atom(name: str) -> Any:
    return {"head": name.head, "args": [tree_of(arg) for arg in name.args]} if isinstance(name, Call) else name


class Simplifier:
    """One worker process and the lock for it."""

    def __init__(self, deadline: float = DEADLINE) -> None:
        self.deadline = deadline
        self._forget()

    def _forget(self) -> None:
        """In a child of fork(): the worker and the state of the lock are the parent's."""
        self._lock = threading.Lock()
        self._not_ours = getattr(self, "_child", None)  # kept, as its finaliser would wait for what is no child of ours
        self._child: ChildProcess | None = None

    @property
    def process(self) -> "subprocess.Popen[bytes] | None":
        return self._child.process if self._child else None

    def ask(self, left: list[Any], right: list[Any]) -> bool | None:
        """True, False, or None where algebra does not know; Undecided at the deadline and where the process or its request died."""
        with self._lock:
            for _ in range(2):  # a worker that somebody killed since the last request is replaced
                child = self._running_child()
                end = time.monotonic() + self.deadline + GRACE
                request = json.dumps({"left": left, "right": right, "seconds": self.deadline})
                reply = _reply(child, request.encode() + b"\n", end)
                if reply is not None:
                    if failed := reply.get("failed"):
                        raise _failure(failed == "timeout", "it took too long" if failed == "timeout" else "the request crashed")
                    same: bool | None = reply["same"]
                    return same
                self._end()
                if time.monotonic() >= end:
                    raise _failure(True, "it did not answer")
            raise _failure(False, "its process died twice")

    def close(self) -> None:
        with self._lock:
            self._end()

    def _running_child(self) -> ChildProcess:
        if self._child is not None and self._child.process.poll() is None:
            return self._child
        self._end()
        command = [sys.executable, "-P", "-m", "verifiers.mathematics.evidence.algebra_worker"]
        environment = child_environment(sys.path, inherit=False, PYTHONHASHSEED="0", OMP_NUM_THREADS="1")
        try:
            self._child = ChildProcess(
                lambda lifeline: [*command, str(lifeline)], stderr=subprocess.DEVNULL, env=environment, cwd=PACKAGE_ROOT
            )
        except OSError as error:
            raise _failure(False, f"its process cannot be started: {error}") from None
        end = time.monotonic() + START_DEADLINE
        if _reply(self._child, b"", end) is None:
            self._end()
            late = time.monotonic() >= end
            raise _failure(late, f"it did not start within {START_DEADLINE:g} s" if late else "it could not be started")
        return self._child

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill_group()
            child.process.wait()


def _reply(child: ChildProcess, data: bytes, end: float) -> dict[str, Any] | None:
    """The next line of the worker; None at the deadline and where the worker has ended."""
    try:
        found: dict[str, Any] = json.loads(child.exchange(data, end=b"\n", until=end, longest=_LONGEST_REPLY))
    except (TimeoutError, EOFError, OSError):
        return None
    return found


def _failure(late: bool, reason: str) -> Undecided:
    return Undecided(Status.TIMEOUT if late else Status.CRASH, f"the algebra system has not decided: {reason}")


WORKER = Simplifier()
_at_fork: Callable[[], None] = WORKER._forget
os.register_at_fork(after_in_child=_at_fork)
atexit.register(WORKER.close)
