"""What one optimiser step looked like, added up over its micro-batches in double precision."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from rl.objectives.algorithms import Algorithm

if TYPE_CHECKING:
    from rl.objectives.batch import Batch


@dataclass
class UpdateStats:
    """Sums over the tokens that had a backward pass; `metrics` turns several steps' into means."""

    lr: float
    loss: float = 0.0
    grad_norm: float = 0.0
    updates: int = 0
    skipped: int = 0
    effective_batch: int = 0
    """Sequences whose advantage is not 0: those with something to teach."""
    trained_sequences: int = 0
    trained_tokens: int = 0
    entropy: float = 0.0
    kl: float | None = None
    clipped: int = 0
    sampler_kl: float = 0.0
    sampler_gap: float = 0.0
    """Largest |trainer - sampler| log-probability of a token."""

    def add(
        self, part: "Batch", algorithm: Algorithm, *, logp: Float[Tensor, "B T"], old: Float[Tensor, "B T"], entropy: Float[Tensor, "B T"]
    ) -> None:
        mask = part.mask
        self.trained_sequences += int(mask.any(1).sum())
        self.trained_tokens += int(mask.sum())
        self.entropy += float(entropy[mask].double().sum())
        if algorithm.kl and part.ref_logp is not None:
            self.kl = (self.kl or 0.0) + float(algorithm.kl.estimator(logp, part.ref_logp)[mask].double().sum())
        gap = torch.where(mask, old - part.sampler_logp, 0.0).double()
        self.sampler_kl += float((gap.exp() - gap - 1).sum())  # k3 of KL(sampler || trainer): never negative
        self.sampler_gap = max(self.sampler_gap, float(gap.abs().max()))
        if part.old_logp is not None:  # else every ratio is 1 and nothing can be clipped
            self.clipped += int(_clipped_tokens(part, algorithm, logp, old).sum())


def _clipped_tokens(part: "Batch", algorithm: Algorithm, logp: Float[Tensor, "B T"], old: Float[Tensor, "B T"]) -> Tensor:
    """Tokens whose advantage is not 0 but whose gradient is: what "clipped" means, for every loss alike."""
    leaf = logp.clone().requires_grad_()
    with torch.enable_grad():
        loss = algorithm.loss(leaf, old, part.advantage, part.mask)
        gradient = torch.autograd.grad(torch.where(part.mask, loss, 0.0).sum(), leaf)[0]
    return (gradient == 0) & (part.advantage != 0) & part.mask


def metrics(steps: list[UpdateStats]) -> dict[str, float]:
    """The optimiser steps of one rollout as numbers for a log; means are over trained tokens, 0 where there were none."""
    tokens = sum(s.trained_tokens for s in steps)

    def per_token(total: float | int) -> float:
        return total / tokens if tokens else 0.0

    kl = [s.kl for s in steps if s.kl is not None]  # only where there is a reference
    return {
        "loss": sum(s.loss for s in steps) / max(1, len(steps)),
        "grad_norm": sum(s.grad_norm for s in steps) / max(1, len(steps)),
        "lr": steps[-1].lr if steps else 0.0,
        "updates": sum(s.updates for s in steps),
        "skipped_updates": sum(s.skipped for s in steps),
        "effective_batch": sum(s.effective_batch for s in steps),
        "trained_sequences": sum(s.trained_sequences for s in steps),
        "trained_tokens": tokens,
        "entropy_trained": per_token(sum(s.entropy for s in steps)),
        "clipped_share": per_token(sum(s.clipped for s in steps)),
        "sampler_kl": per_token(sum(s.sampler_kl for s in steps)),
        "sampler_max_gap": max((s.sampler_gap for s in steps), default=0.0),
        **({"kl_reference": per_token(sum(kl))} if kl else {}),
    }
