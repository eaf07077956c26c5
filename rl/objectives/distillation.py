"""On-policy distillation: the reverse KL, KL(policy || teacher), over what the policy itself samples.

Two estimates of one gradient. Of the sampled token alone the teacher's log-probability is enough: log teacher - log policy is its
advantage, no group and no verdict is needed. Of the teacher's k most likely tokens and all others as one, the KL at each place is exact
(but for what is lumped together), and the gradient has no noise of which token was drawn. Both take the places that the policy came to as
they are.

Generalised knowledge distillation, arXiv:2306.13649 (reverse KL, on policy); MiniLLM, arXiv:2306.08543.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from rl.objectives import weights
from rl.objectives.algorithms import Algorithm, online
from rl.objectives.batch import Batch
from rl.objectives.credit import Credit, Signal
from rl.objectives.objective import MeasureFn, Terms, formula
from rl.objectives.policy_gradient import clipped_ratio


@formula("A = log teacher - log policy")
def teacher_gap(signal: Signal) -> Credit:
    """Of each sampled token by itself: what it did to the places after it counts nothing.

    The policy's log-probability is the trainer's before the update, so that a policy that is its teacher learns exactly nothing.
    """
    return {"advantage": _gap(signal.batch), "teacher_gap": _gap(signal.batch)}


@formula("A = Σ over its token and those after it of (log teacher - log policy)")
def teacher_gap_to_go(signal: Signal) -> Credit:
    """Of each sampled token and all that followed: without bias for the KL of whole sequences, and noisier (MiniLLM's long-term part)."""
    batch = signal.batch
    gap = _gap(batch).double()
    run = gap.cumsum(0)
    ends = batch.first + batch.lengths - 1
    rest = run[ends][batch.row] - run + gap
    return {"advantage": rest.to(batch.column("teacher_logp").dtype) * batch.mask, "teacher_gap": _gap(batch)}


def _gap(batch: Batch) -> Float[Tensor, "N"]:
    """Clamped to ±20, as every log-ratio: a teacher that rules a token out must not make an infinite advantage."""
    return (batch.column("teacher_logp") - batch.column("policy_logp")).clamp(-20, 20) * batch.mask


@formula("every sampled token teaches")
def everywhere(signal: Signal) -> Credit:
    """No credit is given: the loss knows what to do at each place."""
    return {"advantage": signal.batch.mask.to(signal.outcome.dtype)}


@dataclass(frozen=True)
class SampledToken:
    """GRPO's clipped ratio, with the gap to the teacher as the advantage."""

    low: float = 0.2
    high: float = 0.2
    measures: ClassVar[Mapping[str, MeasureFn]] = {"teacher_kl": lambda terms, batch: -batch.column("teacher_gap")}

    def __call__(self, terms: Terms, batch: Batch) -> Float[Tensor, "N"]:
        return clipped_ratio(terms, batch, low=self.low, high=self.high)

    def formula(self) -> str:
        return f"-min(ρ A, clip(ρ, 1-{self.low}, 1+{self.high}) A),  ρ = exp(lp - old)"


def top_kl(terms: Terms, batch: Batch) -> Float[Tensor, "N"]:
    """Σ over the teacher's k most likely ids, and all others as one, of p (log p - log q); p the policy's, q the teacher's. Never below 0.

    Of both sides K + 1 log-probabilities that sum to 1 in probability: `top_logp` [N K+1], the column `teacher_top_logp` [N K+1].
    """
    policy, teacher = terms["top_logp"], batch.column("teacher_top_logp")
    return (policy.exp() * (policy - teacher)).sum(-1)


@dataclass(frozen=True)
class TopK:
    """The KL itself as the loss of each token."""

    k: int
    terms: ClassVar[tuple[str, ...]] = ("top_logp",)
    reads: ClassVar[tuple[str, ...]] = ("teacher_top", "teacher_top_logp")
    measures: ClassVar[Mapping[str, MeasureFn]] = {
        "teacher_kl": top_kl,
        "teacher_rest": lambda terms, batch: batch.column("teacher_top_logp")[:, -1].exp(),
    }

    def __call__(self, terms: Terms, batch: Batch) -> Float[Tensor, "N"]:
        return top_kl(terms, batch)

    def formula(self) -> str:
        return f"Σ_v p_v (log p_v - log q_v),  v the {self.k} ids that the teacher finds most likely, and all others as one"


# --- the algorithms ------------------------------------------------------------------------------------------------------


def sampled_token(*, to_go: bool = False, clip_low: float = 0.2, clip_high: float = 0.2) -> Algorithm:
    """The teacher's log-probability of the sampled token. `to_go`: those of what followed too."""
    given = teacher_gap_to_go if to_go else teacher_gap
    reads = ("teacher_logp", "policy_logp")
    return online(SampledToken(clip_low, clip_high), weights.token_mean, given, min_completions=1, reads=reads)


def top_k(*, k: int = 64) -> Algorithm:
    """The KL over the teacher's k most likely tokens and the rest."""
    return online(TopK(k), weights.token_mean, everywhere, min_completions=1)


DISTILLATIONS: dict[str, Callable[..., Algorithm]] = {"sampled": sampled_token, "top-k": top_k}
