"""The value of an expression at a rational point as a fraction, where it has one: no interval, no precision.

For polynomials, quotients, whole powers, and the functions that have corners or are about integers. `prepared` says beforehand whether an
expression is made of these alone; `exact_value` raises Undefined where there is no value, and Unclear where it is not rational or too
large. Whole numbers stay ints, which cost a tenth.
"""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import NamedTuple

from verifiers.mathematics.arithmetic.exact_functions import integer_function
from verifiers.mathematics.arithmetic.exact_sums import Call, Expr, Unreadable
from verifiers.mathematics.arithmetic.interval_evaluation import NoRow, Unclear, Undefined

_HEADS = frozenset({"sum", "pow", "abs", "floor", "ceil", "sgn", "max", "min", "mod", "gcd", "lcm", "factorial", "binom", "cases"})
_MAX_BITS = 20_000
_NOT_EXACT = frozenset({"pi", "e", "i", "°", "∞"})

Rational = int | Fraction


class Factor(NamedTuple):
    name: str
    exponent: int
    head: str
    """Empty for a symbol."""
    args: "tuple[Prepared, ...]"


Prepared = tuple[tuple[Rational, tuple[Factor, ...]], ...]


def short(value: Fraction) -> Rational:
    return value.numerator if value.denominator == 1 else value


def prepared(value: Expr) -> Prepared | None:
    """The expression for `exact_value`; None where an atom is no symbol and none of the functions here, or under a root."""
    terms: list[tuple[Rational, tuple[Factor, ...]]] = []
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
        terms.append((short(coefficient), tuple(factors)))
    return tuple(terms)


def exact_value(value: Prepared, point: Mapping[str, Rational], known: dict[str, Rational]) -> Rational:
    """The value at the point; `known` keeps the values of its calls there."""
    total: Rational = 0
    for coefficient, factors in value:
        term = coefficient
        for name, exponent, head, args in factors:
            if head:
                found = known.get(name)
                if found is None:
                    found = known[name] = _call(head, args, point, known)
            else:
                found = point.get(name)
                if found is None:
                    raise Undefined
            term = term * found if exponent == 1 else term * _power(found, exponent)
        total += term
    return total


def _power(base: Rational, exponent: int) -> Rational:
    if exponent < 0 and not base:
        raise Undefined
    if abs(exponent) * max(base.numerator.bit_length(), base.denominator.bit_length()) > _MAX_BITS:
        raise Unclear
    if exponent < 0:
        return Fraction(base.denominator**-exponent, base.numerator**-exponent)
    power: Rational = base**exponent
    return power


def _absolute(x: Rational) -> Rational:
    return x if x >= 0 else -x


_SIMPLE: dict[str, Callable[[Rational], Rational]] = {
    "sum": lambda x: x,
    "abs": _absolute,
    "sgn": lambda x: (x > 0) - (x < 0),
    "floor": math.floor,
    "ceil": math.ceil,
}


def _call(head: str, args: tuple[Prepared, ...], point: Mapping[str, Rational], known: dict[str, Rational]) -> Rational:
    if head == "cases":
        return _cases(args, point, known)
    values = [exact_value(arg, point, known) for arg in args]
    if head in _SIMPLE:
        return _SIMPLE[head](values[0])
    if head in ("max", "min"):
        return _extreme(values, sign=1 if head == "max" else -1)
    if head == "pow":
        if values[1].denominator != 1:
            raise Unclear
        return _power(values[0], values[1].numerator)
    if any(value.denominator != 1 for value in values):
        raise Undefined
    try:
        return integer_function(head, [value.numerator for value in values])
    except Unreadable:
        raise Undefined from None


def _extreme(values: list[Rational], *, sign: int) -> Rational:
    best = values[0]
    for x in values[1:]:
        if (x > best) == (sign > 0):
            best = x
    return best


def _cases(args: tuple[Prepared, ...], point: Mapping[str, Rational], known: dict[str, Rational]) -> Rational:
    for value, relation, difference in zip(args[::3], args[1::3], args[2::3], strict=True):
        kind = relation[0][0] if relation else 0
        if kind == 3:
            return exact_value(value, point, known)
        x = exact_value(difference, point, known)
        if (x < 0 and kind in (0, 1, 4)) or (x == 0 and kind in (1, 2)) or (x > 0 and kind == 4):
            return exact_value(value, point, known)
    raise NoRow
