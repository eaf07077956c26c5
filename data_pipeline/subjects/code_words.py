r"""One line of words out of a document's text, as a classifier of code sees it: what it says, and where it is written like code.

Two manuals share few words and all their habits: names with underscores, dots and capitals inside, calls, options, paths, listings. So each
such habit has a word of its own (`ɕcall`, `ɕoption`), written behind the words that the name is made of; a listing is `ɕlisting` and what
its first lines are made of. The other half of the cure is what goes: formulas with all they hold, because libraries of mathematics are
documented too and would teach that a formula is code, and whatever tells sites apart (`classifier_words.py`).

A habit counts `HABITS` times at most and a word `REPEATS` times: a reference of a thousand functions is no more about code than a page of
one. Linear time: single passes and bounded repeats.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

from data_pipeline.classifier.classifier_words import (
    ADDRESS,
    FORMULA,
    MAX_CHARACTERS,
    MAX_WORDS,
    NAVIGATION,
    REPEATS,
    formulas_named,
    telling,
)

HABITS = 10
LISTED = 40
"""Words of a listing that are read: its beginning says what it is, all of it would drown the page."""
MARK = "ɕ"
SENTENCE = 8

_FENCE = re.compile(r"[ \t]{0,12}(?:[-*+] |\d{1,4}[.)] )?(```|~~~)")
_PROMPT = re.compile(r"[ \t]{0,20}(?:>>>|\.\.\. |sage:|(?:In|Out) ?\[\d{0,5}\]:|[io]\d{1,5} ?[:=]|octave:\d|[$#%] (?=[a-z]))")
_NAME = r"[A-Za-z_][A-Za-z0-9_]{0,60}"
_SHAPES = re.compile(
    rf"(?P<path>(?<![\w.<])(?:~|\.{{1,2}})?(?:/[A-Za-z0-9_.+-]{{1,60}}){{2,12}}/?)"
    rf"|(?P<option>(?<![\w-])--?[A-Za-z][A-Za-z0-9]{{0,30}}(?:-[A-Za-z0-9]{{1,30}}){{0,6}}(?![\w-]))"
    rf"|(?P<dotted>(?<![\w.@])[A-Za-z_][A-Za-z0-9_]{{1,60}}(?:(?:\.|::|->){_NAME}){{1,8}})"
    rf"|(?P<snake>(?<!\w)(?=[A-Za-z0-9]{{0,60}}_)_{{0,2}}[A-Za-z][A-Za-z0-9]{{0,60}}(?:_{{1,2}}[A-Za-z0-9]{{1,60}}){{0,8}}_{{0,2}}(?!\w))"
    rf"|(?P<camel>\b[A-Za-z]{{0,30}}[a-z](?:[A-Z][a-z0-9]{{1,30}}){{1,8}}\b)"
    rf"|(?P<sign>==|!=|<=|>=|=>|->|&&|\|\||\+\+|\{{\}}|\(\)|::|(?<=\w)=(?=[\w'\"])|;(?=\s*$))",
    re.MULTILINE,
)
_SPAN = re.compile(r"(?<!`)`([^`\n]{1,200})`")
_CALLED = re.compile(r"\(")
_WORD = re.compile(r"[^\W\d_]{1,30}")


def code_words(text: str) -> str:
    """The text as the classifier reads it: words between single spaces, on one line, at most `MAX_WORDS` of them."""
    prose = "".join(formulas_named(text[:MAX_CHARACTERS], ""))
    counts: Counter[str] = Counter()
    words: list[str] = []
    for word in _words(prose):
        counts[word] += 1
        if counts[word] <= (HABITS if word[0] == MARK else REPEATS):
            words.append(word)
            if len(words) == MAX_WORDS:
                break
    return " ".join(words)


def _words(text: str) -> Iterator[str]:
    fence, left = "", 0
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if mark and fence in ("", mark[1]):
            fence, left = ("", 0) if fence else (mark[1], LISTED)
            if fence:
                yield f"{MARK}listing"
        elif fence:
            for word in _line_words(line):
                if left:
                    left -= 1
                    yield word
        elif not (len(line) < 200 and NAVIGATION.fullmatch(line)):
            if _PROMPT.match(line):
                yield f"{MARK}prompt"
            words = list(_line_words(_SPAN.sub(rf"\1 {MARK}span ", ADDRESS.sub(" ", line))))
            yield from words
            if len(words) >= SENTENCE and not any(word[0] == MARK for word in words):
                yield f"{MARK}prose"


def _line_words(line: str) -> Iterator[str]:
    start = 0
    for found in _SHAPES.finditer(line):
        yield from _plain(line[start : found.start()])
        yield from _plain(found[0])
        yield f"{MARK}{found.lastgroup}"
        start = found.end()
        if line[start : start + 1] == "(":
            yield f"{MARK}call"
    yield from _plain(line[start:])


def _plain(text: str) -> Iterator[str]:
    for token in _WORD.findall(unicodedata.normalize("NFKC", text)):
        if token != FORMULA:
            yield from telling(token)
