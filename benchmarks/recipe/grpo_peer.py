"""A real model learns additions by GRPO, here and in TRL: `python -m benchmarks.recipe.grpo_peer --model FOLDER`.

SmolLM2-135M-Instruct with a LoRA of rank 16: 15 steps of 8 problems x 8 completions of up to 24 tokens, learning rate 3e-4, warm-up 5.
`reckon grpo-math` and `trl.GRPOTrainer` run at the same time, each on a core and a thread of its own, over the same problems, in micro-
batches of about 16 sequences, with one verifier; both are then judged alike (`held_out.py`). The bars: held-out accuracy over 75 %, and
no slower a step than TRL, in processor time. TRL draws its problems in an order of its own.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.parts import report
from benchmarks.recipe.additions import MAX_TOKENS, SYSTEM, checked_model, write_problems
from benchmarks.recipe.held_out import judged
from benchmarks.recipe.pace import Run, side_by_side

TOKENS = 480
"""Of a micro-batch here: about 16 sequences of 22 tokens on prompts of 30, each of which is there once. TRL's have 16 sequences."""
RECKON = [sys.executable, "-m", "recipes.commands.cli"]
BARS = {"reckon": lambda found: found["accuracy"] > 0.75, "speed_against_trl": lambda ratio: ratio >= 1.0}


def runs_of(
    model: str, folder: Path, problems: Path, steps: int, seed: int, *, system: str = SYSTEM, max_tokens: int = MAX_TOKENS,
    tokens: int = TOKENS,
) -> dict[str, Run]:  # fmt: skip
    ours = [
        "grpo-math", "--model", model, "--data", str(problems), "--system-prompt", system, "--engine", "hf", "--dtype", "fp32",
        "--problems-per-step", "8", "--completions-per-problem", "8", "--max-completion-length", str(max_tokens), "--lr", "3e-4",
        "--warmup", "5", "--steps", str(steps), "--tokens-per-micro-batch", str(tokens), "--seed", str(seed),
        "--run", str(folder / "reckon"),
    ]  # fmt: skip
    theirs = f"--model {model} --problems {problems} --steps {steps} --seed {seed} --out {folder / 'trl'}".split()
    theirs += ["--system", system, "--max-tokens", str(max_tokens)]
    return {
        "reckon": Run([*RECKON, *ours], folder / "reckon" / "metrics.jsonl"),
        "trl": Run([sys.executable, "-m", "benchmarks.recipe.trl_grpo", *theirs], folder / "trl" / "steps.jsonl"),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder of SmolLM2-135M-Instruct")
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a new folder for the runs (default: a temporary one)")
    given = parser.parse_args()
    model = checked_model(given.model)
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        train, held_out = write_problems(folder)
        runs = runs_of(model, folder.resolve(), train.resolve(), given.steps, given.seed)
        side_by_side(list(runs.values()))
        asked = {"problems": held_out, "system": SYSTEM, "max_tokens": MAX_TOKENS}
        result = {"before": judged(model, None, **asked)}
        for name, run in runs.items():
            result[name] = judged(model, folder / name / "final", **asked) | run.pace()
    ours, theirs = (result[name]["processor_seconds_a_step"] for name in ("reckon", "trl"))
    return report(result | {"steps": given.steps, "speed_against_trl": round(theirs / ours, 2)}, BARS)


if __name__ == "__main__":
    sys.exit(main())
