"""The features of a line of words: word numbers and hashed word n-grams, exactly as fastText numbers them.

A line's features are its known words and all its 2..n-grams, each n-gram hashed into one of `bucket` rows behind the vocabulary. Unknown
words count in n-grams only. fastText reads the end of a line as a word, `</s>`; so does this. Both the trainer and the predictor use it,
and `tests/data_pipeline/classifier/test_classify.py` holds it against fastText's own predictions. Sub-word features (`minn`, `maxn`) are
left out.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

END = "</s>"
_PRIME, _START, _NGRAM = 16777619, 2166136261, np.uint64(116049371)
_REMEMBERED = 500_000  # words whose hash is kept; a bound on memory, not on what is read

Ids = npt.NDArray[np.int64]


def word_hash(word: str) -> int:
    """FNV-1a over UTF-8 with fastText's sign-extended bytes, as a signed 32-bit number."""
    h = _START
    for byte in word.encode("utf-8", "replace"):
        h = ((h ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * _PRIME) & 0xFFFFFFFF
    return h - (1 << 32) if h >= 1 << 31 else h


class Features:
    """Lines to row numbers of the input matrix. Holds the vocabulary and remembers the hashes of words."""

    def __init__(self, vocabulary: Mapping[str, int], *, word_ngrams: int, bucket: int) -> None:
        self.vocabulary, self.word_ngrams, self.bucket = vocabulary, word_ngrams, bucket
        self._hashes: dict[str, int] = {}

    def ids(self, line: str) -> Ids:
        """Row numbers, repeated as often as the feature occurs, in fastText's order within each n."""
        words = [*line.split(), END]
        known = [row for row in map(self.vocabulary.get, words) if row is not None]
        parts = [np.array(known, dtype=np.int64)]
        if self.word_ngrams > 1 and self.bucket > 0:
            hashes = np.array([self._hash(word) for word in words], dtype=np.int64).view(np.uint64)
            rolling = hashes
            for n in range(2, self.word_ngrams + 1):
                if len(hashes) < n:
                    break
                rolling = rolling[:-1] * _NGRAM + hashes[n - 1 :]
                parts.append((rolling % np.uint64(self.bucket)).astype(np.int64) + len(self.vocabulary))
        return np.concatenate(parts)

    def _hash(self, word: str) -> int:
        found = self._hashes.get(word)
        if found is None:
            if len(self._hashes) >= _REMEMBERED:
                self._hashes.clear()
            found = self._hashes[word] = word_hash(word)
        return found
