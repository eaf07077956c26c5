"""The algorithms against numbers from elsewhere (the formulas of TRL, verl and others in numpy, float64) and what must hold.

LOGP, OLD, SAMPLER, REF and MASK are the inputs for which those numbers were computed; every expected value is theirs or is worked
out in the test itself, never our own output.
"""

import typing
from functools import partial

import jaxtyping
import numpy as np
import pytest
import torch

from rl.objectives import advantages, losses
from rl.objectives.advantages import Signal
from rl.objectives.algorithms import ALGORITHMS, Algorithm, describe, named
from rl.objectives.losses import KL, Correction


def double(rows):
    return torch.tensor(rows, dtype=torch.float64)


LOGP = double([[-0.9, -1.2, -0.3], [-0.5, -2.0, -0.7], [-1.5, -0.4, -0.8], [-0.6, -0.9, -1.1]])
OLD = double([[-1.0, -1.0, -0.5], [-0.7, -1.6, -0.7], [-1.5, -0.9, -0.2], [-0.6, -1.0, -1.0]])
SAMPLER = double([[-1.05, -0.95, -0.5], [-0.7, -1.7, -0.7], [-1.4, -0.9, -0.3], [-0.6, -1.0, -1.0]])
REF = double([[-1.1, -1.1, -0.4], [-0.6, -1.7, -0.7], [-1.4, -0.8, -0.5], [-0.7, -0.8, -1.0]])
MASK = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 1, 1], [1, 0, 0]], dtype=torch.bool)
SIGNAL = Signal(double([[1.0, 0.0, 0.0, 0.5]]), torch.ones(1, 4, dtype=torch.bool), MASK)

every_algorithm = pytest.mark.parametrize("name", list(ALGORITHMS))
group_algorithms = pytest.mark.parametrize("name", [name for name in ALGORITHMS if name != "reinforce++"])


def algorithm(name, **options):
    return named(name, max_completion_length=4, **options)


def loss(algorithm, logp=LOGP, old=OLD, signal=SIGNAL):
    """The loss of `rl/objectives/algorithms.py`'s docstring, without micro-batches."""
    token_loss = algorithm.loss(logp, old, algorithm.advantage(signal), signal.mask)
    if algorithm.correction:
        token_loss = token_loss * algorithm.correction(old, SAMPLER, signal.mask)
    if algorithm.kl:
        token_loss = token_loss + algorithm.kl.coef * algorithm.kl.estimator(logp, REF)
    return (algorithm.weight(signal.mask) * token_loss).sum()


def one_group(*outcomes, dtype=torch.float64):
    """A group of completions of one token each."""
    n = len(outcomes)
    return Signal(torch.tensor([outcomes], dtype=dtype), torch.ones(1, n, dtype=torch.bool), torch.ones(n, 1, dtype=torch.bool))


# --- published numbers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("grpo", {}, 0.017904),
        ("dapo", {}, -0.009171),
        ("dapo", {"clip_high": 0.2}, -0.006066),
        ("gspo", {}, -0.000248),
        ("gspo", {"clip_low": 0.2, "clip_high": 0.2}, -0.036112),
        ("cispo", {}, -0.038634),
        ("cispo", {"ratio_cap": 0.2}, -0.017404),
    ],
)
def test_losses_equal_the_published_formulas(name, options, expected):
    assert loss(algorithm(name, **options)).item() == pytest.approx(expected, abs=1e-6)


def test_dr_grpo_keeps_its_constant_denominator():
    z_scored = Algorithm(advantages.zscore, losses.clipped_ratio, algorithm("dr_grpo").weight)  # the vector's advantages
    assert loss(z_scored).item() == pytest.approx(-0.003412, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("grpo", [1.305310, -0.783186, -0.783186, 0.261062]),
        ("dr_grpo", [0.625, -0.375, -0.375, 0.125]),
        ("dapo", [1.305310, -0.783186, -0.783186, 0.261062]),
        ("gspo", [1.305310, -0.783186, -0.783186, 0.261062]),
        ("cispo", [1.305310, -0.783186, -0.783186, 0.261062]),
        ("rloo", [0.833333, -0.5, -0.5, 0.166667]),
        ("maxrl", [1.666662, -0.999997, -0.999997, 0.333332]),
    ],
)
def test_advantages(name, expected):
    advantage = algorithm(name).advantage(SIGNAL)
    assert advantage[:, 0].tolist() == pytest.approx(expected, abs=1e-6)
    torch.testing.assert_close(advantage, advantage[:, :1] * MASK)


def test_zscore_with_verls_epsilon():
    expected = [1.305580, -0.783348, -0.783348, 0.261116]
    assert advantages.zscore(SIGNAL, eps=1e-6)[:, 0].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("estimator", "expected"), [(losses.k1, 0.011111), (losses.k2, 0.023889), (losses.k3, 0.023736)])
def test_kl_estimators(estimator, expected):
    assert (losses.token_mean(MASK) * estimator(LOGP, REF)).sum().item() == pytest.approx(expected, abs=1e-6)


def test_the_kl_term_adds_its_weighed_estimate():
    with_kl = loss(algorithm("dapo", clip_high=0.2, kl=KL(0.04)))
    assert with_kl.item() == pytest.approx(-0.006066 + 0.04 * 0.023736, abs=1e-6)


@pytest.mark.parametrize(
    ("correction", "expected"),
    [
        (
            Correction("truncate", "token", high=1.05),
            [[1.05, 0.951229, 1.0], [1.0, 1.05, 0.0], [0.904837, 1.0, 1.05], [1.0, 0.0, 0.0]],
        ),
        (Correction("mask", "token", high=1.05), [[0.0, 0.951229, 1.0], [1.0, 0.0, 0.0], [0.904837, 1.0, 0.0], [1.0, 0.0, 0.0]]),
        (Correction("mask", "token", low=0.95, high=1.05), [[0.0, 0.951229, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),
        (Correction("mask", "sequence", high=3.0), [[1.0] * 3, [1.105171, 1.105171, 0.0], [1.0] * 3, [1.0, 0.0, 0.0]]),
        (Correction("mask", "sequence", high=1.1), [[1.0] * 3, [0.0] * 3, [1.0] * 3, [1.0, 0.0, 0.0]]),
        (Correction("truncate", "sequence", high=1.1), [[1.0] * 3, [1.1, 1.1, 0.0], [1.0] * 3, [1.0, 0.0, 0.0]]),
    ],
)
def test_corrections(correction, expected):
    torch.testing.assert_close(correction(OLD, SAMPLER, MASK), double(expected), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("correction", "expected"),
    [(Correction("mask", "sequence", high=3.0), 0.012434), (Correction("truncate", "token", high=1.05), -0.009609)],
)
def test_a_correction_multiplies_the_token_loss(correction, expected):
    assert loss(algorithm("dapo", clip_high=0.2, correction=correction)).item() == pytest.approx(expected, abs=1e-6)


def test_a_correction_ignores_what_the_sampler_says_outside_the_mask():
    spoilt = torch.where(MASK, SAMPLER, -500.0)
    correction = Correction("truncate", "sequence")
    torch.testing.assert_close(correction(OLD, spoilt, MASK), correction(OLD, SAMPLER, MASK), atol=0, rtol=0)


# --- worked out here ---------------------------------------------------------------------------------------------------

TWO_GROUPS = Signal(
    double([[1.0, 0.0], [0.5, 0.25]]),
    torch.ones(2, 2, dtype=torch.bool),
    torch.tensor([[1, 1, 1], [1, 1, 0], [0, 1, 1], [0, 0, 1]], dtype=torch.bool),
)


@pytest.mark.parametrize(
    ("name", "per_completion"),
    [("reinforce++", [1.0, 0.0, 0.5, 0.25]), ("reinforce++-baseline", [0.5, -0.5, 0.125, -0.125])],
)
def test_reinforce_pp_whitens_over_all_tokens_of_the_rollout(name, per_completion):
    lengths = [3, 2, 2, 1]  # a token each in the mean and the variance: long completions count more
    tokens = np.repeat(per_completion, lengths)
    expected = (np.array(per_completion) - tokens.mean()) / np.sqrt(tokens.var(ddof=1) + 1e-8)
    advantage = algorithm(name).advantage(TWO_GROUPS)
    torch.testing.assert_close(advantage, torch.tensor(expected)[:, None] * TWO_GROUPS.mask, atol=1e-9, rtol=0)


def test_reinforce_pp_by_hand():
    # two tokens of return 1, one of 0: mean 2/3, variance (2/9 + 4/9) / 2 = 1/3; (1 - 2/3) sqrt(3) = 0.577350
    signal = Signal(double([[1.0, 0.0]]), torch.ones(1, 2, dtype=torch.bool), torch.tensor([[True, True], [True, False]]))
    advantage = algorithm("reinforce++").advantage(signal)
    torch.testing.assert_close(advantage, double([[0.577350, 0.577350], [-1.154701, 0.0]]), atol=1e-6, rtol=0)


def test_soft_overlong_by_hand():
    lengths = double([[1.0, 12.0, 14.0, 16.0, 17.0, 40.0]])  # the limit is 16, the penalty grows over the last 4
    penalty = losses.soft_overlong(lengths, max_completion_length=16, cache=4)
    assert penalty.tolist() == [[0.0, 0.0, -0.5, -1.0, -1.0, -1.0]]


def test_dapos_default_overlong_cache_is_a_fifth_and_zero_switches_it_off():
    penalty = named("dapo", max_completion_length=20_480).length_penalty
    assert penalty(double([[16_384.0, 18_432.0, 20_480.0]])).tolist() == [[0.0, -0.5, -1.0]]  # the paper's numbers
    assert named("dapo", max_completion_length=20_480, overlong_cache=0).length_penalty is None
    assert algorithm("grpo").length_penalty is None


def test_weights_by_hand():
    torch.testing.assert_close(losses.sequence_mean(MASK)[:, 0], torch.tensor([1 / 12, 1 / 8, 1 / 12, 1 / 4]))
    torch.testing.assert_close(losses.token_mean(MASK), MASK / 9)
    torch.testing.assert_close(losses.constant_length(MASK, max_completion_length=5), MASK / 20)


@pytest.mark.parametrize("weight", [losses.sequence_mean, losses.token_mean, partial(losses.constant_length, max_completion_length=5)])
def test_a_sequence_without_tokens_is_not_counted(weight):
    longer = torch.cat([MASK, torch.zeros(2, 3, dtype=torch.bool)])
    torch.testing.assert_close(weight(longer)[:4], weight(MASK))
    assert (weight(torch.zeros(2, 3, dtype=torch.bool)) == 0).all()


def test_wild_log_ratios_stay_finite():
    logp = OLD.clone()
    logp[0] = -900.0
    logp[1] = 900.0
    logp.requires_grad_()
    for name in ALGORITHMS:
        value = loss(algorithm(name, kl=KL(0.1)), logp=logp)
        assert torch.isfinite(value)
        assert torch.isfinite(torch.autograd.grad(value, logp)[0]).all()


# --- what must hold ----------------------------------------------------------------------------------------------------


@every_algorithm
def test_what_has_no_verdict_never_counts(name):
    three = Signal(SIGNAL.outcome[:, :3], SIGNAL.valid[:, :3], MASK[:3])
    verdicts = torch.tensor([[True, True, True, False]])
    spoilt = Signal(double([[1.0, 0.0, 0.0, float("nan")]]), verdicts, MASK & verdicts.reshape(-1, 1))
    advantage = algorithm(name).advantage
    torch.testing.assert_close(advantage(spoilt)[:3], advantage(three), atol=1e-12, rtol=0)
    assert (advantage(spoilt)[3] == 0).all()


@every_algorithm
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("outcomes", [[0.1] * 3, [0.7] * 6, [1.0] * 5, [0.0] * 4, [1 / 3] * 7])
def test_equal_rewards_teach_exactly_nothing(name, dtype, outcomes):
    assert (algorithm(name).advantage(one_group(*outcomes, dtype=dtype)) == 0).all()


@group_algorithms
def test_one_valid_reward_teaches_exactly_nothing(name):
    lone = Signal(double([[1.0, float("nan")]]), torch.tensor([[True, False]]), torch.tensor([[True], [False]]))
    assert (algorithm(name).advantage(lone) == 0).all()


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if "++" not in name])  # those whiten over the rollout
def test_groups_do_not_influence_each_other(name):
    both = algorithm(name).advantage(TWO_GROUPS)
    alone = algorithm(name).advantage(Signal(TWO_GROUPS.outcome[:1], TWO_GROUPS.valid[:1], TWO_GROUPS.mask[:2]))
    torch.testing.assert_close(both[:2], alone, atol=1e-12, rtol=0)


def test_informative_groups_are_those_whose_valid_outcomes_differ():
    outcome = double([[1.0, 1.0], [1.0, 0.0], [1.0, float("nan")], [0.1, 0.1]])
    valid = torch.tensor([[True, True], [True, True], [True, False], [True, True]])
    signal = Signal(outcome, valid, torch.ones(8, 1, dtype=torch.bool))
    assert advantages.informative(signal).tolist() == [False, True, False, False]


def test_maxrl_refuses_negative_rewards():
    with pytest.raises(ValueError, match="rewards >= 0"):
        algorithm("maxrl").advantage(one_group(1.0, -1.0))


@every_algorithm
def test_any_cut_into_micro_batches_gives_the_same_gradient(name):
    chosen = algorithm(name)
    advantage, weight = chosen.advantage(SIGNAL), chosen.weight(MASK)

    def gradient(cuts):
        logp = LOGP.clone().requires_grad_()
        for rows in cuts:
            (weight[rows] * chosen.loss(logp[rows], OLD[rows], advantage[rows], MASK[rows])).sum().backward()
        return logp.grad

    whole = gradient([[0, 1, 2, 3]])
    for cuts in ([[0], [1], [2], [3]], [[3, 1], [0, 2]]):
        torch.testing.assert_close(gradient(cuts), whole, atol=1e-12, rtol=0)


@every_algorithm
def test_on_policy_every_algorithm_is_reinforce(name):
    logp = OLD.clone().requires_grad_()
    chosen = algorithm(name)
    loss(chosen, logp=logp).backward()
    torch.testing.assert_close(logp.grad, -(chosen.weight(MASK) * chosen.advantage(SIGNAL)), atol=1e-12, rtol=0)


# --- names and words ---------------------------------------------------------------------------------------------------


def test_an_unknown_algorithm_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"unknown algorithm 'dr-grpo'; did you mean dr_grpo\? \(one of grpo, dr_grpo, dapo"):
        algorithm("dr-grpo")
    with pytest.raises(ValueError, match=r"unknown algorithm 'zzz' \(one of"):
        algorithm("zzz")


@pytest.mark.parametrize(
    ("name", "option", "obeyed"),
    [
        ("grpo", "ratio_cap", "clip_high, clip_low"),
        ("rloo", "clip_low", "none of its own"),
        ("cispo", "clip_high", "ratio_cap"),
        ("maxrl", "max_refills", "none of its own"),
        ("dr_grpo", "overlong_cache", "clip_high, clip_low"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(name, option, obeyed):
    with pytest.raises(ValueError, match=rf"^{name} ignores {option}; leave it out \(options that {name} obeys: {obeyed}\)$"):
        algorithm(name, **{option: 1})


def test_none_means_that_an_option_was_not_set():
    assert loss(algorithm("grpo", ratio_cap=None, clip_low=None)).item() == pytest.approx(0.017904, abs=1e-6)


def test_the_group_is_needed_unless_the_rollout_is_the_baseline():
    assert {name for name in ALGORITHMS if algorithm(name).min_completions == 1} == {"reinforce++"}


def test_a_zero_advantage_is_free_only_without_terms_beside_the_loss():
    assert algorithm("grpo").zero_advantage_is_free
    assert not algorithm("grpo", kl=KL(0.0)).zero_advantage_is_free
    assert not algorithm("grpo", entropy_coef=0.01).zero_advantage_is_free


@every_algorithm
def test_describe_knows_every_algorithm(name):
    lines = describe(algorithm(name)).splitlines()
    assert lines[0] == "loss = Σ_t w · [ token_loss ]"
    assert [line.split(" = ")[0] for line in lines[1:4]] == ["token_loss", "A", "w"]
    assert "{" not in "".join(lines)


def test_describe_states_the_numbers_that_are_used():
    dapo = named(
        "dapo", max_completion_length=100, clip_high=0.31, kl=KL(0.04), entropy_coef=0.002,
        correction=Correction("mask", "token", low=0.5, high=1.7),
    )  # fmt: skip
    assert describe(dapo).splitlines() == [
        "loss = Σ_t w · [ c · token_loss + 0.04 (exp(ref - lp) - (ref - lp) - 1) - 0.002 H ]",
        "token_loss = -min(ρ A, clip(ρ, 1-0.2, 1+0.31) A),  ρ = exp(lp - old)",
        "A = (r - mean_G) / (std_G + 1e-4)",
        "w = 1 / tokens of the step",
        "r += clip((100 - 20 - length) / 20, -1, 0)",
        "c = exp(old - sampler) per token, masked in [0.5, 1.7], else 0",
        "groups whose verdicts agree are replaced, up to 3 more rounds of sampling a step",
    ]
    truncated = describe(algorithm("cispo", correction=Correction("truncate", "sequence", high=3.0), kl=KL(0.1, losses.k2)))
    assert "c = exp(old - sampler) per sequence, truncated ≤ 3.0" in truncated
    assert "-sg(min(ρ, 5.0)) A lp" in truncated
    assert "0.1 (lp - ref)² / 2" in truncated
    assert "1 / (B · 4)" in describe(algorithm("dr_grpo"))


def test_the_suite_checks_shapes():
    with pytest.raises(jaxtyping.TypeCheckError):
        losses.clipped_ratio(LOGP, OLD[:, :2], LOGP, MASK)
    with pytest.raises(jaxtyping.TypeCheckError):
        losses.token_mean(MASK.float())


def test_the_command_line_names_every_algorithm() -> None:
    from recipes.setup.options import AlgorithmName
    from rl.objectives.algorithms import ALGORITHMS

    assert list(typing.get_args(AlgorithmName)) == list(ALGORITHMS)
