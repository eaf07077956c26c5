"""What k samples of n would do, by counting: pass@k, maj@k and best of k. Unbiased: k of the n are drawn without replacement.

Each is exact over all subsets of k, so that it depends on no random number. A bootstrap with replacement (as in verl's metrics) draws the
same sample twice and is biased low; 1 - (1 - share)^k is biased too.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple


def pass_at_k(n: int, right: int, k: int) -> float:
    """The chance that k of n samples, drawn without replacement, hold a right one: 1 - C(n - right, k) / C(n, k).

    Unbiased for the chance that k fresh samples do, which 1 - (1 - right / n)^k is not. Source: arXiv:2107.03374, section 2.1. Raises
    ValueError unless 0 <= right <= n and 1 <= k <= n.
    """
    if not 0 <= right <= n or not 1 <= k <= n:
        raise ValueError(f"pass@k of {right} right ones among n = {n} samples, k = {k}: k lies between 1 and n")
    return 1 - math.comb(n - right, k) / math.comb(n, k)


class AnswerClass(NamedTuple):
    """Samples of one problem whose answers are equivalent."""

    count: int
    right: bool


def majority_at_k(classes: Sequence[AnswerClass], n: int, k: int) -> float:
    """The chance that the commonest answer of k samples is right (self-consistency, arXiv:2203.11171), a tie decided by a fair draw.

    `classes`: of the samples that answer; n counts the others too, which have no vote. Where nobody of the k votes, it is not right.
    Raises ValueError for counts that cannot be.
    """
    voters = sum(each.count for each in classes)
    if not 1 <= k <= n or voters > n or any(each.count < 1 for each in classes):
        raise ValueError(f"maj@k of {voters} answers among n = {n} samples, k = {k}: k lies between 1 and n, answers are samples")
    if not any(each.right for each in classes):
        return 0.0
    favourable = sum(_won_with(classes, n - voters, k, top) for top in range(1, max(each.count for each in classes) + 1))
    return favourable / math.comb(n, k)


def _won_with(classes: Sequence[AnswerClass], silent: int, k: int, top: int) -> float:
    """Over the subsets of k whose commonest answer is said `top` times: the sum of the shares of right answers among those tied."""
    states: dict[tuple[int, int, int], int] = {(0, 0, 0): 1}  # (samples drawn, classes tied, right ones among them) -> subsets
    for count, right in classes:
        grown: dict[tuple[int, int, int], int] = {}
        for (drawn, tied, won), ways in states.items():
            for own in range(min(count, top, k - drawn) + 1):
                state = (drawn + own, tied + (own == top), won + (own == top and right))
                grown[state] = grown.get(state, 0) + ways * math.comb(count, own)
        states = grown
    return sum(
        ways * math.comb(silent, k - drawn) * won / tied for (drawn, tied, won), ways in states.items() if won and k - drawn <= silent
    )


def best_at_k(scored: Sequence[tuple[float, bool]], k: int) -> float:
    """The chance that of k samples the one that scores highest is right, a tie decided by a fair draw. `scored`: (score, right) of each.

    With a reward model's scores this is best-of-n as a user would run it. Raises ValueError for a k that cannot be, or a score that is nan.
    """
    n = len(scored)
    if not 1 <= k <= n or any(math.isnan(score) for score, _ in scored):
        raise ValueError(f"best@k of n = {n} samples, k = {k}: k lies between 1 and n, scores are numbers")
    chance, below = 0.0, 0
    for score in sorted({score for score, _ in scored}):
        equal = [right for own, right in scored if own == score]
        up_to = below + len(equal)
        chance += (math.comb(up_to, k) - math.comb(below, k)) * sum(equal) / len(equal)
        below = up_to
    return chance / math.comb(n, k)


def weighted_majority(votes: Sequence[tuple[float, int]], right: Sequence[bool]) -> float:
    """Whether the class whose votes weigh most is right, a tie decided by a fair draw.

    `votes`: (weight, class) of each sample that answers; `right`: of each class. Of all samples at once: weights allow no counting.
    """
    if not votes:
        return 0.0
    weights = [0.0] * len(right)
    for weight, place in votes:
        weights[place] += weight
    voted = {place for _, place in votes}
    top = max(weights[place] for place in voted)
    tied = [place for place in voted if math.isclose(weights[place], top, rel_tol=1e-12, abs_tol=0.0)]
    return sum(right[place] for place in tied) / len(tied)
