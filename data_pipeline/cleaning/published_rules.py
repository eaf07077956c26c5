"""The four sets of rules by which web text is filtered everywhere, as pure functions: text -> why it would be dropped, or None.

- `gopher_quality`, `gopher_repetition`: arXiv:2112.11446, appendix A.1.1, table A1;
- `c4`: arXiv:1910.10683, section 2.2 (its line filters decide here which sentences count; no text is changed);
- `fineweb`: arXiv:2406.17557, section 3.5.

The numbers are the papers'; Gopher's and FineWeb's lie in `Limits`, so that `math_quality.py` can state which of them it changes for
mathematics. Words are what white space separates; a tokenizer that makes a word of every sign of punctuation finds fewer words with a
letter and so drops more.
Repeated n-grams are counted as later occurrences, overlaps once. Every function takes linear time but for the sorting of n-grams.
Left out: the papers' rules on bad words and on languages, and C4's deduplication.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.uint64]

_ALPHA = re.compile(r"[^\W\d_]")
_BULLET = re.compile(r"[ \t]{0,20}[-*•●◦‣–+][ \t]")
_SENTENCE_END = re.compile(r"[.!?][\"”’)\]]{0,3}(?=\s|\Z)")
_ELLIPSIS = re.compile(r"\.{3,}|…")
_PARAGRAPH = re.compile(r"\n[ \t]*\n")
_STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
_TERMINAL = (".", "!", "?", '"', "”")
_POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
_BASE = np.uint64(0x9E3779B97F4A7C15)
_SENTENCES, _LINE_WORDS = 5, 3  # of C4: sentences of a page, words of a line
_TOP, _REPEATED = (2, 3, 4), (5, 6, 7, 8, 9, 10)


@dataclass(frozen=True, slots=True)
class Limits:
    """The papers' thresholds. A share is of the words, lines or characters of a text; it is dropped beyond the limit."""

    min_words: int = 50
    max_words: int = 100_000
    min_word_length: float = 3.0
    max_word_length: float = 10.0
    max_symbols: float = 0.1
    """`#` and ellipses, each, to a word."""
    max_bullets: float = 0.9
    max_ellipses: float = 0.3
    min_alphabetic: float = 0.8
    """Share of words with a letter in them."""
    min_stop_words: int = 2
    max_repeated_lines: float = 0.3
    max_repeated_paragraphs: float = 0.3
    max_repeated_line_characters: float = 0.2
    max_repeated_paragraph_characters: float = 0.2
    top_ngrams: tuple[float, float, float] = (0.20, 0.18, 0.16)
    """Characters within the most frequent 2-, 3- and 4-gram."""
    repeated_ngrams: tuple[float, ...] = (0.15, 0.14, 0.13, 0.12, 0.11, 0.10)
    """Characters within repeated 5- to 10-grams."""
    min_punctuated: float = 0.12
    """Share of lines that end with terminal punctuation (FineWeb)."""
    max_line_characters_repeated: float = 0.1
    short_line: int = 30
    max_short_lines: float = 0.67


PAPERS = Limits()


def gopher_quality(text: str, limits: Limits = PAPERS) -> str | None:
    words = text.split()
    if not limits.min_words <= len(words) <= limits.max_words:
        return "too short" if len(words) < limits.min_words else "too long"
    if not limits.min_word_length <= sum(map(len, words)) / len(words) <= limits.max_word_length:
        return "word length"
    if max(text.count("#"), _ellipses(text)) > limits.max_symbols * len(words):
        return "symbols"
    lines = lines_of(text)
    if sum(_BULLET.match(line) is not None for line in lines) > limits.max_bullets * len(lines):
        return "bullets"
    if sum(line.endswith(("...", "…")) for line in lines) > limits.max_ellipses * len(lines):
        return "ellipses"
    distinct = Counter(words)
    lettered = sum(map(distinct.__getitem__, filter(_ALPHA.search, distinct)))
    if lettered < limits.min_alphabetic * len(words):
        return "few letters"
    if sum(word in distinct or word.capitalize() in distinct for word in _STOP_WORDS) < limits.min_stop_words:
        return "no sentences"
    return None


def gopher_repetition(text: str, limits: Limits = PAPERS, *, unlike: str = "") -> str | None:
    """`unlike` is a word of which no two are the same: what stands for formulas."""
    for parts, share, characters in (
        (lines_of(text), limits.max_repeated_lines, limits.max_repeated_line_characters),
        (_paragraphs(text), limits.max_repeated_paragraphs, limits.max_repeated_paragraph_characters),
    ):
        count, length = repeated(parts, unlike)
        if count > share * len(parts) or length > characters * max(1, sum(map(len, parts))):
            return "repeated lines"
    words = text.split()
    if len(words) < _TOP[0]:
        return None
    return _repeated_ngrams(words, limits, unlike)


def c4(text: str) -> str | None:
    if "{" in text:
        return "curly bracket"
    lower = text.lower()
    if "lorem ipsum" in lower:
        return "placeholder text"
    sentences = sum(len(_SENTENCE_END.findall(line)) or 1 for line in lines_of(lower) if _is_sentence_line(line))
    return "few sentences" if sentences < _SENTENCES else None


def fineweb(text: str, limits: Limits = PAPERS, *, unlike: str = "") -> str | None:
    lines = lines_of(text)
    if not lines:
        return "too short"
    if sum(line.endswith(_TERMINAL) for line in lines) <= limits.min_punctuated * len(lines):
        return "few sentences"
    if sum(len(line) < limits.short_line for line in lines) >= limits.max_short_lines * len(lines):
        return "short lines"
    if repeated(lines, unlike)[1] >= limits.max_line_characters_repeated * sum(map(len, lines)):
        return "repeated lines"
    return None


def general(text: str) -> str | None:
    """All four, one after the other: the first reason."""
    return gopher_quality(text) or gopher_repetition(text) or c4(text) or fineweb(text)


def lines_of(text: str) -> list[str]:
    """The lines that are not blank, without the space around them."""
    return [line for part in text.split("\n") if (line := part.strip())]


def repeated(parts: Sequence[str], unlike: str = "") -> tuple[int, int]:
    """How many of the parts came before, and the characters in them; those that hold `unlike` never did."""
    counts = Counter(parts)
    later = [(count - 1, len(part)) for part, count in counts.items() if count > 1 and not (unlike and unlike in part)]
    return sum(count for count, _ in later), sum(count * length for count, length in later)


def _ellipses(text: str) -> int:
    return len(_ELLIPSIS.findall(text)) if "..." in text or "…" in text else 0


def _paragraphs(text: str) -> list[str]:
    return [part for found in _PARAGRAPH.split(text) if (part := found.strip())]


def _is_sentence_line(line: str) -> bool:
    """Whether C4 would keep the line: punctuated, of some words, and no notice."""
    if not line.endswith(_TERMINAL) or line.endswith("...") or len(line.split(None, _LINE_WORDS)) < _LINE_WORDS:
        return False
    return "javascript" not in line and not any(notice in line for notice in _POLICY)


# ---------------------------------------------------------------- n-grams


def _repeated_ngrams(words: Sequence[str], limits: Limits, unlike: str) -> str | None:
    """An n-gram repeats only where its first n - 1 words do, so each size is looked for among the finds of the one before."""
    ids = np.fromiter(map(hash, words), dtype=np.int64, count=len(words)).view(np.uint64)  # equal or not is all that is asked
    if unlike:
        hashes = [hash(unlike + sign) for sign in ("", ".", ",", ":", ";", ")", ").", "),")]
        own = np.flatnonzero(np.isin(ids, np.array(hashes, dtype=np.int64).view(np.uint64)))
        ids[own] = np.arange(len(own), dtype=np.uint64)
    lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
    ends = np.concatenate(([0], np.cumsum(lengths)))
    at = np.arange(len(words))
    grams = ids
    for n in (*_TOP, *_REPEATED):
        inside = at + n <= len(words)
        at, grams = at[inside], grams[inside]
        grams = (grams * _BASE) + ids[at + n - 1]  # wraps around: a hash of 64 bits
        order = np.argsort(grams, kind="stable")
        ordered = grams[order]
        first = np.ones(len(ordered), dtype=np.bool_)
        np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
        starts = np.flatnonzero(first)
        if len(starts) == len(ordered):
            return None  # no two are the same
        counts = np.diff(starts, append=len(ordered))
        if n in _TOP:
            where = at[order[starts]]
            weight = np.where(counts > 1, counts * (ends[where + n] - ends[where]), 0).max()
            if weight > limits.top_ngrams[n - _TOP[0]] * ends[-1]:
                return "repeated phrases"
        else:
            share = _covered_characters(at[order[~first]], n, lengths) / ends[-1]
            if share > limits.repeated_ngrams[n - _REPEATED[0]]:
                return "repeated phrases"
            if share <= min(limits.repeated_ngrams):  # longer ones cover no more
                return None
        again = np.sort(order[np.repeat(counts > 1, counts)])
        at, grams = at[again], grams[again]
    return None


def _covered_characters(starts: npt.NDArray[np.int64], n: int, lengths: npt.NDArray[np.int64]) -> int:
    """Characters of the words in n-grams that begin at `starts`, each word once."""
    size = len(lengths) + 1
    change = np.bincount(starts, minlength=size) - np.bincount(starts + n, minlength=size)
    return int(lengths[np.cumsum(change[:-1]) > 0].sum())
