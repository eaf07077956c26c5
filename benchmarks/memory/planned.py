"""What `reckon plan` says a run takes, and what it takes: ten configurations, each in a fresh process."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.memory.worlds import World
from benchmarks.parts import ROOT

_OFF = ["--steps", "3", "--examples-per-step", "8"]
_ON = ["--steps", "2", "--problems-per-step", "4", "--completions-per-problem", "4", "--workers", "1"]
CONFIGURATIONS: dict[str, tuple[str, str, list[str]]] = {  # command, model, options
    "SFT, SmolLM2, LoRA": ("sft", "smollm2", [*_OFF, "--examples-per-step", "4"]),
    "SFT, Llama 33M, full, padded": ("sft", "llama", [*_OFF, "--tune", "full", "--layout", "padded"]),
    "SFT, Llama 33M, full, checkpoints": ("sft", "llama", [*_OFF, "--tune", "full", "--gradient-checkpointing"]),
    "DPO, Llama 33M, full and its copy": ("dpo", "llama", [*_OFF, "--tune", "full"]),
    "DPO, SmolLM2, LoRA, checkpoints": ("dpo", "smollm2", [*_OFF, "--examples-per-step", "3", "--gradient-checkpointing"]),
    "GRPO, SmolLM2, LoRA": ("grpo-math", "smollm2", [*_ON, "--max-completion-length", "32"]),
    "GRPO, Llama 33M, full, long prompts, budget of 1,024": (
        "grpo-math", "llama",
        [*_ON, "--long", "--tune", "full", "--max-completion-length", "64", "--tokens-per-micro-batch", "1024", "--kl-coef", "0.04"],
    ),
    "PPO, Qwen 31M, full, critic on the trunk": ("ppo", "qwen", [*_ON, "--tune", "full", "--max-completion-length", "64"]),
    "PPO, Llama 33M, LoRA, critic of its own, packed": (
        "ppo", "llama", [*_ON, "--critic", "separate", "--max-completion-length", "96", "--layout", "packed"],
    ),
    "ORPO, Qwen 31M, full, packed, budget of 1,024": (
        "orpo", "qwen", [*_OFF, "--tune", "full", "--layout", "packed", "--tokens-per-micro-batch", "1024"],
    ),
}  # fmt: skip
UNITS = {"MiB": 2**20, "GiB": 2**30}
AT_ONCE = {"MALLOC_MMAP_THRESHOLD_": "65536"}
"""glibc then gives back at once what is freed: resident memory is what is in use."""


def planned_bytes(words: Sequence[str]) -> dict[str, int]:
    """The lines of `reckon plan`'s memory, in bytes."""
    done = _run(["-m", "recipes.commands.cli", "plan", *words])
    section = done.partition("memory (estimate)")[2].partition("\n\n")[0]
    found = re.findall(r"^  ([a-z ]+?) +([\d.]+) (MiB|GiB)$", section, re.MULTILINE)
    return {name: round(float(number) * UNITS[unit]) for name, number, unit in found}


def measured_bytes(words: Sequence[str], out: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """`benchmarks/memory/measured_process.py`, one thread."""
    _run(["-m", "benchmarks.memory.measured_process", str(out), *words], environment)
    return dict(json.loads(out.read_text(encoding="utf-8")))


def _run(words: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    alone = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **(environment or {})}
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=ROOT, env={**os.environ, **alone})
    if done.returncode:
        sys.exit(f"error: {' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


def compared(world: World, folder: Path, only: str = "") -> dict[str, dict[str, float]]:
    """Of each configuration, bytes over what is loaded when training begins: planned, taken, and taken with the allocator's default."""
    print(f"{'':54} {'planned':>9} {'measured':>9} {'off by':>7} {'as glibc does by default':>25}")
    found = {}
    for number, (name, (command, model, more)) in enumerate(CONFIGURATIONS.items()):
        if only not in name:
            continue
        runs = [folder / f"run-{number}-{kind}" for kind in ("planned", "tight", "default")]
        plan = planned_bytes(world.words(command, model, runs[0], more))
        loaded = plan["weights"] + plan.get("reference", 0) + (plan["weights"] if "separate" in more else 0)
        tight, loose = (
            measured_bytes(world.words(command, model, run, more), run.with_suffix(".json"), environment)
            for run, environment in zip(runs[1:], (AT_ONCE, {}), strict=True)
        )
        expected, taken, kept = plan["peak"] - loaded, tight["peak"] - tight["idle"], loose["peak"] - loose["idle"]
        found[name] = {"planned": expected, "measured": taken, "off": expected / taken - 1, "default": kept}
        print(f"{name:54} {expected / 2**20:7.0f} M {taken / 2**20:7.0f} M {expected / taken - 1:+7.1%} {kept / 2**20:23.0f} M", flush=True)
    return found
