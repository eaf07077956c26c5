r"""One line of words out of a document's text, as a classifier of code sees it: what it says, and where it is written like code.

Two manuals share few words and all their habits: names with underscores, dots and capitals inside, calls, options, paths, listings. So each
such habit has a word of its own (`ɕcall`, `ɕoption`), written behind the words that the name is made of; a listing is `ɕlisting` and what
its first lines are made of. The other half of the cure is what goes: formulas with all they hold, because libraries of mathematics are
documented too and would teach that a formula is code, and whatever tells sites apart (`classifier_words.py`).

A habit counts `HABITS` times at most and a word `REPEATS` times: a reference of a thousand functions is no more about code than a page of
one, and what a page says must not drown in how it is written. Linear time: single passes and bounded repeats.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

from data_pipeline.classifier.classifier_words import (
    ADDRESS,
    MAX_CHARACTERS,
    MAX_WORDS,
    NAVIGATION,
    REPEATS,
    formulas_named,
    telling,
)

MARK = "ɕ"
HABITS = 4
LISTED = 40
"""Words of a listing that are read: its beginning says what it is, all of it would drown the page."""
SENTENCE = 8
"""Words of a line that, written without any habit of code, is `ɕprose`: what tells a page in a language that no seed page is in."""

_FENCE = re.compile(r"[ \t]{0,12}(?:[-*+] |\d{1,4}[.)] )?(```|~~~)")
_PROMPT = re.compile(r"[ \t]{0,20}(?:>>>|\.\.\. |sage:|(?:In|Out) ?\[\d{0,5}\]:|[io]\d{1,5} ?[:=]|octave:\d|[$#%] (?=[a-z]))")
_NAME = r"[A-Za-z_][A-Za-z0-9_]{0,60}"
_SHAPES = re.compile(
    rf"(?P<path>(?<![\w.<])(?:~|\.{{1,2}})?(?:/[A-Za-z0-9_.+-]{{1,60}}){{2,12}}/?)"
    rf"|(?P<option>(?<![\w-])--?[A-Za-z][A-Za-z0-9]{{0,30}}(?:-[A-Za-z0-9]{{1,30}}){{0,6}}(?![\w-]))"
    rf"|(?P<dotted>(?<![\w.@])[A-Za-z_][A-Za-z0-9_]{{1,60}}(?:(?:\.|::|->){_NAME}){{1,8}})"
    rf"|(?P<snake>(?<!\w)(?=[A-Za-z0-9]{{0,60}}_)_{{0,2}}[A-Za-z][A-Za-z0-9]{{0,60}}(?:_{{1,2}}[A-Za-z0-9]{{1,60}}){{0,8}}_{{0,2}}(?!\w))"
    rf"|(?P<camel>\b[A-Za-z]{{0,30}}[a-z](?:[A-Z][a-z0-9]{{1,30}}){{1,8}}\b)"
    rf"|(?P<sign>==|!=|<=|>=|=>|->|&&|\|\||\+\+|\{{\}}|\(\)|::|(?<=\w)=(?=[\w'\"]))"
)
_SPAN = re.compile(r"(?<!`)`([^`\n]{1,200})`")
_AROUND = ".,;:!?()[]\"'“”‘’*_"
_LONGEST = 30
_WORD = re.compile(r"[^\W\d_]{1,30}")


def code_words(text: str) -> str:
    """The text as the classifier reads it: words between single spaces, on one line, at most `MAX_WORDS` of them."""
    counts: Counter[str] = Counter()
    words: list[str] = []
    for word in _words(unicodedata.normalize("NFKC", text[:MAX_CHARACTERS])):
        counts[word] += 1
        if counts[word] <= (HABITS if word[0] == MARK else REPEATS):
            words.append(word)
            if len(words) == MAX_WORDS:
                break
    return " ".join(words)


def _words(text: str) -> Iterator[str]:
    for listing, lines in _parts(text.splitlines()):
        if listing:
            yield f"{MARK}listing"
            yield from islice((word for line in lines for word in _line_words(line)), LISTED)
        else:
            for line in "".join(formulas_named("\n".join(lines), "")).split("\n"):
                if not (len(line) < 200 and NAVIGATION.fullmatch(line)):
                    yield from _prose_words(line)


def _parts(lines: Sequence[str]) -> Iterator[tuple[bool, list[str]]]:
    """(whether it is a listing, its lines) in order; a listing without an end goes to the end of the text."""
    part: list[str] = []
    fence = ""
    for line in lines:
        mark = _FENCE.match(line)
        if mark and fence in ("", mark[1]):
            if part or fence:
                yield bool(fence), part
            part, fence = [], "" if fence else mark[1]
        else:
            part.append(line)
    if part or fence:
        yield bool(fence), part


def _prose_words(line: str) -> Iterator[str]:
    if _PROMPT.match(line):
        yield f"{MARK}prompt"
    words = list(_line_words(_SPAN.sub(rf"\1 {MARK}span ", ADDRESS.sub(" ", line))))
    yield from words
    if len(words) >= SENTENCE and not any(word[0] == MARK for word in words):
        yield f"{MARK}prose"


def _line_words(line: str) -> Iterator[str]:
    for chunk in line.split():
        bare = chunk.strip(_AROUND)
        if bare.isalpha() and (bare[1:].islower() or bare.isupper()) and len(bare) <= _LONGEST:
            yield from telling(bare)
        else:
            yield from _shaped(chunk)
    if line.rstrip().endswith(";"):
        yield f"{MARK}sign"


def _shaped(chunk: str) -> Iterator[str]:
    """The words of what is no plain word, and how it is written."""
    start = 0
    for found in _SHAPES.finditer(chunk):
        yield from _plain(chunk[start : found.start()])
        yield from _plain(found[0])
        yield f"{MARK}{found.lastgroup}"
        start = found.end()
        if chunk[start : start + 1] == "(":
            yield f"{MARK}call"
    yield from _plain(chunk[start:])


def _plain(text: str) -> Iterator[str]:
    for token in _WORD.findall(text):
        yield from telling(token)
