"""Which documents are copies of which, over a whole corpus: by URL, by text, and nearly.

Four questions, in this order, each asked of the documents that the earlier ones left:

1. the same record read twice (one id): "duplicate: record";
2. the same address once normalised (`addresses.normalise_url`): "duplicate: url";
3. the same text but for white space and case: "duplicate: exact";
4. word 5-grams with a Jaccard similarity of at least 0.75 to a better document that is kept (`minhash.py`): "duplicate: near".

Which copy is kept is the same in all of them: the one with the most formulas (extraction lost fewest), then the highest score "math", the
longest, the earliest fetched, the smallest id. It does not depend on the order of the input, so neither does what is dropped.

Near-duplicates are not chained: if A is near B and B near C, but C not near A, then A and C stay and B goes. Connected components (what
other tools drop all but one of) would lose C, of which no near copy is kept. So every near-duplicate that goes is near one that stays, and
no union-find is needed: documents are decided in the order of their rank.

Memory: the sort by rank takes 80 bytes a document; bands are sorted by 16 million documents and pairs looked at by a million, so that at
35 million documents it is some 4 GB (at 120,000, where nothing is cut yet, 240 bytes a document were measured). Disk: 700 bytes a document
(signatures 480, band hashes 160, keys and ids) and 8 bytes a shingle of the documents in doubt: 25 GB and more, removed at the end.
One process.
"""

import json
import re
import tempfile
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from data_pipeline.cleaning.near_pairs import I64, Ranking, SignatureFiles, near_pairs
from data_pipeline.columns.minhash import U64, Lsh
from data_pipeline.documents.addresses import normalise_url
from data_pipeline.documents.document import Doc
from data_pipeline.documents.document_files import open_lines, read_files, write_lines
from verifiers.input_error import InputError

Codes = npt.NDArray[np.uint8]
REASONS = ("record", "url", "exact", "near")
_BATCH = 500
_HEX = re.compile(r"[0-9a-f]{16}")
_COLUMNS = {
    "key": "u8", "url": "u8", "text": "u8", "formulas": "i4", "score": "f4", "length": "i8", "date": "i8", "id_end": "i8", "words": "?",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dedup:
    """What counts as a copy."""

    by_url: bool = True
    by_text: bool = True
    near: bool = True
    threshold: float = 0.75
    """Jaccard similarity from which two documents are near-duplicates."""
    lsh: Lsh = field(default_factory=Lsh)
    verify: bool = True
    """Check candidates against the threshold. False drops whatever shares a band, as most tools do."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise InputError(f"dedup: threshold is {self.threshold}; a similarity lies in (0, 1]")


MEGAMATH = Dedup(lsh=Lsh(rows=11, bands=10), verify=False)
"""MegaMath's setting, best of the six that its authors tried: its "0.75" is a curve that finds 35 % of the pairs of J = 0.75."""


class Duplicates:
    """The documents that are copies, from `duplicates.jsonl`: 17 bytes of memory each; the ids stay in the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        keys, offsets, reasons, position = array("Q"), array("q"), array("B"), 0
        for number, line in enumerate(open_lines(path), start=1):
            try:
                row = json.loads(line)
                keys.append(id_key(row["id"]))
                reasons.append(REASONS.index(row["reason"].removeprefix("duplicate: ")))
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
                raise InputError(f"{path}:{number}: not a line of duplicates ({error!r}); run dedup again") from None
            offsets.append(position)
            position += len(line.encode()) + 1
        sort = np.argsort(np.array(keys, np.uint64), kind="stable")
        self._keys = np.array(keys, np.uint64)[sort]
        self._offsets = np.array(offsets, np.int64)[sort]
        self._reasons = np.array(reasons, np.uint8)[sort]

    def __len__(self) -> int:
        return len(self._keys)

    def counts(self) -> Counter[str]:
        return Counter({f"duplicate: {reason}": int((self._reasons == code).sum()) for code, reason in enumerate(REASONS)})

    def reasons(self, doc_id: str) -> list[str]:
        """Why documents of this id are dropped: one reason for each of them, "duplicate: record" for those read again; mostly none."""
        return [f"duplicate: {REASONS[self._reasons[place]]}" for place in self._places(doc_id)]

    def lookup(self, doc_id: str) -> tuple[str, str] | None:
        """(reason, id of the document kept instead), or None for one that is no copy of another."""
        for place in self._places(doc_id):
            if REASONS[self._reasons[place]] != "record":
                with self.path.open("rb") as file:
                    file.seek(int(self._offsets[place]))
                    row = json.loads(file.readline())
                return row["reason"], row["kept"]
        return None

    def _places(self, doc_id: str) -> range:
        key = np.uint64(id_key(doc_id))
        return range(int(np.searchsorted(self._keys, key, "left")), int(np.searchsorted(self._keys, key, "right")))


def drop_duplicates(docs: Iterable[Doc], duplicates: Duplicates) -> Iterator[Doc]:
    """The documents, copies dropped with their reason. Of a record that was read twice the first one stays, if any does."""
    repeated: set[str] = set()
    for doc in docs:
        reasons = [] if doc.dropped else duplicates.reasons(doc.id)
        if "duplicate: record" in reasons and doc.id in repeated:
            yield doc.drop("duplicate: record")
            continue
        if "duplicate: record" in reasons:
            repeated.add(doc.id)
        own = [reason for reason in reasons if reason != "duplicate: record"]
        yield doc.drop(own[0]) if own else doc


def dedup(
    inputs: Sequence[Path], work: Path, settings: Dedup = Dedup(), *, seen_pairs: Callable[[list[list[int]]], None] | None = None
) -> Duplicates:
    """Find the copies among the documents of the inputs that are not dropped yet, and write `work/duplicates.jsonl`.

    A line is {"id", "reason", "of", "kept"}: `of` is the document that it is a copy of, `kept` the one that stays in the end (another,
    where `of` is itself a copy by another criterion). seen_pairs: gets the pairs of near-duplicates that were found, as places of
    documents in the input, in several lists.
    """
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tmp-dedup-", dir=work) as scratch:
        index = _Index(Path(scratch), settings)
        index.add_all(_kept_docs(inputs))
        verdicts = _decide_copies(index, settings, lambda: (doc.text for doc in _kept_docs(inputs)), seen_pairs)
        write_lines(work / "duplicates.jsonl", (json.dumps(row, ensure_ascii=False) for row in index.lines(*verdicts)))
    return Duplicates(work / "duplicates.jsonl")


def id_key(doc_id: str) -> int:
    """64 bits of an id: the number that the pipeline's own ids spell, so that they sort as such; a hash of any other."""
    return int(doc_id, 16) if _HEX.fullmatch(doc_id) else xxhash.xxh3_64_intdigest(doc_id.encode("utf-8", "surrogatepass"))


def _kept_docs(inputs: Sequence[Path]) -> Iterator[Doc]:
    return (doc for doc in read_files(inputs) if doc.dropped is None)


class _Index:
    """What is known of every document, a file a column, in the order in which they are read."""

    def __init__(self, folder: Path, settings: Dedup) -> None:
        self.folder, self.settings, self.count = folder, settings, 0
        self.signatures = SignatureFiles(folder, settings.lsh)

    def add_all(self, docs: Iterator[Doc]) -> None:
        columns = {name: (self.folder / name).open("wb") for name in _COLUMNS}
        id_end = 0
        with (self.folder / "ids").open("wb") as ids:
            while batch := list(islice(docs, _BATCH)):
                names = [doc.id.encode("utf-8", "replace") for doc in batch]
                ids.write(b"".join(names))
                rows = [_columns_of(doc) for doc in batch]
                for row, name in zip(rows, names, strict=True):
                    id_end += len(name)
                    row["id_end"] = id_end
                for column, kind in _COLUMNS.items():
                    columns[column].write(np.array([row[column] for row in rows], kind).tobytes())
                if self.settings.near:
                    self.signatures.add(doc.text for doc in batch)
                self.count += len(batch)
        for file in columns.values():
            file.close()
        self.signatures.close()

    def column(self, name: str) -> Any:
        return np.fromfile(self.folder / name, _COLUMNS[name])

    def order(self) -> I64:
        """Places of the documents, the one to keep before all others first."""
        best_last = (self.column("key"), self.column("date"), -self.column("length"), -self.column("score"), -self.column("formulas"))
        order: I64 = np.lexsort(best_last)
        return order

    def lines(self, order: I64, codes: Codes, of: I64) -> Iterator[dict[str, str]]:
        """What `duplicates.jsonl` holds, by rank."""
        kept = of.copy()
        while (again := codes[kept] != 0).any():  # `of` is always better, so this ends; two or three times round
            kept[again] = of[kept[again]]
        id_ends = self.column("id_end")
        with (self.folder / "ids").open("rb") as ids:

            def name(rank: int) -> str:
                place = int(order[rank])
                start = int(id_ends[place - 1]) if place else 0
                ids.seek(start)
                return ids.read(int(id_ends[place]) - start).decode()

            for rank in np.flatnonzero(codes).tolist():
                reason = f"duplicate: {REASONS[codes[rank] - 1]}"
                yield {"id": name(rank), "reason": reason, "of": name(of[rank]), "kept": name(kept[rank])}


def _columns_of(doc: Doc) -> dict[str, Any]:
    digits = "".join(character for character in doc.origin.date if character in "0123456789")[:14]
    words = doc.text.lower().split()
    url = normalise_url(doc.url) if doc.url else ""
    score = float(doc.scores.get("math", 0.0))
    return {
        "key": id_key(doc.id),
        "url": xxhash.xxh3_64_intdigest(url.encode("utf-8", "surrogatepass")) if url else 0,
        "text": xxhash.xxh3_64_intdigest(" ".join(words).encode("utf-8", "surrogatepass")),
        "formulas": min(sum(doc.formulas.values()), 2**31 - 1),
        "score": score if score == score else 0.0,
        "length": len(doc.text),
        "date": int(digits.ljust(14, "0")) if digits else 99999999999999,
        "words": bool(words),
    }


def _decide_copies(
    index: _Index, settings: Dedup, texts: Callable[[], Iterator[str]], seen_pairs: Callable[[list[list[int]]], None] | None
) -> tuple[I64, Codes, I64]:
    """(order, codes, of): the places by rank; by rank, 0 for a document that is kept or 1 + its reason, and the rank that it copies."""
    order = index.order()
    codes, of = np.zeros(index.count, np.uint8), np.arange(index.count)
    for reason, asked in (("record", True), ("url", settings.by_url), ("exact", settings.by_text)):
        if asked:
            column = {"record": "key", "url": "url", "exact": "text"}[reason]
            _mark_equal(index.column(column)[order], codes, of, 1 + REASONS.index(reason))
    if settings.near and index.count:
        ranking = Ranking(order, (codes == 0) & index.column("words")[order])
        for pairs in near_pairs(index.signatures, ranking, texts, settings.threshold, verify=settings.verify):
            if seen_pairs:
                seen_pairs(order[pairs].tolist())
            for better, worse in pairs.tolist():
                if not codes[better] and not codes[worse]:
                    codes[worse], of[worse] = 1 + REASONS.index("near"), better
    return order, codes, of


def _mark_equal(values: U64, codes: Codes, of: I64, code: int) -> None:
    """Of those still kept that have one value, by rank, all but the first are copies of it. The value 0 is no value."""
    ranks = np.flatnonzero((codes == 0) & (values != 0))
    by_value = np.argsort(values[ranks], kind="stable")
    ranks, sorted_values = ranks[by_value], values[ranks][by_value]
    same = np.concatenate([[False], sorted_values[1:] == sorted_values[:-1]]) if len(ranks) else np.zeros(0, bool)
    first = np.maximum.accumulate(np.where(same, 0, np.arange(len(ranks))))
    codes[ranks[same]] = code
    of[ranks[same]] = ranks[first[same]]
