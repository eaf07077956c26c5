"""Polynomials with rational coefficients as tuples, lowest first: products, and where they may be 0."""

from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

MAX_DEGREE = 16
_MAX_BITS = 6000
_STEPS = 90  # halvings of an interval of length 1 around a root

Polynomial = tuple[Fraction, ...]
Quotient = tuple[Polynomial, Polynomial]


class TooLarge(Exception):
    """Of too high a degree, or with too long numbers."""


def _without_leading_zeros(p: list[Fraction]) -> Polynomial:
    while p and not p[-1]:
        p.pop()
    if len(p) > MAX_DEGREE + 1 or any(c.numerator.bit_length() + c.denominator.bit_length() > _MAX_BITS for c in p):
        raise TooLarge
    return tuple(p)


def plus(p: Polynomial, q: Polynomial) -> Polynomial:
    longer, shorter = (p, q) if len(p) >= len(q) else (q, p)
    return _without_leading_zeros([c + (shorter[k] if k < len(shorter) else 0) for k, c in enumerate(longer)])


def times(p: Polynomial, q: Polynomial) -> Polynomial:
    if not p or not q:
        return ()
    if len(p) + len(q) > MAX_DEGREE + 2:
        raise TooLarge
    found = [Fraction(0)] * (len(p) + len(q) - 1)
    for i, a in enumerate(p):
        if a:
            for j, b in enumerate(q):
                found[i + j] += a * b
    return _without_leading_zeros(found)


def value_at(p: Polynomial, x: Fraction) -> Fraction:
    total = Fraction(0)
    for c in reversed(p):
        total = total * x + c
    return total


@lru_cache(maxsize=512)
def real_roots(p: Polynomial) -> tuple[tuple[Fraction, ...], bool]:
    """All real roots, and possibly other numbers where the polynomial turns; and whether all of them are exact rational roots.

    A root that is not rational, or not simply so, is one end of a tiny interval around it.
    """
    if len(p) <= 1:
        return (), True
    if len(p) == 2:
        return (-p[0] / p[1],), True
    turning, _ = real_roots(tuple(k * c for k, c in enumerate(p) if k))
    bound = Fraction(1 << (1 + int(max(abs(c / p[-1]) for c in p[:-1]))).bit_length())
    ends = [-bound, *(x for x in turning if -bound < x < bound), bound]
    found: set[Fraction] = set()
    exact = True
    for x in turning:
        found.add(x)
        exact = exact and (not value_at(p, x) or not _near_zero(p, x))  # a double root that is not rational
    for low, high in pairwise(ends):
        a, b = value_at(p, low), value_at(p, high)
        if a * b < 0:
            root = _root_between(p, low, high, a)
            exact = exact and not value_at(p, root)
            found.add(root)
    return tuple(sorted(found)), exact


def _near_zero(p: Polynomial, x: Fraction) -> bool:
    return abs(value_at(p, x)) < Fraction(1, 1 << 60) * max(abs(c * x**k) for k, c in enumerate(p))


def _root_between(p: Polynomial, low: Fraction, high: Fraction, at_low: Fraction) -> Fraction:
    for _ in range(_STEPS + int(high - low).bit_length()):
        middle = (low + high) / 2
        found = value_at(p, middle)
        if not found:
            return middle
        if found * at_low > 0:
            low = middle
        else:
            high = middle
    simple = ((low + high) / 2).limit_denominator(10**6)
    return simple if not value_at(p, simple) else low
