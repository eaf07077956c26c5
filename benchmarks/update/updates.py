"""Updates alone, on the same made-up rollouts here and in TRL at the same time: trained tokens a second of processor time, peak memory.

The largest difference of the two gradients' norms is measured too: it says that both did the same work.
"""

import json
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.recipe.pace import Run, side_by_side
from benchmarks.update.rollouts import Lengths, completion_tokens, read_rollouts, write_model, write_rollouts

PYTHON = [sys.executable, "-m"]


@dataclass(frozen=True)
class Update:
    lengths: Lengths
    tokens_per_micro_batch: int
    rows: int
    """Sequences in a micro-batch of TRL's, whose default is 8."""
    faster: float
    """Trained tokens a second over TRL's, at least."""
    memory: float = 1.0
    """Of TRL's, at most."""
    tune: str = "full"

    def holds(self, found: dict[str, Any]) -> bool:
        return found["speed_over_trl"] >= self.faster and found["memory_over_trl"] <= self.memory


_TAILS = Lengths(problems=4, completions=8, prompt=256, mean=200, largest=2048)
UPDATES = {
    "tails": Update(_TAILS, 4096, 8, faster=3, memory=1 / 3),
    "dead": Update(Lengths(**{**vars(_TAILS), "silent": 2}), 4096, 8, faster=5),
    "uniform": Update(Lengths(problems=4, completions=8, prompt=1, mean=256, largest=256), 2056, 8, faster=1.3),
}


def measured_update(case: Update, folder: Path, steps: int, *, tiny: bool = False) -> dict[str, Any]:
    folder.mkdir(parents=True)
    model, rollouts = write_model(folder / "model", tiny=tiny), write_rollouts(folder, case.lengths, steps)
    both = ["--model", str(model.resolve()), "--rollouts", str(rollouts.resolve()), "--tune", case.tune]
    sizes = {"own": ["--tokens-per-micro-batch", str(case.tokens_per_micro_batch)], "trl": ["--rows", str(case.rows)]}
    runs = {
        name: Run([*PYTHON, f"benchmarks.update.{name}_update", *both, *size, "--out", str(out)], out / "steps.jsonl")
        for name, size in sizes.items()
        if (out := folder.resolve() / name)
    }
    side_by_side(list(runs.values()))
    tokens = completion_tokens(read_rollouts(rollouts))
    found: dict[str, Any] = {"reckon": spent(runs["own"], tokens), "trl": spent(runs["trl"], tokens)}
    found |= ratios(found)
    own, theirs = (norms(folder / name) for name in ("own/steps.jsonl", "trl/norms.jsonl"))
    found["grad_norms_differ_by"] = max(abs(own[step] / theirs[step] - 1) for step in theirs)
    return found


def spent(run: Run, tokens: int) -> dict[str, float]:
    """Between the first and the last line of its log."""
    run.pace()  # raises for a program that failed
    processor = [mark[1] for mark in run.marks]
    seconds = processor[-1] - processor[0]
    each = [round(after - before, 2) for before, after in pairwise(processor)]
    return {
        "tokens_a_second": round(tokens / seconds, 1), "processor_seconds": round(seconds, 2), "slowest_step": max(each),
        "peak_gb": round(run.peak_bytes / 1e9, 2),
    }  # fmt: skip


def ratios(found: dict[str, Any]) -> dict[str, float]:
    ours, theirs = found["reckon"], found["trl"]
    return {
        "speed_over_trl": round(ours["tokens_a_second"] / theirs["tokens_a_second"], 2),
        "memory_over_trl": round(ours["peak_gb"] / theirs["peak_gb"], 3),
    }


def norms(file: Path) -> dict[int, float]:
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {row["step"]: float(row["grad_norm"]) for row in rows if "grad_norm" in row}
