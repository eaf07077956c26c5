r"""Equations that differ by a constant factor, also a complex one, or by the denominators that one of them has cleared.

An equation is an expression that is 0. It is brought to a numerator and its denominators; two equations are the same where the numerators
are in a constant ratio and no numerator has a factor in common with a denominator. In one variable no solution was gained or lost then:
2w + 50/w = 25 is w(25 - 2w) = 50, as w = 0 solves neither, and x(x - 1)/(x - 1) = 0 is not x(x - 1) = 0. In several variables single points
may differ, such as (0, 0) of y = x/(2x - 1) and 1/x + 1/y = 2, which are the same curve. Coefficients are exact. Left out: denominators
with roots, functions or irrational numbers in them.
"""

import random
from collections.abc import Mapping
from fractions import Fraction

from verifiers.mathematics.arithmetic.exact_sums import Call, Expr, Monomial, Unreadable, add, atom, multiply, rational, sum_of, symbols
from verifiers.mathematics.evidence.certified_comparison import same

_MAX_CLEARED = 6  # denominators of one equation
_MAX_DEGREE = 24
_TRIES = 4  # points to find one at which no leading coefficient vanishes


def same_when_cleared(left: Expr, right: Expr) -> bool:
    """Whether two expressions are 0 at the same places, as far as this module can tell."""
    try:
        if proportional(left, right):
            return True
        (a, below), (b, beneath) = _without_denominators(left), _without_denominators(right)
        if not (below or beneath) or not proportional(a, b):
            return False
        return all(_coprime(numerator, d) for numerator, found in ((a, below), (b, beneath)) for d in found)
    except Unreadable:
        return False


def proportional(left: Expr, right: Expr) -> bool:
    """Whether one is a constant times the other, both not 0: by the coefficients of the same powers of variables."""
    a, b = _coefficients(left), _coefficients(right)
    if not a or a.keys() != b.keys():
        return False
    first = min(a, key=repr)
    return all(same(multiply(a[key], b[first]), multiply(b[key], a[first])) for key in a)


def _coefficients(value: Expr) -> dict[Monomial, Expr]:
    found: dict[Monomial, list[tuple[Monomial, Fraction]]] = {}
    for monomial, coefficient in value.terms:
        variable = tuple(factor for factor in monomial if _varies(factor[0]))
        constant = tuple(factor for factor in monomial if not _varies(factor[0]))
        found.setdefault(variable, []).append((constant, coefficient))
    sums = {key: sum_of(terms) for key, terms in found.items()}
    if any(same(constant, rational(0)) for constant in sums.values()):
        raise Unreadable
    return sums


def _varies(name: str) -> bool:
    return bool(symbols(atom(name)))


def _without_denominators(value: Expr) -> tuple[Expr, list[Expr]]:
    """The numerator, and the denominators that it was multiplied by."""
    below: list[Expr] = []
    while (found := _denominator(value)) is not None:
        name, exponent = found
        base = name.args[0] if isinstance(name, Call) else atom(name)
        below.append(base)
        total = rational(0)
        for monomial, coefficient in value.terms:
            powers = dict(monomial)
            rest = powers.pop(name, Fraction(0)) + exponent
            term = sum_of([(tuple(powers.items()), coefficient)])
            total = add(total, multiply(term, _expanded_power(base, rest)))
        value = total
        if len(below) > _MAX_CLEARED:
            raise Unreadable
    return value, below


def _denominator(value: Expr) -> tuple[str, Fraction] | None:
    """A base with variables and its greatest power below; Unreadable where it is no polynomial, or its power no whole one."""
    powers = [(name, exponent) for monomial, _ in value.terms for name, exponent in monomial if exponent < 0 and _varies(name)]
    if not powers:
        return None
    name = min(name for name, _ in powers)
    least = min(exponent for other, exponent in powers if other == name)
    if least.denominator != 1 or (isinstance(name, Call) and (name.head != "sum" or not _is_polynomial(name.args[0]))):
        raise Unreadable
    return name, -least


def _is_polynomial(value: Expr) -> bool:
    """In variables, over the rational numbers."""
    return all(_varies(name) and not isinstance(name, Call) and e.denominator == 1 and e > 0 for m, _ in value.terms for name, e in m)


def _expanded_power(base: Expr, exponent: Fraction) -> Expr:
    if exponent > _MAX_DEGREE or exponent.denominator != 1:
        raise Unreadable
    result = rational(1)
    for _ in range(exponent.numerator):
        result = multiply(result, base)
    return result


def _coprime(value: Expr, other: Expr) -> bool:
    """Whether two polynomials have no common factor: each variable in turn is kept, the rest set to numbers."""
    if not (_is_polynomial(value) and _is_polynomial(other)):
        return False
    return all(_coprime_in(name, value, other) for name in sorted(symbols(other)))


def _coprime_in(name: str, value: Expr, other: Expr) -> bool:
    draw = random.Random(repr((value, other)))
    names = sorted((symbols(value) | symbols(other)) - {name})
    for _ in range(_TRIES):
        point = {free: Fraction(draw.randint(2, 10**6), 7) for free in names}
        a, b = _in_one(name, value, point), _in_one(name, other, point)
        if max(a, default=-1) != _degree(value, name) or max(b) != _degree(other, name):
            continue  # a leading coefficient vanishes here: what is common there may not be common elsewhere
        if _is_constant_gcd(a, b):
            return True
    return False


def _degree(value: Expr, name: str) -> int:
    return max((int(dict(monomial).get(name, 0)) for monomial, _ in value.terms), default=-1)


def _in_one(name: str, value: Expr, point: Mapping[str, Fraction]) -> dict[int, Fraction]:
    """The polynomial in one variable as degree: coefficient, the others given."""
    found: dict[int, Fraction] = {}
    for monomial, coefficient in value.terms:
        degree = 0
        for factor, exponent in monomial:
            if exponent > _MAX_DEGREE:
                raise Unreadable
            if factor == name:
                degree = int(exponent)
            else:
                coefficient *= point[factor] ** int(exponent)
        found[degree] = found.get(degree, Fraction(0)) + coefficient
    return {degree: coefficient for degree, coefficient in found.items() if coefficient}


def _is_constant_gcd(a: dict[int, Fraction], b: dict[int, Fraction]) -> bool:
    """Euclid's algorithm."""
    while b:
        while a and max(a) >= max(b):
            shift, factor = max(a) - max(b), a[max(a)] / b[max(b)]
            for degree, coefficient in b.items():
                a[degree + shift] = a.get(degree + shift, Fraction(0)) - factor * coefficient
            a = {degree: coefficient for degree, coefficient in a.items() if coefficient}
        a, b = b, a
    return bool(a) and max(a) == 0
