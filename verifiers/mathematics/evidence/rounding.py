"""Whether one number stands for another: as the rounding of what no decimal equals, to the digits of a decimal, or within a share of it.

Rational numbers are compared exactly, all others by certified signs: where those do not decide, the answer is no.
"""

from fractions import Fraction

from verifiers.mathematics.arithmetic.exact_sums import Expr, atoms, rational, scale, symbols
from verifiers.mathematics.evidence.certified_comparison import difference_sign, sign


def is_rounding(decimal: Expr, exact: Expr, *, digits: int) -> bool:
    """0.333333 is 1/3, 3.14159265 is pi; what ends as a decimal itself has no rounding, and a zero is the rounding of nothing.

    `digits` is how many significant digits the decimal must have at least, not counting leading zeros.
    """
    value = decimal.rational
    if value is None or not decimal.decimals or symbols(exact) or {"i", "∞"} & atoms(exact):
        return False
    if len(str(abs(value.numerator) * 10**decimal.decimals // value.denominator)) < digits or not value:
        return False
    fraction = exact.rational
    if fraction is not None:
        return _never_ends(fraction) and round(fraction, decimal.decimals) == value
    half = Fraction(1, 2 * 10**decimal.decimals)
    above = difference_sign(exact, rational(value - half))
    below = difference_sign(exact, rational(value + half))
    return above == 1 and below == -1


def is_approximated(exact: Expr, decimal: Expr) -> bool:
    """Whether "exact ≈ decimal" leaves no doubt about the exact side: the decimal is its rounding or off by a thousandth at most, or the
    exact side is a plain fraction, which a badly computed decimal of its sign and size (a tenth to ten times) puts in no doubt."""
    if is_rounding(decimal, exact, digits=1):
        return True
    value, fraction = decimal.rational, exact.rational
    if not value or exact.decimals or symbols(exact) or {"i", "∞"} & atoms(exact):
        return False
    if fraction is None:
        return is_within(decimal, exact, Fraction(1, 1000))
    return fraction.denominator > 1 and Fraction(1, 10) < fraction / value < 10


def rounds_to(value: Expr, decimal: Expr) -> bool:
    """Whether a number, rounded half away from zero to as many decimals as the other is written with, is the other."""
    written = decimal.rational
    if written is None or not decimal.decimals:
        return False
    half = Fraction(1, 2 * 10**decimal.decimals)
    above = difference_sign(value, rational(written - half))
    below = difference_sign(value, rational(written + half))
    return (above == 1 or (above == 0 and written > 0)) and (below == -1 or (below == 0 and written < 0))


def is_within(value: Expr, gold: Expr, share: Fraction) -> bool:
    """|value - gold| <= share * |gold|"""
    direction = sign(gold)
    if not direction:
        return False
    low, high = (scale(gold, 1 - share * direction), scale(gold, 1 + share * direction))
    above, below = difference_sign(value, low), difference_sign(value, high)
    return above in (0, 1) and below in (0, -1)


def _never_ends(fraction: Fraction) -> bool:
    odd_part = fraction.denominator
    for p in (2, 5):
        while odd_part % p == 0:
            odd_part //= p
    return odd_part != 1
