"""Where the benchmarks find their data, and one benchmark run by another, in a process of its own."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("RECKON_DATA", ROOT.parent / "shared" / "data"))
LONGEST = 3600.0  # seconds of one benchmark


def benchmark(module: str, arguments: Sequence[str] = ()) -> dict[str, Any]:
    """The RESULT of `benchmarks.MODULE`; one that gives none has failed."""
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
