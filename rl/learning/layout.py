"""How the tokens of a batch lie in the tensors that a model is called with.

This is the one place where the shift by one lives: `source[n]` is where the hidden state lies that *predicts* token n. Whatever reads
hidden states (log-probabilities, entropies, values) reads through it, so that none can be off by one against another. What judges a text
that is there already (a reward model's score) reads `own[n]`, where the state of token n itself lies.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from rl.objectives.batch import Batch

LayoutName = Literal["padded", "packed"]


@dataclass(frozen=True)
class Layout:
    """Of one micro-batch."""

    inputs: Mapping[str, Tensor]
    """What the model is called with."""
    source: Int[Tensor, "N"]
    """Into the hidden states with their first two axes as one. Of a sequence's first token: anything, it never trains."""
    own: Int[Tensor, "N"]
    """The same, of the state that has read token n."""


def padded(batch: Batch) -> Layout:
    """[B T], a sequence a row, padded on the right: every causal model can do it."""
    width, at = int(batch.lengths.max()), batch.position
    tokens = batch.tokens.new_zeros(len(batch), width)
    attention = torch.zeros_like(tokens)
    tokens[batch.row, at], attention[batch.row, at] = batch.tokens, 1
    own = batch.row * width + at
    return Layout({"input_ids": tokens, "attention_mask": attention}, torch.where(at > 0, own - 1, own), own)


def packed(batch: Batch) -> Layout:
    """[1 N], sequences end to end without padding, positions from 0 in each.

    Told positions and no mask, transformers keeps sequences from seeing each other: by variable-length attention where flash attention
    is at work, by a block mask otherwise. A model that does not is found out by `TokenTerms`.
    """
    own = torch.arange(len(batch.tokens), device=batch.tokens.device)
    return Layout({"input_ids": batch.tokens[None], "position_ids": batch.position[None]}, (own - 1).clamp(min=0), own)


LAYOUTS: dict[LayoutName, Callable[[Batch], Layout]] = {"padded": padded, "packed": packed}
