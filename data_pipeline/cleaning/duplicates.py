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
no union-find is needed: documents are decided in the order in which they are kept.

What is asked is asked of the columns beside each file (`page_columns.py`), and answered beside each file: `KEY.parquet` holds the copies
among its pages. Between them rows are spread over scratch files by what they may share, so that memory is bounded whatever the corpus, and
time and disk grow as it does: 480 bytes of scratch files a page where a third of the pages are copies, and 8 a shingle of the texts whose
pairs the signatures leave in doubt.
"""

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_pipeline.cleaning.near_pairs import Nearness, SeenPairs, mark_near
from data_pipeline.cleaning.searched_pages import SearchedPages
from data_pipeline.cleaning.spilled_rows import I64, MEMORY, Spill, rows_in
from data_pipeline.columns.minhash import Lsh
from data_pipeline.columns.page_columns import columns_work, id_key, write_columns
from data_pipeline.documents.document import Doc
from data_pipeline.documents.document_files import read_docs
from verifiers.atomic_files import atomic_path, remove_leftovers, write_json
from verifiers.input_error import InputError

REASONS = ("record", "url", "exact", "near")
COUNTS = "counts.json"
SCHEMA = pa.schema([
    ("row", pa.int64()), ("id", pa.uint64()), ("name", pa.string()), ("reason", pa.string()), ("of", pa.string()), ("kept", pa.string()),
])  # fmt: skip
"""row: among the rows of the file's columns; id, name: as there; reason: "duplicate: ..."; of: the id of the document that it is a copy of;
kept: of the one that stays in the end (another, where `of` is itself a copy by another criterion)."""
_VERSION = 1  # of what the results hold
_BATCH = 1 << 16


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

    @property
    def signatures(self) -> Lsh | None:
        """Of what kind the columns need them beside them."""
        return self.lsh if self.near else None


MEGAMATH = Dedup(lsh=Lsh(rows=11, bands=10), verify=False)
"""MegaMath's setting, best of the six that its authors tried: its "0.75" is a curve that finds 35 % of the pairs of J = 0.75."""


def find_copies(
    keys: Sequence[str], columns: Path, extracted: Path, out: Path, settings: Dedup = Dedup(), *, memory: int = MEMORY
) -> Counter[str]:
    """Find the copies among the pages of some files of an extraction, and write `out/KEY.parquet` for each; how many, by reason.

    columns: folder of `KEY.parquet` and, for near-duplicates, `KEY.signatures`; extracted: of the documents, `KEY.jsonl.zst`. The counts
    are written last: a search that has them, for these columns and settings, is passed by. InputError for missing or broken columns.
    """
    return search({key: Path(extracted) / f"{key}.jsonl.zst" for key in keys}, columns, out, settings, memory=memory)


def search(
    files: Mapping[str, Path], columns: Path, out: Path, settings: Dedup, *, memory: int = MEMORY, seen_pairs: SeenPairs | None = None
) -> Counter[str]:
    """As `find_copies`, with the documents of each key anywhere. seen_pairs: see `mark_near`; pages are counted through all files."""
    out.mkdir(parents=True, exist_ok=True)
    marker, config = out / COUNTS, _config(files, columns, settings)
    if (found := _counts(marker, config)) is not None:
        return found
    marker.unlink(missing_ok=True)
    remove_leftovers(out)  # of a search that was killed
    with tempfile.TemporaryDirectory(prefix=".tmp-search-", dir=out) as scratch:
        pages = SearchedPages(columns, list(files), Path(scratch), max(32 * settings.lsh.bands, rows_in(memory)))
        for reason, column, asked in (("record", "id", True), ("url", "url_key", settings.by_url), ("exact", "text_key", settings.by_text)):
            if asked:
                _mark_equal(pages, column, 1 + REASONS.index(reason))
        if settings.near:
            nearness = Nearness(settings.lsh, settings.threshold, settings.verify, files)
            mark_near(pages, nearness, 1 + REASONS.index("near"), seen_pairs)
        counts: Counter[str] = Counter()
        for number in range(len(files)):
            counts += _write_copies(pages, number, out)
    write_json(marker, {"config": config, "copies": {f"duplicate: {reason}": counts[f"duplicate: {reason}"] for reason in REASONS}})
    return counts


def copies_of(folder: Path, key: str) -> pa.Table:
    """The copies among the pages of one file: columns as in SCHEMA, by row. InputError where they are missing or broken."""
    return _read(folder / f"{key}.parquet", list(SCHEMA.names))


def lookup(folder: Path, doc_id: str) -> tuple[str, str] | None:
    """(reason, id of the document kept instead), or None for one that is no copy of another. Reads the ids of all copies."""
    for path in sorted(folder.glob("*.parquet")):
        found = _read(path, ["id", "name", "reason", "kept"]).filter(pc.field("id") == pa.scalar(id_key(doc_id), pa.uint64())).to_pylist()
        for row in found:
            if row["reason"] != "duplicate: record":
                return row["reason"], row["kept"]
    return None


# Files of documents, without columns beside them ----------------------------------------------------------------------------------------


def dedup(
    inputs: Sequence[Path], work: Path, settings: Dedup = Dedup(), *, memory: int = MEMORY, seen_pairs: SeenPairs | None = None
) -> Counter[str]:
    """Find the copies among the documents of the inputs that are not dropped yet; the results for `drop_duplicates` are left in `work`."""
    work.mkdir(parents=True, exist_ok=True)
    files = _keyed(inputs)
    with tempfile.TemporaryDirectory(prefix="columns-", dir=work) as columns:
        for key, file in files.items():
            write_columns(columns_work(key, file, columns, settings.signatures), lambda so_far: None)
        (work / COUNTS).unlink(missing_ok=True)
        return search(files, Path(columns), work, settings, memory=memory, seen_pairs=seen_pairs)


def drop_duplicates(inputs: Sequence[Path], work: Path) -> Iterator[Doc]:
    """The documents of the inputs, the copies that `dedup` found dropped with their reason."""
    for key, file in _keyed(inputs).items():
        table = _read(work / f"{key}.parquet", ["row", "reason"])
        yield from drop_copies(read_docs(file), dict(zip(table["row"].to_pylist(), table["reason"].to_pylist(), strict=True)))


def drop_copies(docs: Iterable[Doc], reasons: Mapping[int, str]) -> Iterator[Doc]:
    """The documents of one file, those at these rows (counted through the ones that are not dropped yet) dropped."""
    row = 0
    for doc in docs:
        if doc.dropped is None:
            reason = reasons.get(row)
            row += 1
            yield doc.drop(reason) if reason else doc
        else:
            yield doc


def _keyed(inputs: Sequence[Path]) -> dict[str, Path]:
    return {f"{number:05d}": file for number, file in enumerate(inputs)}


# The search -----------------------------------------------------------------------------------------------------------------------------


def _mark_equal(pages: SearchedPages, column: str, code: int) -> None:
    """Of the kept pages that have one value, all but the best are copies of it. The value 0 is no value, but of an id."""
    with Spill(pages.scratch / column, pages.count, pages.limit) as spill:
        for number, key in enumerate(pages.keys):
            page = pages.pages_of(number).start
            for batch in pages.batches(key, (column,)):
                values = batch[column].to_numpy()
                rows = np.stack([values, np.arange(page, page + len(values), dtype=np.uint64)], axis=1)
                spill.add(rows if column == "id" else rows[values != 0])
                page += len(values)
    last, best_of_last = None, -1
    for values, members in pages.sharing(spill):
        first = np.concatenate([[values[0] != last], values[1:] != values[:-1]])
        place = np.maximum.accumulate(np.where(first, np.arange(len(values)), -1))
        best: I64 = np.where(place < 0, best_of_last, members[place])
        pages.codes[members[~first]] = code
        pages.of[members[~first]] = best[~first]
        last, best_of_last = values[-1], int(best[-1])


def _write_copies(pages: SearchedPages, number: int, out: Path) -> Counter[str]:
    """The copies among the pages of one file, whole."""
    part = pages.pages_of(number)
    counts: Counter[str] = Counter()
    with atomic_path(out / f"{pages.keys[number]}.parquet") as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as table:
        for start in range(part.start, part.stop, _BATCH):
            copies = start + np.flatnonzero(pages.codes[start : min(start + _BATCH, part.stop)])
            reasons = [f"duplicate: {REASONS[code - 1]}" for code in pages.codes[copies].tolist()]
            counts.update(reasons)
            columns = {
                "row": copies - part.start,
                "id": pages.order[copies, 3],
                "name": pages.names_of(copies),
                "reason": reasons,
                "of": pages.ids_of(pages.of[copies]),
                "kept": pages.ids_of(pages.kept(copies)),
            }
            table.write_table(pa.table(columns, SCHEMA))
    return counts


def _config(files: Mapping[str, Path], columns: Path, settings: Dedup) -> str:
    """Of what decides the results."""
    made_by = []
    for key in files:
        path = columns / f"{key}.json"
        made_by.append([key, path.read_text(encoding="utf-8") if path.is_file() else ""])
    return hashlib.blake2b(json.dumps([_VERSION, asdict(settings), made_by]).encode(), digest_size=8).hexdigest()


def _counts(marker: Path, config: str) -> Counter[str] | None:
    try:
        found = json.loads(marker.read_text(encoding="utf-8"))
        return Counter(found["copies"]) if found["config"] == config else None
    except (OSError, ValueError, KeyError, TypeError):  # it is searched again
        return None


def _read(path: Path, names: Sequence[str]) -> pa.Table:
    try:
        return pq.read_table(path, columns=list(names), partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: no copies can be read from it ({str(error).splitlines()[0]}); run dedup again") from None
