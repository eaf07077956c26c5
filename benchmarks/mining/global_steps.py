"""Copies and the token budget over millions of pages: memory, time, and whether all planted copies are found.

`python -m benchmarks.mining.global_steps [--millions 1 5 20] [--scratch FOLDER]`

The pages are made here, as columns and signatures without texts, 50,000 a file: 66 % are pages of their own, the others copies of such a
page by record (1 %), URL (5 %), text (8 %) or nearly (18 %, of which 3 % are copies of three templates, so that buckets hold hundreds of
thousands of pages), or half like one (2 %, which have to stay). Near copies agree in 115 of 120 hashes, so that the signatures leave no
doubt: what texts cost in doubtful pairs is not measured here (`benchmarks/mining/duplicates.py` has texts).

Each size runs in a process of its own. Memory is that process's anonymous memory (RssAnon of /proc, looked at 50 times a second from
outside), the interpreter included; with the pages of mapped scratch files, which the system takes back when it needs them, it is told too.
Scratch is the most disk that the search took on top of its input, looked at every second. Time is processor time. 20 million pages need
25 GB below `--scratch`, removed at the end.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.parts import report
from data_pipeline.cleaning.duplicates import Dedup, copies_of, find_copies
from data_pipeline.columns.minhash import U32, U64, Lsh, mix
from data_pipeline.columns.token_budget import budget_cut

I64 = npt.NDArray[np.int64]
BARS = {
    "peak_gb": lambda x: x <= 2.0,
    "time_ratio_of_a_page": lambda x: x <= 1.3,
    "planted_not_found": lambda x: x == 0,
    "wrongly_found": lambda x: x == 0,
    "budget_right": bool,
}
FILE = 50_000
SHARES = {"own": 0.66, "record": 0.01, "url": 0.05, "exact": 0.08, "near": 0.15, "template": 0.03, "half": 0.02}
OWN, RECORD, URL, EXACT, NEAR, TEMPLATE, HALF = range(7)
TEMPLATES, CHANGED = 3, {NEAR: 5, TEMPLATE: 5, HALF: 60}
LSH = Lsh()
BUDGET = 0.3  # of all tokens


def lots(pages: I64, purpose: int) -> U64:
    """A number of 64 bits for each page."""
    return mix(pages.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(purpose))


def kinds(pages: I64) -> npt.NDArray[np.int8]:
    edges = np.cumsum(list(SHARES.values()))[:-1]
    return np.searchsorted(edges, lots(pages, 1) / 2.0**64, "right").astype(np.int8)


def originals(pages: I64, kind: npt.NDArray[np.int8], count: int) -> I64:
    """The page of its own that each page copies: itself for such a page."""
    found = np.where(kind == OWN, pages, -1)
    templates = np.flatnonzero(kinds(np.arange(1000)) == OWN)[:TEMPLATES]
    found = np.where(kind == TEMPLATE, templates[(lots(pages, 2) % np.uint64(TEMPLATES)).astype(np.int64)], found)
    draw = 3
    while (open_ := np.flatnonzero(found < 0)).size:
        drawn = (lots(pages[open_], draw) % np.uint64(count)).astype(np.int64)
        found[open_] = np.where(kinds(drawn) == OWN, drawn, -1)
        draw += 1
    return found


def signatures(pages: I64, kind: npt.NDArray[np.int8], of: I64) -> U32:
    """Copies by text have their original's, near ones but for some hashes."""
    seen = np.where((kind == URL) | (kind == OWN) | (kind == RECORD), pages, of)
    rows = (mix(lots(seen, 0)[:, None] + np.arange(LSH.hashes, dtype=np.uint64)) >> np.uint64(32)).astype(np.uint32)
    draw = np.random.default_rng(int(pages[0]))
    for which, changed in CHANGED.items():
        places = np.flatnonzero(kind == which)
        columns = draw.random((len(places), LSH.hashes), np.float32).argpartition(changed, axis=1)[:, :changed]
        rows[places[:, None], columns] = draw.integers(0, 1 << 32, columns.shape, np.uint32)
    return rows


def write_pages(folder: Path, count: int) -> list[str]:
    """Columns, signatures, pool and scores of each file; the files' keys."""
    for name in ("columns", "pool", "scores"):
        (folder / name).mkdir()
    keys = [f"{number:05d}" for number in range(-(-count // FILE))]
    for number, key in enumerate(keys):
        pages = np.arange(number * FILE, min(count, (number + 1) * FILE))
        kind = kinds(pages)
        of = originals(pages, kind, count)
        columns = {
            "id": lots(np.where(kind == RECORD, of, pages), 10),
            "name": pa.nulls(len(pages), pa.string()),
            "formulas": np.where(kind == OWN, 10, 1).astype(np.int32),
            "score": np.zeros(len(pages), np.float32),
            "length": (1000 + lots(pages, 11) % np.uint64(20_000)).astype(np.int64),
            "date": (20200101000000 + lots(pages, 12) % np.uint64(10**10)).astype(np.int64),
            "url_key": lots(np.where(kind == URL, of, pages), 13),
            "text_key": lots(np.where(kind == EXACT, of, pages), 14),
            "words": np.ones(len(pages), bool),
        }
        pq.write_table(pa.table(columns), folder / "columns" / f"{key}.parquet", compression="zstd")
        signatures(pages, kind, of).tofile(folder / "columns" / f"{key}.signatures")
        tokens, given = (100 + lots(pages, 15) % np.uint64(5000)).astype(np.int64), lots(pages, 16) < np.uint64(1 << 58)
        pq.write_table(pa.table({"id": columns["id"], "tokens": tokens, "given": given}), folder / "pool" / f"{key}.parquet")
        score = np.round(lots(pages, 17) / 2.0**64, 6).astype(np.float32)
        pq.write_table(pa.table({"score": score}), folder / "scores" / f"{key}.parquet")
    return keys


def tables(folder: Path, keys: Sequence[str]) -> list[Path]:
    return [folder / f"{key}.parquet" for key in keys]


def ranked(folder: Path, keys: Sequence[str]) -> Iterator[tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32], U64, I64]]:
    for page_file, score_file in zip(tables(folder / "pool", keys), tables(folder / "scores", keys), strict=True):
        pool, score = pq.read_table(page_file), pq.read_table(score_file)["score"].to_numpy()
        yield pool["given"].to_numpy(), score, pool["id"].to_numpy(), pool["tokens"].to_numpy()


def work(folder: Path) -> dict[str, Any]:
    """Both questions, in this process: seconds of processor time each."""
    keys = sorted(path.stem for path in (folder / "columns").glob("*.parquet"))
    start = time.process_time()
    find_copies(keys, folder / "columns", folder / "extracted", folder / "duplicates", Dedup(lsh=LSH))
    copies = time.process_time() - start
    tokens = sum(int(part[3].sum()) for part in ranked(folder, keys))
    start = time.process_time()
    cut = budget_cut(tables(folder / "pool", keys), tables(folder / "scores", keys), int(BUDGET * tokens))
    assert cut is not None
    return {"copies": copies, "budget": time.process_time() - start, "cut": cut, "tokens": tokens}


def watched(folder: Path) -> dict[str, Any]:
    """What the work came to in a process of its own, with the most memory it had."""
    command = [sys.executable, "-m", "benchmarks.mining.global_steps", "--work", str(folder)]
    most = {"RssAnon": 0, "VmRSS": 0}
    scratch, looked = 0, 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            try:
                status = dict(line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
            except OSError:  # it has just ended
                break
            for name in most:
                most[name] = max(most[name], int(status.get(name, "0 kB").split()[0]))
            if time.monotonic() > looked + 1:
                scratch, looked = max(scratch, _disk(folder / "duplicates")), time.monotonic()
            time.sleep(0.02)
        output = process.communicate()[0]
    if process.returncode:
        sys.exit(f"error: the search ended with {process.returncode}")
    memory = {"peak_gb": most["RssAnon"] * 1024 / 1e9, "with_mapped_files_gb": most["VmRSS"] * 1024 / 1e9}
    return json.loads(output) | memory | {"scratch": scratch}


def _disk(folder: Path) -> int:
    """Bytes of disk that its files take, which come and go; holes take none."""
    found = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                found += os.stat(os.path.join(parent, name)).st_blocks * 512
    return found


def misses(folder: Path, keys: Sequence[str], count: int) -> tuple[int, int]:
    """(planted copies that were not found as what they are, pages that were found and are none)."""
    missed = wrong = 0
    reasons = {"duplicate: record": RECORD, "duplicate: url": URL, "duplicate: exact": EXACT, "duplicate: near": NEAR}
    for number, key in enumerate(keys):
        pages = np.arange(number * FILE, min(count, (number + 1) * FILE))
        kind = kinds(pages)
        originally = lots(originals(pages, kind, count), 10)
        expected = np.where(kind == TEMPLATE, NEAR, np.where(kind == HALF, OWN, kind))
        table = copies_of(folder / "duplicates", key)
        rows, found = table["row"].to_numpy(), np.full(len(pages), OWN)
        found[rows] = [reasons[reason] for reason in table["reason"].to_pylist()]
        kept = originally.copy()
        kept[rows] = [int(name, 16) for name in table["kept"].to_pylist()]
        missed += int(((expected != OWN) & ((found != expected) | (kept != originally))).sum())
        wrong += int(((expected == OWN) & (found != OWN)).sum())
    return missed, wrong


def budget_holds(folder: Path, keys: Sequence[str], cut: Sequence[Any], budget: int) -> bool:
    """Whether the pages up to the cut cost no more than the budget, and one more page would."""
    given, score, name = bool(cut[0]), np.float32(cut[1]), np.uint64(cut[2])
    paid, following = 0, (True, 0.0, 1 << 64, 0)
    for is_given, scores, ids, tokens in ranked(folder, keys):
        better = (scores > score) | ((scores == score) & (ids <= name))
        inside = is_given & better if given else is_given | better
        paid += int(tokens[inside].sum())
        rest = np.flatnonzero(~inside)
        first = rest[np.lexsort((ids[rest], -scores[rest], ~is_given[rest]))[0]]
        following = min(following, (not is_given[first], -float(scores[first]), int(ids[first]), int(tokens[first])))
    return paid <= budget < paid + following[3]


def measured(count: int, scratch: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="reckon-global-steps-", dir=scratch) as place:
        folder = Path(place)
        keys = write_pages(folder, count)
        found = watched(folder)
        missed, wrong = misses(folder, keys, count)
        right = budget_holds(folder, keys, found["cut"], int(BUDGET * found["tokens"]))
        result = {
            "pages": count, "peak_gb": round(found["peak_gb"], 2), "with_mapped_files_gb": round(found["with_mapped_files_gb"], 2),
            "scratch_bytes_a_page": round(found["scratch"] / count),
            "copies_us_a_page": round(1e6 * found["copies"] / count, 2), "budget_us_a_page": round(1e6 * found["budget"] / count, 3),
            "planted_not_found": missed, "wrongly_found": wrong, "budget_right": right,
        }  # fmt: skip
        shutil.rmtree(folder / "columns")
    print(result, flush=True)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=float, nargs="+", default=[1, 5, 20], help="how many pages, one run each")
    parser.add_argument("--scratch", type=Path, help="where the pages are made; default: the folder for temporary files")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        print(json.dumps(work(given.work)))
        return 0
    runs = [measured(int(millions * 1e6), given.scratch) for millions in given.millions]
    seconds = [run["copies_us_a_page"] + run["budget_us_a_page"] for run in runs]
    result = {f"{run['pages'] / 1e6:g}_million": run for run in runs}
    summary = {
        "peak_gb": max(run["peak_gb"] for run in runs),
        "time_ratio_of_a_page": round(seconds[-1] / seconds[0], 2),
        "planted_not_found": sum(run["planted_not_found"] for run in runs),
        "wrongly_found": sum(run["wrongly_found"] for run in runs),
        "budget_right": all(run["budget_right"] for run in runs),
    }
    return report(summary | result, BARS)


if __name__ == "__main__":
    sys.exit(main())
