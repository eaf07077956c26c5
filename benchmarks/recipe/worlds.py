"""Where the methods are compared: a tiny model that is made on the spot, and a real one. A start, problems, and sizes for each method.

A world is data. Learning rates and sizes are what a few trials found to work for each method; nothing here was searched for long.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.recipe.additions import MAX_TOKENS, SYSTEM, write_problems
from benchmarks.recipe.pace import completed

RECKON = (sys.executable, "-m", "recipes.commands.cli")
Words = tuple[str, ...]


@dataclass(frozen=True)
class World:
    name: str
    model: str
    """Folder of the start."""
    train: Path
    held_out: Path
    system: str
    max_tokens: int
    seed: int
    tune: Words
    """Options of every command that trains."""
    sampling: Words
    """Options of every command that samples."""
    store: Words
    """How much `reckon sample` samples."""
    online: Words
    """Sizes of the online loop."""
    own: Mapping[str, Words] = field(default_factory=dict)
    """Options of one command (`sft`), algorithm (`grpo`) or selection (`select_sft`)."""


def tiny(folder: Path, seed: int) -> World:
    """The quickstart's model of 0.3M parameters after its warm start, and its sums and differences of two-digit numbers."""
    from recipes.quickstart import Config, load_data
    from verifiers.rewards.problem_file import write_problems as write

    folder.mkdir(parents=True, exist_ok=True)
    start = folder / "quickstart" / "warm_start"
    begin = f"quickstart --seed {seed} --steps 1 --problems-per-step 8 --completions-per-problem 4 --held-out 1 --engine hf".split()
    if not start.exists():
        completed([*RECKON, *begin, "--run", str(folder / "quickstart"), "--overwrite"], folder / "quickstart.log")
    train, held_out = load_data(Config(seed=seed))
    files = folder / "train.jsonl", folder / "held_out.jsonl"
    for file, problems in zip(files, (train, held_out), strict=True):
        write(file, problems)
    return World(
        name=f"tiny, seed {seed}", model=str(start), train=files[0], held_out=files[1], system="",
        max_tokens=40, seed=seed, tune=("--tune", "full", "--max-grad-norm", "0.3"),
        sampling=("--engine", "hf", "--max-completion-length", "40", "--max-sequences", "1024", "--system-prompt", ""),
        store=("--limit", "400", "--completions-per-problem", "16", "--problems-per-chunk", "64"),
        online=("--problems-per-step", "64", "--completions-per-problem", "16", "--steps", "15", "--lr", "3e-4"),
        own={
            "sft": ("--lr", "3e-4", "--epochs", "4", "--examples-per-step", "16"),
            "dpo": ("--lr", "1e-4", "--epochs", "3", "--examples-per-step", "16"),
            "orpo": ("--lr", "3e-4", "--epochs", "4", "--examples-per-step", "16", "--nll-mean", "token"),
            "kto": ("--lr", "1e-4", "--epochs", "4", "--examples-per-step", "32", "--desirable-weight", "3"),
        },
    )  # fmt: skip


def real(folder: Path, seed: int, model: str) -> World:
    """SmolLM2-135M-Instruct and additions, with a LoRA of rank 16."""
    folder.mkdir(parents=True, exist_ok=True)
    train, held_out = write_problems(folder)
    return World(
        name="SmolLM2-135M", model=model, train=train, held_out=held_out, system=SYSTEM, max_tokens=MAX_TOKENS, seed=seed,
        tune=("--tune", "lora", "--tokens-per-micro-batch", "1200"),
        sampling=("--engine", "hf", "--max-completion-length", str(MAX_TOKENS), "--system-prompt", SYSTEM),
        store=("--completions-per-problem", "8", "--problems-per-chunk", "16"),
        online=("--problems-per-step", "8", "--completions-per-problem", "8", "--steps", "15", "--lr", "3e-4", "--warmup", "5"),
        own={
            "sft": ("--lr", "3e-4", "--epochs", "4", "--examples-per-step", "16"),
            "dpo": ("--lr", "1e-4", "--epochs", "3", "--examples-per-step", "16"),
            "orpo": ("--lr", "3e-4", "--epochs", "4", "--examples-per-step", "16", "--nll-mean", "token"),
            "kto": ("--lr", "1e-4", "--epochs", "2", "--examples-per-step", "32", "--desirable-weight", "8"),
        },
    )  # fmt: skip
