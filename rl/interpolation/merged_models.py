"""Several plain models on disk to one: spherical or straight means of what they learnt, TIES, DARE, and part of the way back to the start.

A tensor of each model is in memory at a time, and a file of the result. Spherical interpolation by layer or model goes over the weights
twice: once for the angles. What is written is loaded and asked before it gets its name.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rl.interpolation.merged_adapters import WIDTHS, fixed_sequences, logits
from rl.interpolation.task_vectors import Average, How, Slerp, combined, group_of, inner_products, slerp_weights, sparsely_combined
from rl.interpolation.weight_files import Weights, open_weights, write_weights
from rl.learning.model_loading import load_model
from rollout.progress import in_progress, watched
from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError


@dataclass(frozen=True)
class Blend:
    """What becomes of M models and their start."""

    how: How
    shares: tuple[float, ...]
    """Of each model; they sum to 1."""
    eta: float = 1.0
    """How far from the start: 1 is the merged model, 0 the start itself (LITI, WARP's third stage)."""


@dataclass(frozen=True)
class Found:
    """What the weights were like."""

    angles: tuple[float, ...]
    """Between the first two task vectors, in degrees, of each group that both changed."""
    lengths: tuple[float, ...]
    """Of each model's task vector, over all weights."""
    length: float
    """Of the merged one, before the way back; nan where it is no sum of the others (TIES, DARE)."""

    def in_words(self) -> str:
        said = f"task vectors of length {', '.join(f'{length:.3g}' for length in self.lengths)}"
        said += "" if math.isnan(self.length) else f" to one of {self.length:.3g}"
        if self.angles:
            middle = sorted(self.angles)[len(self.angles) // 2]
            said += f"; angles of the first two {min(self.angles):.0f} to {max(self.angles):.0f} degrees, half of them below {middle:.0f}"
        return said


def write_merged(
    out: Path, *, start: Path | None, models: Sequence[Path], blend: Blend, tokenizer: Any, width: str = "auto"
) -> Found | None:
    """One plain model of several, in the folder `out`, the tokenizer with it. None where there is no start to measure from.

    `start`: what task vectors are measured from; only a plain average of whole models can do without one. `width`: of what is written;
    auto is as the first model is stored. Raises InputError, with nothing written, for models of other shapes, or where what came
    of them says nothing that is a number.
    """
    if start is None and not (isinstance(blend.how, Average) and blend.eta == 1):
        raise ValueError("task vectors are measured from a start, and there is none")
    with ExitStack() as opened:
        weights = [opened.enter_context(open_weights(folder)) for folder in models]
        origin = opened.enter_context(open_weights(start)) if start else None
        _require_same([*([origin] if origin else []), *weights])
        with watched("comparing what the models learnt", len(weights[0].place)):
            grams = _inner_products(weights, origin)
        merge = _merger(weights, origin, blend, grams)
        dtype = WIDTHS.get(width)
        with watched(f"writing {out}", len(weights[0].place)), atomic_path(out) as folder:
            folder.mkdir()
            write_weights(folder, weights[0].shards, lambda name: _narrowed(merge(name), dtype or weights[0][name].dtype))
            _write_config(folder, models[0], dtype)
            tokenizer.save_pretrained(folder)
            model: Any = load_model(str(folder))
            if not torch.isfinite(logits(model, fixed_sequences(model.get_input_embeddings().num_embeddings))).all():
                raise InputError(
                    f"the merged model's logits are no numbers, so {out} was not written; look at the models that went into it"
                )
    return _found(grams, blend) if origin else None


def _require_same(weights: Sequence[Weights]) -> None:
    first = weights[0].shapes()
    for other in weights[1:]:
        shapes = other.shapes()
        if wrong := sorted(name for name in first.keys() | shapes.keys() if first.get(name) != shapes.get(name)):
            raise InputError(
                f"{other.folder} and {weights[0].folder} are not models of one shape: {len(wrong)} tensors differ, first {wrong[0]} "
                f"({_shape(shapes, wrong[0])} against {_shape(first, wrong[0])}); merge models that began as one"
            )


def _shape(shapes: dict[str, tuple[int, ...]], name: str) -> str:
    return "x".join(map(str, shapes[name])) if name in shapes else "none"


def _wide(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def _narrowed(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _changes(name: str, weights: Sequence[Weights], origin: Weights | None) -> list[Tensor]:
    """What each model has beyond the start, of one tensor."""
    beside = _wide(origin[name]) if origin else 0.0
    return [_wide(each[name]) - beside for each in weights]


def _inner_products(weights: Sequence[Weights], origin: Weights | None) -> dict[str, Tensor]:
    """Of every tensor; those of a group of tensors are their sums."""
    found, progress = {}, in_progress()
    for name in weights[0].place if origin else ():
        if weights[0][name].is_floating_point():
            found[name] = inner_products(_changes(name, weights, origin))
        if progress:
            progress.finished(1)
    return found


def _merger(weights: Sequence[Weights], origin: Weights | None, blend: Blend, grams: dict[str, Tensor]) -> Callable[[str], Tensor]:
    how, coefficients = blend.how, _coefficients(blend, grams) if isinstance(blend.how, Slerp) else {}

    def merge(name: str) -> Tensor:
        if not weights[0][name].is_floating_point():
            return weights[0][name]  # buffers of whole numbers
        changes = _changes(name, weights, origin)
        if isinstance(how, Slerp):
            change = combined(changes, coefficients[group_of(name, how.angle)])
        elif isinstance(how, Average):
            change = combined(changes, blend.shares)
        else:
            change = sparsely_combined(how, name, changes, blend.shares)
        return _wide(origin[name]) + blend.eta * change if origin else change

    return merge


def _coefficients(blend: Blend, grams: dict[str, Tensor]) -> dict[str, list[float]]:
    assert isinstance(blend.how, Slerp)
    groups: dict[str, Tensor] = {}
    for name, gram in grams.items():
        group = group_of(name, blend.how.angle)
        groups[group] = groups[group] + gram if group in groups else gram
    return {group: slerp_weights(gram, blend.shares) for group, gram in groups.items()}


def _found(grams: dict[str, Tensor], blend: Blend) -> Found:
    total = torch.stack(list(grams.values())).sum(0)
    angles = []
    for gram in grams.values():
        if len(gram) > 1 and gram[0, 0] > 0 and gram[1, 1] > 0:
            cosine = float(gram[0, 1] / (gram[0, 0] * gram[1, 1]).sqrt())
            angles.append(math.degrees(math.acos(max(-1.0, min(1.0, cosine)))))
    lengths = tuple(math.sqrt(max(0.0, value)) for value in total.diagonal().tolist())
    return Found(tuple(angles), lengths, _length(grams, blend))


def _length(grams: dict[str, Tensor], blend: Blend) -> float:
    """Of the merged task vector; nan where it is no sum of the others."""
    if not isinstance(blend.how, Slerp | Average):
        return math.nan
    by_group = _coefficients(blend, grams) if isinstance(blend.how, Slerp) else {}
    squares = 0.0
    for name, gram in grams.items():
        weights = by_group[group_of(name, blend.how.angle)] if isinstance(blend.how, Slerp) else blend.shares
        c = torch.tensor(weights, dtype=gram.dtype)
        squares += float(c @ gram @ c)
    return math.sqrt(max(0.0, squares))


def _write_config(folder: Path, model: Path, dtype: torch.dtype | None) -> None:
    """The first model's config, and its sampling defaults where it has any."""
    from transformers import AutoConfig

    config: Any = AutoConfig.from_pretrained(model, trust_remote_code=False)
    if dtype is not None:
        config.dtype = dtype
    config.save_pretrained(folder)
    defaults = model / "generation_config.json"
    if defaults.is_file():
        (folder / defaults.name).write_bytes(defaults.read_bytes())
