"""The pool: the pages of the cached extraction that the rounds may collect. No other pool is meant in this room.

A page is in the pool when extraction kept it and no other page stands for it (`duplicates/`). It lies beside its extraction file: for every
file `KEY` there is a `KEY.parquet` in the pool's folder with one row a page, in the order of the file: id, URL, host, size, whether
something speaks for the subject, whether the user's seed names it, and where its text is (a compressed frame, a line in it). The rounds
keep what they know of a page in files of the same stem. Nothing is numbered through all files and no array has an entry a page, so that
the memory of a run does not grow with its corpus, and every file can be worked on by another machine. Whoever wants the texts of some pages
decodes their frames and no others.

The size of a page in tokens is an estimate here (characters / 3.5, what GPT-like tokenizers come to on LaTeX-heavy English); the manifest
of the corpus counts with a real tokenizer when one is named.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from data_pipeline.documents.document import Doc
from data_pipeline.documents.document_files import docs_in
from data_pipeline.documents.parquet_names import literal


@dataclass(frozen=True, slots=True)
class PagePool:
    """Where the pages of a run lie, by the stems of their files."""

    folder: Path
    """Of `KEY.parquet`, the pages of each file."""
    extracted: Path
    """Of `KEY.jsonl.zst`, their documents."""
    keys: tuple[str, ...]
    pages: int
    tokens: int
    digest: str
    """Of what decided which pages these are."""

    def __len__(self) -> int:
        return self.pages

    def files(self, folder: Path | None = None) -> list[str]:
        """`KEY.parquet` of every file, of the pool or of what a round keeps in a folder of its own."""
        return [str(table_file(folder or self.folder, key)) for key in self.keys]

    def named(self, folder: Path | None = None) -> list[str]:
        """The same as DuckDB takes them."""
        return [literal(file) for file in self.files(folder)]

    def documents(self, key: str) -> Path:
        return documents_file(self.extracted, key)

    def docs(self, key: str, places: pa.Table) -> Iterator[Doc]:
        """The documents of one file at some places (columns frame and line), in the order of the file."""
        return docs_in(self.documents(key), places["frame"].to_pylist(), places["line"].to_pylist())


def table_file(folder: Path, key: str) -> Path:
    return folder / f"{key}.parquet"


def documents_file(extracted: Path, key: str) -> Path:
    return extracted / f"{key}.jsonl.zst"


def key_of(table: str) -> str:
    """The stem of a table's file."""
    return Path(table).name.removesuffix(".parquet")


def key_of_documents(file: Path) -> str:
    """The stem of an extraction file."""
    return file.name.removesuffix(".jsonl.zst")


def by_file(rows: pa.Table, keys: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
    """Rows with a column `key`, file by file in the order of `keys`, and in a file by their place."""
    ordered = rows.sort_by([("key", "ascending"), ("frame", "ascending"), ("line", "ascending")])
    names: Iterable[str] = ordered["key"].to_pylist()
    bounds: dict[str, tuple[int, int]] = {}
    for row, name in enumerate(names):
        bounds[name] = (bounds.get(name, (row, row))[0], row + 1)
    for key in keys:
        if key in bounds:
            begin, end = bounds[key]
            yield key, ordered.slice(begin, end - begin)


def lot(name: str, random_seed: int, purpose: str) -> int:
    """A number in [0, 2^64) that only the three arguments decide: who draws the lowest lots draws at random, whatever else is there."""
    return int.from_bytes(hashlib.blake2b(f"{random_seed}:{purpose}:{name}".encode(), digest_size=8).digest(), "little")
