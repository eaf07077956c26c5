"""Pairs of expressions whose truth is known: unequal ones that differ in one place, and equal ones by identities.

Each kind has expressions of its own, changes that matter only somewhere (beyond 10^6, at one integer, in one of two variables), and true
identities. An unequal pair is kept when a point is found at which both sides are defined and differ.
"""

import random
from collections.abc import Callable
from fractions import Fraction

from benchmarks.soundness.trees import Tree, add, div, mul, nodes, num, pow_, sub, var

X, Y, N, K = var("x"), var("y"), var("n"), var("k")
WHOLE_KINDS = frozenset({"mod", "gcd", "factorial", "binomial"})
Draw = random.Random


def small(draw: Draw, low: int = 1, high: int = 9) -> Tree:
    return num(draw.randint(low, high))


def signed(draw: Draw) -> Tree:
    return num(draw.choice((-1, 1)) * draw.randint(1, 9))


def linear(draw: Draw, at: Tree) -> Tree:
    return add(mul(num(draw.choice((1, 1, 2, 3, -1, -2))), at), num(draw.randint(-20, 20)))


def polynomial(draw: Draw, at: Tree = X, degree: int = 3) -> Tree:
    terms = [mul(signed(draw), pow_(at, k) if k > 1 else at) for k in range(degree, 0, -1) if draw.random() < 0.7 or k == degree]
    return add(*terms, signed(draw))


def smooth(draw: Draw, at: Tree = X) -> Tree:
    return draw.choice((at, linear(draw, at), polynomial(draw, at, 2), ("sin", at), div(num(1), add(pow_(at, 2), small(draw)))))


# ---------------------------------------------------------------- expressions of each kind


def _two(draw: Draw, at: Tree) -> Tree:
    return add(at, Y) if draw.random() < 0.3 else linear(draw, at)


def _powers(draw: Draw) -> Tree:
    exponential = ("pow", ("const", "e"), linear(draw, X))
    return draw.choice((("pow", num(draw.randint(2, 5)), _two(draw, X)), exponential, pow_(linear(draw, X), draw.randint(4, 7))))


def _roots(draw: Draw) -> Tree:
    return ("sqrt", draw.choice((pow_(linear(draw, X), 2), add(pow_(X, 2), small(draw)), linear(draw, X), pow_(X, 4))))


def _waves(draw: Draw) -> Tree:
    product = mul(("sin", X), ("cos", mul(small(draw), X)))
    return draw.choice((("sin", _two(draw, X)), pow_(("cos", linear(draw, X)), 2), ("tan", X), product))


def _logs(draw: Draw) -> Tree:
    return draw.choice((("ln", add(pow_(X, 2), small(draw))), ("ln", linear(draw, X)), ("arctan", linear(draw, X)), mul(X, ("ln", X))))


def _steps(draw: Draw) -> Tree:
    inside = draw.choice((linear(draw, X), div(linear(draw, X), small(draw, 2)), add(X, num(Fraction(1, draw.randint(2, 5))))))
    return (draw.choice(("floor", "ceil")), inside)


def _remainders(draw: Draw) -> Tree:
    of = draw.choice((N, linear(draw, N), pow_(N, 2), add(N, K), add(pow_(N, 2), N)))
    return ("mod", of, num(draw.choice((2, 3, 5, 7, 12, 97, 1009))))


def _divisors(draw: Draw) -> Tree:
    return (
        draw.choice(("gcd", "lcm")),
        draw.choice((N, add(N, small(draw)), mul(num(2), N))),
        draw.choice((num(draw.randint(2, 60)), K, N)),
    )


def _absolutes(draw: Draw) -> Tree:
    far = sub(X, num(draw.choice((100, 1000, 10**6))))
    return ("abs", draw.choice((linear(draw, X), polynomial(draw, X, 2), sub(X, Y), ("sin", X), far)))


def _extremes(draw: Draw) -> Tree:
    return (draw.choice(("max", "min")), smooth(draw), draw.choice((num(draw.randint(-50, 50)), Y, linear(draw, X))))


def _rows(draw: Draw) -> Tree:
    return ("cases", draw.choice(("lt", "le", "eq", "ne")), X, num(draw.randint(-30, 30)), smooth(draw), smooth(draw))


def _factorials(draw: Draw) -> Tree:
    f = ("factorial", N)
    return draw.choice((("factorial", add(N, small(draw, 0, 3))), mul(N, f), div(f, add(N, small(draw)))))


def _binomials(draw: Draw) -> Tree:
    return ("binom", draw.choice((N, add(N, small(draw, 0, 4)))), draw.choice((K, small(draw, 1, 6), num(draw.randint(7, 40)))))


def _sums(draw: Draw) -> Tree:
    j = var("j")
    body = draw.choice((mul(j, X), pow_(add(X, j), 2), ("floor", mul(j, X)), ("abs", sub(X, j)), ("sin", mul(j, X))))
    return ("sum", "j", draw.randint(0, 2), draw.randint(3, 6), body)


EXPRESSIONS: dict[str, Callable[[Draw], Tree]] = {
    "polynomial": lambda draw: polynomial(draw, X, draw.randint(2, 5)),
    "rational": lambda draw: div(polynomial(draw, X, 2), add(pow_(X, draw.choice((1, 2))), signed(draw))),
    "power": _powers, "root": _roots, "trig": _waves, "log": _logs, "floor": _steps, "mod": _remainders, "gcd": _divisors,
    "abs": _absolutes,
    "extreme": _extremes, "cases": _rows, "factorial": _factorials, "binomial": _binomials, "sum": _sums,
}  # fmt: skip
KINDS = tuple(EXPRESSIONS)


def in_context(draw: Draw, kind: str, inner: Tree) -> Callable[[Tree], Tree]:
    """Something around the place that differs: the same for both sides."""
    at = N if kind in WHOLE_KINDS else X
    shape = draw.randint(0, 6)
    other = polynomial(draw, at, 2)
    factor = signed(draw)
    match shape:
        case 0:
            return lambda tree: tree
        case 1:
            return lambda tree: add(tree, other)
        case 2:
            return lambda tree: mul(factor, tree)
        case 3:
            return lambda tree: add(other, mul(factor, tree))
        case 4:
            return lambda tree: pow_(tree, 2)
        case 5:
            return lambda tree: div(tree, add(pow_(at, 2), num(1)))
    return lambda tree: mul(tree, add(at, factor))


# ---------------------------------------------------------------- one place that differs

_SWAPS = {"sin": "cos", "cos": "sin", "floor": "ceil", "ceil": "floor", "max": "min", "min": "max", "gcd": "lcm", "lcm": "gcd",
    "tan": "sin",
          "ln": "arctan", "arctan": "sin", "abs": "floor", "sinh": "cosh", "cosh": "sinh"}  # fmt: skip
_OPS = {"lt": "le", "le": "lt", "eq": "ne", "ne": "eq"}


def changed(draw: Draw, kind: str, tree: Tree) -> tuple[Tree, Tree]:
    """The tree with one place changed: a node, or an addition that is 0 nearly everywhere; and what is 0 where that changes nothing."""
    if draw.random() < 0.45:
        bump = _bump(draw, kind)
        return (add(tree, bump) if draw.random() < 0.7 else mul(tree, add(num(1), bump))), bump
    return _node_changed(draw, kind, tree), num(1)


def _node_changed(draw: Draw, kind: str, tree: Tree) -> Tree:
    places = list(nodes(tree))
    return _replaced(tree, draw.randrange(len(places)), lambda node: _other(draw, kind, node))[0]


def _replaced(tree: Tree, at: int, change: Callable[[Tree], Tree]) -> tuple[Tree, int]:
    """The tree with its node number `at` changed; the count of nodes still to pass."""
    if at == 0:
        return change(tree), -1
    at -= 1
    items = list(tree)
    for k, item in enumerate(items):
        if isinstance(item, tuple) and at >= 0:
            items[k], at = _replaced(item, at, change)
    return tuple(items), at


def _other(draw: Draw, kind: str, node: Tree) -> Tree:
    head = node[0]
    if head == "num":
        if node[1].denominator == 1 and kind in WHOLE_KINDS:
            return num(node[1] + draw.choice((1, 2, 3)))
        return num(node[1] + draw.choice((1, -1, 1, 2, Fraction(1, 10**6))))
    if head == "var":
        return add(node, num(1)) if kind in WHOLE_KINDS or draw.random() < 0.5 else mul(num(-1), node)
    if head == "cases" and draw.random() < 0.6:
        return ("cases", _OPS[node[1]], *node[2:])
    if head in _SWAPS and draw.random() < 0.6:
        return (_SWAPS[head], *node[1:])
    if head == "sum":
        return (*node[:3], node[3] + 1, node[4])
    if kind in WHOLE_KINDS or draw.random() < 0.5:
        return add(node, num(1))
    return ("abs", node)


def _bump(draw: Draw, kind: str) -> Tree:
    """Not 0, but 0 at most points that one would try."""
    if kind in WHOLE_KINDS:
        at = draw.choice((N, N, K))
        far = num(draw.choice((30, 60, 200, 10**4, 10**6)))
        return draw.choice((
            ("floor", div(at, far)),
            ("binom", at, num(draw.choice((12, 25, 40, 60)))),
            sub(("gcd", at, num(draw.choice((101, 1009)))), num(1)),
            sub(("mod", at, num(draw.choice((97, 1009)))), ("mod", at, num(draw.choice((98, 1013))))),
            sub(("max", at, far), far),
            ("cases", "eq", at, num(draw.randint(1, 99)), num(1), num(0)),
            sub(("mod", at, num(2)), ("mod", pow_(at, 2), num(4 if draw.random() < 0.5 else 3))),
        ))  # fmt: skip
    at = draw.choice((X, X, Y))
    far = num(draw.choice((30, 50, 1000, 10**6, 10**9)))
    return draw.choice((
        ("max", num(0), sub(at, far)),
        ("min", num(0), add(at, far)),
        ("floor", div(("abs", at), far)),
        sub(("abs", sub(at, far)), sub(far, at)),
        ("cases", "eq", at, num(draw.randint(-40, 40)), num(1), num(0)),
        ("cases", draw.choice(("lt", "le")), at, far, num(0), smooth(draw, at)),
        sub(("sqrt", pow_(sub(at, far), 2)), sub(far, at)),
        ("max", num(0), sub(num(Fraction(1, 10**6)), ("abs", sub(at, num(draw.randint(-9, 9)))))),
        num(Fraction(1, 10 ** draw.choice((20, 34)))) if draw.random() < 0.2 else sub(("floor", at), ("ceil", sub(at, num(1)))),
    ))  # fmt: skip
