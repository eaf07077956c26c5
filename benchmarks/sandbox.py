"""Programs a second in the strict sandbox, what they leave behind, and whether verdicts are CPython's own. Run as a user, not root.

    python -m benchmarks.sandbox [--runs 10000] [--data ../shared/data]

Throughput is of trivial programs, one after the other, on one core. Leaks are descriptors of this process, processes and work
folders after all runs against before. Verdicts: HumanEval's 164 reference solutions, and a mutant of each with one
token changed, which plain CPython judges too, unsandboxed, by the exit code of program and tests in one file. Bars: 200 runs/s
warm, 70/s fresh, nothing left, 164 and 164.
"""

import argparse
import gzip
import io
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import tokenize
from pathlib import Path
from typing import Any

from benchmarks.parts import DATA
from verifiers.problem import make_problem
from verifiers.programs.python_tests import verify
from verifiers.sandboxes.local_sandbox import Sandbox
from verifiers.sandboxes.running_program import Outcome

BAR_WARM, BAR_FRESH = 200, 70
TIME_LIMIT = 4.0
_SWAPS = {
    "+": "-", "-": "+", "*": "+", "/": "*", "//": "/", "%": "//", "**": "*", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=",
    "!=": "==", "+=": "-=", "-=": "+=", "*=": "+=", "and": "or", "or": "and", "True": "False", "False": "True", "not": "",
    "min": "max", "max": "min", "append": "extend", "sum": "max", "sorted": "list", "break": "continue", "in": "is",
}  # fmt: skip


def rate(sandbox: Sandbox, runs: int, *, fresh: bool) -> float:
    start = time.perf_counter()
    for _ in range(runs):
        run = sandbox.run("print(6 * 7)", fresh=fresh)
        assert run.status is Outcome.OK, run
        assert run.stdout == b"42\n", run
    return runs / (time.perf_counter() - start)


def held() -> dict[str, int]:
    """What a leak would make grow."""
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "processes": sum(name.isdigit() and b"-s\0-P\0-S\0" in _command(name) for name in os.listdir("/proc")),
        "temporary": sum(name.startswith("reckon-sandbox-") for name in os.listdir(tempfile.gettempdir())),
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 4096 * 4,
    }


def _command(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def mutant(source: str, seed: int) -> str | None:
    """The source with one token changed, or None if there is none to change."""
    lines = [f"{line}\n" for line in ("def f():\n" + source).splitlines()]
    tokens = list(tokenize.generate_tokens(io.StringIO("".join(lines)).readline))
    places = [token for token in tokens if token.start[0] > 1 and (token.string in _SWAPS or token.type == tokenize.NUMBER)]
    if not places:
        return None
    token = random.Random(seed).choice(places)
    new = _SWAPS.get(token.string, f"({token.string}+1)")
    row, (start, end) = token.start[0] - 1, (token.start[1], token.end[1])
    lines[row] = lines[row][:start] + new + lines[row][end:]
    return "".join(lines[1:])


def cpython_says(row: dict[str, Any], completion: str) -> bool:
    """Whether program and tests in one file run to their end."""
    program = f"{row['prompt']}{completion}\n{row['test']}\ncheck({row['entry_point']})\n"
    try:
        done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, timeout=TIME_LIMIT, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def verdicts(rows: list[dict[str, Any]]) -> dict[str, Any]:
    references = mutants = killed = 0
    disagree = []
    for number, row in enumerate(rows):
        problem = make_problem(row["prompt"], row["canonical_solution"], verifier="python_tests", meta=row | {"time_limit": TIME_LIMIT})
        references += verify(problem, row["canonical_solution"]).score == 1.0
        changed = mutant(row["canonical_solution"], number) or "    return 0\n"
        mine, theirs = verify(problem, changed), cpython_says(row, changed)
        mutants += mine.score == float(theirs)
        killed += not theirs
        if mine.score != float(theirs):
            disagree.append(f"{row['task_id']}: {mine.status} ({mine.detail}), CPython says {theirs}")
    return {"references": references, "mutants_as_cpython": mutants, "of": len(rows), "mutants_wrong": killed, "disagree": disagree}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one core, for the servers and programs too
    with Sandbox() as sandbox:
        rate(sandbox, 50, fresh=False)
        before = held()
        fresh = rate(sandbox, max(50, options.runs // 20), fresh=True)
        warm = rate(sandbox, options.runs, fresh=False)
        after = held()
    print(f"warm {warm:.0f}/s, fresh {fresh:.0f}/s on one core; before {before}, after {options.runs} runs {after}")
    leaked = {name: after[name] - before[name] for name in before if after[name] > before[name] + (8 if name == "megabytes" else 0)}
    result: dict[str, Any] = {"warm_per_s": round(warm), "fresh_per_s": round(fresh), "runs": options.runs, "leaked": leaked}
    result |= {"root": os.getuid() == 0, "python": sys.version.split()[0]}
    path = options.data / "verifier" / "code" / "HumanEval.jsonl.gz"
    passed = warm >= BAR_WARM and fresh >= BAR_FRESH and not leaked
    if path.is_file():
        with gzip.open(path, "rt", encoding="utf-8") as file:
            found = verdicts([json.loads(line) for line in file])
        print("\n".join(found["disagree"]))
        result |= found
        passed = passed and found["references"] == found["mutants_as_cpython"] == found["of"]
    else:
        print(f"no {path}: give --data; verdicts are not measured")
    print(f"RESULT {json.dumps({'passed': passed, **result})}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
