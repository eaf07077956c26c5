"""The value of an expression at a rational point as a quotient of integers, where it has one: no interval, no precision.

For polynomials, quotients, whole powers, and the functions that have corners or are about integers. `prepared` says beforehand whether an
expression is made of these alone; `exact_value` raises Undefined where there is no value, and Unclear where it is not rational or too
large. Quotients are kept as pairs and rarely reduced: Fraction would spend most of the time on greatest common divisors.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

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


class Factor(NamedTuple):
    name: str
    exponent: int
    head: str
    """Empty for a symbol."""
    args: "tuple[Prepared, ...]"


Prepared = tuple[tuple[Ratio, tuple[Factor, ...]], ...]


def prepared(value: Expr) -> Prepared | None:
    """The expression for `exact_value`; None where an atom is no symbol and none of the functions here, or under a root."""
    terms: list[tuple[Ratio, tuple[Factor, ...]]] = []
    for monomial, coefficient in value.terms:
        factors: list[Factor] = []
        for name, exponent in monomial:
            if exponent.denominator != 1 or name in _NOT_EXACT or name.isdigit():
                return None
            args: list[Prepared] = []
            if isinstance(name, Call):
                if name.head not in _HEADS:
                    return None
                for arg in name.args:
                    if (inner := prepared(arg)) is None:
                        return None
                    args.append(inner)
            factors.append(Factor(name, exponent.numerator, name.head if isinstance(name, Call) else "", tuple(args)))
        terms.append((coefficient.as_integer_ratio(), tuple(factors)))
    return tuple(terms)


def known_at(point: Point) -> dict[str, Ratio]:
    """What `exact_value` knows of a point to begin with."""
    return {name: value.as_integer_ratio() for name, value in point.items()}


def value_at(value: Expr, point: Point) -> Fraction | None:
    """The value as a fraction, where it is known to be one."""
    found = prepared(value)
    try:
        return None if found is None else Fraction(*exact_value(found, known_at(point)))
    except Undefined:
        return None


def exact_value(value: Prepared, known: dict[str, Ratio]) -> Ratio:
    """The value where the variables have the values in `known`, to which those of the calls are added."""
    top, bottom = 0, 1
    for (numerator, denominator), factors in value:
        for name, exponent, head, args in factors:
            found = known.get(name)
            if found is None:
                if not head:
                    raise Undefined
                found = known[name] = _call(head, args, known)
            if exponent != 1:
                found = _power(found, exponent)
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


def _call(head: str, args: tuple[Prepared, ...], known: dict[str, Ratio]) -> Ratio:
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


def _cases(args: tuple[Prepared, ...], known: dict[str, Ratio]) -> Ratio:
    for value, relation, difference in zip(args[::3], args[1::3], args[2::3], strict=True):
        kind = relation[0][0][0] if relation else 0
        if kind == 3:
            return exact_value(value, known)
        x, _ = exact_value(difference, known)
        if (x < 0 and kind in (0, 1, 4)) or (x == 0 and kind in (1, 2)) or (x > 0 and kind == 4):
            return exact_value(value, known)
    raise NoRow
