"""`reckon merge PLACE... --out FOLDER`: a run, a checkpoint or an adapter as one plain model, which any program loads; or several as one.

    reckon merge runs/grpo_math --out grown
    reckon merge runs/grpo_math/checkpoints/step-000120 --out grown --dtype bf16
    reckon merge runs/a runs/b runs/c --how slerp --out merged
    reckon merge runs/a runs/b --how ties --density 0.3 --shares 0.7 0.3 --out merged
    reckon merge runs/a --eta 0.5 --out half-way

Adapters are merged in float32, chains of them from the base upwards, DoRA too; a full run's model is copied out. The merged model is
held against the adapted one on a few fixed sequences before FOLDER gets its name. Several are first made plain, then put together tensor by
tensor; what they learnt is measured from what they began with, which runs and adapters say themselves (or `--start`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from recipes.policies.merged_policies import Average, How, in_words, merge_policies, shares_of
from recipes.spelling.result_line import tell_result
from verifiers.atomic_files import remove_abandoned
from verifiers.input_error import InputError


@dataclass(frozen=True)
class Config:
    """A run, a checkpoint or an adapter as one plain model, checked against what it was made from; or several as one."""

    out: Path
    """Folder to write; it must not be there yet."""
    models: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """A run's folder, one of its checkpoints, an adapter, a GGUF file, or a model; or several, of one start."""
    how: How | None = None
    """How several are put together: slerp, average, ties or dare."""
    shares: tuple[float, ...] = ()
    """What each counts (default: all the same)."""
    start: str | None = None
    """What their changes are measured from (default: what all of them began with)."""
    eta: float = 1.0
    """How far from the start: 1 is what was merged, 0 the start (WARP's last stage, LITI)."""
    dtype: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Precision of the weights that are written (auto: as the base is stored). Merging is done in float32."""
    gguf_file: str | None = None
    """Of a folder with several GGUF files, or a hub id: the file to read."""


def run(config: Config) -> int:
    """Writes the folder, says how close it is and prints its path. Raises InputError, with nothing written."""
    if not config.models:
        raise InputError("reckon merge needs a run, a checkpoint, an adapter or a model; give its folder")
    if config.out.exists():
        raise InputError(f"--out {config.out} is there already; remove it, or give another name")
    remove_abandoned(config.out)  # gigabytes, under a hidden name
    several = len(config.models) > 1
    if several and config.how is None:
        raise InputError("--how is missing: slerp, average, ties or dare is how several models are put together")
    if several and config.gguf_file:
        raise InputError("--gguf-file would be ignored with several models; give each file's own place")
    if several or config.eta != 1:
        return _merge_several(config)
    if ignored := [f"--{name}" for name in ("how", "shares", "start") if getattr(config, name)]:
        raise InputError(f"{' and '.join(ignored)} would be ignored: there is one model to merge; give more, or leave it out")
    return _merge_one(config)


def _merge_several(config: Config) -> int:
    how = config.how or Average()
    found = merge_policies(
        config.out, config.models, how, start=config.start, shares=config.shares, eta=config.eta, dtype=config.dtype,
        gguf_file=config.gguf_file,
    )  # fmt: skip
    said = in_words(how, shares_of(config.shares, len(config.models)), config.eta)
    print(f"{config.out}  ({'; '.join([said, *([found.in_words()] if found else [])])})")
    tell_result({"out": str(config.out), "models": list(config.models), "how": said}, only_json=True)
    return 0


def _merge_one(config: Config) -> int:
    from recipes.setup.model_source import find_model, say_quantization

    source = find_model(config.models[0], gguf_file=config.gguf_file)
    say_quantization(source)
    tokenizer, shape = source.load_tokenizer(), source.load_shape()
    from rl.interpolation.merged_adapters import write_plain_model

    merged = write_plain_model(
        config.out, base=source.base, adapters=source.adapters, tokenizer=tokenizer, stored=None if source.gguf else shape.dtype,
        width=config.dtype, gguf_file=source.gguf,
    )  # fmt: skip
    print(f"{config.out}  ({merged.in_words()})")
    tell_result({"out": str(config.out), "models": list(config.models), "how": merged.in_words()}, only_json=True)
    return 0
