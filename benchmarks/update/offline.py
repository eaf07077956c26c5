"""SFT and DPO of a LoRA on SmolLM2-135M-Instruct: `reckon sft`, `reckon dpo` beside TRL's trainers, over the same examples once.

Tokens a second of processor time, and peak memory. TRL packs for SFT (best fit, without padding); its DPO pads, since 1.16 has padding-free
switched off there. Lengths are log-normal; what the texts say does not matter.
"""

import json
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.recipe.grpo_peer import RECKON
from benchmarks.recipe.pace import Run, side_by_side
from benchmarks.update.updates import ratios, spent

EXAMPLES_A_STEP = 16
LONGEST = 1024
MICRO_BATCH = 1024
"""Tokens of ours; TRL's SFT has one packed row of `LONGEST`, its DPO two pairs."""


@dataclass(frozen=True)
class Offline:
    examples: int
    mean: int
    """Tokens of a text, or of each completion of a pair."""
    prompt: int = 0
    faster: float = 1.5

    def holds(self, found: dict[str, Any]) -> bool:
        return found["speed_over_trl"] >= self.faster and found["memory_over_trl"] < 1


OFFLINE = {"sft": Offline(examples=32, mean=200), "dpo": Offline(examples=16, mean=150, prompt=100)}


def write_examples(file: Path, case: Offline, tokenizer: Any) -> int:
    """Returns how many tokens there are, a pair's prompt counted twice."""
    source, total = random.Random(0), 0

    def length() -> int:
        return min(LONGEST - case.prompt - 16, max(8, round(source.lognormvariate(0, 0.8) * case.mean / 1.377)))

    def text(tokens: int) -> str:
        words = _sums(source)
        ids: list[int] = []
        while len(ids) < tokens:
            ids += tokenizer.encode(next(words), add_special_tokens=False)
        return str(tokenizer.decode(ids[:tokens]))

    with file.open("w", encoding="utf-8") as lines:
        for _ in range(case.examples):
            row = (
                {"prompt": text(case.prompt), "chosen": text(length()), "rejected": text(length())}
                if case.prompt
                else {"text": text(length())}
            )
            lines.write(json.dumps(row) + "\n")
            parts = [row["text"]] if "text" in row else [row["prompt"] + row[side] for side in ("chosen", "rejected")]
            total += sum(len(tokenizer.encode(part)) for part in parts)
    return total


def _sums(source: random.Random) -> Iterator[str]:
    while True:
        a, b = source.randrange(100), source.randrange(100)
        yield f" The sum of {a} and {b} is {a + b}, since {a} + {b} = {a + b}."


def measured_offline(name: str, case: Offline, model: str, folder: Path) -> dict[str, Any]:
    from transformers import AutoTokenizer

    folder.mkdir(parents=True)
    data = folder.resolve() / "examples.jsonl"
    tokens = write_examples(data, case, AutoTokenizer.from_pretrained(model, trust_remote_code=False))
    own, theirs = folder.resolve() / "reckon", folder.resolve() / "trl"
    ours = [
        name, "--model", model, "--data", str(data), "--no-chat-template", "--dtype", "fp32", "--examples-per-step", str(EXAMPLES_A_STEP),
        "--tokens-per-micro-batch", str(MICRO_BATCH), "--lr", "1e-4", "--max-length", str(LONGEST), "--run", str(own),
    ]  # fmt: skip
    peer = ["benchmarks.update.trl_offline", "--model", model, "--data", str(data), "--out", str(theirs), "--method", name]
    runs = {"reckon": Run([*RECKON, *ours], own / "metrics.jsonl"), "trl": Run([sys.executable, "-m", *peer], theirs / "steps.jsonl")}
    side_by_side(list(runs.values()))
    found: dict[str, Any] = {"tokens": tokens} | {side: spent(run, tokens) for side, run in runs.items()}
    return found | ratios(found)
