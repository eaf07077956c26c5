"""A real language model learns additions by GRPO, on two cores: `make demo MODEL=smollm2`.

    python -m recipes.smollm2_additions
    python -m recipes.smollm2_additions --resume runs/smollm2

SmolLM2-135M-Instruct is fetched (`recipes/stages/smollm2_weights.py`) and asked "What is A + B?", A and B from 1 to 20, under the system
prompt "Answer with the number only.". It can nearly add, and mostly says something else first: of 200 held-out problems it gets 5 to 8 %
right. A LoRA of rank 16 learns by GRPO, from verdicts on 8 samples of each of 8 problems a step. Loop, options and files are those of
`reckon grpo-math`, with other defaults.

Seed 0, the package's weights, float32, one thread of a busy machine: from 5.5 % (95 % interval 3 to 10) to 86.5 % (81 to 91), in
728 seconds, and on a busier one in 1,866.
"""

import json
import os
import random
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from recipes import grpo_math
from recipes.grpo_math import Data
from recipes.setup.command_line import guarded, parse_options
from recipes.spelling.result_line import tell_result
from recipes.stages.smollm2_weights import smollm2_folder
from verifiers.atomic_files import atomic_path

HELD_OUT = 200


@dataclass(frozen=True, kw_only=True)
class Config(grpo_math.Config):
    """A real language model learns additions, on two cores."""

    model: str = ""
    """Another model than SmolLM2: a hub id, a folder, a run."""
    data: Data = ()
    """Other problems than the additions."""
    system_prompt: str = "Answer with the number only."
    steps: int = 20
    eval_every: int = 5
    problems_per_step: int = 8
    completions_per_problem: int = 8
    max_completion_length: int = 24
    tokens_per_micro_batch: int = 2400
    lr: float | None = 3e-4  # type: ignore[assignment]
    warmup: int = 5
    run: Path = Path("runs/smollm2")


def run(config: Config) -> int:
    """Model, problems, GRPO, and the RESULT line. Returns the exit code."""
    began = time.monotonic()
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # ours are enough; transformers would draw one a tensor
    if config.resume is None:
        config = _with_beginning(config)
    code = grpo_math.run(config)
    if code == 0:
        tell_result(_result(config.resume or config.run, seconds=time.monotonic() - began))
    return code


def _with_beginning(config: Config) -> Config:
    """With a model and problems, where none are named. Raises InputError where the model can be had nowhere."""
    from rl.runs.run_folder import RunFolder

    if not config.overwrite:
        RunFolder.check_new(config.run)  # before 90 MB are fetched
    if not config.model:
        config = replace(config, model=str(smollm2_folder()))
    if not config.data:
        train, held_out = write_problems(config.run)
        config = replace(config, data=(str(train),), eval_data=str(held_out))
    return config


def write_problems(run: Path) -> tuple[Path, Path]:
    """(training problems, held-out problems) as JSON Lines beside the run: 200 each of the 400, the same ones for every seed."""
    pairs = [(a, b) for a in range(1, 21) for b in range(1, 21)]
    random.Random(0).shuffle(pairs)
    run.parent.mkdir(parents=True, exist_ok=True)
    files = run.with_name(f"{run.name}-train.jsonl"), run.with_name(f"{run.name}-held-out.jsonl")
    for file, part in zip(files, (pairs[HELD_OUT:], pairs[:HELD_OUT]), strict=True):
        rows = [json.dumps({"prompt": f"What is {a} + {b}?", "answer": str(a + b)}) for a, b in part]
        with atomic_path(file) as temporary:
            temporary.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return files


def _result(run: Path, *, seconds: float) -> dict[str, object]:
    from rl.runs.run_folder import read_lines

    rows = [row for row in read_lines(run / "metrics.jsonl") if "eval/accuracy" in row]
    return {
        "before": rows[0]["eval/accuracy"],
        "after": rows[-1]["eval/accuracy"],
        "ci95": [round(rows[-1]["eval/low"], 4), round(rows[-1]["eval/high"], 4)],
        "seconds": round(seconds, 1),
        "steps": rows[-1]["step"],
    }


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parse_options(Config, sys.argv[1:], name="smollm2-additions"))))
