r"""The points at which two expressions with variables must agree before they are called equal.

Along one variable at a time, the others held at values of every kind: every corner that either expression has there (`corners.py`), two
points inside every stretch between corners, stretches beyond every constant, on both sides, and over as many periods of floors and
remainders as the degree asks for, plus one. Integer variables run through consecutive integers, there and far out. Then points at
which every variable has a value of its own kind and scale. All random choices are seeded by the pair.
"""

import hashlib
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise, product

from verifiers.mathematics.arithmetic.exact_sums import Call, Expr, Unreadable, atom, atoms, rational, substitute, symbols
from verifiers.mathematics.arithmetic.exact_values import Point
from verifiers.mathematics.evidence.corners import Line
from verifiers.mathematics.evidence.known_signs import is_meromorphic

MAX_POINTS = 1600  # of a line
_LINES = 3  # along each variable, the others differing
_MOST_COMBINED = 2800  # points at which every variable has a special value
_MOST_DRAWN = 60  # of them, where intervals are needed
_TRIES = 6  # for lines that need no more points than can be afforded
_INTEGER_HEADS = frozenset({"factorial", "binom", "gcd", "lcm", "mod"})
_SMALL = tuple(map(Fraction, ("-2", "2", "1/2", "3")))


class NoEvidence(Exception):
    """Agreement at points that can be afforded proves nothing."""


@dataclass
class Stretch:
    """Points between which nothing changes; at least one must say something. `isolated` are corners, which may be undefined on one side."""

    points: list[Point]
    isolated: bool = False
    surd: tuple[str, Expr] | None = None
    """A corner that is no fraction, of the variable named; `points` then has the other variables."""


@dataclass
class Sample:
    """Points for a pair of expressions."""

    left: Expr
    right: Expr
    names: list[str]
    thorough: bool = True
    """Whether points cost little: fractions, no intervals."""
    whole: set[str] = field(default_factory=set)
    unclear: bool = False
    """Whether a stretch of the line that was just tried told nothing: that line does not count."""

    def __post_init__(self) -> None:
        digest = hashlib.sha256(repr((self.left.terms, self.right.terms)).encode()).digest()
        self.draw = random.Random(digest)
        self.whole = whole_variables(self.left) | whole_variables(self.right)
        sizes = sorted(_sizes(self.left) | _sizes(self.right))
        self.beyond = Fraction(10 * math.ceil(sizes[-1]) if sizes else 10)
        self.meromorphic = is_meromorphic(self.left) and is_meromorphic(self.right)
        self.special: dict[str, list[Fraction]] = {name: [] for name in self.names}

    def scattered(self, count: int) -> Iterator[Point]:
        """Points of every scale and sign, each variable for itself."""
        for k in range(count):
            yield {name: self._value_for(name, k) for name in self.names}

    def _value_for(self, name: str, k: int) -> Fraction:
        draw = self.draw
        if name in self.whole:
            if k < 4:
                return Fraction(draw.randint(1, 6 + 3 * k))
            return Fraction(draw.choice((draw.randint(0, 12), draw.randint(5, 40), draw.randint(-9, 3), draw.randint(1, 6))))
        low, high = ((0, 1), (-2, 2), (1, 8), (-1, 1), (-40, 40), (-8, -1), (1, 3))[k % 7]
        value = Fraction(draw.randint(low << 12, (high << 12) - 1) * 2 + 1, 1 << 13)
        if k % 7 == 4:
            value *= draw.choice((1, 1, 64, 1 << 14, Fraction(1, 1 << 12)))
        return value

    def powers(self) -> Iterator[Point]:
        """(a^b)^c is a^(bc) for a > 0, and else for whole exponents only: small numbers of each kind, in every combination."""
        found = {name for side in (self.left, self.right) for name in _variable_powers(side)}
        names = sorted(found)[:3]
        for code in range(len(_SMALL) ** len(names) if names else 0):
            point = dict(next(self.scattered(1)))
            for name in names:
                code, at = divmod(code, len(_SMALL))
                point[name] = _SMALL[at] if name not in self.whole or _SMALL[at].denominator == 1 else Fraction(1)
            yield point

    def lines(self, agreed: list[Point]) -> Iterator[tuple[str, list[Stretch]]]:
        """Along each variable, through points that have agreed and others; NoEvidence where a corner cannot be located."""
        for round_ in range(2 if len(self.names) > 1 else 1):
            for name in self.names:
                done = False
                for at in range(_TRIES):
                    if at >= (_LINES if round_ else 1) and done:
                        break
                    others = self._values_of_others(name, agreed if round_ == 0 or at in (0, _LINES) else [], small=at >= _LINES)
                    try:
                        line = self._line_along(name, others)
                    except Unreadable:
                        continue
                    stretches = self._stretches(line)
                    if stretches is not None:
                        self.unclear = False
                        yield (
                            name,
                            [Stretch([others | {name: value} for value in values], isolated) for values, isolated in stretches]
                            + [Stretch([others], True, (name, root)) for root in line.surds],
                        )
                        done |= not self.unclear
                if not done:
                    raise NoEvidence

    def mixed(self) -> Iterator[Point]:
        """Each variable at a value that meant something along its own line: all combinations, if they are not too many."""
        if len(self.names) < 2:
            return
        special = [self.special[name] or [self._value_for(name, 4)] for name in self.names]
        count = math.prod(map(len, special))
        if count <= (_MOST_COMBINED if self.thorough else _MOST_DRAWN):
            for values in product(*special):
                yield dict(zip(self.names, values, strict=True))
            return
        for _ in range(_MOST_COMBINED // 2 if self.thorough else _MOST_DRAWN):
            yield {name: self.draw.choice(values) for name, values in zip(self.names, special, strict=True)}

    def _values_of_others(self, name: str, agreed: list[Point], *, small: bool) -> Point:
        point = self.draw.choice(agreed) if agreed else {}
        if small and agreed:
            point = min(self.draw.sample(agreed, min(len(agreed), 8)), key=lambda p: sum(abs(p[other]) for other in p if other != name))
        found = {}
        for other in self.names:
            if other != name:
                kept = self.special[other]
                found[other] = (
                    point[other] if point else self.draw.choice(kept) if kept else self._value_for(other, self.draw.randint(0, 6))
                )
        return found

    def _line_along(self, name: str, others: Point) -> Line:
        line = Line(name, name in self.whole, meromorphic=self.meromorphic)
        new = {other: rational(value) for other, value in others.items()}
        pieces = {factor for side in (self.left, self.right) for monomial, _ in side.terms for factor in monomial}
        for base, exponent in sorted(pieces):  # each by itself: a factor that is 0 here hides no corner of another
            piece = atom(base, exponent)
            found = substitute(piece, new) if new else piece
            if name in symbols(piece) and name not in symbols(found):
                raise Unreadable  # at these values the variable falls out
            line.find_corners(found)
        if line.open:
            raise NoEvidence
        return line

    def _stretches(self, line: Line) -> list[tuple[list[Fraction], bool]] | None:
        """Values of the variable in stretches; None where they would be too many."""
        degree = min(12, max(_degree(self.left, line.name), _degree(self.right, line.name)))
        corners = sorted(line.corners | {Fraction(0)})
        if line.whole:
            return self._integer_stretches(line, corners, degree)
        if line.slopes:
            period = _common_period([1 / abs(a) for a, _ in line.slopes])
            steps = sum(abs(a) for a, _ in line.slopes) * period
            windows = [(z - period, z + period) for z in corners]
            half = math.ceil((degree + 3) / 2)
            windows += [(-half * period, half * period), (self._beyond_all(corners), self._beyond_all(corners) + period)]
            if (steps + 2) * (2 * len(corners) + 2 * half + 1) * 3 > MAX_POINTS:
                return None
            more = set(corners)
            for low, high in windows:
                for a, b in line.slopes:
                    ends = sorted((a * low + b, a * high + b))
                    more |= {(m - b) / a for m in range(math.floor(ends[0]), math.ceil(ends[1]) + 1)}
            corners = sorted(more)
        found: list[tuple[list[Fraction], bool]] = []
        for low, high in pairwise(corners):
            share = Fraction(self.draw.randint(1, 255), 512)
            inside = [low + (high - low) * share, low + (high - low) * (share + Fraction(1, 2))]
            found.append((inside[: 1 + self.thorough], False))
        for end, sign in ((corners[0], -1), (corners[-1], 1)):
            steps_out = [Fraction(self.draw.randint(1, 1 << 10), 1 << k) for k in (20, 11, 9, 6)] + [Fraction(self.draw.randint(200, 2000))]
            steps_out += [self._beyond_all(corners), 1000 * self._beyond_all(corners)]
            found.append(([end + sign * step for step in steps_out[:: 1 if self.thorough else 2]], False))
        self._keep_special_values(line.name, [values[0] for values, _ in found], corners)
        found += [([z], True) for z in corners]
        return found

    def _beyond_all(self, corners: list[Fraction]) -> Fraction:
        """Beyond every constant and corner."""
        return 10 * max(self.beyond, *(Fraction(math.ceil(abs(z))) for z in corners)) + Fraction(self.draw.randint(1, 99) * 2 + 1, 7)

    def _integer_stretches(self, line: Line, corners: list[Fraction], degree: int) -> list[tuple[list[Fraction], bool]] | None:
        period = line.period
        far = math.ceil(self._beyond_all(corners))
        first = -max(6, 2 * period)
        windows = [(first, max(24, (degree + 2) * period)), (far, far + max(4, period)), (-far - max(4, period), -far)]
        windows += [(math.floor(z) - max(3, period), math.ceil(z) + max(3, period)) for z in corners]
        middle = self.draw.randint(41, 90)
        windows.append((middle, middle + max(4, period)))
        values = sorted(
            {n for low, high in windows for n in range(low, high + 1)} if sum(h - w for w, h in windows) < 2 * MAX_POINTS else ()
        )
        if not values or len(values) > MAX_POINTS:
            return None
        self._keep_special_values(
            line.name, [Fraction(n) for n in (1, 2, 5, 12, 30, -3, middle, far)], [Fraction(math.floor(z)) for z in corners]
        )
        return [([Fraction(n)], True) for n in values]

    def _keep_special_values(self, name: str, inside: list[Fraction], corners: list[Fraction]) -> None:
        whole = name in self.whole
        found = sorted(z for z in {*inside, *self.special[name], *corners} if z.denominator == 1 or not whole)
        self.special[name] = self.draw.sample(found, min(len(found), 40 if len(self.names) < 3 else 14))


def whole_variables(value: Expr) -> set[str]:
    """The variables that only make sense as integers: in a factorial or remainder, or in the exponent of a negative number."""
    found: set[str] = set()
    for name in atoms(value):
        if isinstance(name, Call):
            if name.head in _INTEGER_HEADS:
                found |= set().union(*map(symbols, name.args))
            elif name.head == "pow" and (exact := name.args[0].rational) is not None and exact < 0:
                found |= symbols(name.args[1])
    return found


def _variable_powers(value: Expr) -> set[str]:
    return {
        symbol
        for name in atoms(value)
        if isinstance(name, Call) and name.head == "pow" and symbols(name.args[0])
        for arg in name.args
        for symbol in symbols(arg)
    }


def _sizes(value: Expr) -> set[Fraction]:
    """The constants of an expression and of everything inside it."""
    found: set[Fraction] = set()
    for monomial, coefficient in value.terms:
        found |= {abs(coefficient), Fraction(coefficient.denominator)}
        for name, _ in monomial:
            if isinstance(name, Call):
                for arg in name.args:
                    found |= _sizes(arg)
    return found


def _degree(value: Expr, name: str) -> int:
    """How fast an expression may grow with a variable, roughly."""
    best = 0
    for monomial, _ in value.terms:
        total = 0
        for base, exponent in monomial:
            if base == name:
                total += math.ceil(abs(exponent))
            elif isinstance(base, Call):
                total += math.ceil(abs(exponent)) * max((_degree(arg, name) for arg in base.args), default=0)
        best = max(best, total)
    return best


def _common_period(periods: list[Fraction]) -> Fraction:
    return Fraction(math.lcm(*(p.numerator for p in periods)), math.gcd(*(p.denominator for p in periods)))
