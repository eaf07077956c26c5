r"""Sets of real numbers: unions of intervals and points, from interval notation, inequalities, set-builder notation and set algebra.

Ends are exact and compared with certainty; ends with variables only by equality, in the order written. `real_set` is None for what is not
such a set, and for inequalities other than of a linear or quadratic polynomial in one variable, or of the absolute value of a linear one.
A pair (a,b) is an open interval only beside something that can be nothing but a set.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import cmp_to_key
from typing import NamedTuple

from verifiers.mathematics.answer_reading.values import (
    FLIPPED,
    Builder,
    FiniteSet,
    Listing,
    Named,
    NumberSet,
    Relation,
    SetOf,
    Tuple,
    Value,
    bare_symbol,
)
from verifiers.mathematics.arithmetic.exact_sums import (
    Call,
    Expr,
    Monomial,
    Unreadable,
    add,
    atom,
    atoms,
    divide,
    multiply,
    power,
    rational,
    scale,
    subtract,
    sum_of,
    symbols,
)
from verifiers.mathematics.evidence.certified_comparison import difference_sign, same, sign

INFINITY = atom("∞")
MINUS_INFINITY = scale(INFINITY, Fraction(-1))


Cut = tuple[Expr, bool]
"""A place between numbers: just before this one, or (True) just behind it."""


class Piece(NamedTuple):
    low: Expr
    high: Expr
    low_closed: bool
    high_closed: bool

    @property
    def start(self) -> Cut:
        return self.low, not self.low_closed

    @property
    def end(self) -> Cut:
        return self.high, self.high_closed


class RealSet(NamedTuple):
    pieces: tuple[Piece, ...]
    variable: str = ""


_OPPOSITE = {">": "\\le", "\\ge": "<", "\\ne": "="}
LINE = Piece(MINUS_INFINITY, INFINITY, False, False)
_POSITIVE = Piece(rational(0), INFINITY, False, False)
_NUMBER_SETS = {
    "R": LINE,
    "R+": _POSITIVE,
    "R>": _POSITIVE,
    "R>=": Piece(rational(0), INFINITY, True, False),
    "R-": Piece(MINUS_INFINITY, rational(0), False, False),
}


def is_set(value: Value) -> bool:
    """Whether this can be nothing but a set of numbers: a pair in brackets could also be a point."""
    match value:
        case Relation(ops=ops):
            return "=" not in ops and "≡" not in ops
        case SetOf() | Builder() | NumberSet() | FiniteSet(items=()):
            return True
        case Listing(joint=joint):
            return bool(joint) or _is_exclusion(value)
        case Named(value=inner):
            return is_set(inner)
    return False


def _is_exclusion(value: Listing) -> bool:
    r"""x \\ne 1, x \\ne 2: all of it holds."""
    return len(value.items) > 1 and all(isinstance(item, Relation) and item.ops == ("\\ne",) for item in value.items)


def real_set(value: Value) -> RealSet | None:
    try:
        return _to_real_set(value)
    except Unreadable:
        return None


def same_set(left: RealSet, right: RealSet) -> bool:
    if len(left.pieces) != len(right.pieces) or (left.variable and right.variable and left.variable != right.variable):
        return False
    rest = list(right.pieces)
    for piece in left.pieces:
        found = next((other for other in rest if _same_piece(piece, other)), None)
        if found is None:
            return False
        rest.remove(found)
    return True


def _same_piece(a: Piece, b: Piece) -> bool:
    closed = (a.low_closed, a.high_closed) == (b.low_closed, b.high_closed)
    return closed and same(a.low, b.low) and same(a.high, b.high)


def _to_real_set(value: Value) -> RealSet:
    match value:
        case NumberSet(name=name) if name in _NUMBER_SETS:
            return RealSet((_NUMBER_SETS[name],))
        case FiniteSet(items=items):
            return RealSet(_union([Piece(_real_number(item), _real_number(item), True, True) for item in items]))
        case Tuple(items=(low, high), opening=opening, closing=closing):
            return RealSet((_interval(_real_number(low), _real_number(high), opening == "[", closing == "]"),))
        case Listing(items=items, joint=joint) if joint or _is_exclusion(value):
            return _combine([_to_real_set(item) for item in items], union=joint == "or" and not _is_exclusion(value))
        case Relation():
            return _solve_relation(value)
        case Named(name=name, value=Expr() as point):
            return RealSet((Piece(point, point, True, True),), name)
        case Named(name=name, value=inner):
            return RealSet(_to_real_set(inner).pieces, name)
        case SetOf(op=op, left=left, right=right):
            if op == "∪":
                return _combine([_to_real_set(part) for part in _parts_of_union(value)], union=True)
            a, b = _to_real_set(left), _to_real_set(right)
            return _combine([a, b if op == "∩" else RealSet(_complement(b.pieces), b.variable)], union=False)
        case Builder(head=head, conditions=conditions):
            return _set_of_builder(head, conditions)
    raise Unreadable


def _parts_of_union(value: Value) -> list[Value]:
    """What a chain of unions joins, so that it is sorted once."""
    parts: list[Value] = []
    while isinstance(value, SetOf) and value.op == "∪":
        parts.append(value.right)
        value = value.left
    return [value, *reversed(parts)]


def _real_number(value: Value) -> Expr:
    if not isinstance(value, Expr) or "i" in atoms(value):
        raise Unreadable
    return value


def _set_of_builder(head: Value, conditions: tuple[Value, ...]) -> RealSet:
    sets = [_to_real_set(condition) for condition in conditions]
    if isinstance(head, Named):
        sets.append(_to_real_set(head))
        name = head.name
    else:
        name = bare_symbol(_real_number(head))
    if any(found.variable != name for found in sets):
        raise Unreadable
    return RealSet(_combine(sets, union=False).pieces)


def _interval(low: Expr, high: Expr, low_closed: bool, high_closed: bool) -> Piece:
    order = _compare(low, high)
    if order == 1 or (order == 0 and not (low_closed and high_closed)):
        raise Unreadable
    return Piece(low, high, low_closed and low != MINUS_INFINITY, high_closed and high != INFINITY)


def _compare(a: Expr, b: Expr) -> int | None:
    if a == b:
        return 0
    if a == MINUS_INFINITY or b == INFINITY:
        return -1
    if a == INFINITY or b == MINUS_INFINITY:
        return 1
    if (x := a.rational) is not None and (y := b.rational) is not None:
        return (x > y) - (x < y)
    return difference_sign(a, b)


def _sure_order(a: Expr, b: Expr) -> int:
    if (order := _compare(a, b)) is None:
        raise Unreadable
    return order


# ---------------------------------------------------------------- inequalities


def _solve_relation(relation: Relation) -> RealSet:
    """The numbers for which every link of a chain holds; linear in its one variable, or with that variable alone on its sides."""
    sides = [_real_number(side) for side in relation.sides]
    names = set().union(*(symbols(side) for side in sides))
    if len(names) > 1:
        alone = {bare_symbol(side) for side in sides} & names
        middle = bare_symbol(sides[1]) if len(sides) == 3 else ""
        names = {middle} if middle else alone
    if len(names) != 1:
        raise Unreadable
    name = names.pop()
    links = [_solve_link(a, op, b, name) for a, op, b in zip(sides, relation.ops, sides[1:], strict=False)]
    if len(links) == 2 and all(len(link) == 1 for link in links):
        low = next((link[0] for link in links if link[0].high == INFINITY), None)
        high = next((link[0] for link in links if link[0].low == MINUS_INFINITY), None)
        if low and high and low is not high:
            return RealSet((_interval(low.low, high.high, low.low_closed, high.high_closed),), name)
    return _combine([RealSet(link, name) for link in links], union=False)


def _solve_link(left: Expr, op: str, right: Expr, name: str) -> tuple[Piece, ...]:
    if INFINITY in (left, right) or MINUS_INFINITY in (left, right):
        if (left == MINUS_INFINITY or right == INFINITY) and op in ("<", "\\le"):
            return (LINE,)
        raise Unreadable
    difference = subtract(left, right)
    try:
        slope, rest = linear_parts(difference, name)
    except Unreadable:
        return _solve_bent(difference, op, name)
    direction = sign(slope)
    if not direction:
        raise Unreadable
    bound = scale(divide(rest, slope), Fraction(-1))
    if op in ("=", "\\ne"):
        point = (Piece(bound, bound, True, True),)
        return point if op == "=" else (Piece(MINUS_INFINITY, bound, False, False), Piece(bound, INFINITY, False, False))
    if op not in FLIPPED:
        raise Unreadable
    closed = op in ("\\le", "\\ge")
    below = (direction == 1) == (op in ("<", "\\le"))
    return (Piece(MINUS_INFINITY, bound, False, closed) if below else Piece(bound, INFINITY, closed, False),)


def _solve_bent(difference: Expr, op: str, name: str) -> tuple[Piece, ...]:
    """Where difference op 0, for a difference a|L| + b with L linear, or a polynomial of second degree with known coefficients."""
    if op in _OPPOSITE:
        return _complement(_solve_bent(difference, _OPPOSITE[op], name))
    calls = {inner for monomial, _ in difference.terms for inner, _ in monomial if isinstance(inner, Call) and name in symbols(atom(inner))}
    absolute = calls.pop() if len(calls) == 1 else None
    if absolute is not None and absolute.head == "abs":
        leading, rest = linear_parts(difference, absolute)
        if name in symbols(rest):
            raise Unreadable
    else:
        absolute = None
        leading, b, c = _coefficients(difference, name)
    if (direction := _sign(leading)) <= 0:
        if not direction:
            raise Unreadable
        return _solve_bent(scale(difference, Fraction(-1)), FLIPPED[op], name)
    if absolute is not None:
        bound = scale(divide(rest, leading), Fraction(-1))
        inner, below = absolute.args[0], scale(bound, Fraction(-1))
        if op == "=":
            return _union([*_solve_link(inner, "=", bound, name), *_solve_link(inner, "=", below, name)]) if _sign(bound) >= 0 else ()
        ends = _solve_link(inner, op, bound, name), _solve_link(inner, FLIPPED[op], below, name)
        return tuple(piece for high in ends[0] for low in ends[1] for piece in _intersection(high, low))
    discriminant = subtract(multiply(b, b), scale(multiply(leading, c), Fraction(4)))
    if (size := _sign(discriminant)) < 0:
        return ()
    root, middle, width = power(discriminant, rational(Fraction(1, 2))), scale(b, Fraction(-1)), scale(leading, Fraction(2))
    low, high = divide(subtract(middle, root), width), divide(add(middle, root), width)
    if op == "=":
        return tuple(Piece(point, point, True, True) for point in ((low, high) if size else (low,)))
    return (Piece(low, high, op == "\\le", op == "\\le"),) if size or op == "\\le" else ()


def _sign(value: Expr) -> int:
    if (found := sign(value)) is None:
        raise Unreadable
    return found


def _coefficients(value: Expr, name: str) -> tuple[Expr, Expr, Expr]:
    """a, b, c of a x² + b x + c."""
    found: list[list[tuple[Monomial, Fraction]]] = [[], [], []]
    for monomial, coefficient in value.terms:
        powers = dict(monomial)
        exponent = powers.pop(name, Fraction(0))
        if exponent not in (0, 1, 2):
            raise Unreadable
        found[2 - int(exponent)].append((tuple(sorted(powers.items())), coefficient))
    a, b, c = (sum_of(terms) for terms in found)
    if any(symbols(part) for part in (a, b, c)):
        raise Unreadable
    return a, b, c


def linear_parts(value: Expr, name: str) -> tuple[Expr, Expr]:
    """The factor of a symbol and what is left, if the value is of first degree in it."""
    slope: list[tuple[Monomial, Fraction]] = []
    rest: list[tuple[Monomial, Fraction]] = []
    for monomial, coefficient in value.terms:
        powers = dict(monomial)
        exponent = powers.pop(name, None)
        if exponent not in (None, 1):
            raise Unreadable
        (rest if exponent is None else slope).append((tuple(sorted(powers.items())), coefficient))
    factor, constant = sum_of(slope), sum_of(rest)
    if name in atoms(factor) | atoms(constant):
        raise Unreadable
    return factor, constant


# ---------------------------------------------------------------- set algebra


def _combine(sets: list[RealSet], *, union: bool) -> RealSet:
    names = {found.variable for found in sets} - {""}
    if len(names) > 1 or not sets:
        raise Unreadable
    pieces = list(sets[0].pieces)
    for other in sets[1:]:
        pieces = [*pieces, *other.pieces] if union else [p for a in pieces for b in other.pieces for p in _intersection(a, b)]
    return RealSet(_union(pieces), names.pop() if names else "")


def _cut_order(left: Cut, right: Cut) -> int:
    return _sure_order(left[0], right[0]) or left[1] - right[1]


def _piece_between(start: Cut, end: Cut) -> Piece:
    return Piece(start[0], end[0], not start[1], end[1])


def _intersection(a: Piece, b: Piece) -> list[Piece]:
    start = a.start if _cut_order(a.start, b.start) > 0 else b.start
    end = a.end if _cut_order(a.end, b.end) < 0 else b.end
    return [_piece_between(start, end)] if _cut_order(start, end) < 0 else []


def _by_start(a: Piece, b: Piece) -> int:
    return _cut_order(a.start, b.start)


def _union(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Sorted, and what touches is one. Pieces whose ends have variables stay as they are."""
    if any(map(_has_variables, pieces)):
        return tuple(pieces)
    found: list[Piece] = []
    for piece in sorted(pieces, key=cmp_to_key(_by_start)):
        if found and _cut_order(piece.start, (last := found[-1]).end) <= 0:
            found[-1] = _piece_between(last.start, last.end if _cut_order(last.end, piece.end) > 0 else piece.end)
        else:
            found.append(piece)
    return tuple(found)


def _complement(pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
    if any(map(_has_variables, pieces)):
        raise Unreadable
    cuts = [LINE.start, *(cut for piece in pieces for cut in (piece.start, piece.end)), LINE.end]
    return tuple(_piece_between(start, end) for start, end in zip(cuts[::2], cuts[1::2], strict=True) if _cut_order(start, end) < 0)


def _has_variables(piece: Piece) -> bool:
    return bool(symbols(piece.low) or symbols(piece.high))
