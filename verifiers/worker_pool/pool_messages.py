"""What passes between a pool's callers, its dispatcher and its workers: calls, items, results, and the JSON they travel as.

Only data and its spelling. Who holds an item when, and who is to blame for it, is decided in `dispatcher.py`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from queue import SimpleQueue
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


class PoolCall:
    """One caller, and what has arrived for it."""

    __slots__ = ("arrived", "ended")

    def __init__(self) -> None:
        self.arrived: SimpleQueue[Arrival] = SimpleQueue()
        self.ended: float | None = None
        """When it was over, by the monotonic clock: all verdicts there, cancelled, or failed. Nothing arrives after that."""


@dataclass(slots=True, eq=False)
class Item:
    call: PoolCall
    index: int
    problem: Problem
    response: str
    done: bool = False
    copies: int = 1
    """In how many queues it stands: more than one when it was also offered to an idle worker."""


LONGEST_LINE = 8 << 20
"""Bytes of a worker's line, above which it is none."""

_OTHER_MESSAGES = frozenset({"ready", "loading", "error"})


class WorkerAnswer(NamedTuple):
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


def message_from(line: bytes) -> WorkerAnswer | dict[str, Any]:
    """A line of a worker: its answer to an item, or another of its messages as it is. Raises ValueError for what no worker says."""
    try:
        reply = json.loads(line.decode("utf-8", "surrogatepass"))
        if not isinstance(reply, dict):
            raise TypeError(f"expected an object, not {type(reply).__name__}")
        if not _OTHER_MESSAGES.isdisjoint(reply):
            return reply
        steps = tuple(StepScore(end, score) for end, score in reply["steps"])
        verdict = Verdict(reply["score"], Status(reply["status"]), reply["detail"], MappingProxyType(reply["parts"]), steps)
        return WorkerAnswer(reply["item"], verdict, float(reply["seconds"]))
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _json_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):  # numpy
        return value.tolist()
    raise TypeError(f"{value!r:.60} is a {type(value).__name__}")


_JSON = json.JSONEncoder(ensure_ascii=False, default=_json_value)  # once, not for every item
