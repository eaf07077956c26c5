r"""Equality and order of expressions: certainly different, or the same by all evidence that there can be.

Every number is an interval that contains the true value, or a fraction, so values that differ are proven to, and no tolerance is
involved: 10^-34 is not 0. Two constants are called equal when they overlap at 1400 bits, and at 400 more than what the expressions
can hide (`interval_evaluation.py`). Expressions with variables are first written alike (`canonical_calls.py`); then they must agree at
points of every kind, on both sides of every corner that either has (`sample_points.py`). Where a corner cannot be located, or too many
points would be needed, they are not called equal. Over the reals unless `i` occurs; then with principal values. Points where neither side
is defined say nothing. Left out: proofs. Constants made to agree to 420 digits are called equal.
"""

from fractions import Fraction
from functools import lru_cache

from verifiers.mathematics.arithmetic.exact_sums import Call, Expr, Unreadable, atoms, scale, size_of, subtract, symbols

_MAX_COST = 400  # atoms and terms of both sides together


def may_be_equal_otherwise(value: Expr) -> bool:
    """Whether two different sums can be equal because of this one: it has a call, a degree sign, or a root of an unsplit number."""
    return any(isinstance(name, Call) or name == "°" or (name.isdigit() and len(name) > 6) for name in atoms(value))


def same(left: Expr, right: Expr) -> bool:
    if left == right:
        return True
    if not (may_be_equal_otherwise(left) or may_be_equal_otherwise(right)):
        return False
    return _same_by_evidence(*sorted((left, right), key=repr))


@lru_cache(maxsize=2048)
def _same_by_evidence(left: Expr, right: Expr) -> bool:
    if "∞" in atoms(left) | atoms(right) or size_of(left) + size_of(right) > _MAX_COST:
        return False
    if symbols(left) | symbols(right):
        from verifiers.mathematics.evidence.point_comparison import agree  # needed by one answer in ten, and it imports mpmath

        return agree(left, right)
    from verifiers.mathematics.evidence.constant_comparison import agree_as_constants

    return agree_as_constants(left, right)


def sign(value: Expr) -> int | None:
    """-1, 0 or 1 of a real constant; None where it has variables, is not real, or is not told from 0."""
    if (exact := value.rational) is not None:
        return (exact > 0) - (exact < 0)
    return _sign_by_intervals(value)


@lru_cache(maxsize=2048)
def _sign_by_intervals(value: Expr) -> int | None:
    if symbols(value) or {"∞", "i"} & atoms(value) or size_of(value) > _MAX_COST:
        return None
    from verifiers.mathematics.evidence.constant_comparison import sign_of_constant

    return sign_of_constant(value)


def difference_sign(left: Expr, right: Expr) -> int | None:
    try:
        return sign(subtract(left, right))
    except Unreadable:
        return None


def ratio_sign(left: Expr, right: Expr) -> int:
    """1 or -1 where left is a positive or negative constant times right; 0 where it is not, or not certainly."""
    if not left.terms or not right.terms or "i" in atoms(left) | atoms(right) or size_of(left) + size_of(right) > _MAX_COST:
        return 0
    if len(left.terms) == len(right.terms):
        factor: Fraction = left.terms[0][1] / right.terms[0][1]
        if scale(right, factor) == left:
            return 1 if factor > 0 else -1
    from verifiers.mathematics.evidence.point_comparison import sign_of_factor

    return sign_of_factor(left, right)
