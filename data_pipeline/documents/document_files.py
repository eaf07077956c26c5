"""Documents on disk, in the form that every step reads and writes: rows of JSON Lines, compressed or not, or of Parquet.

Reading is lenient about what a file holds (our own rows, or any JSON Lines or Parquet with a `text` column) and strict about damage: a
truncated file or a broken line is one clear line with its place, never a shorter corpus. Writing is atomic, and the same lines give the
same bytes. The shards of a finished corpus are written by `corpus_shards.py`.
"""

import gzip
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import groupby, repeat
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from data_pipeline.documents.document import Doc, Origin, doc_id, to_line
from data_pipeline.documents.framed_lines import Place, framed, lines_at, placed_lines
from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError

SUFFIXES = (".jsonl", ".jsonl.zst", ".jsonl.gz", ".parquet")
_LEVEL = 6  # of zstd
_BATCH = 1000  # rows of Parquet that are read together
_TEXTS = ("url", "title", "language", "dropped", "archive", "date")
_LARGEST = 1 << 63


def document_files(path: Path) -> list[Path]:
    """The file itself, or the files of documents below a folder in the order of their names; hidden ones are half-written."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder of documents")
    if path.is_file():
        if not path.name.endswith(SUFFIXES):
            raise InputError(f"{path}: not a file of documents; its name should end in {', '.join(SUFFIXES)}")
        return [path]
    inside = (found for found in path.rglob("*") if found.name.endswith(SUFFIXES) and found.is_file())
    found = sorted(file for file in inside if not any(part.startswith(".") for part in file.relative_to(path).parts))
    if not found:
        raise InputError(f"{path}: no documents in this folder (files that end in {', '.join(SUFFIXES)})")
    return found


def read_docs(path: Path) -> Iterator[Doc]:
    """The documents of a file or of all files below a folder, kept or dropped.

    A row needs `text`; one without `id` gets the hash of its file's name and line, so that anybody's data can be cleaned.
    """
    for file in document_files(Path(path)):
        for number, row in read_rows(file):
            yield _doc_of(row, file, number)


def read_files(files: Iterable[Path]) -> Iterator[Doc]:
    """The documents of some files, one file after the other."""
    return (doc for file in files for doc in read_docs(file))


def placed_docs(file: Path) -> Iterator[tuple[Place, int, Doc]]:
    """(place, number, document) of one file: the place is what `docs_in` needs, rows are numbered from 1.

    A place in Parquet is (row group, row in it); `framed_lines.py` says what it is in JSON Lines.
    """
    for place, number, row in _placed_parquet(file) if file.name.endswith(".parquet") else _placed_json(file):
        yield place, number, _doc_of(row, file, number)


def docs_in(file: Path, frames: Iterable[int], lines: Iterable[int], numbers: Iterable[int] | None = None) -> Iterator[Doc]:
    """The documents at places (frame, line), which ascend; only the frames that hold one are decoded.

    numbers: of the rows, which a file without ids needs to give its documents the ids that they have elsewhere.
    """
    unknown = repeat(0) if numbers is None else numbers
    rows = ((int(frame), int(line), int(number)) for frame, line, number in zip(frames, lines, unknown, strict=numbers is not None))
    return docs_at_rows(file, rows)


def docs_at_rows(file: Path, rows: Iterable[tuple[int, int, int]]) -> Iterator[Doc]:
    """As `docs_in`, of any number of (frame, line, number of the row or 0), which are asked for one by one."""
    asked: deque[int] = deque()

    def places() -> Iterator[Place]:
        for frame, line, number in rows:
            asked.append(number)
            yield frame, line

    for row in _parquet_at(file, places()) if file.name.endswith(".parquet") else _json_at(file, places()):
        number = asked.popleft()
        if not number and not isinstance(row.get("id"), str | int):
            raise ValueError(f"{file}: rows without an id are found by their numbers alone")
        yield _doc_of(row, file, number)


def _placed_json(file: Path) -> Iterator[tuple[Place, int, dict[str, Any]]]:
    for number, (place, line) in enumerate(placed_lines(file), start=1):
        if text := _decoded(line, file, number).strip():
            yield place, number, _json_row(text, file, number)


def _json_at(file: Path, places: Iterable[Place]) -> Iterator[dict[str, Any]]:
    for line in lines_at(file, places):
        yield _json_row(line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace"), file, "a page's place")


def _placed_parquet(file: Path) -> Iterator[tuple[Place, int, dict[str, Any]]]:
    for number, (group, row) in enumerate(_grouped_rows(file, None), start=1):
        yield group, number, row


def _parquet_at(file: Path, places: Iterable[Place]) -> Iterator[dict[str, Any]]:
    for group, wanted in groupby(places, key=itemgetter(0)):
        rows = _grouped_rows(file, group)
        found, row = next(rows, (None, {}))
        for place in wanted:
            while found is not None and found < place:
                found, row = next(rows, (None, {}))
            if found != place:
                raise InputError(f"{file}: no row {place[1]} in row group {group}; the file is not the one that was read before")
            yield row


def read_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(1, row), (2, row)... of one file: JSON objects of lines, or rows of Parquet."""
    yield from _parquet_rows(file) if file.name.endswith(".parquet") else _json_rows(file)


def open_lines(path: Path) -> Iterator[str]:
    """The lines of a text file, without their ends, decompressed as its name says (.zst, .gz). InputError where it is damaged."""
    for number, (_, line) in enumerate(placed_lines(path), start=1):
        yield _decoded(line, path, number)


def _decoded(line: bytes, path: Path, number: int) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}:{number}: not UTF-8 ({error.reason} at byte {error.start} of the line)") from None


def _json_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(open_lines(file), start=1):
        if line.strip():
            yield number, _json_row(line, file, number)


def _json_row(line: str, file: Path, number: int | str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}:{number}: not a line of JSON ({error}); truncated?") from None
    if not isinstance(row, dict):
        raise InputError(f"{file}:{number}: a JSON object is needed, not {type(row).__name__}")
    return row


def _parquet_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    yield from enumerate((row for _, row in _grouped_rows(file, None)), start=1)


def _grouped_rows(file: Path, only: int | None) -> Iterator[tuple[Place, dict[str, Any]]]:
    """((row group, row in it), row) of one row group, or of all."""
    number = 0
    try:
        with pq.ParquetFile(file) as table:
            for group in range(table.num_row_groups):
                if only is not None and group != only:
                    continue
                inside = 0
                for batch in table.iter_batches(batch_size=_BATCH, row_groups=[group]):
                    for row in batch.to_pylist():
                        number += 1
                        yield (group, inside), row
                        inside += 1
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{file}: truncated or broken Parquet after row {number} ({str(error).splitlines()[0]})") from None


def _doc_of(row: dict[str, Any], file: Path, number: int) -> Doc:
    """The document of a row of a working file or of a shard: both spellings of formulas and scores.

    A column of another type than ours is somebody else's column of that name: it is passed over.
    """
    if not isinstance(row.get("text"), str):
        raise InputError(f'{file}:{number}: a document needs "text", a string')
    texts = {name: value for name in _TEXTS if isinstance(value := row.get(name), str)}
    offset, given, url = row.get("offset"), row.get("id"), texts.get("url", "")
    named = given if isinstance(given, str) else f"{file.name}:{given}" if type(given) is int else ""  # each file counts from 0
    return Doc(
        id=named or doc_id(url, Origin(file.name, number)),
        url=url,
        text=row["text"],
        origin=Origin(texts.get("archive", ""), offset if type(offset) is int and 0 <= offset < _LARGEST else 0, texts.get("date", "")),
        title=texts.get("title", ""),
        language=texts.get("language", ""),
        formulas={name: value for name, value in _pairs(row.get("formulas")) if type(value) is int and 0 <= value < 1 << 31},
        scores={name: float(value) for name, value in _pairs(row.get("scores")) if type(value) in (float, int) and abs(value) < 1e300},
        dropped=texts.get("dropped") or None,
    )


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((name, given) for name, given in value.items() if isinstance(name, str))
    for pair in value if isinstance(value, list) else ():
        if isinstance(pair, Mapping) and isinstance(name := pair.get("name"), str):
            yield name, pair.get("value")


def write_lines(path: Path, lines: Iterable[str]) -> int:
    """The lines (without their ends) to a file, compressed as its name says, atomically. How many there were.

    A .zst is written in frames of which each can be read alone (`framed_lines.py`).
    """
    count = 0

    def encoded() -> Iterator[bytes]:
        nonlocal count
        for line in lines:
            count += 1
            yield line.encode("utf-8", "replace") + b"\n"

    with atomic_path(path) as temporary, ExitStack() as stack:
        if path.name.endswith(".zst"):
            stack.enter_context(temporary.open("wb")).writelines(framed(encoded(), level=_LEVEL))
        else:
            stream = open_bytes(temporary, path.name, stack)
            for line in encoded():
                stream.write(line)
    return count


def write_docs(path: Path, docs: Iterable[Doc]) -> None:
    """The documents as lines of JSON, compressed as the file's name says, atomically."""
    write_lines(path, (to_line(doc)[:-1] for doc in docs))


def open_bytes(file: Path, name: str, stack: ExitStack) -> IO[bytes]:
    """The file, to be written through what its final name says (.zst, .gz), closed by the stack."""
    raw = stack.enter_context(file.open("wb"))
    if name.endswith(".zst"):
        stream: IO[bytes] = stack.enter_context(zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).stream_writer(raw))
        return stream
    if name.endswith(".gz"):
        packed = gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0)
        return cast(IO[bytes], stack.enter_context(packed))
    return raw
