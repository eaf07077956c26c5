"""More rows than fit in memory, gathered by value or sorted, through files: what every question to all pages at once is made of.

A row is a few unsigned 64-bit numbers. `Spill` spreads rows over files by ranges of their first number, so that all rows of one value come
back together; a file that turns out too large is spread again. `sorted_file` sorts by all numbers, the first one first: it draws a sample,
cuts it into ranges of equal size, spreads the rows over them and sorts range by range. Both read and write every row a fixed number of
times, front to back, so that time is linear in their number; `limit` is how many rows are in memory at once.
"""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
MEMORY = 2 << 30
"""Bytes that a step takes at most, the interpreter included, mapped files not."""
_ROW = 400  # bytes of memory for each row that is in memory at once, with what is made of it
_MOST_FILES = 400  # open at once; 1,024 are allowed on most machines
_FILLED = 0.7  # of the limit, a file of evenly spread values: chance makes some fuller
_SAMPLE = 200  # rows a range, so that one of half the limit hardly ever comes to all of it
_CHUNK = 1 << 18


def rows_in(memory: int) -> int:
    """How many rows may be in memory at once."""
    return max(100, memory // _ROW)


class Spill:
    """Rows of `width` numbers, spread by the first of them, which lies from `low` to `high`, both included. Added to inside `with`."""

    def __init__(self, folder: Path, expected: int, limit: int, *, low: int = 0, high: int = (1 << 64) - 1, width: int = 2) -> None:
        self.folder, self.limit, self.low, self.width = folder, limit, low, width
        wanted = max(1, min(_MOST_FILES, int(expected / (_FILLED * limit)) + 1))
        self.step = -(-(high - low + 1) // wanted)
        count = -(-(high - low + 1) // self.step)
        folder.mkdir()
        self._files: list[BinaryIO] = []
        self._least = np.full(count, (1 << 64) - 1, np.uint64)
        self._most = np.zeros(count, np.uint64)

    def __enter__(self) -> "Spill":
        self._files += [(self.folder / str(part)).open("wb", buffering=0) for part in range(len(self._most))]
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files:
            file.close()

    def add(self, rows: U64) -> None:
        if not len(rows):
            return
        if len(self._files) == 1:  # a step that no number of 64 bits holds
            self._append(0, rows)
            return
        part = ((rows[:, 0] - np.uint64(self.low)) // np.uint64(self.step)).astype(np.uint16)
        rows = rows[np.argsort(part, kind="stable")]
        ends = np.cumsum(np.bincount(part, minlength=len(self._files)))
        for number, (start, end) in enumerate(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)):
            if start < end:
                self._append(number, rows[start:end])

    def _append(self, part: int, rows: U64) -> None:
        self._files[part].write(np.ascontiguousarray(rows).data)
        self._least[part] = min(self._least[part], rows[:, 0].min())
        self._most[part] = max(self._most[part], rows[:, 0].max())

    def parts(self) -> Iterator[U64 | Path]:
        """The rows, in no order, up to the limit at a time and never apart from others of their value, in ascending ranges of values.

        A value that has more rows than the limit comes as the file of its rows, for whoever asks to read bit by bit.
        """
        for part in range(len(self._files)):
            path = self.folder / str(part)
            rows = path.stat().st_size // (8 * self.width)
            if rows <= self.limit:
                if rows:
                    yield np.fromfile(path, np.uint64).reshape(-1, self.width)
            elif self._least[part] == self._most[part]:
                yield path
            else:
                low, high = int(self._least[part]), int(self._most[part])
                with Spill(self.folder / f"{part}-again", rows, self.limit, low=low, high=high, width=self.width) as again:
                    for chunk in chunks_of(path, self.width):
                        again.add(chunk)
                path.unlink()
                yield from again.parts()
            path.unlink(missing_ok=True)
        shutil.rmtree(self.folder)


def chunks_of(path: Path, width: int) -> Iterator[U64]:
    """The rows of a file, some at a time."""
    with path.open("rb") as file:
        while len(numbers := np.fromfile(file, np.uint64, _CHUNK * width)):
            yield numbers.reshape(-1, width)


def sorted_rows(batches: Iterable[U64], path: Path, width: int, limit: int) -> Iterator[U64]:
    """The rows sorted by all their numbers, up to about `limit` at a time; through a file."""
    with path.open("wb", buffering=0) as file:
        for batch in batches:
            file.write(np.ascontiguousarray(batch).data)
    yield from sorted_file(path, width, limit)


def sorted_file(path: Path, width: int, limit: int, *, together: int | None = None) -> Iterator[U64]:
    """The rows of a file, which is removed, sorted likewise; rows that agree in the first `together` numbers come together."""
    count = path.stat().st_size // (8 * width)
    if count:
        yield from _sorted_file(path, count, width, limit, width if together is None else together)
    path.unlink(missing_ok=True)


def _sorted_file(path: Path, count: int, width: int, limit: int, together: int) -> Iterator[U64]:
    if count <= limit:
        yield in_order(np.fromfile(path, np.uint64).reshape(-1, width))
        path.unlink()
        return
    ranges = min(_MOST_FILES, 2 * count // limit + 1)
    sample = np.linspace(0, count - 1, min(count, ranges * _SAMPLE)).astype(np.int64)
    rows = np.memmap(path, np.uint64, "r", shape=(count, width))
    picked = in_order(np.array(rows[sample]))
    bounds = picked[np.linspace(0, len(picked), ranges + 1).astype(np.int64)[1:-1]]
    bounds[:, together:] = 0
    del rows
    places = [path.with_name(f"{path.name}-{number}") for number in range(ranges)]
    sizes = np.zeros(ranges, np.int64)
    with ExitStack() as stack:
        files = [stack.enter_context(place.open("wb", buffering=0)) for place in places]
        for chunk in chunks_of(path, width):
            range_of = np.searchsorted(_as_bytes(bounds), _as_bytes(chunk), "right").astype(np.uint16)
            chunk = chunk[np.argsort(range_of, kind="stable")]
            ends = np.cumsum(np.bincount(range_of, minlength=ranges))
            for file, start, end in zip(files, [0, *ends[:-1].tolist()], ends.tolist(), strict=True):
                file.write(chunk[start:end].data)
            sizes += np.diff(ends, prepend=0)
    path.unlink()
    for place, size in zip(places, sizes.tolist(), strict=True):
        if size == count:  # nothing tells them apart that may: they are looked at together
            yield in_order(np.fromfile(place, np.uint64).reshape(-1, width))
        elif size:
            yield from _sorted_file(place, size, width, limit, together)
        place.unlink(missing_ok=True)


def in_order(rows: U64) -> U64:
    """Sorted in memory: number by number, each time only the rows that are alike so far, and as many bits as a word has room for.

    Three times as fast as `np.lexsort`, on pages of shared hashes as on rows that their first number tells apart.
    """
    order = np.arange(len(rows))
    alike, group = order.copy(), np.zeros(len(rows), np.uint64)  # places in the order; rows of one group have been alike so far
    for column in range(rows.shape[1]):
        values = rows[order[alike], column]
        values -= values.min(initial=(1 << 64) - 1)
        left = int(values.max(initial=0)).bit_length()
        while left and len(alike):
            taken = min(left, 64 - int(group[-1]).bit_length())
            left -= taken
            packed = (values >> np.uint64(left)) & np.uint64((1 << taken) - 1)
            if group[-1]:
                packed |= group << np.uint64(taken)
            inside = np.argsort(packed)
            packed, values = packed[inside], values[inside]
            order[alike] = order[alike][inside]
            changes = packed[1:] != packed[:-1]
            shared = ~np.concatenate([[True], changes]) | ~np.concatenate([changes, [True]])
            group = np.concatenate([[0], np.cumsum(changes)]).astype(np.uint64)[shared]
            alike, values = alike[shared], values[shared]
    ordered: U64 = rows[order]
    return ordered


def _as_bytes(rows: U64) -> npt.NDArray[np.bytes_]:
    """Rows as texts that sort as they do."""
    texts: npt.NDArray[np.bytes_] = np.ascontiguousarray(rows.astype(">u8")).view(f"S{8 * rows.shape[1]}")[:, 0]
    return texts
