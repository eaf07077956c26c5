r"""Equations, inequalities and congruences as statements.

An equation is its left side minus its right, up to a constant factor; it also equals the expression that it gives for one variable that
the expression lacks (xy = 6 and 6/x). An inequality is the same up to a positive factor. Left out: solving anything of higher degree.
"""

import re
from dataclasses import replace
from fractions import Fraction
from functools import reduce

from verifiers.mathematics.answer_reading.values import (
    FLIPPED,
    Group,
    Listing,
    Matrix,
    Named,
    Quantity,
    Ratio,
    Relation,
    Tuple,
    Unparsed,
    Value,
    bare_symbol,
)
from verifiers.mathematics.arithmetic.exact_sums import (
    Call,
    Expr,
    Unreadable,
    atom,
    divide,
    multiply,
    rational,
    scale,
    substitute,
    subtract,
    symbols,
)
from verifiers.mathematics.equality.letters import letters_of
from verifiers.mathematics.equality.real_sets import linear_parts
from verifiers.mathematics.evidence.certified_comparison import ratio_sign, same

_ANGLE_LETTERS = frozenset({"alpha", "beta", "gamma", "theta", "phi", "varphi"})
_VALUE = r"[A-Za-z](?:_\w+)?\(.*\)"  # f(x), f(2)
_FIGURES = ("angle:", "triangle:", "widehat:", "overarc:", "overline:")


def equation(value: Value) -> Expr | None:
    """left - right of an equation between expressions, or of y = value or f(x) = value."""
    match value:
        case Relation(sides=(Expr() as left, Expr() as right), ops=("=",)):
            pass
        case Named(name=name, value=Expr() as right) if len(name) == 1 or (len(name) > 1 and name[1] == "_"):
            left = atom(name)
        case Named(name=name, value=Expr() as right) if len(name) <= 3 and name.isalpha():  # xy = 6 is read as a name first
            left = reduce(multiply, map(atom, name))
        case Named(name=name, value=Expr() as right) if re.fullmatch(_VALUE, name):
            left = atom(name)
        case Relation(sides=(Ratio(items=(Expr() as a, Expr() as b)), Ratio(items=(Expr() as c, Expr() as d)))):
            try:
                left, right = divide(a, b), divide(c, d)
            except Unreadable:
                return None
        case _:
            return None
    try:
        return subtract(left, right)
    except Unreadable:
        return None


def named_quantity(value: Value) -> Value | None:
    r"""What an equation says of a quantity that is only named by its left side: |AB| = 1, AB:CD = 1:2, \\frac{V_1}{V_2} = 3, \\cos A = 1/2;
    and of a matrix, B^{-1} = ...

    Capitals name points, figures and their measures; small letters are unknowns, so that x + y = 7 or x/y = 7 is more than 7. A ratio of
    letters that equals a ratio of as many numbers names it, in letters of any size.
    """
    match value:
        case Relation(sides=(left, right), ops=("=",)):
            pass
        case _:
            return None
    if isinstance(left, Ratio):
        ratio = isinstance(right, Ratio) and len(right.items) == len(left.items)
        bare = all(isinstance(item, Expr) and bare_symbol(item) for item in left.items)
        return right if (ratio and bare) or all(isinstance(item, Expr) and _is_measure(item) for item in left.items) else None
    constant = isinstance(right, Expr | Quantity | Matrix) and not letters_of(right)
    return right if constant and isinstance(left, Expr) and _is_measure(left) else None


def _is_measure(value: Expr) -> bool:
    """One product or quotient of capital letters, angles, or one function of them."""
    if len(value.terms) != 1 or value.terms[0][1] != 1:
        return False
    monomial = value.terms[0][0]
    if len(monomial) == 1 and isinstance(name := monomial[0][0], Call):
        trigonometric = name.head in ("sin", "cos", "tan", "cot")
        inner = name.args[0]
        angle = bare_symbol(inner) in _ANGLE_LETTERS or _is_measure(inner)
        return monomial[0][1] == 1 and ((trigonometric and angle) or (name.head == "abs" and _is_measure(inner)))
    return bool(monomial) and all(abs(e) == 1 and (name[0].isupper() or name.startswith(_FIGURES)) for name, e in monomial)


def root_name(item: Named) -> str:
    """x for x_1 and x_2: the roots of an equation have no order; the terms of a sequence a_1, a_2 have one."""
    base, _, index = item.name.partition("_")
    return base if base in ("x", "z") and index.isdigit() else item.name


def as_tuple(group: Group) -> Group:
    """x = 1, y = 2 as (1, 2): values of different single letters, in the order of the alphabet."""
    items = [item for item in group.items if isinstance(item, Named)]
    names = [item.name for item in items]
    if (
        not isinstance(group, Listing)
        or len(items) != len(group.items)
        or len(set(names)) != len(names)
        or any(len(n.partition("_")[0]) > 1 for n in names)
    ):
        return group
    return Tuple(tuple(item.value for item in sorted(items, key=lambda item: item.name)))


def is_interval_beside_points(left: Value, right: Value) -> bool:
    r"""x \in [2,3] or x \in (2,3) beside a vector or a list: an interval is neither, though their brackets and numbers may be the same."""
    for one, other in ((left, right), (right, left)):
        shape = other.value if isinstance(other, Named) else other
        if isinstance(shape, Listing | Matrix) and isinstance(one, Named) and one.member:
            return isinstance(one.value, Tuple)
    return False


def in_order_of(left: Named, right: Named) -> Named:
    """(y, x) = (2, 1) as (x, y) = (1, 2), where the other side names the same letters in that order."""
    names, others = (side.name[1:-1].split(",") if side.name.startswith("(") else [] for side in (left, right))
    if names == others or sorted(names) != sorted(others) or len(set(names)) != len(names) or not isinstance(right.value, Tuple):
        return right
    pair = right.value
    if len(pair.items) != len(names) or pair.opening != "(":
        return right
    return Named(left.name, replace(pair, items=tuple(pair.items[others.index(name)] for name in names)))


def is_shuffled(left: Value, right: Value) -> bool:
    """Whether the one side with names gives a tuple for (z, y, x): letters that have an order, in another one."""
    named = [side for side in (left, right) if isinstance(side, Named)]
    if len(named) != 1 or not named[0].name.startswith("("):
        return False
    names = named[0].name[1:-1].split(",")
    if len({name[:2] for name in names}) == 1 and all(name[1:2] == "_" and name[2:].isdigit() for name in names):
        order = [int(name[2:]) for name in names]
        return order != sorted(order)
    return names != sorted(names) and any(set(names) <= set(letters) for letters in ("abcdef", "pqrs", "uv", "xyz"))


def name_each_other(left: Named, right: Named) -> bool:
    """x = 2y and y = x/2: each name is a letter of the other's value; or xy = 1 and y = 1/x: one is a letter of the other's product."""
    for one, other in ((left.name, right.name), (right.name, left.name)):
        if len(one) == 1 and 2 <= len(other) <= 3 and other.isalpha() and one in other:
            return True
        if one.isalpha() and other.isalpha() and len(one) == 1 and 2 <= len(other) <= 3 and len(set(other)) == len(other):
            mine, others = (left.value, right.value) if one == left.name else (right.value, left.value)
            if letters_of(others) == {one} and letters_of(mine) == set(other):
                return True  # F = ma and ma = F
    return left.name != right.name and left.name in letters_of(right.value) and right.name in letters_of(left.value)


def same_equation(left: Expr, right: Expr) -> bool:
    from verifiers.mathematics.equality.cleared_equations import same_when_cleared  # needed by few answers

    if ratio_sign(left, right) != 0 or same_when_cleared(left, right):
        return True
    names = symbols(left) & symbols(right)
    return any(_solutions_agree(left, right, name) for name in sorted(names)) if symbols(left) == symbols(right) else False


def _solutions_agree(left: Expr, right: Expr, name: str) -> bool:
    solutions = [_solution(side, name) for side in (left, right)]
    return all(solutions) and same(*[found for found in solutions if found])


def _solution(statement: Expr, name: str) -> Expr | None:
    """The value of a symbol from an equation of first degree in it, whose factor is one term that does not vanish where it holds."""
    try:
        slope, rest = linear_parts(statement, name)
        if len(slope.terms) != 1:
            return None
        if (free := symbols(slope)) and substitute(rest, {other: rational(0) for other in free}).rational in (None, 0):
            return None
        return divide(scale(rest, Fraction(-1)), slope)
    except Unreadable:
        return None


def in_one_case(left: Expr, right: Expr) -> Expr:
    """The right side with the letters of the left, where they differ in case alone and one names points: s_{mbcn} and S_{MBCN}."""
    mine, others = ({name.lower(): name for name in symbols(side)} for side in (left, right))
    points = any(len(name.partition("_")[2]) > 2 for name in mine)
    if not points or mine.keys() != others.keys() or (len(mine), len(others)) != (len(symbols(left)), len(symbols(right))):
        return right
    return substitute(right, {others[name]: atom(mine[name]) for name in mine if mine[name] != others[name]})


def gives_value(statement: Expr, value: Expr) -> bool:
    """Whether an equation says that a variable which the value lacks is the value: of two variables at least (`restated_question.py`)."""
    missing = symbols(statement) - symbols(value)
    if len(missing) != 1 or not symbols(value) <= symbols(statement):
        return False
    found = _solution(statement, missing.pop())
    return found is not None and same(found, value)


def same_relation(left: Relation, right: Relation) -> bool:
    if left.ops == ("≡",) or right.ops == ("≡",):
        return left.ops == right.ops and _same_congruence(left, right)
    if left.ops != right.ops or not _same_sides(left, right):
        right = _turned_round(right)
    if left.ops != right.ops:  # one link whose direction differs because both sides were multiplied by -1
        right = _turned_round(right)
        return left.ops == right.ops and _same_up_to_factor(left, right)
    return _same_sides(left, right) or _same_up_to_factor(left, right)


def _turned_round(relation: Relation) -> Relation:
    """3 > x as x < 3"""
    return Relation(relation.sides[::-1], tuple(FLIPPED.get(op, op) for op in relation.ops[::-1]))


def _same_sides(left: Relation, right: Relation) -> bool:
    pairs = list(zip(left.sides, right.sides, strict=False))
    return len(left.sides) == len(right.sides) and all(
        a == b or (isinstance(a, Expr) and isinstance(b, Expr) and same(a, b)) for a, b in pairs
    )


def _same_up_to_factor(left: Relation, right: Relation) -> bool:
    if len(left.ops) != 1:
        return False
    match left.sides, right.sides:
        case (Expr() as a, Expr() as b), (Expr() as c, Expr() as d):
            try:
                ratio = ratio_sign(subtract(a, b), subtract(c, d))
            except Unreadable:
                return False
            return ratio != 0 if left.ops[0] in ("=", "\\ne") else ratio > 0
    return False


def _same_congruence(left: Relation, right: Relation) -> bool:
    (x, a, m), (y, b, n) = left.sides, right.sides
    if (x != y and Unparsed("") not in (x, y)) or m != n or not (isinstance(a, Expr) and isinstance(b, Expr) and isinstance(m, Expr)):
        return False
    difference, modulus = subtract(a, b).rational, m.rational
    return difference is not None and modulus is not None and modulus != 0 and (difference / modulus).denominator == 1
