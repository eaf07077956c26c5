"""The corpus that a run ends in: shards of documents, `manifest.json` and a data card.

* A shard holds kept documents in the order they come; the same documents and settings give the same bytes. No time, path of this machine
  or random number goes into a file.
* `formulas` and `scores` are lists of pairs (`[{"name": "math", "value": 0.9}]`), not objects: names differ from document to document, and
  a column whose fields differ between files loads nowhere. `document_files.py` reads them as mappings again.
* Every file is atomic; an older manifest goes first and the new one comes last, so a folder with a manifest is whole. Shards of an earlier
  run that this one did not overwrite are removed; no other file of the folder is touched.
* Dropped documents are counted by reason in the manifest.

`manifest.json` holds counts, the SHA-256 of every shard, drops and the configuration; `README.md` is the data card (`data_card.py`), which
also states the columns.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_pipeline.documents.data_card import COLUMNS, NESTED, CorpusFacts, data_card, ranked
from data_pipeline.documents.document import Doc, to_row
from data_pipeline.documents.document_files import open_bytes
from data_pipeline.documents.token_counts import Counts, token_counter
from verifiers.atomic_files import atomic_path, remove_leftovers, write_json
from verifiers.input_error import InputError

SHARD_BYTES = 512 << 20
"""Of text, before compression."""
_BATCH = 1000  # documents that are counted, encoded and made a row group together
_SHARD_NAME = re.compile(r"part-\d{5}\.(parquet|jsonl|jsonl\.zst)")


def _column_type(name: str) -> pa.DataType:
    kind = pa.type_for_alias(COLUMNS[name])
    return pa.list_(pa.struct([("name", pa.string()), ("value", kind)])) if name in NESTED else kind


_SCHEMA = pa.schema([(name, _column_type(name)) for name in COLUMNS])


class _Shards:
    """The shards of a corpus: opened by the first row, closed when full, all through the stack that is handed in."""

    def __init__(self, out: Path, suffix: str) -> None:
        self.out, self.suffix = out, suffix
        self.shards: list[dict[str, Any]] = []
        self._stack: ExitStack | None = None

    def put(self, row: dict[str, Any]) -> None:
        if self._stack is None:
            self._open()
        self._counts["documents"] += 1
        self._counts["text_bytes"] += len(row["text"].encode())
        self._counts["words"] += row["words"]
        self._counts["tokens"] += row["tokens"] or 0
        self._rows.append(row)
        if len(self._rows) == _BATCH:
            self._flush()
        if self._counts["text_bytes"] >= SHARD_BYTES:
            self.close()

    def close(self) -> None:
        """Finish the open shard. Without any there is an empty one: an empty corpus is one that loads."""
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
        return self.out / f"part-{len(self.shards):05d}.{self.suffix}"

    def _open(self) -> None:
        self._stack, self._encoder = ExitStack(), ExitStack()
        self._temporary = self._stack.enter_context(atomic_path(self._path()))
        self._counts = {"documents": 0, "text_bytes": 0, "words": 0, "tokens": 0}
        self._rows: list[dict[str, Any]] = []
        if self.suffix == "parquet":
            writer = self._encoder.enter_context(pq.ParquetWriter(self._temporary, _SCHEMA, compression="zstd"))
            self._write: Callable[[], Any] = lambda: writer.write_table(pa.Table.from_pylist(self._rows, schema=_SCHEMA))
        else:
            stream = open_bytes(self._temporary, self.suffix, self._encoder)
            self._write = lambda: stream.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in self._rows).encode())

    def _flush(self) -> None:
        if self._rows:
            self._write()
            self._rows.clear()


def write_shards(
    docs: Iterable[Doc], out: Path, *, suffix: str = "parquet", tokenizer: str | None = None, config: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write the kept documents as shards with a manifest and a data card, and return the manifest.

    suffix: parquet, jsonl or jsonl.zst. tokenizer: a folder or file of a tokenizer, or a name that transformers knows: tokens are counted
    beside whitespace words. config: what made the corpus.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; shards need a folder")
    count_tokens = token_counter(tokenizer) if tokenizer else None
    out.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out)
    (out / "manifest.json").unlink(missing_ok=True)
    kept, facts = _Shards(out, suffix), CorpusFacts()
    with ExitStack() as stack:
        stack.push(kept.abort)
        for row in _counted(docs, count_tokens):
            facts.add(row)
            if row["dropped"] is None:
                kept.put(row)
        kept.close()
    for stale in out.iterdir():
        if _SHARD_NAME.fullmatch(stale.name) and stale.name not in {shard["file"] for shard in kept.shards}:
            stale.unlink()
    manifest = _manifest(facts, kept.shards, suffix, tokenizer, config)
    with atomic_path(out / "README.md") as temporary:
        temporary.write_text(data_card(manifest), encoding="utf-8")
    write_json(out / "manifest.json", manifest, indent=1)
    return manifest


def _counted(docs: Iterable[Doc], count_tokens: Counts | None) -> Iterator[dict[str, Any]]:
    """The documents as rows of a shard; words and tokens are counted of those that are written."""
    flow = iter(docs)
    while batch := list(islice(flow, _BATCH)):
        rows = [_shard_row(doc) for doc in batch]
        counted = [row for row in rows if row["dropped"] is None]
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
    facts: CorpusFacts, shards: list[dict[str, Any]], suffix: str, tokenizer: str | None, config: Mapping[str, Any] | None
) -> dict[str, Any]:
    settings = json.dumps(config or {}, ensure_ascii=False, sort_keys=True, default=str)
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
        "drops": ranked(facts.drops),
        "config": json.loads(settings),
        "config_sha256": hashlib.sha256(settings.encode()).hexdigest(),
        "shards": shards,
    }
