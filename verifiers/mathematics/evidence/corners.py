r"""Where along one variable an expression may change from one formula to another: everything that agreement at points must have seen.

`Line` gathers, for an expression of one variable, the corners of abs, sgn, max, min, cases, roots, logarithms, factorials and binomials
(the zeros of their arguments), the steps of floors, and the period of remainders and divisors. Arguments that are polynomials or quotients
of them are solved, nested calls by trying every formula that they may stand for, so that the corners found are all and possibly more.
Other arguments are followed over a grid for a change of sign. What cannot be located makes the line `open`: agreement there proves nothing.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise, product

from verifiers.mathematics.arithmetic.case_rows import OTHERWISE
from verifiers.mathematics.arithmetic.exact_sums import (
    Call,
    Expr,
    Unreadable,
    atom,
    atoms,
    multiply,
    rational,
    substitute,
    subtract,
    symbols,
)
from verifiers.mathematics.arithmetic.polynomials import Polynomial, TooLarge, plus, real_roots, times, value_at
from verifiers.mathematics.evidence.branch_formulas import (
    NotAlgebraic,
    as_polynomial_in,
    formulas,
    is_irrational,
    surd_roots,
    unsolved_atoms,
    without_root,
)
from verifiers.mathematics.evidence.known_signs import never_zero, value_range
from verifiers.mathematics.evidence.near_values import crossing_between, nearly

_GRID = sorted(
    {sign * value for sign in (1, -1) for value in (*(k / 3 + 1 / 7 for k in range(30)), *(1.07 * 2.0**k for k in range(-10, 22)))}
)


_MOST_WORK = 300  # functions whose zeros are looked for on one line; more of them where that is dear
_PERIODIC = frozenset({"sum", "mod", "gcd", "lcm", "floor", "ceil"})


@dataclass
class Line:
    """What was found; `whole` says that the variable is an integer."""

    name: str
    whole: bool
    corners: set[Fraction] = field(default_factory=set)
    slopes: set[tuple[Fraction, Fraction]] = field(default_factory=set)
    """a, b of the arguments ax + b of floors."""
    period: int = 1
    surds: list[Expr] = field(default_factory=list)
    """Corners that are no fractions and have to be tried themselves."""
    open: bool = False
    work: int = 0

    meromorphic: bool = False
    """Whether poles part nothing: what agrees on one side of them agrees on the other."""

    def find_corners(self, value: Expr) -> None:
        for monomial, _ in value.terms:
            for name, exponent in monomial:
                if isinstance(name, Call):
                    if self.name in symbols(atom(name)):
                        self._find_corners_of_call(name)
                        if exponent.denominator != 1 or (exponent < 0 and not self.meromorphic):
                            inner = name.args[0] if name.head == "sum" else atom(name)
                            self._changes_at_zeros_of(inner, exponent.denominator % 2 == 0)
                elif name == self.name and (exponent < 0 or exponent.denominator != 1):
                    self.corners.add(Fraction(0))

    def _find_corners_of_call(self, name: Call) -> None:
        args = name.args
        for arg in args:
            self.find_corners(arg)
        match name.head:
            case "abs" if "i" in atoms(args[0]):
                self._changes_at_complex_zeros_of(args[0])
            case "abs" | "sgn":
                self._changes_at_zeros_of(args[0], exactly=name.head == "sgn")
            case "max" | "min":
                for k, a in enumerate(args):
                    for b in args[k + 1 :]:
                        self._changes_where_equal(a, b)
            case "cases":
                for relation, difference in zip(args[1::3], args[2::3], strict=True):
                    self._changes_at_zeros_of(difference, exactly=relation.rational != OTHERWISE)
            case "ln" | "log":
                self._changes_at_zeros_of(args[0], hard=False)
            case "arcsin" | "arccos":
                try:
                    self._changes_at_zeros_of(subtract(multiply(args[0], args[0]), rational(1)))
                except Unreadable:
                    self.open = True
            case "arctan":
                self._add_poles(args[0])
            case "factorial":
                self._changes_at_zeros_of(args[0])
            case "binom":
                for found in args:
                    self._changes_at_zeros_of(found)
                self._changes_where_equal(*args)
            case "floor" | "ceil":
                self._add_steps_of_floor(args[0])
            case "mod" | "gcd" | "lcm":
                self._add_corners_of_remainder(name)
            case "pow":
                self._add_corners_of_power(*args)
            case "sin" | "cos" | "tan" | "cot" | "sec" | "csc" if self.whole:
                for monomial, coefficient in args[0].terms:
                    if dict(monomial).get("pi") == 1:
                        self._repeats(2 * coefficient.denominator)

    def _changes_at_complex_zeros_of(self, value: Expr) -> None:
        """Where real and imaginary part are both 0 is where either is."""
        try:
            real = substitute(value, {"i": rational(0)})
            for part in (real, substitute(subtract(value, real), {"i": rational(1)})):
                self._changes_at_zeros_of(part)
        except Unreadable:
            self.open = True

    def _add_poles(self, value: Expr) -> None:
        """Of a tangent inside an arcus tangent."""
        for monomial, _ in value.terms:
            for name, _ in monomial:
                if isinstance(name, Call) and name.head in ("tan", "sec", "cot", "csc") and self.name in symbols(name.args[0]):
                    self._changes_at_zeros_of(atom(Call("cos" if name.head in ("tan", "sec") else "sin", name.args[0])))

    def _add_corners_of_power(self, base: Expr, exponent: Expr) -> None:
        if self.name in symbols(base):
            self._changes_at_zeros_of(base, hard=False)
        if (number := base.rational) is not None and number < 0:
            self._repeats(2)
        if self.name in symbols(exponent):
            self.corners.add(Fraction(0))

    def _changes_where_equal(self, left: Expr, right: Expr) -> None:
        try:
            self._changes_at_zeros_of(subtract(left, right))
        except Unreadable:
            self.open = True

    def _changes_at_zeros_of(self, value: Expr, hard: bool = True, *, exactly: bool = False) -> None:
        """The zeros of a function of the variable; `exactly` where the zero itself has a formula of its own."""
        if self.name not in symbols(value) or self._costs_too_much(1):
            return
        if "i" in atoms(value):  # where a complex value crosses the cut of a root is not looked for
            self.open |= hard
            return
        try:
            exact = self._add_zeros_of(value)
        except NotAlgebraic:
            exact = False
            try:
                self._add_zeros_of(without_root(value))
            except (NotAlgebraic, TooLarge, Unreadable):
                if not self._finds_zeros_of(value) and hard:
                    self.open = True
        except TooLarge:
            self.open, exact = True, True
        if exactly and not exact:
            roots = surd_roots(value, self.name)
            self.open |= roots is None
            self.surds += roots or []

    def _costs_too_much(self, amount: int) -> bool:
        """Count what looking for corners costs; whether it was too much, or in vain already."""
        self.work += amount
        self.open |= self.work > _MOST_WORK
        return self.open

    def _add_zeros_of(self, value: Expr) -> bool:
        """The corners that the zeros of an algebraic value are; whether they are known exactly."""
        exact = not is_irrational(value, self.name)
        for top, bottom in formulas(value, self.name):
            if self._costs_too_much(len(top) ** 2 // 8 + len(bottom) ** 2 // 8):
                return True
            found, all_exact = real_roots(top)
            self.corners.update(found)
            self.corners.update(real_roots(bottom)[0])
            exact = exact and all_exact
        return exact

    def _finds_zeros_of(self, value: Expr) -> bool:
        """Whether all the zeros of what is no polynomial are seen, as far as one of each kind goes."""
        if never_zero(value):
            return True
        names = unsolved_atoms(value, self.name)
        if len(names) != 1 or self.name in names:
            return self._adds_sign_changes(nearly(value, self.name), value)
        (only,) = names
        inner = as_polynomial_in(value, only)
        if inner is None:
            return self._adds_sign_changes(nearly(value, self.name), value)
        low, high = value_range(only)
        found = True
        for top, _ in formulas(inner, "·"):
            for root in real_roots(top)[0]:
                if (low is not None and root < low) or (high is not None and root > high):
                    continue
                shifted = subtract(atom(only), rational(root))
                found &= self._adds_sign_changes(nearly(shifted, self.name), None, touching=root in (low, high))
        return found

    def _adds_sign_changes(self, function: Callable[[float], float | None], value: Expr | None, *, touching: bool = False) -> bool:
        """The changes of sign over the grid, or the places where the function comes closest to 0 from one side."""
        if self._costs_too_much(20):
            return False
        values = [(x, function(x)) for x in _GRID]
        known = [(x, y) for x, y in values if y is not None]
        found: list[float] = []
        for (x, a), (y, b) in pairwise(known):
            if a == 0 and b != 0:  # more zeros than one are what floats have lost
                found.append(x)
            elif a * b < 0:
                found.append(crossing_between(function, x, y, a))
        if touching and not found:
            for (_, a), (y, b), (_, c) in zip(known, known[1:], known[2:], strict=False):
                if abs(b) <= min(abs(a), abs(c)):
                    found.append(y)
        kept = sorted(found, key=abs)
        self.corners.update(Fraction(x) for x in (*kept[:4], *kept[-2:]))
        return bool(kept)

    def _add_steps_of_floor(self, value: Expr) -> None:
        if self.name not in symbols(value):
            return
        try:
            options = formulas(value, self.name)
        except (NotAlgebraic, TooLarge):
            self.open = True
            return
        if self.whole:
            for top, bottom in options:
                if len(bottom) > 1 or is_irrational(value, self.name):
                    self.open = True
                self._repeats(math.lcm(*(c.denominator for c in top)) if top else 1)
                self.corners.update(real_roots(top)[0])
            return
        for top, bottom in options:
            if len(top) > 2 or len(bottom) > 1 or is_irrational(value, self.name):
                self.open = True
            elif len(top) == 2:
                self.slopes.add((top[1], top[0]))
                self.corners.add(-top[0] / top[1])

    def _add_corners_of_remainder(self, name: Call) -> None:
        """mod, gcd and lcm: of polynomials with a constant, or of two that differ by one."""
        if not self.whole:
            self.open = True
            return
        try:
            options = [formulas(arg, self.name) for arg in name.args]
        except TooLarge:
            self.open = True
            return
        except NotAlgebraic:
            self._repeats_irregularly(name)
            return
        for choice in product(*options):
            if any(len(bottom) > 1 for _, bottom in choice):
                self.open = True
                return
            tops = [top for top, _ in choice]
            for top in tops:
                self.corners.update(real_roots(top)[0])
            for k, a in enumerate(tops):
                for b in tops[k + 1 :]:
                    self._compare_with_divisor(name.head, a, b)

    def _compare_with_divisor(self, head: str, a: Polynomial, b: Polynomial) -> None:
        scale_ = math.lcm(*(c.denominator for c in (*a, *b))) if a or b else 1
        if head == "mod" and len(b) > 1:  # a mod (x + c) is polynomial but for the first x
            for k in range(-3, 4):
                self.corners.update(real_roots(plus(a, times(b, (Fraction(k),))))[0])
            if len(a) > 1:
                self.open |= len(b) > 2 or len(a) > 2
            return
        constants = [p for p in (a, b) if len(p) <= 1]
        if constants:
            value = constants[-1][0] if constants[-1] else Fraction(0)
            self._repeats(abs(value.numerator) * scale_ if value else 1)
            return
        linear = next((p for p in (b, a) if len(p) == 2), None)
        if linear is None:
            self.open = True
            return
        other = a if linear is b else b
        rest = value_at(other, -linear[0] / linear[1]) * linear[1] ** (len(other) - 1)
        self._repeats(abs(rest.numerator) * scale_ if rest else 1)

    def _repeats_irregularly(self, name: Call) -> None:
        """By a constant: of remainders, divisors and floors, whose own periods it multiplies; of a power or factorial nearly always."""
        modulus = [arg.rational for arg in name.args if arg.rational is not None]
        if len(modulus) != 1 or modulus[0] is None or modulus[0].denominator != 1 or not modulus[0]:
            self.open = True
            return
        m = abs(modulus[0].numerator)
        if all(inner.head in _PERIODIC for arg in name.args for inner in atoms(arg) if isinstance(inner, Call)):
            self.period *= m
        elif m < 40:
            self._repeats(m * math.lcm(*(_multiplicative_order(k, m) for k in range(m))))
        else:
            self.open = True

    def _repeats(self, period: int) -> None:
        self.period = math.lcm(self.period, period)


def _multiplicative_order(k: int, m: int) -> int:
    """The order of k modulo m, 1 where it has none."""
    power, n = k % m, 1
    while power != 1 and n < m:
        power, n = power * k % m, n + 1
    return n if power == 1 else 1
