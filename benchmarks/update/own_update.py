"""GRPO updates on rollouts that lie in a file, as the loop of `reckon grpo-math` makes them; in a process of its own.

A line is logged before the first step and after each, as `benchmarks/recipe/pace.py` reads it.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.update.rollouts import read_rollouts

RATE = 1e-4


def batch_of(groups: list[dict[str, Any]]) -> Any:
    """With advantages as GRPO gives them."""
    import torch

    from rl.objectives.batch import lay_out
    from rl.objectives.credit import Signal, zscore

    rows = [(number, group["prompt"], completion) for number, group in enumerate(groups) for completion in group["completions"]]
    batch = lay_out(
        [[*prompt, *completion] for _, prompt, completion in rows],
        [[*[False] * len(prompt), *[True] * len(completion)] for _, prompt, completion in rows],
        [len(prompt) for _, prompt, _ in rows],
        groups=[number for number, _, _ in rows],
    )
    outcome = torch.tensor([group["rewards"] for group in groups])
    return batch.with_columns(zscore(Signal(outcome, torch.ones_like(outcome, dtype=torch.bool), batch)))


def main() -> None:
    from transformers import AutoModelForCausalLM

    from rl.learning.adapters import Lora
    from rl.learning.policy import Policy
    from rl.objectives.algorithms import grpo

    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "rollouts", "out", "tune"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--tokens-per-micro-batch", type=int, required=True)
    given = parser.parse_args()
    out = Path(given.out)
    out.mkdir(parents=True)
    model = AutoModelForCausalLM.from_pretrained(given.model, dtype="float32", trust_remote_code=False)
    lora = Lora(rank=16, alpha=32.0) if given.tune == "lora" else None
    policy = Policy(model, lora=lora, layout="auto", tokens_per_micro_batch=given.tokens_per_micro_batch, device="cpu")
    objective, steps = grpo().objective, read_rollouts(Path(given.rollouts))
    with (out / "steps.jsonl").open("a") as log:
        print(json.dumps({"step": 0, "layout": policy.layout}), file=log, flush=True)
        for number, groups in enumerate(steps, 1):
            batch = batch_of(groups)
            # of what was sampled nothing is known here; the log's distance to the sampler is measured against the policy itself
            stats = policy.update(batch.with_columns({"sampler_logp": batch.column("advantage") * 0}), objective, lr=RATE)
            print(json.dumps({"step": number, "loss": stats.loss, "grad_norm": stats.grad_norm}), file=log, flush=True)


if __name__ == "__main__":
    main()
