"""Whether a decimal is the rounding of an exact number that no decimal can equal."""

from fractions import Fraction

from verifiers.certified import difference_sign
from verifiers.exact_sums import Expr, atoms, rational, symbols


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


def _never_ends(fraction: Fraction) -> bool:
    odd_part = fraction.denominator
    for p in (2, 5):
        while odd_part % p == 0:
            odd_part //= p
    return odd_part != 1
