"""Documents on disk: reading every file of the pipeline, and writing the corpus that comes out of it.

Reading is lenient about what a file holds (our own rows, or any JSON Lines or Parquet with a `text` column) and strict about damage: a
truncated file or a broken line is one clear line with its place, never a shorter corpus.

Writing decides:

* A shard holds kept documents in the order they come; the same documents and settings give the same bytes. No time, path of this machine
  or random number goes into a file.
* `formulas` and `scores` are lists of pairs (`[{"name": "math", "value": 0.9}]`), not objects: names differ from document to document, and
  a column whose fields differ between files loads nowhere. `from_shard_row` makes them mappings again.
* Every file is atomic; an older manifest goes first and the new one comes last, so a folder with a manifest is whole. Shards of an earlier
  run that this one did not overwrite are removed; no other file of the folder is touched.
* Dropped documents are counted by reason in the manifest; with `keep_rejects` they are written too, as split "rejected".

`manifest.json` holds counts, the SHA-256 of every shard, drops and the configuration; `README.md` is the data card (`data_card.py`).
"""

import gzip
import hashlib
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Literal, cast

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from data_pipeline.documents.data_card import CorpusFacts, data_card, ranked
from data_pipeline.documents.document import Doc, Origin, doc_id, from_row, to_row
from data_pipeline.documents.token_counts import Counts, token_counter
from verifiers.atomic_files import atomic_path, remove_leftovers
from verifiers.input_error import InputError

Format = Literal["parquet", "jsonl", "jsonl.zst"]
SUFFIXES = (".jsonl", ".jsonl.zst", ".jsonl.gz", ".parquet")
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_CHUNK = 1 << 20
_BATCH = 1000  # documents that are counted, encoded and made a row group together
_TEXTS = ("id", "url", "text", "title", "language", "dropped", "archive", "date")
_LARGEST = 1 << 63
_SHARD_NAME = re.compile(r"(part|rejected)-\d{5}\.(parquet|jsonl|jsonl\.zst)")

_SCHEMA = pa.schema(
    [
        ("id", pa.string()), ("url", pa.string()), ("text", pa.string()), ("title", pa.string()), ("language", pa.string()),
        ("words", pa.int64()), ("tokens", pa.int64()),
        ("formulas", pa.list_(pa.struct([("name", pa.string()), ("value", pa.int64())]))),
        ("scores", pa.list_(pa.struct([("name", pa.string()), ("value", pa.float64())]))),
        ("dropped", pa.string()), ("archive", pa.string()), ("offset", pa.int64()), ("date", pa.string()),
    ]
)  # fmt: skip


# Reading ------------------------------------------------------------------------------------------------------------------------------


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
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{file}:{number}: not a line of JSON ({error}); truncated?") from None
        if not isinstance(row, dict):
            raise InputError(f"{file}:{number}: a JSON object is needed, not {type(row).__name__}")
        yield number, row


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
    if not isinstance(row.get("text"), str):
        raise InputError(f'{file}:{number}: a document needs "text", a string')
    given = row.get("id")
    named = given if isinstance(given, str) else f"{file.name}:{given}" if type(given) is int else ""  # each file counts from 0
    doc = from_shard_row(row)
    return replace(doc, id=named or doc_id(doc.url, Origin(file.name, number)))


def from_shard_row(row: Mapping[str, Any]) -> Doc:
    """The document of a row of a shard, or of a working file: both spellings of formulas and scores.

    A column of another type than ours is somebody else's column of that name: it is passed over.
    """
    texts = {name: value for name in _TEXTS if isinstance(value := row.get(name), str) and value}
    offset = row.get("offset")
    found: dict[str, Any] = {"id": "", "url": "", "text": "", **texts}
    found["offset"] = offset if type(offset) is int and 0 <= offset < _LARGEST else 0
    found["formulas"] = {name: value for name, value in _pairs(row.get("formulas")) if type(value) is int and 0 <= value < 1 << 31}
    found["scores"] = {
        name: float(value) for name, value in _pairs(row.get("scores")) if type(value) in (float, int) and abs(value) < 1e300
    }
    return from_row(found)


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((name, given) for name, given in value.items() if isinstance(name, str))
    for pair in value if isinstance(value, list) else ():
        if isinstance(pair, Mapping) and isinstance(name := pair.get("name"), str):
            yield name, pair.get("value")


# Writing ------------------------------------------------------------------------------------------------------------------------------


def write_lines(path: Path, lines: Iterable[str]) -> int:
    """The lines (without their ends) to a file, compressed as its name says, atomically. How many there were."""
    count = 0
    with atomic_path(path) as temporary, ExitStack() as stack:
        stream = _open_bytes(temporary, path.name, stack)
        for line in lines:
            stream.write(line.encode("utf-8", "replace") + b"\n")
            count += 1
    return count


def _open_bytes(file: Path, name: str, stack: ExitStack) -> IO[bytes]:
    raw = stack.enter_context(file.open("wb"))
    if name.endswith(".zst"):
        stream: IO[bytes] = stack.enter_context(zstandard.ZstdCompressor(level=6, write_checksum=True).stream_writer(raw))
        return stream
    if name.endswith(".gz"):
        packed = gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0)
        return cast(IO[bytes], stack.enter_context(packed))
    return raw


class _Split:
    """The shards of one split: opened by the first row, closed when full, all through the stack that is handed in."""

    def __init__(self, out: Path, name: str, format_: Format, shard_bytes: int) -> None:
        self.out, self.name, self.format, self.shard_bytes = out, name, format_, shard_bytes
        self.shards: list[dict[str, Any]] = []
        self.rows = 0
        self._stack: ExitStack | None = None

    def put(self, row: dict[str, Any]) -> None:
        if self._stack is None:
            self._open()
        self.rows += 1
        self._counts["documents"] += 1
        self._counts["text_bytes"] += len(row["text"].encode())
        self._counts["words"] += row["words"]
        self._counts["tokens"] += row["tokens"] or 0
        self._rows.append(row)
        if len(self._rows) == _BATCH:
            self._flush()
        if self._counts["text_bytes"] >= self.shard_bytes:
            self.close()

    def close(self) -> None:
        """Finish the open shard. A split without any gets an empty one: an empty corpus is one that loads."""
        if self._stack is None and self.shards:
            return
        if self._stack is None:
            self._open()
        assert self._stack is not None
        self._flush()
        self._encoder.close()
        digest = _sha256(self._temporary)
        self._stack.close()
        self._stack = None
        path = self._path()
        self.shards.append({"file": path.name, "bytes": path.stat().st_size, "sha256": digest} | self._counts)

    def abort(self, kind: Any, error: Any, trace: Any) -> None:
        """What an ExitStack calls: on an exception the open shard vanishes."""
        if self._stack is not None:
            with suppress(OSError):
                self._encoder.close()
            self._stack.__exit__(kind, error or RuntimeError(), trace)

    def _path(self) -> Path:
        return self.out / f"{self.name}-{len(self.shards):05d}.{self.format}"

    def _open(self) -> None:
        self._stack, self._encoder = ExitStack(), ExitStack()
        self._temporary = self._stack.enter_context(atomic_path(self._path()))
        self._counts = {"documents": 0, "text_bytes": 0, "words": 0, "tokens": 0}
        self._rows: list[dict[str, Any]] = []
        if self.format == "parquet":
            writer = self._encoder.enter_context(pq.ParquetWriter(self._temporary, _SCHEMA, compression="zstd"))
            self._write: Callable[[], Any] = lambda: writer.write_table(pa.Table.from_pylist(self._rows, schema=_SCHEMA))
        else:
            stream = _open_bytes(self._temporary, self.format, self._encoder)
            self._write = lambda: stream.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in self._rows).encode())

    def _flush(self) -> None:
        if self._rows:
            self._write()
            self._rows.clear()


def write_shards(
    docs: Iterable[Doc],
    out: Path,
    *,
    format: Format = "parquet",  # noqa: A002  the word of the user and of the command line
    tokenizer: str | None = None,
    shard_bytes: int = 512 << 20,
    keep_rejects: bool = False,
    config: Mapping[str, Any] = _NOTHING,
    drops: Mapping[str, int] = _NOTHING,
    name: str = "A mined corpus of mathematics",
    licence: str = "",
) -> dict[str, Any]:
    """Write the kept documents as shards with a manifest and a data card, and return the manifest.

    tokenizer: a folder or file of a tokenizer, or a name that transformers knows: tokens are counted beside whitespace words.
    shard_bytes: of text, before compression. config: what made the corpus. drops: counts of documents dropped before `docs`.
    """
    if format not in ("parquet", "jsonl", "jsonl.zst"):
        raise InputError(f"shards: no format {format!r}; choose parquet, jsonl or jsonl.zst")
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; shards need a folder")
    count_tokens = token_counter(tokenizer) if tokenizer else None
    out.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out)
    (out / "manifest.json").unlink(missing_ok=True)
    kept, rejected = (_Split(out, split, format, shard_bytes) for split in ("part", "rejected"))
    facts = CorpusFacts()
    with ExitStack() as stack:
        stack.push(kept.abort)
        stack.push(rejected.abort)
        for row in _counted(docs, count_tokens, keep_rejects):
            facts.add(row)
            if row["dropped"] is None:
                kept.put(row)
            elif keep_rejects:
                rejected.put(row)
        kept.close()
        if rejected.rows:
            rejected.close()
    shards = kept.shards + rejected.shards
    for stale in out.iterdir():
        if _SHARD_NAME.fullmatch(stale.name) and stale.name not in {shard["file"] for shard in shards}:
            stale.unlink()
    manifest = _manifest(facts, shards, format, tokenizer, config, drops)
    splits = ["part", "rejected"] if rejected.shards else ["part"]
    with atomic_path(out / "README.md") as temporary:
        temporary.write_text(data_card(manifest, name, licence, splits), encoding="utf-8")
    with atomic_path(out / "manifest.json") as temporary:
        temporary.write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return manifest


def _counted(docs: Iterable[Doc], count_tokens: Counts | None, rejects: bool) -> Iterator[dict[str, Any]]:
    """The rows of a shard, with words and tokens counted (for dropped ones only where they are written)."""
    flow = iter(docs)
    while batch := list(islice(flow, _BATCH)):
        rows = [_shard_row(doc) for doc in batch]
        counted = [row for row in rows if rejects or row["dropped"] is None]
        for row in counted:
            row["words"] = len(row["text"].split())
        if count_tokens and counted:
            for row, tokens in zip(counted, count_tokens([row["text"] for row in counted]), strict=True):
                row["tokens"] = tokens
        yield from rows


def _shard_row(doc: Doc) -> dict[str, Any]:
    row = {"words": 0, "tokens": None} | to_row(doc)
    row["formulas"] = [{"name": _utf8(name), "value": int(count)} for name, count in sorted(doc.formulas.items())]
    finite = ((name, float(value)) for name, value in sorted(doc.scores.items()))
    row["scores"] = [{"name": _utf8(name), "value": value if math.isfinite(value) else None} for name, value in finite]
    return {column: _utf8(row[column]) if type(row[column]) is str else row[column] for column in _SCHEMA.names}


def _utf8(text: str) -> str:
    """Half surrogates, which a page can spell in an entity or in JSON, have no UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _manifest(
    facts: CorpusFacts,
    shards: list[dict[str, Any]],
    suffix: str,
    tokenizer: str | None,
    config: Mapping[str, Any],
    drops: Mapping[str, int],
) -> dict[str, Any]:
    settings = json.dumps(dict(config), ensure_ascii=False, sort_keys=True, default=str)
    return {
        "format": suffix,
        "documents": facts.documents,
        "words": facts.words,
        "tokens": {"tokenizer": Path(tokenizer).name, "count": facts.tokens} if tokenizer else None,
        "text_bytes": facts.text_bytes,
        "bytes": sum(shard["bytes"] for shard in shards),
        "formulas": ranked(facts.formulas),
        "languages": ranked(facts.languages),
        "hosts": {"count": len(facts.hosts), "top": ranked(facts.hosts, 100)},
        "archives": {"count": len(facts.archives), "top": ranked(facts.archives, 100)},
        "dates": [facts.first_date, facts.last_date],
        "drops": ranked(facts.drops + Counter(drops)),
        "config": json.loads(settings),
        "config_sha256": hashlib.sha256(settings.encode()).hexdigest(),
        "shards": shards,
    }
