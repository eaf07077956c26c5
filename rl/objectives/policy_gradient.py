"""Losses of a sampled token: clipped and capped ratios, and the terms beside them, KL to a reference and sampler correction.

Maths takes tensors and returns tensors: no model, no config, no logging. A loss is per token [N]; how tokens are averaged is a
weight of its own (`weights.py`). `logp` is the trainer's log-probability now; the columns are `advantage`, `old_logp` (the trainer's
before the rollout's first update; without it, old is the policy's own, detached), `sampler_logp` (the engine's) and `ref_logp`.
Log-ratios are clamped to +-20 before exp.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rl.objectives.batch import Batch, by_row, trained
from rl.objectives.objective import LossFn, MeasureFn, Objective, Terms, WeightFn, formula, formula_of
from rl.objectives.weights import taught_token_mean


def _exp(log_ratio: Float[Tensor, "N"]) -> Float[Tensor, "N"]:
    return log_ratio.clamp(-20, 20).exp()  # a wild mismatch must not become inf


def old_logp(terms: Terms, batch: Batch) -> Float[Tensor, "N"]:
    """The column, or where nothing was updated since the rollout the policy's own, without gradient: then every ratio is 1."""
    return batch.columns.get("old_logp", terms["logp"].detach())


# --- token losses --------------------------------------------------------------------------------------------------------


def _clipped(ratio: Tensor, advantage: Tensor, low: float, high: float) -> Float[Tensor, "N"]:
    return -torch.min(ratio * advantage, ratio.clamp(1 - low, 1 + high) * advantage)


@formula("-min(ρ A, clip(ρ, 1-{low}, 1+{high}) A),  ρ = exp(lp - old)")
def clipped_ratio(terms: Terms, batch: Batch, *, low: float = 0.2, high: float = 0.2) -> Float[Tensor, "N"]:
    """PPO's clipped surrogate, arXiv:1707.06347; high > low is DAPO's clip-higher, arXiv:2503.14476."""
    return _clipped(_exp(terms["logp"] - old_logp(terms, batch)), batch.column("advantage"), low, high)


@formula("-min(ρ A, clip(ρ, 1-{low}, 1+{high}) A), and where A < 0 at most -{dual} A,  ρ = exp(lp - old)")
def dual_clipped_ratio(terms: Terms, batch: Batch, *, low: float = 0.2, high: float = 0.2, dual: float = 3.0) -> Float[Tensor, "N"]:
    """`clipped_ratio` with a second bound, arXiv:1912.09729: what became far likelier and was bad pushes no harder than `dual` times."""
    advantage = batch.column("advantage")
    loss = clipped_ratio(terms, batch, low=low, high=high)
    return torch.where(advantage < 0, torch.min(loss, -dual * advantage), loss)


@formula("-min(s A, clip(s, 1-{low}, 1+{high}) A),  s = exp(mean_t(lp - old))")
def clipped_sequence_ratio(terms: Terms, batch: Batch, *, low: float = 3e-4, high: float = 4e-4) -> Float[Tensor, "N"]:
    """GSPO, arXiv:2507.18071: one length-normalised ratio a sequence, shared by its tokens. Differs from GRPO only off policy."""
    mean = by_row(terms["logp"] - old_logp(terms, batch), batch) / trained(batch).clamp(min=1)
    return _clipped(_exp(mean)[batch.row], batch.column("advantage"), low, high)


@formula("-sg(min(ρ, {cap})) A lp,  ρ = exp(lp - old)")
def capped_reinforce(terms: Terms, batch: Batch, *, cap: float = 5.0) -> Float[Tensor, "N"]:
    """CISPO, arXiv:2506.13585: REINFORCE with a detached ratio, capped at an absolute value. No token loses its gradient.

    `cap` bounds the ratio itself (5.0 is sensible); TRL's `epsilon_high` for CISPO means the same but defaults to 0.2.
    """
    ratio = _exp(terms["logp"] - old_logp(terms, batch)).clamp(max=cap).detach()
    return -ratio * batch.column("advantage") * terms["logp"]


@formula("-A lp")
def reinforce(terms: Terms, batch: Batch) -> Float[Tensor, "N"]:
    """-A logp: no ratio, so correct only for the first update of a rollout."""
    return -batch.column("advantage") * terms["logp"]


# --- KL to a reference policy --------------------------------------------------------------------------------------------

N_ = Float[Tensor, "N"]


@formula("(lp - ref)")
def k1(logp: N_, ref_logp: N_) -> N_:
    """logp - ref. As a loss its expected gradient is zero: a measure, or a penalty inside the reward, not a regulariser."""
    return logp - ref_logp


@formula("(lp - ref)² / 2")
def k2(logp: N_, ref_logp: N_) -> N_:
    """(logp - ref)^2 / 2: as a loss, its expected gradient on policy is that of KL(policy || reference)."""
    return (logp - ref_logp).square() / 2


@formula("(exp(ref - lp) - (ref - lp) - 1)")
def k3(logp: N_, ref_logp: N_) -> N_:
    """exp(ref - logp) - (ref - logp) - 1 >= 0: DeepSeekMath's equation 4. Unbiased in value, not in gradient."""
    diff = (ref_logp - logp).clamp(-20, 20)
    return diff.exp() - diff - 1


@dataclass(frozen=True)
class KL:
    """A penalty `coef * estimator(logp, ref_logp)` on each token, weighed like the loss."""

    coef: float
    estimator: Callable[[N_, N_], N_] = k3

    def __call__(self, terms: Terms, batch: Batch) -> N_:
        return self.estimator(terms["logp"], batch.column("ref_logp"))

    def formula(self) -> str:
        return f"{self.coef} {formula_of(self.estimator)}"


# --- sampler-trainer correction ------------------------------------------------------------------------------------------


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

    def __call__(self, old: Float[Tensor, "N"], batch: Batch) -> Float[Tensor, "N"]:
        log_ratio = torch.where(batch.mask, old - batch.column("sampler_logp"), 0.0)
        if self.level == "sequence":
            log_ratio = by_row(log_ratio, batch)[batch.row]
        ratio = _exp(log_ratio)
        if self.kind == "truncate":
            return ratio.clamp(max=self.high) * batch.mask
        return torch.where((ratio >= self.low) & (ratio <= self.high), ratio, 0.0) * batch.mask

    def formula(self) -> str:
        bounds = f"truncated ≤ {self.high}" if self.kind == "truncate" else f"masked in [{self.low}, {self.high}], else 0"
        return f"c = exp(old - sampler) per {self.level}, {bounds}"


# --- the whole -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Surrogate:
    """correction * token_loss + KL - entropy_coef * entropy, of each token: nothing else differs between GRPO and its descendants."""

    token_loss: LossFn
    kl: KL | None = None
    correction: Correction | None = None
    entropy_coef: float = 0.0
    """Bonus on the policy's exact entropy."""

    def __call__(self, terms: Terms, batch: Batch) -> Float[Tensor, "N"]:
        loss = self.token_loss(terms, batch)
        if self.correction:
            loss = loss * self.correction(old_logp(terms, batch), batch)
        if self.kl:
            loss = loss + self.kl.coef * self.kl(terms, batch)
        return loss - self.entropy_coef * terms["entropy"] if self.entropy_coef else loss

    def formula(self) -> str:
        factor = "c · " if self.correction else ""
        penalty = f" + {formula_of(self.kl)}" if self.kl else ""
        bonus = f" - {self.entropy_coef} H" if self.entropy_coef else ""
        lines = [f"{factor}token_loss{penalty}{bonus}", f"token_loss = {formula_of(self.token_loss)}"]
        return "\n".join([*lines, *([formula_of(self.correction)] if self.correction else [])])


def surrogate(
    token_loss: LossFn, weight: WeightFn, *, kl: KL | None = None, correction: Correction | None = None, entropy_coef: float = 0.0
) -> Objective:
    """The objective of a policy-gradient method. It reads `ref_logp` where it has a KL term; entropy is always watched.

    What a token loss says of itself (`terms`, `reads`, `measures`) is asked for besides.

    A sequence that nothing teaches is passed over: one without an advantage, where there is no term beside it, or where the weight leaves
    such tokens out anyway. A step of none but these is no step: AdamW would go on by its momentum.
    """
    alone = (kl is None and not entropy_coef) or weight is taught_token_mean
    measures: dict[str, MeasureFn] = {  # functions with names of their own, which other processes find by them
        "entropy_trained": _entropy,
        "clipped_share": partial(clipped_tokens, token_loss=token_loss),
        "sampler_kl": sampler_kl,
        "sampler_max_gap": _sampler_distance,
        **({"kl_reference": kl} if kl else {}),
        **getattr(token_loss, "measures", {}),
    }
    return Objective(
        Surrogate(token_loss, kl, correction, entropy_coef),
        weight,
        terms=(*(("logp", "entropy") if entropy_coef else ("logp",)), *getattr(token_loss, "terms", ())),
        watches=() if entropy_coef else ("entropy",),
        reads=(*(("ref_logp",) if kl else ()), *getattr(token_loss, "reads", ())),
        idle=without_advantage if alone else None,
        measures=measures,
    )


def without_advantage(batch: Batch) -> Bool[Tensor, "B"]:
    """Sequences none of whose trained tokens has an advantage: where nothing else teaches, their gradient is exactly 0."""
    return trained(batch, batch.mask & (batch.column("advantage") != 0)) == 0


def _entropy(terms: Terms, batch: Batch) -> Float[Tensor, "N"]:
    return terms["entropy"]


def _sampler_distance(terms: Terms, batch: Batch) -> Float[Tensor, "N"]:
    return _sampler_gap(terms, batch).abs()


def _sampler_gap(terms: Terms, batch: Batch) -> Float[Tensor, "N"]:
    return torch.where(batch.mask, old_logp(terms, batch) - batch.column("sampler_logp"), 0.0).double()


def sampler_kl(terms: Terms, batch: Batch) -> Float[Tensor, "N"]:
    """k3 of KL(sampler || trainer): never negative."""
    gap = _sampler_gap(terms, batch)
    return gap.exp() - gap - 1


def clipped_tokens(terms: Terms, batch: Batch, *, token_loss: LossFn) -> Float[Tensor, "N"]:
    """1 for tokens whose advantage is not 0 but whose gradient is: what "clipped" means, for every loss alike."""
    if "old_logp" not in batch.columns:  # every ratio is 1 and nothing can be clipped
        return torch.zeros_like(terms["logp"])
    leaf = terms["logp"].clone().requires_grad_()
    with torch.enable_grad():
        loss = token_loss({**terms, "logp": leaf}, batch)
        total = torch.where(batch.mask, loss, 0.0).sum()
        gradient = torch.autograd.grad(total, leaf)[0] if total.requires_grad else None
    if gradient is None:  # a loss without a ratio, which clips nothing
        return torch.zeros_like(terms["logp"])
    return ((gradient == 0) & (batch.column("advantage") != 0) & batch.mask).to(leaf.dtype)


# --- length penalty ------------------------------------------------------------------------------------------------------


@formula("r += clip(({max_completion_length} - {cache} - length) / {cache}, -1, 0)")
def soft_overlong(lengths: Float[Tensor, "P G"], *, max_completion_length: int, cache: int) -> Float[Tensor, "P G"]:
    """DAPO's soft overlong punishment, arXiv:2503.14476, equation 13, added to the reward.

    0 up to max - cache tokens, falling linearly to -1 at max, -1 beyond.
    """
    return ((max_completion_length - cache - lengths) / cache).clamp(-1, 0)
