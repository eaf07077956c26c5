"""What a problem's tests may use, as its meta says: seconds, memory, tolerance; and what is said where a problem or a sandbox fails.

Left out: the tests themselves.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from verifiers.sandboxes.running_program import Limits

_LONGEST, _LARGEST = 24 * 3600.0, 1 << 20  # seconds, and MB: a terabyte
RUN_SECONDS = 0.005
"""What starting a program takes at the least."""


class SandboxFailedError(Exception):
    """The sandbox failed, which says nothing about the program."""


class BadTestsError(Exception):
    """The problem's meta holds no tests that can be run."""


UNREADABLE = (
    BadTestsError, SyntaxError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, MemoryError,
)  # fmt: skip
"""What reading the tests in a problem's meta may raise: they are whoever's data."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a problem's tests may use, and how strict they are."""

    limits: Limits
    """Of one test."""
    total: float
    """Seconds for all tests together."""
    partial: bool
    tolerance: float

    @classmethod
    def read(cls, meta: Mapping[str, Any]) -> "Budget":
        """From a problem's meta. Raises BadTestsError for what is no number, or no limit that a machine could keep."""
        wall = _number_of(meta, "time_limit", 5.0, most=_LONGEST)
        memory = _number_of(meta, "memory_limit", 1024, most=_LARGEST)
        total = _number_of(meta, "total_limit", 8.0, most=_LONGEST)
        tolerance = _number_of(meta, "tolerance", 0.0, least=0.0, most=1e300)
        partial = meta.get("partial", False)
        if partial is not None and not isinstance(partial, bool):
            raise BadTestsError(f"partial is {partial!r:.40}; true or false is needed")
        return cls(Limits(wall=wall, memory=max(1, int(memory)) << 20), total, bool(partial), tolerance)

    def check_count(self, tests: int, seconds: float) -> None:
        """Raises BadTestsError for more tests than fit into the total, each taking `seconds` at the least, whatever the program."""
        most = int(self.total / seconds)
        if tests > most:
            raise BadTestsError(f"{tests} tests cannot run in the total_limit of {self.total:g} s; it holds {most} at the most")


def _number_of(meta: Mapping[str, Any], name: str, default: float, *, least: float = 1e-3, most: float) -> float:
    value = meta.get(name, default)
    if value is None:  # a column that other rows have
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise BadTestsError(f"{name} is {shown(value)}; a number from {least:g} to {most:g} is needed")
    return float(value)


def shown(value: object, most: int = 60) -> str:
    """The beginning of what a problem's data hold, for a complaint."""
    try:
        return repr(value)[:most]
    except (ValueError, RecursionError, MemoryError):
        return f"a {type(value).__name__} too long to show"


def within(limits: Limits, deadline: float, *, extra: float = 0.0) -> Limits:
    """The limits, with no more time than is left (and always a little, so that what happens is a time-out)."""
    return replace(limits, wall=max(0.01, min(limits.wall, deadline - time.monotonic())) + extra)
