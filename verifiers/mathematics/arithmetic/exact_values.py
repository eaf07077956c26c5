"""The value of an expression at a rational point as a quotient of integers, where it has one: no interval, no precision.

For polynomials, quotients, whole powers, and the functions that have corners or are about integers. `is_exact` says beforehand whether an
expression is made of these alone; `exact_value` raises Undefined where there is no value, and Unclear where it is not rational or too
large. Quotients are kept as pairs and rarely reduced: Fraction would spend most of the time on greatest common divisors.
"""

import math
from collections.abc import Callable
from fractions import Fraction

from verifiers.mathematics.arithmetic.case_rows import row_holds
from verifiers.mathematics.arithmetic.exact_functions import integer_function
from verifiers.mathematics.arithmetic.exact_sums import Call, Expr, Unreadable

_HEADS = frozenset({"sum", "pow", "abs", "floor", "ceil", "sgn", "max", "min", "mod", "gcd", "lcm", "factorial", "binom", "cases"})
_MAX_BITS = 20_000
_REDUCED_FROM = 200  # bits of a denominator
_NOT_EXACT = frozenset({"pi", "e", "i", "°", "∞"})

Point = dict[str, Fraction]
Ratio = tuple[int, int]
"""A numerator and a positive denominator, which may have common factors."""


class Undefined(Exception):
    """The expression has no value at this point."""


class NoRow(Undefined):
    """No row of cases holds at this point: not a hole as in x/x, but something left out."""


class Unclear(Undefined):
    """Not decided at this precision, or too large to compute."""


def is_exact(value: Expr) -> bool:
    """Whether the expression is for `exact_value`: every atom is a symbol or one of the functions here, and none under a root."""
    return all(exponent.denominator == 1 and _is_exact_atom(name) for monomial, _ in value.terms for name, exponent in monomial)


def _is_exact_atom(name: str) -> bool:
    if isinstance(name, Call):
        return name.head in _HEADS and all(map(is_exact, name.args))
    return name not in _NOT_EXACT and not name.isdigit()


def known_at(point: Point) -> dict[str, Ratio]:
    """What `exact_value` knows of a point to begin with."""
    return {name: value.as_integer_ratio() for name, value in point.items()}


def fraction_at(value: Expr, point: Point) -> Fraction | None:
    """The value as a fraction, where it is known to be one."""
    try:
        return Fraction(*exact_value(value, known_at(point))) if is_exact(value) else None
    except Undefined:
        return None


def exact_value(value: Expr, known: dict[str, Ratio]) -> Ratio:
    """The value where the variables have the values in `known`, to which those of the calls are added."""
    top, bottom = 0, 1
    for monomial, coefficient in value.terms:
        numerator, denominator = coefficient.numerator, coefficient.denominator
        for name, exponent in monomial:
            found = known.get(name)
            if found is None:
                if not isinstance(name, Call):
                    raise Undefined
                found = known[name] = _call(name.head, name.args, known)
            if (power := exponent.numerator) != 1:
                found = _power(found, power)
            numerator *= found[0]
            denominator *= found[1]
        if denominator == bottom:
            top += numerator
        else:
            top, bottom = top * denominator + numerator * bottom, bottom * denominator
    return _reduced((top, bottom)) if bottom.bit_length() > _REDUCED_FROM else (top, bottom)


def _reduced(value: Ratio) -> Ratio:
    divisor = math.gcd(*value)
    return value[0] // divisor, value[1] // divisor


def _power(base: Ratio, exponent: int) -> Ratio:
    if exponent < 0:
        if not base[0]:
            raise Undefined
        sign = 1 if base[0] > 0 else -1
        base, exponent = (sign * base[1], sign * base[0]), -exponent
    if exponent * max(base[0].bit_length(), base[1].bit_length()) > _MAX_BITS:
        base = _reduced(base)
        if exponent * max(base[0].bit_length(), base[1].bit_length()) > _MAX_BITS:
            raise Unclear
    return base[0] ** exponent, base[1] ** exponent


_SIMPLE: dict[str, Callable[[int, int], Ratio]] = {
    "sum": lambda top, bottom: (top, bottom),
    "abs": lambda top, bottom: (abs(top), bottom),
    "sgn": lambda top, bottom: ((top > 0) - (top < 0), 1),
    "floor": lambda top, bottom: (top // bottom, 1),
    "ceil": lambda top, bottom: (-(-top // bottom), 1),
}


def _call(head: str, args: tuple[Expr, ...], known: dict[str, Ratio]) -> Ratio:
    if head == "cases":
        return _cases(args, known)
    values = [exact_value(arg, known) for arg in args]
    if head in _SIMPLE:
        return _SIMPLE[head](*values[0])
    if head in ("max", "min"):
        return _extreme(values, sign=1 if head == "max" else -1)
    if head == "pow":
        exponent, rest = divmod(values[1][0], values[1][1])
        if rest:
            raise Unclear
        return _power(values[0], exponent)
    if any(top % bottom for top, bottom in values):
        raise Undefined
    try:
        return integer_function(head, [top // bottom for top, bottom in values]), 1
    except Unreadable:
        raise Undefined from None


def _extreme(values: list[Ratio], *, sign: int) -> Ratio:
    best = values[0]
    for value in values[1:]:
        if sign * (value[0] * best[1] - best[0] * value[1]) > 0:
            best = value
    return best


def _cases(args: tuple[Expr, ...], known: dict[str, Ratio]) -> Ratio:
    for value, relation, difference in zip(args[::3], args[1::3], args[2::3], strict=True):
        x, _ = exact_value(difference, known)
        if row_holds(relation.rational, (x > 0) - (x < 0)):
            return exact_value(value, known)
    raise NoRow
