"""How well does the pipeline read? `python -m benchmarks.mining.prefilter [--peer /path/to/python]`

The prefilter's recall over the labelled pages of ../shared/data/web (or $RECKON_DATA) and its speed; the reader's speed, against warcio if
`--peer` names a Python that has it; the archives that are malformed on purpose against what was counted in them by hand; and hostile pages
(the five that hung other extractors, and some made here) through the workers. The last line is `RESULT {json}`.
"""

import gzip
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.parts import WEB, best_seconds, labelled_rows, options, report
from data_pipeline.archives.archive_pages import read_pages
from data_pipeline.commands.demo_web import records_of_page, warc_record
from data_pipeline.extraction.extract_archives import Progress, extract_archives
from data_pipeline.extraction.extraction_options import ExtractionOptions
from data_pipeline.extraction.page_prefilter import has_mathematics

RUNS = 5

ARCHIVES: dict[str, tuple[int, dict[str, int]]] = {  # counted by hand in the files: pages, and what is damaged
    "cc_whirlwind.warc.gz": (1, {}), "cc_whirlwind.warc.wat.gz": (0, {}), "cc_whirlwind.warc.wet.gz": (1, {}),
    "dolma_sample-0000.warc.gz": (24, {}), "dolma_sample-0001.warc.gz": (17, {}),
    "resiliparse_clipped.warc.gz": (0, {"truncated archive": 1, "truncated record": 1}), "resiliparse_clueweb-quirk.warc.gz": (29, {}),
    "resiliparse_warcfile.warc": (16, {}), "resiliparse_warcfile.warc.gz": (16, {}), "resiliparse_warcfile.warc.lz4": (16, {}),
    "warcio_bad.arc": (0, {"bad length": 3}), "warcio_example-bad-non-chunked.warc.gz": (1, {}), "warcio_example-bad.warc.gz.bad": (1, {}),
    "warcio_example-digest.warc": (0, {}), "warcio_example-iana.org-chunked.warc": (1, {}), "warcio_example-resource.warc.gz": (1, {}),
    "warcio_example-space-in-target-uri.warc.gz": (1, {}), "warcio_example-space-in-url.arc": (1, {"truncated record": 1}),
    "warcio_example-trunc.warc": (1, {"wrong length": 1}), "warcio_example-wget-bad-target-uri.warc.gz": (3, {}),
    "warcio_example-wrong-chunks.warc.gz": (1, {}), "warcio_example.arc": (1, {}), "warcio_example.arc.gz": (1, {}),
    "warcio_example.warc": (1, {}), "warcio_example.warc.gz": (1, {}), "warcio_post-test.warc.gz": (3, {}),
}  # fmt: skip

PEER = """
import sys, time
from warcio.archiveiterator import ArchiveIterator
best = 1e9
for _ in range(int(sys.argv[2])):
    start = time.process_time()
    with open(sys.argv[1], "rb") as stream:
        for record in ArchiveIterator(stream):
            if record.rec_type == "response":
                record.content_stream().read()
    best = min(best, time.process_time() - start)
print(best)
"""

BARS: dict[str, Callable[[Any], bool]] = {
    "prefilter_recall": lambda x: x >= 0.98,
    "prefilter_nonmath_passed": lambda x: x <= 0.10,
    "prefilter_mb_per_second": lambda x: x >= 300,
    "archives_as_counted": lambda x: x == len(ARCHIVES),
    "stress_slowest_seconds": lambda x: x <= 2.5,  # the deadline of 2 s, and what it takes to kill and begin again
    "stress_without_outcome": lambda x: x == 0,
    "hostile_without_outcome": lambda x: x == 0,
    "hostile_seconds_a_page": lambda x: x <= 2.5,
}


def labelled() -> list[tuple[str, bytes]]:
    return [(row["label"], (WEB / row["path"]).read_bytes()) for row in labelled_rows()]


def markup(pages: list[tuple[str, bytes]]) -> dict[str, Any]:
    total, passed = Counter(label for label, _ in pages), Counter(label for label, body in pages if has_mathematics(body))

    def megabytes_per_second(bodies: list[bytes]) -> int:
        return round(sum(map(len, bodies)) / 1e6 / best_seconds(lambda: [has_mathematics(body) for body in bodies], RUNS))

    return {
        "prefilter_recall": round(passed["math"] / total["math"], 4),
        "prefilter_nonmath_passed": round(passed["nonmath"] / total["nonmath"], 4),
        "prefilter_math_plain_passed": round(passed["math_plain"] / total["math_plain"], 4),
        "prefilter_mb_per_second": megabytes_per_second([body for _, body in pages]),
        "prefilter_mb_per_second_nonmath": megabytes_per_second([body for label, body in pages if label == "nonmath"]),
    }


def response(number: int, body: bytes, header: str = "") -> bytes:
    http = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{header}\r\n".encode() + body
    return warc_record("response", f"http://a.example/{number}", http, "application/http; msgtype=response")


def reading(pages: list[tuple[str, bytes]], folder: Path, peer: str | None) -> dict[str, Any]:
    """Records a second of an archive with a request and a metadata record to each page, as Common Crawl's."""
    records = [record for number, (_, body) in enumerate(pages) for record in records_of_page(f"http://a.example/{number}", body)]
    result: dict[str, Any] = {}
    for name, data in (("gz", b"".join(gzip.compress(one, 6) for one in records)), ("plain", b"".join(records))):
        file = folder / f"speed.warc.{name}"
        file.write_bytes(data)
        seconds = best_seconds(lambda file=file: sum(1 for _ in read_pages(str(file), outcomes=Counter())))
        result[f"records_per_second_{name}"] = round(len(records) / seconds)
        result[f"read_mb_per_second_{name}"] = round(sum(map(len, records)) / 1e6 / seconds)
        if peer:
            done = subprocess.run([peer, "-c", PEER, str(file), str(RUNS)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            if done.returncode == 0:
                result[f"records_per_second_{name}_warcio"] = round(len(records) / float(done.stdout))
    return result


def malformed() -> dict[str, Any]:
    """How many of the shared archives give the pages and the damages that are in them."""
    wrong = []
    for name, (count, damages) in ARCHIVES.items():
        outcomes: Counter[str] = Counter()
        pages = list(read_pages(str(WEB / "warc" / name), outcomes=outcomes))
        found = {key: value for key, value in outcomes.items() if key != "pages" and not key.startswith("skipped")}
        if (len(pages), found) != (count, damages):
            wrong.append(f"{name}: {len(pages)} pages, {found}")
    return {"archives_as_counted": len(ARCHIVES) - len(wrong), "archives_wrong": wrong}


def through_workers(source: str, out: Path) -> tuple[float, Progress]:
    start = time.perf_counter()
    last = list(extract_archives([source], out, ExtractionOptions(), workers=1))[-1]
    return time.perf_counter() - start, last


def hostile(folder: Path) -> dict[str, Any]:
    """Pages that hung others, one at a time, and an archive of pages meant to."""
    (folder / "empty.html").write_text("<p>one page, to know what the start of the processes costs")
    started, _ = through_workers(str(folder / "empty.html"), folder / "out")
    slowest, without, outcomes = 0.0, 0, Counter[str]()
    for file in sorted((WEB / "html" / "stress").rglob("*.html")):
        seconds, last = through_workers(str(file), folder / "out")
        slowest = max(slowest, seconds - started)
        without += sum(last.outcomes.values()) != 1
        outcomes.update(last.outcomes)
    bodies = [b"<div>" * 1_500_000, b"<table><tr><td colspan=1000000000000000 rowspan=1000000000000000>x</table>" * 10, b"\0" * 5_000_000]
    bodies += [b"<p>$" + b"{" * 2_000_000 + b"$", b"<math>" + b"<mrow>" * 500_000, b"<" * 5_000_000, b"\\(" * 2_000_000, b"<p>a&" * 500_000]
    bomb = gzip.compress(bytes(1 << 28), 6)
    made = [response(number, body) for number, body in enumerate(bodies)] + [response(99, bomb, "Content-Encoding: gzip\r\n")]
    giant = zlib.compressobj(1, wbits=31)
    head = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 1073741824\r\n\r\n"
    stored = giant.compress(head) + b"".join(giant.compress(bytes(1 << 20)) for _ in range(1 << 10)) + giant.flush()
    source = folder / "hostile.warc.gz"
    source.write_bytes(b"".join(gzip.compress(one, 1) for one in made) + stored + gzip.compress(response(100, b"<p>the last page " * 20)))
    seconds, last = through_workers(str(source), folder / "out")
    print(f"hostile pages: {dict(last.outcomes)}, {seconds:.1f} s; stress pages: {dict(outcomes)}, slowest {slowest:.2f} s", flush=True)
    return {
        "stress_slowest_seconds": round(slowest, 2),
        "stress_without_outcome": without,
        "stress_outcomes": outcomes,
        "hostile_without_outcome": len(made) + 2 - sum(last.outcomes.values()),
        "hostile_seconds_a_page": round((seconds - started) / (len(made) + 2), 2),
        "hostile_outcomes": last.outcomes,
    }


def main() -> int:
    peer = options(__doc__, peer="warcio").parse_args().peer
    pages = labelled()
    with tempfile.TemporaryDirectory() as folder:
        result = markup(pages) | reading(pages, Path(folder), peer) | malformed() | hostile(Path(folder))
    return report(result, BARS)


if __name__ == "__main__":
    sys.exit(main())
