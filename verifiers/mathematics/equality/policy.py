"""How strictly answers are compared: the policies of `math_answer.verify`, each a string or a bool, checked once.

`tolerance` is one of

- "rounded:4" (the default; any count of digits from 1): a decimal stands for a number that no decimal equals, such as 1/3 or pi, if it
  is that number rounded, and has at least so many significant digits, two of them behind the point. Symmetric;
- "exact": equal numbers only;
- "digits": besides what "rounded:4" accepts, the decimal that the *gold* is written as is any real number that rounds to it (half away
  from zero): 85.71 is 600/7 and 85.714, not 85.72 or 85.7. Only for golds that are roundings, as 0.5 is then 0.54. Not symmetric: the
  digits of the answer say nothing, and a gold that is an integer, a fraction or in scientific notation has none;
- "relative:1e-3" (any number between 0 and 1): the answer is off by at most that part of the gold. Not symmetric; 0 is only 0.

All of them concern real numbers as items: alone, with a unit, or in a list, tuple (and so a pair in brackets) or matrix. What stands inside
a function, an equation, an inequality or a union is compared exactly, and so is what only algebra can evaluate. Certified intervals decide,
never floats.
"""

import re
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Literal, NamedTuple, TypedDict

from verifiers.first_use import compiled
from verifiers.input_error import InputError

Percent = Literal["either", "strict"]
Units = Literal["convert", "match", "ignore"]

DEFAULT_TOLERANCE = "rounded:4"
_NUMBER = compiled(r"(?ai)(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:e[+-]?\d{1,2})?")


class PolicyOptions(TypedDict, total=False):
    """A policy as users write it, for functions that only hand it on to `make_policy`."""

    percent: Percent
    tolerance: str
    units: Units
    require_closed_form: bool


class Step(NamedTuple):
    """One comparison that said "the same": on which step of the ladder, and of what."""

    name: str
    left: object
    right: object


@dataclass(frozen=True)
class Policy:
    percent: Percent
    units: Units
    require_closed_form: bool
    rounded: int
    """Least significant digits of a decimal that may stand for the number it rounds; 0 for none."""
    to_gold_digits: bool
    relative: Fraction
    trace: list[Step] | None = field(default=None, compare=False)
    """Where `explain` has the comparisons noted."""

    assumed: bool | None = field(default=None, compare=False)
    """What a comparison is taken to be that algebra failed on; None where that ends the decision."""
    failed: set[tuple[object, object]] = field(default_factory=set, compare=False)
    """The comparisons that algebra failed on, while they are assumed."""

    @property
    def symmetric(self) -> bool:
        return not (self.to_gold_digits or self.relative)

    def note(self, name: str, left: object, right: object) -> bool:
        if self.trace is not None:
            self.trace.append(Step(name, left, right))
        return True


@lru_cache(maxsize=64)
def make_policy(
    percent: Percent = "either", tolerance: str = DEFAULT_TOLERANCE, units: Units = "convert", require_closed_form: bool = True
) -> Policy:
    """The policy; InputError names an unknown one."""
    if percent not in ("either", "strict"):
        raise InputError(f"percent={percent!r}: expected 'either' or 'strict'")
    if units not in ("convert", "match", "ignore"):
        raise InputError(f"units={units!r}: expected 'convert', 'match' or 'ignore'")
    kind, _, size = tolerance.partition(":")
    rounded, relative = 0, Fraction(0)
    if tolerance == "digits":
        rounded = 4
    elif kind == "rounded" and re.fullmatch(r"[1-9]\d?", size, re.ASCII):
        rounded = int(size)
    elif kind == "relative" and _NUMBER.fullmatch(size):
        relative = Fraction(size)
    if tolerance != "exact" and not rounded and not 0 < relative < 1:
        if _NUMBER.fullmatch(tolerance):
            near = tolerance if 0 < Fraction(tolerance) < 1 else "0.001"
            raise InputError(f"tolerance={tolerance}: write relative:{near}, rounded:4, digits or exact")
        raise InputError(
            f"tolerance={tolerance!r}: expected 'exact', 'digits', 'rounded:N' with N from 1 to 99, or 'relative:R' with 0 < R < 1"
        )
    return Policy(percent, units, require_closed_form, rounded, tolerance == "digits", relative)
