r"""Equality and order of expressions: certainly different, or the same by all evidence that there can be.

Every number is an interval that contains the true value, or a fraction, so values that differ are proven to, and no tolerance is
involved: 10^-34 is not 0. Two constants are called equal when they overlap at 1400 bits, and at 400 more than what the expressions
can hide (`interval_evaluation.py`). Expressions with variables are first written alike (`canonical_calls.py`); then they must agree at
points of every kind, on both sides of every corner that either has (`sample_points.py`). Where a corner cannot be located, or too many
points would be needed, they are not called equal. Over the reals unless `i` occurs; then with principal values. Points where neither side
is defined say nothing. Left out: proofs. Constants made to agree to 420 digits are called equal.
"""

import threading
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

from verifiers.mathematics.arithmetic.exact_sums import Call, Expr, Unreadable, atoms, rational, scale, substitute, subtract, symbols
from verifiers.mathematics.arithmetic.interval_evaluation import (
    MAX_HIDDEN,
    Beyond,
    Evaluation,
    Interval,
    NoEvidence,
    NoRow,
    Point,
    Unclear,
    Undefined,
    exponent_of,
    library,
)
from verifiers.mathematics.evidence.canonical_calls import alike, normal, without_common

if TYPE_CHECKING:
    from verifiers.mathematics.evidence.sample_points import Sample

_PRECISIONS = (100, 320, 1400)
_MARGIN = 160  # bits at which two values agree, besides what they can hide
_ENOUGH = 10  # points where both sides are defined
_ENOUGH_ON_A_LINE = 3
_FIRST = 4  # points that most pairs that differ do not survive
_MOST_SCATTERED = 70
_MAX_COST = 400  # atoms and terms of both sides together
_BUDGET = 400_000  # atoms and terms evaluated as fractions, about one microsecond each
_INTERVAL = 12  # as many for one with intervals
_STRICT_HEADS = frozenset({"abs", "cases", "floor", "ceil", "sgn", "max", "min"})
_UNCLEAR, _CLEAR, _NO_ROW, _BEYOND = range(4)
_LOCK = threading.Lock()  # mpmath keeps caches of constants that are not safe to fill from two threads


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
    from verifiers.mathematics.arithmetic.exact_functions import EVALUATORS  # which imports this module

    if not heads(left) | heads(right) <= EVALUATORS.keys():  # an integral: `algebra_system.py` may know
        return False
    readings = ["e", "10"] if "log" in heads(left) | heads(right) else ["e"]
    if len(readings) > 1 and {"ln", "exp"} & (heads(left) | heads(right)) | ({"e"} & (atoms(left) | atoms(right))):
        readings = ["e"]  # who writes ln means 10 by log; only where nobody does may log be either
    with _LOCK:
        return any(_agree(left, right, reading) for reading in readings)


def _agree(left: Expr, right: Expr, reading: str) -> bool:
    if not symbols(left) | symbols(right):
        try:
            difference = subtract(left, right).rational
        except Unreadable:
            difference = None
        return difference == 0 if difference is not None else Comparison(left, right, reading).constants()
    try:
        left, right = normal(left), normal(right)
        if left == right:
            return True
        difference = subtract(left, right).rational
    except Unreadable:
        return False
    if difference is not None:
        return difference == 0
    comparison = Comparison(left, right, reading)
    if comparison.differs_early():
        return False
    opaque = alike(left, right)
    if opaque is not None and (opaque[0] == opaque[1] or _evidenced(Comparison(*opaque, reading, complex_=comparison.complex))):
        return True
    if (rest := without_common(left, right)) is not None:
        shorter = Comparison(*rest, reading, complex_=comparison.complex)
        try:
            return shorter.everywhere()
        except NoEvidence:
            return False
        except Different:  # perhaps only where what was left out has no value
            if not comparison.says_nothing_at(shorter.point):
                return False
    return _evidenced(comparison)


def _evidenced(comparison: "Comparison") -> bool:
    try:
        return comparison.everywhere()
    except (Different, NoEvidence):
        return False


def sign(value: Expr) -> int | None:
    """-1, 0 or 1 of a real constant; None where it has variables, is not real, or is not told from 0."""
    if (exact := value.rational) is not None:
        return (exact > 0) - (exact < 0)
    return _sign(value)


@lru_cache(maxsize=2048)
def _sign(value: Expr) -> int | None:
    if symbols(value) or {"∞", "i"} & atoms(value) or size_of(value) > _MAX_COST:
        return None
    with _LOCK:
        precision = _PRECISIONS[0]
        while True:
            found, hidden, _ = evaluated(value, {}, precision, False, "e")
            if found is not None and (certain := _certain_sign(found)):
                return certain
            if precision >= max(_PRECISIONS[-1], _needed(hidden)):
                return None if found is None else 0
            if precision >= MAX_HIDDEN:
                return None
            precision = next((p for p in _PRECISIONS if p > precision), min(_needed(hidden), MAX_HIDDEN))


def _needed(hidden: int) -> int:
    return hidden + 400 if hidden > 1000 else 0


def ratio_sign(left: Expr, right: Expr) -> int:
    """1 or -1 where left is a positive or negative constant times right; 0 where it is not, or not certainly."""
    if not left.terms or not right.terms or "i" in atoms(left) | atoms(right) or size_of(left) + size_of(right) > _MAX_COST:
        return 0
    if len(left.terms) == len(right.terms):
        factor = left.terms[0][1] / right.terms[0][1]
        if scale(right, factor) == left:
            return 1 if factor > 0 else -1
    with _LOCK:
        comparison = Comparison(left, right, "e", proportional=True)
        if not symbols(left) | symbols(right):
            try:
                comparison.at({})
            except Different:
                return 0
            return comparison.factor
        return comparison.factor if _evidenced(comparison) else 0


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


class Different(Exception):
    """The two sides differ at a point."""


def evaluated(value: Expr, point: Point, precision: int, complex_: bool, reading: str) -> tuple[Interval | None, int, int]:
    """The interval of a value or None, the bits that it can hide, and what None means: _UNCLEAR, _BEYOND, or undefined: _CLEAR, _NO_ROW."""
    evaluation = Evaluation(point, precision, complex_, reading)
    try:
        found = evaluation.sum(value)
    except Unclear as error:
        return None, evaluation.hidden, _BEYOND if isinstance(error, Beyond) else _UNCLEAR
    except NoRow:
        return None, evaluation.hidden, _NO_ROW
    except (Undefined, Unreadable):
        return None, evaluation.hidden, _CLEAR
    size = evaluation.size(found)
    return found, evaluation.hidden + max(0, -(size or 0)), _CLEAR


def _narrow(value: Interval, complex_: bool, hidden: int) -> bool:
    """Whether an interval is narrow enough to show what may be hidden."""
    lib = library()
    for part in value if complex_ else (value,):
        width = lib.mpi_delta(part, 20)
        if width[1] and width[2] + width[3] > max(exponent_of(part), 0) - hidden - _MARGIN // 3:
            return False
    return True


class Comparison:
    """Two sides, evaluated at points until they differ or all was seen; with `proportional` up to a constant factor."""

    def __init__(self, left: Expr, right: Expr, reading: str, *, proportional: bool = False, complex_: bool = False) -> None:
        from verifiers.mathematics.arithmetic.exact_values import prepared

        self.sides = (left, right)
        self.reading = reading
        self.proportional = proportional
        self.complex = complex_ or "i" in atoms(left) | atoms(right)
        self.prepared = [found for found in (prepared(left), prepared(right)) if found is not None]
        self.exact = len(self.prepared) == 2
        self.strict = bool(_STRICT_HEADS & (heads(left) | heads(right)))
        self.pointwise = bool({"cases", "sgn"} & (heads(left) | heads(right)))
        """Whether the value at a corner may be another than on both sides of it."""
        self.cost = 0
        self.size = size_of(left) + size_of(right)
        self.point: Point = {}
        """The point last tried."""
        self.precision = _PRECISIONS[0]
        self.agreed: list[Point] = []
        self.base: Point | None = None
        self.factor = 0
        self.left_out = False
        """Whether some cases have no row for the point last tried."""
        self.whole: set[str] = set()

    def constants(self) -> bool:
        """Whether two constants overlap, at a precision that shows what they may hide."""
        precision = _PRECISIONS[0]
        while True:
            (a, hidden, _), (b, more, _) = (evaluated(side, {}, precision, self.complex, self.reading) for side in self.sides)
            if a is not None and b is not None and not self._overlap(a, b):
                return False
            if precision >= max(_PRECISIONS[-1], _needed(hidden + more)):
                return a is not None and b is not None and all(_narrow(side, self.complex, hidden + more) for side in (a, b))
            if precision >= MAX_HIDDEN or hidden + more > MAX_HIDDEN:
                return False
            precision = next((p for p in _PRECISIONS if p > precision), min(_needed(hidden + more), MAX_HIDDEN))

    def differs_early(self) -> bool:
        """Whether one of the first points tells the sides apart."""
        try:
            for point in self._sample().scattered(_FIRST):
                self.at(point)
        except Different:
            return True
        return False

    def says_nothing_at(self, point: Point) -> bool:
        try:
            return not self.at(point)
        except (Different, NoEvidence):
            return False

    def _sample(self) -> "Sample":
        from verifiers.mathematics.evidence.sample_points import Sample  # needed by one answer in a hundred

        sample = Sample(*self.sides, sorted(symbols(self.sides[0]) | symbols(self.sides[1])), thorough=self.exact)
        self.whole = sample.whole
        return sample

    def everywhere(self) -> bool:
        """Whether the sides agree wherever it may matter. Different where they do not, NoEvidence where that cannot be told."""
        sample = self._sample()
        self.agreed.clear()
        self._scattered(sample, _ENOUGH)
        if sample.meromorphic and not self.whole:
            return len(self.agreed) >= _ENOUGH
        for point in sample.powers():
            self.at(point)
        seen: set[str] = set()
        for name, stretches in sample.lines(self.agreed):
            before = len(self.agreed)
            for stretch in stretches:
                if stretch.surd is not None:
                    self._at_surd(*stretch.surd, stretch.points[0])
                    continue
                states = [self.at(point, isolated=stretch.isolated) for point in stretch.points]
                if stretch.isolated and None in states and self.pointwise:
                    raise NoEvidence  # a row of cases may be for this very point
                if not stretch.isolated and None in states and not any(states):
                    sample.unclear = True  # (-1/1000)^x far out: another line may say more
                    break
            if len(self.agreed) - before >= _ENOUGH_ON_A_LINE:
                seen.add(name)
        for point in sample.mixed():
            self.at(point)
        self._scattered(sample, _ENOUGH)
        return len(self.agreed) >= _ENOUGH and seen == set(sample.names)

    def _scattered(self, sample: "Sample", enough: int) -> None:
        """Points of all scales, until enough of them have agreed."""
        for point in sample.scattered(_MOST_SCATTERED):
            if self.at(point) and len(self.agreed) >= enough:
                break

    def at(self, point: Point, *, isolated: bool = False) -> bool | None:
        """True where both sides have the same value, False where a point says nothing, None where it is not clear; Different otherwise."""
        self.point = point
        found = self._at(point, isolated)
        if found:
            self.agreed.append(point)
        return found

    def _at(self, point: Point, isolated: bool) -> bool | None:
        self.left_out = False
        if self.exact:
            self._pays(self.size)
            try:
                return self._settle(self._fraction(0, point), self._fraction(1, point), isolated, point)
            except Unclear:
                pass
        self._pays(_INTERVAL * self.size)
        precision = self.precision
        while True:
            (a, hidden, clear), (b, more, clear_too) = (
                evaluated(side, point, precision, self.complex, self.reading) for side in self.sides
            )
            hidden += more
            if _BEYOND in (clear, clear_too):
                return None
            self.left_out |= _NO_ROW in (clear, clear_too)
            if clear and clear_too and (a is None or b is None):
                return self._settle(a, b, isolated, point)
            if a is not None and b is not None:
                same_here = self._equal(a, b, point, precision)
                if not same_here:
                    return same_here
                if precision >= hidden + _MARGIN and all(_narrow(side, self.complex, hidden) for side in (a, b)):
                    if len(self.agreed) > 2:
                        self.precision = min(precision, 320)
                    return True
            longer = max(hidden + _MARGIN + 32, precision + 100 if precision < 300 else 2 * precision)
            if longer > MAX_HIDDEN or precision > 2 * (hidden + _PRECISIONS[1]):
                return None
            precision = longer

    def _at_surd(self, name: str, root: Expr, others: Point) -> None:
        """At a corner that is no fraction, as a comparison of constants."""
        new = {other: rational(value) for other, value in others.items()} | {name: root}
        try:
            sides = [substitute(side, new) for side in self.sides]
        except Unreadable:
            raise NoEvidence from None
        if not self.proportional and (sides[0] == sides[1] or Comparison(sides[0], sides[1], self.reading).constants()):
            return
        raise NoEvidence

    def _pays(self, cost: int) -> None:
        self.cost += cost
        if self.cost > _BUDGET:
            raise NoEvidence

    def _settle(self, a: Fraction | Interval | None, b: Fraction | Interval | None, isolated: bool, point: Point) -> bool | None:
        if a is None or b is None:
            if (a is not None or b is not None) and (self.left_out or (self.strict and not isolated and not self.whole)):
                raise Different
            return False
        return self._equal(a, b, point, 0)

    def _fraction(self, side: int, point: Point) -> Fraction | None:
        from verifiers.mathematics.arithmetic.exact_values import exact_value, short

        try:
            return Fraction(exact_value(self.prepared[side], {name: short(x) for name, x in point.items()}, {}))
        except Unclear:
            raise
        except Undefined as error:
            self.left_out |= isinstance(error, NoRow)
            return None

    def _equal(self, a: Fraction | Interval, b: Fraction | Interval, point: Point, precision: int) -> bool | None:
        """Whether two values are the same, or in the proportion of the first two found."""
        if not self.proportional:
            if not (a == b if isinstance(a, Fraction) else self._overlap(a, b)):
                raise Different
            return True
        if self.base is None:
            signs = [(x > 0) - (x < 0) if isinstance(x, Fraction) else _certain_sign(x) for x in (a, b)]
            if 0 in signs:
                if (a == 0) != (b == 0) and isinstance(a, Fraction):
                    raise Different
                return None
            self.base, self.factor = point, signs[0] * signs[1]
            return True
        if isinstance(a, Fraction):
            c, d = self._fraction(0, self.base), self._fraction(1, self.base)
            if c is None or d is None or a * d != b * c:
                raise Different
            return True
        lib = library()
        (c, _, _), (d, _, _) = (evaluated(side, self.base, precision, self.complex, self.reading) for side in self.sides)
        if c is None or d is None:
            return None
        if not lib.mpi_overlap(lib.mpi_mul(a, d, precision), lib.mpi_mul(c, b, precision)):
            raise Different
        return True

    def _overlap(self, a: Interval, b: Interval) -> bool:
        lib = library()
        return all(lib.mpi_overlap(x, y) for x, y in (zip(a, b, strict=True) if self.complex else ((a, b),)))


def difference_sign(left: Expr, right: Expr) -> int | None:
    try:
        return sign(subtract(left, right))
    except Unreadable:
        return None
