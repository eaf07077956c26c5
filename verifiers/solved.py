"""Whether a statement about one variable is solved for it: an answer that is not may only restate the question.

2x + 1 = 11 has the solution x = 5, and 2x + 1 > 11 describes the interval (5, ∞): whoever echoes them has found neither. Solved is what has
the variable, its negative or its absolute value alone on each side where it stands. Statements about several variables (lines, circles)
are answers in any form.
"""

from fractions import Fraction

from verifiers.exact_sums import Call, Expr, symbols
from verifiers.math_values import Builder, Family, Group, Named, Relation, SetOf, Value, bare_symbol


def is_unsolved(value: Value) -> bool:
    """Whether an equation or inequality about one variable in here is not solved for it."""
    match value:
        case Relation(sides=sides, ops=ops):
            found = [side for side in sides if isinstance(side, Expr)]
            names = set().union(*map(symbols, found))
            return len(found) == len(sides) and "≡" not in ops and len(names) == 1 and not all(map(_is_alone, found))
        case Group(items=items):
            return any(map(is_unsolved, items))
        case Named(name=name, value=Expr() as side) if symbols(side) == {name}:  # x = 5 - x
            return True
        case Named(value=inner) | Family(value=inner):
            return is_unsolved(inner)
        case SetOf(left=left, right=right):
            return is_unsolved(left) or is_unsolved(right)
        case Builder(head=head, conditions=conditions):
            return is_unsolved(head) or any(map(is_unsolved, conditions))
    return False


def _is_alone(side: Expr) -> bool:
    if not symbols(side):
        return True
    if len(side.terms) != 1 or abs(side.terms[0][1]) != 1 or len(side.terms[0][0]) != 1:
        return False
    name, exponent = side.terms[0][0][0]
    if isinstance(name, Call):
        return name.head == "abs" and exponent == 1 and bool(bare_symbol(name.args[0]))
    return exponent == Fraction(1)
