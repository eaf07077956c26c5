"""What one token, or one unit, counts in one optimiser step. Made once for the whole step, before any cut."""

import torch
from jaxtyping import Float
from torch import Tensor

from rl.objectives.batch import Batch, trained
from rl.objectives.objective import formula


@formula("1 / (B · length of the sequence)")
def sequence_mean(batch: Batch) -> Float[Tensor, "N"]:
    """Every sequence counts the same, its tokens share alike. A sequence without a trained token is not counted. GRPO."""
    lengths = trained(batch)
    return batch.mask / lengths.clamp(min=1)[batch.row] / (lengths > 0).sum().clamp(min=1)


@formula("1 / tokens of the step")
def token_mean(batch: Batch) -> Float[Tensor, "N"]:
    """Every trained token of the step counts the same: long sequences weigh more. DAPO, SFT."""
    return batch.mask / batch.mask.sum().clamp(min=1)


@formula("1 / (B · {max_completion_length})")
def constant_length(batch: Batch, *, max_completion_length: int) -> Float[Tensor, "N"]:
    """Every token counts 1 / (B * max_completion_length), whatever the lengths. Dr. GRPO; sums to less than 1."""
    return batch.mask / ((trained(batch) > 0).sum().clamp(min=1) * max_completion_length)


@formula("1 / tokens of the step whose A is not 0")
def taught_token_mean(batch: Batch) -> Float[Tensor, "N"]:
    """Every token that has an advantage counts the same, the others nothing: maximum likelihood of what was chosen. RAFT."""
    taught = batch.mask & (batch.column("advantage") != 0)
    return taught / taught.sum().clamp(min=1)


@formula("1 / sequences of the step")
def row_mean(batch: Batch) -> Float[Tensor, "B"]:
    """For a loss of each sequence: all count the same. KTO."""
    return torch.full((len(batch),), 1.0 / len(batch), device=batch.tokens.device)


@formula("1 / pairs of the step")
def pair_mean(batch: Batch) -> Float[Tensor, "U"]:
    """For a loss of each pair of sequences: all count the same. DPO, ORPO, SimPO."""
    return torch.full((len(batch) // 2,), 2.0 / len(batch), device=batch.tokens.device)
