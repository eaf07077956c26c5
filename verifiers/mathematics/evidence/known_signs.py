"""What the form of an expression says of its values: of one sign, in a range, without corners. None of it needs a point.

Where the form says nothing, that is the answer: no function here looks for more.
"""

from collections.abc import Iterable
from fractions import Fraction

from verifiers.mathematics.arithmetic.exact_sums import Call, Expr, scale, symbols

_REAL_CONSTANTS = ("pi", "e", "°")
_RANGES = {"sin": (-1, 1), "cos": (-1, 1), "tanh": (-1, 1), "abs": (0, None), "cosh": (1, None), "arccos": (0, None)}
_ENTIRE = frozenset({"sum", "sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh"})


def is_meromorphic(value: Expr) -> bool:
    """Whether the value has no corner, branch or jump anywhere: quotients of sums of powers of constants and trigonometric functions."""
    for monomial, _ in value.terms:
        for name, exponent in monomial:
            if isinstance(name, Call):
                known = name.head in _ENTIRE or (name.head == "pow" and positive(name.args[0]) and not symbols(name.args[0]))
                if not known or exponent.denominator != 1 or not all(map(is_meromorphic, name.args)):
                    return False
            elif exponent.denominator != 1 and not (name.isdigit() or name in _REAL_CONSTANTS):
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
        if name.isdigit() or name in _REAL_CONSTANTS:
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
