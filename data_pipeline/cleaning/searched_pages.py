"""The pages among which copies are searched, counted through all files, and what is decided of each: columns on disk, mapped.

A page is compared with another by its order, four numbers of which the smaller stays: most formulas, highest score "math", longest,
earliest fetched, smallest id. All of it takes 49 bytes a page in scratch files, of which the system keeps in memory what it has room for.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from data_pipeline.cleaning.spilled_rows import I64, U64, Spill, chunks_of, in_order, sorted_rows
from data_pipeline.columns.page_columns import count_pages, id_text
from verifiers.input_error import InputError

Codes = npt.NDArray[np.uint8]
KEPT = 0
_BATCH = 1 << 16
_READ = ("id", "name", "formulas", "score", "length", "date")


class SearchedPages:
    """codes: KEPT, or 1 + the number of the reason why a page goes; of: the better page that it is a copy of."""

    def __init__(self, columns: Path, keys: Sequence[str], scratch: Path, limit: int) -> None:
        """scratch: an empty folder; limit: rows of a few numbers that are in memory at once."""
        self.columns, self.keys, self.scratch, self.limit = columns, tuple(keys), scratch, limit
        sizes = [count_pages(columns, key) for key in keys]
        self.starts: I64 = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.count = int(self.starts[-1])
        self._write_orders()
        self.order: U64 = self.mapped("order", np.uint64, 4)[:]
        self.codes: Codes = self.mapped("codes", np.uint8)
        self.of: I64 = self.mapped("of", np.int64)
        self._name_ends: I64 = self.mapped("name-ends", np.int64)

    def pages_of(self, number: int) -> slice:
        """The pages of a file, by its number among the keys."""
        return slice(int(self.starts[number]), int(self.starts[number + 1]))

    def mapped(self, name: str, kind: Any, width: int = 0) -> npt.NDArray[Any]:
        """A scratch column with an entry a page, zero where nothing was written yet."""
        path, shape = self.scratch / name, (self.count, width) if width else (self.count,)
        if not self.count:
            return np.zeros(shape, kind)
        with path.open("r+b" if path.exists() else "w+b") as file:  # taken now: a disk that fills up under a mapping kills the process
            size = self.count * max(1, width) * np.dtype(kind).itemsize
            os.posix_fallocate(file.fileno(), 0, size) if hasattr(os, "posix_fallocate") else file.truncate(size)
        return np.memmap(path, kind, "r+", shape=shape)

    def batches(self, key: str, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of the pages of one file, some pages at a time."""
        path = self.columns / f"{key}.parquet"
        try:
            with pq.ParquetFile(path) as table:
                yield from table.iter_batches(_BATCH, columns=list(names))
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path}: truncated or broken columns ({str(error).splitlines()[0]}); delete it and its .json") from None

    def sharing(self, spill: Spill) -> Iterator[tuple[U64, I64]]:
        """(values, pages) of kept pages whose value [value, page] another one shares, by value, the better page first.

        A value of more pages than the limit goes on in the next arrays.
        """
        for part in spill.parts():
            if isinstance(part, Path):
                ordered = (self._ordered(self._kept(chunk)) for chunk in chunks_of(part, 2))
                found = sorted_rows(ordered, self.scratch / "one-value", 6, self.limit)
            else:
                shared = _shared(part[np.argsort(part[:, 0])])
                found = iter([in_order(self._ordered(_shared(self._kept(shared))))])
            yield from ((rows[:, 0], rows[:, 5].astype(np.int64)) for rows in found if len(rows))

    def _kept(self, rows: U64) -> U64:
        kept: U64 = rows[self.codes[rows[:, 1].astype(np.int64)] == KEPT]
        return kept

    def _ordered(self, rows: U64) -> U64:
        """[value, page] to [value, order, page]; the orders are read as they lie on disk."""
        rows = rows[np.argsort(rows[:, 1])]
        wide = np.empty((len(rows), 6), np.uint64)
        wide[:, [0, 5]] = rows
        wide[:, 1:5] = self.order[rows[:, 1].astype(np.int64)]
        return wide

    def ids_of(self, pages: I64) -> list[str]:
        keys, names = self.order[pages, 3].tolist(), self.names_of(pages)
        return [id_text(key, name) for key, name in zip(keys, names, strict=True)]

    def names_of(self, pages: I64) -> list[str | None]:
        """The ids of pages where they are not the ones that their numbers spell."""
        names: list[str | None] = [None] * len(pages)
        starts, ends = np.where(pages > 0, self._name_ends[pages - 1], 0), self._name_ends[pages]
        if (starts < ends).any():
            with (self.scratch / "names").open("rb") as file:
                for place in np.flatnonzero(starts < ends).tolist():
                    file.seek(int(starts[place]))
                    names[place] = file.read(int(ends[place] - starts[place])).decode()
        return names

    def kept(self, pages: I64) -> I64:
        """The pages that stay in the end instead of these: `of` is better and may be a copy by another criterion itself."""
        kept = self.of[pages]
        while (again := self.codes[kept] != KEPT).any():  # better each time, so this ends; two or three times round
            kept[again] = self.of[kept[again]]
        return kept

    def _write_orders(self) -> None:
        end = 0
        places = [self.scratch / name for name in ("order", "name-ends", "names")]
        with places[0].open("wb") as order, places[1].open("wb") as ends, places[2].open("wb") as names:
            for key in self.keys:
                for batch in self.batches(key, _READ):
                    order.write(_orders(batch).data)
                    encoded = [(name or "").encode() for name in batch["name"].to_pylist()] if batch["name"].null_count < len(batch) else []
                    names.write(b"".join(encoded))
                    sizes = np.array([len(name) for name in encoded], np.int64) if encoded else np.zeros(len(batch), np.int64)
                    ends.write((end + np.cumsum(sizes)).data)
                    end += int(sizes.sum())


def _shared(rows: U64) -> U64:
    """Of rows sorted by value, those whose value is not theirs alone."""
    equal = rows[1:, 0] == rows[:-1, 0]
    return rows[np.concatenate([[False], equal]) | np.concatenate([equal, [False]])] if len(rows) else rows


def _orders(batch: pa.RecordBatch) -> U64:
    """[pages, 4], the best page's the smallest."""
    formulas, score, length, date = (batch[name].to_numpy(zero_copy_only=False) for name in ("formulas", "score", "length", "date"))
    bits = (np.asarray(score, np.float32) + np.float32(0)).view(np.uint32)  # one zero
    ascending = np.where(bits >> np.uint32(31), ~bits, bits | np.uint32(1 << 31))
    orders = np.empty((len(batch), 4), np.uint64)
    orders[:, 0] = (~formulas.astype(np.uint32)).astype(np.uint64) << np.uint64(32) | ~ascending
    orders[:, 1] = ~length.astype(np.uint64)
    orders[:, 2] = date.astype(np.uint64)
    orders[:, 3] = batch["id"].to_numpy()
    return orders
