"""Which pages a budget of tokens pays for, in memory that the number of pages does not touch.

Pages stand in one order: the given ones first, then the best score, then the smallest id; the budget pays for those before the first with
which the sum of their tokens would exceed it. No sort is needed to find that page: sums of tokens over digits of the order (given, score,
id), the highest first, say in which 65,536th it lies, and once that holds few pages they are looked at one by one. Three passes over two
columns and two passes over a third, where scores are spread; seven at most, where all pages have one score.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from data_pipeline.columns.minhash import U64
from verifiers.input_error import InputError

Mask = npt.NDArray[np.bool_]
FEW = 1 << 20
"""Pages that are sorted in memory."""
_BATCH = 1 << 18


class Cut(NamedTuple):
    """The last page that is paid for."""

    given: bool
    score: float
    id: int


class _Pages(NamedTuple):
    """Some pages, by their place in the order: `first`, then `id`, ascending."""

    first: U64
    """33 bits: whether it is not given, and the score, inverted."""
    id: U64
    tokens: npt.NDArray[np.int64]

    def chosen(self, mask: Mask) -> "_Pages":
        return _Pages(self.first[mask], self.id[mask], self.tokens[mask])


_Where = Callable[[_Pages], Mask]
_DIGITS: tuple[tuple[str, int, int], ...] = (
    ("first", 17, 16), ("first", 0, 17), ("id", 48, 16), ("id", 32, 16), ("id", 16, 16), ("id", 0, 16),
)  # fmt: skip
"""Column, shift, bits."""


def budget_cut(pages: Sequence[Path | str], scores: Sequence[Path | str], budget: int, *, few: int = FEW) -> Cut | None:
    """The last page that the budget pays for; None where it pays for none.

    pages: Parquet files with the columns id (uint64), tokens and given (bool); scores: of each the file with the column score (float32),
    the same pages in the same order. Raises InputError where they are not.
    """
    left = budget
    where: _Where = _everywhere
    for column, shift, bits in _DIGITS:
        digit, before, inside = _exceeded(pages, scores, where, column, shift, bits, left)
        if digit is None:
            return _last(pages, scores, _everywhere)
        left -= before
        where = _within(where, column, shift, bits, digit)
        if inside <= few:
            break
    return _last_paid(pages, scores, where, left)


def _last_paid(pages: Sequence[Path | str], scores: Sequence[Path | str], where: _Where, left: int) -> Cut | None:
    """The last page paid for, where the first one that is not lies among those of `where`, which are few."""
    parts = [part.chosen(where(part)) for part in _read(pages, scores)]
    found = _Pages(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    order = np.lexsort((found.id, found.first))
    paid = int((np.cumsum(found.tokens[order]) <= left).sum())
    if paid:
        return _cut(found, int(order[paid - 1]))
    first, name = found.first[order[0]], found.id[order[0]]
    return _last(pages, scores, lambda part: (part.first < first) | ((part.first == first) & (part.id < name)))


def _exceeded(
    pages: Sequence[Path | str], scores: Sequence[Path | str], where: _Where, column: str, shift: int, bits: int, left: int
) -> tuple[int | None, int, int]:
    """(the digit among whose pages the sum exceeds what is left, the tokens before them, their number); None where it never does."""
    tokens, counts = np.zeros(1 << bits, np.int64), np.zeros(1 << bits, np.int64)
    for part in _read(pages, scores):
        part = part.chosen(where(part))
        digits = _digits(part, column, shift, bits)
        np.add.at(tokens, digits, part.tokens)
        counts += np.bincount(digits, minlength=1 << bits)
    sums = np.cumsum(tokens)
    digit = int(np.searchsorted(sums, left, "right"))
    if digit == len(sums):
        return None, 0, 0
    return digit, int(sums[digit] - tokens[digit]), int(counts[digit])


def _within(where: _Where, column: str, shift: int, bits: int, digit: int) -> _Where:
    return lambda part: where(part) & (_digits(part, column, shift, bits) == digit)


def _everywhere(part: _Pages) -> Mask:
    return np.ones(len(part.id), bool)


def _digits(part: _Pages, column: str, shift: int, bits: int) -> npt.NDArray[np.int64]:
    values: U64 = getattr(part, column)
    return ((values >> np.uint64(shift)) & np.uint64((1 << bits) - 1)).astype(np.int64)


def _last(pages: Sequence[Path | str], scores: Sequence[Path | str], where: _Where) -> Cut | None:
    """The last page of all that lie there."""
    best: tuple[int, int] | None = None
    for part in _read(pages, scores):
        part = part.chosen(where(part))
        if len(part.id):
            last = int(np.lexsort((part.id, part.first))[-1])
            best = max(best or (0, 0), (int(part.first[last]), int(part.id[last])))
    if best is None:
        return None
    return _cut(_Pages(np.array([best[0]], np.uint64), np.array([best[1]], np.uint64), np.zeros(1, np.int64)), 0)


def _cut(part: _Pages, row: int) -> Cut:
    first = int(part.first[row])
    bits = ~first & 0xFFFFFFFF
    score = np.array([bits & 0x7FFFFFFF if bits >> 31 else ~bits & 0xFFFFFFFF], np.uint32).view(np.float32)
    return Cut(not first >> 32, float(score[0]), int(part.id[row]))


def _read(pages: Sequence[Path | str], scores: Sequence[Path | str]) -> Iterator[_Pages]:
    for page_file, score_file in zip(pages, scores, strict=True):
        for batch, scored in _batches(page_file, score_file):
            given = np.asarray(batch["given"].to_numpy(zero_copy_only=False), np.bool_)
            score = np.nan_to_num(np.asarray(scored["score"].to_numpy(zero_copy_only=False), np.float32), nan=-np.inf) + np.float32(0)
            bits = score.view(np.uint32)
            ordered = np.where(bits >> np.uint32(31), ~bits, bits | np.uint32(1 << 31))  # ascending as the score does
            first = (~given).astype(np.uint64) << np.uint64(32) | (~ordered).astype(np.uint64)
            yield _Pages(first, batch["id"].to_numpy(), np.asarray(batch["tokens"].to_numpy(), np.int64))


def _batches(page_file: Path | str, score_file: Path | str) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    try:
        with pq.ParquetFile(page_file) as table, pq.ParquetFile(score_file) as scored:
            if table.metadata.num_rows != scored.metadata.num_rows:
                raise InputError(f"{score_file}: scores of {scored.metadata.num_rows} pages, for {table.metadata.num_rows} of {page_file}")
            columns = table.iter_batches(_BATCH, columns=["id", "tokens", "given"])
            yield from zip(_whole(columns), _whole(scored.iter_batches(_BATCH, columns=["score"])), strict=True)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{page_file}, {score_file}: truncated or broken ({str(error).splitlines()[0]})") from None


def _whole(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Batches of the same length from both files, however their row groups lie."""
    gathered: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        gathered.append(batch)
        rows += len(batch)
        while rows >= _BATCH:
            table = pa.Table.from_batches(gathered).combine_chunks()
            yield table.slice(0, _BATCH).to_batches()[0]
            rest = table.slice(_BATCH)
            gathered, rows = rest.to_batches(), len(rest)
    if rows:
        yield pa.Table.from_batches(gathered).combine_chunks().to_batches()[0]
