"""The value of an expression at one exact point, as an interval that certainly contains it, at a precision that the caller chooses.

Over the reals, or over the complex numbers with principal values: there only exp, log, sin, cos, their quotients, abs and powers have
intervals. `Evaluation.hidden` counts the bits that the expression can hide: by how much the terms of its sums differ in size, how far
from 1 the arguments of its functions are. Two values that agree to fewer bits than that say nothing of a 10^-300 added somewhere inside.
"""

from collections.abc import Callable
from fractions import Fraction

from verifiers.mathematics.arithmetic.case_rows import row_holds
from verifiers.mathematics.arithmetic.exact_functions import integer_function
from verifiers.mathematics.arithmetic.exact_sums import Call, Expr, Unreadable, scale
from verifiers.mathematics.arithmetic.exact_values import NoRow, Point, Unclear, Undefined, fraction_at
from verifiers.mathematics.arithmetic.intervals import Interval, arithmetic, is_beyond, real_sign

MAX_HIDDEN = 5000  # bits; what hides more is not decided
_LARGEST = 4000  # bits before the point of an intermediate value, and of an exponent's result
_LARGEST_EXPONENT = 11  # bits before the point of what exp is taken of
_SHORT = 32  # bits of a number that every precision shows
_SATURATED = frozenset({"tanh", "coth", "sinh", "cosh"})  # whose distance from 1, or from each other, shrinks with e^-2x


class Beyond(Unclear):
    """Too large at any precision."""


class Evaluation:
    """Intervals of sums at one point and precision."""

    def __init__(self, point: Point, precision: int, complex_: bool, log_base: str) -> None:
        self.point = point
        self.complex = complex_
        self.log_base = log_base
        self.arithmetic = arithmetic(precision, complex_)
        self.known: dict[str, Interval] = {}
        self.hidden = 0

    def size(self, value: Interval) -> int | None:
        """The exponent of the largest part; None for what may be 0."""
        return None if self.arithmetic.contains_zero(value) else self.arithmetic.size(value)

    def sum(self, value: Expr) -> Interval:
        total = self.arithmetic.zero
        sizes = []
        for monomial, coefficient in value.terms:
            term = self.arithmetic.number(coefficient)
            self.hidden += _long(coefficient)
            for name, exponent in monomial:
                term = self.arithmetic.multiply(term, self.power(self.atom(name), exponent))
            if len(value.terms) > 1 and (size := self.size(term)) is not None:
                sizes.append(size)
            total = self.arithmetic.add(total, term)
        if sizes:
            self.hidden += max(sizes) - min(sizes)
        if len(value.terms) > 1 and self.arithmetic.contains_zero(total) and (exact := fraction_at(value, self.point)) is not None:
            total = self.arithmetic.number(exact)  # x - 7/3 at 7/3 is 0, not something around it
        return self.bounded(total)

    def bounded(self, value: Interval) -> Interval:
        if not self.arithmetic.is_bounded(value, _LARGEST):
            raise Unclear
        return value

    def atom(self, name: str) -> Interval:
        if name not in self.known:
            self.known[name] = self.bounded(self._value_of_atom(name))
        return self.known[name]

    def _value_of_atom(self, name: str) -> Interval:
        numbers = self.arithmetic
        if isinstance(name, Call):
            if name.head not in EVALUATORS:
                raise Undefined
            return EVALUATORS[name.head](self, name.args)
        if name.isdigit():
            self.hidden += _long(Fraction(int(name)))  # below a root: 4 + 10^-600
            return numbers.number(int(name))
        match name:
            case "i":
                return numbers.i
            case "e":
                return numbers.exp(numbers.one)
            case "pi":
                return numbers.pi
            case "°":
                return numbers.multiply(numbers.pi, numbers.number(Fraction(1, 180)))
        if name not in self.point:
            raise Undefined
        return numbers.number(self.point[name])

    def divide(self, left: Interval, right: Interval) -> Interval:
        self.refuse_zero(right)
        return self.arithmetic.divide(left, right)

    def refuse_zero(self, value: Interval) -> None:
        if self.arithmetic.contains_zero(value):
            raise Undefined if value == self.arithmetic.zero else Unclear

    def power(self, base: Interval, exponent: Fraction) -> Interval:
        """base^exponent; over the reals a root of odd index of a negative number is the real one."""
        numbers, (p, q) = self.arithmetic, exponent.as_integer_ratio()
        if p == q == 1:
            return base
        if p == 0:
            return numbers.one
        if p < 0:
            self.refuse_zero(base)
        elif q != 1 and numbers.contains_zero(base):
            if base == numbers.zero:
                return base
            raise Unclear
        if abs(p) * numbers.size(base) > 2 * _LARGEST * q:
            raise Unclear
        if q == 1:
            return numbers.divide(numbers.one, self.power(base, -exponent)) if p < 0 else numbers.whole_power(base, p)
        self.hidden += 2 * max(0, q.bit_length() - abs(p).bit_length()) + _long(exponent)  # 2^(1/q) is close to 1
        if not self.complex and real_sign(base) < 0:
            if q % 2 == 0:
                raise Undefined
            root = self.power(numbers.real_negative(base), exponent)
            return numbers.real_negative(root) if p % 2 else root
        if q == 2 and not self.complex:
            return self.power(numbers.real_sqrt(base), Fraction(p))
        return self.exp(numbers.multiply(self.log(base), numbers.number(exponent)))

    def exp(self, value: Interval) -> Interval:
        if self.arithmetic.size(value) > _LARGEST_EXPONENT:
            raise Beyond if not self.complex and is_beyond(value, _LARGEST_EXPONENT) else Unclear
        return self.arithmetic.exp(value)

    def log(self, value: Interval) -> Interval:
        self.refuse_zero(value)
        if not self.complex and real_sign(value) < 0:
            raise Undefined
        if self.complex and self.arithmetic.crosses_the_cut(value):
            raise Unclear
        return self.arithmetic.log(value)

    def argument(self, head: str, value: Expr) -> Interval:
        """The argument of a function; how far it is from 1 can hide as much in the function's value."""
        found = self.sum(value)
        if (size := self.size(found)) is not None:
            self.hidden += 2 * abs(size) + (3 << max(0, min(size, 11)) if head in _SATURATED else 0)
        return found


def _long(value: Fraction) -> int:
    """The bits in which a number may differ from a simpler one, where they are many."""
    size = max(value.numerator.bit_length(), value.denominator.bit_length())
    return size if size > _SHORT else 0


# ---------------------------------------------------------------- functions

_Evaluator = Callable[[Evaluation, tuple[Expr, ...]], Interval]


def _trigonometric(top: str, bottom: str) -> _Evaluator:
    """A quotient of "sin", "cos" and "1"."""

    def evaluate(ev: Evaluation, args: tuple[Expr, ...]) -> Interval:
        x = ev.argument(top if bottom == "1" else bottom, args[0])
        numbers = ev.arithmetic
        values = {"sin": numbers.sin, "cos": numbers.cos}
        numerator = numbers.one if top == "1" else values[top](x)
        return numerator if bottom == "1" else ev.divide(numerator, values[bottom](x))

    return evaluate


def _hyperbolic(head: str) -> _Evaluator:
    def evaluate(ev: Evaluation, args: tuple[Expr, ...]) -> Interval:
        numbers = ev.arithmetic
        plus, minus = ev.exp(ev.argument(head, args[0])), ev.exp(ev.sum(scale(args[0], Fraction(-1))))
        sinh, cosh = numbers.subtract(plus, minus), numbers.add(plus, minus)
        if head == "tanh":
            return numbers.divide(sinh, cosh)
        return numbers.multiply(sinh if head == "sinh" else cosh, numbers.number(Fraction(1, 2)))

    return evaluate


def _over_the_reals(evaluate: _Evaluator) -> _Evaluator:
    def refusing(ev: Evaluation, args: tuple[Expr, ...]) -> Interval:
        if ev.complex:
            raise Undefined
        return evaluate(ev, args)

    return refusing


def _arcsin(ev: Evaluation, args: tuple[Expr, ...]) -> Interval:
    """arcsin x = arctan(x / sqrt(1 - x²)); ±pi/2 at ±1 exactly."""
    numbers = ev.arithmetic
    x = ev.argument("arcsin", args[0])
    if x in (numbers.one, numbers.number(-1)):
        return numbers.multiply(x, _half_pi(ev))
    rest = numbers.subtract(numbers.one, numbers.whole_power(x, 2))
    if real_sign(rest) <= 0:
        raise Undefined if real_sign(rest) < 0 else Unclear
    return numbers.real_arctan(numbers.divide(x, numbers.real_sqrt(rest)))


def _half_pi(ev: Evaluation) -> Interval:
    return ev.arithmetic.multiply(ev.arithmetic.pi, ev.arithmetic.number(Fraction(1, 2)))


def _log(ev: Evaluation, args: tuple[Expr, ...]) -> Interval:
    value = ev.log(ev.argument("log", args[0]))
    return value if ev.log_base == "e" else ev.arithmetic.divide(value, ev.log(ev.arithmetic.number(10)))


def _pow(ev: Evaluation, args: tuple[Expr, ...]) -> Interval:
    """base^exponent: for an exponent that is an exact integer here by multiplication, otherwise exp(exponent log base)."""
    base, exponent = ev.sum(args[0]), ev.argument("pow", args[1])
    if (whole := ev.arithmetic.exact_integer(exponent)) is not None:
        return ev.power(base, Fraction(whole))
    return ev.exp(ev.arithmetic.multiply(exponent, ev.log(base)))


def _whole_part(head: str) -> _Evaluator:
    def evaluate(ev: Evaluation, args: tuple[Expr, ...]) -> Interval:
        low, high = ev.arithmetic.rounded(ev.sum(args[0]), up=head == "ceil")
        if low == high:
            return low, high
        if (exact := fraction_at(args[0], ev.point)) is None:
            raise Unclear
        return ev.arithmetic.number(-(-exact // 1) if head == "ceil" else exact // 1)

    return evaluate


def _sign(ev: Evaluation, args: tuple[Expr, ...]) -> Interval:
    value = ev.sum(args[0])
    if not real_sign(value) and value != ev.arithmetic.zero:
        raise Unclear
    return ev.arithmetic.number(real_sign(value))


def _of_integers(head: str) -> _Evaluator:
    def evaluate(ev: Evaluation, args: tuple[Expr, ...]) -> Interval:
        whole = [ev.arithmetic.exact_integer(ev.sum(arg)) for arg in args]
        if None in whole:
            exact = [fraction_at(arg, ev.point) for arg in args]
            whole = [value.numerator if value is not None and value.denominator == 1 else None for value in exact]
        integers = [value for value in whole if value is not None]
        if len(integers) < len(args):
            raise Unclear
        try:
            return ev.arithmetic.number(integer_function(head, integers))
        except Unreadable:
            raise Undefined from None

    return evaluate


def _smallest(ev: Evaluation, args: tuple[Expr, ...]) -> Interval:
    numbers = ev.arithmetic
    return numbers.real_negative(numbers.largest([numbers.real_negative(ev.sum(arg)) for arg in args]))


def _cases(ev: Evaluation, args: tuple[Expr, ...]) -> Interval:
    """The value of the first row that holds (`case_rows.py`)."""
    for value, relation, difference in zip(args[::3], args[1::3], args[2::3], strict=True):
        found = ev.sum(difference)
        sign = real_sign(found)
        if not sign and found != ev.arithmetic.zero:
            raise Unclear
        if row_holds(relation.rational, sign):
            return ev.sum(value)
    raise NoRow


_REAL: dict[str, _Evaluator] = {
    "arcsin": _arcsin, "arccos": lambda ev, args: ev.arithmetic.subtract(_half_pi(ev), _arcsin(ev, args)),
    "arctan": lambda ev, args: ev.arithmetic.real_arctan(ev.argument("arctan", args[0])),
    "floor": _whole_part("floor"), "ceil": _whole_part("ceil"), "sgn": _sign, "cases": _cases, "min": _smallest,
    "max": lambda ev, args: ev.arithmetic.largest([ev.sum(arg) for arg in args]),
}  # fmt: skip
EVALUATORS: dict[str, _Evaluator] = {
    "sum": lambda ev, args: ev.sum(args[0]), "pow": _pow, "ln": lambda ev, args: ev.log(ev.argument("ln", args[0])), "log": _log,
    "abs": lambda ev, args: ev.arithmetic.absolute(ev.sum(args[0])), "sin": _trigonometric("sin", "1"), "cos": _trigonometric("cos", "1"),
    "tan": _trigonometric("sin", "cos"), "cot": _trigonometric("cos", "sin"), "sec": _trigonometric("1", "cos"),
    "csc": _trigonometric("1", "sin"),
} | {head: _hyperbolic(head) for head in ("sinh", "cosh", "tanh")} | {
    head: _of_integers(head) for head in ("factorial", "binom", "gcd", "lcm", "mod")
} | {head: _over_the_reals(evaluate) for head, evaluate in _REAL.items()}  # fmt: skip
