"""What the user knows to be mathematics, in every form it may be given, read once and kept in `seed.jsonl.zst`.

A seed is any mix of documents with a text, pages or archives to extract, lists of URLs (one a line), hosts, and a trained model. URLs and
hosts name pages of the pool. Documents train the classifier whether or not the pool holds them; a page of the pool with the URL of one is
a seed page as well, so that it is never drawn as a negative example of itself. The user's own seed pages are always collected.
"""

import difflib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_pipeline.classifier.classifier_words import normalise
from data_pipeline.classifier.training_examples import FEWEST, SHORTEST
from data_pipeline.documents.addresses import host, normalise_url
from data_pipeline.documents.document import Doc
from data_pipeline.documents.document_files import SUFFIXES, read_docs, read_files, write_docs
from data_pipeline.loop.page_pool import Mask, PagePool, lot
from data_pipeline.loop.run_settings import Settings
from verifiers.input_error import InputError

NAME = "seed.jsonl.zst"


@dataclass(frozen=True, slots=True)
class Seed:
    documents: Path | None
    """The seed's own texts; None where it has none."""
    urls: frozenset[str]
    """Normalised."""
    hosts: frozenset[str]
    model: Path | None
    count: int = 0
    """How many texts `documents` holds."""

    def docs(self) -> Iterator[Doc]:
        return read_docs(self.documents) if self.documents else iter(())

    def pages_of(self, pool: PagePool) -> Mask:
        """The pages of the pool that the seed names."""
        given = [
            name in self.hosts or (bool(self.urls) and normalise_url(url) in self.urls)
            for url, name in zip(pool.urls, pool.hosts, strict=True)
        ]
        return np.array(given, np.bool_)

    def idle_hosts(self, pool: PagePool) -> list[str]:
        """The hosts that no page of the pool is from, each with the pool's nearest one where one is near."""
        known = set(pool.hosts)
        return [f"{name}{_nearest(name, known)}" for name in sorted(self.hosts - known)]


def _nearest(name: str, known: Collection[str]) -> str:
    """www. added or left out, or a letter or two."""
    other = name.removeprefix("www.") if name.startswith("www.") else f"www.{name}"
    near = [other] if other in known else difflib.get_close_matches(name, known, 1, 0.85)
    return f" (did you mean {near[0]}?)" if near else ""


def sort_seed(settings: Settings) -> tuple[list[Path], list[Path], list[str], list[Path]]:
    """The seed by kind: documents, URL lists, things to extract, models. Raises InputError for a missing file and for an empty seed."""
    if not settings.seed and not settings.seed_domains:
        raise InputError("the seed is empty; name known-good mathematics: --seed FILES or --seed-domains HOSTS")
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


def read_urls(paths: Sequence[Path]) -> frozenset[str]:
    """Normalised URLs of the lists; empty lines and lines that start with # are skipped."""
    found = set()
    for path in paths:
        for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
            if line.strip() and not line.startswith("#"):
                found.add(normalise_url(line.strip()))
    return frozenset(found)


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
    urls = set(read_urls(lists))
    count = 0
    if files:
        for doc in read_docs(kept):
            count += 1
            if doc.url:
                urls.add(normalise_url(doc.url))
    if files and not count:
        raise InputError(f"the seed is empty: no document with a text in {', '.join(map(str, files[:3]))}")
    return Seed(kept if files else None, frozenset(urls), host_names(settings.seed_domains), models[0] if models else None, count)
