"""Policy-gradient algorithms as values: an advantage, a loss per token, how tokens are weighed, and the terms beside them.

    loss = sum over all tokens of one optimiser step of  weight * (correction * token_loss + kl - entropy_coef * entropy)

Nothing else differs between GRPO and its descendants, so nothing else is here: no model, no config, no device, no logging.
The weights are built once for a whole optimiser step. However that step is then cut into micro-batches, padded or spread over
ranks, the gradient is the same sum. What a name means differs between libraries; every convention is stated where it is used
(`advantages.py`, `losses.py`). PPO's critic and process rewards are not here yet.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from jaxtyping import Float
from torch import Tensor

from rl.objectives import advantages, losses
from rl.objectives.advantages import AdvantageFn
from rl.objectives.losses import KL, Correction, TokenLossFn, WeightFn
from verifiers.input_error import nearest

LengthPenaltyFn = Callable[[Float[Tensor, "P G"]], Float[Tensor, "P G"]]


@dataclass(frozen=True)
class Algorithm:
    """All that distinguishes one critic-free policy-gradient method from another."""

    advantage: AdvantageFn
    loss: TokenLossFn
    weight: WeightFn
    kl: KL | None = None
    correction: Correction | None = None
    entropy_coef: float = 0.0
    """Bonus on the policy's exact entropy, weighed like the loss."""
    length_penalty: LengthPenaltyFn | None = None
    """Completion lengths [P G] -> a term added to the outcome before the advantage."""
    max_refills: int = 0
    """Dynamic sampling: groups whose verdicts agree are replaced by fresh problems, in at most this many further rounds a step."""

    @property
    def min_completions(self) -> int:
        """Completions that a problem needs: 2 where the group is the baseline, 1 where the rollout is."""
        return 1 if self.advantage is advantages.whitened_return else 2

    @property
    def corrects_for_age(self) -> bool:
        """Whether the loss has a ratio to the policy that sampled, without which only a rollout's first update is right."""
        return self.loss is not losses.reinforce

    @property
    def zero_advantage_is_free(self) -> bool:
        """Whether a token of advantage 0 has gradient exactly 0, so that its forward and backward pass can be left out."""
        return self.kl is None and self.entropy_coef == 0


# --- the algorithms ----------------------------------------------------------------------------------------------------
# A factory's parameters are all the options that the algorithm obeys; `named` refuses any other.


def grpo(*, clip_low: float = 0.2, clip_high: float = 0.2) -> Algorithm:
    """Group-relative policy optimisation. DeepSeekMath, arXiv:2402.03300 (add KL(0.04) for the paper's penalty)."""
    loss = partial(losses.clipped_ratio, low=clip_low, high=clip_high)
    return Algorithm(advantages.zscore, loss, losses.sequence_mean)


def dr_grpo(*, max_completion_length: int, clip_low: float = 0.2, clip_high: float = 0.2) -> Algorithm:
    """GRPO done right, arXiv:2503.20783: no division by std or by length."""
    loss = partial(losses.clipped_ratio, low=clip_low, high=clip_high)
    return Algorithm(advantages.center, loss, partial(losses.constant_length, max_completion_length=max_completion_length))


def dapo(
    *,
    max_completion_length: int,
    clip_low: float = 0.2,
    clip_high: float = 0.28,
    overlong_cache: int | None = None,
    max_refills: int = 3,
) -> Algorithm:
    """arXiv:2503.14476: clip-higher, token weights, soft overlong punishment, dynamic sampling.

    `overlong_cache`: tokens before the limit over which the penalty grows; default a fifth of the limit (the paper's 4,096 of
    20,480), 0 switches it off.
    """
    cache = max_completion_length // 5 if overlong_cache is None else overlong_cache
    penalty = partial(losses.soft_overlong, max_completion_length=max_completion_length, cache=cache) if cache else None
    loss = partial(losses.clipped_ratio, low=clip_low, high=clip_high)
    return Algorithm(advantages.zscore, loss, losses.token_mean, length_penalty=penalty, max_refills=max_refills)


def gspo(*, clip_low: float = 3e-4, clip_high: float = 4e-4) -> Algorithm:
    """Group sequence policy optimisation, arXiv:2507.18071."""
    loss = partial(losses.clipped_sequence_ratio, low=clip_low, high=clip_high)
    return Algorithm(advantages.zscore, loss, losses.sequence_mean)


def cispo(*, ratio_cap: float = 5.0) -> Algorithm:
    """Clipped importance-sampling weights, arXiv:2506.13585 (MiniMax-M1)."""
    return Algorithm(advantages.zscore, partial(losses.capped_reinforce, cap=ratio_cap), losses.token_mean)


def rloo() -> Algorithm:
    """REINFORCE with a leave-one-out baseline, arXiv:2402.14740. One update a rollout: there is no ratio."""
    return Algorithm(advantages.leave_one_out, losses.reinforce, losses.token_mean)


def reinforce_pp(*, clip_low: float = 0.2, clip_high: float = 0.2) -> Algorithm:
    """REINFORCE++, arXiv:2501.03262: no group baseline, returns whitened over the rollout. G = 1 is allowed."""
    return Algorithm(advantages.whitened_return, partial(losses.clipped_ratio, low=clip_low, high=clip_high), losses.token_mean)


def reinforce_pp_baseline(*, clip_low: float = 0.2, clip_high: float = 0.2) -> Algorithm:
    """REINFORCE++-baseline, arXiv:2501.03262: group mean subtracted, then whitened over the rollout."""
    return Algorithm(advantages.whitened_center, partial(losses.clipped_ratio, low=clip_low, high=clip_high), losses.token_mean)


def maxrl() -> Algorithm:
    """Maximum-likelihood RL: the group's mean divides, so that rare right answers weigh more. One update a rollout."""
    return Algorithm(advantages.over_mean, losses.reinforce, losses.token_mean)


ALGORITHMS: dict[str, Callable[..., Algorithm]] = {
    "grpo": grpo,
    "dr_grpo": dr_grpo,
    "dapo": dapo,
    "gspo": gspo,
    "cispo": cispo,
    "rloo": rloo,
    "reinforce++": reinforce_pp,
    "reinforce++-baseline": reinforce_pp_baseline,
    "maxrl": maxrl,
}


def named(
    name: str,
    *,
    max_completion_length: int,
    kl: KL | None = None,
    correction: Correction | None = None,
    entropy_coef: float = 0.0,
    **options: Any,
) -> Algorithm:
    """The algorithm called `name`, with the options that were set (None means not set).

    Raises ValueError for an unknown name (the nearest is given) and for an option that this algorithm would ignore.
    """
    if name not in ALGORITHMS:
        near = nearest(name.lower(), ALGORITHMS)
        hint = f"; did you mean {near}?" if near else ""
        raise ValueError(f"unknown algorithm {name!r}{hint} (one of {', '.join(ALGORITHMS)})")
    factory = ALGORITHMS[name]
    accepted = set(inspect.signature(factory).parameters)
    given = {key: value for key, value in options.items() if value is not None}
    ignored = sorted(given.keys() - accepted)
    if ignored:
        obeyed = ", ".join(sorted(accepted - {"max_completion_length"})) or "none of its own"
        raise ValueError(f"{name} ignores {', '.join(ignored)}; leave it out (options that {name} obeys: {obeyed})")
    if "max_completion_length" in accepted:
        given["max_completion_length"] = max_completion_length
    return replace(factory(**given), kl=kl, correction=correction, entropy_coef=entropy_coef)


# --- in words ----------------------------------------------------------------------------------------------------------

_FORMULAS: dict[Callable[..., Any], str] = {
    advantages.zscore: "A = (r - mean_G) / (std_G + 1e-4)",
    advantages.center: "A = r - mean_G",
    advantages.leave_one_out: "A = (r - mean_G) n / (n - 1)",
    advantages.over_mean: "A = (r - mean_G) / (mean_G + 1e-6)",
    advantages.whitened_return: "A = whiten(r) over the rollout's tokens",
    advantages.whitened_center: "A = whiten(r - mean_G) over the rollout's tokens",
    losses.clipped_ratio: "-min(ρ A, clip(ρ, 1-{low}, 1+{high}) A),  ρ = exp(lp - old)",
    losses.clipped_sequence_ratio: "-min(s A, clip(s, 1-{low}, 1+{high}) A),  s = exp(mean_t(lp - old))",
    losses.capped_reinforce: "-sg(min(ρ, {cap})) A lp,  ρ = exp(lp - old)",
    losses.reinforce: "-A lp",
    losses.sequence_mean: "1 / (B · length of the sequence)",
    losses.token_mean: "1 / tokens of the step",
    losses.constant_length: "1 / (B · {max_completion_length})",
    losses.soft_overlong: "r += clip(({max_completion_length} - {cache} - length) / {cache}, -1, 0)",
    losses.k1: "(lp - ref)",
    losses.k2: "(lp - ref)² / 2",
    losses.k3: "(exp(ref - lp) - (ref - lp) - 1)",
}


def _formula(function: Callable[..., Any]) -> str:
    if not isinstance(function, partial):
        return _FORMULAS[function]
    return _FORMULAS[function.func].format(**function.keywords)


def describe(algorithm: Algorithm) -> str:
    """The loss as formulas, a line each, with the numbers that this value holds."""
    correction = algorithm.correction
    factor = "c · " if correction else ""
    terms = [f"{factor}token_loss"]
    if algorithm.kl:
        terms.append(f"{algorithm.kl.coef} {_formula(algorithm.kl.estimator)}")
    bonus = f" - {algorithm.entropy_coef} H" if algorithm.entropy_coef else ""
    lines = [f"loss = Σ_t w · [ {' + '.join(terms)}{bonus} ]", f"token_loss = {_formula(algorithm.loss)}"]
    lines += [_formula(algorithm.advantage), f"w = {_formula(algorithm.weight)}"]
    if algorithm.length_penalty:
        lines.append(_formula(algorithm.length_penalty))
    if correction:
        bounds = f"≤ {correction.high}" if correction.kind == "truncate" else f"in [{correction.low}, {correction.high}], else 0"
        lines.append(f"c = exp(old - sampler) per {correction.level}, {correction.kind}d {bounds}".replace("maskd", "masked"))
    if algorithm.max_refills:
        lines.append(f"groups whose verdicts agree are replaced, up to {algorithm.max_refills} more rounds of sampling a step")
    return "\n".join(lines)
