"""A small web made up for `reckon mine demo`: some sites about mathematics in different markups, some about other things.

All of it is drawn by chance, always alike: no page is copied from anywhere. The sites differ in what real ones differ in: how formulas are
written (MathJax delimiters, KaTeX spans, images with TeX alt text, MathML, `math/tex` scripts), what surrounds them (navigation,
footers), and their words. Planted on purpose: pages served under two URLs, near-copies on a second site,
a page that quotes a benchmark question, and one record cut in the middle. What the loop finds here says that it works, not how well:
`benchmarks.mining.loop` measures that on real pages.
"""

import gzip
import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from data_pipeline.commands.demo_pages import MATHJAX_HEAD, SEED_HOST, SITES, Site, lesson, mathjax
from verifiers.atomic_files import atomic_path

DATE = "2026-01-01T00:00:00Z"
BENCHMARK = "benchmark.jsonl"
MIRRORED = "<p>This copy was made in June with the kind permission of the author.</p></main>"
MIRROR = "mirror.example.com"
QUESTION = (
    "A gardener plants 17 rows of tulips with 23 bulbs in each row and then gives away 48 bulbs to the school next door. "
    "How many bulbs does the gardener have left in the ground?"
)


class WebPage(NamedTuple):
    url: str
    html: str
    mathematical: bool


def web(share: float = 1.0) -> list[WebPage]:
    """All pages in the order of the archive (shuffled), with what they are about; of each site, a share."""
    pages = [page for site in SITES for page in _site_pages(site, share)]
    pages += list(_planted(pages, random.Random("0:planted")))
    random.Random("0:order").shuffle(pages)
    return pages


def _site_pages(site: Site, share: float) -> Iterator[WebPage]:
    for number in range(round(share * site.pages)):
        path, html = site.page(random.Random(f"0:{site.host}:{number}"), number)
        yield WebPage(f"https://{site.host}{path}", html, site.mathematical and not path.startswith(("/users/", "/stories/")))


def _planted(pages: list[WebPage], chance: random.Random) -> Iterator[WebPage]:
    """Equal pages under a second URL, near-copies on a mirror, and the benchmark's question in a lesson."""
    lessons = [page for page in pages if SEED_HOST in page.url]
    for page in chance.sample(lessons, 6):
        yield WebPage(page.url + "?utm_source=mail", page.html, True)
    for page in chance.sample(lessons, 6):
        yield WebPage(page.url.replace(SEED_HOST, MIRROR), page.html.replace("</main>", MIRRORED), True)
    _, html = lesson(chance, 900, mathjax, folder="lessons", site="Calculus Now", head=MATHJAX_HEAD)
    yield WebPage(f"https://{SEED_HOST}/lessons/word-problems", html.replace("</main>", f"<p>{QUESTION}</p></main>"), True)


def write_web(folder: Path, share: float = 1.0) -> list[Path]:
    """Two WARC files and the benchmark file in `folder`. The second archive ends in a record that was cut in the middle."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = web(share)
    half = len(pages) // 2
    archives = [folder / "demo-00.warc.gz", folder / "demo-01.warc.gz"]
    for archive, part in zip(archives, (pages[:half], pages[half:]), strict=True):
        data = b"".join(warc_records(page.url, page.html.encode()) for page in part)
        if archive is archives[1]:
            data += warc_records("https://cut.example.org/", pages[0].html.encode())[:-400]
        with atomic_path(archive) as temporary:
            temporary.write_bytes(data)
    with atomic_path(folder / BENCHMARK) as temporary:
        temporary.write_text(json.dumps({"problem": QUESTION}) + "\n", encoding="utf-8")
    return archives


def warc_records(url: str, html: bytes) -> bytes:
    """A page as crawlers store it, each record a gzip member."""
    return b"".join(gzip.compress(record, 6, mtime=0) for record in records_of_page(url, html))


def records_of_page(url: str, html: bytes) -> list[bytes]:
    """A request, a response and a metadata record."""
    http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n%b" % (len(html), html)
    return [
        warc_record("request", url, b"GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: CCBot/2.0\r\n\r\n", "application/http; msgtype=request"),
        warc_record("response", url, http, "application/http; msgtype=response"),
        warc_record("metadata", url, b"fetchTimeMs: 100\r\n", "application/warc-fields"),
    ]


def warc_record(kind: str, url: str, block: bytes, content_type: str) -> bytes:
    """One WARC/1.0 record; its id follows from the URL, so that equal webs are equal bytes."""
    number = hashlib.blake2b(f"{kind} {url}".encode(), digest_size=16).hexdigest()
    name = f"{number[:8]}-{number[8:12]}-{number[12:16]}-{number[16:20]}-{number[20:32]}"
    header = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{name}>\r\nWARC-Date: {DATE}\r\nWARC-Target-URI: {url}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    return header.encode() + block + b"\r\n\r\n"
