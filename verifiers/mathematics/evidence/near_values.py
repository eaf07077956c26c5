"""An expression of one variable in floats: to look for corners, never to decide."""

import math
from collections.abc import Callable
from fractions import Fraction

from verifiers.mathematics.arithmetic.case_rows import row_holds
from verifiers.mathematics.arithmetic.exact_sums import Call, Expr

_Near = Callable[[float], float]


class NotNear(Exception):
    """No float, or no real number."""


def nearly(value: Expr, name: str) -> Callable[[float], float | None]:
    in_floats = _of_sum(value, name)

    def function(x: float) -> float | None:
        try:
            near = in_floats(x)
        except (ArithmeticError, ValueError, NotNear):
            return None
        return near if math.isfinite(near) else None

    return function


def _of_sum(value: Expr, name: str) -> _Near:
    """Made once for all points, as fractions are slow to turn into floats."""
    try:
        terms = [(float(c), [_of_power(base, exponent, name) for base, exponent in monomial]) for monomial, c in value.terms]
    except OverflowError:
        return _refused

    def near(x: float) -> float:
        total = 0.0
        for term, factors in terms:
            for factor in factors:
                term *= factor(x)
            total += term
        return total

    return near


def _of_power(base: str, exponent: Fraction, name: str) -> _Near:
    inner, (p, q) = _of_atom(base, name), exponent.as_integer_ratio()
    if p == q == 1:
        return inner
    if q == 1:
        return lambda x: float(inner(x) ** p)

    def root(x: float) -> float:
        found = inner(x)
        if found < 0 and q % 2 == 0:
            raise NotNear
        return math.copysign(abs(found) ** (p / q), found if p % 2 else 1.0)

    return root


def _of_atom(base: str, name: str) -> _Near:
    if isinstance(base, Call):
        return _of_call(base, name)
    if base == name:
        return lambda x: x
    if base.isdigit() or base in _CONSTANTS:
        constant = float(int(base)) if base.isdigit() else _CONSTANTS[base]
        return lambda _: constant
    return _refused


def _of_call(base: Call, name: str) -> _Near:
    args = [_of_sum(arg, name) for arg in base.args]
    if base.head == "cases":
        relations = [relation.rational for relation in base.args[1::3]]
        return lambda x: _first_row(args[::3], relations, args[2::3], x)
    function = _FLOATS.get(base.head, _refused)
    return args[0] if base.head == "sum" else lambda x: function(*[arg(x) for arg in args])


def _first_row(values: list[_Near], relations: list[Fraction | None], differences: list[_Near], x: float) -> float:
    for value, relation, difference in zip(values, relations, differences, strict=True):
        y = difference(x)
        if math.isnan(y):
            raise NotNear
        if row_holds(relation, (y > 0) - (y < 0)):
            return value(x)
    raise NotNear


def _refused(*_: float) -> float:
    raise NotNear


_CONSTANTS = {"pi": math.pi, "e": math.e, "°": math.pi / 180}
_FLOATS: dict[str, Callable[..., float]] = {
    "pow": math.pow, "sin": math.sin, "cos": math.cos, "tan": math.tan, "cot": lambda x: 1 / math.tan(x),
    "sec": lambda x: 1 / math.cos(x), "csc": lambda x: 1 / math.sin(x), "sinh": math.sinh, "cosh": math.cosh, "tanh": math.tanh,
    "arcsin": math.asin, "arccos": math.acos, "arctan": math.atan, "ln": math.log, "log": math.log, "abs": abs, "floor": math.floor,
    "ceil": math.ceil, "sgn": lambda x: (x > 0) - (x < 0), "max": max, "min": min,
}  # fmt: skip


def crossing_between(function: Callable[[float], float | None], low: float, high: float, at_low: float) -> float:
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
