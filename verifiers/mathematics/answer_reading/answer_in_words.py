r"""Answers in words: choices, number words, sets, times and dates, one value in a short sentence; anything else as words without wrapper.

A sentence is read only where a verb of equality or a harmless beginning stands before the value ("the maximum is 5", "there are 5 ways"):
the value of "at most 5", "not 5" or "5 less than n" is not 5, and no list of such words is complete, so that what is not known to be
harmless is compared as words. Left out: what sentences mean.
"""

import re
from dataclasses import replace
from functools import lru_cache

from verifiers.first_use import compiled
from verifiers.mathematics.answer_reading.answer_layout import (
    circled_digits,
    clock_time,
    lines_of,
    numbered_labels,
    plain_layout,
    time_of_day,
    with_decimal_comma,
    without_gaps,
)
from verifiers.mathematics.answer_reading.answer_parser import MAX_LENGTH, parse
from verifiers.mathematics.answer_reading.number_words import number_in_words
from verifiers.mathematics.answer_reading.short_phrases import (
    is_the_answer,
    is_the_solution,
    is_unsafe,
    letter_named,
    meaning_of,
    names_a_quantity,
    parity,
)
from verifiers.mathematics.answer_reading.units import lone_unit
from verifiers.mathematics.answer_reading.values import (
    EMPTY_SET,
    FiniteSet,
    Listing,
    Named,
    NumberSet,
    Quantity,
    Ratio,
    Relation,
    SetOf,
    Unparsed,
    Value,
    bare_symbol,
)
from verifiers.mathematics.arithmetic.exact_sums import Expr, rational, symbols

_CHOICE = compiled(r"(?s)(?:\\(?:text|textbf|mathrm|mathbf)\s*\{\s*)?(?:\(([A-Z])\)|([A-Z])[).:])((?:[\s}\\].*)?)")
_LONE_CAPITAL = compiled(r"(?<![A-Za-z])[A-Z](?![A-Za-z])")
_CHOICE_WORDS = r"(?:\\text(?:bf)?\{)?(?:the )?(?:correct )?(?:option|choice|answer)(?: is)?:? ?(\(?[A-Z]\)?)\}?"
_WRAPPER = compiled(r"\\(?:text|textbf|textit|textrm|mbox|mathrm|mathbf)\s*\{([^{}]*)\}")
_NOTHING = compiled(
    r"(?:there (?:is|are|exists?) )?(?:no|none)(?: such)?(?: (?:real|integer|positive|rational|possible|valid|integral|other))*"
    r"(?: (?:solutions?|roots?|values?|numbers?|integers?|pairs?|triples?|functions?|[nxk]))?(?: exists?)?"
)
_CLOCK = compiled(r"(\d{1,2})(?::(\d{1,2})|\.(\d\d))?(?::(\d\d))?(?: ?o['’]clock)? ?([ap])\.? ?m\.?")
_SCIENTIFIC = compiled(r"[-+]?\d\.(\d{1,30})(?:\s*(?:\\times|\\cdot|\*|×)\s*10\s*\^\s*\{?\s*(-?\d{1,2})\s*\}?|[eE]([-+]?\d{1,2}))")
_OF_THE_CLOCK = compiled(r" ?(?:o['’]clock|hours|hrs|h)$")
_ASSIGNED = compiled(r"\$?\s*[A-Za-z](?:_\{?\w+\}?)?(?:\(\w\))?\s*=")
_MONTHS = {
    month: n
    for n, month in enumerate(
        ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"], 1
    )
}  # fmt: skip
_MONTH = "|".join(_MONTHS)
_DATE = compiled(rf"(?:({_MONTH}) (\d{{1,2}})|(\d{{1,2}})(?: of)? ({_MONTH}))(?:,? (\d{{4}}))?")
_ORDINAL_ENDS = compiled(r"(?<=\d)(?:st|nd|rd|th)\b")
_SETS = compiled(r"(all|every|any|each)(?: the)?(?: possible)?((?: [a-z-]+){1,3}?)( [a-z])?")
_EXCEPT = compiled(r"(?s)((?:all|every|any) [a-z -]{3,40}?) (?:except|other than|excluding|but|besides)(?: for)? (.+)")
_SUCH = compiled(r"(?s)all (?:real (?:numbers |values of )?|values of )?([a-z]) (?:(?:such that|with|where|satisfying|for which) )?(.+)")
_SUCH_NUMBERS = compiled(r"(?s)all real numbers ([a-z]) (?:such that|with|where|satisfying|for which) (.+)")
_SENTENCE = compiled(r"(?s)((?:[A-Za-z]+,? ){1,10})(?:is|are|equals)(?: equal to| exactly| only|:)? (.+)")
_THERE = compiled(r"(?s)(?:so |thus |therefore |hence )?there (?:is|are|were|will be|would be)(?: exactly| only| a total of)? (.+)")
_FILLER = compiled(r"(?s)(?:exactly|therefore|thus|hence|so|answer)[,:]? (.+)")
_CLOSING = compiled(
    r"(?s)(.{3,600}?)(?:[\s,.;](?:and|so|hence|thus|therefore)[,:]?|,) "
    r"((?:the|our) (?:requested|required|desired|wanted|final) [A-Za-z ]{2,40} is .+)"
)
_DOUBTS = compiled(r"n't\b|\b(?:suppose|assum\w+|when|claim\w*|would|wrong\w*|where)\b")
_ONLY = compiled(r"([^,;]{1,200}?)\s(?:only|\\text\s?\{\s?only\s?\})\.?")
_SIGNS = {"": "", "positive": "+", "negative": "-", "nonnegative": ">=", "non-negative": ">="}
_KINDS = {
    "integer": "Z", "integers": "Z", "whole numbers": "Z", "real numbers": "R", "real number": "R", "reals": "R", "real": "R",
    "rational numbers": "Q", "rationals": "Q", "natural numbers": "N", "natural number": "N", "naturals": "N", "complex numbers": "C",
}  # fmt: skip
_KNOWN_SETS: dict[str, Value] = {
    **dict.fromkeys(("empty set", "the empty set"), EMPTY_SET),
    **dict.fromkeys(("the real numbers", "real numbers", "the set of real numbers", "the set of all real numbers"), NumberSet("R")),
    **dict.fromkeys(("integers", "the integers", "the set of integers", "the set of all integers"), NumberSet("Z")),
}
_SYNONYMS = {
    "dne": "does not exist", "not defined": "undefined", "infinitely many": "infinite", "infinitely many solutions": "infinite",
    "infinite solutions": "infinite", "noon": "time 12:00", "midnight": "time 00:00",
}  # fmt: skip


def read_answer(text: str) -> Value:
    """The parsed value; words, where it is not mathematics, as `Unparsed` words; a number word as its number."""
    if len(text) > MAX_LENGTH:
        return parse(text)
    begins = text[:1].isalnum() or text.startswith("\\t")
    if ((begins and " " in text) or ":" in text) and (moment := _time_or_date(text)) is not None:
        return moment
    text = plain_layout(text)
    if "\n" in text and (listed := _list_of_lines(text)) is not None:
        return listed
    value = parse(text)
    if isinstance(value, Unparsed) and (only := _ONLY.fullmatch(text)):
        value = parse(text := only[1])
    if isinstance(value, Expr) and bare_symbol(value).startswith("overline:"):
        return read_answer(bare_symbol(value).removeprefix("overline:"))  # a segment is named with or without its line
    return _read_words(text, value) if isinstance(value, Unparsed) else value


@lru_cache(maxsize=4096)
def _time_or_date(text: str) -> Unparsed | None:
    """A time of day as of 24 hours, a date as month, day and year."""
    plain = re.sub(r"(?<!\\)\\[,;! ]|[~$]", " ", _WRAPPER.sub(r" \1", text))
    plain = " ".join(plain.strip(" .").lower().split()).replace(" :", ":").replace("{:}", ":")
    if found := _CLOCK.fullmatch(plain.replace(": ", ":")):
        hour, minute, second = int(found[1]), int(found[2] or found[3] or 0), int(found[4] or 0)
        if not (1 <= hour <= 12 and minute < 60 and second < 60):
            return None
        return Unparsed("time " + time_of_day(hour % 12 + 12 * (found[5] == "p"), minute, second))
    digits = _OF_THE_CLOCK.sub("", plain)
    if ":" in plain and (time := clock_time(digits, sure=digits == plain)):
        return Unparsed(f"time {time}")
    date = _DATE.fullmatch(_ORDINAL_ENDS.sub("", plain))
    if date:
        return Unparsed(f"date {date[5] or '----'}-{_MONTHS[date[1] or date[4]]:02}-{int(date[2] or date[3]):02}")
    return None


def read_beside(text: str, value: Value, other: Value, *, is_gold: bool = False) -> Value:
    """5 m as a quantity where the other answer is a number or a quantity; beside 5 m or 3m + 2m it is a product. So with 20:34 beside a
    time of day, 3,5 beside a number (a gold 3,5 stays two numbers), and (1)(2) beside a list."""
    match value, other:
        case Ratio(), Unparsed(tokens=words) if words.startswith("time "):
            time = clock_time(text, sure=False)
            return Unparsed(f"time {time}") if time else value
        case Listing(), Expr() if (digits := circled_digits(text)) is not None and parse(digits) == other:
            return other
        case Listing() | Unparsed(), Expr() | Quantity() if "," in text:
            decimal = with_decimal_comma(text, sure=is_gold)
            return value if decimal is None else parse(decimal)
        case Expr(), Listing() if text.startswith("(") and (listed := numbered_labels(text)) is not None:
            return parse(listed)
        case Expr(), Expr() | Quantity() if symbols(value):
            constant = isinstance(other, Quantity) or not symbols(other)
            measured = lone_unit(text, glued=isinstance(other, Quantity)) if constant else None
            return value if measured is None else parse(measured)
    return value


def with_decimals(text: str, value: Value) -> Value:
    r"""2.3148 \times 10^{-3}, which is computed, with the seven decimals that it is written with."""
    if not isinstance(value, Expr) or value.decimals or ("10" not in text and "e" not in text.lower()):
        return value
    match = _SCIENTIFIC.fullmatch(text.strip(" $"))
    return replace(value, decimals=max(0, len(match[1]) - int(match[2] or match[3]))) if match and value.rational is not None else value


@lru_cache(maxsize=1024)
def _list_of_lines(text: str) -> Value | None:
    """Lines of one value each as a list: at once where they are blank lines apart, else where the text cannot be read as one."""
    lines = lines_of(text)
    apart = re.search(r"\n\s*\n", text) or all(_ASSIGNED.match(line) for line in lines)
    if not lines or not (apart or isinstance(parse(text), Unparsed)) or any(isinstance(parse(line), Unparsed) for line in lines):
        return None
    return parse(", ".join(line.rstrip(".") for line in lines))


@lru_cache(maxsize=4096)
def _read_words(text: str, value: Unparsed) -> Value:
    """Words are compared without their wrapper and without the case of their first letters: \\text{yes} is Yes, AB is not ab."""
    plain = " ".join(re.sub(r"(?<!\\)\\[ ,;:!]|~", " ", _WRAPPER.sub(r" \1 ", text)).strip(" .$\n").split())
    if not plain.isascii():
        plain = without_gaps(plain)
    if not re.search(r"[^\W\d_]{2}", plain):
        return value
    if (found := _set_with_condition(plain)) is not None or (found := _value_of_sentence(plain)) is not None:
        return found
    if re.search(r"[\\^_=<>{}$]", plain):
        return value
    words = " ".join(word[:1].lower() + word[1:] for word in plain.split())
    lower = words.lower()
    if (found := _word_set(lower)) is not None:
        return found
    if (of := parity(plain)) is not None:
        return Named(of[0], NumberSet(f"{of[1]} Z"))
    number = number_in_words(words)
    if number is not None:
        return rational(number)
    found_words = meaning_of(lower)
    words = words if found_words == lower else found_words
    return Unparsed(_SYNONYMS.get(words.lower(), words.lower() if words.lower() in ("yes", "no", "true", "false") else words))


def _word_set(words: str) -> Value | None:
    """ "all positive integers n" as Z+, "no real solutions" as the empty set."""
    if words in _KNOWN_SETS:
        return _KNOWN_SETS[words]
    if words != "no" and _NOTHING.fullmatch(words):
        return EMPTY_SET
    match = _SETS.fullmatch(words if words.startswith(("all ", "every ", "any ", "each ")) else "all " + words)
    if match is None:
        return None
    adjectives = match[2].split()
    sign = _SIGNS.get(adjectives[0], "") if len(adjectives) > 1 else ""
    adjectives = adjectives[1:] if sign else adjectives
    parity = adjectives.pop(0) if adjectives[:1] in (["odd"], ["even"], ["prime"]) else ""
    kind = _KINDS.get(" ".join(adjectives), "Z" if parity and " ".join(adjectives) in ("", "number", "numbers") else "")
    if not kind or (kind == "Z" and not words.startswith(("all", "every", "any", "each")) and not words.split()[-1].endswith("s")):
        return None
    name = kind + sign
    return NumberSet(f"{parity} {name}".strip())


def _set_with_condition(plain: str) -> Value | None:
    r"""All real numbers except 1; all real x such that x > 1."""
    lowered = plain[:1].lower() + plain[1:]
    if not lowered.startswith(("all ", "every ", "any ")):
        return None
    match = _EXCEPT.fullmatch(lowered)
    if match:
        whole, left_out = _word_set(match[1].lower()), parse(rf"\{{{match[2]}\}}".replace(" and ", ", "))
        return SetOf("∖", whole, left_out) if whole is not None and isinstance(left_out, FiniteSet) else None
    match = _SUCH_NUMBERS.fullmatch(lowered) or _SUCH.fullmatch(lowered)
    if match is None:
        return None
    condition = parse(match[2])
    if not isinstance(condition, Relation):
        condition = parse(f"{match[1]} {match[2]}")
    return condition if isinstance(condition, Relation) else None


def _value_of_sentence(plain: str) -> Value | None:
    """The value of a sentence, with the words before its verb as its name; in "there are 5 ways" nothing is named."""
    lowered = plain if plain[1:2] == " " else plain[:1].lower() + plain[1:]
    if closing := _CLOSING.fullmatch(plain):
        plain = lowered = closing[2] if not is_unsafe(closing[1]) and not _DOUBTS.search(closing[1]) else ""
    match = _THERE.fullmatch(lowered) or _FILLER.fullmatch(lowered)
    if match and (value := _value_of(match[1])) is not None:
        return None if is_unsafe(lowered) else value
    match = _SENTENCE.fullmatch(lowered)
    if match is None:
        return None
    name = match[1].strip()
    name = name if len(name) == 1 else " ".join(name.lower().split())
    if not names_a_quantity(name):
        return None
    formula = match[2].startswith("$") and not match[2][1:2].isdigit()  # its closing sign is stripped by now; $5 is money
    value = _value_of(match[2] + "$" * formula)
    if value is None or (isinstance(value, Named) and not is_the_solution(name)):
        return None
    return value if isinstance(value, Named) or is_the_answer(name) else Named(letter_named(name) or name, value)


def _value_of(text: str) -> Value | None:
    value = parse(text)
    if isinstance(value, Unparsed):
        number = number_in_words(text) if text.replace(" ", "").replace("-", "").isalpha() else None
        return None if number is None else rational(number)
    if isinstance(value, Expr) and symbols(value) and re.fullmatch(r"[A-Za-z ]+", text):
        return None  # "is odd"
    return value


def choice(text: str, *, lower: bool = False) -> tuple[str, str]:
    r"""The letter and the option that is quoted behind it: (B) 5, B. 5 and \textbf{(B)}\ 5 are the choice B with the option 5, option B has
    none. Two empty texts for anything else, and where a second choice follows: "(A) or (B)". `lower`: b and (b) are B too, up to h without
    the number e."""
    text = text.strip(" $.")
    if match := _CHOICE.fullmatch(text):
        option = re.sub(r"^(?:[}\s~]|\\[,;: ]|\\q?quad(?![a-z]))+", "", match[3]).strip()
        option = option[:-1] if option.endswith("}") and option.count("}") > option.count("{") else option
        return ("", "") if _LONE_CAPITAL.search(option) else (match[1] or match[2], option)
    if len(text) > 60:
        return "", ""
    named = re.fullmatch(_CHOICE_WORDS, text, re.IGNORECASE)
    letter = (named[1] if named else _WRAPPER.sub(r"\1", text)).strip("$ ().")
    if lower and len(letter) == 1 and letter in "abcdfgh":
        letter = letter.upper()
    return (letter, "") if len(letter) == 1 and letter.isupper() else ("", "")


def same_option(left: str, right: str) -> bool:
    """Whether two quoted options are the same text, but for what sets it, the case of its words and the stop at its end."""
    a, b = (" ".join(re.sub(r"\$|(?<!\\)\\[,;:! ]|~", " ", _WRAPPER.sub(r"\1", text)).strip(" .;").split()) for text in (left, right))
    return a == b or re.sub(r"[A-Za-z]{2,}", _lower_unless_capitals, a) == re.sub(r"[A-Za-z]{2,}", _lower_unless_capitals, b)


def _lower_unless_capitals(match: re.Match[str]) -> str:
    return match[0] if match[0].isupper() else match[0].lower()
