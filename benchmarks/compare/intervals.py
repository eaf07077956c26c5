"""Intervals of 95 %: of an accuracy, and of the difference of two methods on the same problems and seeds."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

from rl.runs.comparison import STUDENT

_Z = 1.959964


def wilson(right: Sequence[int], samples: int) -> dict[str, Any]:
    """Of `right` ones of so many samples of each problem; samples of a problem are alike, and count for less than as many of others.

    The score interval of as many independent samples as have the variance that the problems' shares show (a design effect, at least 1).
    """
    shares = [count / samples for count in right]
    p, problems = statistics.fmean(shares), len(shares)
    effect = max(1.0, samples * statistics.pvariance(shares) / (p * (1 - p))) if 0 < p < 1 else 1.0
    n = problems * samples / effect
    middle = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
    return {"accuracy": round(p, 4), "ci95": [round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)], "n": round(n)}


def over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """A mean and Student's interval of it; none of a single seed."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return {"mean": round(mean, 4)}
    half = STUDENT[len(values) - 2] * statistics.stdev(values) / math.sqrt(len(values))
    return {"mean": round(mean, 4), "ci95": [round(mean - half, 4), round(mean + half, 4)]}


def difference(one: Sequence[Sequence[int]], other: Sequence[Sequence[int]], samples: int) -> dict[str, Any]:
    """One method's accuracy less another's, of right answers a problem a seed, paired in both ways.

    `over_seeds`: Student's interval of the seeds' differences, for what another seed would give; wide with three. `over_problems`: of these
    very runs, for what other problems would say of them: the seeds' mean, with the variance of each problem's own difference.
    """
    gaps = [[(a - b) / samples for a, b in zip(x, y, strict=True)] for x, y in zip(one, other, strict=True)]
    mean = statistics.fmean(map(statistics.fmean, gaps))
    half = _Z * math.sqrt(sum(statistics.variance(gap) / len(gap) for gap in gaps)) / len(gaps)
    return {
        "over_seeds": over_seeds([statistics.fmean(gap) for gap in gaps]),
        "over_problems": [round(mean - half, 4), round(mean + half, 4)],
    }


def verdict(found: dict[str, Any]) -> str:
    """Whether one is above the other: over both kinds of luck, for these runs alone, or undecided."""
    mean = found["over_seeds"]["mean"]
    sure = [interval for interval in (found["over_seeds"].get("ci95"), found["over_problems"]) if interval]
    apart = [low > 0 or high < 0 for low, high in sure]
    if not apart[-1]:
        return "undecided"
    return ("above" if mean > 0 else "below") + ("" if all(apart) and len(apart) == 2 else ", of these seeds")
