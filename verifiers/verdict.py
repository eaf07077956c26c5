"""What a verifier says of a response: a score and why, or that there is no verdict and why not.

A failure of ours (time-out, crash, unreadable gold) is never a score of 0: it would teach the policy that a right answer is
wrong. It is a verdict without a score, which training leaves out and the run's summary counts.
"""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from verifiers.problem import Problem


class Status(StrEnum):
    """Right, wrong and no answer are the policy's doing and train; the others are ours and do not."""

    RIGHT = "right"
    WRONG = "wrong"
    NO_ANSWER = "no_answer"
    TIMEOUT = "timeout"
    CRASH = "crash"
    BAD_GOLD = "bad_gold"


JUDGED = frozenset({Status.RIGHT, Status.WRONG, Status.NO_ANSWER})


MOST_PARTS, LONGEST_PART = 1000, 200
"""Of a verdict: how many parts, each a column of the run's metrics, and characters in the name of one."""
_LAST_END = (1 << 31) - 1


class StepScore(NamedTuple):
    """Process supervision: the score of the step that ends before character `end` of the response."""

    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The score of one response. `score` is None exactly when `status` says that no verdict was reached."""

    score: float | None
    status: Status
    detail: str = ""
    """What was extracted, or why there is no verdict."""
    parts: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """The components of a composed reward, by name."""
    steps: tuple[StepScore, ...] = ()

    def __post_init__(self) -> None:
        if (self.score is None) is (self.status in JUDGED):
            raise ValueError(f"a verdict with status {self.status} cannot have score {self.score}")
        if self.score is not None and not _is_finite(self.score):
            raise ValueError(f"a score must be a finite number, not {self.score!r:.40}")
        if len(self.parts) > MOST_PARTS:
            raise ValueError(f"a verdict has {MOST_PARTS} parts at the most, not {len(self.parts)}")
        for name, part in self.parts.items() if self.parts else ():
            if not _is_finite(part):
                raise ValueError(f"the part {name!r:.40} must be a finite number, not {part!r:.40}")
            if not isinstance(name, str) or len(name) > LONGEST_PART:
                raise ValueError(f"the name of a part is a text of {LONGEST_PART} characters at the most, not {name!r:.40}")
        for end, score in self.steps:
            if not hasattr(end, "__index__") or not 0 <= end <= _LAST_END:
                raise ValueError(f"a step ends at a character of the response, counted from 0, not at {end!r:.40}")
            if not _is_finite(score):
                raise ValueError(f"the score of the step that ends at {end!r:.40} must be a finite number, not {score!r:.40}")

    @property
    def valid(self) -> bool:
        """Whether a verdict was reached at all."""
        return self.score is not None


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except (OverflowError, TypeError):  # an integer beyond every float; a text
        return False


Reward = Callable[[Problem, str], Any] | Callable[[Problem, str], Awaitable[Any]]
"""What users write: returns a Verdict, a float, a bool, or None for "no verdict"."""
Verifier = Callable[[Problem, str], Verdict]
StepScorer = Callable[[Problem, Sequence[str]], Sequence[float | None]]
"""What scores the steps of a response, given as texts that lie end to end: a score for each, or None for a step that has none. It may
raise `Undecided`."""


def quoted(text: str, most: int = 120) -> str:
    """A text in quotes on one line, for a detail: LaTeX keeps its single backslashes, where `repr` would double them."""
    line = " ".join(text.split())
    shown = line[:most]
    if not shown.isprintable():
        shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in shown)
    return f"'{shown}'" + "..." * (len(line) > most)


def right(detail: str = "") -> Verdict:
    return Verdict(1.0, Status.RIGHT, detail)


def wrong(detail: str = "") -> Verdict:
    return Verdict(0.0, Status.WRONG, detail)


def no_answer(detail: str = "") -> Verdict:
    return Verdict(0.0, Status.NO_ANSWER, detail)


def bad_gold(detail: str) -> Verdict:
    return Verdict(None, Status.BAD_GOLD, detail)


def as_verdict(value: object) -> Verdict:
    """A verdict from what a reward function returned: Verdict, bool, real number, or None for "no verdict".

    A number above 0 counts as right for accuracy, whatever its scale. Raises TypeError with the offending value otherwise.
    """
    match value:
        case Verdict():
            return value
        case bool():
            return right() if value else wrong()
        case None:
            return Verdict(None, Status.CRASH, "the reward function returned None: no verdict")
    try:
        score = float(value)  # type: ignore[arg-type]  # numpy and torch scalars have __float__; strings are refused below
    except (TypeError, ValueError, OverflowError):
        score = math.nan
    if isinstance(value, str | bytes) or not math.isfinite(score):
        raise TypeError(f"returned {_show_value(value)} ({type(value).__name__}); expected a finite number, bool, Verdict or None")
    return Verdict(score, Status.RIGHT if score > 0 else Status.WRONG)


def _show_value(value: object) -> str:
    try:
        return f"{value!r:.80}"
    except ValueError:  # an integer of more digits than Python will write
        return "a number too long to write"


class Undecided(Exception):
    """What would have decided has failed: a deadline or a crash of ours, and no verdict on the answer."""

    def __init__(self, status: Status, detail: str) -> None:
        super().__init__(detail)
        self.status = status
