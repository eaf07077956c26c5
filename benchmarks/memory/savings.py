"""What each option saves: one command in fresh processes, as it is and with each, memory over what is loaded when training begins."""

import importlib.util
from pathlib import Path
from typing import Any

from benchmarks.memory.planned import AT_ONCE, measured_bytes
from benchmarks.memory.worlds import World

STEPS = ["--steps", "3", "--examples-per-step", "8"]
FULL, LORA = [*STEPS, "--tune", "full"], [*STEPS]
CHECKPOINTS = "--gradient-checkpointing"
ONE = [*FULL, CHECKPOINTS, "--examples-per-step", "1"]
"""Little besides parameters, gradients and moments."""
VARIANTS: dict[str, tuple[str, list[str]]] = {  # what it is compared with, options of `reckon sft`
    "full": ("", FULL),
    "--gradient-checkpointing": ("full", [*FULL, CHECKPOINTS]),
    "--recompute all-but-attention": ("full", [*FULL, CHECKPOINTS, "--recompute", "all-but-attention"]),
    "--recompute all-but-products": ("full", [*FULL, CHECKPOINTS, "--recompute", "all-but-products"]),
    "--recompute-every 2": ("full", [*FULL, CHECKPOINTS, "--recompute-every", "2"]),
    "--optimizer adamw-8bit": ("full", [*FULL, "--optimizer", "adamw-8bit"]),
    "--optimizer galore --galore-rank 64": ("full", [*FULL, "--optimizer", "galore", "--galore-rank", "64"]),
    "--update-in-backward": ("full", [*FULL, "--update-in-backward"]),
    "--update-in-backward, --gradient-checkpointing": ("full", [*FULL, "--update-in-backward", CHECKPOINTS]),
    "full, --gradient-checkpointing, one example": ("", ONE),
    "the same, --update-in-backward": ("full, --gradient-checkpointing, one example", [*ONE, "--update-in-backward"]),
    "the same, --update-in-backward, --optimizer adamw-8bit": (
        "full, --gradient-checkpointing, one example", [*ONE, "--update-in-backward", "--optimizer", "adamw-8bit"],
    ),
    "LoRA": ("full", LORA),
    "--dora": ("LoRA", [*LORA, "--dora"]),
    "--rslora": ("LoRA", [*LORA, "--rslora"]),
    "--lora-plus 16": ("LoRA", [*LORA, "--lora-plus", "16"]),
    "--quantization nf4": ("LoRA", [*LORA, "--quantization", "nf4"]),
}  # fmt: skip


def measured(world: World, folder: Path, only: str = "") -> dict[str, dict[str, Any]]:
    """MiB, and shares of memory and processor time of what it is compared with; SFT of the 33M Llama. Loaded: what it holds when
    training begins, the libraries left out."""
    print(f"{'':50} {'over idle':>10} {'share':>7} {'seconds':>8} {'loaded':>8}")
    found: dict[str, dict[str, Any]] = {}
    for number, (name, (other, words)) in enumerate(VARIANTS.items()):
        if (only and only not in name) or (("8bit" in name or "nf4" in name) and importlib.util.find_spec("bitsandbytes") is None):
            continue
        run = folder / f"saving-{number}"
        seen = measured_bytes(world.words("sft", "llama", run, words), run.with_suffix(".json"), AT_ONCE)
        taken = seen["peak"] - seen["idle"]
        base = found.get(other, {"mib": taken / 2**20, "seconds": seen["processor_seconds"]})
        found[name] = {
            "mib": round(taken / 2**20, 1), "of": other, "share": round(taken / 2**20 / base["mib"], 3),
            "seconds": round(seen["processor_seconds"], 1), "loaded": round((seen["idle"] - seen["libraries"]) / 2**20, 1),
        }  # fmt: skip
        own = found[name]
        print(f"{name:50} {taken / 2**20:8.0f} M {own['share']:7.0%} {own['seconds']:8.1f} {own['loaded']:6.0f} M", flush=True)
    return found
