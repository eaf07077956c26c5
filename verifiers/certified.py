r"""Equality and order of expressions by interval arithmetic at exact points: certainly different, or very probably equal.

Every number is an interval that contains the true value, so disjoint intervals prove a difference and no tolerance is involved: 10^-34
is not 0. Constants that still overlap at 1400 bits are called equal; expressions with variables are called equal when they overlap, to
320 bits, at several fixed random points. Over the reals unless `i` occurs; then with principal values. Points where neither side is
defined say nothing. Left out: proofs. An expression made to agree with another to 400 digits would be called equal.
"""

import random
import threading
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import lru_cache
from typing import Any

from verifiers.exact_sums import Call, Expr, Unreadable, atoms, subtract, symbols

_PRECISIONS = (100, 320, 1400)
_ENOUGH = 5  # points where both sides are defined
_LARGEST = 4000  # bits before the point of an intermediate value, and of an exponent's result
_MOST_CORNERS = 32
_MAX_COST = 400  # atoms and terms of both sides together
_INTEGER_HEADS = frozenset({"factorial", "binom", "gcd", "lcm", "mod"})
_STRICT_HEADS = frozenset({"abs", "cases", "floor", "ceil", "sgn"})
_LOCK = threading.Lock()  # mpmath keeps caches of constants that are not safe to fill from two threads

Interval = Any  # mpmath's (low, high), or a pair of them for a complex number


class Undefined(Exception):
    """Not defined at this point, or not decided at this precision."""


def heads(value: Expr) -> set[str]:
    return {name.head for name in atoms(value) if isinstance(name, Call)}


def may_be_equal_otherwise(value: Expr) -> bool:
    """Whether two different sums can be equal because of this one: it has a call, a degree sign, or a root of an unsplit number."""
    return any(isinstance(name, Call) or name == "°" or (name.isdigit() and len(name) > 6) for name in atoms(value))


def same(left: Expr, right: Expr) -> bool:
    if left == right:
        return True
    if not (may_be_equal_otherwise(left) or may_be_equal_otherwise(right)):
        return False
    return _same(*sorted((left, right), key=repr))


@lru_cache(maxsize=2048)
def _same(left: Expr, right: Expr) -> bool:
    if "∞" in atoms(left) | atoms(right) or size_of(left) + size_of(right) > _MAX_COST:
        return False
    from verifiers.functions import EVALUATORS  # which imports this module

    if not heads(left) | heads(right) <= EVALUATORS.keys():  # an integral: `simplify.py` may know
        return False
    readings = ["e", "10"] if "log" in heads(left) | heads(right) else ["e"]
    if len(readings) > 1 and {"ln", "exp"} & (heads(left) | heads(right)) | ({"e"} & (atoms(left) | atoms(right))):
        readings = ["e"]  # who writes ln means 10 by log; only where nobody does may log be either
    with _LOCK:
        return any(_agree(left, right, reading) for reading in readings)


def sign(value: Expr) -> int | None:
    """-1, 0 or 1 of a real constant; None where it has variables or is not real."""
    if (exact := value.rational) is not None:
        return (exact > 0) - (exact < 0)
    return _sign(value)


@lru_cache(maxsize=2048)
def _sign(value: Expr) -> int | None:
    if symbols(value) or {"∞", "i"} & atoms(value) or size_of(value) > _MAX_COST:
        return None
    with _LOCK:
        for precision in _PRECISIONS:
            found = _try(value, {}, precision, False, "e")
            if found is not None and (certain := _certain_sign(found)):
                return certain
    return None if found is None else 0


def ratio_sign(left: Expr, right: Expr) -> int:
    """1 or -1 where left is a positive or negative constant times right; 0 where it is not, or not certainly."""
    names = sorted(symbols(left) | symbols(right))
    if "i" in atoms(left) | atoms(right) or size_of(left) + size_of(right) > _MAX_COST:
        return 0
    if not left.terms or not right.terms:
        return 0
    with _LOCK:
        return _ratio_sign(left, right, names)


def _ratio_sign(left: Expr, right: Expr, names: list[str]) -> int:
    lib = _library()
    base: tuple[Interval, Interval] | None = None
    found = agreed = 0
    for point in _points(names, _integers(left, right)):
        values = [_try(side, point, 320, False, "e") for side in (left, right)]
        if None in values:
            if values != [None, None] and not _integers(left, right):
                return 0
            continue
        a, b = values
        if base is None:
            signs = [_certain_sign(a), _certain_sign(b)]
            if 0 in signs:
                continue
            base, found = (a, b), signs[0] * signs[1]
        elif not _overlap(lib.mpi_mul(a, base[1], 320), lib.mpi_mul(base[0], b, 320)):
            return 0
        agreed += 1
    return found if agreed >= (_ENOUGH if names else 1) else 0


def _certain_sign(value: Interval) -> int:
    low, high = value
    if low[1] and low[0] == 0:
        return 1
    return -1 if high[1] and high[0] == 1 else 0


def size_of(value: Expr) -> int:
    """Atoms and terms, those inside calls too."""
    total = 0
    for monomial, _ in value.terms:
        total += 1
        for name, _ in monomial:
            total += 1 + (sum(map(size_of, name.args)) if isinstance(name, Call) else 0)
    return total


def _integers(left: Expr, right: Expr) -> bool:
    """Whether variables stand for positive integers: something here has a value for nothing else."""
    for name in atoms(left) | atoms(right):
        if isinstance(name, Call) and symbols_of(name):
            if name.head in _INTEGER_HEADS:
                return True
            if name.head == "pow" and (exact := name.args[0].rational) is not None and exact < 0:
                return True
    return False


def symbols_of(name: Call) -> bool:
    return any(symbols(arg) for arg in name.args)


def _has_root(value: Expr) -> bool:
    """Of something with variables: the root of a square is an absolute value."""
    return any(
        (exponent.denominator != 1 and not name.isdigit()) or (isinstance(name, Call) and any(map(_has_root, name.args)))
        for monomial, _ in value.terms
        for name, exponent in monomial
    )


def _corners(left: Expr, right: Expr) -> list[Fraction]:
    """Where |x|, roots, floors and cases may change: small integers, far out, and at and beside the zeros of arguments of first degree.

    Fractions that are exact in binary, as an interval around a jump decides nothing.
    """
    found = [Fraction(value) for value in (0, 1, -1, 2, -2, 3, -3, 1003, -1003, 10**7 + 3, -(10**7) - 3)]
    for name in sorted(atoms(left) | atoms(right)):
        if isinstance(name, Call) and name.head in _STRICT_HEADS:
            for arg in name.args:
                zero = _zero(arg)
                if zero is not None and len(found) < _MOST_CORNERS:
                    near = Fraction(round(64 * zero), 64)
                    found += [point for point in (near, near + Fraction(1, 8), near - Fraction(1, 8)) if point not in found]
    return found


def _zero(value: Expr) -> Fraction | None:
    """-b/a of ax + b"""
    terms, names = dict(value.terms), symbols(value)
    slope = terms.pop(((names.pop(), Fraction(1)),), None) if len(names) == 1 else None
    constant = terms.pop((), Fraction(0))
    return -constant / slope if slope and not terms else None


def _points(names: list[str], integers: bool) -> Iterable[dict[str, Fraction]]:
    if not names:
        yield {}
        return
    draw = random.Random(20250117)
    for k in range(28):
        if integers:
            yield {name: Fraction(draw.randint(1, 5 + k // 2)) for name in names}
        else:
            low, high = ((1, 1 << 20), (-(1 << 21), 1 << 21), (1, 1 << 23))[k % 3]
            yield {name: Fraction(draw.randint(low, high) * 2 + 1, 1 << 21) for name in names}


def _agree(left: Expr, right: Expr, reading: str) -> bool:
    names = sorted(symbols(left) | symbols(right))
    complex_ = "i" in atoms(left) | atoms(right)
    integers = _integers(left, right)
    strict = bool(_STRICT_HEADS & (heads(left) | heads(right)))
    corners: list[dict[str, Fraction]] = []
    if names and not integers and (strict or _has_root(left) or _has_root(right)):
        corners = [dict.fromkeys(names, value) for value in _corners(left, right)]
    agreed = 0
    for count, point in enumerate((*corners, *_points(names, integers))):
        both = 0
        for precision in _PRECISIONS[: 2 if names else 3]:
            a, b = (_try(side, point, precision, complex_, reading) for side in (left, right))
            if a is None or b is None:
                if a is not b and precision == 320 and strict and not integers:
                    return False
                both = 0
                continue
            if not (_overlap(a, b) if not complex_ else all(_overlap(x, y) for x, y in zip(a, b, strict=True))):
                return False
            both = 1
        agreed += both if count >= len(corners) else 0  # corners only refute: most are integers, where a floor is its argument
        if agreed >= _ENOUGH:
            return True
    return agreed >= (_ENOUGH if names else 1)


def _overlap(a: Interval, b: Interval) -> bool:
    return bool(_library().mpi_overlap(a, b))


def _try(value: Expr, point: dict[str, Fraction], precision: int, complex_: bool, reading: str) -> Interval | None:
    """The interval of a value, if it is narrow enough to tell values apart."""
    lib = _library()
    try:
        found = Evaluation(point, precision, complex_, reading).sum(value)
    except (Undefined, Unreadable):
        return None
    for part in found if complex_ else (found,):
        width = lib.mpi_delta(part, 20)
        if width[1] and width[2] + width[3] > max(_exponent(part), 0) - precision // 3:
            return None
    return found


def _exponent(part: Interval) -> int:
    return max((end[2] + end[3] for end in part if end[1]), default=0)


@lru_cache(maxsize=1)
def _library() -> Any:
    from mpmath.libmp import libelefun, libmpi

    for constant in (libelefun.mpf_pi, libelefun.mpf_ln2, libelefun.mpf_e):
        constant(2000)
    return libmpi


@lru_cache(maxsize=1)
def _from_rational() -> Any:
    from mpmath.libmp import from_rational

    return from_rational


class Evaluation:
    """Intervals of sums at one point and precision."""

    def __init__(self, point: dict[str, Fraction], precision: int, complex_: bool, log_base: str) -> None:
        self.point = point
        self.precision = precision
        self.complex = complex_
        self.log_base = log_base
        self.lib = _library()
        self.known: dict[str, Interval] = {}

    def number(self, value: Fraction | int) -> Interval:
        n, d = value.numerator, value.denominator
        convert = _from_rational()
        real = (convert(n, d, self.precision, "f"), convert(n, d, self.precision, "c"))
        return (real, self.lib.mpi_zero) if self.complex else real

    def _op(self, name: str) -> Callable[..., Interval]:
        found: Callable[..., Interval] = getattr(self.lib, ("mpci_" if self.complex else "mpi_") + name)
        return found

    def sum(self, value: Expr) -> Interval:
        total = self.number(0)
        for monomial, coefficient in value.terms:
            term = self.number(coefficient)
            for name, exponent in monomial:
                term = self._op("mul")(term, self.power(self.atom(name), exponent), self.precision)
            total = self._op("add")(total, term, self.precision)
        return self.bounded(total)

    def bounded(self, value: Interval) -> Interval:
        for part in value if self.complex else (value,):
            for end in part:
                if (not end[1] and end[2]) or (end[1] and end[2] + end[3] > _LARGEST):
                    raise Undefined
        return value

    def atom(self, name: str) -> Interval:
        if name not in self.known:
            self.known[name] = self.bounded(self._atom(name))
        return self.known[name]

    def _atom(self, name: str) -> Interval:
        if isinstance(name, Call):
            return self.call(name)
        if name.isdigit():
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
        parts = value if self.complex else (value,)
        return all((low[0] == 1 or not low[1]) and (high[0] == 0 or not high[1]) for low, high in parts)

    def power(self, base: Interval, exponent: Fraction) -> Interval:
        """base^exponent; over the reals a root of odd index of a negative number is the real one."""
        p, q = exponent.numerator, exponent.denominator
        if p == 0:
            return self.number(1)
        if self.has_zero(base):
            if p < 0:
                raise Undefined
            if q != 1:
                if base == self.number(0):
                    return base
                raise Undefined
        if abs(p) * max((_exponent(part) for part in (base if self.complex else (base,))), default=0) > 2 * _LARGEST:
            raise Undefined
        if q == 1:
            if p < 0:
                return self._op("div")(self.number(1), self.power(base, -exponent), self.precision)
            return self._op("pow_int")(base, p, self.precision)
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
        if max(_exponent(part) for part in (value if self.complex else (value,))) > 11:
            raise Undefined
        return self._op("exp")(value, self.precision)

    def log(self, value: Interval) -> Interval:
        if self.has_zero(value) or (not self.complex and value[0][0] == 1):
            raise Undefined
        if self.complex and self.has_zero((self.lib.mpi_zero, value[1])) and value[0][0][0] == 1 and value[1] != self.lib.mpi_zero:
            raise Undefined  # across the branch cut
        return self._op("log")(value, self.precision)

    def call(self, name: Call) -> Interval:
        from verifiers.functions import EVALUATORS

        if name.head not in EVALUATORS:
            raise Undefined
        return EVALUATORS[name.head](self, name.args)


def difference_sign(left: Expr, right: Expr) -> int | None:
    try:
        return sign(subtract(left, right))
    except Unreadable:
        return None
