"""Two expressions at points: until they differ at one, or all was seen that could tell them apart.

A point is tried with fractions where both sides have nothing else, and otherwise with intervals, at a precision that shows what either may
hide. Which points there are is `sample_points.py`'s business, what an agreement means `certified_comparison.py`'s.
"""

from verifiers.mathematics.arithmetic.exact_sums import (
    Expr,
    Unreadable,
    atoms,
    multiply,
    rational,
    size_of,
    substitute,
    subtract,
    symbols,
)
from verifiers.mathematics.arithmetic.exact_values import NoRow, Point, Unclear, Undefined, exact_value, is_exact, known_at
from verifiers.mathematics.arithmetic.interval_evaluation import MAX_HIDDEN, Beyond
from verifiers.mathematics.arithmetic.intervals import LOCK
from verifiers.mathematics.evidence.canonical_calls import normal_form, with_letters_for_corners, without_common
from verifiers.mathematics.evidence.constant_comparison import (
    MARGIN,
    PRECISIONS,
    Evaluated,
    heads_of,
    log_bases,
    same_constants,
    sign_of_constant,
)
from verifiers.mathematics.evidence.sample_points import NoEvidence, Sample, whole_variables

_ENOUGH = 10  # points where both sides are defined
_ENOUGH_ON_A_LINE = 3
_FIRST = 4  # points that most pairs that differ do not survive
_MOST_SCATTERED = 70
_BUDGET = 400_000  # atoms and terms evaluated as fractions, about one microsecond each
_INTERVAL = 12  # as many for one with intervals
_STRICT_HEADS = frozenset({"abs", "cases", "floor", "ceil", "sgn", "max", "min"})


class Different(Exception):
    """The two sides differ at a point."""


def agree(left: Expr, right: Expr) -> bool:
    """Whether all evidence says that two expressions are equal, read in one of the ways that a logarithm without a base is."""
    with LOCK:
        return any(_agree_as_read(left, right, base) for base in log_bases(left, right))


def _agree_as_read(left: Expr, right: Expr, log_base: str) -> bool:
    if not symbols(left) | symbols(right):
        return same_constants(left, right, log_base)
    try:
        left, right = normal_form(left), normal_form(right)
        if left == right:
            return True
        difference = subtract(left, right).rational
    except Unreadable:
        return False
    if difference is not None:
        return difference == 0
    comparison = Comparison(left, right, log_base)
    if comparison.differs_early():
        return False
    opaque = with_letters_for_corners(left, right)
    if opaque is not None and (opaque[0] == opaque[1] or _agree_everywhere(Comparison(*opaque, log_base, complex_=comparison.complex))):
        return True
    if (rest := without_common(left, right)) is not None:
        shorter = Comparison(*rest, log_base, complex_=comparison.complex)
        try:
            return shorter.everywhere()
        except NoEvidence:
            return False
        except Different:  # perhaps only where what was left out has no value
            if not comparison.says_nothing_at(shorter.point):
                return False
    return _agree_everywhere(comparison)


def _agree_everywhere(comparison: "Comparison") -> bool:
    try:
        return comparison.everywhere()
    except (Different, NoEvidence):
        return False


def sign_of_factor(left: Expr, right: Expr) -> int:
    """1 or -1 where left is a positive or negative constant times right, otherwise 0: the constant is that of one point."""
    names = sorted(symbols(left) | symbols(right))
    for point in Sample(left, right, names).scattered(_MOST_SCATTERED if names else 1):
        new = {name: rational(value) for name, value in point.items()}
        try:
            here = substitute(left, new), substitute(right, new)
            signs = sign_of_constant(here[0]) or 0, sign_of_constant(here[1]) or 0
            if 0 not in signs:
                crosswise = multiply(left, here[1]), multiply(right, here[0])
                return signs[0] * signs[1] if crosswise[0] == crosswise[1] or agree(*crosswise) else 0
        except Unreadable:
            continue
    return 0


class Comparison:
    """Two sides, evaluated at points until they differ or all was seen."""

    def __init__(self, left: Expr, right: Expr, log_base: str, *, complex_: bool = False) -> None:
        self.sides = [left, right]
        self.log_base = log_base
        self.complex = complex_ or "i" in atoms(left) | atoms(right)
        self.exact = is_exact(left) and is_exact(right)
        heads = heads_of(left) | heads_of(right)
        self.strict = bool(_STRICT_HEADS & heads)
        self.pointwise = bool({"cases", "sgn"} & heads)
        """Whether the value at a corner may be another than on both sides of it."""
        self.whole = whole_variables(left) | whole_variables(right)
        self.cost = 0
        self.size = size_of(left) + size_of(right)
        self.point: Point = {}
        """The point last tried."""
        self.precision = PRECISIONS[0]
        self.agreed: list[Point] = []
        self.left_out = False
        """Whether some cases have no row for the point last tried."""

    def _sample(self) -> Sample:
        left, right = self.sides
        return Sample(left, right, sorted(symbols(left) | symbols(right)), thorough=self.exact)

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

    def everywhere(self) -> bool:
        """Whether the sides agree wherever it may matter. Different where they do not, NoEvidence where that cannot be told."""
        sample = self._sample()
        self.agreed.clear()
        self._scattered(sample)
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
        self._scattered(sample)
        return len(self.agreed) >= _ENOUGH and seen == set(sample.names)

    def _scattered(self, sample: Sample) -> None:
        """Points of all scales, until enough of them have agreed."""
        for point in sample.scattered(_MOST_SCATTERED):
            if self.at(point) and len(self.agreed) >= _ENOUGH:
                break

    def at(self, point: Point, *, isolated: bool = False) -> bool | None:
        """True where both sides have the same value, False where a point says nothing, None where it is not clear; Different otherwise."""
        self.point = point
        self.left_out = False
        try:
            found = self._by_quotients(point, isolated) if self.exact else self._by_intervals(point, isolated)
        except Unclear:
            found = self._by_intervals(point, isolated)
        if found:
            self.agreed.append(point)
        return found

    def _by_quotients(self, point: Point, isolated: bool) -> bool | None:
        self._pays(self.size)
        known, values = known_at(point), []
        for side in self.sides:
            try:
                values.append(exact_value(side, known))
            except Unclear:
                raise
            except Undefined as error:
                self.left_out |= isinstance(error, NoRow)
        if len(values) < 2:
            return self._undefined(not values, isolated)
        (a, b), (c, d) = values
        if a * d != c * b:
            raise Different
        return True

    def _by_intervals(self, point: Point, isolated: bool) -> bool | None:
        self._pays(_INTERVAL * self.size)
        precision = self.precision
        while True:
            found = Evaluated(self.sides, point, precision, self.complex, self.log_base)
            if found.for_reason(Beyond):
                return None
            self.left_out |= found.for_reason(NoRow)
            if found.reasons and not found.for_reason(Unclear):
                return self._undefined(len(found.reasons) == 2, isolated)
            if not found.reasons:
                if not found.arithmetic.overlap(*found.values):
                    raise Different
                if precision >= found.hidden + MARGIN and found.narrow():
                    if len(self.agreed) > 2:
                        self.precision = min(precision, 320)
                    return True
            longer = max(found.hidden + MARGIN + 32, precision + 100 if precision < 300 else 2 * precision)
            if longer > MAX_HIDDEN or precision > 2 * (found.hidden + PRECISIONS[1]):
                return None
            precision = longer

    def _undefined(self, both: bool, isolated: bool) -> bool:
        """A point where a side has no value says nothing, unless that itself is a difference."""
        if not both and (self.left_out or (self.strict and not isolated and not self.whole)):
            raise Different
        return False

    def _at_surd(self, name: str, root: Expr, others: Point) -> None:
        """At a corner that is no fraction, as a comparison of constants."""
        new = {other: rational(value) for other, value in others.items()} | {name: root}
        try:
            sides = [substitute(side, new) for side in self.sides]
        except Unreadable:
            raise NoEvidence from None
        if not (sides[0] == sides[1] or same_constants(sides[0], sides[1], self.log_base)):
            raise NoEvidence

    def _pays(self, cost: int) -> None:
        self.cost += cost
        if self.cost > _BUDGET:
            raise NoEvidence
