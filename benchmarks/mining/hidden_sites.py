"""What the loop finds of a web that it was not given: `python -m benchmarks.mining.hidden_sites [--sites N]`.

A made web of 120 sites, a third of them about mathematics, each with a vocabulary, a markup and a number of pages of its own. Its archives
and an index of Common Crawl's schema are written to disk. Of half of the sites, mathematical or not, the run is given archives with a third
of their pages; of the other half nothing: they stand in the index alone. The seed is one given site. The same run without the index and
with it (`--fetch-index`, `--fetch-hosts`) is asked which pages it has collected.

Bars: without the index no page of a hidden site is found, as none was given; with it at least 90 % of the hidden mathematical sites, and
90 % of the mathematical pages of the whole web, at a precision of 90 %. How many pages were fetched for that is printed beside how many
there are: fetching all would find them too.
"""

import base64
import gzip
import hashlib
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.parts import ended, options
from data_pipeline.commands import demo_pages as demo
from data_pipeline.commands.demo_web import DATE, records_of_page, warc_records
from data_pipeline.loop.mining_run import mine
from data_pipeline.loop.run_settings import Settings
from data_pipeline.loop.step_records import read_json, round_folder

ARCHIVES = 6
GIVEN_SHARE = 1 / 3
MARKUPS = (demo.mathjax, demo.katex, demo.image, demo.mathml, demo.script)
TOPICS = (demo.RECIPES, demo.NEWS, demo.SHOP, demo.TRAVEL, demo.MANUALS)


class MadePage(NamedTuple):
    url: str
    html: str
    mathematical: bool
    given: bool
    """Whether its site is one of which the run is given archives."""


def made_web(sites: int) -> list[MadePage]:
    """All pages, by site. Every third site is mathematical, every second given."""
    return [page for number in range(sites) for page in _site(number)]


def _site(number: int) -> list[MadePage]:
    chance = random.Random(f"site {number}")
    mathematical, given = number % 3 == 0, number % 2 == 0
    host = f"{'maths' if number == 0 else 'site'}{number:03d}.example.{chance.choice(['org', 'net', 'com', 'edu'])}"
    markup, topic, folder = chance.choice(MARKUPS), chance.choice(TOPICS), chance.choice(["notes", "pages", "p", "docs", "text"])
    pages = []
    for page in range(chance.randint(12, 40)):
        about = mathematical and not (number % 9 == 0 and page % 4 == 3)  # some mathematical sites have a blog beside
        if about:
            path, html = demo.lesson(chance, page, markup, folder=folder, site=host, head=demo.MATHJAX_HEAD, answers=page % 2 == 0)
        else:
            path, html = demo.article(chance, page, topic, folder="blog" if mathematical else folder, site=host)
        pages.append(MadePage(f"https://{host}{path}", html, about, given))
    return pages


def write_crawl(pages: Sequence[MadePage], folder: Path) -> tuple[list[str], list[str]]:
    """(the archives that the run is given, the index of all pages, whose archives lie below `folder`)."""
    rows: list[dict[str, Any]] = []
    shuffled = random.Random(0).sample(list(pages), len(pages))
    for number in range(ARCHIVES):
        name = f"crawl-data/CC-MADE-2026-01/segments/0/warc/made-{number:05d}.warc.gz"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("wb") as file:
            for page in shuffled[number::ARCHIVES]:
                for record in records_of_page(page.url, page.html.encode()):
                    begin, length = file.tell(), file.write(gzip.compress(record, 6, mtime=0))
                    if b"WARC-Type: response" in record:
                        rows.append(_index_row(page, name, begin, length))
    index = folder / "cc-index" / "crawl=CC-MADE-2026-01" / "subset=warc" / "part-00000.parquet"
    index.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), index)
    given = folder / "given.warc.gz"
    chance = random.Random(1)
    given.write_bytes(b"".join(warc_records(p.url, p.html.encode()) for p in pages if p.given and chance.random() < GIVEN_SHARE))
    return [str(given)], [str(folder / "cc-index")]


def _index_row(page: MadePage, name: str, offset: int, length: int) -> dict[str, Any]:
    parts = urlsplit(page.url)
    return {
        "url_surtkey": f"{','.join(reversed(parts.netloc.split('.')))}){parts.path}", "url": page.url, "url_host_name": parts.netloc,
        "url_host_tld": parts.netloc.rpartition(".")[2], "url_host_registered_domain": ".".join(parts.netloc.split(".")[-2:]),
        "url_path": parts.path, "url_query": None, "fetch_time": DATE, "fetch_status": 200,
        "content_digest": base64.b32encode(hashlib.sha1(page.html.encode()).digest()).decode(),
        "content_mime_type": "text/html", "content_mime_detected": "text/html", "content_charset": "UTF-8", "content_languages": "eng",
        "warc_filename": name, "warc_record_offset": offset, "warc_record_length": length, "warc_segment": "0",
    }  # fmt: skip


def judged(out: Path, pages: Sequence[MadePage], rounds: int, seed: str) -> dict[str, Any]:
    """What the last round has collected, of hidden sites and of all; the seed's own pages are not counted."""
    files = sorted((round_folder(out, rounds) / "pages").glob("*.parquet"))
    rows = [row for file in files for row in pq.read_table(file, columns=["url", "collected"]).to_pylist()]
    collected = {row["url"] for row in rows if row["collected"]}
    others = [page for page in pages if urlsplit(page.url).netloc != seed]
    wanted = {page.url for page in others if page.mathematical}
    hidden = {urlsplit(page.url).netloc for page in others if page.mathematical and not page.given}
    found = {urlsplit(url).netloc for url in collected & wanted} & hidden
    counted = collected & {page.url for page in others}
    return {
        "rounds": rounds, "pool": len(rows), "hidden_sites": len(hidden), "hidden_sites_found": len(found),
        "recall": round(len(counted & wanted) / len(wanted), 4), "precision": round(len(counted & wanted) / max(1, len(counted)), 4),
    }  # fmt: skip


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--sites", type=int, default=120)
    sites = parser.parse_args().sites
    pages = made_web(sites)
    seed = urlsplit(pages[0].url).netloc
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        given, index = write_crawl(pages, folder / "web")
        common: dict[str, Any] = {"seed_domains": (seed,), "preset": "small", "problems": False, "quality": False, "stop_overlap": 1.0}
        fetching: dict[str, Any] = {
            "fetch_index": tuple(index),
            "fetch_base": str(folder / "web"),
            "fetch_hosts": sites,
            "fetch_pages": 2000,
        }
        for name, more in (("without", {"rounds": 2}), ("with", {"rounds": 4, **fetching})):
            start = time.perf_counter()
            outcome = mine(Settings(**common, **more), given, folder / name)
            results[name] = judged(folder / name, pages, outcome.rounds, seed) | {"seconds": round(time.perf_counter() - start, 1)}
            steps = read_json(folder / name / "funnel.json")["steps"]
            results[name]["fetched"] = sum(step["out"] for step in steps if step["step"].endswith("-fetch"))
            print(f"{name:8} {results[name]}", flush=True)
    having, lacking = results["with"], results["without"]
    bars = {
        "none is found without the index": lacking["hidden_sites_found"] == 0,
        "hidden sites found": having["hidden_sites_found"] >= 0.9 * having["hidden_sites"],
        "recall": having["recall"] >= 0.9,
        "precision": having["precision"] >= 0.9,
    }
    figures = {"sites": sites, "pages": len(pages), "mathematical_pages": sum(page.mathematical for page in pages), **results}
    return ended(figures, [name for name, held in bars.items() if not held])


if __name__ == "__main__":
    sys.exit(main())
