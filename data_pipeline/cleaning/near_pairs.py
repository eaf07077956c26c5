"""Pages that are nearly another page, among any number of pages, in bounded memory.

From the signatures that lie beside the columns, each band's hash of every page is spread by its value (`spilled_rows.py`); pages of one
value meet in their order; the pairs are spread by the worse page, made unique, and looked at:

* by the signatures, where these leave no doubt: four standard deviations above or below the threshold (3 in 100,000 pairs that lie just on
  the other side are misjudged);
* else by the shingles themselves, for which the texts of the pages in doubt are decoded, by their frames. Nearly-equal pages are of the
  first kind, so few are needed.

Then the pairs are sorted by the worse page's order and decided in it: a page goes if a better one that stays is near it.

A bucket of thousands (one template, one licence text) is not compared all with all: each member meets the 4 best of its bucket and the 16
just better than itself, in every band.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data_pipeline.cleaning.searched_pages import KEPT, SearchedPages
from data_pipeline.cleaning.spilled_rows import I64, U64, Spill, in_order, sorted_file
from data_pipeline.columns.minhash import U32, Lsh, band_hashes, jaccard, mix, shingles, spread
from data_pipeline.columns.page_columns import read_signatures
from data_pipeline.documents.document_files import docs_at_rows

Mask = npt.NDArray[np.bool_]
SeenPairs = Callable[[list[list[int]]], None]

_LEADERS, _WINDOW = 4, 16
_CERTAIN = 4.0  # standard deviations of the estimate
_CHUNK = 1 << 15  # pages, or pairs, whose signatures are in memory
_DOUBT = np.uint64(1 << 63)  # marks the better page of a pair that the signatures leave in doubt


@dataclass(frozen=True, slots=True)
class Nearness:
    """What is near, and where texts are."""

    lsh: Lsh
    threshold: float
    verify: bool
    files: Mapping[str, Path]
    """Of the documents, by key."""


def mark_near(pages: SearchedPages, nearness: Nearness, code: int, seen_pairs: SeenPairs | None = None) -> None:
    """Give near-duplicates their code. seen_pairs: gets all pairs that are near, [better, worse], in several lists."""
    signatures, texts = _PairedSignatures(pages, nearness.lsh), _DoubtfulTexts(pages, nearness)
    pairs = _candidates(pages, nearness.lsh, signatures)
    if nearness.verify:
        signatures.gather()
    path = pages.scratch / "judged"
    with path.open("wb", buffering=0) as file:
        for part in pairs.parts():
            assert not isinstance(part, Path)  # a page is the worse one of a few hundred pairs at most
            unique = _unique(part)
            judged = _judged(unique, signatures, texts, nearness) if nearness.verify else unique
            file.write(_by_worse(pages, judged).data)
    texts.read()
    for rows in sorted_file(path, 6, pages.limit, together=5):
        _decide(pages, rows, texts, code, seen_pairs)


# Candidates -----------------------------------------------------------------------------------------------------------------------------


def _candidates(pages: SearchedPages, lsh: Lsh, signatures: "_PairedSignatures") -> Spill:
    """Pairs [worse, better] of pages that share a band, some of them several times."""
    with Spill(pages.scratch / "bands", pages.count * lsh.bands, pages.limit) as bands:
        for number, key in enumerate(pages.keys):
            _spread_bands(pages, number, read_signatures(pages.columns, key, lsh), lsh, bands)
    with Spill(pages.scratch / "pairs", pages.count, pages.limit, high=max(1, pages.count - 1)) as pairs:
        _pair(pages, bands, pairs, signatures)
    return pairs


def _pair(pages: SearchedPages, bands: Spill, pairs: Spill, signatures: "_PairedSignatures") -> None:
    held_values, held = np.zeros(0, np.uint64), np.zeros(0, np.int64)
    for values, members in pages.sharing(bands):
        goes_on = len(held) > 0 and held_values[0] == values[0]
        if goes_on:
            values, members = np.concatenate([held_values, values]), np.concatenate([held, members])
        for better, worse in bucket_pairs(values, members):
            signatures.wanted[better] = signatures.wanted[worse] = True
            met = np.stack([worse, better], axis=1).astype(np.uint64)
            pairs.add(met[~np.isin(worse, held)] if goes_on else met)  # those held have met
        held_values, held = _last_bucket(values, members)


def _spread_bands(pages: SearchedPages, number: int, signatures: U32, lsh: Lsh, bands: Spill) -> None:
    """The band hashes of the kept pages of a file that have words."""
    salt = np.arange(1, lsh.bands + 1, dtype=np.uint64) << np.uint64(32)  # hashes of two bands never meet
    start, first = 0, pages.pages_of(number).start
    for batch in pages.batches(pages.keys[number], ("words",)):
        words = np.asarray(batch["words"].to_numpy(zero_copy_only=False), np.bool_)
        living = start + np.flatnonzero(words & (pages.codes[first + start : first + start + len(words)] == KEPT))
        for begin in range(0, len(living), _CHUNK):
            some = living[begin : begin + _CHUNK]
            hashes = mix(band_hashes(signatures[some], lsh) ^ salt)
            rows = np.empty((hashes.size, 2), np.uint64)
            rows[:, 0] = hashes.ravel()
            rows[:, 1] = np.repeat((first + some).astype(np.uint64), lsh.bands)
            bands.add(rows)
        start += len(words)


def bucket_pairs(hashes: U64, members: I64) -> Iterator[tuple[I64, I64]]:
    """(better, worse) of members of equal hash; both arrays sorted by hash, then the better first. Quadratic in no bucket."""
    equal = hashes[1:] == hashes[:-1]
    shared = np.concatenate([[False], equal]) | np.concatenate([equal, [False]]) if len(hashes) else np.zeros(0, bool)
    hashes, members = hashes[shared], members[shared]
    for shift in range(1, _WINDOW + 1):
        same = hashes[shift:] == hashes[:-shift]
        if not same.any():
            return
        yield members[:-shift][same], members[shift:][same]
    place = np.arange(len(hashes))
    start = np.maximum.accumulate(np.where(np.concatenate([[True], hashes[1:] != hashes[:-1]]), place, 0))
    for leader in range(_LEADERS):
        further = place - start > _WINDOW + leader  # nearer ones are in the window
        yield members[(start + leader)[further]], members[further]


def _last_bucket(values: U64, members: I64) -> tuple[U64, I64]:
    """Of the last value, the members that any further member would meet, in order: as a bucket they make no pair that is not one anyway."""
    begin = int(np.searchsorted(values, values[-1]))
    places = np.arange(begin, len(values))
    if len(places) > _LEADERS + _WINDOW:
        places = np.concatenate([places[:_LEADERS], places[-_WINDOW:]])
    return values[places], members[places]


# Verdicts -------------------------------------------------------------------------------------------------------------------------------


def _unique(pairs: U64) -> U64:
    pairs = in_order(pairs)
    again = (pairs[1:] == pairs[:-1]).all(axis=1)
    first: U64 = pairs[~np.concatenate([[False], again])]
    return first


def _judged(pairs: U64, signatures: "_PairedSignatures", texts: "_DoubtfulTexts", nearness: Nearness) -> U64:
    """The pairs that are near, and those in doubt, marked."""
    estimates = signatures.estimates(pairs)
    margin = _CERTAIN * spread(nearness.threshold, nearness.lsh.hashes)
    sure, unsure = estimates >= min(1.0, nearness.threshold + margin), estimates >= nearness.threshold - margin
    doubtful = unsure & ~sure
    texts.needed[pairs[doubtful].ravel().astype(np.int64)] = True
    marked = pairs.copy()
    marked[doubtful, 1] |= _DOUBT
    return marked[unsure]


def _by_worse(pages: SearchedPages, pairs: U64) -> U64:
    """Rows [order of the worse page, worse page, better page]: what sorts them into the order in which they are decided."""
    rows = np.empty((len(pairs), 6), np.uint64)
    rows[:, :4] = pages.order[pairs[:, 0].astype(np.int64)]
    rows[:, 4:] = pairs
    return rows


def _decide(pages: SearchedPages, rows: U64, texts: "_DoubtfulTexts", code: int, seen_pairs: SeenPairs | None) -> None:
    """The verdicts on some worse pages, all of whose pairs are here; those on better pages have been given before."""
    better = (rows[:, 5] & ~_DOUBT).astype(np.int64)
    best_first = np.empty((len(rows), 6), np.uint64)
    best_first[:, 0] = np.cumsum(np.concatenate([[0], rows[1:, 4] != rows[:-1, 4]]))
    best_first[:, 1:5] = pages.order[better]
    best_first[:, 5] = np.arange(len(rows))
    order = in_order(best_first)[:, 5].astype(np.int64)
    pairs = list(zip(better[order].tolist(), rows[order, 4].tolist(), (rows[order, 5] >= _DOUBT).tolist(), strict=True))
    if seen_pairs:
        near = [[better_page, worse] for better_page, worse, doubtful in pairs if not doubtful or texts.near(better_page, worse)]
        seen_pairs(near)
    codes = pages.codes.data  # a byte of it is read in a third of the time that numpy takes
    for better_page, worse, doubtful in pairs:
        if codes[worse] or codes[better_page] or (doubtful and not texts.near(better_page, worse)):
            continue
        codes[worse], pages.of[worse] = code, better_page


class _PairedSignatures:
    """The signatures of the pages that stand in a pair, beside each other."""

    def __init__(self, pages: SearchedPages, lsh: Lsh) -> None:
        self.pages, self.lsh = pages, lsh
        self.wanted: Mask = pages.mapped("paired", np.bool_)
        self._slots: I64 = pages.mapped("slots", np.int64)
        self._rows: U32 = np.zeros((0, lsh.hashes), np.uint32)

    def gather(self) -> None:
        count, path = 0, self.pages.scratch / "paired-signatures"
        with path.open("wb", buffering=0) as file:
            for number, key in enumerate(self.pages.keys):
                signatures, first = read_signatures(self.pages.columns, key, self.lsh), self.pages.pages_of(number).start
                for start in range(0, len(signatures), _CHUNK):
                    rows = start + np.flatnonzero(self.wanted[first + start : first + min(start + _CHUNK, len(signatures))])
                    file.write(np.ascontiguousarray(signatures[rows]).data)
                    self._slots[first + rows] = count + np.arange(len(rows))
                    count += len(rows)
        if count:
            self._rows = np.memmap(path, np.uint32, "r", shape=(count, self.lsh.hashes))

    def estimates(self, pairs: U64) -> npt.NDArray[np.float64]:
        """The similarity of each pair."""
        found = np.zeros(len(pairs))
        for start in range(0, len(pairs), _CHUNK):
            slots = self._slots[pairs[start : start + _CHUNK].astype(np.int64)]
            found[start : start + len(slots)] = (self._rows[slots[:, 0]] == self._rows[slots[:, 1]]).mean(axis=1)
        return found


class _DoubtfulTexts:
    """The distinct shingles of the pages that stand in a doubtful pair."""

    def __init__(self, pages: SearchedPages, nearness: Nearness) -> None:
        self.pages, self.nearness = pages, nearness
        self.needed: Mask = pages.mapped("needed", np.bool_)
        self._spans: I64 = pages.mapped("spans", np.int64, 2)
        self._grams: U64 = np.zeros(0, np.uint64)

    def read(self) -> None:
        end, path = 0, self.pages.scratch / "shingles"
        with path.open("wb") as file:
            for number, key in enumerate(self.pages.keys):
                part = self.pages.pages_of(number)
                needed = part.start + np.flatnonzero(self.needed[part])
                docs = docs_at_rows(self.nearness.files[key], self._rows(number)) if len(needed) else ()
                for page, doc in zip(needed.tolist(), docs, strict=True):
                    grams = np.unique(shingles(doc.text, self.nearness.lsh.ngram))
                    file.write(grams.data)
                    self._spans[page] = end, end + len(grams)
                    end += len(grams)
        if end:
            self._grams = np.memmap(path, np.uint64, "r")

    def near(self, better: int, worse: int) -> bool:
        return jaccard(self._of(better), self._of(worse)) >= self.nearness.threshold

    def _of(self, page: int) -> U64:
        start, end = self._spans[page].tolist()
        return self._grams[start:end]

    def _rows(self, number: int) -> Iterator[tuple[int, int, int]]:
        """(frame, line, number) of the needed pages of a file."""
        start = self.pages.pages_of(number).start
        for batch in self.pages.batches(self.pages.keys[number], ("frame", "line", "number")):
            rows = np.flatnonzero(self.needed[start : start + len(batch)])
            yield from zip(*(batch[name].to_numpy()[rows].tolist() for name in ("frame", "line", "number")), strict=True)
            start += len(batch)
