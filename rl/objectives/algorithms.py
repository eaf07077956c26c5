"""The online algorithms as values: an objective, and how credit is given.

    loss = sum over all tokens of one optimiser step of  weight * (correction * token_loss + kl - entropy_coef * entropy)

Nothing else differs between GRPO and its descendants, so nothing else is here: no model, no config, no device, no logging. What a
name means differs between libraries; every convention is stated where it is used (`credit.py`, `policy_gradient.py`, `weights.py`).
A critic is not a part of it: who says `value` is handed to the loop.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor

from rl.objectives import best_of_n, credit, policy_gradient, process_credit, weights
from rl.objectives.advantage_estimation import GAE, Truncation
from rl.objectives.credit import Credit, CreditFn
from rl.objectives.objective import LossFn, Objective, WeightFn, describe, formula_of
from rl.objectives.policy_gradient import KL, Correction, Surrogate, surrogate
from verifiers.input_error import nearest

LengthPenaltyFn = Callable[[Float[Tensor, "P G"]], Float[Tensor, "P G"]]


@dataclass(frozen=True)
class Algorithm:
    """An objective, how credit is given, and what the loop must know besides."""

    objective: Objective
    credit: CreditFn
    min_completions: int = 2
    """Completions that a problem needs: 2 where the group is the baseline, 1 where the rollout is, or none."""
    corrects_for_age: bool = True
    """Whether the loss has a ratio to the policy that sampled, without which only a rollout's first update is right."""
    length_penalty: LengthPenaltyFn | None = None
    """Completion lengths [P G] -> a term added to the outcome before credit is given."""
    reads: tuple[str, ...] = ()
    """Columns that must have been scored before credit is given: a critic's `value`, ..."""
    by_steps: bool = False
    """Whether only the scores of steps teach, and the outcome does not."""
    max_refills: int = 0
    """Dynamic sampling: groups whose verdicts agree are replaced by fresh problems, in at most this many further rounds a step."""

    @property
    def needs_reference(self) -> bool:
        """Whether the loss or the credit is measured against a reference."""
        return "ref_logp" in (*self.objective.reads, *self.reads)


def online(token_loss: LossFn, weight: WeightFn, credit: CreditFn, **facts: Any) -> Algorithm:
    """A policy-gradient algorithm. `facts`: Algorithm's other fields."""
    return Algorithm(surrogate(token_loss, weight), credit, **facts)


# --- the algorithms ------------------------------------------------------------------------------------------------------
# A factory's parameters are all the options that the algorithm obeys; `named` refuses any other.


def grpo(*, clip_low: float = 0.2, clip_high: float = 0.2) -> Algorithm:
    """Group-relative policy optimisation. DeepSeekMath, arXiv:2402.03300 (add KL(0.04) for the paper's penalty)."""
    return online(partial(policy_gradient.clipped_ratio, low=clip_low, high=clip_high), weights.sequence_mean, credit.zscore)


def dr_grpo(*, max_completion_length: int, clip_low: float = 0.2, clip_high: float = 0.2) -> Algorithm:
    """GRPO done right, arXiv:2503.20783: no division by std or by length."""
    weight = partial(weights.constant_length, max_completion_length=max_completion_length)
    return online(partial(policy_gradient.clipped_ratio, low=clip_low, high=clip_high), weight, credit.center)


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
    penalty = partial(policy_gradient.soft_overlong, max_completion_length=max_completion_length, cache=cache) if cache else None
    loss = partial(policy_gradient.clipped_ratio, low=clip_low, high=clip_high)
    return online(loss, weights.token_mean, credit.zscore, length_penalty=penalty, max_refills=max_refills)


def gspo(*, clip_low: float = 3e-4, clip_high: float = 4e-4) -> Algorithm:
    """Group sequence policy optimisation, arXiv:2507.18071."""
    return online(partial(policy_gradient.clipped_sequence_ratio, low=clip_low, high=clip_high), weights.sequence_mean, credit.zscore)


def cispo(*, ratio_cap: float = 5.0) -> Algorithm:
    """Clipped importance-sampling weights, arXiv:2506.13585 (MiniMax-M1)."""
    return online(partial(policy_gradient.capped_reinforce, cap=ratio_cap), weights.token_mean, credit.zscore)


def rloo() -> Algorithm:
    """REINFORCE with a leave-one-out baseline, arXiv:2402.14740. One update a rollout: there is no ratio."""
    return online(policy_gradient.reinforce, weights.token_mean, credit.leave_one_out, corrects_for_age=False)


def reinforce_pp(*, clip_low: float = 0.2, clip_high: float = 0.2) -> Algorithm:
    """REINFORCE++, arXiv:2501.03262: no group baseline, returns whitened over the rollout. G = 1 is allowed."""
    loss = partial(policy_gradient.clipped_ratio, low=clip_low, high=clip_high)
    return online(loss, weights.token_mean, credit.whitened_return, min_completions=1)


def reinforce_pp_baseline(*, clip_low: float = 0.2, clip_high: float = 0.2) -> Algorithm:
    """REINFORCE++-baseline, arXiv:2501.03262: group mean subtracted, then whitened over the rollout."""
    return online(partial(policy_gradient.clipped_ratio, low=clip_low, high=clip_high), weights.token_mean, credit.whitened_center)


def maxrl() -> Algorithm:
    """Maximum-likelihood RL: the group's mean divides, so that rare right answers weigh more. One update a rollout."""
    return online(policy_gradient.reinforce, weights.token_mean, credit.over_mean, corrects_for_age=False)


def raft(*, accept_score: float = 1.0) -> Algorithm:
    """Online rejection sampling fine-tuning: maximum likelihood of the policy's own right answers, as they are sampled.

    DeepSeekMath's online RFT (arXiv:2402.03300, section 5.2.1), RAFT (arXiv:2304.06767). A step that accepts nothing does nothing.
    """
    chosen = partial(credit.accepted, threshold=accept_score)
    return online(policy_gradient.reinforce, weights.taught_token_mean, chosen, min_completions=1, corrects_for_age=False)


PassAtKBaseline = Literal["k-1", "leave-one-out", "z-score"]
PASS_AT_K: dict[PassAtKBaseline, tuple[Callable[..., Credit], int]] = {
    "k-1": (best_of_n.pass_at_k, 0),
    "leave-one-out": (best_of_n.pass_at_k_leave_one_out, 1),
    "z-score": (best_of_n.pass_at_k_zscore, 1),
}
"""The credit of each baseline, and how many completions more than k it needs."""


def pass_at_k(*, k: int = 4, baseline: PassAtKBaseline = "k-1", clip_low: float = 0.2, clip_high: float = 0.2) -> Algorithm:
    """The best of k answers as the objective, unbiased over the group: PKPO, arXiv:2505.15201.

    `baseline`: k-1 (the best of k - 1 others; least variance, and defined up to k = G), leave-one-out (the best of k others: wrong answers
    are pushed down too), z-score (Pass@k Training, arXiv:2508.10751: biased, as GRPO is). Tokens of the step count alike, as RLOO's:
    an answer's gradient is then that of its whole log-probability.
    """
    given, more = PASS_AT_K[baseline]
    loss = partial(policy_gradient.clipped_ratio, low=clip_low, high=clip_high)
    return online(loss, weights.token_mean, partial(given, k=k), min_completions=max(2, k + more))


def best_of(*, n: int = 4, clip_low: float = 0.2, clip_high: float = 0.2) -> Algorithm:
    """Towards the policy's own best of n answers: BOND's forward KL, arXiv:2407.14622; the win rate of arXiv:2412.15287."""
    loss = partial(policy_gradient.clipped_ratio, low=clip_low, high=clip_high)
    return online(loss, weights.token_mean, partial(best_of_n.best_of_n, n=n), min_completions=max(2, n))


def grpo_ps(*, process_weight: float = 1.0, outcome_weight: float = 0.0, clip_low: float = 0.2, clip_high: float = 0.2) -> Algorithm:
    """GRPO with process supervision, DeepSeekMath, arXiv:2402.03300, section 4.1.3; with an `outcome_weight`, mixed with the outcome's."""
    chosen = partial(process_credit.process_zscore, process_weight=process_weight, outcome_weight=outcome_weight)
    loss = partial(policy_gradient.clipped_ratio, low=clip_low, high=clip_high)
    return online(loss, weights.sequence_mean, chosen, by_steps=not outcome_weight)


def ppo(
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    dual_clip: float = 0.0,
    gamma: float = 1.0,
    lam: float = 1.0,
    critic_lam: float = 1.0,
    length_adaptive: float = 0.0,
    truncation: Truncation = "zero",
    process_weight: float = 1.0,
    outcome_weight: float = 1.0,
    whiten: bool = True,
    reward_kl: float = 0.0,
) -> Algorithm:
    """Proximal policy optimisation, arXiv:1707.06347, with a critic that the loop is handed. G = 1 is allowed: no group is compared.

    `dual_clip` c > 1: arXiv:1912.09729 (c = 3); 0: off. `reward_kl`: KL to the reference as a part of the reward, as in RLHF's
    (arXiv:2203.02155), instead of the loss. Token weights. The rest: `GAE`.
    """
    clipped = partial(policy_gradient.clipped_ratio, low=clip_low, high=clip_high)
    if dual_clip:
        clipped = partial(policy_gradient.dual_clipped_ratio, low=clip_low, high=clip_high, dual=dual_clip)
    credit = GAE(gamma, lam, critic_lam, length_adaptive, truncation, reward_kl, process_weight, outcome_weight, whiten)
    return online(clipped, weights.token_mean, credit, min_completions=1, reads=credit.reads)


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
    "raft": raft,
    "pass-at-k": pass_at_k,
    "best-of-n": best_of,
    "grpo-ps": grpo_ps,
    "ppo": ppo,
}


def named(
    name: str,
    *,
    max_completion_length: int,
    kl: KL | None = None,
    correction: Correction | None = None,
    entropy_coef: float = 0.0,
    among: Mapping[str, Callable[..., Algorithm]] | None = None,
    **options: Any,
) -> Algorithm:
    """The algorithm called `name` (of `among`), with the options that were set (None means not set).

    Raises ValueError for an unknown name (the nearest is given) and for an option that this algorithm would ignore.
    """
    known = ALGORITHMS if among is None else among
    if name not in known:
        near = nearest(name.lower(), known)
        hint = f"; did you mean {near}?" if near else ""
        raise ValueError(f"unknown algorithm {name!r}{hint} (one of {', '.join(known)})")
    factory = known[name]
    accepted = set(inspect.signature(factory).parameters)
    given = {key: value for key, value in options.items() if value is not None}
    ignored = sorted(given.keys() - accepted)
    if ignored:
        obeyed = ", ".join(sorted(accepted - {"max_completion_length"})) or "none of its own"
        raise ValueError(f"{name} ignores {', '.join(ignored)}; leave it out (options that {name} obeys: {obeyed})")
    if "max_completion_length" in accepted:
        given["max_completion_length"] = max_completion_length
    return with_terms(factory(**given), kl=kl, correction=correction, entropy_coef=entropy_coef)


def with_terms(algorithm: Algorithm, *, kl: KL | None = None, correction: Correction | None = None, entropy_coef: float = 0.0) -> Algorithm:
    """The algorithm with these terms beside its token loss."""
    loss = algorithm.objective.loss
    if not isinstance(loss, Surrogate):
        raise TypeError(f"{loss!r} is no policy-gradient surrogate, beside which there could be a KL, a correction or an entropy bonus")
    weight = algorithm.objective.weight
    return replace(algorithm, objective=surrogate(loss.token_loss, weight, kl=kl, correction=correction, entropy_coef=entropy_coef))


def describe_algorithm(algorithm: Algorithm) -> str:
    """The loss and the credit as formulas, a line each, with the numbers that this value holds."""
    lines = [describe(algorithm.objective), formula_of(algorithm.credit)]
    if algorithm.length_penalty:
        lines.append(formula_of(algorithm.length_penalty))
    if algorithm.max_refills:
        lines.append(f"groups whose verdicts agree are replaced, up to {algorithm.max_refills} more rounds of sampling a step")
    return "\n".join(lines)
