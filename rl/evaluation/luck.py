"""How much of a figure is luck: an interval for a mean over problems, and whether two policies truly differ on the same problems.

Problems are what is drawn by chance: samples of one problem are not independent, so nothing here counts them as if they were.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rl.evaluation.accuracy import Accuracy

RESAMPLES = 10_000
_AT_ONCE = 2**22  # numbers drawn together

Floats = npt.NDArray[np.float64]


class Interval(NamedTuple):
    low: float
    high: float


class Difference(NamedTuple):
    """Of two policies on the same problems."""

    value: float
    """Mean of the second less mean of the first."""
    low: float
    high: float
    p: float
    """Of the two-sided test that there is none."""
    test: str
    problems: int


def bootstrap(values: Sequence[float], *, seed: int = 0) -> Interval:
    """95 % for the mean of one value from 0 to 1 a problem, from 10,000 resamples of the problems (percentiles, widened by n/(n - 1)).

    Where all values are 0 or all are 1 no resample differs, and Wilson's interval for so many problems is given instead.
    """
    mean = float(np.mean(values)) if len(values) else 0.0
    if len(values) < 2 or len(set(values)) == 1:
        return Interval(*_of_equal_values(mean, len(values)))
    spread = (_resampled_means(np.asarray(values, dtype=np.float64), seed) - mean) * math.sqrt(len(values) / (len(values) - 1))
    low, high = np.quantile(spread, (0.025, 0.975))
    return Interval(max(0.0, mean + float(low)), min(1.0, mean + float(high)))


def _of_equal_values(mean: float, count: int) -> tuple[float, float]:
    low, high = Accuracy(round(mean * count), count).interval
    return min(low, mean), max(high, mean)


def _resampled_means(values: Floats, seed: int) -> Floats:
    generator, count = np.random.default_rng(seed), len(values)
    rows = max(1, _AT_ONCE // count)
    parts = [
        values[generator.integers(0, count, (min(rows, RESAMPLES - start), count))].mean(axis=1) for start in range(0, RESAMPLES, rows)
    ]
    return np.concatenate(parts)


def compared(before: Sequence[float], after: Sequence[float], *, seed: int = 0) -> Difference:
    """Two policies on the same problems, in the same order: exact McNemar where every value is 0 or 1, else a paired bootstrap.

    Raises ValueError for lists of different lengths, or without a problem.
    """
    if len(before) != len(after) or not before:
        raise ValueError(f"{len(before)} and {len(after)} values cannot be compared in pairs")
    changes = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)
    mean = float(changes.mean())
    means = _resampled_means(changes, seed) if len(set(changes.tolist())) > 1 else np.full(RESAMPLES, mean)
    spread = (means - mean) * (math.sqrt(len(changes) / (len(changes) - 1)) if len(changes) > 1 else 1.0)
    low, high = np.quantile(spread, (0.025, 0.975))
    binary = set(before) | set(after) <= {0.0, 1.0}
    p = mcnemar(int((changes > 0).sum()), int((changes < 0).sum())) if binary else _p_of(spread, mean)
    test = "exact McNemar" if binary else "paired bootstrap"
    return Difference(mean, max(-1.0, mean + float(low)), min(1.0, mean + float(high)), p, test, len(changes))


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided p of the exact test: of the problems whose answer changed, were as many gained as lost but for luck?

    min(1, 2 P[Binomial(gained + lost, 1/2) <= the smaller]). Source: McNemar, Psychometrika 12 (1947), in its exact form.
    """
    count = gained + lost
    tail = sum(math.comb(count, k) for k in range(min(gained, lost) + 1))
    return min(1.0, 2 * tail / 2**count)


def _p_of(spread: Floats, mean: float) -> float:
    """How often chance alone, resampled around no difference, is as far from 0; never 0, since there are only so many resamples."""
    if mean == 0.0:
        return 1.0
    return (1 + int((np.abs(spread) >= abs(mean) - 1e-12).sum())) / (1 + len(spread))
