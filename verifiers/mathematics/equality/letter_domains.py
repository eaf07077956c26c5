r"""What an answer says its letters range over: "for all positive integers k", "k \in \mathbb{Z}", "where n is a natural number".

A domain is a sign and a kind of number, in words or as a set: "Z+", "R", "+" where only the sign is said. Two answers that both state one
must state the same. One that states none is taken to mean what the other says, unless the domain decides what the answer is: which numbers
an inequality or an interval describes, or a sign that nobody assumes. Left out: which domain belongs to which letter; parities.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from verifiers.mathematics.answer_reading.values import Family, Group, Named, Relation, Value
from verifiers.mathematics.equality.real_sets import is_set
from verifiers.mathematics.equality.statements import letters

_TAIL = (
    "for where with all any every each some is are an a the positive negative nonnegative nonpositive non real integer integers natural "
    "number numbers value values of constant constants arbitrary nonzero rational whole and be can in belongs to"
)
TAIL_WORDS = frozenset(_TAIL.split())

_SIGNS = {"positive": "+", "negative": "-", "nonnegative": ">=", "nonpositive": "<=", "nonzero": "*"}
_KINDS = {"integer": "Z", "integers": "Z", "whole": "Z", "natural": "N", "real": "R", "rational": "Q"}
_NOT = {"+": "<=", "-": ">=", "": "non"}
WHOLE_LETTERS = frozenset("klmn")


@dataclass(frozen=True)
class Parameters:
    """The letters that stand for anything, and the domains that were stated of them."""

    names: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()


def in_words(words: Iterable[str]) -> tuple[str, ...]:
    """The domains that the words of a tail state, in their order."""
    found: list[str] = []
    sign, negated, kind = "", False, ""

    def close() -> None:
        nonlocal sign, negated, kind
        if sign or kind or negated:
            found.append(kind + (_NOT.get(sign, "non") if negated else sign))
        sign, negated, kind = "", False, ""

    for word in words:
        if kind and word not in ("number", "numbers", "value", "values", "constant", "constants"):
            close()
        if word == "non":
            negated = True
        elif word in _SIGNS:
            sign = _SIGNS[word]
        elif word in _KINDS:
            kind = _KINDS[word]
    close()
    return tuple(found)


def of_set(name: str) -> str:
    r"""The domain that the name of a number set is: \mathbb{R}_{>0} is "R+"."""
    return name.replace(">", "+") if name.endswith(">") else name


def compatible(left: Value, right: Value) -> bool:
    """Whether two answers may be the same as far as the domains of their letters go."""
    a, b = _domains(left), _domains(right)
    if a and b:
        return len(a) == len(b) and all(any(_same(x, y) for y in b) for x in a) and all(any(_same(x, y) for x in a) for y in b)
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
    return letters(value) | set(re.findall(r"[A-Za-z]+(?:_\w+)?", " ".join(names)))


def _domains(value: Value) -> tuple[str, ...]:
    return tuple(sorted(set(value.domains))) if isinstance(value, Family) else ()


def _same(left: str, right: str) -> bool:
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
    return isinstance(value, Relation) and bool(letters(value)) and letters(value) <= WHOLE_LETTERS
