r"""The equations that a step states between numbers, from plain text and TeX: `12 + 3 = 15`, `\frac{3}{4} \times 8 = 6 = 12 / 2`.

A chain of equalities is taken apart into its neighbours. What is read errs towards nothing: a side with a letter in it, one that a word or
a sign around it may have cut off, or that the mathematics verifier cannot read, is no side; and a chain without any operation (`x = 5`,
`5 = 5`) says nothing that could be checked. Left out: approximations (≈), operations in words, and equations with unknowns.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from verifiers.mathematics.answer_reading.answer_parser import parse
from verifiers.mathematics.answer_reading.values import Unparsed

_LONGEST = 20_000  # characters of a step that are looked at
_LONGEST_SIDE = 300
_NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?|\.\d+"
_COMMAND = r"\\(?:times|cdot|div|[dt]?frac|sqrt|left|right|[,;:! %$]|q?quad)(?![A-Za-z])"
_RUN = re.compile(rf"(?:{_NUMBER}|{_COMMAND}|[-+*/^=%!×÷·−()\[\]{{}}$&\t ])+")
_OPERATION = re.compile(r"[\d)}\]%!] *(?:[-+*/^×÷·−]|\\(?:times|cdot|div))|\\[dt]?frac|\\sqrt|\d!")
_REWRITTEN = tuple(
    (re.compile(pattern), plain)
    for pattern, plain in (
        (r"(?m)^[ \t]*(?:\d{1,3}[.)]|[-*•])[ \t]+", ""),  # of a list
        (r"[-=]+>|!=|=/=|<=|>=|\\(?:R|r|Longr|longr)ightarrow(?![A-Za-z])", ";"),  # other relations
        (r"={2,}", "="),
        (r"[ \t&]*(?:\\\\)?[ \t&]*\n[ \t&]*(?==)", " "),  # a chain that goes on in the next line
        (r"\\(?:boxed|fbox|mathbf|boldsymbol|bm|displaystyle)(?![A-Za-z])", ""),
        (r"(?<![\w)])(\*\*|__)(?=\S)([^*_\n]+?)\1(?![\w(])", r"\2"),  # bold
        (r"(?<=\d)\*\*(?=\d)", "^"),
        (r"(?<=\d)[ \t]*[xX][ \t]*(?=\d)", "*"),
        (r"\{,\}", ","),
    )
)
_SPACING = re.compile(r"\\(?:left|right|[,;:! ]|q?quad)(?![A-Za-z])|\\?\$|&")
_GAP = re.compile(r"(?<=[\d%])[ \t]+(?=\d)(?!0\d\d(?!\d))|\$\$?(?=[ \t]+\$)")
_FRACTION = re.compile(r"(\d+)/(\d+)")
_PAIRS = {"(": ")", "[": "]", "{": "}"}
_WORD_BEFORE = re.compile(r"(\\?)([A-Za-z]{2,})[ \t]?$")
_PART_BEFORE = re.compile(r"(?:[A-Za-z_\\'][ \t]?|[\u0370-\u03ff√∑∏∫∠²³¹₀-₉])$")
_PART_AFTER = re.compile(
    r"[A-Za-z](?![A-Za-z])|\\(?!text|mathrm|approx|le|ge|lt|gt|ne|implies|to|[,)\]\\])|[_^\u0370-\u03ff√²³¹]"
    r"|(?:cents?|hundreds?|thousands?|millions?|billions?|dozens?|percent)(?![A-Za-z])|and \(?\d+/\d"
)
_OPERATION_BEFORE = re.compile(
    r"(?i)sin|cos|tan|cot|sec|csc|log|ln|lg|exp|sqrt|gcd|lcm|max|min|mod|of|times|plus|minus|by|over|twice|double|half|thrice|squared"
)


def equations(step: str) -> list[tuple[str, str]]:
    """(left, right) of every equality that the step states between two numbers, in order; some of them may not hold."""
    text = step[:_LONGEST]
    for pattern, plain in _REWRITTEN:
        text = pattern.sub(plain, text)
    runs = ((run.start(), run.end()) for run in _RUN.finditer(text) if "=" in run[0])
    return [pair for start, end in runs for begin, stop in _chains(text, start, end) for pair in _of_chain(text, begin, stop)]


def _chains(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A stretch of mathematical signs, cut where a number follows another: `7+8=15 5+6=11` is two chains, `2 1/2` and `16 000` are one."""
    begin = start
    for gap in _GAP.finditer(text, start, end):
        fraction = _FRACTION.match(text, gap.end())
        if not fraction or int(fraction[1][:9]) >= int(fraction[2][:9]):
            yield begin, gap.start()
            begin = gap.end()
    yield begin, end


def _of_chain(text: str, start: int, end: int) -> list[tuple[str, str]]:
    sides = [side.strip() for side in _SPACING.sub(" ", text[start:end]).split("=")]
    if len(sides) < 2:
        return []
    sides[0], sides[-1] = _without_opened(sides[0]), _without_closed(sides[-1])
    whole = [True] * len(sides)
    whole[0] = not (_is_cut_before(text, start) or sides[0][:1] in set("+*/^×÷·") or sides[0].startswith("- "))
    whole[-1] = not (_PART_AFTER.match(text, end) or sides[-1][-1:] in set("-+*/^×÷·−!"))
    good = [is_whole and _is_readable(side) for side, is_whole in zip(sides, whole, strict=True)]
    stated = [(sides[n], sides[n + 1]) for n, both in enumerate(map(all, pairwise(good))) if both]
    return stated if any(_OPERATION.search(side) for pair in stated for side in pair) else []


def _without_opened(first: str) -> str:
    """Without brackets that open before the chain, and hold it whole or a sentence around it."""
    while first[:1] in _PAIRS and not _is_balanced(first):
        first = first[1:].lstrip()
    return first


def _without_closed(last: str) -> str:
    while last and not _is_balanced(last) and (last[-1] in _PAIRS.values() or last[-2:] in (" (", " [")):
        last = last[:-1].rstrip()
    return last


def _is_balanced(side: str) -> bool:
    waiting: list[str] = []
    for sign in side:
        if sign in _PAIRS:
            waiting.append(_PAIRS[sign])
        elif sign in _PAIRS.values() and (not waiting or waiting.pop() != sign):
            return False
    return not waiting


def _is_readable(side: str) -> bool:
    digits = any(sign.isdigit() for sign in side)
    return digits and len(side) <= _LONGEST_SIDE and _is_balanced(side) and not isinstance(parse(side), Unparsed)


def _is_cut_before(text: str, start: int) -> bool:
    """Whether the first side may be a part of something: of a variable or a function right before it. A word of a sentence is none."""
    before = text[max(0, start - 30) : start]
    if (word := _WORD_BEFORE.search(before)) and not word[1]:
        return bool(_OPERATION_BEFORE.fullmatch(word[2]))
    return bool(_PART_BEFORE.search(before))
