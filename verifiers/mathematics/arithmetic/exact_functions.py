"""Named functions: `apply` gives a rational number wherever the rules below know one, and otherwise the call as an atom.

Everything is bounded before it is computed. The values of such an atom at points are `exact_values.py`'s and `interval_evaluation.py`'s.
"""

import math
from collections.abc import Callable
from fractions import Fraction

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

MAX_FACTORIAL = 400
MAX_INTEGER = 10**60

OF_TWO = frozenset({"binom", "mod", "pow"})
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
        return _real_or_imaginary_part(head, args[0])
    if head in ("floor", "ceil") and is_call(args[0], "floor", "ceil"):
        return args[0]
    if head in VARIADIC:
        args = tuple(sorted(_with_nested_calls_opened(head, args), key=repr))
        exact = [arg.rational for arg in args]
    if head in VARIADIC or head in ("binom", "factorial", "factorial2", "mod"):
        whole = [int(value) for value in exact if value is not None and value.denominator == 1 and abs(value) <= MAX_INTEGER]
        if len(whole) == len(args):
            return _atom_if_too_large(head, whole) or rational(integer_function(head, whole))
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


def _with_nested_calls_opened(head: str, args: tuple[Expr, ...]) -> list[Expr]:
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


def _atom_if_too_large(head: str, values: list[int]) -> Expr | None:
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
    return apply("arctan", _reciprocal(x))


def _reciprocal(x: Expr) -> Expr:
    return power(x, rational(-1))


def _root(x: Expr, n: int = 2) -> Expr:
    if (exact := x.rational) is not None and exact < 0 and n % 2:  # of a negative number the real root
        return scale(_root(scale(x, Fraction(-1)), n), Fraction(-1))
    return power(x, rational(Fraction(1, n)))


_ONE = rational(1)
_BY_NAME: dict[str, Callable[..., Expr]] = {
    "pow": power, "cbrt": lambda x: _root(x, 3), "arccot": _arccot,
    "sech": lambda x: _reciprocal(apply("cosh", x)), "csch": lambda x: _reciprocal(apply("sinh", x)),
    "coth": lambda x: _reciprocal(apply("tanh", x)),
    "arcsec": lambda x: apply("arccos", _reciprocal(x)), "arccsc": lambda x: apply("arcsin", _reciprocal(x)),
    "arcsinh": lambda x: apply("ln", add(x, _root(add(multiply(x, x), _ONE)))),
    "arccosh": lambda x: apply("ln", add(x, multiply(_root(add(x, _ONE)), _root(subtract(x, _ONE))))),
    "arctanh": lambda x: scale(subtract(apply("ln", add(_ONE, x)), apply("ln", subtract(_ONE, x))), Fraction(1, 2)),
    "arcsech": lambda x: apply("arccosh", _reciprocal(x)), "arccsch": lambda x: apply("arcsinh", _reciprocal(x)),
    "arccoth": lambda x: apply("arctanh", _reciprocal(x)),
}  # fmt: skip
"""What is read as something of other functions: with principal values, as everyone defines it. sech(x) is 1/cosh(x)."""


def _real_or_imaginary_part(head: str, value: Expr) -> Expr:
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
