"""What a completion did better than its peers, as pure functions from a Signal to one number per token.

Credit is given once, over the whole rollout, before it is cut into optimiser steps or micro-batches. A completion without a verdict
has advantage 0, and its score, whatever it holds, influences nobody else's. Which libraries mean what by the same name is said in
each docstring.

Shapes: P problems, G completions per problem, B = P * G sequences (row p * G + g), N tokens.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rl.objectives.batch import Batch
from rl.objectives.objective import formula


class UnfitReward(ValueError):
    """The rewards are not of the kind that the algorithm is defined for."""


@dataclass(frozen=True)
class StepScores:
    """Process supervision: S scored steps of the responses of a rollout, in any order, those of a response without a verdict left out."""

    score: Float[Tensor, "S"]
    token: Int[Tensor, "S"]
    """Of the N tokens of the batch the last one of the step; the policy sampled it."""
    row: Int[Tensor, "S"]
    """The sequence that it is a step of."""


@dataclass(frozen=True)
class Signal:
    """All that credit may depend on, for one rollout of P problems with G completions each."""

    outcome: Float[Tensor, "P G"]
    """The verifier's score; its value is ignored where `valid` is False."""
    valid: Bool[Tensor, "P G"]
    """False where the verifier reached no verdict (time-out, crash, bad gold): such a completion never trains."""
    batch: Batch
    """The tokens, whose mask is True on what the policy sampled, and False where `valid` is; and the columns scored so far."""
    steps: StepScores | None = None
    """None: no verdict of the rollout scored a step."""


Credit = Mapping[str, Float[Tensor, "N"]]
"""Columns for the batch: `advantage`, and whatever else an algorithm's objective reads."""
CreditFn = Callable[[Signal], Credit]


def _over_tokens(per_completion: Float[Tensor, "P G"], batch: Batch) -> Float[Tensor, "N"]:
    return per_completion.reshape(-1)[batch.row] * batch.mask


def _known(signal: Signal) -> Float[Tensor, "P G"]:
    return torch.where(signal.valid, signal.outcome, 0.0)  # not a product: an invalid outcome may be nan


def _group_mean(signal: Signal) -> Float[Tensor, "P 1"]:
    return _known(signal).sum(1, keepdim=True) / signal.valid.sum(1, keepdim=True).clamp(min=1)


def _centered(signal: Signal) -> Float[Tensor, "P G"]:
    """Exactly 0 where all valid outcomes of a group are equal, which `r - mean` is not (0.1 + 0.1 + 0.1 != 0.3)."""
    equal = _range(signal) == 0
    return torch.where(equal, 0.0, (_known(signal) - _group_mean(signal)) * signal.valid)


def _range(signal: Signal) -> Float[Tensor, "P 1"]:
    """Largest minus smallest valid outcome of each group; 0 for fewer than two."""
    inf = float("inf")
    high = torch.where(signal.valid, signal.outcome, -inf).amax(1, keepdim=True)
    low = torch.where(signal.valid, signal.outcome, inf).amin(1, keepdim=True)
    return torch.where(signal.valid.sum(1, keepdim=True) > 1, high - low, 0.0)


def informative(signal: Signal) -> Bool[Tensor, "P"]:
    """Groups whose valid outcomes differ: the only ones that a group baseline learns from (DAPO, arXiv:2503.14476, 3.2)."""
    return (_range(signal) > 0).squeeze(1)


@formula("A = r - mean_G")
def center(signal: Signal) -> Credit:
    """r - mean over the group's valid rewards. Dr. GRPO, arXiv:2503.20783, section 3.2."""
    return {"advantage": _over_tokens(_centered(signal), signal.batch)}


@formula("A = (r - mean_G) / (std_G + {eps})")
def zscore(signal: Signal, *, eps: float = 1e-4) -> Credit:
    """(r - mean) / (std + eps) over the group's valid rewards. DeepSeekMath, arXiv:2402.03300, section 4.1.2.

    std is the sample standard deviation (ddof = 1), as in TRL and verl; eps is TRL's (verl has 1e-6, OpenRLHF 1e-9). Equal
    rewards, or fewer than two valid ones, give exactly 0.
    """
    centered = _centered(signal)
    std = (centered.square().sum(1, keepdim=True) / (signal.valid.sum(1, keepdim=True) - 1).clamp(min=1)).sqrt()
    return {"advantage": _over_tokens(centered / (std + eps), signal.batch)}


@formula("A = (r - mean_G) n / (n - 1)")
def leave_one_out(signal: Signal) -> Credit:
    """r - mean of the *other* valid rewards = (r - mean) n / (n - 1). RLOO, arXiv:2402.14740. A group of one gives 0."""
    n = signal.valid.sum(1, keepdim=True)
    return {"advantage": _over_tokens(_centered(signal) * n / (n - 1).clamp(min=1), signal.batch)}


@formula("A = (r - mean_G) / (mean_G + {eps})")
def over_mean(signal: Signal, *, eps: float = 1e-6) -> Credit:
    """(r - mean) / (mean + eps): MaxRL (maximum likelihood of a right answer), with the eps of SkyRL.

    For rewards that are not negative; with others the mean may cross 0 and the advantage explodes. Raises UnfitReward
    then, because a silent sign flip is the alternative.
    """
    if bool((_known(signal) < 0).any()):
        raise UnfitReward("maxrl needs rewards >= 0 (its advantage divides by the group's mean); choose grpo or shift the rewards")
    return {"advantage": _over_tokens(_centered(signal) / (_group_mean(signal) + eps), signal.batch)}


def whitened(tokens: Float[Tensor, "N"], mask: Bool[Tensor, "N"]) -> Float[Tensor, "N"]:
    """(x - mean) / sqrt(var + 1e-8) over the tokens of `mask`, 0 elsewhere; var with ddof = 1, as verl's masked_whiten.

    Exactly 0 where all are equal, or fewer than two: a rounding error in the mean, divided by 1e-4, would be an advantage.
    """
    values = tokens[mask]
    if len(values) < 2 or bool((values == values[0]).all()):
        return torch.zeros_like(tokens)
    deviation = torch.where(mask, tokens - values.mean(), 0.0)
    variance = deviation.square().sum() / (len(values) - 1)
    return deviation * (variance + 1e-8).rsqrt()


def _whitened(per_completion: Float[Tensor, "P G"], signal: Signal) -> Credit:
    """Over all sampled tokens of the rollout."""
    return {"advantage": whitened(_over_tokens(per_completion, signal.batch), signal.batch.mask)}


@formula("A = whiten(r) over the rollout's tokens")
def whitened_return(signal: Signal) -> Credit:
    """REINFORCE++, arXiv:2501.03262: each token's return (gamma 1, so the outcome), whitened over the tokens of the rollout."""
    return _whitened(_known(signal), signal)


@formula("A = whiten(r - mean_G) over the rollout's tokens")
def whitened_center(signal: Signal) -> Credit:
    """REINFORCE++-baseline: the group's mean subtracted first, then whitened over the tokens of the rollout."""
    return _whitened(_centered(signal), signal)


@formula("A = 1 where r ≥ {threshold}, else 0")
def accepted(signal: Signal, *, threshold: float = 1.0) -> Credit:
    """1 for completions whose score reaches the threshold, 0 for the others: rejection sampling, step by step.

    Online RFT (DeepSeekMath, arXiv:2402.03300, section 5.2.1) and RAFT (arXiv:2304.06767): wrong answers teach nothing.
    """
    good = signal.valid & (_known(signal) >= threshold)
    return {"advantage": _over_tokens(good.to(signal.outcome.dtype), signal.batch)}
