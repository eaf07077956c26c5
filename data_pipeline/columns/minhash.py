r"""The mathematics of near-duplicates: word shingles, MinHash signatures, bands, and the Jaccard similarity that they stand for.

What "near" means here: the Jaccard similarity of the sets of word 5-grams, |A & B| / |A | B|. Words are what white space separates, in
lower case, `text.lower().split()`; characters of scripts that are written without spaces (Chinese, Japanese, Thai...) are words of
their own. Formulas stay in, as words: two pages of one template that differ in their formulas are two pages. Five words, because
shorter grams are shared by texts on the same subject ("if and only if there") and one changed word already costs five of them, so that
a threshold of 0.75 allows for one change in some 35 words: enough for a date, a header or a reader's comment, not for another exercise.

What LSH finds: two documents become candidates if all `rows` values of one of `bands` bands agree, which happens with probability
1 - (1 - J^rows)^bands. A curve, no threshold: MegaMath's 11 rows x 10 bands "at 0.75" finds 35 % of the pairs of J = 0.75, 59 %
at 0.80 and 98 % at 0.90. The default, 6 x 20, finds 98 % at 0.75, and every pair is then checked, so that what it finds too much (27 % of
the pairs of J = 0.5) does no harm but to the clock.

Everything is vectorised over a document with numpy; a shingle is its 64-bit hash. Not cryptographic: whoever builds words to collide can.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]

_PIECE = 1 << 18  # characters that are hashed together; tables of powers are this long
_BLOCK = 4096  # shingles that are permuted together: the block stays in the cache
_BASE, _WORD_BASE = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)  # odd, so that they have an inverse modulo 2^64
_ALONE = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))  # fmt: skip # noqa: E501
_SPACE, _CHARACTER, _WORD = 0, 1, 2


def _kinds() -> npt.NDArray[np.uint8]:
    kinds = np.full(0x110000, _CHARACTER, np.uint8)
    for first, last in _ALONE:
        kinds[first : last + 1] = _WORD
    kinds[[code for code in range(0x3001) if chr(code).isspace()]] = _SPACE
    return kinds


def _powers(base: np.uint64) -> U64:
    powers = np.full(_PIECE, base, np.uint64)
    powers[0] = 1
    return np.cumprod(powers, dtype=np.uint64)


_KINDS = _kinds()
_POWERS = _powers(_BASE)
_INVERSES = _powers(np.uint64(pow(int(_BASE), -1, 1 << 64)))


@dataclass(frozen=True, slots=True)
class Lsh:
    """How signatures are made and cut into bands."""

    rows: int = 6
    bands: int = 20
    ngram: int = 5
    seed: int = 1

    def __post_init__(self) -> None:
        if min(self.rows, self.bands, self.ngram) < 1 or self.rows * self.bands > 4096:
            raise ValueError(f"rows, bands and ngram must be at least 1, rows x bands at most 4096: {self}")

    @property
    def hashes(self) -> int:
        return self.rows * self.bands

    def permutations(self) -> tuple[U32, U32]:
        """Multipliers (odd) and addends modulo 2^32, one of each a hash function."""
        draw = np.random.default_rng(self.seed)
        factors = draw.integers(0, 1 << 32, self.hashes, np.uint32) | np.uint32(1)
        return factors, draw.integers(0, 1 << 32, self.hashes, np.uint32)


def shingles(text: str, ngram: int = 5) -> U64:
    """The hashes of the word n-grams, with repetitions; a text of fewer words is one gram; none for a text without words."""
    words = word_hashes(text)
    if not len(words):
        return words
    size = min(ngram, len(words))
    grams = np.full(len(words) - size + 1, np.uint64(size))
    for shift in range(size):
        grams *= _WORD_BASE
        grams += words[shift : len(words) - size + 1 + shift]
    return mix(grams)


def word_hashes(text: str) -> U64:
    """One hash a word: the polynomial of its characters modulo 2^64, mixed."""
    hashes = [_piece_hashes(piece) for piece in _pieces(text.lower())]
    return np.concatenate(hashes) if len(hashes) != 1 else hashes[0]


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces that end at white space (but where a "word" is longer than a piece)."""
    start = 0
    while len(text) - start > _PIECE:
        piece = text[start : start + _PIECE]
        cut = len(piece.rstrip()) if piece[-1].isspace() else len(piece) - len(piece.rsplit(None, 1)[-1])
        cut = cut or _PIECE
        yield piece[:cut]
        start += cut
    yield text[start:]


def _piece_hashes(text: str) -> U64:
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    kinds = _KINDS[codes]
    starts = kinds != _SPACE
    starts[1:] &= (kinds[:-1] != _CHARACTER) | (kinds[1:] == _WORD)  # a word goes on only from a character to a character
    first = np.flatnonzero(starts)
    if not len(first):
        return np.zeros(0, np.uint64)
    terms = codes.astype(np.uint64)
    terms *= _POWERS[: len(codes)]
    terms[kinds == _SPACE] = 0  # so that a word's sum may run on to the next word
    hashes: U64 = np.add.reduceat(terms, first)
    hashes *= _INVERSES[first]  # as if the word stood at the beginning
    return mix(hashes)


def mix(values: U64) -> U64:
    """Splitmix64's finaliser: a bijection after which every bit depends on all bits."""
    values = values ^ (values >> np.uint64(30))
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


def signature(grams: U64, permutations: tuple[U32, U32]) -> U32:
    """For each permutation the least value that a shingle gets: equal in two documents with probability J."""
    factors, addends = permutations
    values = (grams >> np.uint64(32)).astype(np.uint32)
    least = np.full(len(factors), 0xFFFFFFFF, np.uint32)
    for start in range(0, len(values), _BLOCK):
        table = np.multiply.outer(factors, values[start : start + _BLOCK])
        table += addends[:, None]
        np.minimum(least, table.min(axis=1), out=least)
    return least


def band_hashes(signatures: U32, lsh: Lsh) -> U64:
    """[documents, bands] from [documents, hashes]: equal where all rows of a band are."""
    cut = signatures.reshape(len(signatures), lsh.bands, lsh.rows).astype(np.uint64)
    hashes = np.zeros(cut.shape[:2], np.uint64)
    for row in range(lsh.rows):
        hashes *= _WORD_BASE
        hashes += cut[:, :, row] + np.uint64(1)
    return mix(hashes)


def jaccard(left: U64, right: U64) -> float:
    """Of two arrays of distinct shingles; 0 where both are empty."""
    common = len(np.intersect1d(left, right, assume_unique=True))
    return common / max(1, len(left) + len(right) - common)


def spread(similarity: float, hashes: int) -> float:
    """The standard deviation of the similarity that a signature estimates."""
    return math.sqrt(similarity * (1 - similarity) / hashes)
