"""Lines that a site repeats on its pages: menus, footers, "Sign in to comment". Found by counting, removed from the documents.

A line goes if it stands on at least `MIN_PAGES` pages of its host and on at least `SHARE` of them. What looks repeated in mathematics but
is its structure stays whatever the counts:

* headings, lines without a letter (`$$`, `---`, `1.`), all of a fenced code block;
* short lines of structure: "Proof.", "Solution 3:", "Hint", "Theorem 1.2";
* lines with formulas and rows of tables, unless they stand on nearly all pages (`FORMULA_SHARE`).

Lines are compared without case and outer white space. Run it after `dedup`: copies of one page would make all its lines a template.
Counting goes through files (17 bytes for each distinct line of a page), sorted a share at a time, so memory is bounded by 8 bytes a
document and a 256th of the lines. Documents without a URL belong to no site and are left alone. The same documents give the same lines,
in any order.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xxhash

from data_pipeline.documents.addresses import host
from data_pipeline.documents.document import Doc, Stage
from data_pipeline.documents.document_files import read_files
from verifiers.atomic_files import atomic_path

U64 = npt.NDArray[np.uint64]
MIN_PAGES, SHARE, FORMULA_SHARE = 5, 0.3, 0.9
_PARTS = 256
_BATCH = 500
_RECORD = np.dtype([("line", "u8"), ("host", "u8"), ("careful", "?")])
_STRUCTURE = re.compile(
    r"[>*_#\s\d.()-]{0,20}(?:proof|solution|answer|hint|theorem|lemma|corollary|proposition|definition|remark|example|exercise|problem|question"
    r"|claim|note|references|step|case|part|conjecture|explanation)s?\b[\s\d.:()*_-]{0,20}"
)
_FENCE = ("```", "~~~")


def find_boilerplate(inputs: Sequence[Path], out: Path) -> U64:
    """The keys of all boilerplate lines of the documents that are not dropped, sorted; also written to `out` (.npy)."""
    out.parent.mkdir(parents=True, exist_ok=True)
    docs = (doc for doc in read_files(inputs) if doc.dropped is None)
    with tempfile.TemporaryDirectory(prefix=".tmp-lines-", dir=out.parent) as scratch:
        hosts, pages = _count_lines(docs, Path(scratch))
        found = [_repeated_keys(Path(scratch) / str(part), hosts, pages) for part in range(_PARTS)]
    keys = np.sort(np.concatenate(found))
    with atomic_path(out) as temporary, temporary.open("wb") as file:
        np.save(file, keys)
    return keys


def remove_boilerplate(keys: U64) -> Stage:
    """A stage that removes the lines of `find_boilerplate` from documents; "boilerplate: nothing left" where that was all."""

    def stage(docs: Iterator[Doc]) -> Iterator[Doc]:
        for doc in docs:
            text = doc.text if doc.dropped or not len(keys) else _without_lines(doc, keys)
            if text is doc.text:
                yield doc
            else:
                cleaned = replace(doc, text=text)
                yield cleaned if text.strip() else cleaned.drop("boilerplate: nothing left")

    return stage


def _without_lines(doc: Doc, keys: U64) -> str:
    places, records = _records(doc)
    at = np.minimum(np.searchsorted(keys, records["line"]), len(keys) - 1)
    gone = {places[index] for index in np.flatnonzero(keys[at] == records["line"]).tolist()}
    if not gone:
        return doc.text
    kept = "\n".join(line for place, line in enumerate(doc.text.split("\n")) if place not in gone)
    return re.sub(r"\n{3,}", "\n\n", kept).strip("\n")


def _records(doc: Doc) -> tuple[list[int], npt.NDArray[np.void]]:
    """The places of the lines that may be boilerplate, and their record each."""
    name = host(doc.url)
    key = _hash(name)
    places, rows = [], []
    for place, line, careful in _lines(doc.text) if name else ():
        places.append(place)
        rows.append((_hash(line) ^ _swap_halves(key), key, careful))
    return places, np.array(rows, _RECORD)


def _lines(text: str) -> Iterator[tuple[int, str, bool]]:
    """(place, normalised line, whether it holds a formula or a row of a table) of all lines that are not structure."""
    in_code = in_display = False
    for place, line in enumerate(text.split("\n")):
        line = line.strip().lower()
        if line.startswith(_FENCE):
            in_code = not in_code
            continue
        formula = in_display or "$" in line or line.startswith("|")
        in_display ^= line.count("$$") % 2 == 1
        if in_code or line.startswith("#") or not any(map(str.isalpha, line)) or _STRUCTURE.fullmatch(line):
            continue
        yield place, line, formula


def _count_lines(docs: Iterable[Doc], folder: Path) -> tuple[U64, npt.NDArray[np.int64]]:
    """Writes the records of every page's distinct lines, spread over files; returns the hosts, sorted, and their numbers of pages."""
    files = [(folder / str(part)).open("wb", buffering=1 << 14) for part in range(_PARTS)]
    flow, hosts = iter(docs), [np.zeros(0, np.uint64)]
    while batch := list(islice(flow, _BATCH)):
        hosts.append(np.array([_hash(host(doc.url)) for doc in batch], np.uint64))
        records = np.concatenate([_distinct_lines(_records(doc)[1]) for doc in batch])
        part_of = records["line"] >> np.uint64(56)
        for part in np.unique(part_of).tolist():
            files[part].write(records[part_of == part].tobytes())
    for file in files:
        file.close()
    return np.unique(np.concatenate(hosts), return_counts=True)


def _distinct_lines(records: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    return records[np.unique(records["line"], return_index=True)[1]]


def _repeated_keys(path: Path, hosts: U64, pages: npt.NDArray[np.int64]) -> U64:
    records = np.fromfile(path, _RECORD)
    lines, at, counts = np.unique(records["line"], return_index=True, return_counts=True)
    careful = np.isin(lines, np.unique(records["line"][records["careful"]]))
    of_host = pages[np.searchsorted(hosts, records["host"][at])] if len(lines) else np.zeros(0)
    share = np.where(careful, FORMULA_SHARE, SHARE)
    boilerplate: U64 = lines[(counts >= MIN_PAGES) & (counts >= share * of_host)]
    return boilerplate


def _hash(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"))


def _swap_halves(value: int) -> int:
    """So that a line that is its host's name does not cancel it out."""
    return ((value << 32) | (value >> 32)) & 0xFFFFFFFFFFFFFFFF
