"""Documents on disk, in the form that every step reads and writes: rows of JSON Lines, compressed or not, or of Parquet.

Reading is lenient about what a file holds (our own rows, or any JSON Lines or Parquet with a `text` column) and strict about damage: a
truncated file or a broken line is one clear line with its place, never a shorter corpus. Writing is atomic, and the same lines give the
same bytes. The shards of a finished corpus are written by `corpus_shards.py`.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from data_pipeline.documents.document import Doc, Origin, doc_id, to_line
from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError

SUFFIXES = (".jsonl", ".jsonl.zst", ".jsonl.gz", ".parquet")
_CHUNK = 1 << 20
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


def docs_at(files: Iterable[Path], places: Iterable[int]) -> Iterator[Doc]:
    """The documents at some places, ascending, counted from 0 through the lines of all files; the lines between are not looked into."""
    lines = ((file, number, line) for file in files for number, line in enumerate(open_lines(file), start=1))
    passed = 0
    for place in places:
        file, number, line = next(islice(lines, place - passed, None))
        passed = place + 1
        yield _doc_of(_json_row(line, file, number), file, number)


def read_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(1, row), (2, row)... of one file: JSON objects of lines, or rows of Parquet."""
    yield from _parquet_rows(file) if file.name.endswith(".parquet") else _json_rows(file)


def open_lines(path: Path) -> Iterator[str]:
    """The lines of a text file, without their ends, decompressed as its name says (.zst, .gz). InputError where it is damaged."""
    for number, line in enumerate(_byte_lines(path), start=1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{path}:{number}: not UTF-8 ({error.reason} at byte {error.start} of the line)") from None


def _byte_lines(path: Path) -> Iterator[bytes]:
    pending: list[bytes] = []  # parts of a line that has not ended, joined once: a line of a gigabyte stays linear
    lines = 0
    try:
        for chunk in _chunks(path):
            first, *rest = chunk.split(b"\n")
            pending.append(first)
            for part in rest:
                lines += 1
                yield b"".join(pending)
                pending = [part]
        if any(pending):
            lines += 1
            yield b"".join(pending)
    except (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        raise InputError(f"{path}:{lines + 1}: the file is truncated or broken here ({error}); make it again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def _chunks(path: Path) -> Iterator[bytes]:
    if path.name.endswith(".zst"):
        yield from _zstd_chunks(path)
        return
    with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _zstd_chunks(path: Path) -> Iterator[bytes]:
    """All frames of the file. The library's own reader ends silently in the middle of a frame, and stops after the first one."""
    with path.open("rb") as stream:
        frame = None
        while block := stream.read(_CHUNK // 8):
            while block:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                yield frame.decompress(block)
                block = frame.unused_data if frame.eof else b""
                frame = None if frame.eof else frame
        if frame:
            raise EOFError("it ends in the middle of a frame")


def _json_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(open_lines(file), start=1):
        if line.strip():
            yield number, _json_row(line, file, number)


def _json_row(line: str, file: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}:{number}: not a line of JSON ({error}); truncated?") from None
    if not isinstance(row, dict):
        raise InputError(f"{file}:{number}: a JSON object is needed, not {type(row).__name__}")
    return row


def _parquet_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    number = 0
    try:
        with pq.ParquetFile(file) as table:
            for batch in table.iter_batches(batch_size=_BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
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
    """The lines (without their ends) to a file, compressed as its name says, atomically. How many there were."""
    count = 0
    with atomic_path(path) as temporary, ExitStack() as stack:
        stream = open_bytes(temporary, path.name, stack)
        for line in lines:
            stream.write(line.encode("utf-8", "replace") + b"\n")
            count += 1
    return count


def write_docs(path: Path, docs: Iterable[Doc]) -> None:
    """The documents as lines of JSON, compressed as the file's name says, atomically."""
    write_lines(path, (to_line(doc)[:-1] for doc in docs))


def open_bytes(file: Path, name: str, stack: ExitStack) -> IO[bytes]:
    """The file, to be written through what its final name says (.zst, .gz), closed by the stack."""
    raw = stack.enter_context(file.open("wb"))
    if name.endswith(".zst"):
        stream: IO[bytes] = stack.enter_context(zstandard.ZstdCompressor(level=6, write_checksum=True).stream_writer(raw))
        return stream
    if name.endswith(".gz"):
        packed = gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0)
        return cast(IO[bytes], stack.enter_context(packed))
    return raw
