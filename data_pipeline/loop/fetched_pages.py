"""Between two rounds: the pages that the subject's domains hold and the pool does not, fetched from an index of the web.

DeepSeekMath annotates paths of mathematical domains and adds their uncollected pages to the seed; what of them the crawl at hand does not
hold stays unknown. With an index (`--fetch-index`), a round's accepted patterns are looked up there, the pages under them that no file of
the pool has are fetched, and join the pool: copies are found anew over all pages, and the next round scores the new ones like any others.
Of hosts that the pool has no page of, a few pages each may be fetched too (`--fetch-hosts`): if they are collected, their host is a domain
like any other, and the round after that fetches what it holds. At most `--fetch-pages` a round, patterns first.

The archives lie in the round's folder (`fetched/`), their pages beside all others in `extracted/` and `columns/`; `fetched.json` names
them, so that the pool of every round stays what it was, also in a run whose folder has been moved.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_pipeline.extraction.extract_archives import archive_key
from data_pipeline.fetching.fetch_query import FetchQuery, Place
from data_pipeline.fetching.fetched_pages import Fetched, fetch_pages
from data_pipeline.loop import math_domains
from data_pipeline.loop.extracted_pages import extracted_files, gathered_pool
from data_pipeline.loop.mining_round import Round
from data_pipeline.loop.page_pool import PagePool, key_of_documents
from data_pipeline.loop.seed_pages import Seed
from data_pipeline.loop.spread_work import Spread
from data_pipeline.loop.step_records import Record, read_json, recorded
from verifiers.atomic_files import write_json

FETCHED = "fetched.json"
PROBED = 5
"""Pages of a host that the pool does not know: enough for `--domain-pages`, with some that are no pages."""


def own_keys(out: Path, files: Sequence[Path]) -> list[str]:
    """The stems of the extraction files that the run's own inputs gave: those that no round fetched."""
    fetched = {key for path in out.glob(f"round-*/{FETCHED}") for key in read_json(path).get("keys", ())}
    return [key for file in files if (key := key_of_documents(file)) not in fetched]


def joined_by_fetched(pool: PagePool, current: Round, seed: Seed, spread: Spread, out: Path) -> PagePool:
    """The pool of the round after `current`: with the pages that were fetched for it, where there are any to fetch."""
    folder = current.folder
    if not spread.settings.fetch_index or folder is None:
        return pool
    if not (folder / FETCHED).is_file():
        with recorded(out, f"{folder.name}-fetch") as record:
            archives = _fetched(pool, folder, spread, record)
            named = {
                "archives": [str(archive.relative_to(folder)) for archive in archives],
                "keys": [archive_key(str(archive), out) for archive in archives],
            }
            write_json(folder / FETCHED, named, indent=1)
    archives = [folder / name for name in read_json(folder / FETCHED)["archives"]]
    if not archives:
        return pool
    files = extracted_files([str(archive) for archive in archives], out / "extracted", spread.settings, spread.watch, out=None, below=out)
    return gathered_pool(out, folder, sorted({*pool.keys, *map(key_of_documents, files)}), seed, spread)


def _fetched(pool: PagePool, folder: Path, spread: Spread, record: Record) -> list[Path]:
    """The archives of the pages under accepted patterns, and of hosts to be judged."""
    settings = spread.settings
    common: dict[str, Any] = {"excluded": tuple(pool.files()), "random_seed": settings.random_seed}
    places = tuple(Place(found.host, found.path) for found in math_domains.read_patterns(folder / "patterns.json") if found.accept)
    left = settings.fetch_pages
    archives: list[Path] = []
    if places and left:
        archives, count = _fetch_one(FetchQuery(places=places, pages=left, **common), "patterns", folder, spread)
        record.dropped["fetch: failed"] = count.of - count.pages
        record.kept += count.pages
        left -= count.pages
    if hosts := min(settings.fetch_hosts, left // PROBED):
        query = FetchQuery(pages_a_host=PROBED, unknown_hosts=hosts, **common)
        more, count = _fetch_one(query, "hosts", folder, spread)
        archives += more
        record.dropped["fetch: failed"] = record.dropped.get("fetch: failed", 0) + count.of - count.pages
        record.kept += count.pages
    record.dropped = {reason: lost for reason, lost in record.dropped.items() if lost}
    record.entered = record.kept + sum(record.dropped.values())
    return archives


def _fetch_one(query: FetchQuery, name: str, folder: Path, spread: Spread) -> tuple[list[Path], Fetched]:
    """The archives of one query, and how many pages were found."""
    last = Fetched(0, 0, 0, 0, 0)

    def hear(fetched: Fetched) -> None:
        nonlocal last
        last = fetched
        spread.watch.advance(fetched.rows, size=fetched.moved)

    spread.watch.begin(f"fetching: {name}")
    settings = spread.settings
    archives = fetch_pages(
        settings.fetch_index, query, folder / "fetched" / name, base=settings.fetch_base, name=f"{folder.name}-{name}", watch=hear
    )
    return archives, last
