"""The pool: the pages of the cached extraction that the rounds may collect, by number.

A page is in the pool when extraction kept it and no other page stands for it (`duplicates.jsonl`). Texts stay on disk: in memory a page
is its id, URL, host, size and whether it holds formulas, about 150 bytes, so that a machine with 16 GB mines a hundred million pages.
Pages are numbered in the order of the extraction files, and every figure of a round is an array in that order.

The size of a page in tokens is an estimate here (characters / 3.5, what GPT-like tokenizers come to on LaTeX-heavy English); the manifest
of the corpus counts with a real tokenizer when one is named.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_pipeline.cleaning.duplicates import Duplicates, drop_duplicates
from data_pipeline.documents.addresses import host
from data_pipeline.documents.document import Doc
from data_pipeline.documents.document_files import read_docs

CHARACTERS_PER_TOKEN = 3.5

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Pool:
    """Columns, one entry a page."""

    files: tuple[Path, ...]
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
        row = 0
        for file in self.files:
            for doc in read_docs(file):
                if row == len(self.ids):
                    return
                if doc.dropped is None and int(doc.id, 16) == int(self.ids[row]):
                    if wanted is None or wanted[row]:
                        yield row, doc
                    row += 1


def build_pool(files: Sequence[Path], duplicates: Duplicates) -> Pool:
    """Reads the extraction once."""
    ids: list[int] = []
    urls: list[str] = []
    hosts: list[str] = []
    sizes: list[int] = []
    formulas: list[bool] = []
    known: dict[str, str] = {}  # hosts repeat: one string each
    for doc in drop_duplicates((doc for file in files for doc in read_docs(file)), duplicates):
        if doc.dropped is not None:
            continue
        ids.append(int(doc.id, 16))
        urls.append(doc.url)
        name = host(doc.url)
        hosts.append(known.setdefault(name, name))
        sizes.append(estimated_tokens(doc.text))
        formulas.append(any(doc.formulas.values()))
    return Pool(
        tuple(files), np.array(ids, np.uint64), urls, hosts, np.array(sizes, np.int64), np.array(formulas, np.bool_)
    )  # fmt: skip


def estimated_tokens(text: str) -> int:
    return max(1, round(len(text) / CHARACTERS_PER_TOKEN))


def draw(pool: Pool, rows: Rows, count: int, *, seed: int, purpose: str) -> Rows:
    """`count` of the rows at random, in order; all when there are fewer. A page's lot depends on its id, the seed and the purpose alone."""
    if len(rows) <= count:
        return rows
    lots = np.array([lot(pool.id_of(row), seed, purpose) for row in rows.tolist()], np.uint64)
    return np.sort(rows[np.argsort(lots, kind="stable")[:count]])


def lot(name: str, seed: int, purpose: str) -> int:
    """A number in [0, 2^64) that only the three arguments decide."""
    return int.from_bytes(hashlib.blake2b(f"{seed}:{purpose}:{name}".encode(), digest_size=8).digest(), "little")
