"""What the loop does with every extraction file: one file, one task, and a table of the same stem as its result.

* `write_page_columns`: what is known of its pages without their texts.
* `write_pool`: the pages that are no copies, with whether the user's seed names them.
* `write_flags`: what the round before says of them (in the seed, collected, of a mathematical domain) and the lots they draw.
* `write_scores`: the probability that the round's model gives each; the only task that reads texts, each once.
* `write_pages`: the round's result, by id: score, collected, seed. It stays; flags and scores are removed when the round is over.

A task reads files and writes one, so that it runs in any process of any machine that sees the folder. Rows stand in the order of the
extraction file in all of them, and a row of an earlier round is found by its id, because pages may have joined since.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data_pipeline.classifier.math_classifier import Classifier
from data_pipeline.cleaning.duplicates import copies_of
from data_pipeline.columns.page_columns import id_text, read_columns, write_columns
from data_pipeline.documents.document_files import docs_in
from data_pipeline.loop.corpus_tasks import Stamps, stamps, write_cleaned, write_collected, write_found
from data_pipeline.loop.math_domains import accepted_paths, covers, mathematical_hosts, read_patterns
from data_pipeline.loop.page_pool import documents_file, lot, table_file
from data_pipeline.subjects.named_subject import subject_of
from data_pipeline.tasks.file_work import FileWork, Tell
from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError

Mask = NDArray[np.bool_]

TASK = "data_pipeline.loop.page_tasks:page_task"
"""One for all, so that the processes of a step serve the next."""
POOL_COLUMNS = ("id", "url", "url_key", "host", "tokens", "evidence", "frame", "line")
DOUBTS = ("collected", "related", "evidence")
"""Why a page is no good negative example, the strongest reason first."""
_BATCH = 256


def page_task(work: FileWork, tell: Tell) -> Mapping[str, Any]:
    """options: step, one of this module's functions or of `corpus_tasks.py`, and what that asks for."""
    return _STEPS[work.options["step"]](work, tell)


def write_page_columns(work: FileWork, tell: Tell) -> Mapping[str, Any]:
    """options: extracted, lsh, subject. See `columns/page_columns.py`."""
    documents = documents_file(Path(work.options["extracted"]), work.key)
    return write_columns(replace(work, source=str(documents)), tell, subject_of(work.options["subject"]).evidence)


def write_pool(work: FileWork, tell: Tell) -> Mapping[str, Any]:
    """options: columns, duplicates (folders), urls (a .npy of sorted keys), hosts."""
    table = read_columns(Path(work.options["columns"]), work.key, POOL_COLUMNS)
    stays = np.ones(len(table), np.bool_)
    stays[copies_of(Path(work.options["duplicates"]), work.key)["row"].to_numpy()] = False
    table = table.filter(pa.array(stays))
    urls = np.load(work.options["urls"])
    given = np.isin(table["url_key"].to_numpy(), urls[urls != 0]) | _among(table["host"], work.options["hosts"])
    pool = table.drop_columns(["url_key"]).append_column("given", pa.array(given))
    _write(pool, work)
    return {"pages": len(pool), "tokens": int(pc.sum(pool["tokens"]).as_py() or 0), "given": int(given.sum())}


def write_flags(work: FileWork, tell: Tell) -> Mapping[str, Any]:
    """options: pool, before (the folder of the round before, or ""), random_seed, number. Counts pages by their flags."""
    pool = _table(work.options["pool"], work.key)
    number, random_seed = int(work.options["number"]), int(work.options["random_seed"])
    seed, collected, related = (np.zeros(len(pool), np.bool_) for _ in range(3))
    seed |= pool["given"].to_numpy()
    if work.options["before"]:
        folder = Path(work.options["before"])
        under, mathematical = _said(folder)
        hosts, urls = pool["host"].to_pylist(), pool["url"].to_pylist()
        seed |= np.array([covers(under, host, url) for host, url in zip(hosts, urls, strict=True)], np.bool_)
        seed |= _before(folder, work.key, pool, "seed")
        collected |= _before(folder, work.key, pool, "collected")
        related |= _among(pool["host"], mathematical)
    lots = [
        lot(id_text(page, None), random_seed, f"{'positives' if wanted else 'negatives'} {number}")
        for page, wanted in zip(pool["id"].to_pylist(), seed.tolist(), strict=True)
    ]
    flags = {"seed": seed, "collected": collected, "related": related, "evidence": pool["evidence"].to_numpy()}
    _write(pa.table({"id": pool["id"], **flags, "lot": pa.array(lots, pa.uint64())}), work)
    combined = Counter("".join("-+"[flag] for flag in row) for row in zip(*(flags[name].tolist() for name in flags), strict=True))
    return {"flags": dict(sorted(combined.items()))}


def write_scores(work: FileWork, tell: Tell) -> Mapping[str, Any]:
    """options: pool, extracted, model, subject. Rounded to what a float holds in text too."""
    places = _table(work.options["pool"], work.key, ["id", "frame", "line"])
    classifier = _classifier(work.options["model"], work.options["subject"])
    documents = documents_file(Path(work.options["extracted"]), work.key)
    docs = docs_in(documents, places["frame"].to_pylist(), places["line"].to_pylist())
    scores: list[float] = []
    size = 0
    while texts := [doc.text for doc in islice(docs, _BATCH)]:
        scores += classifier.score(texts)
        size += sum(map(len, texts))
        tell({"pages": len(scores), "bytes": size})
    if len(scores) != len(places):
        raise InputError(f"{documents}: holds {len(scores)} of the {len(places)} pages of its columns; extract it again")
    _write(pa.table({"id": places["id"], "score": np.round(np.array(scores, np.float32), 6)}), work)
    return {"pages": len(scores), "bytes": size}


def write_pages(work: FileWork, tell: Tell) -> Mapping[str, Any]:
    """options: pool, flags, scores, before, cut ([given, score, id] of the last page that is collected, or null: none), least (or null).

    What is collected: those that the seed names, and pages whose score is at least `least`, or, with a budget, that do not come behind the
    cut.
    """
    pool, flags = _table(work.options["pool"], work.key), _table(work.options["flags"], work.key, ["seed"])
    score = _table(work.options["scores"], work.key, ["score"])["score"].to_numpy()
    given, ids = pool["given"].to_numpy(), pool["id"].to_numpy()
    if work.options["least"] is not None:
        collected = given | (score >= np.float32(work.options["least"]))
    elif work.options["cut"] is None:
        collected = given
    else:
        collected = _up_to(work.options["cut"], given, score, ids)
    before = Path(work.options["before"]) if work.options["before"] else None
    both = collected & _before(before, work.key, pool, "collected") if before else np.zeros(len(pool), np.bool_)
    pages = pool.drop_columns(["given"]).append_column("score", pa.array(score))
    _write(pages.append_column("collected", pa.array(collected)).append_column("seed", flags["seed"]), work)
    tokens = pool["tokens"].to_numpy()
    return {
        "pages": len(pool),
        "collected": int(collected.sum()),
        "collected_tokens": int(tokens[collected].sum()),
        "both": int(both.sum()),
    }


def _up_to(cut: list[Any], given: Mask, score: NDArray[np.float32], ids: NDArray[np.uint64]) -> Mask:
    """The given pages, and by score, then by id, the others that do not come behind the cut."""
    of_given, of_score, of_id = bool(cut[0]), np.float32(cut[1]), np.uint64(cut[2])
    better = (score > of_score) | ((score == of_score) & (ids <= of_id))
    return np.asarray(given if of_given else given | better, np.bool_)


def _said(folder: Path) -> tuple[Mapping[str, frozenset[str]], frozenset[str]]:
    """The accepted paths and the mathematical hosts of a round, read once in a process, whichever files it flags."""
    return _read_round(folder, stamps([folder / "patterns.json", folder / "domains.json"]))


@lru_cache(maxsize=1)
def _read_round(folder: Path, told: Stamps) -> tuple[Mapping[str, frozenset[str]], frozenset[str]]:
    return accepted_paths(read_patterns(folder / "patterns.json")), mathematical_hosts(folder / "domains.json")


def _before(folder: Path, key: str, pool: pa.Table, column: str) -> Mask:
    """What the round of that folder says of the pages; false for those that it did not know."""
    path = table_file(folder / "pages", key)
    if not path.is_file():
        return np.zeros(len(pool), np.bool_)
    table = pq.read_table(path, columns=["id", column], partitioning=None)
    true = table["id"].to_numpy()[table[column].to_numpy()]
    return np.asarray(np.isin(pool["id"].to_numpy(), true), np.bool_)


def _among(hosts: pa.ChunkedArray, wanted: Any) -> Mask:
    found = pc.is_in(hosts, value_set=pa.array(sorted(wanted), pa.string()))
    return np.asarray(found.to_numpy(), np.bool_) if len(hosts) else np.zeros(0, np.bool_)


def _table(folder: str, key: str, columns: list[str] | None = None) -> pa.Table:
    return pq.read_table(table_file(Path(folder), key), columns=columns, partitioning=None)


def _write(table: pa.Table, work: FileWork) -> None:
    with atomic_path(table_file(Path(work.out), work.key)) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _classifier(model: str, subject: str) -> Classifier:
    """Loaded once in a process, whichever files it scores."""
    return _loaded(model, subject, stamps([Path(model)]))


@lru_cache(maxsize=1)
def _loaded(model: str, subject: str, told: Stamps) -> Classifier:
    return Classifier.load(Path(model), subject_of(subject).target)


_STEPS = {
    step.__name__: step
    for step in (write_page_columns, write_pool, write_flags, write_scores, write_pages, write_collected, write_cleaned, write_found)
}
