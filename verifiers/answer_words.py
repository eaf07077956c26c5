r"""Answers in words: choices, number words, statements that mean a set, and anything else as words without their wrapper."""

import re
from functools import lru_cache

from verifiers.exact_sums import Expr, rational, symbols
from verifiers.latex_parse import MAX_LENGTH, parse
from verifiers.math_values import EMPTY_SET, Group, Quantity, Unparsed, Value
from verifiers.units import lone_unit

_CHOICE = re.compile(r"(?:\\(?:text|textbf|mathrm|mathbf)\s*\{\s*)?(?:\(([A-Z])\)|([A-Z])[).:])((?:[\s}\\].*)?)", re.DOTALL)
_LONE_CAPITAL = re.compile(r"(?<![A-Za-z])[A-Z](?![A-Za-z])")
_WRAPPER = re.compile(r"\\(?:text|textbf|textit|textrm|mbox|mathrm|mathbf)\s*\{([^{}]*)\}")
_BELOW_TEN = "zero one two three four five six seven eight nine"
_BELOW_TWENTY = _BELOW_TEN + " ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_ONES = {word: n for n, word in enumerate(_BELOW_TWENTY.split())}
_TIMES_TEN = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENS = {word: 10 * n for n, word in enumerate(_TIMES_TEN.split(), 2)}
_SETS: dict[str, Value] = {
    **dict.fromkeys(("no solution", "no solutions", "no real solution", "no real solutions", "empty set", "the empty set"), EMPTY_SET),
    **dict.fromkeys(("all real numbers", "all reals", "all real", "the real numbers", "any real number"), Group("set", "R", ())),
}
_SYNONYMS = {"dne": "does not exist", "none exist": "none", "not defined": "undefined"}


def read(text: str) -> Value:
    """The parsed value; words, where it is not mathematics, as `Unparsed` words; a number word as its number."""
    value = parse(text)
    if len(text) > MAX_LENGTH or not isinstance(value, Unparsed):
        return value
    return _read_words(text, value)


def read_beside(text: str, value: Value, other: Value) -> Value:
    """5 m as a quantity where the other answer is a number or a quantity; beside 5 m or 3m + 2m it is a product."""
    if not isinstance(value, Expr) or not symbols(value):
        return value
    constant = isinstance(other, Quantity) or (isinstance(other, Expr) and not symbols(other))
    measured = lone_unit(text) if constant else None
    return value if measured is None else parse(measured)


@lru_cache(maxsize=4096)
def _read_words(text: str, value: Unparsed) -> Value:
    """Words are compared without their wrapper and without the case of their first letters: \\text{yes} is Yes, AB is not ab."""
    plain = _WRAPPER.sub(r" \1 ", text).strip(" .$\n")
    if not re.search(r"[^\W\d_]{2}", plain) or re.search(r"[\\^_=<>{}$]", plain):
        return value
    words = " ".join(word[:1].lower() + word[1:] for word in plain.split())
    if words in _SETS:
        return _SETS[words]
    number = _number_word(words)
    return Unparsed(_SYNONYMS.get(words.lower(), words)) if number is None else rational(number)


def _number_word(words: str) -> int | None:
    """Up to "nine hundred ninety-nine", and thousands of it."""
    total, part = 0, 0
    seen = ""
    for word in words.replace("-", " ").split():
        if word in _ONES and seen in ("", "tens" if _ONES[word] and _ONES[word] < 10 else "", "hundred", "thousand"):
            part, seen = part + _ONES[word], "ones"
        elif word in _TENS and seen in ("", "hundred", "thousand"):
            part, seen = part + _TENS[word], "tens"
        elif word == "hundred" and seen == "ones" and 0 < part < 10:
            part, seen = part * 100, "hundred"
        elif word == "thousand" and part and not total:
            total, part, seen = part * 1000, 0, "thousand"
        elif word != "and" or seen not in ("hundred", "thousand"):
            return None
    return total + part if seen else None


def same_choice(left: str, right: str) -> bool:
    r"""(B) 5, B. 5 and \textbf{(B)}\ 5 are the choice B, if no second choice follows: "(A) or (B)" is neither."""
    letters = []
    for text in (left, right):
        match = _CHOICE.fullmatch(text.strip(" $"))
        if match and not _LONE_CAPITAL.search(match[3]):
            letters.append(match[1] or match[2])
        else:
            letters.append(text.strip("$ ()"))
    return letters[0] == letters[1] and len(letters[0]) == 1 and letters[0].isupper()
