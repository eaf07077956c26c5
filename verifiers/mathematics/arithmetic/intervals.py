"""Interval arithmetic at one precision, over the reals or the complex numbers: the one module that knows mpmath's internals.

Every result contains the true value; what is left of it is the caller's to ask: sign, size, overlap. Not here: domains. A logarithm of 0,
a division by what may be 0 and a root of what may be negative are the caller's to refuse. mpmath's own intervals miss the value by a part
of their last bit in 15 of 60,000 real exponentials and 47 of 3,000 complex logarithms: so functions are computed to more and widened.

Arb (python-flint 0.9) was measured against it: no miss, functions 5 to 30 times as fast; but its import takes as long (32 ms, 31 ms) or
longer alone (47 ms, 29 ms), its 27 MB come on top of the mpmath that sympy brings, and most time here goes into fractions: not taken.
"""

import threading
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache, partial, reduce
from typing import Any

from mpmath.libmp import from_man_exp, from_rational, libelefun, libmpi, mpf_ceil, mpf_floor, mpf_gt, mpf_neg, to_int

Interval = Any  # (low, high), each mpmath's (sign, mantissa, exponent, bits); or a pair of them for a complex number
_Function = Callable[[Interval, int], Interval]
"""Of an interval and a precision."""

_GUARD = 24  # bits more to which functions are computed; how many of them may be wrong is half of it
_MOST_KEPT = 2000  # bits of the constants that are computed beforehand
_LARGEST_INTEGER = 16  # bits after which an exponent is none to multiply by

LOCK = threading.Lock()
"""Held while anything here is used: mpmath keeps caches of constants that are not safe to fill from two threads."""

for _constant in (libelefun.mpf_pi, libelefun.mpf_ln2, libelefun.mpf_e):
    _constant(_MOST_KEPT)


class IntervalArithmetic:
    """The operations on intervals; `complex` says whether they are pairs of a real and an imaginary one."""

    def __init__(self, precision: int, complex_: bool) -> None:
        self.precision, self.complex = precision, complex_
        kind = "mpci" if complex_ else "mpi"
        self.add, self.subtract, self.multiply, self.divide, self.whole_power, self._absolute = (
            partial(getattr(libmpi, f"{kind}_{name}"), prec=precision) for name in ("add", "sub", "mul", "div", "pow_int", "abs")
        )
        self._exp, self._log, self._sin, self._cos = _COMPLEX_FUNCTIONS if complex_ else _REAL_FUNCTIONS
        self.real_negative, self.real_sqrt = (partial(function, prec=precision) for function in (libmpi.mpi_neg, libmpi.mpi_sqrt))
        self.zero, self.one = self.number(0), self.number(1)
        self.pi = self._of_real(libmpi.mpi_pi(precision))
        self.i = (libmpi.mpi_zero, libmpi.mpi_one)

    def _of_real(self, real: Interval) -> Interval:
        return (real, libmpi.mpi_zero) if self.complex else real

    def number(self, value: Fraction | int) -> Interval:
        """The narrowest interval around a fraction."""
        return self._of_real(_around(value.numerator, value.denominator, self.precision))

    def parts(self, value: Interval) -> tuple[Interval, ...]:
        return tuple(value) if self.complex else (value,)

    def absolute(self, value: Interval) -> Interval:
        return self._of_real(self._absolute(value))

    def exp(self, value: Interval) -> Interval:
        return self.one if value == self.zero else self._compute_and_widen(self._exp, value)

    def log(self, value: Interval) -> Interval:
        return self._compute_and_widen(self._log, value)

    def sin(self, value: Interval) -> Interval:
        return self._compute_and_widen(self._sin, value)

    def cos(self, value: Interval) -> Interval:
        return self.one if value == self.zero else self._compute_and_widen(self._cos, value)

    def real_arctan(self, value: Interval) -> Interval:
        return self._compute_and_widen(_real_arctan, value)

    def _compute_and_widen(self, function: _Function, value: Interval) -> Interval:
        found = function(value, self.precision + _GUARD)
        error = from_man_exp(1, self.size(found) - self.precision - _GUARD // 2)
        margin = (mpf_neg(error), error)
        parts = [part if part == libmpi.mpi_zero else libmpi.mpi_add(part, margin, self.precision) for part in self.parts(found)]
        return tuple(parts) if self.complex else parts[0]

    def largest(self, values: list[Interval]) -> Interval:
        """The maximum of real numbers."""
        return tuple(reduce(lambda best, end: end if mpf_gt(end, best) else best, ends) for ends in zip(*values, strict=True))

    def rounded(self, value: Interval, *, up: bool) -> Interval:
        """The floors of both ends of a real interval, or their ceilings."""
        return tuple(map(mpf_ceil if up else mpf_floor, value))

    def contains_zero(self, value: Interval) -> bool:
        return all(real_sign(part) == 0 for part in self.parts(value))

    def size(self, value: Interval) -> int:
        """The exponent of the largest end of any part."""
        return max(map(exponent_of, self.parts(value)))

    def overlap(self, left: Interval, right: Interval) -> bool:
        return all(map(libmpi.mpi_overlap, self.parts(left), self.parts(right)))

    def crosses_the_cut(self, value: Interval) -> bool:
        """Whether a complex interval lies on both sides of the negative real axis, where logarithms and roots jump."""
        real, imaginary = value
        return imaginary != libmpi.mpi_zero and real_sign(imaginary) == 0 and real[0][0] == 1

    def is_bounded(self, value: Interval, most: int) -> bool:
        """Whether no end is infinite or has more bits before the point."""
        return all(end[2] + end[3] <= most if end[1] else not end[2] for part in self.parts(value) for end in part)

    def is_narrow(self, value: Interval, bits: int) -> bool:
        """Whether every part shows so many bits after its first one, or after the point if it is below 1."""
        for part in self.parts(value):
            width = libmpi.mpi_delta(part, 20)
            if width[1] and width[2] + width[3] > max(exponent_of(part), 0) - bits:
                return False
        return True

    def exact_integer(self, value: Interval) -> int | None:
        """The one integer that the interval holds and nothing else; None for any other and for long ones."""
        real, *imaginary = self.parts(value)
        low, high = real
        if low != high or not 0 <= low[2] <= _LARGEST_INTEGER or imaginary not in ([], [libmpi.mpi_zero]):
            return None
        return int(to_int(low))


def _by_ends(at_number: Callable[..., Any], on_interval: _Function) -> _Function:
    """A real function, computed once where both ends are one number: what that may be wrong by is less than results are widened by."""

    def evaluate(value: Interval, precision: int) -> Interval:
        if value[0] != value[1]:
            return on_interval(value, precision)
        found = at_number(value[0], precision)
        return found, found

    return evaluate


@lru_cache(maxsize=64)
def _cos_and_sin(value: Interval, precision: int) -> tuple[Interval, Interval]:
    """Both, as whoever asks for one mostly asks for the other."""
    if value[0] != value[1]:
        both: tuple[Interval, Interval] = libmpi.mpi_cos_sin(value, precision)
        return both
    cos, sin = libelefun.mpf_cos_sin(value[0], precision)
    return (cos, cos), (sin, sin)


_real_arctan = _by_ends(libelefun.mpf_atan, libmpi.mpi_atan)
_COMPLEX_FUNCTIONS: tuple[_Function, ...] = (libmpi.mpci_exp, libmpi.mpci_log, libmpi.mpci_sin, libmpi.mpci_cos)
_REAL_FUNCTIONS: tuple[_Function, ...] = (
    _by_ends(libelefun.mpf_exp, libmpi.mpi_exp),
    _by_ends(libelefun.mpf_log, libmpi.mpi_log),
    lambda value, precision: _cos_and_sin(value, precision)[1],
    lambda value, precision: _cos_and_sin(value, precision)[0],
)


@lru_cache(maxsize=32)
def arithmetic(precision: int, complex_: bool) -> IntervalArithmetic:
    return IntervalArithmetic(precision, complex_)


@lru_cache(maxsize=4096)
def _around(numerator: int, denominator: int, precision: int) -> Interval:
    return from_rational(numerator, denominator, precision, "f"), from_rational(numerator, denominator, precision, "c")


def real_sign(value: Interval) -> int:
    """1 or -1 where every number in a real interval has that sign, otherwise 0."""
    low, high = value
    if low[1] and low[0] == 0:
        return 1
    return -1 if high[1] and high[0] == 1 else 0


def is_beyond(value: Interval, bits: int) -> bool:
    """Whether every number in a real interval has more bits before the point."""
    return real_sign(value) != 0 and all(end[1] and end[2] + end[3] > bits for end in value)


def exponent_of(part: Interval) -> int:
    """Of the larger end of a real interval; 0 for 0."""
    return max((end[2] + end[3] for end in part if end[1]), default=0)


def lower_end(value: Interval) -> Fraction:
    """Of a real interval."""
    sign, mantissa, exponent, _ = value[0]
    size = Fraction(int(mantissa) << max(exponent, 0), 1 << max(-exponent, 0))
    return -size if sign else size
