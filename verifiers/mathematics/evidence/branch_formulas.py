"""The quotients of polynomials that an expression of one variable may be, whichever branch its absolute values, maxima and cases take.

More of them than there are do no harm: their zeros are only where a corner may lie.
"""

from fractions import Fraction

from verifiers.mathematics.arithmetic.exact_sums import (
    Call,
    Expr,
    Unreadable,
    add,
    atom,
    divide,
    multiply,
    power,
    rational,
    rebuilt,
    scale,
    subtract,
    sum_of,
    symbols,
)
from verifiers.mathematics.arithmetic.exact_values import Undefined
from verifiers.mathematics.arithmetic.interval_evaluation import Evaluation
from verifiers.mathematics.arithmetic.intervals import lower_end
from verifiers.mathematics.arithmetic.polynomials import Quotient, TooLarge, plus, times

_MOST_FORMULAS = 12  # of one argument


class NotAlgebraic(Exception):
    """Not a quotient of polynomials in the variable, whatever branch is taken."""


def formulas(value: Expr, name: str) -> list[Quotient]:
    """Every quotient of polynomials that the value may stand for on some stretch of the variable."""
    found: set[Quotient] = {((), (Fraction(1),))}
    for monomial, coefficient in value.terms:
        terms: set[Quotient] = {((coefficient,), (Fraction(1),))}
        for base, exponent in monomial:
            if base != name and not (isinstance(base, Call) and name in symbols(atom(base))):
                factors: list[Quotient] = [((value_of_constant(base, exponent),), (Fraction(1),))]
            elif exponent.denominator != 1:
                raise NotAlgebraic
            else:
                options = [((Fraction(0), Fraction(1)), (Fraction(1),))] if base == name else _formulas_of_call(base, name)
                factors = [_power(option, exponent.numerator) for option in options]
            terms = {(times(a, c), times(b, d)) for a, b in terms for c, d in factors}
            _refuse_too_many(terms)
        found = {_sum(one, other) for one in found for other in terms}
        _refuse_too_many(found)
    return sorted(found)


def _refuse_too_many(found: set[Quotient]) -> None:
    if len(found) > _MOST_FORMULAS:
        raise TooLarge


def _sum(one: Quotient, other: Quotient) -> Quotient:
    (a, b), (c, d) = one, other
    return (plus(a, c), b) if b == d else (plus(times(a, d), times(c, b)), times(b, d))


def _power(option: Quotient, exponent: int) -> Quotient:
    top, bottom = option if exponent > 0 else option[::-1]
    if not bottom:
        raise TooLarge
    result: Quotient = ((Fraction(1),), (Fraction(1),))
    for _ in range(abs(exponent)):
        result = (times(result[0], top), times(result[1], bottom))
    return result


def _formulas_of_call(base: str, name: str) -> list[Quotient]:
    assert isinstance(base, Call)
    one, minus = (Fraction(1),), (Fraction(-1),)
    match base.head:
        case "sum":
            return formulas(base.args[0], name)
        case "abs":
            inner = formulas(base.args[0], name)
            return [*inner, *((times(top, minus), bottom) for top, bottom in inner)]
        case "sgn":
            return [(one, one), (minus, one), ((), one)]
        case "max" | "min":
            return [option for arg in base.args for option in formulas(arg, name)]
        case "cases":
            return [option for arg in base.args[::3] for option in formulas(arg, name)]
        case "floor" | "ceil":
            shift = minus if base.head == "floor" else one
            inner = formulas(base.args[0], name)
            return [*inner, *(_sum(option, (shift, one)) for option in inner)]
        case "mod" if (modulus := base.args[1].rational) is not None:
            return [((), one), ((modulus,), one)]
    raise NotAlgebraic


def without_root(value: Expr) -> Expr:
    """A² - R² for a value A + R, R the one term with square roots: 0 wherever the value is."""
    rest = [term for term in value.terms if all(exponent.denominator == 1 for _, exponent in term[0])]
    roots = [term for term in value.terms if any(exponent.denominator == 2 for _, exponent in term[0])]
    if len(roots) != 1 or len(rest) + len(roots) < len(value.terms):
        raise NotAlgebraic
    a, r = sum_of(rest), sum_of(roots)
    return subtract(multiply(a, a), multiply(r, r))


def surd_roots(value: Expr, name: str) -> list[Expr] | None:
    """The zeros of a polynomial of at most second degree, with any constants as coefficients; None for other functions."""
    parts = [rational(0), rational(0), rational(0)]
    try:
        for monomial, coefficient in value.terms:
            degree = dict(monomial).get(name, Fraction(0))
            rest = tuple((base, exponent) for base, exponent in monomial if base != name)
            if degree not in (0, 1, 2) or symbols(sum_of([(rest, Fraction(1))])):
                return None
            parts[int(degree)] = add(parts[int(degree)], sum_of([(rest, coefficient)]))
        c, b, a = parts
        if not a.terms:
            return [scale(divide(c, b), Fraction(-1))]
        if a.rational is None or (square := subtract(multiply(b, b), scale(multiply(a, c), Fraction(4))).rational) is None:
            return None
        if square < 0:
            return []
        root = power(rational(square), rational(Fraction(1, 2)))
        return [scale(add(scale(b, Fraction(-1)), scale(root, sign)), 1 / (2 * a.rational)) for sign in (Fraction(1), Fraction(-1))]
    except Unreadable:
        return None


def value_of_constant(base: str, exponent: Fraction) -> Fraction:
    """The value of a constant atom under an exponent, to 150 bits."""
    try:
        evaluation = Evaluation({}, 150, False, "e")
        return lower_end(evaluation.power(evaluation.atom(base), exponent))
    except (Undefined, Unreadable):
        raise TooLarge from None


def is_irrational(value: Expr, name: str) -> bool:
    """Whether a coefficient of the variable is none that a fraction can be."""
    for monomial, _ in value.terms:
        for base, exponent in monomial:
            if isinstance(base, Call):
                if any(is_irrational(arg, name) for arg in base.args) or exponent.denominator != 1:
                    return True
            elif base != name:
                return True
    return False


def unsolved_atoms(value: Expr, name: str) -> set[str]:
    """The atoms with the variable that no polynomial has, and the variable where it stands by itself."""
    found: set[str] = set()
    for monomial, _ in value.terms:
        for base, exponent in monomial:
            if base == name:
                found.add(name)
            elif isinstance(base, Call) and name in symbols(atom(base)):
                if base.head == "sum" and exponent.denominator == 1:
                    found |= unsolved_atoms(base.args[0], name)
                else:
                    found.add(base)
    return found


def as_polynomial_in(value: Expr, only: str) -> Expr | None:
    """The value as a polynomial in one of its atoms, under the name of a dot."""

    def dot_or_sum(name: str) -> Expr | None:
        if name == only:
            return atom("·")
        if isinstance(name, Call) and name.head == "sum":
            return atom(Call("sum", rebuilt(name.args[0], dot_or_sum)))
        return None

    try:
        found = rebuilt(value, dot_or_sum)
        formulas(found, "·")
    except (NotAlgebraic, TooLarge, Unreadable):
        return None
    return found
