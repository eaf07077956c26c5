r"""Constants of integration under other names: C e^x is c_1 e^x, and C_1 e^x + C_2 e^{-x} is A e^x + B e^{-x}.

A constant may be renamed where it only multiplies or is added, where the rest of the answer has a variable, and where one side names it
c or C, with or without an index; c_1 and c_2 may change places. A and B are taken for constants only against those, k never: it
may be given. Left out: constants
that absorb a factor or a sign (2C for C, e^C for C).
"""

import re
from collections.abc import Iterator
from itertools import permutations

from verifiers.mathematics.answer_reading.values import Named, Relation, Value
from verifiers.mathematics.arithmetic.exact_sums import Call, Expr, Monomial, atom, symbols
from verifiers.mathematics.equality.statements import letters, renamed

_MOST = 3
_SURE = re.compile(r"[cC](?:_\d)?")
_POSSIBLE = frozenset({"A", "B"})


def under_other_names(left: Value, right: Value) -> Iterator[Value]:
    """The right side with its constants named as the left's, in every order that may be."""
    a, b = _constants(left), _constants(right)
    if not a or len(a) != len(b) or len(a) > _MOST or letters(left) - a != letters(right) - b or not letters(left) - a:
        return
    swapped = a == b and len(a) > 1 and all("_" in name for name in a)
    if not (swapped or (not a & b and any(all(map(_SURE.fullmatch, names)) for names in (a, b)))):
        return
    if not all(_only_multiplies(side, names) for side, names in ((left, a), (right, b))):
        return
    for order in permutations(sorted(a)):
        found = right
        for place, name in enumerate(sorted(b)):
            found = renamed(found, name, f"#c{place}")
        for place, name in enumerate(order):
            found = renamed(found, f"#c{place}", name)
        yield found


def _constants(value: Value) -> set[str]:
    return {name for name in letters(value) if name in _POSSIBLE or _SURE.fullmatch(name)}


def _only_multiplies(value: Value, names: set[str]) -> bool:
    match value:
        case Expr():
            return all(_is_linear(monomial, names) for monomial, _ in value.terms)
        case Named(value=inner):
            return _only_multiplies(inner, names)
        case Relation(sides=sides, ops=("=",)):
            return all(_only_multiplies(side, names) for side in sides)
    return False


def _is_linear(monomial: Monomial, names: set[str]) -> bool:
    inside = any(isinstance(base, Call) and symbols(atom(base)) & names for base, _ in monomial)
    powers = [exponent for base, exponent in monomial if base in names]
    return not inside and (not powers or powers == [1])
