"""Preference objectives by hand: numbers of the papers' formulas, one loss a pair whatever the batch, and extremes."""

import math

import pytest
import torch

from rl.objectives.batch import lay_out
from rl.objectives.objective import describe
from rl.objectives.preferences import (
    PREFERENCES,
    chosen_length,
    log1mexp,
    mismatched,
    preference,
    reference_point,
    with_trained_prompts,
)

# completions of 4 and 6 tokens whose log-probabilities sum to these; the reference's sum to -11 and -13
CHOSEN, REJECTED, REF_CHOSEN, REF_REJECTED = -10.0, -14.0, -11.0, -13.0


def pair(chosen=CHOSEN, rejected=REJECTED, dtype=torch.float64):
    """(batch, terms) of one pair with a prompt of three tokens; every token of a side has the same log-probability."""
    batch = lay_out([[1] * 7, [1] * 9], [[False] * 3 + [True] * 4, [False] * 3 + [True] * 6], [3, 3])
    sums, refs = torch.tensor([chosen, rejected], dtype=dtype), torch.tensor([REF_CHOSEN, REF_REJECTED], dtype=dtype)
    counts = torch.tensor([4, 6])
    logp = torch.where(batch.mask, (sums / counts)[batch.row], 0.0)
    columns = {"ref_logp": (refs / counts)[batch.row], "label": torch.tensor([True, False]), "z0": torch.full((2,), 0.5, dtype=dtype)}
    return batch.with_columns({**columns, "chosen_length": chosen_length(batch)}), {"logp": logp.requires_grad_()}


def logsigmoid(x):
    return -math.log1p(math.exp(-x))


def test_hand_numbers():
    """x = (c - l) = (-10 + 11) - (-14 + 13) = 2, beta 0.1; a token, 1/4 + 1/6. The first eight are from a numpy transcription."""
    expected = {
        ("sigmoid", ()): 0.598139,
        ("hinge", ()): 0.8,
        ("robust", (("label_smoothing", 0.1),)): 0.573139,
        ("ipo", ()): 21.006944,
        ("ipo", (("length_normalised", False),)): 9.0,
        ("sigmoid", (("length_normalised", True),)): 0.672531,
        ("orpo", ()): 10 / 4 + 0.078884,
        ("sigmoid", (("nll_coef", 0.5),)): 0.598139 + 0.5 * 10 / 4,
        ("sigmoid", (("label_smoothing", 0.1),)): -0.9 * logsigmoid(0.2) - 0.1 * logsigmoid(-0.2),
        ("simpo", ()): -logsigmoid(2 * (-10 / 4 + 14 / 6) - 1),
        # gains 1 and -1 around z0 = 0.5
        ("kto", ()): (1 - 1 / (1 + math.exp(-0.05)) + 1 - 1 / (1 + math.exp(-0.15))) / 2,
    }
    for (name, options), value in expected.items():
        batch, terms = pair()
        objective = preference(name, **dict(options))
        loss = (objective.weight(batch) * objective.loss(terms, batch)).sum().detach()
        assert float(loss) == pytest.approx(value, abs=1e-6), (name, options)


@pytest.mark.parametrize("name", PREFERENCES)
@pytest.mark.parametrize("sides", [(0.0, 0.0), (0.0, -1e4), (-1e4, 0.0), (-1e4, -1e4), (-1e-30, -1e-30), (-3.0, -3.0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extremes_are_finite_in_value_and_gradient(name, sides, dtype):
    batch, terms = pair(*sides, dtype=dtype)
    loss = preference(name).loss(terms, batch)
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert torch.isfinite(terms["logp"].grad).all()


def test_log1mexp_in_both_halves_and_at_the_seam():
    """Against mpmath-like exact values: near 0 log(-x - x^2/2 ...), far out -exp(x)."""
    x = torch.tensor([-1e-12, -1e-3, -math.log(2), -1.0, -30.0], dtype=torch.float64, requires_grad=True)
    value = log1mexp(x)
    expected = [math.log(1e-12), math.log(-math.expm1(-1e-3)), -math.log(2), math.log1p(-math.exp(-1.0)), -math.exp(-30.0)]
    assert value.tolist() == pytest.approx(expected, rel=1e-12)
    value.sum().backward()
    assert x.grad.tolist() == pytest.approx([-math.exp(v) / -math.expm1(v) for v in x.tolist()], rel=1e-9)


def random_batch(pairs, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randint(1, 6, (2 * pairs,), generator=generator).tolist()
    starts = [start for start in torch.randint(1, 4, (pairs,), generator=generator).tolist() for _ in range(2)]
    sequences = [torch.randint(0, 9, (start + size,), generator=generator).tolist() for start, size in zip(starts, sizes, strict=True)]
    batch = lay_out(sequences, [[False] * start + [True] * size for start, size in zip(starts, sizes, strict=True)], starts)

    def noise():
        return torch.randn(len(batch.tokens), dtype=torch.float64, generator=generator)

    logp = torch.where(batch.mask, -noise().abs() - 0.1, 0.0)
    columns = {"ref_logp": noise(), "label": torch.arange(2 * pairs) % 3 == 0, "z0": torch.full((2 * pairs,), 0.3, dtype=torch.float64)}
    return batch.with_columns({**columns, "chosen_length": chosen_length(batch)}), logp


def test_prompts_that_train_change_the_likelihood_and_not_the_comparison():
    batch, logp = random_batch(pairs=3)
    wide = with_trained_prompts(batch)
    generator = torch.Generator().manual_seed(5)
    every = torch.where(wide.mask & ~batch.mask, -torch.rand(len(logp), dtype=torch.float64, generator=generator), logp)
    for name in ("sigmoid", "simpo", "orpo"):
        objective = preference(name)
        assert torch.equal(objective.loss({"logp": logp}, batch), objective.loss({"logp": every}, wide)), name
    first = batch.places(torch.tensor([0]))
    with_prompt = preference("orpo", nll_over="everything").loss({"logp": every}, wide)[0]
    without = preference("orpo").loss({"logp": logp}, batch)[0]
    counts = int(batch.lengths[0]) - 1, int(batch.mask[first].sum())
    expected = -every[first].sum() / counts[0] + logp[first].sum() / counts[1]
    assert float(with_prompt - without) == pytest.approx(float(expected))
    with pytest.raises(ValueError, match="with_trained_prompts"):
        preference("orpo", nll_over="everything").loss({"logp": logp}, batch)


def test_mismatched_pairs_by_hand():
    """Each prompt with the next row's completion; rows of one prompt look further, and its masks go with a completion."""
    sequences = [[1, 2, 5], [1, 2, 6], [3, 7, 8, 9], [4, 1, 9]]
    no, yes = False, True
    batch = lay_out(sequences, [[no, no, yes], [no, no, yes], [no, yes, no, yes], [no, no, yes]], [2, 2, 1, 2])
    got = mismatched(batch)
    assert [got.tokens[got.row == row].tolist() for row in range(4)] == [[1, 2, 7, 8, 9], [1, 2, 7, 8, 9], [3, 9], [4, 1, 5]]
    assert got.mask.tolist() == [no, no, yes, no, yes] * 2 + [no, yes, no, no, yes]
    assert got.prompt_length.tolist() == [2, 2, 1, 2]
    assert mismatched(batch.take(torch.tensor([0, 1]))) is None
    assert float(reference_point(torch.tensor([1.0, -4.0]))) == 0
    assert float(reference_point(torch.tensor([1.0, 4.0]))) == 2.5


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("sigmiod", {}, "did you mean sigmoid"),
        ("hinge", {"label_smoothing": 0.1}, "hinge ignores label_smoothing"),
        ("orpo", {"gamma": 0.1, "nll_coef": 1.0}, "orpo ignores gamma, nll_coef"),
        ("sigmoid", {"nll_mean": "token"}, "without nll_coef"),
        ("robust", {"label_smoothing": 0.5}, "below 0.5"),
        ("sigmoid", {"beta": 0.0}, "beta must be above 0"),
        ("sigmoid", {"beta": float("nan")}, "beta must be above 0"),
    ],
)
def test_an_option_that_a_loss_would_ignore_or_cannot_have_is_refused(name, options, words):
    with pytest.raises(ValueError, match=words):
        preference(name, **options)


def test_formulas_say_the_numbers_that_a_value_holds():
    said = describe(preference("simpo", beta=2.5, gamma=1.5, nll_coef=0.2))
    assert "-logσ(2.5 x) + 0.2 nll" in said
    assert "x = s(chosen) - s(rejected) - 0.6,  s = mean_t lp" in said
    assert describe(preference("orpo")).startswith("loss = Σ_u w · [ 0.1 · (-logσ(1 x)) + 1.0 nll ]\n")
    assert "0.7 where not" in describe(preference("kto", undesirable_weight=0.7))
