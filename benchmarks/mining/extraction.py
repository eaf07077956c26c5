r"""Does extraction keep what matters, and how fast? `python -m benchmarks.mining.extraction [--peer /path/to/python] [--rounds 3]`

On the labelled pages of ../shared/data/web (or $RECKON_DATA): precision, recall and F1 over segments that the main text of a news page must
and must not have; known formulas kept between delimiters (by the referee's script); how much of mathematics pages the choice of main text
keeps; pages and bytes a second on one core with everything from bytes to Markdown; the seconds of each stress page. `--peer` names a Python
that has trafilatura and resiliparse (an environment of its own); they read the same pages in the same run, one after the other. Without
it the F1 bar uses the figure measured for version 2.3.1, and the bar on relative speed is listed under `not_measured`. The last line is
`RESULT {json}`.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from benchmarks.parts import DATA, WEB, best_seconds, ended, json_lines, labelled_rows, options
from data_pipeline.documents.document import Origin, Page
from data_pipeline.extraction.bounded_markup import bounded
from data_pipeline.extraction.charset_decoding import decode
from data_pipeline.extraction.layout.block_builder import blocks_of
from data_pipeline.extraction.layout.main_text import main_text
from data_pipeline.extraction.page_to_document import extract
from data_pipeline.formulas.lifted_elements import lift

TRAFILATURA_F1 = 0.915
"""trafilatura 2.3.1 with its defaults on the 121 pages, for runs without --peer."""

PEER = r"""
import json, sys, time
import trafilatura
from resiliparse.extract.html2text import extract_plain_text
web, news, pages = json.load(sys.stdin)
read = lambda path: open(web + "/" + path, "rb").read()
main = lambda body: extract_plain_text(body.decode("utf-8", "replace"), main_content=True) or ""
tools = {"trafilatura": lambda body: trafilatura.extract(body) or "",
         "trafilatura fast": lambda body: trafilatura.extract(body, fast=True) or "", "resiliparse": main}
bodies = [read(path) for path in pages]
for name, tool in tools.items():
    texts = {path: tool(read(path)) for path in news}
    start = time.process_time()
    for body in bodies:
        tool(body)
    seconds = time.process_time() - start
    print(json.dumps({"name": name, "texts": texts, "pages_a_second": len(bodies) / seconds,
                      "megabytes_a_second": sum(map(len, bodies)) / seconds / 1e6}), flush=True)
"""

BARS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "main_text_f1": lambda r: r["segments"]["f1"] >= r["trafilatura_f1"] - 0.03,
    "speed": lambda r: r["pages_a_second"] >= 300 or r["megabytes_a_second"] >= 15,
    "six_times_trafilatura": lambda r: r["times_trafilatura"] is None or r["times_trafilatura"] >= 6,
    "formulas_delimited": lambda r: r["formulas"]["delimited"] >= 0.97,
    "formulas_families": lambda r: r["formulas"]["macro_delimited"] >= 0.90,
    "stress": lambda r: r["slowest_stress_seconds"] <= 2,
}


def load(web: Path, row: dict[str, Any]) -> Page:
    return Page(row.get("url") or "http://localhost/" + row["path"], (web / row["path"]).read_bytes(), "text/html", "", Origin("pages", 0))


def segment_scores(truth: Sequence[dict[str, Any]], texts: dict[str, str]) -> dict[str, float]:
    """`with` segments that are there are true positives, `without` segments that are there false ones."""
    hits = sum(part in texts[row["path"]] for row in truth for part in row["with"])
    false = sum(part in texts[row["path"]] for row in truth for part in row["without"])
    wanted, unwanted = sum(len(row["with"]) for row in truth), sum(len(row["without"]) for row in truth)
    precision, recall = hits / max(1, hits + false), hits / wanted
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / max(1e-9, precision + recall),
        "accuracy": (hits + unwanted - false) / (wanted + unwanted),
    }


def speed(pages: Sequence[Page], rounds: int) -> tuple[float, float]:
    """Pages and megabytes a second of processor time, the best of some rounds."""
    best = best_seconds(lambda: [extract(page) for page in pages], rounds)
    return len(pages) / best, sum(len(page.body) for page in pages) / best / 1e6


def kept_of_mathematics(pages: Sequence[Page]) -> dict[str, float]:
    """The share of words and of formulas (found before the choice) that the main text of mathematics pages keeps."""
    words = kept_words = formulas = kept_formulas = halved = 0
    for page in pages:
        raw = bounded(decode(page))
        tree = LexborHTMLParser(raw)
        found = blocks_of(tree, lift(tree, raw))
        every, chosen = (" ".join(block.text for block in blocks) for blocks in (found.blocks, main_text(found)))
        words, kept_words = words + len(every.split()), kept_words + len(chosen.split())
        formulas, kept_formulas = formulas + every.count("\ue000"), kept_formulas + chosen.count("\ue000")
        halved += len(chosen.split()) < 0.5 * len(every.split())
    return {"words": kept_words / max(1, words), "formulas": kept_formulas / max(1, formulas), "pages_less_than_half": halved}


def formula_recall(web: Path, texts: dict[str, str]) -> dict[str, Any]:
    """What the referee's script says, run as it is; its table is printed."""
    script = DATA.parent / "tools" / "formula_recall.py"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.json"
        file.write_text(json.dumps(texts))
        done = subprocess.run([sys.executable, str(script), str(web), str(file)], capture_output=True, text=True, check=True, timeout=600)
    *table, last = done.stdout.strip().splitlines()
    print("\n".join(table))
    result: dict[str, Any] = json.loads(last.removeprefix("RESULT "))
    return result


def peers(python: str, web: Path, news: Sequence[str], pages: Sequence[str]) -> list[dict[str, Any]]:
    given = json.dumps([str(web), list(news), list(pages)])
    done = subprocess.run([python, "-c", PEER], input=given, capture_output=True, text=True, check=True, timeout=1800)
    return [json.loads(line) for line in done.stdout.strip().split("\n")]


def measure(web: Path, peer: str | None, rounds: int) -> dict[str, Any]:
    rows = labelled_rows()
    truth = json_lines(web / "truth" / "trafilatura_segments.jsonl")
    labelled = [row for row in rows if row["label"] != "stress"]
    pages = {row["path"]: load(web, row) for row in labelled}
    texts = {path: extract(page).text for path, page in pages.items()}
    result: dict[str, Any] = {"segments": segment_scores(truth, texts), "trafilatura_f1": TRAFILATURA_F1, "times_trafilatura": None}
    result["pages_a_second"], result["megabytes_a_second"] = speed(list(pages.values()), rounds)
    table = [("reckon", result["segments"], result["pages_a_second"], result["megabytes_a_second"])]
    if peer:
        for other in peers(peer, web, [row["path"] for row in truth], list(pages)):
            scores = segment_scores(truth, other["texts"])
            table.append((other["name"], scores, other["pages_a_second"], other["megabytes_a_second"]))
            if other["name"] == "trafilatura":
                result["trafilatura_f1"] = scores["f1"]
                result["times_trafilatura"] = result["pages_a_second"] / other["pages_a_second"]
    print(f"{'main text':18s} precision  recall     F1  accuracy  pages/s   MB/s")
    for name, scores, rate, volume in table:
        values = "  ".join(f"{scores[key]:6.3f}" for key in ("precision", "recall", "f1", "accuracy"))
        print(f"{name:18s}    {values}  {rate:7.0f} {volume:6.1f}")
    result["formulas"] = formula_recall(web, texts)
    result["mathematics_kept"] = kept_of_mathematics([pages[row["path"]] for row in labelled if row["label"] == "math"])
    print("of mathematics pages the main text keeps", {key: round(value, 3) for key, value in result["mathematics_kept"].items()})
    seconds = []
    for row in rows:
        if row["label"] == "stress":
            page, begun = load(web, row), time.process_time()
            extract(page)
            seconds.append(time.process_time() - begun)
    result["slowest_stress_seconds"] = max(seconds, default=0.0)
    print("stress pages, seconds:", " ".join(f"{second:.2f}" for second in seconds))
    return result


def main() -> int:
    parser = options(__doc__, peer="trafilatura and resiliparse")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    result = measure(WEB, given.peer, given.rounds)
    result["not_measured"] = [] if given.peer else ["six_times_trafilatura"]
    return ended(result, [name for name, holds in BARS.items() if not holds(result)])


if __name__ == "__main__":
    sys.exit(main())
