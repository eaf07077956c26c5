r"""The problems of benchmarks, ready to be looked for in any text: `Benchmarks`.

A problem is found where `NGRAM` of its words in a row stand, a shorter one (3 words or more) where it stands whole. Words are those of
`compared_words.py`; ten words by other ways of counting come from `benchmark_fragments.py`. Ten words of which none belongs to a language
are looked for only where their problem has no others. What the rules are for stands in `decontamination.py`.

N-grams are looked up by 64-bit hashes, then compared word by word: no hit is an accident of hashing. Three sieves of bits, for long and
short problems and for fragments, let nearly all words of a clean text pass without a look.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data_pipeline.cleaning.benchmark_fragments import fragments
from data_pipeline.cleaning.compared_words import DROPPED, has_hyphens, is_language, raw_words, signed_words, spellings, text_words
from data_pipeline.documents.document_files import document_files, read_rows
from verifiers.input_error import InputError

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

NGRAM, SHORTEST = 10, 3
LANGUAGE = 1  # words of a language that 10 words must hold, if any 10 of their problem do
PROBLEM_FIELDS = ("problem", "question", "prompt", "input", "instruction", "query", "text")
CHAT_FIELDS = ("messages", "conversations", "conversation", "chat")
_UNKNOWN, _NO_WORD = 0, -1
_FACTOR = 0x9E3779B97F4A7C15
_LONG_BITS, _SHORT_BITS, _FRAGMENT_BITS = 22, 16, 20  # tables of 4 MB, 64 kB and 1 MB
_ROUNDS = 8
_APOSTROPHE = re.compile(r"(?<=\w)['’ʼ](?=\w)")
PARAGRAPH_GAP = re.compile(r"(\n[ \t\r]*\n\s*)")


class Hit(NamedTuple):
    """Words of a text that stand in a benchmark."""

    benchmark: str
    """Name of the benchmark's file."""
    row: int
    """Its line or row there, from 1: the first that has the words."""
    ngram: str
    segment: int
    """The paragraph of the text in which the words begin, from 0."""
    last_segment: int


class _Ids(dict[str, int]):
    def __missing__(self, word: str) -> int:
        return _UNKNOWN


class Benchmarks:
    """The problems to keep out, ready to be looked for. `load` reads them from files."""

    def __init__(self, texts: Sequence[tuple[str, int, str]]) -> None:
        """texts: (file name, row, text)."""
        self.problems = len(texts)
        texts = [*texts, *((name, row, _APOSTROPHE.sub(" ", text)) for name, row, text in texts if _APOSTROPHE.search(text))]
        self._places = [(name, row) for name, row, _ in texts]
        spelled = [text_words(text) for _, _, text in texts]
        vocabulary = sorted({word for problem in spelled for word in problem})
        self._ids = _Ids(dict.fromkeys(DROPPED, _NO_WORD))
        number = {word: index for index, word in enumerate(vocabulary, start=1)}
        self._ids.update({raw: index for word, index in number.items() for raw in spellings(word)})
        self._values = np.random.default_rng(0).integers(1, 1 << 63, len(vocabulary) + 1, np.uint64) | np.uint64(1)
        self._vocabulary = ["", *vocabulary]
        self._language = np.array([is_language(word) for word in self._vocabulary], np.int64)
        self._tokens = np.array([number[word] for problem in spelled for word in problem], np.int64)
        lengths = np.array([len(problem) for problem in spelled], np.int64)
        self._bounds = np.concatenate([[0], np.cumsum(lengths)])
        self.too_short = int((lengths[: self.problems] < SHORTEST).sum())
        self._index_long(lengths)
        self._index_short(lengths)
        self._index_fragments([text for _, _, text in texts], number)

    @classmethod
    def load(cls, paths: Iterable[Path]) -> "Benchmarks":
        """From JSON Lines or Parquet files, or folders of them: the problem, question or prompt of every row."""
        files = [file for path in paths for file in document_files(Path(path))]
        texts = [(file.name, number, text) for file in files for number, text in _problem_texts(file)]
        if not texts:
            raise InputError(
                "decontamination: the benchmark files hold no problem" if files else "decontamination: no benchmark file given"
            )
        return cls(texts)

    def summary(self) -> str:
        """How much there is to look for, in a sentence."""
        files = len({name for name, _ in self._places})
        short = f"; {self.too_short:,} of fewer than {SHORTEST} words cannot be looked for" if self.too_short else ""
        return f"benchmarks: {counted_noun(self.problems, 'text')} of {counted_noun(files, 'file')}{short}"

    def hits(self, text: str) -> list[Hit]:
        """Where the text shares words with a benchmark, in order; one for each problem and stretch of paragraphs."""
        if not self._found(text):
            return []
        segments = PARAGRAPH_GAP.split(text)[::2]
        found: dict[tuple[str, int, int, int], Hit] = {}
        for joined in (False, True) if has_hyphens(text) else (False,):
            ids = [self._word_ids(segment, joined) for segment in segments]
            segment_of = np.repeat(np.arange(len(ids)), [len(part) for part in ids])
            whole = np.concatenate(ids)
            for place, length, problem in self._matches(whole, segments, joined):
                name, row = self._places[problem]
                first, last = int(segment_of[place]), int(segment_of[place + length - 1])
                ngram = " ".join(self._vocabulary[token] for token in whole[place : place + length])
                found.setdefault((name, row, first, last), Hit(name, row, ngram, first, last))
        return sorted(found.values(), key=lambda hit: (hit.segment, hit.last_segment, hit.benchmark, hit.row))

    def clean(self, text: str) -> tuple[str, list[Hit]]:
        """The text without its contaminated paragraphs, and what was found in it (places are those in the text before)."""
        hits = self.hits(text)
        if not hits:
            return text, []
        pieces = PARAGRAPH_GAP.split(text)
        paragraphs, gaps = pieces[::2], ["", *pieces[1::2]]
        kept, again = list(range(len(paragraphs))), hits
        for _ in range(_ROUNDS):  # paragraphs that a removal brings together may make a new hit
            gone = {place for hit in again for place in range(hit.segment, hit.last_segment + 1)}
            kept = [index for place, index in enumerate(kept) if place not in gone]
            again = self.hits("\n\n".join(paragraphs[index] for index in kept))
            if not again:
                break
        else:
            kept = []  # made to be so: nothing of it is wanted
        return "".join(gaps[index] * (place > 0) + paragraphs[index] for place, index in enumerate(kept)), hits

    def _index_long(self, lengths: I64) -> None:
        """Sorted hashes of the 10-grams of all problems, and for each where its words begin in the benchmarks."""
        counts = np.maximum(lengths - NGRAM + 1, 0)
        owner = np.repeat(np.arange(len(lengths)), counts)
        starts = self._bounds[owner] + np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        hashes = self._hashes(self._tokens)[1]
        telling = self._telling(starts, owner, len(lengths))
        starts = starts[telling]
        self._long, at = np.unique(hashes[starts], return_index=True)  # the first of equal ones: the lowest row
        self._long_starts, self._long_sieve = starts[at], _sieve(self._long, _LONG_BITS)

    def _index_short(self, lengths: I64) -> None:
        """The problems of 3 to 9 words by their words, and a sieve of their openings."""
        owners = np.flatnonzero((lengths >= SHORTEST) & (lengths < NGRAM))
        starts, ends = self._bounds[owners].tolist(), self._bounds[owners + 1].tolist()
        self._short = {self._tokens[start:end].tobytes(): start for start, end in reversed(list(zip(starts, ends, strict=True)))}
        self._short_lengths = sorted(set(lengths[owners].tolist()))
        self._short_sieve = _sieve(self._hashes(self._tokens)[0][np.array(starts, np.int64)], _SHORT_BITS)

    def _index_fragments(self, problems: Sequence[str], number: Mapping[str, int]) -> None:
        """Pieces of ten words by other ways of counting (`benchmark_fragments.py`): their words, signs, and the place of their problem."""
        self._fragments: dict[bytes, dict[tuple[str, ...], int]] = {}
        lengths: defaultdict[bytes, set[int]] = defaultdict(set)
        for problem, text in enumerate(problems):
            for fragment in fragments(text, NGRAM):
                ids = np.array([number.get(word, _UNKNOWN) for word in fragment.words], np.int64)
                if ids.all():
                    lengths[ids[:SHORTEST].tobytes()].add(len(ids))
                    self._fragments.setdefault(ids.tobytes(), {}).setdefault(fragment.signs, problem)
        self._fragment_lengths = {opening: sorted(found) for opening, found in lengths.items()}
        opened = np.frombuffer(b"".join(lengths), np.int64)
        self._fragment_sieve = _sieve(self._hashes(opened)[0][::SHORTEST], _FRAGMENT_BITS)

    def _telling(self, starts: I64, owner: I64, problems: int) -> npt.NDArray[np.bool_]:
        """The n-grams with enough words of a language; of a problem that has none of these, those with the most."""
        total = np.concatenate([[0], np.cumsum(self._language[self._tokens])])
        content = np.minimum(total[starts + NGRAM] - total[starts], LANGUAGE)
        most = np.zeros(problems, np.int64)
        np.maximum.at(most, owner, content)
        telling: npt.NDArray[np.bool_] = content == most[owner]
        return telling

    def _hashes(self, ids: I64) -> tuple[U64, U64]:
        """The hashes of all 3-grams and of all 10-grams."""
        one = self._values[ids]
        two = _join_hashes(one, 1, one, 1)
        four = _join_hashes(two, 2, two, 2)
        return _mix_bits(_join_hashes(two, 2, one, 1)), _mix_bits(_join_hashes(_join_hashes(four, 4, four, 4), 8, two, 2))

    def _word_ids(self, text: str, join_hyphens: bool = False) -> I64:
        raw = raw_words(text, join_hyphens=join_hyphens)
        ids: I64 = np.fromiter(map(self._ids.__getitem__, raw), np.int64, len(raw))
        return np.extract(ids != _NO_WORD, ids)

    def _found(self, text: str) -> bool:
        if next(self._matches(self._word_ids(text), [text]), None):
            return True
        return has_hyphens(text) and next(self._matches(self._word_ids(text, True), [text], True), None) is not None

    def _matches(self, ids: I64, segments: Sequence[str], joined: bool = False) -> Iterator[tuple[int, int, int]]:
        """(place in the text, length, problem) of every n-gram that stands in both; ids are the words of the segments."""
        openings, hashes = self._hashes(ids)
        for place in np.flatnonzero(self._short_sieve[openings >> np.uint64(64 - _SHORT_BITS)]).tolist():
            for length in self._short_lengths:
                start = self._short.get(ids[place : place + length].tobytes())
                if start is not None and place + length <= len(ids):
                    yield place, length, self._problem(start)
        places = np.flatnonzero(self._long_sieve[hashes >> np.uint64(64 - _LONG_BITS)])
        if len(places):
            at = np.minimum(np.searchsorted(self._long, hashes[places]), len(self._long) - 1)
            equal = self._long[at] == hashes[places]
            for place, start in zip(places[equal].tolist(), self._long_starts[at[equal]].tolist(), strict=True):
                if np.array_equal(ids[place : place + NGRAM], self._tokens[start : start + NGRAM]):
                    yield place, NGRAM, self._problem(start)
        yield from self._fragment_matches(ids, openings, segments, joined)

    def _fragment_matches(self, ids: I64, openings: U64, segments: Sequence[str], joined: bool) -> Iterator[tuple[int, int, int]]:
        """The same of fragments. The signs are read only where the words agree, as that takes a second look at the text."""
        signs: list[str] | None = None
        for place in np.flatnonzero(self._fragment_sieve[openings >> np.uint64(64 - _FRAGMENT_BITS)]).tolist():
            for length in self._fragment_lengths.get(ids[place : place + SHORTEST].tobytes(), ()):
                found = self._fragments.get(ids[place : place + length].tobytes())
                if found is None or place + length > len(ids):
                    continue
                if signs is None:
                    signs = [sign for segment in segments for sign in signed_words(segment, join_hyphens=joined)[1]]
                problem = found.get(tuple(signs[place + 1 : place + length]))
                if problem is not None:
                    yield place, length, problem

    def _problem(self, start: int) -> int:
        """Whose words begin there."""
        return int(np.searchsorted(self._bounds, start, "right")) - 1


def _join_hashes(left: U64, words_left: int, right: U64, words_right: int) -> U64:
    """The hashes of n-grams from those of their first and last words: polynomials modulo 2^64."""
    count = max(0, len(right) - words_left)
    joined: U64 = left[:count] * np.uint64(pow(_FACTOR, words_right, 1 << 64))
    joined += right[words_left:]
    return joined


def _mix_bits(hashes: U64) -> U64:
    """The high bits, which the sieves look at, made to depend on all."""
    mixed: U64 = (hashes ^ (hashes >> np.uint64(29))) * np.uint64(_FACTOR)
    return mixed


def _sieve(hashes: U64, bits: int) -> npt.NDArray[np.bool_]:
    sieve = np.zeros(1 << bits, np.bool_)
    sieve[hashes >> np.uint64(64 - bits)] = True
    return sieve


def counted_noun(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def row_text(row: Mapping[str, Any], fields: Sequence[str]) -> str:
    """The texts of a row, in the order of `fields` (in any case), as paragraphs; of chats, what is said."""
    named = {name.lower(): value for name, value in row.items()}
    return "\n\n".join(text for field in fields for text in _texts_of(named.get(field.lower())))


def _texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.strip():
        yield value
    for turn in value if isinstance(value, list) else ():
        said = turn.get("content", turn.get("value")) if isinstance(turn, dict) else turn
        if isinstance(said, str) and said.strip():
            yield said
        elif isinstance(said, list):  # content in parts, as multimodal chats have it
            yield from (part["text"] for part in said if isinstance(part, dict) and isinstance(part.get("text"), str))


def _problem_texts(file: Path) -> Iterator[tuple[int, str]]:
    for number, row in read_rows(file):
        problem = next((text for field in (*PROBLEM_FIELDS, *CHAT_FIELDS) if (text := row_text(row, [field]))), "")
        if not problem:
            raise InputError(f"{file}:{number}: no problem in this row ({', '.join(PROBLEM_FIELDS)}); it has {', '.join(row)}")
        yield number, problem
