"""Whole GRPO steps, `reckon grpo-math` beside `trl.GRPOTrainer` at the same time: seconds of processor time a step, peak memory.

`short` and `long`: a LoRA on SmolLM2-135M-Instruct, 8 problems x 8 completions, prompts of about 30 tokens and completions of up to 24,
or of about 256 and 64; after `short` both are judged alike. `quickstart`: all parameters of the quickstart's model after its warm start,
64 x 16.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.parts import ROOT
from benchmarks.recipe.additions import MAX_TOKENS, SYSTEM, write_problems
from benchmarks.recipe.grpo_peer import RECKON, TOKENS, runs_of
from benchmarks.recipe.held_out import judged
from benchmarks.recipe.pace import Run, side_by_side

LONG_SYSTEM = " ".join([SYSTEM, *(f"{a} + {b} is {a + b}." for a in range(21, 25) for b in range(21, 26))])


@dataclass(frozen=True)
class Steps:
    system: str
    max_tokens: int
    seconds: float
    """Of TRL's, at most."""
    memory: float
    tokens: int
    """Of a micro-batch here; in all cases about 16 sequences, as TRL's."""
    judged: bool = False

    def holds(self, found: dict[str, Any]) -> bool:
        fast = found["seconds_over_trl"] <= self.seconds and found["memory_over_trl"] <= self.memory
        return fast and (not self.judged or found["reckon"]["accuracy"] >= found["trl"]["ci95"][0])


STEPS = {
    "short": Steps(SYSTEM, MAX_TOKENS, 1 / 4, 1 / 2, TOKENS, judged=True),
    "long": Steps(LONG_SYSTEM, 64, 1 / 6, 1 / 2, 1600),
}


def measured_steps(case: Steps, model: str, steps: int, folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True)
    train, held_out = write_problems(folder)
    sizes: dict[str, Any] = {"system": case.system, "max_tokens": case.max_tokens, "tokens": case.tokens}
    runs = runs_of(model, folder.resolve(), train.resolve(), steps, 0, **sizes)
    side_by_side(list(runs.values()))
    found = paces(runs)
    if case.judged:
        asked: dict[str, Any] = {"system": case.system, "max_tokens": case.max_tokens}
        for name in runs:
            found[name] |= judged(model, folder / name / "final", held_out, **asked)
    taught = [row["effective_batch"] for row in map(json.loads, runs["reckon"].log.read_text().splitlines()) if "effective_batch" in row]
    return found | {"sequences_taught": taught}


def paces(runs: dict[str, Run]) -> dict[str, Any]:
    found: dict[str, Any] = {name: run.pace() | {"peak_gb": round(run.peak_bytes / 1e9, 2)} for name, run in runs.items()}
    ours, theirs = found["reckon"], found["trl"]
    found["seconds_over_trl"] = round(ours["processor_seconds_a_step"] / theirs["processor_seconds_a_step"], 3)
    found["memory_over_trl"] = round(ours["peak_gb"] / theirs["peak_gb"], 3)
    return found


# --- the quickstart's model ----------------------------------------------------------------------------------------------

PROBLEMS, COMPLETIONS, LONGEST = 64, 16, 40


def quickstart_holds(found: dict[str, Any]) -> bool:
    return bool(found["seconds_over_trl"] <= 1 / 3)


def measured_quickstart(steps: int, folder: Path) -> dict[str, Any]:
    """Its recipe's settings: 1,024 completions a step."""
    folder.mkdir(parents=True)
    place = folder.resolve()
    first = ["quickstart", "--steps", "1", "--held-out", "10", "--eval-every", "0", "--engine", "hf", "--run", str(place / "begun")]
    subprocess.run([*RECKON, *first], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    model, problems = place / "begun" / "warm_start", write_sums(place / "problems.jsonl")
    ours = [
        "grpo-math", "--model", str(model), "--data", str(problems), "--engine", "hf", "--dtype", "fp32", "--tune", "full",
        "--problems-per-step", str(PROBLEMS), "--completions-per-problem", str(COMPLETIONS), "--max-completion-length", str(LONGEST),
        "--lr", "3e-4", "--warmup", "5", "--steps", str(steps), "--tokens-per-micro-batch", "4096", "--max-sequences", "1024",
        "--run", str(place / "reckon"),
    ]  # fmt: skip
    theirs = f"--model {model} --problems {problems} --steps {steps} --out {place / 'trl'} --max-tokens {LONGEST} --tune full --no-chat"
    theirs += f" --rows {PROBLEMS * COMPLETIONS // 16} --micro-batches 16 --completions {COMPLETIONS}"
    runs = {
        "reckon": Run([*RECKON, *ours], place / "reckon" / "metrics.jsonl"),
        "trl": Run([sys.executable, "-m", "benchmarks.recipe.trl_grpo", *theirs.split()], place / "trl" / "steps.jsonl"),
    }
    side_by_side(list(runs.values()))
    found = paces(runs)
    for name in runs:
        found[name]["samples_a_second"] = round(PROBLEMS * COMPLETIONS / found[name]["processor_seconds_a_step"], 1)
    return found


def write_sums(file: Path) -> Path:
    from recipes.setup.arithmetic import make_problems

    rows = [{"prompt": p.prompt, "answer": p.answer, "verifier": "math_answer"} for p in make_problems(2000, seed=1)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file
