"""Groups to tensors, and tensors to micro-batches.

A Batch is made once for a whole rollout, so that advantages see every group; `split` cuts it into optimiser steps along group
boundaries, and `micro_batches` cuts a step by tokens. Neither changes the loss: weights are per optimiser step (`losses.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rl.objectives.advantages import Signal
from rl.objectives.algorithms import Algorithm
from rollout.player import Group


@dataclass(frozen=True)
class Batch:
    """B sequences of at most T tokens (prompt then completion, padded on the right), in group order."""

    tokens: Int[Tensor, "B T"]
    attention: Bool[Tensor, "B T"]
    mask: Bool[Tensor, "B T"]
    """Tokens that the policy sampled, of completions that have a verdict."""
    sampler_logp: Float[Tensor, "B T"]
    advantage: Float[Tensor, "B T"]
    temperature: float
    old_logp: Float[Tensor, "B T"] | None = None
    """The trainer's, before this rollout's first update. None for that update itself: old is the policy's own, detached."""
    ref_logp: Float[Tensor, "B T"] | None = None
    """The reference's; None where the algorithm has no KL term."""

    def __len__(self) -> int:
        return self.tokens.shape[0]

    def rows(self, index: Int[Tensor, "R"]) -> "Batch":
        """Some sequences, without the padding that none of them needs."""
        width = int(self.attention[index].sum(1).max())
        cut = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: value[index, :width] for name, value in cut.items() if isinstance(value, Tensor)})

    def to(self, device: torch.device) -> "Batch":
        return replace(self, **{f.name: v.to(device) for f in fields(self) if isinstance(v := getattr(self, f.name), Tensor)})


def make_batch(groups: Sequence[Group], algorithm: Algorithm, *, temperature: float, pad_id: int) -> tuple[Batch, Signal]:
    """The tensors of one rollout, advantages included, and the Signal that they came from. Every group must have G completions."""
    sequences = [(group.prompt, completion) for group in groups for completion in group.completions]
    verdicts = [[verdict.score for verdict in group.verdicts] for group in groups]
    width = max(len(prompt) + len(completion.tokens) for prompt, completion in sequences)
    tokens = torch.full((len(sequences), width), pad_id)
    sampler_logp = torch.zeros(len(sequences), width)
    attention = torch.zeros(len(sequences), width, dtype=torch.bool)
    sampled = torch.zeros(len(sequences), width, dtype=torch.bool)
    for row, (prompt, completion) in enumerate(sequences):
        start, end = len(prompt), len(prompt) + len(completion.tokens)
        tokens[row, :end] = torch.tensor([*prompt, *completion.tokens])
        attention[row, :end] = True
        sampler_logp[row, start:end] = torch.tensor(completion.logprobs)
        sampled[row, start:end] = torch.tensor(completion.sampled)
    valid = torch.tensor([[score is not None for score in row] for row in verdicts])
    outcome = torch.tensor([[0.0 if score is None else score for score in row] for row in verdicts])
    mask = sampled & valid.reshape(-1, 1)
    if algorithm.length_penalty:
        outcome = outcome + algorithm.length_penalty(sampled.sum(1).reshape(outcome.shape).float())
    signal = Signal(outcome, valid, mask)
    return Batch(tokens, attention, mask, sampler_logp, algorithm.advantage(signal), temperature), signal


def split(batch: Batch, parts: int, group_size: int) -> Iterator[Batch]:
    """`parts` optimiser steps of nearly equal numbers of whole groups; fewer where there are fewer groups."""
    groups = torch.arange(len(batch)).reshape(-1, group_size)
    for chunk in torch.tensor_split(groups, min(parts, len(groups))):
        yield batch.rows(chunk.reshape(-1))


def micro_batches(lengths: Int[Tensor, "B"], rows: Int[Tensor, "R"], tokens_per_micro_batch: int) -> list[Int[Tensor, "M"]]:
    """`rows` in parts of at most so many tokens, padding included, longest first; a longer single sequence is a part of its own."""
    parts: list[list[int]] = []
    width = 0
    for row in sorted(rows.tolist(), key=lambda row: (-int(lengths[row]), row)):
        if not parts or (len(parts[-1]) + 1) * width > tokens_per_micro_batch:
            parts.append([])
            width = int(lengths[row])
        parts[-1].append(row)
    return [torch.tensor(part) for part in parts]
