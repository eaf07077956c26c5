"""What the benchmarks share: their data, options, timing and result, and one benchmark run by another, in a process of its own."""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("RECKON_DATA", ROOT.parent / "shared" / "data"))
WEB = DATA / "web"
LONGEST = 3600.0  # seconds of one benchmark
Bars = Mapping[str, Callable[[Any], bool]]


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").strip().split("\n")]


def labelled_rows() -> list[dict[str, Any]]:
    """What is known of each labelled page of the web, with its path from `WEB` on."""
    return json_lines(WEB / "MANIFEST.jsonl")


def options(doc: str | None, *, peer: str = "") -> argparse.ArgumentParser:
    """A parser that shows the benchmark's docstring; `peer` says what the Python of `--peer` must have."""
    if not DATA.is_dir():
        sys.exit(f"error: no data at {DATA}; set RECKON_DATA to their folder")
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    if peer:
        parser.add_argument("--peer", help=f"a Python with {peer}")
    return parser


def best_seconds(action: Callable[[], object], runs: int = 3) -> float:
    """Seconds of processor time, the least of several runs: what else runs on the machine disturbs it least."""
    seconds = []
    for _ in range(runs):
        start = time.process_time()
        action()
        seconds.append(time.process_time() - start)
    return min(seconds)


def megabytes(texts: Sequence[str]) -> float:
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) / 1e6


def report(result: Mapping[str, Any], bars: Bars) -> int:
    """Print every figure, with a mark where it is below its bar, and the RESULT; the exit code."""
    failed = [name for name, holds in bars.items() if name in result and not holds(result[name])]
    for name, value in result.items():
        print(f"{name}: {value}{'   BELOW THE BAR' if name in failed else ''}")
    return ended(result, failed)


def ended(result: Mapping[str, Any], failed: Sequence[str]) -> int:
    """Print the RESULT; the exit code."""
    print(f"RESULT {json.dumps({'passed': not failed, 'failed': failed} | dict(result), ensure_ascii=False)}")
    return 1 if failed else 0


def benchmark(module: str, arguments: Sequence[str] = (), *, longest: float = LONGEST) -> dict[str, Any]:
    """The RESULT of `benchmarks.MODULE`; one that gives none, or takes more than `longest` seconds, has failed."""
    print(f"--- {module} {' '.join(arguments)}", flush=True)
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, timeout=longest)
    except subprocess.TimeoutExpired:
        return {"passed": False, "failed": [f"no result in {longest:.0f} s"]}
    print(done.stdout, flush=True)
    return result_of(done.stdout, done.returncode)


def result_of(output: str, code: int) -> dict[str, Any]:
    found = re.findall(r"^RESULT (\{.*\})$", output, re.MULTILINE)
    return dict(json.loads(found[-1])) if found else {"passed": False, "failed": [f"exit code {code}, no result"]}


def verdict(part: dict[str, Any]) -> str:
    return "all bars met" if part.get("passed") else "BELOW A BAR: " + ", ".join(part.get("failed") or ["see above"])
