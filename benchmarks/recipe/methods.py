"""Each method as the commands that a user would type: from one start and one store to a model on disk.

A method whose command does not exist, or fails, is said as missing with the reason; nothing is put in its place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.parts import json_lines
from benchmarks.recipe.pace import completed
from benchmarks.recipe.worlds import RECKON, Words, World
from recipes.commands.cli import COMMANDS


class Missing(Exception):
    """A method cannot be had; the message says why."""


@dataclass(frozen=True)
class Spent:
    """What a command took. Tokens: sampled with whatever judged them, and those whose loss was trained on."""

    seconds: float = 0.0
    processor_seconds: float = 0.0
    sampled_tokens: int = 0
    trained_tokens: int = 0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(*(a + b for a, b in zip(self.tuple, other.tuple, strict=True)))

    @property
    def tuple(self) -> tuple[float, float, int, int]:
        return self.seconds, self.processor_seconds, self.sampled_tokens, self.trained_tokens

    def as_json(self) -> dict[str, float]:
        return {
            "seconds": round(self.seconds, 1), "processor_seconds": round(self.processor_seconds, 1),
            "sampled_tokens": self.sampled_tokens, "trained_tokens": self.trained_tokens,
        }  # fmt: skip


def called(words: Words, run: Path) -> Spent:
    """One command; what its run folder, or folders, say it did. Raises Missing."""
    if words[0] not in COMMANDS:
        raise Missing(f"there is no command reckon {words[0]}")
    try:
        used = completed([*RECKON, *words], run.with_suffix(".log"))
    except RuntimeError as error:
        last = [line for line in run.with_suffix(".log").read_text(errors="replace").splitlines() if line.strip()][-1:]
        raise Missing(f"{error}: {' '.join(last)}") from error
    sampled = sum(_sampled(file) for file in run.rglob("rollouts/*.parquet"))
    trained = sum(int(row.get("trained_tokens") or 0) for file in run.rglob("metrics.jsonl") for row in json_lines(file))
    return Spent(used.seconds, used.processor_seconds, sampled, trained)


def _sampled(file: Path) -> int:
    return int(pc.sum(pc.list_value_length(pq.read_table(file, columns=["tokens"])["tokens"])).as_py() or 0)


def store(world: World, folder: Path) -> Spent:
    """One store for every method that samples nothing, and the files that are selected from it."""
    words = ("sample", "--model", world.model, "--data", str(world.train), *world.sampling, *world.store)
    spent = called((*words, "--seed", str(world.seed), "--run", str(folder / "store")), folder / "store")
    for kind, name in ((("sft",), "sft"), (("pairs",), "pairs"), (("pairs", "--format", "kto"), "kto")):
        select = ("data", kind[0], str(folder / "store"), "--out", str(folder / f"{name}.jsonl"), *kind[1:], *world.own.get(name, ()))
        spent += called(select, folder / f"select_{name}")
    return spent


def _common(world: World, name: str, run: Path) -> Words:
    return ("--model", world.model, *world.tune, "--seed", str(world.seed), "--run", str(run), *world.own.get(name, ()))


def written(command: str, data: str) -> Callable[[World, Path, Path], Words]:
    """A command that trains on a file selected from the store."""

    def words(world: World, folder: Path, run: Path) -> Words:
        return (command, "--data", str(folder / f"{data}.jsonl"), *_common(world, command, run))

    return words


def sampled(command: str, *more: str, name: str) -> Callable[[World, Path, Path], Words]:
    """A command that samples while it trains."""

    def words(world: World, folder: Path, run: Path) -> Words:
        sizes = world.online if command == "grpo-math" else ()
        return (command, "--data", str(world.train), *more, *world.sampling, *sizes, *_common(world, name, run))

    return words


METHODS: Mapping[str, Callable[[World, Path, Path], Words]] = {
    "SFT": written("sft", "sft"),
    "RFT, 2 rounds": sampled("rft", "--rounds", "2", name="rft"),
    "online RFT": sampled("grpo-math", "--algorithm", "raft", name="raft"),
    "DPO": written("dpo", "pairs"),
    "ORPO": written("orpo", "pairs"),
    "KTO": written("kto", "kto"),
    "GRPO": sampled("grpo-math", "--algorithm", "grpo", name="grpo"),
}


def trained(method: str, world: World, folder: Path) -> tuple[Path, dict[str, Any]]:
    """(the model or adapter that a method leaves, what it took). Raises Missing."""
    run = folder / method.replace(", ", "_").replace(" ", "_")
    spent = called(METHODS[method](world, folder, run), run)
    if not (run / "final").is_dir():
        raise Missing(f"{run.name} left no model in {run}/final")
    return run / "final", spent.as_json()
