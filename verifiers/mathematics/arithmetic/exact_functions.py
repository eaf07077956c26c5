r"""Named functions: their exact values where there is one, and their intervals (`interval_evaluation.py`) elsewhere.

`apply` gives a rational number wherever the rules below know one, and otherwise the call as an atom. Everything is bounded before it is
computed. Over the complex numbers only exp, log, sin, cos, their quotients, abs and powers have intervals.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from verifiers.mathematics.arithmetic.exact_sums import (
    MAX_BITS,
    PI,
    Call,
    Expr,
    Unreadable,
    add,
    atom,
    call,
    divide,
    multiply,
    power,
    rational,
    scale,
    subtract,
    sum_of,
    symbols,
)  # fmt: skip
from verifiers.mathematics.arithmetic.interval_evaluation import Evaluation, Interval, NoRow, Unclear, Undefined

MAX_FACTORIAL = 400
MAX_INTEGER = 10**60

ARITY = {
    "sin": 1, "cos": 1, "tan": 1, "cot": 1, "sec": 1, "csc": 1, "arcsin": 1, "arccos": 1, "arctan": 1, "sinh": 1, "cosh": 1, "tanh": 1,
    "log": 1, "ln": 1, "exp": 1, "sgn": 1, "abs": 1, "floor": 1, "ceil": 1, "factorial": 1, "binom": 2, "mod": 2, "pow": 2, "cbrt": 1,
    "cis": 1, "re": 1, "im": 1, "sinc": 1, "sech": 1, "csch": 1, "coth": 1, "arccot": 1, "arcsec": 1, "arccsc": 1, "arcsinh": 1,
    "arccosh": 1, "arctanh": 1, "arccoth": 1, "arcsech": 1, "arccsch": 1,
}  # fmt: skip
VARIADIC = frozenset({"gcd", "lcm", "max", "min"})
INVERSE = {name: f"arc{name}" for name in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth", "sech", "csch")}


def apply(head: str, *args: Expr) -> Expr:
    """The function at its arguments; Unreadable where it has no value there or the value is too large."""
    exact = [arg.rational for arg in args]
    if head in ("abs", "norm") and len(args) == 1 and exact[0] is not None:
        return rational(abs(exact[0]))
    if head in ("floor", "ceil") and exact[0] is not None:
        return rational((math.floor if head == "floor" else math.ceil)(exact[0]))
    if head == "exp":
        return power(atom("e"), args[0])
    if head in _BY_NAME:
        return _BY_NAME[head](*args)
    if head == "cis":
        return add(apply("cos", args[0]), multiply(atom("i"), apply("sin", args[0])))
    if head in ("re", "im"):
        return _part(head, args[0])
    if head in ("floor", "ceil") and is_call(args[0], "floor", "ceil"):
        return args[0]
    if head in VARIADIC:
        args = tuple(sorted(_flat(head, args), key=repr))
        exact = [arg.rational for arg in args]
    if head in VARIADIC or head in ("binom", "factorial", "factorial2", "mod"):
        whole = [int(value) for value in exact if value is not None and value.denominator == 1 and abs(value) <= MAX_INTEGER]
        if len(whole) == len(args):
            return _too_large(head, whole) or rational(integer_function(head, whole))
        if head in ("max", "min") and all(value is not None for value in exact):
            return rational((max if head == "max" else min)(value for value in exact if value is not None))
        if head == "factorial2" or (head == "factorial" and exact[0] is not None):
            raise Unreadable
    if head in ("ln", "log") and exact[0] is not None:
        if exact[0] <= 0:
            raise Unreadable
        if exact[0] == 1:
            return rational(0)
    if head == "ln" and args[0] == atom("e"):
        return rational(1)
    return call(head, *args)


def is_call(value: Expr, *heads: str) -> bool:
    """Whether an expression is nothing but a call of one of these functions."""
    if len(value.terms) != 1 or value.terms[0][1] != 1 or len(value.terms[0][0]) != 1:
        return False
    [(name, exponent)] = value.terms[0][0]
    return exponent == 1 and isinstance(name, Call) and name.head in heads


def _flat(head: str, args: tuple[Expr, ...]) -> list[Expr]:
    """gcd(gcd(n, 24), 8) as gcd(n, 8): nested calls as one, with one constant, unless that would leave only it."""
    found: list[Expr] = []
    for arg in args:
        name = arg.terms[0][0][0][0] if is_call(arg, head) else None
        found += name.args if isinstance(name, Call) else [arg]
    constants = [exact for arg in found if (exact := arg.rational) is not None]
    if len(constants) < 2 or len(constants) == len(found):
        return found
    if head in ("max", "min"):
        joined = max(constants) if head == "max" else min(constants)
    elif all(value.denominator == 1 for value in constants):
        joined = Fraction(integer_function(head, [value.numerator for value in constants]))
    else:
        return found
    return [arg for arg in found if arg.rational is None] + [rational(joined)]


def _too_large(head: str, values: list[int]) -> Expr | None:
    """A factorial or binomial coefficient with too many digits as an atom, of which nothing else is known."""
    if head == "factorial" and values[0] > MAX_FACTORIAL:
        return call(head, rational(values[0]))
    if head == "binom" and 0 <= values[1] <= values[0] and _comb_bits(*values) > MAX_BITS:
        return call(head, rational(values[0]), rational(min(values[1], values[0] - values[1])))
    return None


def _comb_bits(n: int, k: int) -> int:
    """At least the bits of "n choose k"."""
    return min(n, min(k, n - k) * n.bit_length())


def _arccot(x: Expr) -> Expr:
    """arctan(1/x); of a negative number it is another value for those whose arccotangent is continuous, and so none."""
    if (exact := x.rational) is not None and exact <= 0:
        if exact:
            raise Unreadable
        return scale(PI, Fraction(1, 2))
    return apply("arctan", _inverse(x))


def _inverse(x: Expr) -> Expr:
    return power(x, rational(-1))


def _root(x: Expr, n: int = 2) -> Expr:
    if (exact := x.rational) is not None and exact < 0 and n % 2:  # of a negative number the real root
        return scale(_root(scale(x, Fraction(-1)), n), Fraction(-1))
    return power(x, rational(Fraction(1, n)))


_ONE = rational(1)
_BY_NAME: dict[str, Callable[..., Expr]] = {
    "pow": power, "cbrt": lambda x: _root(x, 3), "arccot": _arccot,
    "sech": lambda x: _inverse(apply("cosh", x)), "csch": lambda x: _inverse(apply("sinh", x)),
    "coth": lambda x: _inverse(apply("tanh", x)),
    "arcsec": lambda x: apply("arccos", _inverse(x)), "arccsc": lambda x: apply("arcsin", _inverse(x)),
    "arcsinh": lambda x: apply("ln", add(x, _root(add(multiply(x, x), _ONE)))),
    "arccosh": lambda x: apply("ln", add(x, multiply(_root(add(x, _ONE)), _root(subtract(x, _ONE))))),
    "arctanh": lambda x: scale(subtract(apply("ln", add(_ONE, x)), apply("ln", subtract(_ONE, x))), Fraction(1, 2)),
    "arcsech": lambda x: apply("arccosh", _inverse(x)), "arccsch": lambda x: apply("arcsinh", _inverse(x)),
    "arccoth": lambda x: apply("arctanh", _inverse(x)),
}  # fmt: skip
"""What is read as something of other functions: with principal values, as everyone defines it. sech(x) is 1/cosh(x)."""


def _part(head: str, value: Expr) -> Expr:
    """The real or imaginary part of a number whose i stands outside all functions."""
    if symbols(value) or any(isinstance(name, Call) for monomial, _ in value.terms for name, _ in monomial):
        raise Unreadable
    kept = [(m, c) for m, c in value.terms if (("i", Fraction(1)) in m) == (head == "im")]
    return sum_of((tuple(part for part in m if part[0] != "i"), c) for m, c in kept)


def log_to_base(base: Expr, value: Expr) -> Expr:
    """log_b(x): rational where both are powers of one integer; otherwise ln x / ln b."""
    b, x = base.rational, value.rational
    if b is not None and (b <= 0 or b == 1):
        raise Unreadable
    if b is not None and x is not None and x > 0 and b.denominator == 1:
        for p, q in ((x, 1), (1 / x, -1)):
            n = 0
            while p.denominator == 1 and p > 1 and p % b == 0 and n < 4096:
                p, n = p / b, n + 1
            if p == 1:
                return rational(n * q)
    return divide(apply("ln", value), apply("ln", base))


def integer_function(head: str, values: list[int]) -> int:
    match head, values:
        case "factorial", [n] if 0 <= n <= MAX_FACTORIAL:
            return math.factorial(n)
        case "factorial2", [n] if 0 <= n <= MAX_FACTORIAL:
            return math.prod(range(n, 0, -2))
        case "binom", [n, k] if n >= 0 and not 0 <= k <= n:
            return 0
        case "binom", [n, k] if 0 <= k <= n and _comb_bits(n, k) <= MAX_BITS:
            return math.comb(n, k)
        case "mod", [a, m] if m > 0:
            return a % m
        case "gcd", _ if values:
            return math.gcd(*values)
        case "lcm", _ if values:
            return math.lcm(*values) if len(values) <= 8 else _refuse()
        case (("max" | "min"), _) if values:
            return max(values) if head == "max" else min(values)
    return _refuse()


def _refuse() -> int:
    raise Unreadable


# ---------------------------------------------------------------- intervals


def _plain(op: str) -> Callable[[Evaluation, tuple[Expr, ...]], Interval]:
    return lambda ev, args: ev._op(op)(ev.argument(op, args[0]), ev.precision)


def _quotient(top: str, bottom: str) -> Callable[[Evaluation, tuple[Expr, ...]], Interval]:
    def evaluate(ev: Evaluation, args: tuple[Expr, ...]) -> Interval:
        x = ev.argument(bottom, args[0])
        numerator = ev.number(1) if top == "1" else ev._op(top)(x, ev.precision)
        denominator = ev._op(bottom)(x, ev.precision)
        ev.refuse_zero(denominator)
        return ev._op("div")(numerator, denominator, ev.precision)

    return evaluate


def _hyperbolic(head: str) -> Callable[[Evaluation, tuple[Expr, ...]], Interval]:
    def evaluate(ev: Evaluation, args: tuple[Expr, ...]) -> Interval:
        plus, minus = ev.exp(ev.argument(head, args[0])), ev.exp(ev.sum(scale(args[0], Fraction(-1))))
        sinh = ev._op("sub")(plus, minus, ev.precision)
        cosh = ev._op("add")(plus, minus, ev.precision)
        if head == "tanh":
            return ev._op("div")(sinh, cosh, ev.precision)
        return ev._op("mul")(sinh if head == "sinh" else cosh, ev.number(Fraction(1, 2)), ev.precision)

    return evaluate


def _arctan(ev: Evaluation, args: tuple[Expr, ...]) -> Interval:
    if ev.complex:
        raise Undefined
    return ev.lib.mpi_atan(ev.argument("arctan", args[0]), ev.precision)


def _arcsin(ev: Evaluation, args: tuple[Expr, ...]) -> Interval:
    """arcsin x = arctan(x / sqrt(1 - x²)); ±pi/2 at ±1 exactly."""
    if ev.complex:
        raise Undefined
    x = ev.argument("arcsin", args[0])
    half_pi = ev.lib.mpi_shift(ev.lib.mpi_pi(ev.precision), -1)
    if x == ev.number(1):
        return half_pi
    if x == ev.number(-1):
        return ev.lib.mpi_neg(half_pi, ev.precision)
    rest = ev.lib.mpi_sub(ev.number(1), ev.lib.mpi_square(x, ev.precision), ev.precision)
    if rest[1][0] == 1:
        raise Undefined
    if rest[0][0] == 1 or ev.has_zero(rest):
        raise Unclear
    return ev.lib.mpi_atan(ev.lib.mpi_div(x, ev.lib.mpi_sqrt(rest, ev.precision), ev.precision), ev.precision)


def _arccos(ev: Evaluation, args: tuple[Expr, ...]) -> Interval:
    half_pi = ev.lib.mpi_shift(ev.lib.mpi_pi(ev.precision), -1)
    return ev.lib.mpi_sub(half_pi, _arcsin(ev, args), ev.precision)


def _log(ev: Evaluation, args: tuple[Expr, ...]) -> Interval:
    value = ev.log(ev.argument("log", args[0]))
    if ev.log_base == "e":
        return value
    return ev._op("div")(value, ev.log(ev.number(10)), ev.precision)


def _pow(ev: Evaluation, args: tuple[Expr, ...]) -> Interval:
    """base^exponent: for an exponent that is an exact integer here by multiplication, otherwise exp(exponent log base)."""
    base, exponent = ev.sum(args[0]), ev.argument("pow", args[1])
    if (whole := _exact_integer(ev, exponent)) is not None:
        return ev.power(base, Fraction(whole))
    return ev.exp(ev._op("mul")(exponent, ev.log(base), ev.precision))


def _exact_integer(ev: Evaluation, value: Interval) -> int | None:
    from mpmath.libmp import to_int

    real = value
    if ev.complex:
        real, imaginary = value
        if imaginary != ev.lib.mpi_zero:
            return None
    low, high = real
    if low != high or low[2] < 0 or not (low[1] or low == ev.lib.mpi_zero[0]) or low[2] > 16:
        return None
    return int(to_int(low))


def _abs(ev: Evaluation, args: tuple[Expr, ...]) -> Interval:
    value = ev._op("abs")(ev.sum(args[0]), ev.precision)
    return (value, ev.lib.mpi_zero) if ev.complex else value


def _step(head: str) -> Callable[[Evaluation, tuple[Expr, ...]], Interval]:
    def evaluate(ev: Evaluation, args: tuple[Expr, ...]) -> Interval:
        from mpmath.libmp import mpf_ceil, mpf_floor, mpf_sign

        if ev.complex:
            raise Undefined
        low, high = ev.sum(args[0])
        if head == "sgn":
            a, b = mpf_sign(low), mpf_sign(high)
            return ev.number(a) if a == b else _unclear()
        rounding: Any = mpf_floor if head == "floor" else mpf_ceil
        a, b = rounding(low), rounding(high)
        if a != b and (exact := ev.exactly(args[0])) is not None:
            return ev.number((math.floor if head == "floor" else math.ceil)(exact))
        return (a, a) if a == b else _unclear()

    return evaluate


def _unclear() -> Interval:
    raise Unclear


def _combinatorial(head: str) -> Callable[[Evaluation, tuple[Expr, ...]], Interval]:
    def evaluate(ev: Evaluation, args: tuple[Expr, ...]) -> Interval:
        found = [ev.sum(arg) for arg in args]
        whole = [value for value in (_exact_integer(ev, value) for value in found) if value is not None]
        if len(whole) != len(found):
            exact = [ev.exactly(arg) for arg in args]
            whole = [value.numerator for value in exact if value is not None and value.denominator == 1]
        if len(whole) != len(found):
            raise Unclear
        try:
            return ev.number(integer_function(head, whole))
        except Unreadable:
            raise Undefined from None

    return evaluate


def _extreme(head: str) -> Callable[[Evaluation, tuple[Expr, ...]], Interval]:
    def evaluate(ev: Evaluation, args: tuple[Expr, ...]) -> Interval:
        from mpmath.libmp import mpf_gt

        if ev.complex:
            raise Undefined
        best = ev.sum(args[0])
        for arg in args[1:]:
            other = ev.sum(arg)
            ends = [(b if mpf_gt(b, a) == (head == "max") else a) for a, b in zip(best, other, strict=True)]
            best = (ends[0], ends[1])
        return best

    return evaluate


def _cases(ev: Evaluation, args: tuple[Expr, ...]) -> Interval:
    """args: value, relation, left - right, three for each row; a relation is 0 for <, 1 for <=, 2 for =, 3 for otherwise, 4 for !=."""
    if ev.complex:
        raise Undefined
    for value, relation, difference in zip(args[::3], args[1::3], args[2::3], strict=True):
        kind = int(relation.rational or 0)
        if kind == 3:
            return ev.sum(value)
        low, high = ev.sum(difference)
        zero = not (low[1] or high[1])
        if not zero and ev.has_zero((low, high)):
            raise Unclear
        if kind in ((1, 2) if zero else (0, 1, 4) if low[0] == 1 else (4,)):
            return ev.sum(value)
    raise NoRow


EVALUATORS: dict[str, Callable[[Evaluation, tuple[Expr, ...]], Interval]] = {
    "sum": lambda ev, args: ev.sum(args[0]), "pow": _pow, "sin": _plain("sin"), "cos": _plain("cos"), "tan": _quotient("sin", "cos"),
    "cot": _quotient("cos", "sin"), "sec": _quotient("1", "cos"), "csc": _quotient("1", "sin"), "sinh": _hyperbolic("sinh"),
    "cosh": _hyperbolic("cosh"), "tanh": _hyperbolic("tanh"), "arcsin": _arcsin, "arccos": _arccos, "arctan": _arctan, "log": _log,
    "ln": lambda ev, args: ev.log(ev.argument("ln", args[0])),
    "abs": _abs, "floor": _step("floor"), "ceil": _step("ceil"), "sgn": _step("sgn"),
    "cases": _cases,
} | {head: _combinatorial(head) for head in ("factorial", "binom", "gcd", "lcm", "mod")} | {
    head: _extreme(head) for head in ("max", "min")
}  # fmt: skip
