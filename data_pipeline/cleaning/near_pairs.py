"""Pairs of near-duplicates among millions of documents, in memory that the number of documents bounds, not their text.

Signatures and band hashes lie in files, a column each, in the order in which the documents were read. Documents go by their rank here
(0 is the one that is kept before all others), so a pair is (better, worse). Band by band, documents of equal hash become pairs; pairs are
gathered in files by their worse member, made unique, and checked:

* by the signatures, where these leave no doubt: four standard deviations above or below the threshold (3 in 100,000 pairs that lie just on
  the other side are misjudged);
* else by the shingles themselves, for which the texts are read a second time. Nearly-equal pages are the first kind, so few are needed.

A bucket of thousands (one template, one licence text) is not compared all with all: each member meets the 4 best of its bucket and the 16
just better than itself, in every band.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data_pipeline.columns.minhash import U32, U64, Lsh, band_hashes, jaccard, shingles, signature, spread

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_LEADERS, _WINDOW = 4, 16
_CERTAIN = 4.0  # standard deviations of the estimate
_BAND_ROWS = 1 << 24  # documents of a band that are sorted at once: 28 bytes each
_PART_ROWS = 1 << 20  # documents whose pairs are looked at together
_CHUNK = 1 << 15  # pairs whose signatures are in memory


class SignatureFiles:
    """The signatures and band hashes of documents, appended in the order in which these are read."""

    def __init__(self, folder: Path, lsh: Lsh) -> None:
        self.folder, self.lsh, self.count = folder, lsh, 0
        self._permutations = lsh.permutations()
        self._files = [(folder / name).open("wb") for name in ("signatures", *(f"band-{band}" for band in range(lsh.bands)))]

    def add(self, texts: Iterable[str]) -> None:
        """A text without words gets a signature too, never a band: see `wordless`."""
        rows = [signature(shingles(text, self.lsh.ngram), self._permutations) for text in texts]
        if not rows:
            return
        signatures = np.stack(rows)
        bands = band_hashes(signatures, self.lsh)
        self._files[0].write(signatures.tobytes())
        for band, file in enumerate(self._files[1:]):
            file.write(np.ascontiguousarray(bands[:, band]).tobytes())
        self.count += len(rows)

    def close(self) -> None:
        for file in self._files:
            file.close()

    def signatures(self) -> U32:
        return np.memmap(self.folder / "signatures", np.uint32, "r", shape=(self.count, self.lsh.hashes))

    def band(self, band: int) -> U64:
        return np.memmap(self.folder / f"band-{band}", np.uint64, "r", shape=(self.count,))


@dataclass(frozen=True)
class Ranking:
    """Documents by rank and back; `alive` marks (by rank) those that take part."""

    order: I64
    """order[rank] = place in which the document was read."""
    alive: Mask

    def ranks(self) -> I64:
        """ranks[place] = rank."""
        ranks = np.empty_like(self.order)
        ranks[self.order] = np.arange(len(self.order))
        return ranks


def near_pairs(
    files: SignatureFiles, ranking: Ranking, texts: Callable[[], Iterator[str]], threshold: float, *, verify: bool = True
) -> Iterator[I64]:
    """Arrays of (better, worse), ranks, sorted by worse and then better: all pairs of one part of the documents after the other.

    texts: gives the texts again, in the order in which the signatures were added. verify: False accepts whatever shares a band.
    """
    parts = _candidates(files, ranking)
    if not verify:
        for part in parts:
            yield _unpack_pairs(_unique_packed(part))
        return
    doubtful: list[Path] = []
    for part in parts:
        pairs = _unpack_pairs(_unique_packed(part))
        estimates = _estimates(files.signatures(), ranking.order, pairs)
        margin = _CERTAIN * spread(threshold, files.lsh.hashes)
        sure, unsure = estimates >= min(1.0, threshold + margin), estimates >= threshold - margin
        np.save(part.with_suffix(".sure.npy"), pairs[sure])
        np.save(part.with_suffix(".unsure.npy"), pairs[unsure & ~sure])
        part.unlink()
        doubtful.append(part.with_suffix(".unsure.npy"))
    kept_shingles = _read_shingles(files, ranking.order, doubtful, texts)
    for part in parts:
        unsure_pairs = np.load(part.with_suffix(".unsure.npy"))
        true = [jaccard(kept_shingles(better), kept_shingles(worse)) >= threshold for better, worse in unsure_pairs.tolist()]
        pairs = np.concatenate([np.load(part.with_suffix(".sure.npy")), unsure_pairs[np.array(true, bool)]])
        yield pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))]


def _candidates(files: SignatureFiles, ranking: Ranking) -> list[Path]:
    """Files of pairs as worse * 2^32 + better, one for each range of worse ranks."""
    parts = [files.folder / f"pairs-{part}" for part in range(max(1, -(-files.count // _PART_ROWS)))]
    for part in parts:
        part.touch()
    ranks = ranking.ranks()
    for band in range(files.lsh.bands):
        for hashes, members in _sorted_members(files.band(band), ranks, ranking.alive):
            for better, worse in bucket_pairs(hashes, members):
                _append_pairs(parts, better, worse)
    return parts


def _sorted_members(band: U64, ranks: I64, alive: Mask) -> Iterator[tuple[U64, I64]]:
    """(hash, rank) of the living documents, sorted, a share of the hashes at a time so that memory stays bounded."""
    shares = -(-len(band) // _BAND_ROWS)
    for share in range(shares):
        hashes, members = [], []
        for start in range(0, len(band), _BAND_ROWS):
            piece, rank = band[start : start + _BAND_ROWS], ranks[start : start + _BAND_ROWS]
            chosen = alive[rank] & (piece % np.uint64(shares) == share)
            hashes.append(piece[chosen])
            members.append(rank[chosen])
        gathered, ranked = np.concatenate(hashes), np.concatenate(members)
        by_hash = np.lexsort((ranked, gathered))
        yield gathered[by_hash], ranked[by_hash]


def bucket_pairs(hashes: U64, members: I64) -> Iterator[tuple[I64, I64]]:
    """(better, worse) of members of equal hash; both arrays sorted by hash, then member. Quadratic in no bucket."""
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


def _append_pairs(parts: list[Path], better: I64, worse: I64) -> None:
    packed = (worse.astype(np.uint64) << np.uint64(32)) | better.astype(np.uint64)
    part_of = worse // _PART_ROWS
    for part in np.unique(part_of).tolist():
        with parts[part].open("ab") as file:
            file.write(packed[part_of == part].tobytes())


def _unique_packed(part: Path) -> U64:
    return np.unique(np.fromfile(part, np.uint64))


def _unpack_pairs(packed: U64) -> I64:
    return np.stack([packed & np.uint64(0xFFFFFFFF), packed >> np.uint64(32)], axis=1).astype(np.int64)


def _estimates(signatures: U32, order: I64, pairs: I64) -> npt.NDArray[np.float64]:
    estimates = np.zeros(len(pairs))
    for start in range(0, len(pairs), _CHUNK):
        chunk = order[pairs[start : start + _CHUNK]]
        estimates[start : start + len(chunk)] = (signatures[chunk[:, 0]] == signatures[chunk[:, 1]]).mean(axis=1)
    return estimates


def _read_shingles(files: SignatureFiles, order: I64, doubtful: list[Path], texts: Callable[[], Iterator[str]]) -> Callable[[int], U64]:
    """A function from a rank to the distinct shingles of its document, for the ranks in the files of doubtful pairs."""
    needed = np.zeros(files.count, bool)
    for part in doubtful:
        needed[order[np.load(part).ravel()]] = True
    slots = np.cumsum(needed) - 1
    ends, path = [0], files.folder / "shingles"
    with path.open("wb") as file:
        for place, text in enumerate(texts()) if needed.any() else ():
            if needed[place]:
                grams = np.unique(shingles(text, files.lsh.ngram))
                file.write(grams.tobytes())
                ends.append(ends[-1] + len(grams))
    if ends[-1] == 0:
        return lambda rank: np.zeros(0, np.uint64)
    stored = np.memmap(path, np.uint64, "r")
    bounds = np.array(ends)
    return lambda rank: stored[bounds[slots[order[rank]]] : bounds[slots[order[rank]] + 1]]
