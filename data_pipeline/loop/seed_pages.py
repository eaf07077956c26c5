"""What the user knows to be of the subject, in every form it may be given, read once and kept in `seed.jsonl.zst`.

A seed is any mix of documents with a text, pages or archives to extract, lists of URLs (one a line), hosts, and a trained model. URLs and
hosts name pages of the pool. Documents train the classifier whether or not the pool holds them; a page of the pool with the URL of one is
a seed page as well, so that it is never drawn as a negative example of itself. The user's own seed pages are always collected.
"""

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from duckdb import DuckDBPyConnection

from data_pipeline.classifier.classifier_words import normalise
from data_pipeline.classifier.training_examples import FEWEST, SHORTEST
from data_pipeline.columns.page_columns import url_key
from data_pipeline.columns.parquet_queries import connected
from data_pipeline.documents.addresses import host
from data_pipeline.documents.document import Doc
from data_pipeline.documents.document_files import SUFFIXES, read_docs, read_files, write_docs
from data_pipeline.loop.page_pool import PagePool, lot
from data_pipeline.loop.run_settings import Settings
from data_pipeline.subjects.named_subject import subject_of
from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError

NAME, URLS = "seed.jsonl.zst", "seed-urls.npy"


@dataclass(frozen=True, slots=True)
class Seed:
    documents: Path | None
    """The seed's own texts; None where it has none."""
    urls: Path
    """Keys of the addresses that it names (`url_key`), sorted, as numpy keeps them."""
    hosts: frozenset[str]
    model: Path | None
    count: int = 0
    """How many texts `documents` holds."""

    def docs(self) -> Iterator[Doc]:
        return read_docs(self.documents) if self.documents else iter(())

    def digest(self) -> str:
        """Of what decides which pages of the pool are given."""
        told = hashlib.blake2b("\n".join(sorted(self.hosts)).encode("utf-8", "surrogatepass"), digest_size=8)
        told.update(self.urls.read_bytes())
        return told.hexdigest()

    def idle_hosts(self, pool: PagePool) -> list[str]:
        """The hosts that no page of the pool is from, each with the pool's nearest one where one is near."""
        if not self.hosts:
            return []
        with connected(pool.folder.parent) as database:
            database.execute(
                "CREATE TEMP TABLE hosts AS SELECT DISTINCT host FROM read_parquet($files, hive_partitioning = false)",
                {"files": pool.named()},
            )
            found = {
                name
                for (name,) in database.execute("SELECT host FROM hosts WHERE list_contains($1, host)", [sorted(self.hosts)]).fetchall()
            }
            return [f"{name}{_nearest(name, database)}" for name in sorted(self.hosts - found)]


def _nearest(name: str, database: DuckDBPyConnection) -> str:
    """www. added or left out, or a letter or two."""
    other = name.removeprefix("www.") if name.startswith("www.") else f"www.{name}"
    near = database.execute(
        "SELECT host FROM hosts WHERE host = $other OR (abs(length(host) - length($name)) <= 2 AND levenshtein(host, $name) <= 2) "
        "ORDER BY host <> $other, levenshtein(host, $name), host LIMIT 1", {"other": other, "name": name},
    ).fetchone()  # fmt: skip
    return f" (did you mean {near[0]}?)" if near else ""


def sort_seed(settings: Settings) -> tuple[list[Path], list[Path], list[str], list[Path]]:
    """The seed by kind: documents, URL lists, things to extract, models. Raises InputError for a missing file and for an empty seed."""
    if not settings.seed and not settings.seed_domains:
        noun = subject_of(settings.subject).noun
        raise InputError(f"the seed is empty; name known-good {noun}: --seed FILES or --seed-domains HOSTS")
    documents: list[Path] = []
    lists: list[Path] = []
    pages: list[str] = []
    models: list[Path] = []
    for name in settings.seed:
        path = Path(name)
        if "://" not in name and not path.exists():
            raise InputError(f"seed {name}: no such file")
        if name.endswith(SUFFIXES):
            documents.append(path)
        elif path.suffix == ".txt":
            lists.append(path)
        elif path.suffix == ".bin":
            models.append(path)
        else:
            pages.append(name)
    if len(models) > 1:
        raise InputError(f"the seed has {len(models)} models; a run starts from one")
    return documents, lists, pages, models


def refuse_too_small(settings: Settings) -> None:
    """Raises InputError for a seed of documents alone that no classifier can learn from, before anything long begins.

    How many pages hosts, URLs, pages to extract and models come to is known only later.
    """
    documents, lists, pages, models = sort_seed(settings)
    if lists or pages or models or settings.seed_domains:
        return
    usable: set[str] = set()
    for doc in seed_documents(documents):
        if len(line := normalise(doc.text).split()) >= SHORTEST:
            usable.add(" ".join(line))
            if len(usable) == FEWEST:
                return
    raise InputError(
        f"the seed has {len(usable)} usable documents (of {SHORTEST} words or more, each once); it needs {FEWEST}: "
        "give more, or hosts with --seed-domains"
    )


def listed_urls(paths: Sequence[Path]) -> Iterator[int]:
    """Keys of the addresses of the lists; empty lines and lines that start with # are skipped."""
    for path in paths:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.strip() and not line.startswith("#"):
                    yield url_key(line.strip())


def host_names(names: Sequence[str]) -> frozenset[str]:
    """Hosts as the pool spells them; a URL may stand for its host."""
    return frozenset(host(name if "://" in name else f"https://{name}/") for name in names)


def seed_documents(files: Sequence[Path]) -> Iterator[Doc]:
    """The kept documents with text, each text once."""
    seen: set[int] = set()
    for doc in read_files(files):
        key = lot(doc.text, 0, "text")
        if doc.dropped is None and doc.text.strip() and key not in seen:
            seen.add(key)
            yield doc


def read_seed(settings: Settings, out: Path, extracted: Sequence[Path]) -> Seed:
    """The seed of a run. `extracted` are the extraction files of its pages and archives; the texts are kept in `out`."""
    documents, lists, _, models = sort_seed(settings)
    files = [*documents, *extracted]
    kept = out / NAME
    if files and not kept.is_file():
        write_docs(kept, seed_documents(files))
    keys = array("Q", listed_urls(lists))
    count = 0
    for doc in read_docs(kept) if files else ():
        count += 1
        if doc.url:
            keys.append(url_key(doc.url))
    if files and not count:
        raise InputError(f"the seed is empty: no document with a text in {', '.join(map(str, files[:3]))}")
    with atomic_path(out / URLS) as temporary, temporary.open("wb") as file:
        found = np.unique(np.array(keys, np.uint64))
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(found))  # type: ignore[no-untyped-call]
        file.write(found.data)  # of a full disk `np.save` says less than the system does
    return Seed(kept if files else None, out / URLS, host_names(settings.seed_domains), models[0] if models else None, count)
