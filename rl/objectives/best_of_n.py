"""Credit for what a policy does in several tries: pass@k, the best reward of k, and how often an answer is the best of N.

A verdict on one answer rewards the policy that is surest of one; whoever samples k answers and keeps the best wants what all k of them
do. Both are expectations over subsets of a group, so that G > k samples estimate them without bias, averaged over all subsets at once;
`loss = -A lp` over the mean of a group then has exactly their gradient in expectation. A reward need not be 0 or 1: pass@k of a
continuous one is the expected largest of k.

Order statistics alone are computed, of rewards less their group's largest: where all are equal, everything is exactly 0. A group with
fewer valid verdicts than the subset is large has no such estimate and teaches nothing.
"""

from math import comb

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rl.objectives.credit import Credit, Signal
from rl.objectives.objective import formula

PG = Float[Tensor, "P G"]


def _spread(per_completion: PG, signal: Signal) -> Credit:
    known = torch.where(signal.valid, per_completion, 0.0)
    return {"advantage": known.reshape(-1)[signal.batch.row] * signal.batch.mask}


def _sorted(signal: Signal) -> tuple[PG, Int[Tensor, "P G"]]:
    """(valid rewards less their group's largest, rising, then zeros; where each stood)."""
    rising, order = torch.where(signal.valid, signal.outcome, torch.inf).sort(dim=1, stable=True)
    top = torch.where(signal.valid, signal.outcome, -torch.inf).amax(1, keepdim=True)
    return torch.where(rising.isfinite(), rising - top, 0.0), order


def _unsorted(x: PG, order: Int[Tensor, "P G"]) -> PG:
    return torch.zeros_like(x).scatter(1, order, x)


def _counts(signal: Signal) -> Int[Tensor, "P"]:
    return signal.valid.sum(1)


def _chances(counts: Int[Tensor, "P"], m: int, like: PG) -> PG:
    """P(the r-th smallest of n is the largest of a random m-subset) = C(r, m - 1) / C(n, m), r from 0; 0 where n < m, and for m = 0."""
    width = like.shape[1]
    rows = {n: [comb(r, m - 1) / comb(n, m) if m <= r + 1 <= n else 0.0 for r in range(width)] for n in set(counts.tolist())} if m else {}
    return torch.tensor([rows.get(n, [0.0] * width) for n in counts.tolist()], dtype=like.dtype, device=like.device).reshape(like.shape)


def _before(x: PG) -> PG:
    """Sum of what comes before each place."""
    return x.cumsum(1) - x


def _after(x: PG) -> PG:
    return x.flip(1).cumsum(1).flip(1) - x


def _shifted(x: PG) -> PG:
    """Each place has what the one before it had."""
    return torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)


def _with_itself(rising: PG, counts: Int[Tensor, "P"], k: int) -> PG:
    """E[largest of a k-subset | it holds i]."""
    if k == 1:
        return rising
    chance = _chances(counts - 1, k - 1, rising)  # of the others' k - 1
    return rising * _before(chance) + _after(_shifted(chance) * rising)


def _of_the_others(rising: PG, counts: Int[Tensor, "P"], m: int) -> PG:
    """E[largest of an m-subset of the others]."""
    chance = _chances(counts - 1, m, rising)
    return _before(chance * rising) + _after(_shifted(chance) * rising)


def _where_enough(x: PG, counts: Int[Tensor, "P"], needed: int) -> PG:
    return torch.where((counts >= needed)[:, None], x, 0.0)


def expected_best(signal: Signal, k: int) -> Float[Tensor, "P"]:
    """Unbiased estimate of the largest of k rewards, from each group's valid ones; nan where there are fewer than k.

    For rewards of 0 and 1 it is pass@k, 1 - C(n - c, k) / C(n, k) (arXiv:2107.03374); in general PKPO's equation 12, arXiv:2505.15201.
    """
    rising, _ = _sorted(signal)
    counts = _counts(signal)
    top = torch.where(signal.valid, signal.outcome, -torch.inf).amax(1)
    return torch.where(counts >= k, top + (_chances(counts, k, rising) * rising).sum(1), torch.nan)


@formula("A = k · mean over the subsets J of k-1 others of (max(r, max_J) - max_J),  k = {k}")
def pass_at_k(signal: Signal, *, k: int) -> Credit:
    """What an answer adds to the best of k - 1 others, times k: the mean of A ∇lp over a group is unbiased for ∇ E[best of k].

    PKPO's s^(loo-1), arXiv:2505.15201, equation 33, times the group's size; of its estimators the one of least variance, and the one that
    is defined up to k = G. Rewards of 0 and 1: a right answer has k C(n - c, k - 1) / C(n - 1, k - 1), a wrong one exactly 0. k = 1 has no
    subset of others, and is RLOO.
    """
    if k == 1:
        return pass_at_k_leave_one_out(signal, k=1)
    rising, order = _sorted(signal)
    chance = _chances(_counts(signal) - 1, k - 1, rising)
    above = (rising[:, :, None] - rising[:, None, :]).clamp(min=0)  # of a place's own rank and above it is 0, so the ranks are the others'
    return _spread(_unsorted(k * (above * chance[:, None, :]).sum(2), order), signal)


@formula("A = k · (mean over the k-subsets with it of max r - the same over those without),  k = {k}")
def pass_at_k_leave_one_out(signal: Signal, *, k: int) -> Credit:
    """The same gradient with what the group would have without the answer as its baseline: wrong answers lose, right ones gain.

    PKPO's s^(loo), arXiv:2505.15201, equation 29, times the group's size. Needs k < G. k = 1 is RLOO.
    """
    rising, order = _sorted(signal)
    counts = _counts(signal)
    gain = k * (_with_itself(rising, counts, k) - _of_the_others(rising, counts, k))
    return _spread(_unsorted(_where_enough(gain, counts, k + 1), order), signal)


@formula("A = (mean over the k-subsets with it of max r - mean over all) / (std over all + {eps}),  k = {k}")
def pass_at_k_zscore(signal: Signal, *, k: int, eps: float = 1e-4) -> Credit:
    """Pass@k Training's analytic advantage, arXiv:2508.10751, section 2.4: GRPO over all subsets of k, an answer's mean over its own.

    For rewards of 0 and 1 the std is sqrt(p (1 - p)) with p the estimate of pass@k (the population's), as in the paper; eps is GRPO's. The
    numerator is (n - k) / (n k) of `pass_at_k_leave_one_out`; the division makes it biased, as GRPO is. Needs k < G.
    """
    rising, order = _sorted(signal)
    counts = _counts(signal)
    chance = _chances(counts, k, rising)
    mean = (chance * rising).sum(1, keepdim=True)
    std = (chance * (rising - mean).square()).sum(1, keepdim=True).sqrt()
    advantage = (_with_itself(rising, counts, k) - mean) / (std + eps)
    return _spread(_unsorted(_where_enough(advantage, counts, k + 1), order), signal)


@formula("A = n · P(it is the best of itself and n-1 others, ties shared) - 1,  n = {n}")
def best_of_n(signal: Signal, *, n: int) -> Credit:
    """The win rate among n, less its mean: in expectation A ∇lp is ∇ log-likelihood of the policy's own best of n.

    Sampling from the policy and weighing by n times the win rate is sampling from best-of-n, so this is its maximum likelihood: the forward
    KL of BOND (arXiv:2407.14622, section 4), and the win-rate term by which inference-aware fine-tuning tells best-of-n from the policy
    (arXiv:2412.15287, section 3), there a pairwise rate under an exponential, here the rate among n itself, unbiased over the subsets of a
    group. A sums to 0 over a group. Only the order of rewards counts. Rewards of 0 and 1: for n without end it is MaxRL's.
    """
    rewards, valid = torch.where(signal.valid, signal.outcome, 0.0), signal.valid
    against = valid[:, None, :]
    lower = (against & (rewards[:, None, :] < rewards[:, :, None])).sum(2)
    equal = (against & (rewards[:, None, :] == rewards[:, :, None])).sum(2).clamp(min=1)  # itself among them
    counts = _counts(signal)
    table = _subset_shares(counts, n, rewards)
    at_most = table.gather(1, lower + equal) - table.gather(1, lower)
    return _spread(_where_enough(counts[:, None] * at_most / equal - 1, counts, n), signal)


def _subset_shares(counts: Int[Tensor, "P"], n: int, like: PG) -> Float[Tensor, "P G1"]:
    """C(m, n) / C(count, n) for m from 0 to G: the share of n-subsets that lie within m of a group's."""
    width = like.shape[1] + 1
    rows = {count: [comb(m, n) / comb(count, n) if n <= m <= count else 0.0 for m in range(width)] for count in set(counts.tolist())}
    return torch.tensor([rows[count] for count in counts.tolist()], dtype=like.dtype, device=like.device)
