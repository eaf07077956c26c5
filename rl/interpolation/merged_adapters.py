"""A model and the adapters on it as one plain model on disk, and the proof that it is the same model.

Adapters are merged in float32, one after the other, and after each the merged model must say what the adapted one said. What was written
is read back and asked again before it gets its name: otherwise nothing is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from rl.learning.adapters import with_saved_adapter
from rl.learning.model_loading import load_model, prepare_model
from rl.learning.starting_model import load_start, set_width
from rollout.progress import watched
from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError

Width = Literal["auto", "fp32", "bf16", "fp16"]
WIDTHS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
SEQUENCES, LENGTH = 4, 48
TOLERANCE = 1e-4
"""Of logits in float32, relative to the largest of them (or to 1)."""
LOST = 0.5
"""Of what the adapters changed, in log-probabilities: more of it may not vanish in 16 bits, beyond what these do to the base alone."""


@dataclass(frozen=True)
class Merged:
    """What the comparison found, over all tokens of the vocabulary at each place of a few fixed sequences."""

    dtype: str
    difference: float
    """Largest difference of a logit between the adapted model and what was written, relative to the largest logit."""
    changed: float
    """Mean absolute change of a log-probability by the adapters; 0 without any."""
    lost: float
    """Mean absolute difference of a log-probability between the adapted model and what was written."""
    rounding: float
    """The same between the base and the base in that precision; 0 where it is stored in it."""

    def in_words(self) -> str:
        said = (
            f"{SEQUENCES} fixed sequences of {LENGTH} tokens, {self.dtype}: logits differ by at most {self.difference:.1e} of the largest"
        )
        return said + (
            f"; log-probabilities by {self.lost:.1e} on average, where the adapters changed {self.changed:.1e}" if self.changed else ""
        )


def write_plain_model(
    out: Path, *, base: str, adapters: Sequence[str], tokenizer: Any, stored: Any, width: Width = "auto", gguf_file: str | None = None
) -> Merged:
    """`base` with the adapters of these folders merged in, from the first to the last, in the folder `out`; the tokenizer with it.

    `stored`: the torch dtype in which the base is stored; `width` auto takes it, or float32 where it is none of ours. Raises InputError,
    with nothing written, where the merged model is not the adapted one.
    """
    stored = stored if stored in WIDTHS.values() else torch.float32
    dtype = WIDTHS.get(width) or stored
    with watched(f"loading {base}"):
        model: Any = load_start(base, gguf_file=gguf_file)
    sequences = fixed_sequences(model.get_input_embeddings().num_embeddings)
    before = rounded = wanted = logits(model, sequences)
    if dtype not in (stored, torch.float32):
        rounded = _rounded_logits(load_start(base, gguf_file=gguf_file), dtype, sequences)
    for folder in adapters:
        with watched(f"merging {folder}"):
            adapted = with_saved_adapter(model, folder)
            wanted = logits(adapted, sequences)
            model = adapted.merge_and_unload(safe_merge=True)
            _require_close(wanted, logits(model, sequences), folder)
    set_width(model, dtype)
    model.config.dtype = dtype
    prepare_model(model, gradient_checkpointing=False)  # sampling defaults that transformers loads and would not save
    with watched(f"writing {out} and reading it back"), atomic_path(out) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        del model
        found = logits(load_model(str(folder)), sequences)
        merged = _compared(str(dtype).removeprefix("torch."), before, rounded, wanted, found)
        if dtype == torch.float32:
            _require_close(wanted, found, "what was written")
        elif adapters and merged.lost > LOST * merged.changed + 2 * merged.rounding + TOLERANCE:
            raise InputError(
                f"{merged.dtype} would change log-probabilities by {merged.lost:.1e} on average where the adapters changed "
                f"{merged.changed:.1e}: too much of what was learnt would be lost in it, so nothing was written; use --dtype fp32"
            )
    return merged


def fixed_sequences(vocabulary: int) -> Int[Tensor, "B T"]:
    """The same token ids for every model of this vocabulary."""
    return torch.randint(vocabulary, (SEQUENCES, LENGTH), generator=torch.Generator().manual_seed(0))


def logits(model: nn.Module, sequences: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
    """In float32, computed in the model's own width."""
    model.eval()
    with torch.no_grad():
        return torch.cat([model(row[None]).logits.float() for row in sequences])


def _require_close(wanted: Float[Tensor, "B T V"], found: Float[Tensor, "B T V"], what: str) -> None:
    if not (difference := _relative(wanted, found)) <= TOLERANCE:  # nan is not close
        raise InputError(
            f"merging {what} gives another model: logits differ by {difference:.1e} of the largest, where {TOLERANCE:.0e} is what rounding "
            "may do; nothing was written (an adapter on weights that two layers share cannot be merged)"
        )


def _relative(wanted: Float[Tensor, "B T V"], found: Float[Tensor, "B T V"]) -> float:
    return float((wanted - found).abs().max() / wanted.abs().max().clamp(min=1.0))


def _compared(
    dtype: str, before: Float[Tensor, "B T V"], rounded: Float[Tensor, "B T V"], wanted: Float[Tensor, "B T V"],
    found: Float[Tensor, "B T V"],
) -> Merged:  # fmt: skip
    base, base_rounded, adapted, written = (each.log_softmax(-1) for each in (before, rounded, wanted, found))
    pairs = ((base, adapted), (adapted, written), (base, base_rounded))
    changed, lost, rounding = ((one - other).abs().mean().item() for one, other in pairs)
    return Merged(dtype, _relative(wanted, found), changed, lost, rounding)


def _rounded_logits(model: nn.Module, dtype: torch.dtype, sequences: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
    """What it would say in that precision."""
    set_width(model, dtype)
    set_width(model, torch.float32)
    return logits(model, sequences)
