r"""Ten words of a benchmark by other people's counting, where they are fewer by ours.

`compared_words.py` counts letters and numbers, so "the form $(r,\theta),$ where $r > 0$ and $0 \le" is 9 words of ours, but 10 for whoever
splits at white space. Such a piece, ten words long between white space or ten runs of `\w`, is a 10-gram of the benchmark by its
author's counting: a fragment. (Layout is no word, "don't" one.) It is looked for by our words and by the signs `+ = < > \frac` between
them, which make up for the words that it lacks. Left out: fragments that have too little of both, and those without a word of a language
unless they are formulas of many different signs.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from data_pipeline.cleaning.compared_words import FRACTION, is_language, signed_words

COUNTED = 10
LEAST_WORDS, LEAST_PARTS = 4, 7  # words; words and signs
_LEAST_CHARACTERS = 18  # "b c where a b and c are" has 16; a sign counts as three
_BARE_WORDS, _BARE_DISTINCT = 7, 8  # words, and different words and signs, of a fragment without a word of a language
_LONGEST = 60  # pieces, and words: beyond is no ten words but a drawing's source
_SPACED = re.compile(r"\S+")
_RUN = re.compile(r"[^\w\\]*(?:\\(?:begin|end)\{[a-z]{1,20}\*?\}|\\?\w+(?:['’ʼ]\w+)*|\\|\Z)")


class Fragment(NamedTuple):
    words: tuple[str, ...]
    signs: tuple[str, ...]
    """Between the words: one fewer."""


class _Piece(NamedTuple):
    counted: int
    """As how many words it counts."""
    words: tuple[str, ...]
    signs: tuple[str, ...]
    """Before each word, and behind the last."""
    language: int


def fragments(problem: str, usual: int) -> Iterator[Fragment]:
    """The fragments of a problem, but for those that have `usual` words with one of a language: these are found anyway."""
    yield from _windows([_piece(text, True) for text in _SPACED.findall(problem)], usual)
    yield from _windows([_piece(text, False) for text in _RUN.findall(problem)], usual)


@lru_cache(maxsize=200_000)
def _piece(text: str, always: bool) -> _Piece:
    """Counted always, or where it is a word, a number or a fraction, and no mere layout."""
    words, signs = signed_words(f"x {text} 0")  # marks: ">" is no quotation, and the signs behind the last word are wanted
    counted = always or len(words) > 2 or FRACTION in signs[-1]
    return _Piece(int(counted), tuple(words[1:-1]), tuple(signs[1:]), sum(map(is_language, words[1:-1])))


def _windows(pieces: Sequence[_Piece], usual: int) -> Iterator[Fragment]:
    counted, words, language = (
        [0, *accumulate(column)]
        for column in ([piece.counted for piece in pieces], [len(piece.words) for piece in pieces], [piece.language for piece in pieces])
    )
    end = 0
    for start in range(len(pieces)):
        while end < len(pieces) and counted[end] - counted[start] < COUNTED:
            end += 1
        if counted[end] - counted[start] < COUNTED:
            return
        length, telling = words[end] - words[start], language[end] > language[start]
        short = end - start <= _LONGEST and length < (usual if telling else _LONGEST)
        if short and length >= (LEAST_WORDS if telling else _BARE_WORDS):
            fragment = _join_pieces(pieces[start:end])
            if _is_telling(fragment, telling):
                yield fragment


def _join_pieces(pieces: Sequence[_Piece]) -> Fragment:
    words: list[str] = []
    signs: list[str] = []
    pending = ""
    for piece in pieces:
        for word, before in zip(piece.words, piece.signs[:-1], strict=True):
            words.append(word)
            signs.append(pending + before)
            pending = ""
        pending += piece.signs[-1]
    return Fragment(tuple(words), tuple(signs[1:]))


def _is_telling(fragment: Fragment, telling: bool) -> bool:
    """Whether it is no accident that a text has it: 1, 2, 3, 4... stand everywhere."""
    signs = [*filter(None, fragment.signs)]
    if telling:
        return len(fragment.words) + len(signs) >= LEAST_PARTS and sum(map(len, fragment.words)) + 3 * len(signs) >= _LEAST_CHARACTERS
    different = {*fragment.words}
    letters = sum(word[0].isalpha() for word in different)
    return len(signs) > 1 and min(letters, len(different) - letters) > 1 and len(different | {*signs}) >= _BARE_DISTINCT
