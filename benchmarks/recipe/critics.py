"""What a critic costs: `python -m benchmarks.recipe.critics --model FOLDER`.

A few steps of GRPO, and of PPO with each of its three critics, on SmolLM2-135M-Instruct with a LoRA of rank 16 in float32: 4 problems x
8 completions of up to 24 tokens, every run in a process of its own on one core and one thread. Processor seconds a step, and peaks of
resident memory, the interpreter and its libraries (about 0.5 GB) included. The bar: a critic on the policy's trunk takes hardly more
memory than none. Time has no bar: GRPO skips groups whose verdicts agree, a critic learns from every sequence and scores it first.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.parts import report
from benchmarks.recipe.additions import MAX_TOKENS, SYSTEM, checked_model, write_problems
from benchmarks.recipe.pace import Run, side_by_side
from benchmarks.recipe.worlds import RECKON

VARIANTS = {"grpo": ("grpo-math",), **{name: ("ppo", "--critic", name) for name in ("trunk", "adapter", "separate")}}
BARS = {"trunk_memory_over_grpo": lambda ratio: ratio <= 1.1}


def measured(model: str, folder: Path, steps: int) -> dict[str, dict[str, float]]:
    """Of each variant."""
    train, _ = write_problems(folder)
    sizes = ["--problems-per-step", "4", "--completions-per-problem", "8", "--max-completion-length", str(MAX_TOKENS)]
    given = ["--model", model, "--data", str(train), "--system-prompt", SYSTEM, "--engine", "hf", "--dtype", "fp32", *sizes]
    given += ["--steps", str(steps), "--lr", "3e-4", "--warmup", "0", "--tokens-per-micro-batch", "1200"]
    found = {}
    for name, words in VARIANTS.items():
        run = Run([*RECKON, *words, *given, "--run", str(folder / name)], folder / name / "metrics.jsonl")
        side_by_side([run])
        found[name] = run.pace() | {"peak_bytes": run.peak_bytes}
        print(f"{name:9} {found[name]['processor_seconds_a_step']:6.2f} s a step, {run.peak_bytes / 1e9:.2f} GB", flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder of SmolLM2-135M-Instruct")
    parser.add_argument("--steps", type=int, default=3)
    given = parser.parse_args()
    model = checked_model(given.model)
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = measured(model, Path(folder).resolve(), given.steps)
    kinds = {"memory": "peak_bytes", "time": "processor_seconds_a_step"}
    ratios = {
        f"{name}_{kind}_over_grpo": round(found[name][key] / found["grpo"][key], 3)
        for kind, key in kinds.items() for name in VARIANTS if name != "grpo"
    }  # fmt: skip
    return report(found | ratios, BARS)


if __name__ == "__main__":
    sys.exit(main())
