"""Intervals hold what they say as often as they say, and tests of no difference find one as seldom as they say."""

import math

import numpy as np
import pytest

from rl.evaluation import luck
from rl.evaluation.accuracy import Accuracy
from rl.evaluation.luck import bootstrap, compared, mcnemar
from rl.evaluation.subsets import pass_at_k

PROBLEMS, DRAWS = 200, 1500


@pytest.fixture
def fewer_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(luck, "RESAMPLES", 1000)


def population(generator: np.random.Generator, count: int) -> np.ndarray:
    """How likely a policy solves each of some problems: many hardly ever, many nearly always."""
    return generator.beta(0.5, 0.8, count)


@pytest.mark.slow
def test_intervals_of_pass_at_k_cover_the_truth_19_times_in_20(fewer_resamples: None) -> None:
    generator = np.random.default_rng(0)
    truth = float((1 - (1 - population(generator, 2_000_000)) ** 4).mean())
    held = 0
    for seed in range(DRAWS):
        right = generator.binomial(8, population(generator, PROBLEMS))
        low, high = bootstrap([pass_at_k(8, int(each), 4) for each in right], seed=seed)
        held += low <= truth <= high
    assert abs(held / DRAWS - 0.95) <= 0.015


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_wilsons_interval_covers_the_truth_19_times_in_20(share: float) -> None:
    """Over sample sizes, since a share of n problems takes few values: at one size coverage is 93 or 97 %, whatever the interval."""
    generator, held = np.random.default_rng(1), 0
    for _ in range(20_000):
        count = int(generator.integers(100, 600))
        low, high = Accuracy(int(generator.binomial(count, share)), count).interval
        held += low <= share <= high
    assert abs(held / 20_000 - 0.95) <= 0.015


@pytest.mark.slow
def test_a_difference_that_is_none_is_found_once_in_twenty_times(fewer_resamples: None) -> None:
    generator, greedy, sampled = np.random.default_rng(2), 0, 0
    for seed in range(DRAWS):
        chance = population(generator, 4 * PROBLEMS)  # few changes are a test of few values, which is then stricter than it says
        changes = [generator.random(len(chance)) < chance for _ in range(2)]
        greedy += mcnemar(int((changes[0] & ~changes[1]).sum()), int((changes[1] & ~changes[0]).sum())) <= 0.05
        chance = chance[:PROBLEMS]
        before, after = ([pass_at_k(8, int(each), 4) for each in generator.binomial(8, chance)] for _ in range(2))
        sampled += compared(before, after, seed=seed).p <= 0.05
    assert abs(greedy / DRAWS - 0.05) <= 0.01
    assert abs(sampled / DRAWS - 0.05) <= 0.01


def test_mcnemar_by_hand() -> None:
    assert mcnemar(0, 0) == 1
    assert mcnemar(5, 5) == 1
    assert mcnemar(0, 6) == pytest.approx(2 / 64)
    assert mcnemar(8, 2) == pytest.approx(2 * (1 + 10 + 45) / 1024)
    assert mcnemar(8, 2) == mcnemar(2, 8)


def test_a_gain_is_seen_with_its_size() -> None:
    before, after = [0.0] * 60 + [1.0] * 40, [0.0] * 30 + [1.0] * 70
    found = compared(before, after)
    assert (found.value, found.test, found.problems) == (pytest.approx(0.3), "exact McNemar", 100)
    assert 0.2 < found.low < 0.3 < found.high < 0.4
    assert found.p == pytest.approx(2 / 2**30)
    shares = compared([0.25] * 50 + [0.5] * 50, [0.25] * 50 + [0.75] * 50)
    assert shares.test == "paired bootstrap"
    assert shares.p < 0.001


def test_values_that_are_all_alike_still_have_an_interval() -> None:
    low, high = bootstrap([1.0] * 20)
    assert high == 1
    assert low == pytest.approx(Accuracy(20, 20).interval[0])
    assert bootstrap([0.0] * 20)[0] == 0 < bootstrap([0.0] * 20)[1]
    assert compared([1.0], [1.0]).p == 1
    assert math.isclose(compared([0.5, 0.5], [0.75, 0.75]).value, 0.25)


def test_the_same_values_give_the_same_interval() -> None:
    values = [n * n / 400 for n in range(20)]
    assert bootstrap(values) == bootstrap(values) != bootstrap(values, seed=1)


def test_lists_that_are_no_pairs_are_refused() -> None:
    for before, after in (([0.0], []), ([], [])):
        with pytest.raises(ValueError, match="pairs"):
            compared(before, after)
