"""Attention of sequences that lie end to end in one row, some of which share their beginning: every block of them attends by itself.

Everything else in a model is done token by token and does not care where tokens lie, so that a prompt that G completions share is computed
once, exactly, and there is no padding but inside of attention. A block is some rows of queries and the keys that each may see; keys of a
shared beginning are gathered for every sequence that stands on it, and their gradient adds up there. The blocks travel as one more argument
of the model's call, down to attention, so that a layer that is recomputed in the backward pass attends the same way again.

It takes the place of transformers' "sdpa", which goes on as it was wherever no blocks are given. Other implementations (eager, flash
attention) do not know of blocks; `TokenTerms.allows` finds that out by trying.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

PADDED_SHARE = 1.25
"""Of a block's area over what its sequences need: beyond, they are cut into more blocks."""
AREA_OF_A_CALL = 2**13
"""Queries x keys that cost about as much as one more block does."""
LARGEST_AREA = 2**26
"""Of one block's mask: 64 MiB."""


class Stretch(NamedTuple):
    """Neighbouring tokens of the row, and the stretch of tokens before them that they continue."""

    start: int
    length: int
    prefix_start: int = 0
    prefix_length: int = 0

    @property
    def area(self) -> int:
        return self.length * (self.length + self.prefix_length)


@dataclass(frozen=True)
class Block:
    """b sequences, each padded to T queries and S keys."""

    queries: Int[Tensor, "b T"]
    """Where in the row they lie; of padding: anywhere."""
    keys: Int[Tensor, "b S"]
    query_places: Int[Tensor, "b T"]
    """In its sequence, counted from where the sequence begins."""
    key_places: Int[Tensor, "b S"]
    """-1: padding, seen by none."""
    causal: bool
    """Without prefixes: the mask is the plain triangle, since padding lies behind everything."""

    def sees(self, window: int | None) -> Bool[Tensor, "b 1 T S"]:
        """Of sequences longer than `window` a token sees itself and the window - 1 before it. Padded queries see something, not nothing."""
        distance = self.query_places[:, :, None] - self.key_places[:, None]
        seen = (distance >= 0) & (self.key_places >= 0)[:, None]
        if window is not None:
            seen &= distance < window
        return seen[:, None]


@dataclass(frozen=True)
class Blocks:
    """Of one row of N tokens."""

    blocks: tuple[Block, ...]
    order: Int[Tensor, "N"]
    """Where each token's output lies when those of all blocks, padding and all, are laid end to end."""
    masks: dict[tuple[int, int | None], Tensor] = field(default_factory=dict)
    """Made once for all layers."""

    def to(self, device: torch.device) -> "Blocks":
        blocks = (
            Block(**{n: x.to(device, non_blocking=True) if isinstance(x, Tensor) else x for n, x in vars(b).items()}) for b in self.blocks
        )
        return Blocks(tuple(blocks), self.order.to(device, non_blocking=True))

    def mask(self, number: int, window: int | None) -> Tensor | None:
        """None: the triangle."""
        block = self.blocks[number]
        if window is not None and window >= block.key_places.shape[1]:
            window = None
        if block.causal and window is None:
            return None
        if (number, window) not in self.masks:
            self.masks[number, window] = block.sees(window)
        return self.masks[number, window]


def blocks_of(stretches: Sequence[Stretch], tokens: int) -> Blocks:
    """Like ones together, so that little of a block is padding. The stretches cover the row's tokens, each once. On the CPU."""
    order, found, laid = torch.empty(tokens, dtype=torch.long), list[Block](), 0
    for part in _alike(stretches):
        found.append(_block(part))
        width = found[-1].queries.shape[1]
        for row, stretch in enumerate(part):
            order[stretch.start : stretch.start + stretch.length] = torch.arange(stretch.length) + laid + row * width
        laid += len(part) * width
    return Blocks(tuple(found), order)


def _alike(stretches: Sequence[Stretch]) -> list[list[Stretch]]:
    parts: list[list[Stretch]] = []
    needed = length = prefix = 0
    for stretch in sorted(stretches, key=lambda each: (_size_class(each.prefix_length), each.length), reverse=True):
        if stretch.length == 0:
            continue
        longer, further = max(length, stretch.length), max(prefix, stretch.prefix_length)
        area = (len(parts[-1]) + 1) * longer * (longer + further) if parts else 0
        fits = area <= PADDED_SHARE * (needed + stretch.area) + AREA_OF_A_CALL and area <= LARGEST_AREA
        if not parts or not fits or (prefix > 0) != (stretch.prefix_length > 0):
            parts.append([])
            needed, longer, further = 0, stretch.length, stretch.prefix_length
        parts[-1].append(stretch)
        needed, length, prefix = needed + stretch.area, longer, further
    return parts


def _size_class(length: int) -> int:
    """Lengths within a fifth of each other are alike."""
    return 1 + int(math.log(length) / math.log(1.2)) if length else 0


def _block(part: Sequence[Stretch]) -> Block:
    start, length, prefix_start, prefix = (torch.tensor(column)[:, None] for column in zip(*part, strict=True))
    at, before = torch.arange(int(length.max()))[None], torch.arange(int(prefix.max()))[None]
    real, shared = at < length, before < prefix
    queries = torch.where(real, start + at, start)
    keys = torch.cat([torch.where(shared, prefix_start + before, start), queries], 1)
    places = prefix + at
    key_places = torch.cat([torch.where(shared, before, -1), torch.where(real, places, -1)], 1)
    return Block(queries, keys, torch.where(real, places, prefix), key_places, causal=not bool(prefix.any()))


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    blocks: Blocks | None = None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    position_bias: Tensor | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """transformers' signature. [1 heads N D] to [1 N heads D] with blocks."""
    if blocks is None:
        more |= {"scaling": scaling, "sliding_window": sliding_window, "position_bias": position_bias}
        return sdpa_attention_forward(module, query, key, value, attention_mask, **more)
    if position_bias is not None or more.get("s_aux") is not None or len(query) != 1:
        raise ValueError("attention with biases or sinks, or of several rows, has no blocks")
    parts = [
        _of_block(query[0], key[0], value[0], block, blocks.mask(number, sliding_window), scaling)
        for number, block in enumerate(blocks.blocks)
    ]
    whole = parts[0] if len(parts) == 1 else torch.cat(parts)
    return whole.index_select(0, blocks.order)[None], None


def _of_block(
    query: Float[Tensor, "heads N D"], key: Float[Tensor, "few N D"], value: Float[Tensor, "few N E"], block: Block,
    mask: Tensor | None, scaling: float | None,
) -> Float[Tensor, "M heads E"]:  # fmt: skip
    def gathered(x: Tensor, places: Tensor) -> Tensor:
        return x.index_select(1, places.flatten()).unflatten(1, places.shape).transpose(0, 1)

    if mask is not None and query.device.type != "cpu":  # there shared heads under a mask would hold all scores at once
        key, value = (x.repeat_interleave(len(query) // len(x), 0) for x in (key, value))
    found = torch.nn.functional.scaled_dot_product_attention(
        gathered(query, block.queries), gathered(key, block.keys), gathered(value, block.keys),
        attn_mask=mask, scale=scaling, is_causal=mask is None, enable_gqa=len(query) != len(key),
    )  # fmt: skip
    return found.transpose(1, 2).flatten(0, 1)


AttentionInterface.register("sdpa", _attend)
