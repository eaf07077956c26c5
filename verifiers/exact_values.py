"""The value of an expression at a rational point as a fraction, where it has one: no interval, no precision.

For polynomials, quotients, whole powers, and the functions that have corners or are about integers. `is_exact` says beforehand whether
an expression is made of these alone; `exact_value` raises Undefined where there is no value, and Unclear where it is not rational or
too large.
"""

import math
from fractions import Fraction

from verifiers.exact_sums import Call, Expr, Unreadable
from verifiers.functions import integer_function
from verifiers.interval_values import NoRow, Unclear, Undefined

_HEADS = frozenset({"sum", "pow", "abs", "floor", "ceil", "sgn", "max", "min", "mod", "gcd", "lcm", "factorial", "binom", "cases"})
_MAX_BITS = 20_000
_NOT_EXACT = frozenset({"pi", "e", "i", "°", "∞"})


def is_exact(value: Expr) -> bool:
    """Whether every atom is a symbol or one of the functions here, under whole powers."""
    for monomial, _ in value.terms:
        for name, exponent in monomial:
            if exponent.denominator != 1 or name in _NOT_EXACT or name.isdigit():
                return False
            if isinstance(name, Call) and not (name.head in _HEADS and all(map(is_exact, name.args))):
                return False
    return True


def exact_value(value: Expr, point: dict[str, Fraction], known: dict[str, Fraction]) -> Fraction:
    """The value at the point; `known` keeps the values of its calls there."""
    total = Fraction(0)
    for monomial, coefficient in value.terms:
        term = coefficient
        for name, exponent in monomial:
            if isinstance(name, Call):
                base = known.get(name)
                if base is None:
                    base = known[name] = _call(name, point, known)
            else:
                found = point.get(name)
                if found is None:
                    raise Undefined
                base = found
            term *= base if exponent == 1 else _power(base, exponent.numerator)
        total += term
    return total


def _power(base: Fraction, exponent: int) -> Fraction:
    if exponent < 0 and not base:
        raise Undefined
    if abs(exponent) * max(base.numerator.bit_length(), base.denominator.bit_length()) > _MAX_BITS:
        raise Unclear
    return base**exponent


def _call(name: Call, point: dict[str, Fraction], known: dict[str, Fraction]) -> Fraction:
    if name.head == "cases":
        return _cases(name.args, point, known)
    values = [exact_value(arg, point, known) for arg in name.args]
    match name.head, values:
        case "sum", [x]:
            return x
        case "abs", [x]:
            return abs(x)
        case "sgn", [x]:
            return Fraction((x > 0) - (x < 0))
        case "floor", [x]:
            return Fraction(math.floor(x))
        case "ceil", [x]:
            return Fraction(math.ceil(x))
        case "max", _:
            return max(values)
        case "min", _:
            return min(values)
        case "pow", [x, n]:
            if n.denominator != 1:
                raise Unclear
            return _power(x, n.numerator)
    if any(value.denominator != 1 for value in values):
        raise Undefined
    try:
        return Fraction(integer_function(name.head, [value.numerator for value in values]))
    except Unreadable:
        raise Undefined from None


def _cases(args: tuple[Expr, ...], point: dict[str, Fraction], known: dict[str, Fraction]) -> Fraction:
    for value, relation, difference in zip(args[::3], args[1::3], args[2::3], strict=True):
        kind = int(relation.rational or 0)
        if kind == 3:
            return exact_value(value, point, known)
        x = exact_value(difference, point, known)
        if (x < 0 and kind in (0, 1, 4)) or (x == 0 and kind in (1, 2)) or (x > 0 and kind == 4):
            return exact_value(value, point, known)
    raise NoRow
