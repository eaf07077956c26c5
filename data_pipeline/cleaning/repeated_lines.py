"""Lines that a site repeats on its pages: menus, footers, "Sign in to comment". Found by counting, removed from the documents.

A line goes if it stands on at least `MIN_PAGES` pages of its host and on at least `SHARE` of them. What looks repeated in mathematics but
is its structure stays whatever the counts:

* headings, lines without a letter (`$$`, `---`, `1.`), all of a fenced code block;
* short lines of structure: "Proof.", "Solution 3:", "Hint", "Theorem 1.2";
* lines with formulas and rows of tables, unless they stand on nearly all pages (`FORMULA_SHARE`).

Lines are compared without case and outer white space. Run it after `dedup`: copies of one page would make all its lines a template.
Counting goes through files (24 bytes for each distinct line of a page, `spilled_rows.py`), some lines at a time, and the lines found are
in a file that is mapped, so memory is bounded whatever the corpus. Documents without a URL belong to no site and are left alone. The same
documents give the same lines, in any order.
"""

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import xxhash

from data_pipeline.cleaning.spilled_rows import MEMORY, U64, Spill, chunks_of, rows_in
from data_pipeline.documents.addresses import host
from data_pipeline.documents.document import Doc, Stage
from data_pipeline.documents.document_files import read_files
from verifiers.atomic_files import atomic_path

MIN_PAGES, SHARE, FORMULA_SHARE = 5, 0.3, 0.9
_FILES = 200  # that lines are spread over
_BATCH = 500
_STRUCTURE = re.compile(
    r"[>*_#\s\d.()-]{0,20}(?:proof|solution|answer|hint|theorem|lemma|corollary|proposition|definition|remark|example|exercise|problem|question"
    r"|claim|note|references|step|case|part|conjecture|explanation)s?\b[\s\d.:()*_-]{0,20}"
)
_FENCE = ("```", "~~~")


def find_boilerplate(inputs: Sequence[Path], out: Path, *, memory: int = MEMORY) -> U64:
    """The keys of all boilerplate lines of the documents that are not dropped, sorted; they lie in `out` (.npy) and are mapped from it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    docs = (doc for doc in read_files(inputs) if doc.dropped is None)
    limit = rows_in(memory)
    with tempfile.TemporaryDirectory(prefix=".tmp-lines-", dir=out.parent) as scratch:
        lines = Spill(Path(scratch) / "lines", _FILES * limit // 2, limit, width=3)
        hosts = Spill(Path(scratch) / "hosts", _FILES * limit // 8, limit)
        with lines, hosts:
            _spread_lines(docs, lines, hosts)
        names, pages = _pages_of_hosts(hosts, Path(scratch))
        keys = Path(scratch) / "keys"
        with keys.open("wb") as file:
            for part in lines.parts():
                file.write(_repeated_keys(part, names, pages).data)
        with atomic_path(out) as temporary, temporary.open("wb") as file, keys.open("rb") as found:
            header = {"descr": "<u8", "fortran_order": False, "shape": (keys.stat().st_size // 8,)}
            np.lib.format.write_array_header_1_0(file, header)  # type: ignore[no-untyped-call]
            shutil.copyfileobj(found, file)
    mapped: U64 = np.load(out, mmap_mode="r")
    return mapped


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
    places, rows = _rows(doc)
    at = np.minimum(np.searchsorted(keys, rows[:, 0]), len(keys) - 1)
    gone = {places[index] for index in np.flatnonzero(keys[at] == rows[:, 0]).tolist()}
    if not gone:
        return doc.text
    kept = "\n".join(line for place, line in enumerate(doc.text.split("\n")) if place not in gone)
    return re.sub(r"\n{3,}", "\n\n", kept).strip("\n")


def _rows(doc: Doc) -> tuple[list[int], U64]:
    """The places of the lines that may be boilerplate, and [line, host, whether careful] of each, the first two hashed."""
    name = host(doc.url)
    key = _hash(name)
    places, rows = [], []
    for place, line, careful in _lines(doc.text) if name else ():
        places.append(place)
        rows.append((_hash(line) ^ _swap_halves(key), key, int(careful)))
    return places, np.array(rows, np.uint64).reshape(-1, 3)


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


def _spread_lines(docs: Iterable[Doc], lines: Spill, hosts: Spill) -> None:
    """Every page's distinct lines, and [host, pages]."""
    flow = iter(docs)
    while batch := list(islice(flow, _BATCH)):
        names, pages = np.unique(np.array([_hash(host(doc.url)) for doc in batch], np.uint64), return_counts=True)
        hosts.add(np.stack([names, pages.astype(np.uint64)], axis=1))
        lines.add(np.concatenate([_distinct_lines(_rows(doc)[1]) for doc in batch]))


def _distinct_lines(rows: U64) -> U64:
    first: U64 = rows[np.unique(rows[:, 0], return_index=True)[1]]
    return first


def _pages_of_hosts(hosts: Spill, scratch: Path) -> tuple[U64, U64]:
    """The hosts, sorted, and their numbers of pages, mapped."""
    places = [scratch / "host-names", scratch / "host-pages"]
    with places[0].open("wb") as names, places[1].open("wb") as pages:
        for part in hosts.parts():
            for found, count in _sums(part):
                names.write(found.data)
                pages.write(count.data)
    if not places[0].stat().st_size:
        return np.zeros(0, np.uint64), np.zeros(0, np.uint64)
    return np.memmap(places[0], np.uint64, "r"), np.memmap(places[1], np.uint64, "r")


def _sums(part: U64 | Path) -> Iterator[tuple[U64, U64]]:
    """(values, sorted, and their sums) of rows [value, number]; a file of rows holds one value."""
    if isinstance(part, Path):
        chunks = [(chunk[0, 0], chunk[:, 1].sum()) for chunk in chunks_of(part, 2)]
        yield np.array([chunks[0][0]], np.uint64), np.array([sum(count for _, count in chunks)], np.uint64)
        return
    values, at = np.unique(part[:, 0], return_inverse=True)
    counts = np.zeros(len(values), np.uint64)
    np.add.at(counts, at, part[:, 1])
    yield values, counts


def _repeated_keys(part: U64 | Path, hosts: U64, pages: U64) -> U64:
    """The boilerplate among some lines, sorted; a file of rows holds one line."""
    if isinstance(part, Path):
        chunks = [(chunk[0], len(chunk), chunk[:, 2].any()) for chunk in chunks_of(part, 3)]
        lines, of, counts = (np.array([value], np.uint64) for value in (chunks[0][0][0], chunks[0][0][1], sum(c[1] for c in chunks)))
        careful = np.array([any(chunk[2] for chunk in chunks)])
    else:
        part = part[np.argsort(part[:, 0])]
        first = np.flatnonzero(np.concatenate([[True], part[1:, 0] != part[:-1, 0]]))
        lines, of = part[first, 0], part[first, 1]
        counts = np.diff(first, append=len(part)).astype(np.uint64)
        careful = np.maximum.reduceat(part[:, 2], first) > 0
    of_host = pages[np.searchsorted(hosts, of)]
    share = np.where(careful, FORMULA_SHARE, SHARE)
    boilerplate: U64 = lines[(counts >= MIN_PAGES) & (counts >= share * of_host)]
    return boilerplate


def _hash(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"))


def _swap_halves(value: int) -> int:
    """So that a line that is its host's name does not cancel it out."""
    return ((value << 32) | (value >> 32)) & 0xFFFFFFFFFFFFFFFF
