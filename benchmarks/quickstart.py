"""Does GRPO teach the quickstart's model, whatever the seed? `python -m benchmarks.quickstart --seeds 0 1 2`

Runs the recipe once for each seed, one after the other, as `make demo` does, and prints what it gained. The bar: greedy accuracy
on 500 held-out problems up by at least 30 points by GRPO, within 300 seconds on two CPU cores.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

BAR_POINTS, BAR_SECONDS = 30, 300


def run(seed: int, folder: Path, engine: str) -> dict[str, float]:
    """The RESULT of one run. Raises CalledProcessError if it fails."""
    options = f"--engine {engine} --seed {seed} --run {folder / f'seed-{seed}'}".split()
    command = [sys.executable, "-m", "recipes.commands.cli", "quickstart", *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1].removeprefix("RESULT ")))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--engine", default="auto", choices=["auto", "hf", "vllm"])
    arguments = parser.parse_args()
    seeds = arguments.seeds
    with tempfile.TemporaryDirectory() as folder:
        results = {seed: run(seed, Path(folder), arguments.engine) for seed in seeds}
    gains = {seed: 100 * (r["after"] - r["before"]) for seed, r in results.items()}
    slowest = max(r["seconds"] for r in results.values())
    for seed, result in results.items():
        print(f"seed {seed}: {result['before']:.1%} -> {result['after']:.1%} ({gains[seed]:+.1f} points) in {result['seconds']:.0f} s")
    passed = min(gains.values()) >= BAR_POINTS and slowest <= BAR_SECONDS
    print(f"RESULT {json.dumps({'passed': passed, 'least_gain': round(min(gains.values()), 1), 'slowest': slowest, 'seeds': results})}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
