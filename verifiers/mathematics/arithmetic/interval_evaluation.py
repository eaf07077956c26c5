"""The value of an expression at one exact point, as an interval that certainly contains it, at a precision that the caller chooses.

Over the reals, or over the complex numbers with principal values. `Evaluation.hidden` counts the bits that the expression can hide: by how
much the terms of its sums differ in size, how far from 1 the arguments of its functions are. Two values that agree to fewer bits than
that say nothing of a 10^-300 added somewhere inside.
"""

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

from verifiers.mathematics.arithmetic.exact_sums import Call, Expr

MAX_HIDDEN = 5000  # bits; what hides more is not decided
_LARGEST = 4000  # bits before the point of an intermediate value, and of an exponent's result
_SHORT = 32  # bits of a number that every precision shows
_SATURATED = frozenset({"tanh", "coth", "sinh", "cosh"})  # whose distance from 1, or from each other, shrinks with e^-2x

Interval = Any  # mpmath's (low, high), or a pair of them for a complex number


Point = dict[str, Fraction]


class NoEvidence(Exception):
    """Agreement at points that can be afforded proves nothing."""


class Undefined(Exception):
    """The expression has no value at this point."""


class NoRow(Undefined):
    """No row of cases holds at this point: not a hole as in x/x, but something left out."""


class Unclear(Undefined):
    """Not decided at this precision, or too large to compute."""


class Beyond(Unclear):
    """Too large at any precision."""


def exponent_of(part: Interval) -> int:
    return max((end[2] + end[3] for end in part if end[1]), default=0)


def _digits(value: Fraction) -> int:
    """The bits in which a number may differ from a simpler one, where they are many."""
    size = max(value.numerator.bit_length(), value.denominator.bit_length())
    return size if size > _SHORT else 0


@lru_cache(maxsize=1)
def library() -> Any:
    from mpmath.libmp import libelefun, libmpi

    for constant in (libelefun.mpf_pi, libelefun.mpf_ln2, libelefun.mpf_e):
        constant(2000)
    return libmpi


@lru_cache(maxsize=4096)
def _around(numerator: int, denominator: int, precision: int) -> Interval:
    """The narrowest interval around a fraction."""
    from mpmath.libmp import from_rational

    return from_rational(numerator, denominator, precision, "f"), from_rational(numerator, denominator, precision, "c")


def to_fraction(value: Interval) -> Fraction:
    """The lower end of a real interval."""
    sign, mantissa, exponent, _ = value[0]
    size = Fraction(int(mantissa) << max(exponent, 0), 1 << max(-exponent, 0))
    return -size if sign else size


class Evaluation:
    """Intervals of sums at one point and precision."""

    def __init__(self, point: dict[str, Fraction], precision: int, complex_: bool, log_base: str) -> None:
        self.point = point
        self.precision = precision
        self.complex = complex_
        self.log_base = log_base
        self.lib = library()
        self.known: dict[str, Interval] = {}
        self.hidden = 0

    def number(self, value: Fraction | int) -> Interval:
        real = _around(value.numerator, value.denominator, self.precision)
        return (real, self.lib.mpi_zero) if self.complex else real

    def _op(self, name: str) -> Callable[..., Interval]:
        found: Callable[..., Interval] = getattr(self.lib, ("mpci_" if self.complex else "mpi_") + name)
        return found

    def parts(self, value: Interval) -> tuple[Interval, ...]:
        return tuple(value) if self.complex else (value,)

    def size(self, value: Interval) -> int | None:
        """The exponent of the largest part; None for what may be 0."""
        return None if self.has_zero(value) else max(exponent_of(part) for part in self.parts(value))

    def sum(self, value: Expr) -> Interval:
        total = self.number(0)
        smallest = largest = None
        for monomial, coefficient in value.terms:
            term = self.number(coefficient)
            self.hidden += _digits(coefficient)
            for name, exponent in monomial:
                term = self._op("mul")(term, self.power(self.atom(name), exponent), self.precision)
            if len(value.terms) > 1 and (size := self.size(term)) is not None:
                smallest = size if smallest is None else min(size, smallest)
                largest = size if largest is None else max(size, largest)
            total = self._op("add")(total, term, self.precision)
        if smallest is not None and largest is not None:
            self.hidden += largest - smallest
        if len(value.terms) > 1 and self.has_zero(total) and (exact := self.exactly(value)) is not None:
            total = self.number(exact)  # x - 7/3 at 7/3 is 0, not something around it
        return self.bounded(total)

    def exactly(self, value: Expr) -> Fraction | None:
        """The value as a fraction, where it is known to be one."""
        from verifiers.mathematics.arithmetic.exact_values import exact_value, prepared, short  # which imports this module

        found = prepared(value)
        try:
            return None if found is None else Fraction(exact_value(found, {name: short(x) for name, x in self.point.items()}, {}))
        except Undefined:
            return None

    def bounded(self, value: Interval) -> Interval:
        for part in self.parts(value):
            for end in part:
                if (not end[1] and end[2]) or (end[1] and end[2] + end[3] > _LARGEST):
                    raise Unclear
        return value

    def atom(self, name: str) -> Interval:
        if name not in self.known:
            self.known[name] = self.bounded(self._atom(name))
        return self.known[name]

    def _atom(self, name: str) -> Interval:
        if isinstance(name, Call):
            return self.call(name)
        if name.isdigit():
            self.hidden += _digits(Fraction(int(name)))  # below a root: 4 + 10^-600
            return self.number(int(name))
        if name == "i":
            return (self.lib.mpi_zero, self.lib.mpi_one)
        if name == "e":
            return self._op("exp")(self.number(1), self.precision)
        if name in ("pi", "°"):
            pi = self.lib.mpi_pi(self.precision)
            pi = (pi, self.lib.mpi_zero) if self.complex else pi
            return pi if name == "pi" else self._op("mul")(pi, self.number(Fraction(1, 180)), self.precision)
        if name not in self.point:
            raise Undefined
        return self.number(self.point[name])

    def has_zero(self, value: Interval) -> bool:
        return all((low[0] == 1 or not low[1]) and (high[0] == 0 or not high[1]) for low, high in self.parts(value))

    def refuse_zero(self, value: Interval) -> None:
        if self.has_zero(value):
            raise Undefined if value == self.number(0) else Unclear

    def power(self, base: Interval, exponent: Fraction) -> Interval:
        """base^exponent; over the reals a root of odd index of a negative number is the real one."""
        p, q = exponent.numerator, exponent.denominator
        if p == 0:
            return self.number(1)
        if p < 0:
            self.refuse_zero(base)
        elif q != 1 and self.has_zero(base):
            if base == self.number(0):
                return base
            raise Unclear
        if abs(p) * max((exponent_of(part) for part in self.parts(base)), default=0) > 2 * _LARGEST * q:
            raise Unclear
        if q == 1:
            if p < 0:
                return self._op("div")(self.number(1), self.power(base, -exponent), self.precision)
            return self._op("pow_int")(base, p, self.precision)
        self.hidden += 2 * max(0, q.bit_length() - abs(p).bit_length()) + _digits(exponent)  # 2^(1/q) is close to 1
        if self.complex:
            return self.exp(self._op("mul")(self.log(base), self.number(exponent), self.precision))
        if base[1][0] == 1:  # negative
            if q % 2 == 0:
                raise Undefined
            root = self.power(self.lib.mpi_neg(base, self.precision), exponent)
            return self.lib.mpi_neg(root, self.precision) if p % 2 else root
        if q == 2:
            return self.power(self.lib.mpi_sqrt(base, self.precision), Fraction(p))
        return self.exp(self._op("mul")(self.log(base), self.number(exponent), self.precision))

    def exp(self, value: Interval) -> Interval:
        if max(exponent_of(part) for part in self.parts(value)) > 11:
            ends = () if self.complex else value
            raise Beyond if ends and all(end[1] and end[2] + end[3] > 11 for end in ends) and ends[0][0] == ends[1][0] else Unclear
        return self._op("exp")(value, self.precision)

    def log(self, value: Interval) -> Interval:
        self.refuse_zero(value)
        if not self.complex and value[0][0] == 1:
            raise Undefined
        if self.complex and self.has_zero((self.lib.mpi_zero, value[1])) and value[0][0][0] == 1 and value[1] != self.lib.mpi_zero:
            raise Unclear  # across the branch cut
        return self._op("log")(value, self.precision)

    def call(self, name: Call) -> Interval:
        from verifiers.mathematics.arithmetic.exact_functions import EVALUATORS

        if name.head not in EVALUATORS:
            raise Undefined
        return EVALUATORS[name.head](self, name.args)

    def argument(self, head: str, value: Expr) -> Interval:
        """The argument of a function; how far it is from 1 can hide as much in the function's value."""
        found = self.sum(value)
        if (size := self.size(found)) is not None:
            self.hidden += 2 * abs(size) + (3 << max(0, min(size, 11)) if head in _SATURATED else 0)
        return found
