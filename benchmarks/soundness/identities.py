"""True identities by kind, for the soundness bench: both sides as trees, equal wherever both are defined. They are no mere reorderings."""

import random
from collections.abc import Callable
from fractions import Fraction

from benchmarks.soundness.pairs import KINDS, K, N, X, Y, linear, polynomial, signed, small, smooth
from benchmarks.soundness.trees import Tree, add, div, mul, num, pow_, sub, var

Draw = random.Random
Pair = tuple[Tree, Tree]
E, J = ("const", "e"), var("j")


def argument(draw: Draw) -> Tree:
    return draw.choice((X, X, linear(draw, X), mul(small(draw, 2, 5), X), sub(X, Y)))


def _expanded(draw: Draw) -> Pair:
    a, b = signed(draw), signed(draw)
    return draw.choice((
        (mul(add(X, a), add(X, b)), add(pow_(X, 2), mul(num(a[1] + b[1]), X), num(a[1] * b[1]))),
        (pow_(add(X, a), 3), add(pow_(X, 3), mul(num(3 * a[1]), pow_(X, 2)), mul(num(3 * a[1] ** 2), X), num(a[1] ** 3))),
        (mul(sub(X, Y), add(X, Y)), sub(pow_(X, 2), pow_(Y, 2))),
    ))  # fmt: skip


def _rational(draw: Draw) -> Pair:
    a, b = num(draw.randint(1, 9)), num(draw.randint(10, 19))
    return draw.choice((
        (add(div(num(1), add(X, a)), div(num(1), add(X, b))), div(add(mul(num(2), X), num(a[1] + b[1])), mul(add(X, a), add(X, b)))),
        (div(sub(pow_(X, 2), pow_(a, 2)), add(X, a)), sub(X, a)),
        (div(X, add(X, a)), sub(num(1), div(a, add(X, a)))),
        (div(num(1), add(num(1), div(num(1), add(pow_(X, 2), a)))), div(add(pow_(X, 2), a), add(pow_(X, 2), num(a[1] + 1)))),
    ))  # fmt: skip


def _power(draw: Draw) -> Pair:
    a, b = num(draw.randint(2, 4)), num(draw.randint(2, 5))
    u = argument(draw)
    return draw.choice((
        (("pow", a, add(u, b)), mul(num(a[1] ** int(b[1])), ("pow", a, u))),
        (("pow", num(a[1] ** 2), u), ("pow", a, mul(num(2), u))),
        (mul(("pow", a, u), ("pow", b, u)), ("pow", num(a[1] * b[1]), u)),
        (("pow", E, add(u, Y)), mul(("pow", E, u), ("pow", E, Y))),
        (("pow", ("pow", E, u), num(3)), ("pow", E, mul(num(3), u))),
    ))  # fmt: skip


def _root(draw: Draw) -> Pair:
    u, a = linear(draw, X), small(draw)
    return draw.choice((
        (("sqrt", pow_(u, 2)), ("abs", u)),
        (("sqrt", mul(num(a[1] ** 2), add(pow_(X, 2), a))), mul(a, ("sqrt", add(pow_(X, 2), a)))),
        (("sqrt", add(pow_(X, 4), mul(num(2 * a[1]), pow_(X, 2)), num(a[1] ** 2))), add(pow_(X, 2), a)),
        (div(num(1), sub(("sqrt", add(pow_(X, 2), a)), X)), div(add(("sqrt", add(pow_(X, 2), a)), X), a)),
        (pow_(("sqrt", add(pow_(X, 2), a)), 2), add(pow_(X, 2), a)),
        (("sqrt", add(X, mul(num(2), ("sqrt", sub(X, num(1)))))), add(num(1), ("sqrt", sub(X, num(1))))),
    ))  # fmt: skip


def _trig(draw: Draw) -> Pair:
    u = argument(draw)
    s, c, twice = ("sin", u), ("cos", u), mul(num(2), u)
    return draw.choice((
        (pow_(s, 2), sub(num(1), pow_(c, 2))), (("sin", twice), mul(num(2), s, c)),
        (("cos", twice), sub(mul(num(2), pow_(c, 2)), num(1))),
        (("sin", add(X, Y)), add(mul(("sin", X), ("cos", Y)), mul(("cos", X), ("sin", Y)))), (("tan", u), div(s, c)),
        (pow_(c, 3), div(add(mul(num(3), c), ("cos", mul(num(3), u))), num(4))),
        (mul(("sin", X), ("cos", Y)), div(add(("sin", add(X, Y)), ("sin", sub(X, Y))), num(2))),
        (("abs", s), ("sqrt", sub(num(1), pow_(c, 2)))), (("sinh", twice), mul(num(2), ("sinh", u), ("cosh", u))),
        (("cosh", u), div(add(("pow", E, u), ("pow", E, mul(num(-1), u))), num(2))),
    ))  # fmt: skip


def _log(draw: Draw) -> Pair:
    a, p = small(draw), add(pow_(X, 2), small(draw))
    return draw.choice((
        (("ln", mul(a, p)), add(("ln", a), ("ln", p))), (("ln", pow_(p, 3)), mul(num(3), ("ln", p))), (("pow", E, ("ln", p)), p),
        (("ln", mul(p, add(pow_(Y, 2), a))), add(("ln", p), ("ln", add(pow_(Y, 2), a)))), (("ln", pow_(X, 2)), mul(num(2), ("ln",
        ("abs", X)))),
        (("ln", div(X, add(X, a))), sub(("ln", X), ("ln", add(X, a)))), (("ln", ("sqrt", p)), div(("ln", p), num(2))),
        (("arctan", mul(num(-1), X)), mul(num(-1), ("arctan", X))), (("sin", ("arctan", X)), div(X, ("sqrt", add(num(1), pow_(X, 2))))),
    ))  # fmt: skip


def _floor(draw: Draw) -> Pair:
    u, m = draw.choice((X, linear(draw, X), div(X, small(draw, 2)), pow_(X, 2), sub(X, Y))), signed(draw)
    half = num(Fraction(1, 2))
    return draw.choice((
        (("floor", add(u, m)), add(("floor", u), m)), (("ceil", u), mul(num(-1), ("floor", mul(num(-1), u)))),
        (add(("floor", X), ("floor", add(X, half))), ("floor", mul(num(2), X))), (("floor", ("floor", u)), ("floor", u)),
        (("floor", div(("floor", X), small_ := small(draw, 2, 6))), ("floor", div(X, small_))),
        (("ceil", X), ("cases", "eq", X, ("floor", X), X, add(("floor", X), num(1)))), (("ceil", add(u, m)), add(m, ("ceil", u))),
        (sub(X, ("floor", X)), sub(add(X, m), ("floor", add(X, m)))),
    ))  # fmt: skip


def _mod(draw: Draw) -> Pair:
    m, c = draw.randint(2, 12), draw.randint(1, 9)
    return draw.choice((
        (("mod", add(N, num(m * c)), num(m)), ("mod", N, num(m))), (("mod", ("mod", N, num(m * c)), num(m)), ("mod", N, num(m))),
        (("mod", mul(num(c), N), num(c * m)), mul(num(c), ("mod", N, num(m)))), (("mod", N, num(m)), sub(N, mul(num(m),
        ("floor", div(N, num(m)))))),
        (("mod", pow_(N, 2), num(2)), ("mod", N, num(2))), (("mod", add(pow_(N, 2), N), num(2)), num(0)),
        (("mod", N, num(2)), div(sub(num(1), ("pow", num(-1), N)), num(2))), (("mod", sub(pow_(N, 3), N), num(6)), num(0)),
        (("mod", add(N, K), num(m)), ("mod", add(("mod", N, num(m)), ("mod", K, num(m))), num(m))),
    ))  # fmt: skip


def _gcd(draw: Draw) -> Pair:
    a, c = draw.randint(2, 30), draw.randint(2, 9)
    return draw.choice((
        (("gcd", add(N, num(a)), num(a)), ("gcd", N, num(a))), (("gcd", mul(num(c), N), num(c * a)), mul(num(c), ("gcd", N, num(a)))),
        (("gcd", N, add(N, num(a))), ("gcd", N, num(a))), (mul(("gcd", N, num(a)), ("lcm", N, num(a))), mul(num(a), ("abs", N))),
        (("gcd", N, add(N, num(1))), num(1)), (("gcd", N, K), ("gcd", K, add(N, K))), (("gcd", ("gcd", N, num(a * c)), num(a)),
        ("gcd", N, num(a))),
        (("lcm", mul(num(c), N), mul(num(c), K)), mul(num(c), ("lcm", N, K))),
    ))  # fmt: skip


def _abs(draw: Draw) -> Pair:
    u, v = draw.choice((X, linear(draw, X), polynomial(draw, X, 2), sub(X, Y))), linear(draw, X)
    return draw.choice((
        (("abs", mul(u, v)), mul(("abs", u), ("abs", v))), (("abs", mul(num(-1), u)), ("abs", u)), (pow_(("abs", u), 2), pow_(u, 2)),
        (("abs", u), ("max", u, mul(num(-1), u))), (("abs", u), ("cases", "lt", u, num(0), mul(num(-1), u), u)), (("abs", u),
        ("sqrt", pow_(u, 2))),
        (("abs", add(pow_(u, 2), num(1))), add(pow_(u, 2), num(1))),
        (("abs", div(u, add(pow_(X, 2), num(1)))), div(("abs", u), add(pow_(X, 2), num(1)))),
        (add(("abs", X), ("abs", Y)), ("max", ("abs", add(X, Y)), ("abs", sub(X, Y)))),
    ))  # fmt: skip


def _extreme(draw: Draw) -> Pair:
    u, v, w = smooth(draw), draw.choice((num(draw.randint(-50, 50)), Y, linear(draw, X))), signed(draw)
    return draw.choice((
        (("max", u, v), div(add(u, v, ("abs", sub(u, v))), num(2))), (("min", u, v), sub(add(u, v), ("max", u, v))),
        (("max", ("max", u, v), w), ("max", u, ("max", v, w))), (("min", u, v), mul(num(-1), ("max", mul(num(-1), u), mul(num(-1), v)))),
        (("max", add(u, w), add(v, w)), add(("max", u, v), w)), (mul(("max", u, v), ("min", u, v)), mul(u, v)),
        (("max", u, v), ("cases", "lt", u, v, v, u)), (("max", ("min", u, v), u), u),
    ))  # fmt: skip


def _cases(draw: Draw) -> Pair:
    u, v, c = smooth(draw), smooth(draw), num(draw.randint(-30, 30))
    return draw.choice((
        (("cases", "lt", X, c, u, v), ("cases", "le", c, X, v, u)), (("cases", "eq", X, c, u, v), ("cases", "ne", X, c, v, u)),
        (("cases", "le", X, c, X, c), ("min", X, c)), (("cases", "lt", X, c, c, X), ("max", X, c)),
        (("cases", "eq", X, c, mul(num(2), c), add(X, c)), add(X, c)), (("cases", "lt", X, c, u, u), u),
        (add(("cases", "lt", X, c, u, v), Y), ("cases", "lt", X, c, add(u, Y), add(v, Y))),
        (("cases", "lt", X, c, sub(c, X), sub(X, c)), ("abs", sub(X, c))),
    ))  # fmt: skip


def _factorial(draw: Draw) -> Pair:
    f, a = ("factorial", N), draw.randint(1, 4)
    product = mul(*(add(N, num(k)) for k in range(1, a + 1)))
    return draw.choice((
        (("factorial", add(N, num(a))), mul(product, f)), (div(("factorial", add(N, num(a))), f), product),
        (sub(("factorial", add(N, num(1))), f), mul(N, f)), (div(f, ("factorial", add(N, num(1)))), div(num(1), add(N, num(1)))),
        (div(num(1), f), div(add(N, num(1)), ("factorial", add(N, num(1))))), (mul(f, add(pow_(N, 2), N)), mul(N,
        ("factorial", add(N, num(1))))),
    ))  # fmt: skip


def _binomial(draw: Draw) -> Pair:
    one, c = num(1), num(draw.randint(1, 5))
    return draw.choice((
        (("binom", add(N, one), add(K, one)), add(("binom", N, K), ("binom", N, add(K, one)))),
        (("binom", N, num(2)), div(mul(N, sub(N, one)), num(2))),
        (mul(add(K, one), ("binom", add(N, one), add(K, one))), mul(add(N, one), ("binom", N, K))),
        (("binom", add(N, c), c), ("binom", add(N, c), N)), (("binom", N, num(3)), div(mul(N, sub(N, one), sub(N, num(2))), num(6))),
        (("binom", mul(num(2), N), N), div(("factorial", mul(num(2), N)), pow_(("factorial", N), 2))),
        (add(("binom", N, num(1)), mul(num(2), ("binom", N, num(2)))), pow_(N, 2)),
    ))  # fmt: skip


def _sum(draw: Draw) -> Pair:
    m = draw.randint(3, 6)
    return draw.choice((
        (("sum", "j", 1, m, mul(J, X)), mul(num(m * (m + 1) // 2), X)),
        (("sum", "j", 1, m, sub(div(num(1), add(X, J)), div(num(1), add(X, J, num(1))))), sub(div(num(1), add(X, num(1))), div(num(1),
        add(X, num(m + 1))))),
        (("sum", "j", 0, m, ("pow", X, J)), add(num(1), *(pow_(X, k) if k > 1 else X for k in range(1, m + 1)))),
        (("sum", "j", 0, m - 1, ("floor", add(X, div(J, num(m))))), ("floor", mul(num(m), X))),
        (("sum", "j", 1, m, ("ln", add(pow_(X, 2), J))), ("ln", mul(*(add(pow_(X, 2), num(j)) for j in range(1, m + 1))))),
        (("sum", "j", 1, 3, ("abs", mul(J, X))), mul(num(6), ("abs", X))),
        (("sum", "j", 1, m, mul(num(2), ("sin", div(X, num(2))), ("cos", mul(J, X)))),
         sub(("sin", mul(num(Fraction(2 * m + 1, 2)), X)), ("sin", div(X, num(2))))),
    ))  # fmt: skip


IDENTITIES: dict[str, Callable[[Draw], Pair]] = {
    "polynomial": _expanded, "rational": _rational, "power": _power, "root": _root, "trig": _trig, "log": _log, "floor": _floor,
    "mod": _mod,
    "gcd": _gcd, "abs": _abs, "extreme": _extreme, "cases": _cases, "factorial": _factorial, "binomial": _binomial, "sum": _sum,
}  # fmt: skip
assert IDENTITIES.keys() == set(KINDS)
