r"""What an answer says its letters range over: "for all positive integers k", "k \in \mathbb{Z}", "where n is a natural number".

A domain is a sign and a kind of number, in words or as a set: "Z+", "R", "+" where only the sign is said. Left out: which domain belongs to
which letter; parities.
"""

from collections.abc import Iterable
from typing import NamedTuple

_TAIL = (
    "for where with all any every each some is are an a the positive negative nonnegative nonpositive non real integer integers natural "
    "number numbers value values of constant constants arbitrary nonzero rational whole and be can in belongs to"
)
TAIL_WORDS = frozenset(_TAIL.split())

_SIGNS = {"positive": "+", "negative": "-", "nonnegative": ">=", "nonpositive": "<=", "nonzero": "*"}
_KINDS = {"integer": "Z", "integers": "Z", "whole": "Z", "natural": "N", "real": "R", "rational": "Q"}
_NOT = {"+": "<=", "-": ">=", "": "non"}
WHOLE_LETTERS = frozenset("klmn")


class Parameters(NamedTuple):
    """The letters that stand for anything, and the domains that were stated of them."""

    names: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()


def domains_in_words(words: Iterable[str]) -> tuple[str, ...]:
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


def domain_of_set(name: str) -> str:
    r"""The domain that the name of a number set is: \mathbb{R}_{>0} is "R+"."""
    return name.replace(">", "+") if name.endswith(">") else name
