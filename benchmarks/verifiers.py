"""All verifiers against their bars, a table and one result: `python -m benchmarks.verifiers [--peer /path/to/python]`.

Runs, each in a process of its own: `benchmarks.math_answers` (HardVerify, Math-Verify's tests, speed, hostile answers; `--peer` names a
Python with Math-Verify 0.9.0 for the comparison), `benchmarks.sandbox` (throughput, leaks, HumanEval and mutants), the named attacks on the
sandbox from the test suite, and `benchmarks.metamath` (2,000 proofs and 2,000 mutants, needs Debian's metamath and
metamath-databases). What cannot run here is named under `not_measured`. Time nothing else meanwhile: about ten minutes, two cores.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.parts import LONGEST, ROOT, benchmark, ended, options, verdict

ATTACKS = (
    "tests/verifiers/sandboxes/test_sandbox.py",
    "tests/verifiers/programs/test_python_tests.py",
    "tests/verifiers/programs/test_code_failures.py",
    "tests/verifiers/sandboxes/test_interpreter.py",
)
SET_MM = Path("/usr/share/metamath/databases/set.mm")


def attacks() -> dict[str, Any]:
    """The sandbox's tests, every one of which is an attack or a false reward that must not be earned."""
    print("--- attacks", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *ATTACKS]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, timeout=LONGEST)
    last = done.stdout.strip().splitlines()[-1]
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", last)}
    print(last, flush=True)
    return {"passed": done.returncode == 0, "tests": counts}


def main() -> int:
    parser = options(__doc__, peer="Math-Verify")
    parser.add_argument("--runs", type=int, default=10_000, help="programs in the sandbox")
    given = parser.parse_args()
    missing = [] if given.peer else ["Math-Verify: give --peer, a Python that has it"]
    result = {
        "math_answers": benchmark("math_answers", ["--peer", given.peer] if given.peer else []),
        "sandbox": benchmark("sandbox", ["--runs", str(given.runs)]),
        "attacks": attacks(),
    }
    if shutil.which("metamath") and SET_MM.is_file():
        result["metamath"] = benchmark("metamath")
    else:
        missing.append("metamath: apt-get install metamath metamath-databases")
    for name, part in result.items():
        print(f"{name:14} {verdict(part)}")
    return ended({"not_measured": missing} | result, [name for name, part in result.items() if not part["passed"]])


if __name__ == "__main__":
    sys.exit(main())
