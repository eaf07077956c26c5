"""What passes between a pool's callers, its dispatcher and its workers: calls, items, results, and the JSON they travel as.

Only data and its spelling. Who holds an item when, and who is to blame for it, is decided in `dispatcher.py`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from verifiers.problem import Problem
from verifiers.verdict import Status, StepScore, Verdict

Result = tuple[int, Verdict, float]
"""The index of an item, its verdict, and the seconds that it took."""


class Fed(NamedTuple):
    """An iterator of items has ended after so many, or has raised."""

    total: int
    error: BaseException | None


Arrival = list[Result] | Fed | Exception
"""What a caller receives: results, the end of its iterator, or the exception that ends the call."""


class Call:
    """One caller. `deliver` takes an Arrival; it is called from the dispatcher's thread, must not block and must not raise."""

    __slots__ = ("deliver", "ended")

    def __init__(self, deliver: Callable[[Arrival], None]) -> None:
        self.deliver = deliver
        self.ended: float | None = None
        """When it was over, by the monotonic clock: all verdicts there, cancelled, or failed. Nothing is delivered after that."""


@dataclass(slots=True, eq=False)
class Item:
    call: Call
    index: int
    problem: Problem
    response: str
    done: bool = False
    copies: int = 1
    """In how many queues it stands: more than one when it was also offered to an idle worker."""


@dataclass(frozen=True, slots=True)
class PoolStats:
    """What a pool is doing and has done since it was made. The first three are of this moment, and may be a few items behind."""

    queued: int
    """Items that no worker has yet."""
    sent: int
    """Items that a worker has and has not answered."""
    workers: int
    """Processes, those that are still starting too."""
    verdicts: Mapping[Status, int]
    """Delivered, by status. A cancelled call's are not counted."""
    recycled: int
    """Workers replaced because of their age or memory."""
    killed: int
    """Workers ended because they passed a deadline, while starting too."""
    died: int
    """Workers that ended by themselves."""
    freed: int
    """Workers ended because they were at an item that nobody waits for any more."""
    busy_seconds: float
    """Wall-clock seconds in which at least one item was in hand."""

    @property
    def rate(self) -> float:
        """Verdicts a second while there was work; 0 before any."""
        return sum(self.verdicts.values()) / self.busy_seconds if self.busy_seconds else 0.0


LONGEST_LINE = 8 << 20
"""Bytes of a worker's line, above which it is none."""

_OTHER_MESSAGES = frozenset({"ready", "loading", "error"})


class Answer(NamedTuple):
    """What a worker says of the item that it was given as its `number`-th, from 0."""

    number: int
    verdict: Verdict
    seconds: float


def to_bytes(value: object) -> bytes:
    """JSON that keeps lone surrogates, which model output may hold."""
    return _JSON.encode(value).encode("utf-8", "surrogatepass")


def problem_to_bytes(problem: Problem) -> bytes:
    """Raises TypeError, ValueError or RecursionError for a `meta` that JSON cannot carry, or what its objects raise themselves."""
    fields = ("id", "prompt", "answer", "verifier", "meta")
    return to_bytes({name: getattr(problem, name) for name in fields})


def message_from(line: bytes) -> Answer | dict[str, Any]:
    """A line of a worker: its answer to an item, or another of its messages as it is. Raises ValueError for what no worker says."""
    try:
        reply = json.loads(line.decode("utf-8", "surrogatepass"))
        if not isinstance(reply, dict):
            raise TypeError(f"expected an object, not {type(reply).__name__}")
        if not _OTHER_MESSAGES.isdisjoint(reply):
            return reply
        steps = tuple(StepScore(end, score) for end, score in reply["steps"])
        verdict = Verdict(reply["score"], Status(reply["status"]), reply["detail"], MappingProxyType(reply["parts"]), steps)
        return Answer(reply["item"], verdict, float(reply["seconds"]))
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _json_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):  # numpy
        return value.tolist()
    raise TypeError(f"{value!r:.60} is a {type(value).__name__}")


_JSON = json.JSONEncoder(ensure_ascii=False, default=_json_value)  # once, not for every item
