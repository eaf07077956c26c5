"""Losses per token, weights per token, and the terms beside them: KL to a reference, sampler correction.

Maths takes tensors and returns tensors: no model, no config, no logging. A loss is per token; how tokens are averaged is a
weight tensor of its own, built once per optimiser step, so that no micro-batch, padding or rank can change the objective.

Shapes: B sequences, T tokens; column t describes token t. `logp` is the trainer's log-probability now, `old_logp` the
trainer's before the rollout's first update, `sampler_logp` the engine's. Log-ratios are clamped to +-20 before exp.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

BT = Float[Tensor, "B T"]
TokenLossFn = Callable[[BT, BT, BT, Bool[Tensor, "B T"]], BT]
"""(logp, old_logp, advantage, mask) -> loss of each token."""
WeightFn = Callable[[Bool[Tensor, "B T"]], BT]
"""mask of one whole optimiser step -> what each token counts in it."""


def _exp(log_ratio: BT) -> BT:
    return log_ratio.clamp(-20, 20).exp()  # a wild mismatch must not become inf


def _masked_mean(x: BT, mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B 1"]:
    return torch.where(mask, x, 0.0).sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)


# --- token losses ------------------------------------------------------------------------------------------------------


def _clipped(ratio: Tensor, advantage: BT, low: float, high: float) -> BT:
    return -torch.min(ratio * advantage, ratio.clamp(1 - low, 1 + high) * advantage)


def clipped_ratio(logp: BT, old_logp: BT, advantage: BT, mask: Bool[Tensor, "B T"], *, low: float = 0.2, high: float = 0.2) -> BT:
    """PPO's clipped surrogate, arXiv:1707.06347; high > low is DAPO's clip-higher, arXiv:2503.14476."""
    return _clipped(_exp(logp - old_logp), advantage, low, high)


def clipped_sequence_ratio(
    logp: BT, old_logp: BT, advantage: BT, mask: Bool[Tensor, "B T"], *, low: float = 3e-4, high: float = 4e-4
) -> BT:
    """GSPO, arXiv:2507.18071: one length-normalised ratio a sequence, shared by its tokens. Differs from GRPO only off policy."""
    ratio = _exp(_masked_mean(logp - old_logp, mask))
    return _clipped(ratio, advantage, low, high).expand_as(logp)


def capped_reinforce(logp: BT, old_logp: BT, advantage: BT, mask: Bool[Tensor, "B T"], *, cap: float = 5.0) -> BT:
    """CISPO, arXiv:2506.13585: REINFORCE with a detached ratio, capped at an absolute value. No token loses its gradient.

    `cap` bounds the ratio itself (5.0 is sensible); TRL's `epsilon_high` for CISPO means the same but defaults to 0.2.
    """
    return -_exp(logp - old_logp).clamp(max=cap).detach() * advantage * logp


def reinforce(logp: BT, old_logp: BT, advantage: BT, mask: Bool[Tensor, "B T"]) -> BT:
    """-A logp: no ratio, so correct only for the first update of a rollout."""
    return -advantage * logp


# --- KL to a reference policy ------------------------------------------------------------------------------------------


def k1(logp: BT, ref_logp: BT) -> BT:
    """logp - ref. As a loss its expected gradient is zero: a measure, or a penalty inside the reward, not a regulariser."""
    return logp - ref_logp


def k2(logp: BT, ref_logp: BT) -> BT:
    """(logp - ref)^2 / 2: as a loss, its expected gradient on policy is that of KL(policy || reference)."""
    return (logp - ref_logp).square() / 2


def k3(logp: BT, ref_logp: BT) -> BT:
    """exp(ref - logp) - (ref - logp) - 1 >= 0: DeepSeekMath's equation 4. Unbiased in value, not in gradient."""
    diff = (ref_logp - logp).clamp(-20, 20)
    return diff.exp() - diff - 1


@dataclass(frozen=True)
class KL:
    """A penalty `coef * estimator(logp, ref_logp)` on each token, weighed like the loss."""

    coef: float
    estimator: Callable[[BT, BT], BT] = k3


# --- sampler-trainer correction ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Correction:
    """Multiplies the token loss by the ratio trainer / sampler, exp(old_logp - sampler_logp), made harmless.

    truncate: min(ratio, high) (TIS). mask: the ratio inside [low, high], 0 outside (IcePop; TRL's `*_mask` with low = 0).
    token: a ratio for each token. sequence: the product over a sequence's sampled tokens, shared by them.
    """

    kind: Literal["truncate", "mask"] = "truncate"
    level: Literal["token", "sequence"] = "token"
    low: float = 0.0
    high: float = 2.0

    def __post_init__(self) -> None:
        if self.kind == "truncate" and self.low:
            raise ValueError(f"a truncated correction has no lower bound, so low={self.low} would be ignored; use kind='mask'")

    def __call__(self, old_logp: BT, sampler_logp: BT, mask: Bool[Tensor, "B T"]) -> BT:
        log_ratio = torch.where(mask, old_logp - sampler_logp, 0.0)
        if self.level == "sequence":
            log_ratio = log_ratio.sum(1, keepdim=True).expand_as(log_ratio)
        ratio = _exp(log_ratio)
        if self.kind == "truncate":
            return ratio.clamp(max=self.high) * mask
        return torch.where((ratio >= self.low) & (ratio <= self.high), ratio, 0.0) * mask


# --- weights: what one token counts in one optimiser step --------------------------------------------------------------


def sequence_mean(mask: Bool[Tensor, "B T"]) -> BT:
    """Every sequence counts the same, its tokens share alike. A sequence without a sampled token is not counted. GRPO."""
    lengths = mask.sum(1, keepdim=True)
    return mask / lengths.clamp(min=1) / (lengths > 0).sum().clamp(min=1)


def token_mean(mask: Bool[Tensor, "B T"]) -> BT:
    """Every token of the step counts the same: long completions weigh more. DAPO."""
    return mask / mask.sum().clamp(min=1)


def constant_length(mask: Bool[Tensor, "B T"], *, max_completion_length: int) -> BT:
    """Every token counts 1 / (B * max_completion_length), whatever the lengths. Dr. GRPO; sums to less than 1."""
    return mask / (mask.any(1).sum().clamp(min=1) * max_completion_length)


# --- length penalty ----------------------------------------------------------------------------------------------------


def soft_overlong(lengths: Float[Tensor, "P G"], *, max_completion_length: int, cache: int) -> Float[Tensor, "P G"]:
    """DAPO's soft overlong punishment, arXiv:2503.14476, equation 13, added to the reward.

    0 up to max - cache tokens, falling linearly to -1 at max, -1 beyond.
    """
    return ((max_completion_length - cache - lengths) / cache).clamp(-1, 0)
