"""What is known of each kept page of an extraction file without its text: a row of columns a page, beside it a MinHash signature.

Every question that is asked of all pages at once (copies, domains, the budget) is asked of these, and only the texts that one of them
needs are decoded, by frame and line. A file of documents is read once: `write_columns` is the task, `KEY.parquet` and `KEY.signatures` its
outputs. Rows are in the file's order; a row's number within it is what other files of the same KEY refer to.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from data_pipeline.columns.minhash import U32, Lsh, shingles, signature
from data_pipeline.documents.addresses import host, normalise_url
from data_pipeline.documents.document import Doc
from data_pipeline.documents.document_files import placed_docs
from data_pipeline.documents.framed_lines import Place
from data_pipeline.documents.places import local, remove, whole
from data_pipeline.documents.token_counts import estimated_tokens
from data_pipeline.tasks.file_work import FileWork, Tell
from verifiers.input_error import InputError

NO_DATE = 99999999999999
"""The date of a page without one: later than all others."""
SCHEMA = pa.schema([
    ("id", pa.uint64()), ("name", pa.string()), ("url", pa.string()), ("host", pa.string()), ("tokens", pa.int64()),
    ("formulas", pa.int32()), ("score", pa.float32()), ("length", pa.int64()), ("date", pa.int64()), ("url_key", pa.uint64()),
    ("text_key", pa.uint64()), ("words", pa.bool_()), ("evidence", pa.bool_()), ("frame", pa.int64()), ("line", pa.int32()),
    ("number", pa.int64()),
])  # fmt: skip
"""id: `id_key`; name: the id where it is not the one that the key spells; tokens: an estimate; score: a given score "math"; length: in
characters; date: its first 14 digits; url_key, text_key: hashes, 0 for none; words: whether there are any;
evidence: whether something speaks for what is looked for; frame, line: the place in the file; number: of the row there, from 1."""
_VERSION = 2  # of what a row holds: part of the configuration of the outputs
_GROUP = 1 << 14  # rows of a row group, which are in memory; their texts are not
_TOLD = 500  # pages after which the progress is told
_HEX = re.compile(r"[0-9a-f]{16}")


def columns_work(key: str, source: Path | str, out: Path | str, lsh: Lsh | None, *, of: str = "") -> FileWork:
    """The work of `write_columns` for one file of documents. lsh: of the signatures; None for none. of: what the source was made by."""
    options: dict[str, Any] = {"lsh": asdict(lsh) if lsh else None}
    config = hashlib.blake2b(json.dumps([_VERSION, options, of], sort_keys=True).encode(), digest_size=8).hexdigest()
    return FileWork(key, str(source), str(out), config, options)


def holds_formulas(doc: Doc) -> bool:
    return any(doc.formulas.values())


def write_columns(work: FileWork, tell: Tell, evidence: Callable[[Doc], bool] = holds_formulas) -> Mapping[str, Any]:
    """Reads the file once, and writes `KEY.parquet` and, unless options["lsh"] is null, `KEY.signatures`. Returns {"pages": kept ones}.

    Source and outputs may be at any place that `places.py` knows. evidence: whether something speaks for what is looked for.
    """
    lsh = Lsh(**work.options["lsh"]) if work.options.get("lsh") else None
    pages = 0
    with ExitStack() as stack:
        source = stack.enter_context(local(work.source))
        packed = stack.enter_context(whole(work.place(".parquet")))
        table = stack.enter_context(pq.ParquetWriter(packed, SCHEMA, compression="zstd"))
        raw = stack.enter_context(stack.enter_context(whole(work.place(".signatures"))).open("wb")) if lsh else None
        hashing = lsh.permutations() if lsh else None
        rows: list[dict[str, Any]] = []
        for place, number, doc in placed_docs(source):
            if doc.dropped is not None:
                continue
            rows.append({**_row(place, number, doc), "evidence": evidence(doc)})
            if raw and lsh and hashing:  # of a text without words too, so that rows stay in step; it is given no band
                raw.write(signature(shingles(doc.text, lsh.ngram), hashing).data)
            pages += 1
            if len(rows) == _GROUP:
                table.write_table(pa.Table.from_pylist(rows, SCHEMA))
                rows = []
            if not pages % _TOLD:
                tell({"pages": pages})
        if rows:
            table.write_table(pa.Table.from_pylist(rows, SCHEMA))
    if not lsh:
        remove(work.place(".signatures"))  # of other options
    return {"pages": pages}


def read_columns(folder: Path, key: str, names: Sequence[str]) -> pa.Table:
    """Some columns of the pages of one file, a row each, in its order. InputError where they are missing or broken."""
    path = Path(folder) / f"{key}.parquet"
    try:
        return pq.read_table(path, columns=list(names), partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: truncated or broken columns ({str(error).splitlines()[0]}); delete it and its .json") from None


def read_signatures(folder: Path, key: str, lsh: Lsh) -> U32:
    """[pages, hashes] of one file, mapped, not read. InputError where there are not as many as there should."""
    path, pages = Path(folder) / f"{key}.signatures", count_pages(folder, key)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; columns without signatures serve no search for near-duplicates") from None
    if size != pages * lsh.hashes * 4:
        raise InputError(f"{path}: {size} bytes for {pages} pages of {lsh.hashes} hashes; delete it and its .json")
    return np.memmap(path, np.uint32, "r", shape=(pages, lsh.hashes)) if pages else np.zeros((0, lsh.hashes), np.uint32)


def count_pages(folder: Path, key: str) -> int:
    """The rows of one file's columns, from its footer."""
    path = Path(folder) / f"{key}.parquet"
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: truncated or broken columns ({str(error).splitlines()[0]}); delete it and its .json") from None


def id_key(doc_id: str) -> int:
    """64 bits of an id: the number that the pipeline's own ids spell, so that they sort as such; a hash of any other."""
    return int(doc_id, 16) if _HEX.fullmatch(doc_id) else xxhash.xxh3_64_intdigest(doc_id.encode("utf-8", "surrogatepass"))


def id_text(key: int, name: str | None) -> str:
    """The id of a row from its columns `id` and `name`."""
    return f"{key:016x}" if name is None else name


def url_key(url: str) -> int:
    """64 bits of an address, however it is spelled; 0 for none."""
    return _hash(normalise_url(url)) if url else 0


def _row(place: Place, number: int, doc: Doc) -> dict[str, Any]:
    digits = "".join(character for character in doc.origin.date if character in "0123456789")[:14]
    words = doc.text.lower().split()
    score = float(doc.scores.get("math", 0.0))
    return {
        "id": id_key(doc.id),
        "name": None if _HEX.fullmatch(doc.id) else _clean(doc.id),
        "url": _clean(doc.url),
        "host": _clean(host(doc.url)),
        "tokens": estimated_tokens(doc.text),
        "formulas": min(sum(doc.formulas.values()), 2**31 - 1),
        "score": score if score == score else 0.0,
        "length": len(doc.text),
        "date": int(digits.ljust(14, "0")) if digits else NO_DATE,
        "url_key": url_key(doc.url),
        "text_key": _hash(" ".join(words)),
        "words": bool(words),
        "frame": place[0],
        "line": place[1],
        "number": number,
    }


def _hash(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"))


def _clean(text: str) -> str:
    """Without halves of surrogate pairs, which are no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
