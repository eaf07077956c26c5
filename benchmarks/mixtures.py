"""What are mixtures worth? `python -m benchmarks.mixtures`, two minutes on a core.

A tiny model, a domain of random signs and one of digits that each follow from the two before. `reckon mix` (DoReMi at the paper's settings)
finds the weights; then the model is trained by them and by equal weights, for the same tokens, with three seeds, and the loss of digits
that no run has seen is compared. The last line is `RESULT {json}`.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.parts import ended, json_lines

LENGTH, TARGET = 20, 60  # letters of a row; held-out rows
OPTIONS = ("--tune", "full", "--lr", "1e-2", "--examples-per-step", "16")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        make_world(place)
        options = ["--model", place / "model", "--data", place / "domains", "--steps", given.steps, *OPTIONS]
        reckon("mix", *options, "--run", place / "mix")
        weights = json.loads((place / "mix" / "weights.json").read_text())["weights"]
        (place / "alike.json").write_text('{"weights": {"noise": 1, "sums": 1}}')
        losses: dict[str, list[float]] = {"mixed": [], "alike": []}
        for seed in range(given.seeds):
            for name, mixture in (("mixed", place / "mix" / "weights.json"), ("alike", place / "alike.json")):
                run = place / f"{name}-{seed}"
                reckon("sft", *options, "--mixture", mixture, "--eval-data", place / "target", "--seed", seed, "--run", run)
                losses[name].append(json_lines(run / "metrics.jsonl")[-1]["eval/loss/sums"])
                print(f"seed {seed}, {name}: held-out loss of the digits {losses[name][-1]:.3f} nats a token", flush=True)
    pairs = list(zip(losses["mixed"], losses["alike"], strict=True))
    bars = {"mixtures_turn_from_noise": weights["noise"] < 0.1, "mixtures_lower_loss": all(mixed < alike for mixed, alike in pairs)}
    return ended({"weights": weights, "steps": given.steps, "losses": losses}, [name for name, met in bars.items() if not met])


def reckon(*words: Any) -> None:
    done = subprocess.run([sys.executable, "-m", "recipes.commands.cli", *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr[-2000:])


def noise(chance: random.Random) -> str:
    return "".join(chance.choices("+-= ", k=LENGTH))


def sums(chance: random.Random) -> str:
    digits = [chance.randrange(10), chance.randrange(10)]
    while len(digits) < LENGTH:
        digits.append((digits[-1] + digits[-2]) % 10)
    return "".join(map(str, digits))


def make_world(place: Path) -> None:
    """The model, the two domains (two thirds of the rows are noise) and rows of the target."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from recipes.setup.arithmetic import make_tokenizer

    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    settings = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 64, "tie_word_embeddings": True, "initializer_range": 0.05,
        "bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip
    Qwen2ForCausalLM(Qwen2Config(**settings)).save_pretrained(place / "model")
    tokenizer.save_pretrained(place / "model")
    write_rows(place / "domains" / "noise.jsonl", noise, 600, 1)
    write_rows(place / "domains" / "sums.jsonl", sums, 300, 2)
    write_rows(place / "target" / "sums.jsonl", sums, TARGET, 3)


def write_rows(path: Path, make: Callable[[random.Random], str], count: int, seed: int) -> None:
    chance = random.Random(seed)
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps({"text": make(chance)}) + "\n" for _ in range(count)))


if __name__ == "__main__":
    sys.exit(main())
