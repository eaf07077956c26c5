r"""Two numbers under a policy: their units, percent signs, angles and multipliers, then the steps of the ladder above structure.

A number with a unit beside one without is the number; two units of one dimension are converted, others differ (`units.py`).
"""

from fractions import Fraction

from verifiers.mathematics.answer_reading.open_form import needs_algebra
from verifiers.mathematics.answer_reading.units import Dimension, read_unit
from verifiers.mathematics.answer_reading.values import Quantity
from verifiers.mathematics.arithmetic.exact_sums import PI, Expr, multiply, scale
from verifiers.mathematics.equality.policy import Policy
from verifiers.mathematics.evidence.certified_comparison import same
from verifiers.mathematics.evidence.rounding import is_rounding, is_within, rounds_to
from verifiers.verdict import Undecided


def with_unit(value: Expr | Quantity) -> tuple[Expr, str]:
    return (value, "") if isinstance(value, Expr) else (value.number, value.unit)


def same_number(gold: tuple[Expr, str], answer: tuple[Expr, str], policy: Policy) -> bool:
    (a, unit), (b, other) = gold, answer
    if unit.startswith("base") or other.startswith("base"):
        return unit[:4] == other[:4] and a == b
    (factor, dimension), (other_factor, other_dimension) = read_unit(unit), read_unit(other)
    if policy.units == "ignore":
        factor, dimension = _without_measure(unit, factor, dimension)
        other_factor, other_dimension = _without_measure(other, other_factor, other_dimension)
    if dimension == other_dimension:
        if policy.units == "match" and dimension and factor / _multiplier(unit) != other_factor / _multiplier(other):
            return False
        return same_amount(_scaled_by(a, factor), _scaled_by(b, other_factor), policy)
    if dimension and other_dimension:
        if policy.units == "match" or {dimension, other_dimension} != {_DEGREES, _RADIANS}:
            return False
        a, b = _in_radians(a) if dimension == _DEGREES else a, _in_radians(b) if other_dimension == _DEGREES else b
        return same_amount(a, b, policy)
    # From here on one side has no unit, and the size of the other's says nothing beside a bare number: 5 cm is 5.
    a, b = (_scaled_by(value, _multiplier(words)) for value, words in ((a, unit), (b, other)))
    if "percent" in (percents := dict(dimension or other_dimension)):
        if policy.percent != "either" or percents["percent"] != 1:
            return False
        as_parts = [_scaled_by(value, Fraction(1, 100)) if found else value for value, found in ((a, dimension), (b, other_dimension))]
        return same_amount(a, b, policy) or same_amount(as_parts[0], as_parts[1], policy)
    radians = policy.units == "convert" and _DEGREES in (dimension, other_dimension)
    if radians and same_amount(_in_radians(a) if dimension else a, _in_radians(b) if other_dimension else b, policy):
        return True
    return same_amount(a, b, policy)


_DEGREES: Dimension = (("angle", 1),)
_RADIANS: Dimension = (("radian", 1),)


def _in_radians(degrees: Expr) -> Expr:
    return multiply(scale(degrees, Fraction(1, 180)), PI)


def _without_measure(unit: str, factor: Fraction, dimension: Dimension) -> tuple[Fraction, Dimension]:
    """The unit without what it measures; a percent sign stays."""
    return (factor, dimension) if dimension == (("percent", 1),) else (_multiplier(unit), ())


def _multiplier(unit: str) -> Fraction:
    """The "million" of a unit."""
    return read_unit(" ".join(word for word in unit.split() if read_unit(word)[1] == ()))[0] if unit else Fraction(1)


def _scaled_by(value: Expr, factor: Fraction) -> Expr:
    return value if factor == 1 else scale(value, factor)


def same_amount(gold: Expr, answer: Expr, policy: Policy) -> bool:
    """Two numbers or expressions: the steps of the ladder above structure."""
    if same(gold, answer):
        return policy.note(_exact_step(gold, answer), gold, answer)
    if policy.rounded and (_is_rounded(gold, answer, policy) or _is_rounded(answer, gold, policy)):
        return policy.note("tolerance", gold, answer)
    if (policy.to_gold_digits and rounds_to(answer, gold)) or (policy.relative and is_within(answer, gold, policy.relative)):
        return policy.note("tolerance", gold, answer)
    if needs_algebra(gold) or needs_algebra(answer):
        return _by_algebra(gold, answer, policy) and policy.note("sympy", gold, answer)
    return False


def _by_algebra(gold: Expr, answer: Expr, policy: Policy) -> bool:
    """What the algebra system says; what is assumed of it where the decision goes on without it (`same_answer.decide`)."""
    from verifiers.mathematics.evidence.algebra_system import same_by_algebra

    if policy.assumed is not None and (gold, answer) in policy.failed:
        return policy.assumed
    try:
        return same_by_algebra(gold, answer)
    except Undecided:
        if policy.assumed is None:
            raise
        policy.failed.add((gold, answer))
        return policy.assumed


def _exact_step(gold: Expr, answer: Expr) -> str:
    if gold != answer:
        return "certified numerics"
    return "exact rational" if gold.rational is not None else "structure"


def _is_rounded(decimal: Expr, exact: Expr, policy: Policy) -> bool:
    return decimal.decimals >= 2 and not exact.decimals and is_rounding(decimal, exact, digits=policy.rounded)
