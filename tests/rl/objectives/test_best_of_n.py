"""Credit for several tries: against enumeration of every outcome, of every subset, numbers by hand and the papers' formulas."""

import itertools
import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from recipes import grpo_math
from recipes.setup.command_line import parse_options
from recipes.setup.online import algorithm_of
from rl.objectives import best_of_n, credit
from rl.objectives.algorithms import named
from rl.objectives.credit import Signal
from tests.rl.grids import signal_on
from verifiers.input_error import InputError

ANSWERS = torch.tensor([0.3, -0.8, 0.1, 0.6], dtype=torch.float64)
"""Logits of a policy that gives one of four answers."""
BINARY, CONTINUOUS = (0.0, 1.0, 0.0, 1.0), (0.25, -1.0, 0.25, 2.0)
UNBIASED = [best_of_n.pass_at_k, best_of_n.pass_at_k_leave_one_out]
EVERY = [*UNBIASED, best_of_n.pass_at_k_zscore]


def groups(*rows: Sequence[float], valid: Tensor | None = None) -> Signal:
    """A group a row, of completions of one token each."""
    outcome = torch.tensor(rows, dtype=torch.float64)
    return signal_on(outcome, torch.ones(outcome.numel(), 1, dtype=torch.bool), valid)


def advantages(given: Callable[..., credit.Credit], *rows: Sequence[float], **options: int) -> Tensor:
    """[P G]"""
    return given(groups(*rows), **options)["advantage"].reshape(len(rows), -1)


def expected_gradient(given: Callable[..., credit.Credit], rewards: Sequence[float], size: int, **options: int) -> Tensor:
    """Of mean_G(A ∇ log p), over every group of so many answers by its probability."""
    outcomes = list(itertools.product(range(len(rewards)), repeat=size))
    weights = advantages(given, *[[rewards[answer] for answer in outcome] for outcome in outcomes], **options)
    logits = ANSWERS.clone().requires_grad_()
    logp = logits.log_softmax(0)
    taken = logp[torch.tensor(outcomes)]
    chance = taken.detach().sum(1).exp()
    return torch.autograd.grad((chance[:, None] * weights * taken / size).sum(), logits)[0]


def gradient_of_best(rewards: Sequence[float], k: int) -> Tensor:
    """Of the expected largest reward of k answers, which is all of them gone through."""
    logits = ANSWERS.clone().requires_grad_()
    outcomes = list(itertools.product(range(len(rewards)), repeat=k))
    chance = logits.log_softmax(0)[torch.tensor(outcomes)].sum(1).exp()
    best = torch.tensor([max(rewards[answer] for answer in outcome) for outcome in outcomes], dtype=torch.float64)
    return torch.autograd.grad((chance * best).sum(), logits)[0]


# --- unbiased ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rewards", [BINARY, CONTINUOUS])
@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize("given", UNBIASED)
def test_the_mean_over_a_group_is_the_gradient_of_the_best_of_k(
    given: Callable[..., credit.Credit], k: int, rewards: Sequence[float]
) -> None:
    torch.testing.assert_close(expected_gradient(given, rewards, 5, k=k), gradient_of_best(rewards, k), atol=1e-12, rtol=0)


def test_of_a_coin_it_is_the_gradient_in_closed_form() -> None:
    # d/dx [1 - (1 - p)^3], p = σ(x): 3 (1 - p)^2 p (1 - p)
    p = 0.3
    total = 0.0
    for outcome in itertools.product((0.0, 1.0), repeat=4):
        chance = math.prod(p if right else 1 - p for right in outcome)
        weights = advantages(best_of_n.pass_at_k, outcome, k=3)[0].tolist()
        total += chance * sum(a * (1 - p if right else -p) for a, right in zip(weights, outcome, strict=True)) / 4
    assert total == pytest.approx(3 * (1 - p) ** 2 * p * (1 - p), abs=1e-12)


def test_the_whole_group_may_be_one_subset() -> None:
    torch.testing.assert_close(
        expected_gradient(best_of_n.pass_at_k, CONTINUOUS, 4, k=4), gradient_of_best(CONTINUOUS, 4), atol=1e-12, rtol=0
    )


@pytest.mark.parametrize("rewards", [BINARY, CONTINUOUS])
@pytest.mark.parametrize("n", [2, 3, 5])
def test_best_of_n_is_the_likelihood_of_the_policys_own_best(n: int, rewards: Sequence[float]) -> None:
    probabilities = ANSWERS.softmax(0).tolist()
    chosen = [0.0] * len(rewards)
    for outcome in itertools.product(range(len(rewards)), repeat=n):
        best = [answer for answer in outcome if rewards[answer] == max(rewards[each] for each in outcome)]
        for answer in best:
            chosen[answer] += math.prod(probabilities[each] for each in outcome) / len(best)
    logits = ANSWERS.clone().requires_grad_()
    wanted = torch.autograd.grad((torch.tensor(chosen, dtype=torch.float64) * logits.log_softmax(0)).sum(), logits)[0]
    torch.testing.assert_close(expected_gradient(best_of_n.best_of_n, rewards, 5, n=n), wanted, atol=1e-12, rtol=0)


@pytest.mark.parametrize("rewards", [BINARY, CONTINUOUS])
def test_the_expected_best_is_unbiased(rewards: Sequence[float]) -> None:
    probabilities = ANSWERS.softmax(0)
    for k in (1, 2, 4):
        found, wanted = (
            sum(
                probabilities[list(outcome)].prod().item() * value([rewards[answer] for answer in outcome])
                for outcome in itertools.product(range(4), repeat=size)
            )
            for size, value in ((4, lambda row, k=k: best_of_n.expected_best(groups(row), k).item()), (k, max))
        )
        assert found == pytest.approx(wanted, abs=1e-12)


# --- by hand -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "options", "expected"),
    [
        # of [1, 0, 0, 0.5] and the pairs of others: k = 2 has 2 * mean(1, 1, 0.5), 0, 0, 2 * mean(0, 0.5, 0.5)
        (best_of_n.pass_at_k, {"k": 2}, [5 / 3, 0, 0, 2 / 3]),
        # k = 3: the others' pairs of 1: (0, 0), (0, 0.5) twice; of 0.5: (0, 0), (1, 0) twice
        (best_of_n.pass_at_k, {"k": 3}, [2, 0, 0, 0.5]),
        (best_of_n.pass_at_k, {"k": 4}, [2, 0, 0, 0]),
        # with 1: 1. Without: pairs of (0, 0, 0.5) 1/3; of a 0: (1 + 0 + 0.5) / 3, without (1 + 1 + 0.5) / 3; of 0.5: (1 + 0.5 + 0.5) / 3,
        # without (1 + 1 + 0) / 3
        (best_of_n.pass_at_k_leave_one_out, {"k": 2}, [4 / 3, -2 / 3, -2 / 3, 0]),
        # the pairs' bests: 1, 1, 1, 0, 0.5, 0.5: mean 2/3, population variance (3/9 + 4/9 + 2/36) / 6 = 5/36
        (best_of_n.pass_at_k_zscore, {"k": 2}, [x / (math.sqrt(5 / 36) + 1e-4) for x in (1 / 3, -1 / 6, -1 / 6, 0)]),
        # 1 is the best of every pair with it; a 0 of 1/2 of a pair of three; 0.5 of two of three
        (best_of_n.best_of_n, {"n": 2}, [1, 2 / 6 - 1, 2 / 6 - 1, 4 / 3 - 1]),
        (best_of_n.best_of_n, {"n": 4}, [3, -1, -1, -1]),
        # right ones share: n = 2 of [1, 0, 0, 0.5] has no ties but the zeros
        (best_of_n.pass_at_k, {"k": 1}, [5 / 6, -0.5, -0.5, 1 / 6]),
    ],
)
def test_by_hand(given: Callable[..., credit.Credit], options: dict[str, int], expected: list[float]) -> None:
    assert advantages(given, [1.0, 0.0, 0.0, 0.5], **options)[0].tolist() == pytest.approx(expected, abs=1e-12)


def test_one_try_is_rloo() -> None:
    rows = [[0.3, 1.0, -2.0, 0.3, 0.0], [1.0, 1.0, 0.0, 1.0, 0.0]]
    for given in UNBIASED:
        found = given(groups(*rows), k=1)["advantage"]
        torch.testing.assert_close(found, credit.leave_one_out(groups(*rows))["advantage"], atol=1e-12, rtol=0)


@pytest.mark.parametrize(("size", "right", "k"), [(8, 3, 4), (8, 1, 4), (6, 4, 2), (6, 5, 5)])
def test_of_right_and_wrong_the_papers_formulas(size: int, right: int, k: int) -> None:
    row, wrong, comb = [1.0] * right + [0.0] * (size - right), size - right, math.comb
    shares = advantages(best_of_n.pass_at_k, row, k=k)[0].tolist()
    # PKPO: k/n of the chance that the other k - 1 all fail
    assert shares == pytest.approx([k * comb(wrong, k - 1) / comb(size - 1, k - 1)] * right + [0.0] * wrong, abs=1e-12)
    mean = 1 - comb(wrong, k) / comb(size, k)
    std = math.sqrt(mean * (1 - mean))
    wanted = [(1 - mean) / (std + 1e-4), (1 - mean - comb(wrong - 1, k - 1) / comb(size - 1, k - 1)) / (std + 1e-4)]  # Pass@k Training
    found = advantages(best_of_n.pass_at_k_zscore, row, k=k)[0].tolist()
    assert found == pytest.approx([wanted[0]] * right + [wanted[1]] * wrong, abs=1e-12)
    assert best_of_n.expected_best(groups(row), k).item() == pytest.approx(mean, abs=1e-12)
    share = 1 - comb(wrong, k) / comb(size, k)  # best of n: the right ones share pass@n, the wrong ones the rest
    won = advantages(best_of_n.best_of_n, row, n=k)[0].tolist()
    assert won == pytest.approx([size / right * share - 1] * right + [size / wrong * (1 - share) - 1] * wrong, abs=1e-12)


def test_of_just_k_answers_it_is_k_times_what_each_adds_to_the_others() -> None:
    """arXiv:2503.19595: A = max of all - max of the others; only the best can have one, and what it has is its lead over the second."""
    found = advantages(best_of_n.pass_at_k, [0.25, 1.0, 0.7, 0.0], [0.5, 0.5, 0.0, 0.1], k=4)
    torch.testing.assert_close(found, torch.tensor([[0, 4 * 0.3, 0, 0], [0.0] * 4], dtype=torch.float64), atol=1e-12, rtol=0)


def slowly(row: Sequence[float], size: int, value: Callable[[tuple[int, ...]], float]) -> float:
    subsets = list(itertools.combinations(range(len(row)), size))
    return math.fsum(map(value, subsets)) / len(subsets)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_against_every_subset(k: int) -> None:
    generator = torch.Generator().manual_seed(k)
    rows = (torch.randint(0, 5, (6, 7), generator=generator) / 4 - 0.5).tolist()  # with ties
    found = {given: advantages(given, *rows, k=k) for given in EVERY}
    won = advantages(best_of_n.best_of_n, *rows, n=k)
    for p, row in enumerate(rows):
        mean = slowly(row, k, lambda subset, row=row: max(row[j] for j in subset))
        std = math.sqrt(slowly(row, k, lambda subset, row=row, mean=mean: (max(row[j] for j in subset) - mean) ** 2))
        for i, own in enumerate(row):
            others = row[:i] + row[i + 1 :]
            gain = slowly(others, k - 1, lambda subset, o=others, own=own: max(own, *(o[j] for j in subset)) - max(o[j] for j in subset))
            held = slowly(others, k - 1, lambda subset, o=others, own=own: max(own, *(o[j] for j in subset)))
            without = slowly(others, k, lambda subset, o=others: max(o[j] for j in subset))
            wins = slowly(others, k - 1, lambda subset, o=others, own=own: (
                (max(o[j] for j in subset) <= own) / (1 + sum(o[j] == own for j in subset))))  # fmt: skip
            wanted = {
                best_of_n.pass_at_k: k * gain,
                best_of_n.pass_at_k_leave_one_out: k * (held - without),
                best_of_n.pass_at_k_zscore: (held - mean) / (std + 1e-4),
            }
            for given in EVERY:
                assert found[given][p, i].item() == pytest.approx(wanted[given], abs=1e-12)
            assert won[p, i].item() == pytest.approx(k * wins - 1, abs=1e-12)


def test_pass_at_k_training_is_the_unbiased_one_scaled() -> None:
    row, k = [0.0, 1.0, 0.25, 0.0, 0.7, 0.25], 3
    bests = [max(row[j] for j in subset) for subset in itertools.combinations(range(6), k)]
    std = torch.tensor(bests, dtype=torch.float64).std(correction=0).item() + 1e-4
    unbiased = advantages(best_of_n.pass_at_k_leave_one_out, row, k=k)
    torch.testing.assert_close(advantages(best_of_n.pass_at_k_zscore, row, k=k), unbiased * (6 - k) / (6 * k) / std, atol=1e-12, rtol=0)


# --- what must hold ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "name"), [*((each, "k") for each in EVERY), (best_of_n.best_of_n, "n")])
class TestEvery:
    @pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1 / 3, -0.7])
    @pytest.mark.parametrize("size", [4, 5, 7])
    def test_equal_rewards_teach_exactly_nothing(self, given: Callable[..., credit.Credit], name: str, size: int, value: float) -> None:
        for many in range(2, size + 1):
            assert (advantages(given, [value] * size, **{name: many}) == 0).all()

    def test_what_has_no_verdict_influences_nobody(self, given: Callable[..., credit.Credit], name: str) -> None:
        row = [0.3, math.nan, 1.0, 0.0, math.inf, 0.3, 0.5]
        valid = torch.tensor([[True, False, True, True, False, True, True]])
        found = given(groups(row, valid=valid), **{name: 3})["advantage"]
        alone = advantages(given, [0.3, 1.0, 0.0, 0.3, 0.5], **{name: 3})[0]
        torch.testing.assert_close(found[valid[0]], alone, atol=1e-12, rtol=0)
        assert (alone != 0).any()
        assert (found[~valid[0]] == 0).all()

    def test_fewer_verdicts_than_a_subset_has_teach_nothing(self, given: Callable[..., credit.Credit], name: str) -> None:
        valid = torch.tensor([[True, True, False, False]] * 2 + [[False] * 4])
        rows = groups([1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0], valid=valid)
        assert (given(rows, **{name: 3})["advantage"] == 0).all()

    def test_groups_do_not_influence_each_other_nor_does_order(self, given: Callable[..., credit.Credit], name: str) -> None:
        rows = [[0.5, 1.0, 0.0, 0.5, 0.25], [1.0, 0.0, 0.0, 0.0, 0.0]]
        found = advantages(given, *rows, **{name: 3})
        order = torch.tensor([3, 0, 4, 1, 2])
        for row, own in zip(rows, found, strict=True):
            shuffled = advantages(given, [row[int(i)] for i in order], **{name: 3})[0]
            torch.testing.assert_close(shuffled, own[order], atol=1e-12, rtol=0)

    def test_all_its_tokens_and_no_other_have_it(self, given: Callable[..., credit.Credit], name: str) -> None:
        mask = torch.tensor([[1, 1, 0], [0, 1, 1], [1, 0, 0]], dtype=torch.bool)
        found = given(signal_on(torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64), mask), **{name: 2})["advantage"].reshape(3, 3)
        assert (found[~mask] == 0).all()
        assert found[0, 0] == found[0, 1]
        assert found[1, 1] == found[1, 2] == found[2, 0]
        assert found[0, 0] > 0


def test_wrong_answers_are_left_alone_and_of_the_others_pushed_down() -> None:
    row = [1.0] + [0.0] * 7
    assert (advantages(best_of_n.pass_at_k, row, k=4)[0, 1:] == 0).all()
    assert (advantages(best_of_n.pass_at_k_leave_one_out, row, k=4)[0, 1:] < 0).all()


def test_the_rarer_the_right_answer_the_more_it_weighs() -> None:
    shares = [advantages(best_of_n.pass_at_k, [1.0] * c + [0.0] * (8 - c), k=4)[0, 0].item() for c in range(1, 8)]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == 0.0, "with one wrong of eight, no three others are all wrong: nothing is to be gained"


def test_many_answers_stay_finite() -> None:
    row = [1.0] + [0.0] * 299
    for given, options in ((best_of_n.pass_at_k, {"k": 150}), (best_of_n.best_of_n, {"n": 150})):
        assert torch.isfinite(advantages(given, row, **options)).all()


# --- from the command line ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--algorithm", "pass-at-k", "--k", "9"],
            "--completions-per-problem 8: pass-at-k's baseline is the group, which needs at least 9; sample more, or lower --k 9",
        ),
        (["--algorithm", "pass-at-k", "--k", "8", "--baseline", "leave-one-out"], "which needs at least 9; sample more, or lower --k 8"),
        (["--algorithm", "best-of-n", "--n", "12"], "needs at least 12; sample more, or lower --n 12"),
        (["--algorithm", "best-of-n", "--n", "1"], "--n must be at least 2, not 1"),
        (["--algorithm", "pass-at-k", "--k", "0"], "--k must be at least 1, not 0"),
    ],
)
def test_a_subset_larger_than_the_group_is_one_line(words: list[str], said: str) -> None:
    with pytest.raises(InputError) as caught:
        algorithm_of(parse_options(grpo_math.Config, words, name="grpo-math"))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_options_reach_the_credit() -> None:
    made = algorithm_of(
        parse_options(grpo_math.Config, ["--algorithm", "pass-at-k", "--k", "3", "--baseline", "z-score"], name="grpo-math")
    )
    assert made.credit.func is best_of_n.pass_at_k_zscore  # type: ignore[attr-defined]
    assert made.credit.keywords == {"k": 3}  # type: ignore[attr-defined]
    assert made.min_completions == 4
    assert named("best-of-n", max_completion_length=4, n=6).min_completions == 6
