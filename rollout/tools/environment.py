"""What a policy may talk to while a completion is sampled: a plain protocol, and calls to many of them at once that cannot hang.

    class Guess:                                  # a user's own, in a file: --environment guess.py:Guess
        scores = True

        def reset(self, problem):
            self.secret = int(problem.answer)
            return "Guess my number, from 1 to 100."

        def step(self, text):
            if not text.strip().isdigit():
                return Reply("A number, please.", error=True)
            guess = int(text)
            return Reply("right", done=True, reward=1.0) if guess == self.secret else "higher" if guess < self.secret else "lower"

One object a completion. It hears of the policy's turns one after the other; objects are called from several threads, each from
one at a time. An exception, or no reply within the deadline, is the environment's failure and not the policy's: the completion
then has no verdict and does not train. What a policy may do wrong, an environment must answer: with `Reply(..., error=True)`.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from verifiers.problem import Problem

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply:
    """What an environment says to a turn of the policy's."""

    text: str = ""
    """Appended for the policy to read; nothing for ""."""
    error: bool = False
    """The call failed through what the policy asked for; it is counted."""
    done: bool = False
    """The episode is over: the policy does not go on, and `text` is not shown."""
    reward: float | None = None
    """Added up over the episode; the verdict, where the environment scores."""


@runtime_checkable
class Environment(Protocol):
    """Two methods and, where they differ from the defaults given here, three names that need not be there.

    `stop_texts: tuple[str, ...] = ()`   texts that end a turn within a response, beside the model's end of turn
    `scores: bool = False`               its rewards are the verdict; the verifier is not asked
    `close() -> None`                    called once, also after a failure
    """

    def reset(self, problem: Problem) -> Reply | str | None:
        """The episode begins. What it says, if anything, stands before the policy's first turn."""

    def step(self, text: str) -> Reply | str | None:
        """The policy's turn, with the stop text that ended it and without the stop token. None ends the completion."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call has no result."""

    why: str


def call_all(calls: Sequence[Callable[[], T]], *, deadline: float, at_once: int) -> list[T | Failure]:
    """The results of all calls, in order, of which at most `at_once` run at a time, each in a thread of its own.

    A call that is not done `deadline` seconds after its start is given up. Its thread cannot be ended: it stays until the call
    returns, or until the process ends.
    """
    done: queue.SimpleQueue[tuple[int, T | Failure]] = queue.SimpleQueue()

    def work(index: int) -> None:
        try:
            result: T | Failure = calls[index]()
        except Exception as error:  # noqa: BLE001  # a user's code
            result = Failure(f"{type(error).__name__}: {error}"[:500])
        done.put((index, result))

    results: dict[int, T | Failure] = {}
    running: dict[int, float] = {}
    waiting = iter(range(len(calls)))
    while len(results) < len(calls):
        while len(running) < at_once and (index := next(waiting, None)) is not None:
            running[index] = time.monotonic() + deadline
            threading.Thread(target=work, args=(index,), name="reckon-environment", daemon=True).start()
        try:
            index, result = done.get(timeout=max(0.0, min(running.values()) - time.monotonic()))
        except queue.Empty:
            index = min(running, key=running.__getitem__)
            result = Failure(f"no reply within {deadline:g} s")
        if running.pop(index, None) is not None:  # else it came after it had been given up
            results[index] = result
    return [results[index] for index in range(len(calls))]
