"""The numbers of `reckon kto`'s second step, worked out from nothing but transformers' logits: reference point, loss, rewards."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from recipes.commands.cli import main
from rl.runs.run_folder import read_lines

BETA, WANTED, UNWANTED = 0.3, 1.5, 0.7
TEXTS = [("1+1=", "2"), ("2+1=", "3 or 4"), ("3+3=", "six")]
WORDS = ["--examples-per-step", "3", "--no-shuffle", "--warmup", "0", "--schedule", "constant", "--tune", "full", "--beta", str(BETA)]
WORDS += ["--desirable-weight", str(WANTED), "--undesirable-weight", str(UNWANTED)]


def _gain(policy: Any, reference: Any, tokenizer: Any, prompt: str, completion: str) -> float:
    """Σ over the completion's tokens and its end of log p(policy) - log p(reference)."""
    before = f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
    start = len(tokenizer.encode(before, add_special_tokens=False))
    ids = torch.tensor([tokenizer.encode(f"{before}{completion}<|im_end|>", add_special_tokens=False)])
    with torch.no_grad():
        both = [model(ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[start - 1 :, 0] for model in (policy, reference)]
    return float((both[0] - both[1]).sum())


@pytest.mark.parametrize("labels", [(True, False, True), (False, True, False)])
def test_the_second_step_of_three_examples(labels: tuple[bool, ...], model_folder: Path, tmp_path: Path) -> None:
    """Where most answers are wanted, other prompts' answers get likelier too, and z0 is above 0; where they are not, it is clamped."""
    data = tmp_path / "data.jsonl"
    examples = [(*texts, label) for texts, label in zip(TEXTS, labels, strict=True)]
    rows = [{"prompt": prompt, "completion": completion, "label": label} for prompt, completion, label in examples]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for steps in (1, 2):
        words = ["--model", model_folder, "--data", data, "--run", tmp_path / str(steps), "--steps", steps, "--lr", "1e-2"]
        assert main(["kto", *map(str, words), *WORDS]) == 0
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    policy, reference = (AutoModelForCausalLM.from_pretrained(place) for place in (tmp_path / "1" / "final", model_folder))

    mean = sum(_gain(policy, reference, tokenizer, TEXTS[n][0], TEXTS[(n + 1) % 3][1]) for n in range(3)) / 3
    assert (mean > 0.1) is labels[0]
    assert (mean < -0.1) is not labels[0]
    z0 = max(0.0, mean)
    gains = [_gain(policy, reference, tokenizer, prompt, completion) for prompt, completion in TEXTS]
    losses = [
        WANTED / (1 + math.exp(BETA * (gain - z0))) if label else UNWANTED / (1 + math.exp(-BETA * (gain - z0)))
        for gain, (_, _, label) in zip(gains, examples, strict=True)
    ]
    first, second = read_lines(tmp_path / "2" / "metrics.jsonl")[1:]
    first_losses = [WANTED / 2 if label else UNWANTED / 2 for label in labels]
    assert first["loss"] == pytest.approx(sum(first_losses) / 3, abs=1e-6), "nothing is learnt yet, so each is at σ(0)"
    assert first["kl"] == pytest.approx(0.0, abs=1e-5)
    assert second["kl"] == pytest.approx(z0, abs=1e-4)
    assert second["loss"] == pytest.approx(sum(losses) / 3, abs=1e-5)
    for name, wanted in (("rewards/chosen", True), ("rewards/rejected", False)):
        own = [gain for gain, label in zip(gains, labels, strict=True) if label is wanted]
        assert second[name] == pytest.approx(BETA * sum(own) / len(own), abs=1e-4)
