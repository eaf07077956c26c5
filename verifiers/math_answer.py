r"""Is the final answer of a response the gold one? By string, by exact rational number, by structure, in that order.

A wrong answer accepted teaches the policy to be wrong, so everything here errs towards "different": no floating point, no tolerance
(one stated exception, `_rounded`), and no part of an answer ever stands for the whole. Policies that a reader might want otherwise:

- percent: 50 = 50\% and 1/2 = 50\%, but 50 and 0.5 differ; `percent="strict"` wants the sign on both sides or on neither;
- units: one side may lack its unit, two different units are two different answers; nothing is converted but degrees to radians;
- names: x = 5 is 5, but x = 5 is not y = 5; a list of differently named values keeps its order against a list without names;
- lists and sets have no order but do have multiplicities; tuples and intervals have order and brackets.

Left out: what `latex_parse.py` leaves out, renamed variables, and whether the answer is in the form that the problem asked for.
"""

import re
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from verifiers.answers import DEFAULT_EXTRACTORS, Extractor, extract_answer
from verifiers.exact_sums import PI, Expr, multiply, rational, scale
from verifiers.latex_parse import MAX_LENGTH, Group, Named, Quantity, Unparsed, Value, parse
from verifiers.problem import Problem
from verifiers.verdict import Verdict, bad_gold, no_answer, right, wrong

Percent = Literal["either", "strict"]

_PLAIN = re.compile(r"[+-]?(?:[1-9]\d{0,2}(?:,\d{3})+|\d{1,400})(?:\.\d{1,400})?", re.ASCII)
_CHOICE = re.compile(r"(?:\\(?:text|textbf|mathrm|mathbf)\s*\{\s*)?(?:\(([A-Z])\)|([A-Z])[).:])((?:[\s}\\].*)?)", re.DOTALL)
_LONE_CAPITAL = re.compile(r"(?<![A-Za-z])[A-Z](?![A-Za-z])")
_WRAPPER = re.compile(r"\\(?:text|textbf|textit|textrm|mbox|mathrm|mathbf)\s*\{([^{}]*)\}")
_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_MULTIPLIERS = {"dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_UNIT_NAMES = {
    "degree": "°", "dollar": "$", "usd": "$", "percent": "%", "centimeter": "cm", "centimetre": "cm", "meter": "m", "metre": "m",
    "feet": "ft", "foot": "ft", "inche": "inch", "in": "inch", "hr": "hour", "h": "hour", "min": "minute", "second": "s", "sec": "s",
    "kilometer": "km", "kilogram": "kg", "gram": "g",
}  # fmt: skip


def verify(problem: Problem, response: str) -> Verdict:
    """The default policy: the answer is looked for as `answers.DEFAULT_EXTRACTORS` says, and judged by `equivalent`."""
    return judge(problem, response)


def judge(
    problem: Problem, response: str, *, extractors: tuple[Extractor, ...] = DEFAULT_EXTRACTORS, percent: Percent = "either"
) -> Verdict:
    """`verify` with its policy as arguments; `functools.partial` makes a verifier of it."""
    gold = problem.answer.strip()
    if not gold or (not _PLAIN.fullmatch(gold) and parse(gold) == Unparsed("")):
        return bad_gold(f"nothing to compare with in the gold answer {gold!r:.80}")
    answer = extract_answer(response, extractors)
    if answer is None:
        return no_answer("no answer found by " + ", ".join(extractor.__name__ for extractor in extractors))
    same = equivalent(gold, answer.text, percent=percent)
    detail = f"{answer.place}: {answer.text!r:.120} {'equals' if same else 'is not'} {gold!r:.120}"
    return right(detail) if same else wrong(detail)


def equivalent(gold: str, answer: str, *, percent: Percent = "either") -> bool:
    """Whether two answers are the same. Symmetric. False where either cannot be read, unless they are the same tokens."""
    gold, answer = gold.strip(), answer.strip()
    if not gold or not answer:
        return False
    if gold == answer:
        return True
    if _PLAIN.fullmatch(gold) and _PLAIN.fullmatch(answer):
        return _canonical(gold) == _canonical(answer)
    left, right_ = _read(gold), _read(answer)
    if Unparsed("") in (left, right_):
        return False
    return _same(left, right_, percent) or _same_choice(gold, answer)


def _canonical(number: str) -> str:
    """A plain integer or decimal without plus sign, commas, or zeros that do not count."""
    sign = "-" if number[0] == "-" else ""
    digits = number.lstrip("+-").replace(",", "").lstrip("0")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return sign + digits if digits else "0"


def _same_choice(left: str, right: str) -> bool:
    r"""(B) 5, B. 5 and \textbf{(B)}\ 5 are the choice B, if no second choice follows: "(A) or (B)" is neither."""
    letters = []
    for text in (left, right):
        match = _CHOICE.fullmatch(text.strip(" $"))
        if match and not _LONE_CAPITAL.search(match[3]):
            letters.append(match[1] or match[2])
        else:
            letters.append(text.strip("$ ()"))
    return letters[0] == letters[1] and len(letters[0]) == 1 and letters[0].isupper()


# ---------------------------------------------------------------- reading


def _read(text: str) -> Value:
    """The parsed value; words, where it is not mathematics, as `Unparsed` words; a number word as its number."""
    value = parse(text)
    if len(text) > MAX_LENGTH or not isinstance(value, Unparsed):
        return value
    return _read_words(text, value)


@lru_cache(maxsize=4096)
def _read_words(text: str, value: Unparsed) -> Value:
    """Words are compared without their wrapper and without the case of their first letters: \\text{yes} is Yes, AB is not ab."""
    plain = _WRAPPER.sub(r" \1 ", text).strip(" .$\n")
    if not re.search(r"[^\W\d_]{2}", plain) or re.search(r"[\\^_=<>{}$]", plain):
        return value
    words = " ".join(word[:1].lower() + word[1:] for word in plain.split())
    number = _number_word(words)
    return Unparsed(words) if number is None else rational(number)


def _number_word(words: str) -> int | None:
    ones = {word: n for n, word in enumerate(_ONES.split())}
    tens = {word: 10 * n for n, word in enumerate(_TENS.split(), 2)}
    first, _, second = words.replace("-", " ").partition(" ")
    if not second:
        return ones.get(first, tens.get(first))
    return tens[first] + ones[second] if first in tens and 1 <= ones.get(second, 0) <= 9 else None


# ---------------------------------------------------------------- comparing


def _same(left: Value, right: Value, percent: Percent) -> bool:
    if left == right:
        return True
    if isinstance(left, Named) or isinstance(right, Named):
        if isinstance(left, Named) and isinstance(right, Named) and left.name != right.name:
            return False
        return _same(_unnamed(left), _unnamed(right), percent)
    match left, right:
        case (Expr() | Quantity(), Expr() | Quantity()):
            return _same_number(_with_unit(left), _with_unit(right), percent)
        case Group(), Group():
            return _same_group(left, right, percent)
    return False


def _unnamed(value: Value) -> Value:
    return value.value if isinstance(value, Named) else value


def _with_unit(value: Expr | Quantity) -> tuple[Expr, str]:
    """Number and unit, "million" multiplied in and the unit's name made one of its spellings."""
    if isinstance(value, Expr):
        return value, ""
    number, words = value.number, []
    for word in value.unit.lower().replace("$", "$ ").split():
        if word in _MULTIPLIERS:
            number = scale(number, Fraction(_MULTIPLIERS[word]))
            continue
        single = word[:-1] if len(word) > 3 and word.endswith("s") else word
        words.append(_UNIT_NAMES.get(single, single))
    if len(set(words)) == 1:  # \$5 \text{ dollars}
        words = words[:1]
    return number, " ".join(words)


def _same_number(left: tuple[Expr, str], right: tuple[Expr, str], percent: Percent) -> bool:
    (a, unit), (b, other) = left, right
    if unit == other:
        return a == b or _rounded(a, b) or _rounded(b, a)
    if unit and other:
        return False
    if other:
        a, b, unit = b, a, other
    # From here on only `a` has a unit.
    if unit == "%":
        return percent == "either" and b in (a, scale(a, Fraction(1, 100)))
    if unit == "°" and b == multiply(scale(a, Fraction(1, 180)), PI):
        return True
    return a == b or _rounded(a, b) or _rounded(b, a)


def _rounded(decimal: Expr, exact: Expr) -> bool:
    """Whether a decimal of at least 6 places, 4 of them significant, is the rounding of a fraction that no decimal can equal.

    0.333333 is 1/3, 0.33 is not. Without the significant digits 0.000000 would be the rounding of every small number.
    """
    value, fraction = decimal.rational, exact.rational
    if decimal.decimals < 6 or value is None or fraction is None:
        return False
    if len(str(abs(value.numerator) * 10**decimal.decimals // value.denominator)) < 4:
        return False
    odd_part = fraction.denominator
    for p in (2, 5):
        while odd_part % p == 0:
            odd_part //= p
    return odd_part != 1 and round(fraction, decimal.decimals) == value


def _same_group(left: Group, right: Group, percent: Percent) -> bool:
    if "matrix" in (left.opening, right.opening) and left.opening != right.opening:
        left, right = (_vector(left), right) if left.opening == "matrix" else (left, _vector(right))
    if len(left.items) != len(right.items):
        return False
    unordered = {"", "\\{"}
    if left.opening in unordered and right.opening in unordered:
        names = [{item.name for item in group.items if isinstance(item, Named)} for group in (left, right)]
        if all(names) or max(len(found) for found in names) < 2:
            return _matched(left.items, right.items, percent)
    elif (left.opening, left.closing) != (right.opening, right.closing):
        return False
    return all(_same(a, b, percent) for a, b in zip(left.items, right.items, strict=True))


def _vector(matrix: Group) -> Group:
    """A matrix of one column or one row as the tuple of its entries; any other as it is."""
    rows = [row.items for row in matrix.items if isinstance(row, Group)]
    if len(rows) == 1 or all(len(row) == 1 for row in rows):
        return Group("(", ")", tuple(item for row in rows for item in row))
    return matrix


def _matched(left: Sequence[Value], right: Sequence[Value], percent: Percent) -> bool:
    """Whether the items can be paired off, each with an equal one: bipartite matching, as equality is not transitive (50, 50%, 1/2)."""
    partner: dict[int, int] = {}

    def place(i: int, tried: set[int]) -> bool:
        for j, item in enumerate(right):
            if j not in tried and _same(left[i], item, percent):
                tried.add(j)
                if j not in partner or place(partner[j], tried):
                    partner[j] = i
                    return True
        return False

    return all(place(i, set()) for i in range(len(left)))
