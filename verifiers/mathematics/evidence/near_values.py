"""What an expression of one variable is nearly, in floats, and what its form says of its sign: to look for corners, never to decide."""

import math
from collections.abc import Callable, Iterable
from fractions import Fraction

from verifiers.mathematics.arithmetic.exact_sums import Call, Expr, scale, symbols

_RANGES = {"sin": (-1, 1), "cos": (-1, 1), "tanh": (-1, 1), "abs": (0, None), "cosh": (1, None), "arccos": (0, None)}


class NotNear(Exception):
    """No float, or no real number."""


_ENTIRE = frozenset({"sum", "sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh"})


def is_meromorphic(value: Expr) -> bool:
    """Whether the value has no corner, branch or jump anywhere: quotients of sums of powers of constants and trigonometric functions."""
    for monomial, _ in value.terms:
        for name, exponent in monomial:
            if isinstance(name, Call):
                known = name.head in _ENTIRE or (name.head == "pow" and positive(name.args[0]) and not symbols(name.args[0]))
                if not known or exponent.denominator != 1 or not all(map(is_meromorphic, name.args)):
                    return False
            elif exponent.denominator != 1 and not (name.isdigit() or name in _CONSTANTS):
                return False
    return True


def value_range(name: str) -> tuple[Fraction | None, Fraction | None]:
    if isinstance(name, Call):
        if name.head == "pow" and positive(name.args[0]):
            return Fraction(0), None
        if name.head in _RANGES:
            low, high = _RANGES[name.head]
            return Fraction(low), None if high is None else Fraction(high)
    return None, None


def positive(value: Expr) -> bool:
    """Whether the value is certainly above 0 wherever it has one, by its form: a sum of what is never negative, one of it positive."""
    return (
        bool(value.terms)
        and all(c > 0 and _sign_of(m) is not None for m, c in value.terms)
        and any(_sign_of(m) == 1 for m, _ in value.terms)
    )


def never_zero(value: Expr) -> bool:
    return positive(value) or positive(scale(value, Fraction(-1)))


def _sign_of(monomial: Iterable[tuple[str, Fraction]]) -> int | None:
    """1 for certainly positive, 0 for never negative, None where that is not known."""
    result = 1
    for name, exponent in monomial:
        even = exponent.denominator == 1 and exponent.numerator % 2 == 0
        if name.isdigit() or name in ("pi", "e", "°"):
            continue
        if isinstance(name, Call) and (
            (name.head == "pow" and positive(name.args[0])) or name.head == "cosh" or (name.head == "sum" and positive(name.args[0]))
        ):
            continue
        never = even or exponent.denominator % 2 == 0 or (isinstance(name, Call) and name.head in ("abs", "arccos"))
        if not never:
            return None
        result = 1 if exponent < 0 and result else 0
    return result


def nearly(value: Expr, name: str) -> Callable[[float], float | None]:
    def function(x: float) -> float | None:
        try:
            near = _near(value, name, x)
        except (ArithmeticError, ValueError, NotNear):
            return None
        return near if math.isfinite(near) else None

    return function


def _near(value: Expr, name: str, x: float) -> float:
    total = 0.0
    for monomial, coefficient in value.terms:
        term = float(coefficient)
        for base, exponent in monomial:
            if isinstance(base, Call):
                inner = _near_call(base, name, x)
            elif base == name:
                inner = x
            elif base.isdigit():
                inner = float(int(base))
            elif base in _CONSTANTS:
                inner = _CONSTANTS[base]
            else:
                raise NotNear
            if exponent.denominator == 1:
                term *= inner**exponent.numerator
            elif exponent.denominator % 2 or inner >= 0:
                term *= math.copysign(abs(inner) ** float(exponent), inner if exponent.numerator % 2 else 1.0)
            else:
                raise NotNear
        total += term
    return total


def _near_call(base: Call, name: str, x: float) -> float:
    if base.head == "cases":
        for value, relation, difference in zip(base.args[::3], base.args[1::3], base.args[2::3], strict=True):
            kind, y = relation.rational, _near(difference, name, x)
            if kind == 3 or (y < 0 and kind in (0, 1, 4)) or (y > 0 and kind == 4) or (y == 0 and kind in (1, 2)):
                return _near(value, name, x)
        raise NotNear
    args = [_near(arg, name, x) for arg in base.args]
    if base.head not in _FLOATS:
        raise NotNear
    return _FLOATS[base.head](*args)


_CONSTANTS = {"pi": math.pi, "e": math.e, "°": math.pi / 180}
_FLOATS: dict[str, Callable[..., float]] = {
    "sum": lambda x: x, "pow": math.pow, "sin": math.sin, "cos": math.cos, "tan": math.tan, "cot": lambda x: 1 / math.tan(x),
    "sec": lambda x: 1 / math.cos(x), "csc": lambda x: 1 / math.sin(x), "sinh": math.sinh, "cosh": math.cosh, "tanh": math.tanh,
    "arcsin": math.asin, "arccos": math.acos, "arctan": math.atan, "ln": math.log, "log": math.log, "abs": abs, "floor": math.floor,
    "ceil": math.ceil, "sgn": lambda x: (x > 0) - (x < 0), "max": max, "min": min,
}  # fmt: skip


def bisected(function: Callable[[float], float | None], low: float, high: float, at_low: float) -> float:
    for _ in range(24):
        middle = (low + high) / 2
        found = function(middle)
        if found is None:
            break
        if found * at_low > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
