"""Each method as the commands that a user would type: from one start and one store to a model on disk.

A method whose command does not exist, or fails, is said as missing with the reason; nothing is put in its place.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.parts import json_lines
from benchmarks.recipe.pace import completed
from benchmarks.recipe.worlds import RECKON, Words, World
from recipes.commands.cli import COMMANDS

Steps = list[tuple[Words, Path]]
"""Commands, and the run folder that each leaves."""
Method = Callable[[World, Path, Path], Steps]
"""(world, folder of the store and its selections, run folder) -> what to type; the last command leaves the model in the run folder."""


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


SELECTIONS: Mapping[str, Words] = {"sft": ("sft",), "pairs": ("pairs",), "kto": ("pairs", "--format", "kto")}
"""File's name -> what `reckon data` is called with."""


def store(world: World, folder: Path, selections: Collection[str] = SELECTIONS) -> Spent:
    """One store for every method that samples nothing, and the files that are selected from it."""
    words = ("sample", "--model", world.model, "--data", str(world.train), *world.sampling, *world.store)
    spent = called((*words, "--seed", str(world.seed), "--run", str(folder / "store"), "--overwrite"), folder / "store")
    for name in selections:
        (kind, *form), out, own = SELECTIONS[name], folder / f"{name}.jsonl", world.own.get(f"select_{name}", ())
        spent += called(("data", kind, str(folder / "store"), "--out", str(out), *form, *own), folder / f"select_{name}")
    return spent


def training(world: World, command: str, run: Path, *, name: str = "") -> Words:
    """What every command that trains is called with; `name`: of the options of its own, where it is not the command's."""
    own = world.own.get(name or command, ())
    return (command, "--model", world.model, *world.tune, "--seed", str(world.seed), "--run", str(run), "--overwrite", *own)


def written(command: str, data: str) -> Method:
    """One command that trains on what was selected from the store."""

    def steps(world: World, folder: Path, run: Path) -> Steps:
        return [((*training(world, command, run), "--data", str(folder / f"{data}.jsonl")), run)]

    return steps


def online(algorithm: str) -> Method:
    """The online loop with this algorithm."""

    def steps(world: World, folder: Path, run: Path) -> Steps:
        words = training(world, "grpo-math", run, name=algorithm)
        return [((*words, "--data", str(world.train), "--algorithm", algorithm, *world.sampling, *world.online), run)]

    return steps


def rft(world: World, folder: Path, run: Path) -> Steps:
    """Two rounds, each from the start, the second on the right answers of both; the first samples what the store holds."""
    words = training(world, "rft", run, name="sft")
    return [((*words, "--data", str(world.train), "--rounds", "2", *world.sampling, *world.store), run)]


METHODS: Mapping[str, Method] = {
    "SFT": written("sft", "sft"),
    "RFT, 2 rounds": rft,
    "online RFT": online("raft"),
    "DPO": written("dpo", "pairs"),
    "ORPO": written("orpo", "pairs"),
    "KTO": written("kto", "kto"),
    "GRPO": online("grpo"),
}


def trained(method: str, world: World, folder: Path, methods: Mapping[str, Method] = METHODS) -> tuple[Path, dict[str, Any]]:
    """(the model or adapter that a method leaves, what it took). Raises Missing."""
    run = folder / method.replace(", ", "_").replace(" ", "_")
    spent = Spent()
    for words, place in methods[method](world, folder, run):
        spent += called(words, place)
    if not (run / "final").is_dir():
        raise Missing(f"{run.name} left no model in {run}/final")
    return run / "final", spent.as_json()
