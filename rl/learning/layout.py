"""How the tokens of a batch lie in the tensors that a model is called with.

This is the one place where the shift by one lives: `source[n]` is where the hidden state lies that *predicts* token n. Whatever reads
hidden states (log-probabilities, entropies, values) reads through it, so that none can be off by one against another. What judges a text
that is there already (a reward model's score) reads `own[n]`, where the state of token n itself lies.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Int
from torch import Tensor

from rl.forward.block_attention import Blocks, Stretch, blocks_of
from rl.objectives.batch import Batch, families

LayoutName = Literal["padded", "packed", "shared"]


@dataclass(frozen=True)
class Layout:
    """Of one micro-batch."""

    inputs: Mapping[str, Any]
    """What the model is called with: tensors, the blocks of its attention, numbers."""
    source: Int[Tensor, "N"]
    """Into the hidden states with their first two axes as one. Of a sequence's first token: anything, it never trains."""
    own: Int[Tensor, "N"]
    """The same, of the state that has read token n."""

    def to(self, device: torch.device) -> "Layout":
        """A layout is made where the batch is, best on the CPU: its shapes must be known, and a device would be waited for."""

        def moved(x: Any) -> Any:
            return x.to(device) if isinstance(x, Blocks) else x.to(device, non_blocking=True) if isinstance(x, Tensor) else x

        return Layout({name: moved(x) for name, x in self.inputs.items()}, self.source, self.own)


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


def variable_lengths(batch: Batch) -> Mapping[str, Any]:
    """What flash attention is told of a packed row besides: where sequences end. Left to find out, it would wait for the device in every
    layer of a model (transformers' `FlashAttentionKwargs`; other attention takes no notice)."""
    ends = torch.cat([batch.lengths.new_zeros(1), batch.lengths.cumsum(0)]).int()
    longest = int(batch.lengths.max())
    return {"cu_seq_lens_q": ends, "cu_seq_lens_k": ends, "max_length_q": longest, "max_length_k": longest}


def shared(batch: Batch) -> Layout:
    """[1 N'], without padding, and what sequences of a group have in common once: the prompt, then the completions that stand on it.

    Attention goes by blocks (`rl/forward/block_attention.py`), so that no mask of all tokens by all exists. The same numbers as padded: a
    prompt's states are of the prompt alone, whatever follows.
    """
    own, stretches, laid = torch.empty(len(batch.tokens), dtype=torch.long), list[Stretch](), 0
    first, lengths = batch.first.tolist(), batch.lengths.tolist()
    for prompt, rows in families(batch):
        if prompt:
            stretches.append(Stretch(laid, prompt))
        start, laid = laid, laid + prompt
        for row in rows:
            begin, rest = first[row], lengths[row] - prompt
            own[begin : begin + prompt] = torch.arange(start, start + prompt)
            own[begin + prompt : begin + lengths[row]] = torch.arange(laid, laid + rest)
            stretches.append(Stretch(laid, rest, start, prompt))
            laid += rest
    device = batch.tokens.device
    own = own.to(device)
    tokens, places = batch.tokens.new_zeros(laid), batch.tokens.new_zeros(laid)
    tokens[own], places[own] = batch.tokens, batch.position
    inputs = {
        "input_ids": tokens[None], "position_ids": places[None],
        "attention_mask": torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device),  # so that transformers makes none of its own
        "blocks": blocks_of(stretches, laid).to(device),
    }  # fmt: skip
    return Layout(inputs, torch.where(batch.position > 0, own.roll(1), own), own)


LAYOUTS: dict[LayoutName, Callable[[Batch], Layout]] = {"padded": padded, "packed": packed, "shared": shared}
