"""What a reference costs in memory: `python -m benchmarks.recipe.preference_memory --model FOLDER`.

Two steps of `reckon dpo` on SmolLM2-135M-Instruct in float32, four pairs each, every run in a process of its own: with the adapter
switched off as the reference, with a second model beside a LoRA, with all parameters and a copy of them (the two models of a plain DPO),
with all parameters and scores that were kept on disk; and of `reckon orpo`, which has no reference. Peaks are of resident memory, the
interpreter and its libraries (about 0.5 GB) included. The bar: the adapter switched off takes at most 60 % of two models.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.parts import report
from benchmarks.recipe.additions import SYSTEM, checked_model, write_problems
from benchmarks.recipe.pace import completed
from benchmarks.recipe.worlds import RECKON
from verifiers.rewards.problem_file import read_problems

BARS = {"adapter_off_of_two_models": lambda share: share <= 0.6}


def write_pairs(folder: Path, count: int = 8) -> Path:
    """Additions with the right sum and one that is ten too large."""
    pairs = folder / "pairs.jsonl"
    rows = [
        {
            "prompt": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": problem.prompt}],
            "chosen": [{"role": "assistant", "content": problem.answer}],
            "rejected": [{"role": "assistant", "content": str(int(problem.answer) + 10)}],
        }
        for problem in read_problems(write_problems(folder)[0], limit=count)
    ]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return pairs


def peaks(model: str, folder: Path) -> dict[str, int]:
    """Bytes of each."""
    data = ["--model", model, "--data", str(write_pairs(folder)), "--dtype", "fp32", "--steps", "2", "--examples-per-step", "4"]
    variants = {
        "adapter_off": ["dpo", "--tune", "lora"],
        "second_model": ["dpo", "--tune", "lora", "--reference-model", model],
        "full_and_copy": ["dpo", "--tune", "full"],
        "full_and_kept_scores": ["dpo", "--tune", "full", "--reference-scores", str(folder / "scores")],
        "orpo": ["orpo", "--tune", "lora"],
    }
    found = {}
    for name, words in variants.items():
        run = folder / name
        found[name] = completed([*RECKON, *words, *data, "--run", str(run)], run.with_suffix(".log")).peak_bytes
        print(f"{name:22} {found[name] / 1e9:.2f} GB", flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder of SmolLM2-135M-Instruct")
    model = checked_model(parser.parse_args().model)
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = peaks(model, Path(folder))
    return report(found | {"adapter_off_of_two_models": round(found["adapter_off"] / found["full_and_copy"], 3)}, BARS)


if __name__ == "__main__":
    sys.exit(main())
