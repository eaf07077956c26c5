"""Models, data and commands whose memory is measured: SmolLM2-135M, and two models of about 30M numbers that are made on the spot."""

import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, Qwen2Config

TEXT = "the sum of two numbers is found by adding first their ones and then their tens while a carry goes to the left"
REWARD = """
import hashlib

def by_chance(problem, response):
    return float(hashlib.blake2b(response.encode()).digest()[0] % 2)
"""


@dataclass(frozen=True)
class World:
    """Where everything lies."""

    models: Mapping[str, Path]
    rows: Path
    pairs: Path
    problems: Mapping[str, Path]
    """By the length of their prompts."""
    reward: str

    def words(self, command: str, model: str, run: Path, more: list[str]) -> list[str]:
        """The command without `reckon`."""
        online = command in ("grpo-math", "ppo")
        data = self.pairs if command in ("dpo", "orpo") else self.rows
        if online:
            data = self.problems["long" if "--long" in more else "short"]
            more = [*(word for word in more if word != "--long"), "--reward", self.reward, "--engine", "hf", "--system-prompt", ""]
        return [command, "--model", str(self.models[model]), "--data", str(data), "--dtype", "fp32", "--run", str(run), *more]


def make_world(folder: Path, real: str) -> World:
    """`real`: a folder with SmolLM2, whose tokenizer all speak by."""
    tokenizer = AutoTokenizer.from_pretrained(real, trust_remote_code=False)
    vocabulary = len(tokenizer)
    shapes: dict[str, Any] = {
        "llama": LlamaConfig(
            vocab_size=vocabulary, hidden_size=384, intermediate_size=1024, num_hidden_layers=8, num_attention_heads=6,
            num_key_value_heads=2, tie_word_embeddings=True,
        ),
        "qwen": Qwen2Config(
            vocab_size=vocabulary, hidden_size=256, intermediate_size=1024, num_hidden_layers=6, num_attention_heads=4,
            num_key_value_heads=4, tie_word_embeddings=False,
        ),
    }  # fmt: skip
    models = {"smollm2": Path(real).resolve()}
    for name, shape in shapes.items():
        torch.manual_seed(0)
        models[name] = folder / name
        AutoModelForCausalLM.from_config(shape, trust_remote_code=False).save_pretrained(models[name])
        tokenizer.save_pretrained(models[name])
    (folder / "chance.py").write_text(REWARD, encoding="utf-8")
    problems = {name: _problems(folder / f"{name}.jsonl", words) for name, words in (("short", 20), ("long", 150))}
    return World(models, *_written(folder), problems, f"{folder / 'chance.py'}:by_chance")


def _text(words: int, *place: object) -> str:
    chance = random.Random(hashlib.blake2b(repr(place).encode()).digest())
    return " ".join(chance.choice(TEXT.split()) for _ in range(words))


def _written(folder: Path) -> tuple[Path, Path]:
    """(rows, pairs): prompts of 20 to 60 words, answers of 30 to 150."""
    chance, rows, pairs = random.Random(0), list[Any](), list[Any]()
    for number in range(64):
        prompt = _text(chance.randint(20, 60), "prompt", number)
        good, bad = (_text(chance.randint(30, 150), side, number) for side in ("good", "bad"))
        rows.append({"prompt": prompt, "completion": good})
        pairs.append({"prompt": prompt, "chosen": good, "rejected": bad})
    files = folder / "rows.jsonl", folder / "pairs.jsonl"
    for file, lines in zip(files, (rows, pairs), strict=True):
        file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return files


def _problems(file: Path, words: int) -> Path:
    rows = [{"prompt": _text(words, "problem", number), "answer": str(number), "verifier": "math_answer"} for number in range(32)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file
