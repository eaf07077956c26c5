"""`reckon merge PLACE --out FOLDER`: a run, a checkpoint or an adapter as one plain model, which any program loads.

    reckon merge runs/grpo_math --out grown
    reckon merge runs/grpo_math/checkpoints/step-000120 --out grown --dtype bf16

Adapters are merged in float32, chains of them from the base upwards, DoRA too; a full run's model is copied out. The merged model is
held against the adapted one on a few fixed sequences before FOLDER gets its name.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from verifiers.input_error import InputError


@dataclass(frozen=True)
class Config:
    """A run, a checkpoint or an adapter as one plain model, checked against what it was made from."""

    model: Annotated[str, tyro.conf.Positional]
    """A run's folder, one of its checkpoints, an adapter, a GGUF file, or a model."""
    out: Path
    """Folder to write; it must not be there yet."""
    dtype: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Precision of the weights that are written (auto: as the base is stored). Merging is done in float32."""
    gguf_file: str | None = None
    """Of a folder with several GGUF files, or a hub id: the file to read."""


def run(config: Config) -> int:
    """Writes the folder, says how close it is and prints its path. Raises InputError, with nothing written."""
    from recipes.setup.model_source import find_model

    source = find_model(config.model, gguf_file=config.gguf_file)
    if config.out.exists():
        raise InputError(f"--out {config.out} is there already; remove it, or give another name")
    tokenizer, shape = source.load_tokenizer(), source.load_shape()
    from rl.learning.merging import write_plain_model

    merged = write_plain_model(
        config.out, base=source.base, adapters=source.adapters, tokenizer=tokenizer, stored=None if source.gguf else shape.dtype,
        width=config.dtype, gguf_file=source.gguf,
    )  # fmt: skip
    print(f"{config.out}  ({merged.in_words()})")
    return 0
