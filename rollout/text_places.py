"""Which token of a turn finishes a character of its text: where a step of the response ends, for whoever gives credit by tokens.

A token need not be a whole number of characters: byte-level vocabularies cut an emoji into four, and SentencePiece writes a first
space that decoding drops. So nothing is added up from single tokens. A character is finished by the first token from which on
the decoded prefix agrees with the whole text up to that character; single tokens only say where to look first.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate


class TextPlaces:
    """The tokens of one turn and the text that they decode to."""

    def __init__(self, tokens: Sequence[int], decode: Callable[[Sequence[int]], str], piece_length: Callable[[int], int]):
        """`piece_length`: characters of a token that is decoded by itself, a guess that costs a little time where it is wrong."""
        self.tokens, self.decode, self.text = tokens, decode, decode(tokens)
        self._guesses = list(accumulate(map(piece_length, tokens)))

    def finishing(self, end: int) -> int:
        """The place of the token that finishes character `end - 1` of the text, for an end from 1 to its length."""
        low, high = 0, len(self.tokens) - 1
        guess = min(bisect_left(self._guesses, end), high)
        if not self._agrees(guess, end):
            low = guess + 1
        elif guess == 0 or not self._agrees(guess - 1, end):
            return guess
        else:
            high = guess - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self._agrees(middle, end) else (middle + 1, high)
        return low

    def _agrees(self, place: int, end: int) -> bool:
        return self.decode(self.tokens[: place + 1])[:end] == self.text[:end]
