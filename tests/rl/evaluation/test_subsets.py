"""What k samples of n would do, against every subset counted one by one."""

import itertools
import random
from collections.abc import Sequence

import numpy as np
import pytest

from rl.evaluation.subsets import AnswerClass, best_at_k, majority_at_k, pass_at_k, weighted_majority


def by_subsets(labels: Sequence[int | None], right: Sequence[bool], k: int) -> float:
    """Slow and plain: the mean over all subsets of k."""
    shares = []
    for drawn in itertools.combinations(labels, k):
        votes = [label for label in drawn if label is not None]
        top = max((votes.count(label) for label in votes), default=0)
        tied = {label for label in votes if votes.count(label) == top}
        shares.append(sum(right[label] for label in tied) / len(tied) if tied else 0.0)
    return sum(shares) / len(shares)


def classes_of(labels: Sequence[int | None], right: Sequence[bool]) -> list[AnswerClass]:
    return [AnswerClass(labels.count(label), right[label]) for label in range(len(right)) if label in labels]


def test_majority_is_the_share_of_subsets_whose_commonest_answer_is_right() -> None:
    draw = random.Random(1)
    for _ in range(60):
        labels = [draw.choice([None, 0, 1, 2, 3]) for _ in range(draw.randint(1, 8))]
        right = [draw.random() < 0.4 for _ in range(4)]
        for k in range(1, len(labels) + 1):
            assert majority_at_k(classes_of(labels, right), len(labels), k) == pytest.approx(by_subsets(labels, right, k), abs=1e-12)


def test_majority_by_hand() -> None:
    classes = [AnswerClass(2, True), AnswerClass(1, False)]
    assert majority_at_k(classes, 3, 1) == pytest.approx(2 / 3)
    assert majority_at_k(classes, 3, 2) == pytest.approx((1 + 0.5 + 0.5) / 3)  # one pair agrees, two are tied
    assert majority_at_k(classes, 3, 3) == 1
    assert majority_at_k([AnswerClass(1, True)], 3, 1) == pytest.approx(1 / 3)  # two of three say nothing
    assert majority_at_k([AnswerClass(1, True)], 3, 3) == 1
    assert majority_at_k([], 3, 2) == 0


def test_majority_of_many_samples_is_quick_and_exact() -> None:
    classes = [AnswerClass(40, True), AnswerClass(30, False), *[AnswerClass(1, False)] * 100]
    drawn = np.random.default_rng(0).multivariate_hypergeometric([40, 30, 130], 64, 20_000)[:, :2]
    won = (drawn[:, 0] > drawn[:, 1]).mean() + (drawn[:, 0] == drawn[:, 1]).mean() / 2
    assert majority_at_k(classes, 200, 64) == pytest.approx(won, abs=0.015)


def test_best_of_k_is_that_of_every_subset() -> None:
    scored = [(1.0, False), (2.0, True), (2.0, False), (3.0, False), (0.5, True)]
    for k in range(1, 6):
        shares = []
        for drawn in itertools.combinations(scored, k):
            top = [right for score, right in drawn if score == max(score for score, _ in drawn)]
            shares.append(sum(top) / len(top))
        assert best_at_k(scored, k) == pytest.approx(sum(shares) / len(shares), abs=1e-12)
    assert best_at_k([(score, right) for score, right in scored if right] * 2, 2) == 1


def test_a_score_that_follows_what_is_right_makes_best_of_k_pass_at_k() -> None:
    right = [True, False, False, True, False, False]
    for k in range(1, 7):
        assert best_at_k([(float(each), each) for each in right], k) == pytest.approx(pass_at_k(6, 2, k))


def test_weights_decide_a_majority() -> None:
    right = [True, False]
    assert weighted_majority([(0.9, 0), (0.4, 1), (0.4, 1)], right) == 1
    assert weighted_majority([(0.7, 0), (0.4, 1), (0.4, 1)], right) == 0
    assert weighted_majority([(0.8, 0), (0.4, 1), (0.4, 1)], right) == 0.5
    assert weighted_majority([], right) == 0


def test_counts_that_cannot_be_are_refused() -> None:
    for classes, n, k in (([AnswerClass(3, True)], 2, 1), ([AnswerClass(1, True)], 2, 3), ([AnswerClass(1, True)], 2, 0)):
        with pytest.raises(ValueError, match="maj@k"):
            majority_at_k(classes, n, k)
    with pytest.raises(ValueError, match="best@k"):
        best_at_k([(float("nan"), True)], 1)
