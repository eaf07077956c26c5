"""Pages named by an index, read by ranges: rows of file name, offset and length in CSV, Parquet, JSON Lines or CDXJ.

The names of the columns are those of Common Crawl's index (`warc_filename`, `warc_record_offset`, `warc_record_length`) or the short ones
(`filename`, `offset`, `length`). Rows are sorted by file and offset, a million at a time, so that records near each other (1 MiB)
come out of one request. A relative file name follows `base`, or else the index's own folder, or else Common Crawl's address. A row
that makes no sense, or a range without a record, is counted ("bad index row", "nothing at offset"); a file that cannot be read is an
InputError, since the next attempt may succeed.
"""

import csv
import gzip
import itertools
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from data_pipeline.archives.named_inputs import resolve
from data_pipeline.archives.record_pages import LARGEST, pages_of
from data_pipeline.documents.document import Page
from data_pipeline.documents.stored_bytes import Source, open_source
from verifiers.input_error import InputError

GAP = 1 << 20
_LONGEST_REQUEST = 256 << 20
_SORTED = 1_000_000
_LONGEST_LINE = 1 << 20
_CHUNK = 1 << 20
_FARTHEST = 1 << 62
_NAMES = {
    "file": ("warc_filename", "filename", "file", "path"),
    "offset": ("warc_record_offset", "offset"),
    "length": ("warc_record_length", "length"),
}


class Stored(Protocol):
    """Where a record lies in its file."""

    @property
    def offset(self) -> int: ...
    @property
    def length(self) -> int: ...


class Row(NamedTuple):
    file: str
    offset: int
    length: int


R = TypeVar("R", bound=Stored)


def read_records(index: Path, *, outcomes: Counter[str], base: str = "", limit: int = LARGEST) -> Iterator[Page]:
    """The pages of the index's rows, by file and offset. Raises InputError for an index or a file that cannot be read."""
    rows = _rows(index, outcomes, limit)
    while batch := sorted(set(itertools.islice(rows, _SORTED))):
        for file, of_file in itertools.groupby(batch, key=lambda row: row.file):
            source = resolve(file, index, base, 0)
            stored = open_source(source)
            try:
                for request in requests(list(of_file)):
                    yield from _pages_of_request(source, stored, request, outcomes, limit)
            finally:
                stored.close()


def requests(rows: Sequence[R], *, longest: int = _LONGEST_REQUEST) -> Iterator[list[R]]:
    """Rows of one file in order, grouped to requests of at most so many bytes: the gap between two of one request is at most `GAP`."""
    group: list[R] = []
    end = 0  # of the longest so far: a row may lie in one before it
    for row in rows:
        if group and (row.offset - end > GAP or row.offset + row.length - group[0].offset > longest):
            yield group
            group, end = [], 0
        group.append(row)
        end = max(end, row.offset + row.length)
    if group:
        yield group


class _Range:
    """The bytes of one row, out of a source that stands before them."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def read(self, size: int) -> bytes:
        part = self._data[self._at : self._at + size]
        self._at += len(part)
        return part

    def seek(self, position: int, end: int | None = None) -> None:
        self._at = position

    def close(self) -> None:
        self._data = b""


def _pages_of_request(source: str, stored: Source, rows: list[Row], outcomes: Counter[str], limit: int) -> Iterator[Page]:
    position = rows[0].offset
    stored.seek(position, max(row.offset + row.length for row in rows))
    kept, kept_at = b"", position  # what was read from there on: rows may overlap, or lie in a longer one
    for row in rows:
        if row.offset < kept_at + len(kept):
            kept = kept[row.offset - kept_at :]
        else:
            _bytes_from(stored, row.offset - kept_at - len(kept))
            kept = b""
        kept += _bytes_from(stored, row.length - len(kept))
        kept_at = row.offset
        before = outcomes["pages"]
        yield from pages_of(source, _Range(kept[: row.length]), outcomes, position=row.offset, limit=limit)
        outcomes["nothing at offset"] += outcomes["pages"] == before
    outcomes += Counter()  # without zeros


def _bytes_from(stored: Source, size: int) -> bytes:
    parts = []
    while size > 0 and (part := stored.read(min(size, _CHUNK))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _rows(index: Path, outcomes: Counter[str], limit: int) -> Iterator[Row]:
    known = False
    try:
        for raw in _parquet(index) if index.name.lower().endswith(".parquet") else _lines(index):
            row = _row(raw)
            if row is None or not 0 <= row.offset < _FARTHEST or not 0 < row.length <= limit:
                outcomes["bad index row"] += 1
                continue
            known = True
            yield row
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise InputError(f"{index}: cannot be read as an index: {error}") from error
    if not known:
        raise InputError(f"{index}: no row with filename, offset and length; an index has these columns, or Common Crawl's names for them")


def _row(raw: Mapping[str, Any] | None) -> Row | None:
    if raw is None:
        return None
    found = {field: next((raw[name] for name in names if raw.get(name) not in (None, "")), None) for field, names in _NAMES.items()}
    try:
        return Row(str(found["file"]), int(found["offset"]), int(found["length"])) if found["file"] else None  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def _parquet(index: Path) -> Iterator[Mapping[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(index)
        columns = [name for names in _NAMES.values() for name in names if name in file.schema_arrow.names]
        for batch in file.iter_batches(batch_size=10_000, columns=columns):
            yield from batch.to_pylist()
    except pa.ArrowException as error:
        raise InputError(f"{index}: cannot be read as an index: {error}") from error


def _lines(index: Path) -> Iterator[Mapping[str, Any] | None]:
    name = index.name.lower()
    with gzip.open(index, "rb") if name.endswith(".gz") else index.open("rb") as file:
        lines = (line.decode("utf-8", "replace") for line in iter(lambda: file.readline(_LONGEST_LINE), b""))
        if name.removesuffix(".gz").endswith(".csv"):
            yield from csv.DictReader(line.replace("\0", "") for line in lines)
        else:
            yield from (_json(line) for line in lines if line.strip())


def _json(line: str) -> Mapping[str, Any] | None:
    """A row of JSON; in CDXJ, key and time stand before it."""
    begin = line.find("{")
    try:
        found = json.loads(line[begin:]) if begin >= 0 else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
