"""What a trained policy says to held-out sums: sampled at temperature 1, which is what the methods maximise, and greedily.

By plain transformers and the problems' verifiers, from what a method left on disk, as `benchmarks/recipe/held_out.py` judges.
"""

from pathlib import Path
from typing import Any

from benchmarks.compare.intervals import wilson
from benchmarks.recipe import chains
from benchmarks.recipe.held_out import judged, load, responses, spoken_to
from benchmarks.recipe.worlds import World
from verifiers.verdict import Status
from verifiers.worker_pool.verifier_pool import VerifierPool

SAMPLES = 4
"""Of each held-out problem."""


def said(world: World, trained: Path | None) -> dict[str, Any]:
    """`accuracy` of samples with its interval, right ones of each problem, `lines` that are right, `careful` responses, and `greedy`."""
    import torch

    problems, chat = spoken_to(world.model, world.held_out, system=world.system)
    asked = [problem for problem in problems for _ in range(SAMPLES)]
    torch.manual_seed(world.seed)
    plain = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    texts = responses(load(world.model, trained), chat, asked, world.max_tokens, **plain)
    with VerifierPool() as pool:
        verdicts = pool.verify_many(list(zip(asked, texts, strict=True)))
    right = [verdict.status is Status.RIGHT for verdict in verdicts]
    counts = [sum(right[at : at + SAMPLES]) for at in range(0, len(right), SAMPLES)]
    lines = [score for problem, text in zip(asked, texts, strict=True) for score in chains.score(problem, text.splitlines())]
    return {
        **wilson(counts, SAMPLES), "right": counts, "lines": round(sum(lines) / len(lines), 4),
        "careful": round(sum(len(text.splitlines()) == chains.TERMS for text in texts) / len(texts), 4),
        "greedy": judged(world.model, trained, world.held_out, system=world.system, max_tokens=world.max_tokens),
    }  # fmt: skip
