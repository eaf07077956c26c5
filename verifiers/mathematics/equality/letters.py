r"""The letters of two answers: which stand for anything, and under which other names an answer is the same.

Domains ("for all positive integers k"): two answers that both state one must state the same. One that states none is taken to mean what
the other says, unless the domain decides what the answer is: which numbers an inequality or an interval describes, or a sign that nobody
assumes.

Constants of integration: C e^x is c_1 e^x, and C_1 e^x + C_2 e^{-x} is A e^x + B e^{-x}. One may be renamed where it only multiplies or is
added, where the rest of the answer has a variable, and where one side names it c or C, with or without an index; c_1 and c_2 may change
places. A and B are taken for constants only against those, k never: it may be given. Left out: constants that absorb a factor or a sign (2C
for C, e^C for C).
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations

from verifiers.first_use import compiled
from verifiers.mathematics.answer_reading.letter_domains import WHOLE_LETTERS
from verifiers.mathematics.answer_reading.values import Builder, Everywhere, Family, Group, Named, Quantity, Relation, SetOf, Value, parts
from verifiers.mathematics.arithmetic.exact_sums import Call, Expr, Monomial, atom, atoms, substitute, symbols
from verifiers.mathematics.equality.real_sets import is_set

_CONSTANT_LETTERS = frozenset("ck")
_MOST = 3
_SURE = compiled(r"[cC](?:_\d)?")
_POSSIBLE = frozenset({"A", "B"})


def letters_of(value: Value) -> set[str]:
    return symbols(value) if isinstance(value, Expr) else set().union(*map(letters_of, parts(value)))


def rename_letter(value: Value, old: str, new: str) -> Value:
    def change(inner: Value) -> Value:
        return rename_letter(inner, old, new)

    match value:
        case Expr():
            return substitute(value, {old: atom(new)})
        case Quantity(number=number):
            return replace(value, number=substitute(number, {old: atom(new)}))
        case Group(items=items):
            return replace(value, items=tuple(map(change, items)))
        case Relation(sides=sides):
            return replace(value, sides=tuple(map(change, sides)))
        case Named(name=name, value=inner):
            return replace(value, name=new if name == old else name.replace(f"({old})", f"({new})"), value=change(inner))
        case SetOf(left=left, right=right):
            return replace(value, left=change(left), right=change(right))
        case Builder(head=head, conditions=conditions):
            return Builder(change(head), tuple(map(change, conditions)))
        case Family(value=inner):
            return replace(value, value=change(inner))
        case Everywhere(condition=condition, value=inner):
            return Everywhere(change(condition), change(inner))
    return value


def _has_pi(value: Value) -> bool:
    if isinstance(value, Expr):
        return "pi" in atoms(value)
    if isinstance(value, Relation | Builder | Everywhere):
        return False
    return (isinstance(value, Quantity) and value.unit == "°") or any(map(_has_pi, parts(value)))


def one_letter_apart(left: Value, right: Value) -> tuple[str, str] | None:
    """The two letters, where the sides differ in one that stands for anything: declared so, or k and n beside pi, or constants c and C."""
    declared = {name for side in (left, right) if isinstance(side, Family) for name in side.names}
    only_left, only_right = letters_of(left) - letters_of(right), letters_of(right) - letters_of(left)
    if len(only_left) != 1 or len(only_right) != 1:
        return None
    (a,), (b,) = only_left, only_right
    if {a, b} & declared or ({a, b} <= WHOLE_LETTERS and _has_pi(left) and _has_pi(right)):
        return a, b
    if a.lower() == b.lower() and a.lower() in _CONSTANT_LETTERS and (letters_of(left) & letters_of(right)):
        return a, b
    return None


# Domains


def same_domains(left: Value, right: Value) -> bool:
    """Whether two answers may be the same as far as the domains of their letters go."""
    a, b = _domains(left), _domains(right)
    if a and b:
        return (
            len(a) == len(b) and all(any(_same_domain(x, y) for y in b) for x in a) and all(any(_same_domain(x, y) for x in a) for y in b)
        )
    if not (a or b):
        return True
    stated, (family, other) = a or b, (left, right) if a else (right, left)
    if any("-" in domain or "<" in domain or "non" in domain for domain in stated):
        return False
    assert isinstance(family, Family)
    if not _describes_numbers(family.value, family.names) and not _describes_numbers(other, family.names):
        return True
    return all(domain == "R" for domain in stated) or (all(domain == "Z" for domain in stated) and _is_of_integers(other))


def undeclared(left: Value, right: Value) -> bool:
    """Whether both answers say which letters stand for anything, and just one of them names none of its own: (2t, t) "for all real q"."""
    if not (isinstance(left, Family) and isinstance(right, Family) and left.names and right.names):
        return False
    strangers = [not set(side.names) & _letters_in(side.value) for side in (left, right)]
    return strangers[0] != strangers[1]


def _letters_in(value: Value) -> set[str]:
    """The letters of a value, and those of what it names: x of f(x) = 0."""
    names = [item.name for item in (value, *(value.items if isinstance(value, Group) else ())) if isinstance(item, Named)]
    return letters_of(value) | set(re.findall(r"[A-Za-z]+(?:_\w+)?", " ".join(names)))


def _domains(value: Value) -> tuple[str, ...]:
    return tuple(sorted(set(value.domains))) if isinstance(value, Family) else ()


def _same_domain(left: str, right: str) -> bool:
    r"""The same domain; \mathbb{N} may or may not have 0 in it, and a sign alone says nothing of the kind."""
    if left == right:
        return True
    for a, b in ((left, right), (right, left)):
        if a == "N" and b in ("Z+", "Z>="):
            return True
        if a[:1] not in "RZQNC" and b[1:] == a:
            return True
    return False


def _describes_numbers(value: Value, names: tuple[str, ...]) -> bool:
    r"""Whether the value says which numbers are meant: x > 1 of integers is less than x > 1. So is (0, 3) beside x \in \mathbb{N}."""
    if is_set(value) or isinstance(value, Relation):
        return True
    return isinstance(value, Named) and value.name in names and isinstance(value.value, Group)


def _is_of_integers(value: Value) -> bool:
    """n >= 3 is about integers by its letter."""
    return isinstance(value, Relation) and bool(letters_of(value)) and letters_of(value) <= WHOLE_LETTERS


# Constants of integration


def under_other_names(left: Value, right: Value) -> Iterator[Value]:
    """The right side with its constants named as the left's, in every order that may be."""
    a, b = _constants(left), _constants(right)
    if not a or len(a) != len(b) or len(a) > _MOST or letters_of(left) - a != letters_of(right) - b or not letters_of(left) - a:
        return
    swapped = a == b and len(a) > 1 and all("_" in name for name in a)
    if not (swapped or (not a & b and any(all(map(_SURE.fullmatch, names)) for names in (a, b)))):
        return
    if not all(_only_multiplies(side, names) for side, names in ((left, a), (right, b))):
        return
    for order in permutations(sorted(a)):
        found = right
        for place, name in enumerate(sorted(b)):
            found = rename_letter(found, name, f"#c{place}")
        for place, name in enumerate(order):
            found = rename_letter(found, f"#c{place}", name)
        yield found


def _constants(value: Value) -> set[str]:
    return {name for name in letters_of(value) if name in _POSSIBLE or _SURE.fullmatch(name)}


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
