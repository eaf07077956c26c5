r"""Whether two answers are the same: the ladder, from their texts to their values.

`decide` reads both and says which step ended it; `same_quantity.py` has the steps for two numbers. What counts as the same, and under which
policy, is said in `math_answer.py`. Left out: extracting the answer from a response.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from verifiers.first_use import compiled
from verifiers.mathematics.answer_reading.answer_in_words import choice, read_answer, read_beside, same_option, with_decimals
from verifiers.mathematics.answer_reading.matrix_arithmetic import as_written
from verifiers.mathematics.answer_reading.open_form import is_open_form, needs_algebra
from verifiers.mathematics.answer_reading.short_phrases import is_word, pieces, same_undelimited, same_word_list, stands_alone
from verifiers.mathematics.answer_reading.units import read_unit
from verifiers.mathematics.answer_reading.values import (
    Builder,
    Everywhere,
    Family,
    FiniteSet,
    Group,
    Listing,
    Matrix,
    Named,
    Quantity,
    Ratio,
    Relation,
    SetOf,
    Tuple,
    Unparsed,
    Value,
    bare_symbol,
    is_alike,
)
from verifiers.mathematics.arithmetic.exact_sums import Expr, Unreadable, divide, multiply
from verifiers.mathematics.equality import statements
from verifiers.mathematics.equality.letters import letters_of, one_letter_apart, rename_letter, same_domains, undeclared, under_other_names
from verifiers.mathematics.equality.policy import Policy
from verifiers.mathematics.equality.real_sets import is_set, real_set, same_set
from verifiers.mathematics.equality.restated_question import is_unsolved, needs_solving
from verifiers.mathematics.equality.same_quantity import same_amount, same_number, with_unit
from verifiers.mathematics.evidence.certified_comparison import ratio_sign, same
from verifiers.verdict import Undecided

_PLAIN = compiled(r"(?a)[+-]?(?:[1-9]\d{0,2}(?:,\d{3})+|\d{1,400})(?:\.\d{1,400})?")
_VARIABLES = frozenset("xtnmzsuyk")
_EXTREMES = frozenset({"min", "max", "Min", "Max", "Minimum", "Maximum", "minimum", "maximum"})


def decide(gold: str, answer: str, policy: Policy) -> tuple[bool, str]:
    """Whether two answers are the same, and which step of the ladder said so; no step where only the policy's trace knows it.

    Undecided where the algebra system failed, and where it matters what it would have said.
    """
    try:
        return _decide(gold, answer, policy)
    except Undecided:
        failed: set[tuple[object, object]] = set()
        least, most = (_decide(gold, answer, replace(policy, assumed=assumed, failed=failed)) for assumed in (False, True))
        if least[0] == most[0]:
            return least
        raise


def _decide(gold: str, answer: str, policy: Policy) -> tuple[bool, str]:
    gold, answer = gold.strip(), answer.strip()
    if not gold or not answer:
        return False, "nothing to compare"
    if gold == answer or (("$" in gold or "$" in answer) and same_undelimited(gold, answer)):
        return True, "string"
    if policy.symmetric and _PLAIN.fullmatch(gold) and _PLAIN.fullmatch(answer):
        return _canonical_number(gold) == _canonical_number(answer), "exact rational"
    left, right = _read_both(gold, answer, policy)
    if Unparsed("") in (left, right):
        return False, "nothing to compare"
    (left, claims), (right, other_claims) = _claimed_result(left), _claimed_result(right)
    if policy.require_closed_form and is_open_form(gold) != is_open_form(answer):
        return False, "closed form"
    if policy.require_closed_form and (is_unsolved(left) != is_unsolved(right) or needs_solving(left, right) or needs_solving(right, left)):
        return False, "unsolved"
    try:
        if _same_whole(left, right, policy):
            return all(same_amount(computed, result, policy) for computed, result in (*claims, *other_claims)), ""
        if (chosen := _same_choice(gold, answer, policy)) is not None:
            return chosen, "choice" if chosen else ""
        sentences = isinstance(left, Unparsed) and isinstance(right, Unparsed)
        same_words = same_word_list(gold, answer) or (sentences and _same_pieces(gold, answer, policy))
        return same_words, "words" if same_words else ""
    except Unreadable:
        return False, "beyond a bound"


def _read_both(gold: str, answer: str, policy: Policy) -> tuple[Value, Value]:
    """Each answer as it is read alone, and then beside the other, which may say what it leaves open."""
    alone, other_alone = read_answer(gold), read_answer(answer)
    left, right = read_beside(gold, alone, other_alone, is_gold=True), read_beside(answer, other_alone, alone)
    return (left, right) if policy.to_gold_digits else (with_decimals(gold, left), with_decimals(answer, right))


def _claimed_result(value: Value) -> tuple[Value, list[tuple[Expr, Expr]]]:
    r"""What came out of \int_0^1 x dx = 1/2, and what is claimed by it; any other value as it is."""
    claim = value.value if isinstance(value, Named) else value
    if not isinstance(claim, Relation) or set(claim.ops) != {"="}:
        return value, []
    sides = [side for side in claim.sides if isinstance(side, Expr)]
    if len(sides) < len(claim.sides) or needs_algebra(sides[-1]) or not all(map(needs_algebra, sides[:-1])):
        return value, []
    return (Named(value.name, sides[-1]) if isinstance(value, Named) else sides[-1]), [(side, sides[-1]) for side in sides[:-1]]


def _same_choice(gold: str, answer: str, policy: Policy) -> bool | None:
    """Choices of one letter, and of one option where both quote it; None where there are no two choices to compare."""
    (letter, option), (other, quoted) = choice(gold), choice(answer, lower=True)
    if not (letter and other):  # the option alone, beside the letter with it
        return decide(option or gold, quoted or answer, policy)[0] if option or quoted else None
    return letter == other and (not (option and quoted) or same_option(option, quoted) or decide(option, quoted, policy)[0])


def _same_pieces(gold: str, answer: str, policy: Policy) -> bool:
    """Sentences of the same words around the same formulas."""
    a, b = pieces(gold), pieces(answer)
    if len(a) < 2 or len(a) != len(b) or [piece for piece in a if is_word(piece)] != [piece for piece in b if is_word(piece)]:
        return False
    return all(x == y or (stands_alone(x) and stands_alone(y) and decide(x, y, policy)[0]) for x, y in zip(a, b, strict=True))


def _canonical_number(number: str) -> str:
    """A plain integer or decimal without plus sign, commas, or zeros that do not count."""
    sign = "-" if number[0] == "-" else ""
    digits = number.lstrip("+-").replace(",", "").lstrip("0")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return sign + digits if digits else "0"


# ---------------------------------------------------------------- comparing


def _same_whole(left: Value, right: Value, policy: Policy) -> bool:
    """Two whole answers; a letter that stands for anything may differ, but not what it ranges over."""
    if not same_domains(left, right) or undeclared(left, right):
        return False
    letters = one_letter_apart(left, right)
    left, right = (side.value if isinstance(side, Family) else side for side in (left, right))
    if letters:
        right = rename_letter(right, letters[1], letters[0])
    left, right = _only_number(left, right, policy), _only_number(right, left, policy)
    if isinstance(left, Expr | Quantity) and isinstance(right, Listing) and _is_chain(right.items):
        right = _without_name(right.items[0])  # x = y = 5 says more than 5, and is no gold for it
    return _same_value(left, right, policy) or any(_same_value(left, other, policy) for other in under_other_names(left, right))


def _same_value(left: Value, right: Value, policy: Policy) -> bool:
    if left == right:
        return policy.note("exact rational" if isinstance(left, Expr) and left.rational is not None else "structure", left, right)
    if (isinstance(left, Relation) and left.ops == ("=",)) != (isinstance(right, Relation) and right.ops == ("=",)):
        left, right = statements.named_quantity(left) or left, statements.named_quantity(right) or right
    if isinstance(left, Named) and isinstance(right, Named):
        if statements.name_each_other(left, right):
            a, b = statements.equation(left), statements.equation(right)
            return a is not None and b is not None and statements.same_equation(a, b)
        left, right = _same_function(*_same_parameter(left, statements.in_order_of(left, right)))
        if left.name != right.name:
            return False
    if is_set(left) or is_set(right):
        found = _same_set(left, right, policy) or _same_order(left, right) or _same_order(right, left)
        return found and policy.note("structure", left, right)
    if (said := _same_statement(left, right)) is not None:
        return said and policy.note("structure", left, right)
    left, right = _by_name(left, right), _by_name(right, left)
    if statements.is_interval_beside_points(left, right) or statements.is_shuffled(left, right):
        return False
    left, right = _without_name(left), _without_name(right)
    match left, right:
        case (Expr() | Quantity(), Expr() | Quantity()):
            return same_number(with_unit(left), with_unit(right), policy)
        case Group(), Group():
            return _same_group(left, right, policy) and policy.note("structure", left, right)
        case Ratio(items=(Expr() as a, Expr() as b)), Expr():
            return same_amount(divide(a, b), right, policy)
        case Expr(), Ratio(items=(Expr() as a, Expr() as b)):
            return same_amount(left, divide(a, b), policy)
        case Everywhere(), Everywhere():
            return _same_value(left.condition, right.condition, policy) and _same_value(left.value, right.value, policy)
    return False


def _same_parameter(left: Named, right: Named) -> tuple[Named, Named]:
    """f(x) and f(t) as functions of one letter: a usual variable, or one that the value has. P(A) and f(a) are values at a point."""
    (f, x), (g, t) = (named.name.rstrip(")").partition("(")[::2] for named in (left, right))
    free = all(letter in _VARIABLES or (letter.islower() and letter in letters_of(side.value)) for letter, side in ((x, left), (t, right)))
    if f and f == g and len(x) == len(t) == 1 and x != t and free:
        return Named(f"{f}(·)", rename_letter(left.value, x, "·")), Named(f"{g}(·)", rename_letter(right.value, t, "·"))
    return left, right


def _same_function(left: Named, right: Named) -> tuple[Named, Named]:
    """y = 2x + 3 as the function f(x) = 2x + 3: its letter is in the value, and y is not. Another name than f may be another function."""
    for graph, function in ((left, right), (right, left)):
        match = re.fullmatch(r"[fy]\(([a-z])\)", function.name)
        if match and graph.name == "y" and "y" not in letters_of(function.value) | {match[1]} and match[1] in letters_of(function.value):
            return Named(function.name, left.value), Named(function.name, right.value)
    return left, right


def _same_set(left: Value, right: Value, policy: Policy) -> bool:
    a, b = real_set(left), real_set(right)
    if a is not None and b is not None and (same_set(a, b) or not (isinstance(left, Relation) and isinstance(right, Relation))):
        return same_set(a, b)
    left, right = _without_name(left), _without_name(right)
    match left, right:
        case Relation(), Relation():  # -a < b and a > -b are sets of different variables
            return statements.same_relation(left, right)
        case SetOf(), SetOf():
            return left.op == right.op and _same_value(left.left, right.left, policy) and _same_value(left.right, right.right, policy)
        case Builder(), Builder():
            if letters := one_letter_apart(Family(tuple(sorted(letters_of(left.head))), left), right):
                return _same_set(left, rename_letter(right, letters[1], letters[0]), policy)
            return _same_value(left.head, right.head, policy) and _can_be_paired(left.conditions, right.conditions, policy)
        case Group(), Group():
            return is_alike(left, right) and _can_be_paired(left.items, right.items, policy)
    return left == right


def _same_statement(left: Value, right: Value) -> bool | None:
    """Equations and congruences; None where neither side is one that must be compared as such."""
    if not (isinstance(left, Relation) or isinstance(right, Relation)):
        products = [isinstance(side, Named) and len(side.name) in (2, 3) and side.name.islower() for side in (left, right)]
        return True if any(products) and _gives_either(left, right) else None
    a, b = statements.equation(left), statements.equation(right)
    if a is not None and b is not None:
        return statements.same_equation(a, statements.in_one_case(a, b))
    if _gives_either(left, right):
        return True
    return isinstance(left, Relation) and isinstance(right, Relation) and statements.same_relation(left, right)


def _gives_either(left: Value, right: Value) -> bool:
    """An equation, and the value that it gives to the one variable that the value lacks."""
    a, b = statements.equation(left), statements.equation(right)
    return (a is not None and isinstance(right, Expr) and statements.gives_value(a, right)) or (
        b is not None and isinstance(left, Expr) and statements.gives_value(b, left)
    )


def _same_order(chain: Value, listed: Value) -> bool:
    """b < a < d as the list b, a, d: letters in ascending order."""
    if not (isinstance(chain, Relation) and isinstance(listed, Listing) and set(chain.ops) == {"<"}):
        return False
    return len(chain.sides) > 2 and chain.sides == listed.items and all(isinstance(s, Expr) and bare_symbol(s) for s in chain.sides)


def _by_name(value: Value, other: Value) -> Value:
    """(x, y) = (1, 2) as the list x = 1, y = 2 beside a list with names."""
    if not (isinstance(value, Named) and isinstance(value.value, Group) and isinstance(other, Listing)):
        return value
    names, items = value.name[1:-1].split(","), value.value.items
    if value.name[0] != "(" or len(names) != len(items) or not all(isinstance(item, Named) for item in other.items):
        return value
    return Listing(tuple(Named(name, item) for name, item in zip(names, items, strict=True)))


def _without_name(value: Value) -> Value:
    return value.value if isinstance(value, Named) else value


# ---------------------------------------------------------------- structures


def _same_group(left: Group, right: Group, policy: Policy) -> bool:
    if isinstance(left, Matrix) != isinstance(right, Matrix):
        left, right = as_written(left, right), as_written(right, left)
    sets = [isinstance(group, FiniteSet) for group in (left, right)]
    if all(sets) or (any(sets) and len(left.items) != len(right.items)):
        left, right = _without_repeats(left, policy), _without_repeats(right, policy)
    if len(left.items) != len(right.items):
        return False
    if isinstance(left, Ratio) and isinstance(right, Ratio):
        return _same_ratio(left, right)
    left, right = _without_extremes(left), _without_extremes(right)
    if any(isinstance(group, Tuple) and group.opening == "(" for group in (left, right)):
        left, right = statements.as_tuple(left), statements.as_tuple(right)
    if isinstance(left, Listing | FiniteSet) and isinstance(right, Listing | FiniteSet):
        if _have_nouns(left, right) or _have_nouns(right, left):
            return all(_same_value(a, b, policy) for a, b in zip(left.items, right.items, strict=True))
        names = [{statements.root_name(item) for item in group.items if isinstance(item, Named)} for group in (left, right)]
        if all(names) or max(len(found) for found in names) < 2:
            return _can_be_paired(left.items, right.items, policy)
        if any(sets):  # x = 1, y = 2 is no set
            return False
    elif not is_alike(left, right):
        return False
    return all(_same_value(a, b, policy) for a, b in zip(left.items, right.items, strict=True))


def _without_repeats(group: Group, policy: Policy) -> Group:
    """A set has no element twice; every other structure stays as it is."""
    kept: list[Value] = []
    for item in group.items if isinstance(group, FiniteSet) else ():
        if not any(_same_value(item, other, policy) for other in kept):
            kept.append(item)
    return replace(group, items=tuple(kept)) if kept else group


def _only_number(value: Value, other: Value, policy: Policy) -> Value:
    """The 5 of {5} and of "x in {5}" beside an answer that is a number; the point of {(1, 2)}."""
    inner = _without_name(value)
    if not isinstance(inner, FiniteSet) or not _is_point(_without_name(other)):
        return value
    items = _without_repeats(inner, policy).items
    if len(items) != 1 or not _is_point(items[0]) or letters_of(items[0]):
        return value  # {x} may be a fractional part
    return Named(value.name, items[0]) if isinstance(value, Named) else items[0]


def _is_point(value: Value) -> bool:
    return isinstance(value, Expr | Quantity) or (isinstance(value, Tuple) and value.brackets == "()")


def _is_chain(items: tuple[Value, ...]) -> bool:
    """x = y = z = 5: different letters of one value."""
    named = [item for item in items if isinstance(item, Named)]
    return len(named) == len(items) == len({item.name for item in named}) and all(item.value == named[0].value for item in named)


def _have_nouns(counted: Group, bare: Group) -> bool:
    """Whether only the one side says what each number counts, and different things: 3 apples, 5 oranges beside 3, 5."""
    units = [read_unit(item.unit)[1] for item in counted.items if isinstance(item, Quantity)]
    alone = all(isinstance(item, Expr) for item in bare.items)
    return alone and len(units) == len(counted.items) and len(set(units)) > 1 and () not in units


def _without_extremes(group: Group) -> Group:
    """Minimum: 1, maximum: 3 says no more than 1, 3: the numbers show which is which."""
    names = [item.name for item in group.items if isinstance(item, Named) and item.name in _EXTREMES]
    if len(group.items) == len(names) == 2 and {name[:3].lower() for name in names} == {"min", "max"}:
        return replace(group, items=tuple(_without_name(item) for item in group.items))
    return group


def _same_ratio(left: Group, right: Group) -> bool:
    """a:b:c = ka:kb:kc"""
    a, b = [[item for item in group.items if isinstance(item, Expr)] for group in (left, right)]
    if len(a) != len(left.items) or len(b) != len(right.items) or not all(item.terms for item in (a[0], b[0])):
        return False
    return all(same(multiply(x, b[0]), multiply(y, a[0])) for x, y in zip(a, b, strict=True)) and ratio_sign(a[0], b[0]) >= 0


def _can_be_paired(left: Sequence[Value], right: Sequence[Value], policy: Policy) -> bool:
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
