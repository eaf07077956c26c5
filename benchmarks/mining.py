"""The mining pipeline against its bars, a table and one result: `python -m benchmarks.mining [--peer /path/to/python]`.

Runs, each in a process of its own: `mining_prefilter` (reading, hostile input), `mining_mathml` (MathML to TeX), `mining_extraction`
(formulas kept, main text, speed), `mining_classifier` (unseen sources), `mining_quality` (what rules keep), `mining_duplicates` (near-
duplicates, decontamination) and `mining_loop` (the whole loop, kill and rerun). `--peer` names a Python with trafilatura, datatrove,
resiliparse and warcio for the comparisons. What cannot run here is named under `not_measured`. Time nothing else meanwhile.
"""

import argparse
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PARTS = (
    "mining_prefilter",
    "mining_mathml",
    "mining_extraction",
    "mining_classifier",
    "mining_quality",
    "mining_duplicates",
    "mining_loop",
)
WITH_PEER = frozenset(("mining_prefilter", "mining_extraction", "mining_duplicates"))
LONGEST = 3600.0


def benchmark(module: str, arguments: Sequence[str] = ()) -> dict[str, Any]:
    """The RESULT of another benchmark; one that gives none has failed."""
    print(f"--- {module} {' '.join(arguments)}", flush=True)
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        return {"passed": False, "failed": [f"no result in {LONGEST:.0f} s"]}
    print(done.stdout, flush=True)
    return result_of(done.stdout, done.returncode)


def result_of(output: str, code: int) -> dict[str, Any]:
    found = re.findall(r"^RESULT (\{.*\})$", output, re.MULTILINE)
    return dict(json.loads(found[-1])) if found else {"passed": False, "failed": [f"exit code {code}, no result"]}


def verdict(part: dict[str, Any]) -> str:
    return "all bars met" if part.get("passed") else "BELOW A BAR: " + ", ".join(part.get("failed") or ["see above"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="a Python with trafilatura, datatrove, resiliparse and warcio")
    parser.add_argument("--only", choices=PARTS, action="append", help="run only this part (may be given several times)")
    options = parser.parse_args()
    missing = [] if options.peer else ["peers: give --peer, a Python that has trafilatura, datatrove, resiliparse and warcio"]
    result: dict[str, dict[str, Any]] = {}
    for name in options.only or PARTS:
        if importlib.util.find_spec(f"benchmarks.{name}") is None:
            result[name] = {"passed": False, "failed": [f"benchmarks/{name}.py is missing"]}
            continue
        result[name] = benchmark(name, ["--peer", options.peer] if options.peer and name in WITH_PEER else [])
        missing += [f"{name}: {what}" for what in result[name].get("not_measured", [])]
    missing += [f"{name}: left out by --only" for name in PARTS if name not in result]
    for name, part in result.items():
        print(f"{name:18} {verdict(part)}")
    failed = [name for name, part in result.items() if not part.get("passed")]
    print(f"RESULT {json.dumps({'passed': not failed, 'failed': failed, 'not_measured': missing} | result)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
