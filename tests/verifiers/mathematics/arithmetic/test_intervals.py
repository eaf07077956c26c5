"""Intervals contain the value: against mpmath's own numbers at many times the precision."""

import random
from fractions import Fraction

import mpmath
import pytest

from verifiers.mathematics.arithmetic.intervals import Interval, arithmetic, lower_end

PRECISION = 100
ARGUMENTS = [Fraction(1), Fraction(-1024631, 16384), Fraction(-5483, 16), Fraction(1, 3), 1 + Fraction(1, 2**90), Fraction(355, 113)]
"""mpmath's interval of exp at the second and third, of log near 1, of sin near pi."""


def ends(part: Interval) -> tuple[Fraction, Fraction]:
    low, high = part
    return lower_end((low, low)), lower_end((high, high))


def contains(part: Interval, value: mpmath.mpf) -> bool:
    low, high = ((mpmath.mpf(end.numerator) / end.denominator) for end in ends(part))
    return bool(low <= value <= high)


def arguments(count: int) -> list[Fraction]:
    draw = random.Random(5)
    return ARGUMENTS + [Fraction(draw.randint(-(2**12), 2**12), draw.randint(1, 2**6)) for _ in range(count)]


@pytest.mark.parametrize("name", ["exp", "log", "sin", "cos", "arctan"])
def test_real_functions(name: str) -> None:
    numbers = arithmetic(PRECISION, False)
    with mpmath.workprec(1000):
        for x in arguments(200):
            argument = abs(x) if name == "log" else x
            if name == "log" and not argument:
                continue
            found = getattr(numbers, "real_arctan" if name == "arctan" else name)(numbers.number(argument))
            true = getattr(mpmath, "atan" if name == "arctan" else name)(mpmath.mpf(argument.numerator) / argument.denominator)
            assert contains(found, true), argument
            low, high = ends(found)
            assert high - low <= max(1, abs(high)) / 2**80, argument


@pytest.mark.parametrize("name", ["exp", "log", "sin", "cos"])
def test_complex_functions(name: str) -> None:
    numbers = arithmetic(PRECISION, True)
    points = [
        (Fraction(-7, 44), Fraction(91, 38)),
        (Fraction(-68), Fraction(17, 3)),
        (Fraction(-3), Fraction(0)),
        (Fraction(0), Fraction(-2)),
    ]
    with mpmath.workprec(1000):
        for real, imaginary in [*points, *zip(arguments(100), reversed(arguments(100)), strict=True)]:
            found = getattr(numbers, name)((numbers.number(real)[0], numbers.number(imaginary)[0]))
            z = mpmath.mpc(mpmath.mpf(real.numerator) / real.denominator, mpmath.mpf(imaginary.numerator) / imaginary.denominator)
            true = getattr(mpmath, name)(z)
            assert contains(found[0], true.real), (real, imaginary)
            assert contains(found[1], true.imag), (real, imaginary)


def test_exact_values_stay_exact() -> None:
    numbers = arithmetic(PRECISION, False)
    assert numbers.exp(numbers.zero) == numbers.cos(numbers.zero) == numbers.one
    assert numbers.sin(numbers.zero) == numbers.log(numbers.one) == numbers.real_arctan(numbers.zero) == numbers.zero
    assert numbers.exact_integer(numbers.number(12)) == 12
    assert numbers.exact_integer(numbers.number(Fraction(1, 2))) is None
    assert arithmetic(PRECISION, True).crosses_the_cut((numbers.number(-1), (numbers.number(-1)[0], numbers.number(1)[1])))
