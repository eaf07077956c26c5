r"""Is the final answer of a response the gold one?

A ladder decides, and the first step that knows the answer ends it: the same string; the same exact rational number; the same exact sum
or structure; certified numerics (`certified.py`); the tolerance; and for integrals, limits, derivatives and sums with symbolic bounds an
algebra system in a process of its own (`simplify.py`). `explain` says which step it was.

A wrong answer accepted teaches the policy to be wrong, so everything here errs towards "different": no floating point, no tolerance but
the stated one, and no part of an answer ever stands for the whole. Policies that a reader might want otherwise:

- tolerance: 0.3333 is 1/3 and 3.1416 is pi, 3.14 and 3.1415 are not; `math_policy.py` defines this and the other tolerances;
- percent: 50 = 50\% and 1/2 = 50\%, but 50 and 0.5 differ; `percent="strict"` wants the sign on both sides or on neither;
- units: one side may lack its unit, two different units are converted where they measure the same thing and differ otherwise;
  `units="match"` wants the same unit where both have one (cm and centimetres are the same, cm and m are not); `units="ignore"` drops
  units of measure from both sides, but no percent sign, base or "million";
- closed form: where one side is written as a sum, product, gcd, maximum, remainder, integral, derivative or limit and the other is not,
  they differ, as such an answer may only restate the question; so do 2x + 1 = 11 and x = 5, of which only one is solved.
  `require_closed_form=False` compares values. A power, a binomial coefficient or a product of two numbers may restate a question too,
  and is let through. So is a question of conversion that is only repeated: 10 m/s is 36 km/h, 0.25 is 25\%, pi/4 is 45 degrees. Where
  problems ask for conversions, choose units="match" and percent="strict";
- names: x = 5 is 5, but x = 5 is not y = 5; a list of differently named values keeps its order against a list without names;
- letters: f(t) = t^2 is f(x) = x^2; a parameter has any name where an answer says "for all integers k", or beside pi;
- lists and sets have no order but do have multiplicities; tuples and intervals have order and brackets; an inequality is the interval
  that it describes, and a ratio a:b the number a/b.

Left out: what `latex_parse.py` leaves out, statements in words, and whether the answer is in the form that the problem asked for.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from verifiers.answer_phrases import same_undelimited, same_word_list
from verifiers.answer_words import read, read_beside, same_choice
from verifiers.answers import DEFAULT_EXTRACTORS, Extractor, extract_answer, without_thought
from verifiers.calculus import is_open_form, needs_algebra
from verifiers.certified import ratio_sign, same
from verifiers.domains import compatible
from verifiers.exact_sums import PI, Expr, Unreadable, divide, multiply, scale
from verifiers.free_constants import under_other_names
from verifiers.golds import gold_answer, is_solution, says_nothing
from verifiers.intervals import is_set, real_set, same_set
from verifiers.math_policy import DEFAULT_TOLERANCE, Percent, Policy, Units, make_policy
from verifiers.math_values import Builder, Everywhere, Family, Group, Named, Quantity, Relation, SetOf, Unparsed, Value, bare_symbol
from verifiers.matrices import as_written
from verifiers.problem import Problem
from verifiers.relations import (
    apart,
    as_tuple,
    equation,
    gives,
    named_quantity,
    one_letter_apart,
    renamed,
    root_name,
    same_equation,
    same_relation,
)
from verifiers.relations import letters as letters_of
from verifiers.rounding import is_rounding, is_within, rounds_to
from verifiers.solved import is_unsolved, needs_solving
from verifiers.units import Dimension, read_unit
from verifiers.verdict import Verdict, bad_gold, no_answer, right, wrong

_PLAIN = re.compile(r"[+-]?(?:[1-9]\d{0,2}(?:,\d{3})+|\d{1,400})(?:\.\d{1,400})?", re.ASCII)
_VARIABLES = frozenset("xtnmzsuyk")
_EXTREMES = frozenset({"min", "max", "Min", "Max", "Minimum", "Maximum", "minimum", "maximum"})


def verify(
    problem: Problem,
    response: str,
    *,
    percent: Percent = "either",
    tolerance: str = DEFAULT_TOLERANCE,
    units: Units = "convert",
    require_closed_form: bool = True,
    open_thought: bool = False,
) -> Verdict:
    """The answer is looked for as `answers.DEFAULT_EXTRACTORS` says, and judged by `equivalent` under the policy given."""
    return judge(
        problem,
        response,
        percent=percent,
        tolerance=tolerance,
        units=units,
        require_closed_form=require_closed_form,
        open_thought=open_thought,
    )


def judge(
    problem: Problem,
    response: str,
    *,
    extractors: tuple[Extractor, ...] = DEFAULT_EXTRACTORS,
    percent: Percent = "either",
    tolerance: str = DEFAULT_TOLERANCE,
    units: Units = "convert",
    require_closed_form: bool = True,
    open_thought: bool = False,
) -> Verdict:
    """`verify` with its policy as arguments; `functools.partial` makes a verifier of it. InputError where a policy is unknown."""
    policy = make_policy(percent, tolerance, units, require_closed_form)
    gold = gold_answer(problem.answer)
    if says_nothing(gold):
        return bad_gold(f"nothing to compare with in the gold answer {gold!r:.80}")
    answer = extract_answer(response, extractors, open_thought=open_thought)
    if answer is None and not open_thought and without_thought(response) is None:
        return no_answer("the thought never ends, so there is no final answer (open_thought=true would look inside)")
    if answer is None:
        return no_answer("no answer found by " + ", ".join(extractor.__name__ for extractor in extractors))
    same_, _ = decide(gold, answer.text, policy)
    if not same_ and is_solution(gold):
        return bad_gold(f'no answer can be read from the gold text {gold!r:.80} (no box, no ####, no "answer is"); give the answer alone')
    detail = f"{answer.place}: {answer.text!r:.120} {'equals' if same_ else 'is not'} {gold!r:.120}"
    return right(detail) if same_ else wrong(detail)


def explain(
    problem: Problem,
    response: str,
    *,
    extractors: tuple[Extractor, ...] = DEFAULT_EXTRACTORS,
    percent: Percent = "either",
    tolerance: str = DEFAULT_TOLERANCE,
    units: Units = "convert",
    require_closed_form: bool = True,
    open_thought: bool = False,
) -> Verdict:
    """The verdict of `judge`; its detail has one line each for what was extracted, how both sides were read, and what decided."""
    from verifiers.math_explain import reasons

    policy = make_policy(percent, tolerance, units, require_closed_form)
    verdict = judge(
        problem,
        response,
        extractors=extractors,
        percent=percent,
        tolerance=tolerance,
        units=units,
        require_closed_form=require_closed_form,
        open_thought=open_thought,
    )
    answer = extract_answer(response, extractors, open_thought=open_thought)
    return replace(verdict, detail=reasons(verdict, gold_answer(problem.answer), answer, policy))


def equivalent(
    gold: str,
    answer: str,
    *,
    percent: Percent = "either",
    tolerance: str = DEFAULT_TOLERANCE,
    units: Units = "convert",
    require_closed_form: bool = True,
) -> bool:
    """Whether two answers are the same. False where either cannot be read, unless they are the same tokens.

    Symmetric, except under the tolerances that `math_policy.py` calls otherwise.
    """
    return decide(gold, answer, make_policy(percent, tolerance, units, require_closed_form))[0]


def decide(gold: str, answer: str, policy: Policy) -> tuple[bool, str]:
    """Whether two answers are the same, and which step of the ladder said so; no step where only the policy's trace knows it."""
    gold, answer = gold.strip(), answer.strip()
    if not gold or not answer:
        return False, "nothing to compare"
    if gold == answer or (("$" in gold or "$" in answer) and same_undelimited(gold, answer)):
        return True, "string"
    if policy.symmetric and _PLAIN.fullmatch(gold) and _PLAIN.fullmatch(answer):
        return _canonical(gold) == _canonical(answer), "exact rational"
    left, right_ = read(gold), read(answer)
    left, right_ = read_beside(gold, left, right_), read_beside(answer, right_, left)
    if Unparsed("") in (left, right_):
        return False, "nothing to compare"
    if policy.require_closed_form:
        if is_open_form(gold) != is_open_form(answer):
            return False, "closed form"
        if is_unsolved(left) != is_unsolved(right_) or needs_solving(left, right_) or needs_solving(right_, left):
            return False, "unsolved"
    try:
        if _same(left, right_, policy):
            return True, ""
        if same_choice(gold, answer):
            return True, "choice"
        return (True, "words") if same_word_list(gold, answer) else (False, "")
    except Unreadable:
        return False, "beyond a bound"


def _canonical(number: str) -> str:
    """A plain integer or decimal without plus sign, commas, or zeros that do not count."""
    sign = "-" if number[0] == "-" else ""
    digits = number.lstrip("+-").replace(",", "").lstrip("0")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return sign + digits if digits else "0"


# ---------------------------------------------------------------- comparing


def _same(left: Value, right: Value, policy: Policy) -> bool:
    """Two whole answers; a letter that stands for anything may differ, but not what it ranges over."""
    if not compatible(left, right):
        return False
    letters = one_letter_apart(left, right)
    left, right = (side.value if isinstance(side, Family) else side for side in (left, right))
    if letters:
        right = renamed(right, letters[1], letters[0])
    return _same_value(left, right, policy) or any(_same_value(left, other, policy) for other in under_other_names(left, right))


def _same_value(left: Value, right: Value, policy: Policy) -> bool:
    if left == right:
        return policy.note("exact rational" if isinstance(left, Expr) and left.rational is not None else "structure", left, right)
    if (isinstance(left, Relation) and left.ops == ("=",)) != (isinstance(right, Relation) and right.ops == ("=",)):
        left, right = named_quantity(left) or left, named_quantity(right) or right
    if isinstance(left, Named) and isinstance(right, Named):
        if apart(left, right):
            a, b = equation(left), equation(right)
            return a is not None and b is not None and same_equation(a, b)
        left, right = _same_parameter(left, right)
        if left.name != right.name:
            return False
    if is_set(left) or is_set(right):
        found = _same_set(left, right, policy) or _same_order(left, right) or _same_order(right, left)
        return found and policy.note("structure", left, right)
    if (statements := _same_statement(left, right)) is not None:
        return statements and policy.note("structure", left, right)
    left, right = _by_name(left, right), _by_name(right, left)
    left, right = _unnamed(left), _unnamed(right)
    match left, right:
        case (Expr() | Quantity(), Expr() | Quantity()):
            return _same_number(_with_unit(left), _with_unit(right), policy)
        case Group(), Group():
            return _same_group(left, right, policy) and policy.note("structure", left, right)
        case Group(opening=":", items=(Expr() as a, Expr() as b)), Expr():
            return _same_amount(divide(a, b), right, policy)
        case Expr(), Group(opening=":", items=(Expr() as a, Expr() as b)):
            return _same_amount(left, divide(a, b), policy)
        case Everywhere(), Everywhere():
            return _same_value(left.condition, right.condition, policy) and _same_value(left.value, right.value, policy)
    return False


def _same_parameter(left: Named, right: Named) -> tuple[Named, Named]:
    """f(x) and f(t) as functions of one letter: a usual variable, or one that the value has. P(A) and f(a) are values at a point.

    y is f(x) where it is given by x alone.
    """
    if {left.name, right.name} == {"y", "f(x)"} and letters_of(left.value) | letters_of(right.value) == {"x"}:
        return Named("y", left.value), Named("y", right.value)
    (f, x), (g, t) = (named.name.rstrip(")").partition("(")[::2] for named in (left, right))
    free = all(letter in _VARIABLES or (letter.islower() and letter in letters_of(side.value)) for letter, side in ((x, left), (t, right)))
    if f and f == g and len(x) == len(t) == 1 and x != t and free:
        return Named(f"{f}(·)", renamed(left.value, x, "·")), Named(f"{g}(·)", renamed(right.value, t, "·"))
    return left, right


def _same_set(left: Value, right: Value, policy: Policy) -> bool:
    a, b = real_set(left), real_set(right)
    if a is not None and b is not None:
        return same_set(a, b)
    match _unnamed(left), _unnamed(right):
        case Relation() as left_, Relation() as right_:
            return same_relation(left_, right_)
        case SetOf() as left_, SetOf() as right_:
            return left_.op == right_.op and _same_value(left_.left, right_.left, policy) and _same_value(left_.right, right_.right, policy)
        case Builder() as left_, Builder() as right_:
            if letters := one_letter_apart(Family(tuple(sorted(letters_of(left_.head))), left_), right_):
                right_ = _renamed_builder(right_, *letters)
            return _same_value(left_.head, right_.head, policy) and _matched(left_.conditions, right_.conditions, policy)
        case Group() as left_, Group() as right_:
            return (left_.opening, left_.closing) == (right_.opening, right_.closing) and _matched(left_.items, right_.items, policy)
    return False


def _renamed_builder(builder: Builder, new: str, old: str) -> Builder:
    return Builder(renamed(builder.head, old, new), tuple(renamed(condition, old, new) for condition in builder.conditions))


def _same_statement(left: Value, right: Value) -> bool | None:
    """Equations and congruences; None where neither side is one that must be compared as such."""
    if not (isinstance(left, Relation) or isinstance(right, Relation)):
        products = [isinstance(side, Named) and len(side.name) in (2, 3) and side.name.islower() for side in (left, right)]
        return True if any(products) and _gives_either(left, right) else None
    a, b = equation(left), equation(right)
    if a is not None and b is not None:
        return same_equation(a, b)
    if _gives_either(left, right):
        return True
    return isinstance(left, Relation) and isinstance(right, Relation) and same_relation(left, right)


def _gives_either(left: Value, right: Value) -> bool:
    """An equation, and the value that it gives to the one variable that the value lacks."""
    a, b = equation(left), equation(right)
    return (a is not None and isinstance(right, Expr) and gives(a, right)) or (b is not None and isinstance(left, Expr) and gives(b, left))


def _same_order(chain: Value, listed: Value) -> bool:
    """b < a < d as the list b, a, d: letters in ascending order."""
    if not (isinstance(chain, Relation) and isinstance(listed, Group) and listed.opening == "" and set(chain.ops) == {"<"}):
        return False
    return len(chain.sides) > 2 and chain.sides == listed.items and all(isinstance(s, Expr) and bare_symbol(s) for s in chain.sides)


def _by_name(value: Value, other: Value) -> Value:
    """(x, y) = (1, 2) as the list x = 1, y = 2 beside a list with names."""
    if not (isinstance(value, Named) and isinstance(value.value, Group) and isinstance(other, Group) and other.opening == ""):
        return value
    names, items = value.name[1:-1].split(","), value.value.items
    if value.name[0] != "(" or len(names) != len(items) or not all(isinstance(item, Named) for item in other.items):
        return value
    return Group("", "", tuple(Named(name, item) for name, item in zip(names, items, strict=True)))


def _unnamed(value: Value) -> Value:
    return value.value if isinstance(value, Named) else value


def _with_unit(value: Expr | Quantity) -> tuple[Expr, str]:
    return (value, "") if isinstance(value, Expr) else (value.number, value.unit)


def _same_number(gold: tuple[Expr, str], answer: tuple[Expr, str], policy: Policy) -> bool:
    (a, unit), (b, other) = gold, answer
    if unit.startswith("base") or other.startswith("base"):
        return unit[:4] == other[:4] and a == b
    (factor, dimension), (other_factor, other_dimension) = read_unit(unit), read_unit(other)
    if policy.units == "ignore":
        factor, dimension = _bare(unit, factor, dimension)
        other_factor, other_dimension = _bare(other, other_factor, other_dimension)
    if dimension == other_dimension:
        if policy.units == "match" and dimension and factor / _multiplier(unit) != other_factor / _multiplier(other):
            return False
        return _same_amount(_times(a, factor), _times(b, other_factor), policy)
    if dimension and other_dimension:
        if policy.units == "match" or {dimension, other_dimension} != {_DEGREES, _RADIANS}:
            return False
        a, b = _in_radians(a) if dimension == _DEGREES else a, _in_radians(b) if other_dimension == _DEGREES else b
        return _same_amount(a, b, policy)
    # From here on one side has no unit, and the size of the other's says nothing beside a bare number: 5 cm is 5.
    a, b = (_times(value, _multiplier(words)) for value, words in ((a, unit), (b, other)))
    if "percent" in (percents := dict(dimension or other_dimension)):
        if policy.percent != "either" or percents["percent"] != 1:
            return False
        as_parts = [_times(value, Fraction(1, 100)) if found else value for value, found in ((a, dimension), (b, other_dimension))]
        return _same_amount(a, b, policy) or _same_amount(as_parts[0], as_parts[1], policy)
    radians = policy.units == "convert" and _DEGREES in (dimension, other_dimension)
    if radians and _same_amount(_in_radians(a) if dimension else a, _in_radians(b) if other_dimension else b, policy):
        return True
    return _same_amount(a, b, policy)


_DEGREES: Dimension = (("angle", 1),)
_RADIANS: Dimension = (("radian", 1),)


def _in_radians(degrees: Expr) -> Expr:
    return multiply(scale(degrees, Fraction(1, 180)), PI)


def _bare(unit: str, factor: Fraction, dimension: Dimension) -> tuple[Fraction, Dimension]:
    """The unit without what it measures; a percent sign stays."""
    return (factor, dimension) if dimension == (("percent", 1),) else (_multiplier(unit), ())


def _multiplier(unit: str) -> Fraction:
    """The "million" of a unit."""
    return read_unit(" ".join(word for word in unit.split() if read_unit(word)[1] == ()))[0] if unit else Fraction(1)


def _times(value: Expr, factor: Fraction) -> Expr:
    return value if factor == 1 else scale(value, factor)


def _same_amount(gold: Expr, answer: Expr, policy: Policy) -> bool:
    """Two numbers or expressions: the steps of the ladder above structure."""
    if same(gold, answer):
        return policy.note(_exact_step(gold, answer), gold, answer)
    if policy.rounded and (_rounds(gold, answer, policy) or _rounds(answer, gold, policy)):
        return policy.note("tolerance", gold, answer)
    if (policy.to_gold_digits and rounds_to(answer, gold)) or (policy.relative and is_within(answer, gold, policy.relative)):
        return policy.note("tolerance", gold, answer)
    if needs_algebra(gold) or needs_algebra(answer):
        from verifiers.simplify import same_by_algebra

        return same_by_algebra(gold, answer) and policy.note("sympy", gold, answer)
    return False


def _exact_step(gold: Expr, answer: Expr) -> str:
    if gold != answer:
        return "certified numerics"
    return "exact rational" if gold.rational is not None else "structure"


def _rounds(decimal: Expr, exact: Expr, policy: Policy) -> bool:
    return decimal.decimals >= 2 and not exact.decimals and is_rounding(decimal, exact, digits=policy.rounded)


# ---------------------------------------------------------------- structures


def _same_group(left: Group, right: Group, policy: Policy) -> bool:
    if "matrix" in (left.opening, right.opening) and left.opening != right.opening:
        left, right = as_written(left, right), as_written(right, left)
    if len(left.items) != len(right.items):
        return False
    if left.opening == right.opening == ":":
        return _proportional(left, right)
    left, right = _without_extremes(left), _without_extremes(right)
    if {left.opening, right.opening} == {"", "("}:
        left, right = as_tuple(left), as_tuple(right)
    unordered = {"", "\\{"}
    if left.opening in unordered and right.opening in unordered:
        names = [{root_name(item) for item in group.items if isinstance(item, Named)} for group in (left, right)]
        if all(names) or max(len(found) for found in names) < 2:
            return _matched(left.items, right.items, policy)
        if "\\{" in (left.opening, right.opening):  # x = 1, y = 2 is no set
            return False
    elif (left.opening, left.closing) != (right.opening, right.closing):
        return False
    return all(_same_value(a, b, policy) for a, b in zip(left.items, right.items, strict=True))


def _without_extremes(group: Group) -> Group:
    """Minimum: 1, maximum: 3 says no more than 1, 3: the numbers show which is which."""
    if len(group.items) == 2 and all(isinstance(item, Named) and item.name in _EXTREMES for item in group.items):
        low, high = (read_name(item) for item in group.items)
        if {low, high} == {"min", "max"}:
            return Group(group.opening, group.closing, tuple(_unnamed(item) for item in group.items))
    return group


def read_name(item: Value) -> str:
    return item.name[:3].lower() if isinstance(item, Named) else ""


def _proportional(left: Group, right: Group) -> bool:
    """a:b:c = ka:kb:kc"""
    a, b = [[item for item in group.items if isinstance(item, Expr)] for group in (left, right)]
    if len(a) != len(left.items) or len(b) != len(right.items) or not all(item.terms for item in (a[0], b[0])):
        return False
    return all(same(multiply(x, b[0]), multiply(y, a[0])) for x, y in zip(a, b, strict=True)) and ratio_sign(a[0], b[0]) >= 0


def _matched(left: Sequence[Value], right: Sequence[Value], policy: Policy) -> bool:
    """Whether the items can be paired off, each with an equal one: bipartite matching, as equality is not transitive (50, 50%, 1/2)."""
    partner: dict[int, int] = {}

    def place(i: int, tried: set[int]) -> bool:
        for j, item in enumerate(right):
            if j not in tried and _same_value(left[i], item, policy):
                tried.add(j)
                if j not in partner or place(partner[j], tried):
                    partner[j] = i
                    return True
        return False

    return len(left) == len(right) and all(place(i, set()) for i in range(len(left)))
