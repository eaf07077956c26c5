"""The pool: the pages of the cached extraction that the rounds may collect, by number. No other pool is meant in this room.

A page is in the pool when extraction kept it and no other page stands for it (`duplicates/`). Texts stay on disk: in memory a page
is its id, URL, host, size, place and whether it holds formulas, about 160 bytes, so that a machine with 16 GB mines a hundred million
pages. Pages are numbered in the order of the extraction files, and every figure of a round is an array in that order. Whoever wants the
texts of some pages decodes those and no others: a round decodes the pool once, to score it, and its examples.

The size of a page in tokens is an estimate here (characters / 3.5, what GPT-like tokenizers come to on LaTeX-heavy English); the manifest
of the corpus counts with a real tokenizer when one is named.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_pipeline.cleaning.duplicates import copies_of, drop_copies
from data_pipeline.documents.addresses import host
from data_pipeline.documents.document import Doc
from data_pipeline.documents.document_files import docs_at, read_docs
from data_pipeline.documents.token_counts import estimated_tokens

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PagePool:
    """Columns, one entry a page."""

    files: tuple[Path, ...]
    places: NDArray[np.int64]
    """The line of each page, counted from 0 through all files."""
    ids: NDArray[np.uint64]
    urls: Sequence[str]
    hosts: Sequence[str]
    tokens: NDArray[np.int64]
    formulas: Mask
    """Whether extraction found a formula."""

    def __len__(self) -> int:
        return len(self.ids)

    def id_of(self, row: int) -> str:
        return f"{int(self.ids[row]):016x}"

    def docs(self, wanted: Mask | None = None) -> Iterator[tuple[int, Doc]]:
        """The pages with their texts, from disk, in order; only the wanted ones."""
        rows = np.arange(len(self)) if wanted is None else np.flatnonzero(wanted)
        yield from zip(map(int, rows), docs_at(self.files, map(int, self.places[rows])), strict=True)


def build_pool(files: Sequence[Path], duplicates: Path) -> PagePool:
    """Reads the extraction once."""
    places: list[int] = []
    ids: list[int] = []
    urls: list[str] = []
    hosts: list[str] = []
    sizes: list[int] = []
    formulas: list[bool] = []
    known: dict[str, str] = {}  # hosts repeat: one string each
    for place, doc in enumerate(doc for file in files for doc in _without_copies(file, duplicates)):
        if doc.dropped is not None:
            continue
        places.append(place)
        ids.append(int(doc.id, 16))
        urls.append(doc.url)
        name = host(doc.url)
        hosts.append(known.setdefault(name, name))
        sizes.append(estimated_tokens(doc.text))
        formulas.append(any(doc.formulas.values()))
    columns = np.array(ids, np.uint64), urls, hosts, np.array(sizes, np.int64), np.array(formulas, np.bool_)
    return PagePool(tuple(files), np.array(places, np.int64), *columns)


def _without_copies(file: Path, duplicates: Path) -> Iterator[Doc]:
    copies = copies_of(duplicates, file.name.removesuffix(".jsonl.zst"))
    yield from drop_copies(read_docs(file), dict(zip(copies["row"].to_pylist(), copies["reason"].to_pylist(), strict=True)))


def draw(pool: PagePool, rows: Rows, count: int, *, random_seed: int, purpose: str) -> Rows:
    """`count` of the rows at random, in order; all when there are fewer.

    A page's lot depends on its id, the random seed and the purpose alone.
    """
    if len(rows) <= count:
        return rows
    lots = np.array([lot(pool.id_of(row), random_seed, purpose) for row in rows.tolist()], np.uint64)
    return np.sort(rows[np.argsort(lots, kind="stable")[:count]])


def lot(name: str, random_seed: int, purpose: str) -> int:
    """A number in [0, 2^64) that only the three arguments decide."""
    return int.from_bytes(hashlib.blake2b(f"{random_seed}:{purpose}:{name}".encode(), digest_size=8).digest(), "little")
