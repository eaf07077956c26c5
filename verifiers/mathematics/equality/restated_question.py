"""Whether a statement about one variable is solved for it: an answer that is not may only restate the question.

2x + 1 = 11 has the solution x = 5, and 2x + 1 > 11 describes the interval (5, ∞): whoever echoes them has found neither. Solved is what has
the variable alone on each side where it stands, or its absolute value alone in the middle of a chain. Statements about several variables
(lines, circles) are answers in any form, but not for the expression that they give for one of the variables once solved for it; only
y + 1 = x may stand for x - 1, and xy = 6 for 6/x. A letter that falls out when both sides are subtracted is none of the statement's:
x + y = 5 + y is about x.
"""

from fractions import Fraction

from verifiers.mathematics.answer_reading.values import Everywhere, Named, Relation, Value, bare_symbol, parts
from verifiers.mathematics.arithmetic.exact_sums import Call, Expr, Unreadable, subtract, symbols


def needs_solving(value: Value, statement: Value) -> bool:
    """Whether one side is an expression, and the other an equation that would first have to be solved for it: (6 - 3x)/2, 3x + 2y = 6."""
    match value, statement:
        case Expr(), Relation(sides=(Expr() as left, Expr() as right), ops=("=",)) if symbols(value):
            missing = (symbols(left) | symbols(right)) - symbols(value)
            return len(missing) == 1 and not any(_is_shifted(side, name) for name in missing for side in (left, right))
    return False


def _is_shifted(side: Expr, name: str) -> bool:
    """y or y + 1"""
    rest = [(monomial, factor) for monomial, factor in side.terms if monomial]
    return symbols(side) == {name} and rest == [(((name, Fraction(1)),), Fraction(1))]


def is_unsolved(value: Value) -> bool:
    """Whether an equation or inequality about one variable in here is not solved for it."""
    match value:
        case Relation(sides=sides, ops=ops):
            found = [side for side in sides if isinstance(side, Expr)]
            if len(found) < len(sides) or "≡" in ops or len(_letters(found)) != 1:
                return False
            return ops == ("=",) or not all(_is_alone(side, in_chain=len(sides) == 3) for side in found)
        case Named(name=name, value=Expr() as side) if symbols(side) == {name}:  # x = 5 - x
            return True
        case Everywhere():
            return False
    return any(map(is_unsolved, parts(value)))


def _letters(sides: list[Expr]) -> set[str]:
    """The variables that a statement is about."""
    if len(sides) != 2:
        return set().union(*map(symbols, sides))
    try:
        return symbols(subtract(*sides))
    except Unreadable:
        return symbols(sides[0]) | symbols(sides[1])


def _is_alone(side: Expr, *, in_chain: bool) -> bool:
    """Whether this is a constant or the variable itself, or its opposite: -x > -1 is x < 1 turned round."""
    if not symbols(side):
        return True
    if len(side.terms) != 1 or abs(side.terms[0][1]) != 1 or len(side.terms[0][0]) != 1:
        return False
    name, exponent = side.terms[0][0][0]
    if isinstance(name, Call):
        return in_chain and name.head == "abs" and exponent == 1 and bool(bare_symbol(name.args[0]))
    return exponent == Fraction(1)
