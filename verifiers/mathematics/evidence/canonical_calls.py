r"""Calls written alike, so that equal ones are one atom: ⌈x⌉ is -⌊-x⌋, ⌊x+2⌋ is ⌊x⌋+2, |2-2x| is 2|x-1|, min(a,b) is -max(-a,-b).

Every rule holds wherever either side is defined. `with_letters_for_corners` then puts a new letter for each function that has corners: what
is equal as functions of those letters is equal whatever they stand for.
"""

import math
from fractions import Fraction

from verifiers.mathematics.arithmetic.exact_functions import apply
from verifiers.mathematics.arithmetic.exact_sums import (
    CONSTANTS,
    Call,
    Expr,
    add,
    atom,
    atoms,
    call,
    called,
    multiply,
    power,
    rational,
    rebuilt,
    scale,
    subtract,
    sum_of,
)

_CORNERED = frozenset({"abs", "sgn", "floor", "ceil", "max", "min", "cases", "mod", "gcd", "lcm", "factorial", "binom"})


def normal_form(value: Expr) -> Expr:
    """The value with its calls in their usual form; Unreadable beyond the bounds of a sum."""
    if not any(isinstance(name, Call) for name in atoms(value)):
        return value
    return rebuilt(value, _usual_form)


def _usual_form(name: str) -> Expr | None:
    if not isinstance(name, Call):
        return None
    args = [normal_form(arg) for arg in name.args]
    minus = Fraction(-1)
    found: Expr
    match name.head:
        case "sum" | "pow" | "cases":
            found = called(name.head, args)
        case "ceil":
            found = scale(_floor(scale(args[0], minus)), minus)
        case "floor":
            found = _floor(args[0])
        case "abs" if args[0].terms:
            found = _absolute(args[0])
        case "max":
            found = _largest(args)
        case "min":
            found = scale(_largest([scale(arg, minus) for arg in args]), minus)
        case "gcd" | "lcm":
            found = apply(name.head, *_sorted_without_repeats(args))
        case _:
            found = apply(name.head, *args)
    return None if found == atom(name) else found


def _sorted_without_repeats(args: list[Expr]) -> list[Expr]:
    return sorted(set(args), key=lambda arg: repr(arg.terms))


def _largest(args: list[Expr]) -> Expr:
    """The maximum of what differs, a maximum among them opened."""
    flat: list[Expr] = []
    for arg in args:
        monomial, factor = arg.terms[0] if len(arg.terms) == 1 else ((), Fraction(0))
        inner = monomial[0] if len(monomial) == 1 and factor == 1 else ("", Fraction(0))
        opened = isinstance(inner[0], Call) and inner[0].head == "max" and inner[1] == 1
        flat += inner[0].args if opened and isinstance(inner[0], Call) else [arg]
    found = _sorted_without_repeats(flat)
    return call("max", *found) if len(found) > 1 else found[0]


def _floor(value: Expr) -> Expr:
    """Whole constants stand outside; what is left has one between 0 and 1."""
    constant = dict(value.terms).get((), Fraction(0))
    whole = math.floor(constant)
    return add(apply("floor", subtract(value, rational(whole))), rational(whole))


def _absolute(value: Expr) -> Expr:
    """A factor stands outside; the first coefficient left is 1, and a product is a product of absolute values."""
    monomial, first = value.terms[0]
    if len(value.terms) > 1:
        return scale(apply("abs", scale(value, 1 / first)), abs(first))
    total = rational(abs(first))
    for name, exponent in monomial:
        if exponent.denominator != 1 or name == "i":
            return apply("abs", value)
        if name.isdigit() or name in ("pi", "e") or (exponent.numerator % 2 == 0 and not isinstance(name, Call)):
            total = multiply(total, atom(name, exponent))
        else:
            total = multiply(total, power(apply("abs", atom(name)), rational(exponent)))
    return total


def without_common(left: Expr, right: Expr) -> tuple[Expr, Expr] | None:
    """Both sides without the terms that both have, and without a factor of all terms that no fraction can be; None where there are none."""
    a, b = dict(left.terms), dict(right.terms)
    terms = [[(m, c) for m, c in one.items() if other.get(m) != c] for one, other in ((a, b), (b, a))]
    monomials = [dict(monomial) for side in terms for monomial, _ in side]
    factor: list[tuple[str, Fraction]] = []
    for name, exponent in monomials[0].items() if monomials else ():
        found = [monomial.get(name, Fraction(0)) for monomial in monomials]
        if _not_rational(name, exponent) and (min(found) > 0 or max(found) < 0):
            factor.append((name, -(min(found) if exponent > 0 else max(found))))
    if not factor and len(terms[0]) == len(a):
        return None
    inverse = sum_of([(tuple(sorted(factor)), Fraction(1))])
    return multiply(sum_of(terms[0]), inverse), multiply(sum_of(terms[1]), inverse)


def _not_rational(name: str, exponent: Fraction) -> bool:
    return exponent.denominator != 1 or name in CONSTANTS or (isinstance(name, Call) and name.head not in _CORNERED | {"sum"})


def with_letters_for_corners(left: Expr, right: Expr) -> tuple[Expr, Expr] | None:
    """Both sides with a letter for each function with corners; None where they have none in common."""
    letters: dict[str, str] = {}

    def letter_or_call(name: str) -> Expr | None:
        if not isinstance(name, Call):
            return None
        if name.head in _CORNERED:
            return atom(letters.setdefault(name, f"·{len(letters)}"))
        return called(name.head, [rebuilt(arg, letter_or_call) for arg in name.args])

    found = rebuilt(left, letter_or_call), rebuilt(right, letter_or_call)
    return found if letters else None
