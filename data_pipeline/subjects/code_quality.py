"""Which pages about code are worth keeping: their prose by limits that know listings, and their listings by what no person writes.

The published rules are made for prose (C4 drops a page at its first brace). So listings and tables stand aside (`prose_mask.py`), a code
span is one word of which no two are the same, and a page that shows code gets the limits that mathematics needs for the same reasons:
short lines, headings that come back, lists. What is left of it must still be text. A page that shows none is judged as any other page is,
but for the braces.

Of the listings, the rules of Codex (arXiv:2107.03374, section 3.1) for files that a program wrote: an average line longer than 100
characters, one longer than 1000, or few letters and digits; a page goes when that is true of most of its code. Left out: whether the code
runs, or what licence it has.
"""

import re
from dataclasses import replace

from data_pipeline.cleaning.math_quality import MATHEMATICS, rubbish_kind
from data_pipeline.cleaning.prose_mask import CODE, mask
from data_pipeline.cleaning.published_rules import fineweb, gopher_quality, gopher_repetition
from data_pipeline.documents.document import Doc

LIMITS = replace(MATHEMATICS, min_words=10, min_alphabetic=0.6)  # a page may be a listing and a sentence
SPANS = 3
"""Code spans from which a page without a listing shows code."""
_FENCE_LINE = re.compile(r"^[ \t]{0,12}(?:[-*+] |\d{1,4}[.)] )?(```|~~~)[^\n]*$", re.MULTILINE)
_SPAN = re.compile(r"(?<!`)`[^`\n]{1,200}`(?!`)")
_LONG, _LONGEST, _FEW_LETTERS = 100, 1000, 0.25  # Codex: an average line, any line, letters and digits


def shows_code(doc: Doc) -> bool:
    """Whether extraction found a listing in the page, or several code spans."""
    return _shows(doc.text)


def _shows(text: str) -> bool:
    return _FENCE_LINE.search(text) is not None or sum(1 for _ in zip(range(SPANS), _SPAN.finditer(text), strict=False)) == SPANS


def quality_rule(doc: Doc) -> str | None:
    """A rule for `drop_if`: "quality: " and why, or None."""
    reason = judge(doc.text)
    return f"quality: {reason}" if reason else None


def judge(text: str) -> str | None:
    """Why a text is not kept; None where it is."""
    masked = mask(text)
    if reason := rubbish_kind(text, masked):
        return reason
    prose = masked.prose
    if not _shows(text):
        return gopher_quality(prose) or gopher_repetition(prose) or fineweb(prose)
    return (
        gopher_quality(prose, LIMITS)
        or gopher_repetition(prose, LIMITS, unlike=CODE)
        or fineweb(prose, LIMITS, unlike=CODE)
        or ("generated code" if _generated(listings(text)) else None)
    )


def listings(text: str) -> list[str]:
    """What stands between fences; one that never closes goes to the end."""
    found, opened = [], None
    for mark in _FENCE_LINE.finditer(text):
        if opened is None:
            opened = mark
        elif mark[1] == opened[1]:
            found.append(text[opened.end() : mark.start()])
            opened = None
    return found if opened is None else [*found, text[opened.end() :]]


def _generated(codes: list[str]) -> bool:
    """Whether most of the characters stand in listings that no person wrote."""
    whole = sum(map(len, codes))
    return whole > 0 and sum(len(code) for code in codes if _is_generated(code)) * 2 > whole


def _is_generated(code: str) -> bool:
    lines = [len(line) for line in code.split("\n") if line.strip()]
    if not lines:
        return False
    written = sum(map(str.isalnum, code))
    return sum(lines) > _LONG * len(lines) or max(lines) > _LONGEST or written < _FEW_LETTERS * sum(map(len, code.split()))
