"""Expressions of the soundness bench: as trees, as LaTeX, and their values, independent of the verifier's reading and arithmetic.

A tree is a tuple whose first item says what it is: ("num", Fraction), ("var", name), ("add", a, b), ("sin", a) and so on. `value` is a
fraction wherever every step is rational, and otherwise a number of mpmath to 60 digits.
"""

import math
import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import reduce
from itertools import product
from typing import Any

import mpmath

DIGITS = 60
Tree = tuple[Any, ...]
Value = Any  # a Fraction, or an mpf

mpmath.mp.dps = DIGITS


class Undefined(Exception):
    """No real value here, or too large a one to be worth computing."""


def num(value: Fraction | int) -> Tree:
    return ("num", Fraction(value))


def var(name: str) -> Tree:
    return ("var", name)


def add(*items: Tree) -> Tree:
    return reduce(lambda total, item: ("add", total, item), items)


def mul(*items: Tree) -> Tree:
    return reduce(lambda total, item: ("mul", total, item), items)


def sub(a: Tree, b: Tree) -> Tree:
    return ("add", a, mul(num(-1), b))


def div(a: Tree, b: Tree) -> Tree:
    return ("div", a, b)


def pow_(a: Tree, n: int) -> Tree:
    return ("pow", a, num(n))


# ---------------------------------------------------------------- LaTeX

_NAMES = {"sin": r"\sin", "cos": r"\cos", "tan": r"\tan", "ln": r"\ln", "sinh": r"\sinh", "cosh": r"\cosh", "arctan": r"\arctan"}
_BETWEEN = {"abs": (r"\left|", r"\right|"), "floor": (r"\lfloor ", r" \rfloor"), "ceil": (r"\lceil ", r" \rceil"), "sqrt": (r"\sqrt{", "}")}
_LISTED = {"max": r"\max", "min": r"\min", "gcd": r"\gcd", "lcm": r"\operatorname{lcm}"}


def latex(tree: Tree) -> str:
    """The expression with brackets wherever a reader could want them."""
    head, *args = tree
    if head == "num":
        return _number(args[0])
    if head in ("var", "const"):
        return str(args[0])
    if head == "add":
        right = args[1]
        if right[0] == "mul" and right[1] == num(-1):
            return f"{latex(args[0])} - {_factor(right[2])}"
        return f"{latex(args[0])} + {_factor(right) if right[0] == 'num' and right[1] < 0 else latex(right)}"
    if head == "mul":
        return rf"{_factor(args[0])} \cdot {_factor(args[1])}"
    if head == "div":
        return rf"\frac{{{latex(args[0])}}}{{{latex(args[1])}}}"
    if head == "pow":
        return f"{_base(args[0])}^{{{latex(args[1])}}}"
    if head in _NAMES:
        return rf"{_NAMES[head]}\left({latex(args[0])}\right)"
    if head in _BETWEEN:
        opening, closing = _BETWEEN[head]
        return f"{opening}{latex(args[0])}{closing}"
    if head in _LISTED:
        return rf"{_LISTED[head]}\left({', '.join(map(latex, args))}\right)"
    if head == "mod":
        return rf"\left({_factor(args[0])} \bmod {_factor(args[1])}\right)"
    if head == "binom":
        return rf"\binom{{{latex(args[0])}}}{{{latex(args[1])}}}"
    if head == "factorial":
        return f"{_base(args[0])}!"
    if head == "cases":
        op, left, right, one, other = args
        sign = {"lt": "<", "le": r"\le", "eq": "=", "ne": r"\ne"}[op]
        return rf"\begin{{cases}} {latex(one)} & {latex(left)} {sign} {latex(right)} \\ {latex(other)} & \text{{otherwise}} \end{{cases}}"
    if head == "sum":
        index, low, high, body = args
        return rf"\left(\sum_{{{index}={low}}}^{{{high}}} \left({latex(body)}\right)\right)"
    raise ValueError(head)


def _number(value: Fraction) -> str:
    sign, size = "-" if value < 0 else "", abs(value)
    return f"{sign}{size.numerator}" if size.denominator == 1 else rf"{sign}\frac{{{size.numerator}}}{{{size.denominator}}}"


def _factor(tree: Tree) -> str:
    return rf"\left({latex(tree)}\right)" if tree[0] == "add" or (tree[0] == "num" and tree[1] < 0) else latex(tree)


def _base(tree: Tree) -> str:
    plain = tree[0] == "var" or tree[0] == "const" or (tree[0] == "num" and tree[1] >= 0 and tree[1].denominator == 1)
    return latex(tree) if plain else rf"\left({latex(tree)}\right)"


# ---------------------------------------------------------------- values


def value(tree: Tree, point: dict[str, Fraction]) -> Value:
    """The value at a point; Undefined where there is none."""
    head, *args = tree
    if head == "num":
        return args[0]
    if head == "var":
        return point[args[0]]
    if head == "const":
        return mpmath.e if args[0] == "e" else mpmath.pi
    if head == "cases":
        op, left, right, one, other = args
        a, b = _alike(value(left, point), value(right, point))
        holds = {"lt": a < b, "le": a <= b, "eq": a == b, "ne": a != b}[op]
        return value(one if holds else other, point)
    if head == "sum":
        index, low, high, body = args
        return sum((value(body, point | {index: Fraction(k)}) for k in range(low, high + 1)), Fraction(0))
    return _VALUES[head](*(value(arg, point) for arg in args))


def _float(x: Value) -> Any:
    return mpmath.mpf(x.numerator) / x.denominator if isinstance(x, Fraction) else x


def _alike(*values: Value) -> list[Value]:
    return list(values) if all(isinstance(x, Fraction) for x in values) else [_float(x) for x in values]


def _mixed(exact: Callable[[Any, Any], Value]) -> Callable[[Value, Value], Value]:
    return lambda a, b: exact(a, b) if isinstance(a, Fraction) and isinstance(b, Fraction) else exact(_float(a), _float(b))


def _quotient(a: Value, b: Value) -> Value:
    if b == 0:
        raise Undefined
    return a / b


def _power(base: Value, n: Value) -> Value:
    if isinstance(n, Fraction) and n.denominator == 1 and abs(n) <= 400:
        if base == 0 and n <= 0:
            raise Undefined
        return base ** int(n)
    if base <= 0 or abs(n) > 400:
        raise Undefined
    return mpmath.power(_float(base), _float(n))


def _root(x: Value) -> Value:
    if x < 0:
        raise Undefined
    if isinstance(x, Fraction):
        a, b = math.isqrt(x.numerator), math.isqrt(x.denominator)
        if a * a == x.numerator and b * b == x.denominator:
            return Fraction(a, b)
    return mpmath.sqrt(_float(x))


def _logarithm(x: Value) -> Value:
    if x <= 0:
        raise Undefined
    return Fraction(0) if x == 1 else mpmath.log(_float(x))


def _hyperbolic(function: Callable[[Any], Any]) -> Callable[[Value], Value]:
    def found(x: Value) -> Value:
        if abs(x) > 300:
            raise Undefined
        return function(_float(x))

    return found


def _rounded(exact: Callable[[Any], int], near: Callable[[Any], Any]) -> Callable[[Value], Value]:
    return lambda x: Fraction(exact(x)) if isinstance(x, Fraction) else Fraction(int(near(x)))


def _whole(function: Callable[..., int]) -> Callable[..., Value]:
    def found(*args: Value) -> Value:
        if any(not isinstance(x, Fraction) or x.denominator != 1 for x in args):
            raise Undefined
        return Fraction(function(*(int(x) for x in args)))

    return found


def _modulo(a: int, m: int) -> int:
    if m <= 0:
        raise Undefined
    return a % m


def _factorial(n: int) -> int:
    if not 0 <= n <= 200:
        raise Undefined
    return math.factorial(n)


def _binomial(n: int, k: int) -> int:
    if not 0 <= n <= 1000:
        raise Undefined
    return math.comb(n, k) if 0 <= k <= n else 0


_VALUES: dict[str, Callable[..., Value]] = {
    "add": _mixed(lambda a, b: a + b), "mul": _mixed(lambda a, b: a * b), "div": _mixed(_quotient), "pow": _power, "sqrt": _root,
    "sin": lambda x: mpmath.sin(_float(x)), "cos": lambda x: mpmath.cos(_float(x)), "tan": lambda x: mpmath.tan(_float(x)),
    "ln": _logarithm, "arctan": lambda x: mpmath.atan(_float(x)), "sinh": _hyperbolic(mpmath.sinh), "cosh": _hyperbolic(mpmath.cosh),
    "abs": abs, "floor": _rounded(math.floor, mpmath.floor), "ceil": _rounded(math.ceil, mpmath.ceil),
    "max": lambda *xs: max(_alike(*xs)), "min": lambda *xs: min(_alike(*xs)), "mod": _whole(_modulo), "gcd": _whole(math.gcd),
    "lcm": _whole(math.lcm),
    "factorial": _whole(_factorial), "binom": _whole(_binomial),
}  # fmt: skip


# ---------------------------------------------------------------- points


def nodes(tree: Tree) -> Iterator[Tree]:
    yield tree
    for arg in tree[1:]:
        if isinstance(arg, tuple):
            yield from nodes(arg)


def variables(*trees: Tree) -> list[str]:
    bound = {node[1] for tree in trees for node in nodes(tree) if node[0] == "sum"}
    return sorted({node[1] for tree in trees for node in nodes(tree) if node[0] == "var"} - bound)


def points(draw: random.Random, trees: tuple[Tree, ...], whole: bool, many: int) -> Iterator[dict[str, Fraction]]:
    """Points of all kinds: small ones, those around the constants of the trees and their multiples, and large ones; each variable apart."""
    names = variables(*trees)
    constants = sorted({abs(node[1]) for tree in trees for node in nodes(tree) if node[0] == "num"})
    for _ in range(many):
        yield {name: _ordinary(draw, whole) for name in names}
    for constant in constants:
        for factor, shift in product((1, -1, 2, Fraction(1, 2)), (0, Fraction(1, 1000), 1, -1)):
            special = constant * factor + shift
            for _ in range(1 + many // 100 if not whole or (special.denominator == 1 and special > 0) else 0):
                yield {name: special if draw.random() < 0.6 else _ordinary(draw, whole) for name in names}
    for _ in range(3 * many):
        yield {name: draw.choice((_ordinary, _large))(draw, whole) for name in names}
    for k in range(1, 2 * many):
        yield {name: Fraction(k if len(names) == 1 else draw.randint(1, k)) for name in names}


def _ordinary(draw: random.Random, whole: bool) -> Fraction:
    if whole:
        return Fraction(draw.randint(1, draw.choice((8, 30, 90))))
    return Fraction(draw.randint(-600, 600), draw.choice((1, 2, 7, 60, 100, 128)))


def _large(draw: random.Random, whole: bool) -> Fraction:
    size = Fraction(draw.randint(1, 10**9), draw.choice((1, 1, 10**3)))
    return Fraction(math.ceil(size)) if whole else size * draw.choice((1, -1))


def differ(a: Value, b: Value) -> bool:
    """Whether two values differ by more than rounding can make."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a != b
    a, b = _float(a), _float(b)
    return bool(abs(a - b) > mpmath.mpf(10) ** (-30) * max(1, abs(a), abs(b)))


def witness(draw: random.Random, left: Tree, right: Tree, whole: bool, shows: Tree, many: int = 50) -> dict[str, Fraction] | None:
    """A point at which the two are defined and differ; they cannot where `shows` is 0. With `many` of 400 thousands are tried."""
    for point in points(draw, (left, right), whole, many):
        try:
            if value(shows, point) == 0:
                continue
            a, b = value(left, point), value(right, point)
            if abs(a) < 10**60 and abs(b) < 10**60 and differ(a, b):
                return point
        except (Undefined, OverflowError, ZeroDivisionError):
            continue
    return None
