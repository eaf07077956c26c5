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

from rl.objectives import credit, policy_gradient, weights
from rl.objectives.algorithms import ALGORITHMS, describe_algorithm, named, online
from rl.objectives.policy_gradient import KL, Correction
from tests.rl.grids import as_rows, grid, loss_of, signal_on
from tests.rl.rollouts import SUBSETS


def double(rows):
    return torch.tensor(rows, dtype=torch.float64)


LOGP = double([[-0.9, -1.2, -0.3], [-0.5, -2.0, -0.7], [-1.5, -0.4, -0.8], [-0.6, -0.9, -1.1]])
OLD = double([[-1.0, -1.0, -0.5], [-0.7, -1.6, -0.7], [-1.5, -0.9, -0.2], [-0.6, -1.0, -1.0]])
SAMPLER = double([[-1.05, -0.95, -0.5], [-0.7, -1.7, -0.7], [-1.4, -0.9, -0.3], [-0.6, -1.0, -1.0]])
REF = double([[-1.1, -1.1, -0.4], [-0.6, -1.7, -0.7], [-1.4, -0.8, -0.5], [-0.7, -0.8, -1.0]])
MASK = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 1, 1], [1, 0, 0]], dtype=torch.bool)
SIGNAL = signal_on(double([[1.0, 0.0, 0.0, 0.5]]), MASK)
BATCH = SIGNAL.batch.with_columns({name: x.reshape(-1) for name, x in (("old_logp", OLD), ("sampler_logp", SAMPLER), ("ref_logp", REF))})

every_algorithm = pytest.mark.parametrize("name", list(ALGORITHMS))
group_algorithms = pytest.mark.parametrize("name", [name for name in ALGORITHMS if name not in ("reinforce++", "raft")])
compares = pytest.mark.parametrize("name", [name for name in ALGORITHMS if name != "raft"])  # raft takes each answer by itself


def algorithm(name, **options):
    return named(name, max_completion_length=4, **SUBSETS.get(name, {}) | options)


def loss(algorithm, logp=LOGP):
    """The loss of `rl/objectives/algorithms.py`'s docstring, without micro-batches."""
    return loss_of(algorithm.objective, logp, BATCH.with_columns(algorithm.credit(SIGNAL)))


def advantage_of(algorithm, signal):
    """[B T]"""
    return as_rows(algorithm.credit(signal)["advantage"], signal.batch)


def one_group(*outcomes, dtype=torch.float64):
    """A group of completions of one token each."""
    return signal_on(torch.tensor([outcomes], dtype=dtype), torch.ones(len(outcomes), 1, dtype=torch.bool))


# --- published numbers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("grpo", {}, 0.017904),
        ("grpo-ps", {}, 0.017904),
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
    z_scored = online(policy_gradient.clipped_ratio, algorithm("dr_grpo").objective.weight, credit.zscore)  # the vector's advantages
    assert loss(z_scored).item() == pytest.approx(-0.003412, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("grpo", [1.305310, -0.783186, -0.783186, 0.261062]),
        ("grpo-ps", [1.305310, -0.783186, -0.783186, 0.261062]),
        ("dr_grpo", [0.625, -0.375, -0.375, 0.125]),
        ("dapo", [1.305310, -0.783186, -0.783186, 0.261062]),
        ("gspo", [1.305310, -0.783186, -0.783186, 0.261062]),
        ("cispo", [1.305310, -0.783186, -0.783186, 0.261062]),
        ("rloo", [0.833333, -0.5, -0.5, 0.166667]),
        ("maxrl", [1.666662, -0.999997, -0.999997, 0.333332]),
    ],
)
def test_advantages(name, expected):
    advantage = advantage_of(algorithm(name), SIGNAL)
    assert advantage[:, 0].tolist() == pytest.approx(expected, abs=1e-6)
    torch.testing.assert_close(advantage, advantage[:, :1] * MASK)


def test_zscore_with_verls_epsilon():
    expected = [1.305580, -0.783348, -0.783348, 0.261116]
    assert as_rows(credit.zscore(SIGNAL, eps=1e-6)["advantage"], BATCH)[:, 0].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("estimator", "expected"), [("k1", 0.011111), ("k2", 0.023889), ("k3", 0.023736)])
def test_kl_estimators(estimator, expected):
    found = getattr(policy_gradient, estimator)(LOGP.reshape(-1), REF.reshape(-1))
    assert (weights.token_mean(BATCH) * found).sum().item() == pytest.approx(expected, abs=1e-6)


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
    torch.testing.assert_close(as_rows(correction(OLD.reshape(-1), BATCH), BATCH), double(expected), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("correction", "expected"),
    [(Correction("mask", "sequence", high=3.0), 0.012434), (Correction("truncate", "token", high=1.05), -0.009609)],
)
def test_a_correction_multiplies_the_token_loss(correction, expected):
    assert loss(algorithm("dapo", clip_high=0.2, correction=correction)).item() == pytest.approx(expected, abs=1e-6)


def test_a_correction_ignores_what_the_sampler_says_outside_the_mask():
    spoilt = BATCH.with_columns({"sampler_logp": torch.where(MASK, SAMPLER, -500.0).reshape(-1)})
    correction, old = Correction("truncate", "sequence"), OLD.reshape(-1)
    torch.testing.assert_close(correction(old, spoilt), correction(old, BATCH), atol=0, rtol=0)


# --- worked out here ---------------------------------------------------------------------------------------------------

TWO_MASKS = torch.tensor([[1, 1, 1], [1, 1, 0], [0, 1, 1], [0, 0, 1]], dtype=torch.bool)
TWO_GROUPS = signal_on(double([[1.0, 0.0], [0.5, 0.25]]), TWO_MASKS)


@pytest.mark.parametrize(
    ("name", "per_completion"),
    [("reinforce++", [1.0, 0.0, 0.5, 0.25]), ("reinforce++-baseline", [0.5, -0.5, 0.125, -0.125])],
)
def test_reinforce_pp_whitens_over_all_tokens_of_the_rollout(name, per_completion):
    lengths = [3, 2, 2, 1]  # a token each in the mean and the variance: long completions count more
    tokens = np.repeat(per_completion, lengths)
    expected = (np.array(per_completion) - tokens.mean()) / np.sqrt(tokens.var(ddof=1) + 1e-8)
    advantage = advantage_of(algorithm(name), TWO_GROUPS)
    torch.testing.assert_close(advantage, torch.tensor(expected)[:, None] * TWO_MASKS, atol=1e-9, rtol=0)


def test_reinforce_pp_by_hand():
    # two tokens of return 1, one of 0: mean 2/3, variance (2/9 + 4/9) / 2 = 1/3; (1 - 2/3) sqrt(3) = 0.577350
    signal = signal_on(double([[1.0, 0.0]]), torch.tensor([[True, True], [True, False]]))
    advantage = advantage_of(algorithm("reinforce++"), signal)
    torch.testing.assert_close(advantage, double([[0.577350, 0.577350], [-1.154701, 0.0]]), atol=1e-6, rtol=0)


def test_soft_overlong_by_hand():
    lengths = double([[1.0, 12.0, 14.0, 16.0, 17.0, 40.0]])  # the limit is 16, the penalty grows over the last 4
    penalty = policy_gradient.soft_overlong(lengths, max_completion_length=16, cache=4)
    assert penalty.tolist() == [[0.0, 0.0, -0.5, -1.0, -1.0, -1.0]]


def test_dapos_default_overlong_cache_is_a_fifth_and_zero_switches_it_off():
    penalty = named("dapo", max_completion_length=20_480).length_penalty
    assert penalty(double([[16_384.0, 18_432.0, 20_480.0]])).tolist() == [[0.0, -0.5, -1.0]]  # the paper's numbers
    assert named("dapo", max_completion_length=20_480, overlong_cache=0).length_penalty is None
    assert algorithm("grpo").length_penalty is None


def test_weights_by_hand():
    torch.testing.assert_close(as_rows(weights.sequence_mean(BATCH), BATCH)[:, 0], torch.tensor([1 / 12, 1 / 8, 1 / 12, 1 / 4]))
    torch.testing.assert_close(weights.token_mean(BATCH), BATCH.mask / 9)
    torch.testing.assert_close(weights.constant_length(BATCH, max_completion_length=5), BATCH.mask / 20)
    assert weights.row_mean(BATCH).tolist() == [0.25] * 4
    assert weights.pair_mean(BATCH).tolist() == [0.5] * 2


@pytest.mark.parametrize("weight", [weights.sequence_mean, weights.token_mean, partial(weights.constant_length, max_completion_length=5)])
def test_a_sequence_without_tokens_is_not_counted(weight):
    longer = torch.cat([MASK, torch.zeros(2, 3, dtype=torch.bool)])
    torch.testing.assert_close(weight(grid(longer))[:12], weight(BATCH))
    assert (weight(grid(torch.zeros(2, 3, dtype=torch.bool))) == 0).all()


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
    three = signal_on(SIGNAL.outcome[:, :3], MASK[:3])
    verdicts = torch.tensor([[True, True, True, False]])
    spoilt = advantage_of(algorithm(name), signal_on(double([[1.0, 0.0, 0.0, float("nan")]]), MASK, verdicts))
    torch.testing.assert_close(spoilt[:3], advantage_of(algorithm(name), three), atol=1e-12, rtol=0)
    assert (spoilt[3] == 0).all()


@compares
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("outcomes", [[0.1] * 3, [0.7] * 6, [1.0] * 5, [0.0] * 4, [1 / 3] * 7])
def test_equal_rewards_teach_exactly_nothing(name, dtype, outcomes):
    assert (advantage_of(algorithm(name), one_group(*outcomes, dtype=dtype)) == 0).all()


@group_algorithms
def test_one_valid_reward_teaches_exactly_nothing(name):
    lone = signal_on(double([[1.0, float("nan")]]), torch.ones(2, 1, dtype=torch.bool), torch.tensor([[True, False]]))
    assert (advantage_of(algorithm(name), lone) == 0).all()


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if "++" not in name and name != "ppo"])  # those whiten over the rollout
def test_groups_do_not_influence_each_other(name):
    both = advantage_of(algorithm(name), TWO_GROUPS)
    alone = advantage_of(algorithm(name), signal_on(TWO_GROUPS.outcome[:1], TWO_MASKS[:2]))
    torch.testing.assert_close(both[:2], alone, atol=1e-12, rtol=0)


def test_informative_groups_are_those_whose_valid_outcomes_differ():
    outcome = double([[1.0, 1.0], [1.0, 0.0], [1.0, float("nan")], [0.1, 0.1]])
    valid = torch.tensor([[True, True], [True, True], [True, False], [True, True]])
    signal = signal_on(outcome, torch.ones(8, 1, dtype=torch.bool), valid)
    assert credit.informative(signal).tolist() == [False, True, False, False]


def test_maxrl_refuses_negative_rewards():
    with pytest.raises(ValueError, match="rewards >= 0"):
        algorithm("maxrl").credit(one_group(1.0, -1.0))


@every_algorithm
def test_any_cut_into_micro_batches_gives_the_same_gradient(name):
    chosen = algorithm(name).objective
    batch = BATCH.with_columns(algorithm(name).credit(SIGNAL))
    weight = chosen.weight(batch)

    def gradient(cuts):
        logp = LOGP.reshape(-1).clone().requires_grad_()
        for rows in cuts:
            places = batch.places(torch.tensor(rows))
            part = batch.take(torch.tensor(rows))
            (weight[places] * chosen.loss({"logp": logp[places]}, part)).sum().backward()
        return logp.grad

    whole = gradient([[0, 1, 2, 3]])
    for cuts in ([[0], [1], [2], [3]], [[3, 1], [0, 2]]):
        torch.testing.assert_close(gradient(cuts), whole, atol=1e-12, rtol=0)


@every_algorithm
def test_on_policy_every_algorithm_is_reinforce(name):
    logp = OLD.clone().requires_grad_()
    loss(algorithm(name), logp=logp).backward()
    batch = BATCH.with_columns(algorithm(name).credit(SIGNAL))
    expected = -algorithm(name).objective.weight(batch) * batch.columns["advantage"]
    torch.testing.assert_close(logp.grad, as_rows(expected, batch), atol=1e-12, rtol=0)


def test_online_rejection_sampling_is_maximum_likelihood_of_what_was_right():
    outcome = double([[1.0, 0.0, 1.0, 0.5]])
    signal = signal_on(outcome, MASK)
    chosen = algorithm("raft")
    batch = BATCH.with_columns(chosen.credit(signal))
    right = [-LOGP[0].sum(), -LOGP[2].sum()]  # three tokens each
    assert loss_of(chosen.objective, LOGP, batch).item() == pytest.approx(sum(right).item() / 6, abs=1e-6)


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
    assert {name for name in ALGORITHMS if algorithm(name).min_completions == 1} == {"reinforce++", "raft", "ppo"}


def test_a_zero_advantage_is_free_only_without_terms_beside_the_loss():
    batch = BATCH.with_columns({"advantage": double([0.0] * 9 + [1.0] * 3)})
    assert algorithm("grpo").objective.idle(batch).tolist() == [True, True, True, False]
    assert algorithm("grpo", correction=Correction()).objective.idle is not None
    assert algorithm("grpo", kl=KL(0.0)).objective.idle is None
    assert algorithm("grpo", entropy_coef=0.1).objective.idle is None


@every_algorithm
def test_describe_knows_every_algorithm(name):
    lines = describe_algorithm(algorithm(name)).splitlines()
    assert lines[0] == "loss = Σ_n w · [ token_loss ]"
    assert [line.split(" = ")[0] for line in lines[1:4]] == ["token_loss", "w", "A"]
    assert "{" not in "".join(lines)


def test_describe_states_the_numbers_that_are_used():
    dapo = named(
        "dapo", max_completion_length=100, clip_high=0.31, kl=KL(0.04), entropy_coef=0.002,
        correction=Correction("mask", "token", low=0.5, high=1.7),
    )  # fmt: skip
    assert describe_algorithm(dapo).splitlines() == [
        "loss = Σ_n w · [ c · token_loss + 0.04 (exp(ref - lp) - (ref - lp) - 1) - 0.002 H ]",
        "token_loss = -min(ρ A, clip(ρ, 1-0.2, 1+0.31) A),  ρ = exp(lp - old)",
        "c = exp(old - sampler) per token, masked in [0.5, 1.7], else 0",
        "w = 1 / tokens of the step",
        "A = (r - mean_G) / (std_G + 0.0001)",
        "r += clip((100 - 20 - length) / 20, -1, 0)",
        "groups whose verdicts agree are replaced, up to 3 more rounds of sampling a step",
    ]
    truncated = describe_algorithm(
        algorithm("cispo", correction=Correction("truncate", "sequence", high=3.0), kl=KL(0.1, policy_gradient.k2))
    )
    assert "c = exp(old - sampler) per sequence, truncated ≤ 3.0" in truncated
    assert "-sg(min(ρ, 5.0)) A lp" in truncated
    assert "0.1 (lp - ref)² / 2" in truncated
    assert "1 / (B · 4)" in describe_algorithm(algorithm("dr_grpo"))


def test_the_suite_checks_shapes():
    with pytest.raises(jaxtyping.TypeCheckError):
        policy_gradient.k3(LOGP.reshape(-1), OLD[:, :2].reshape(-1))
    with pytest.raises(jaxtyping.TypeCheckError):
        weights.token_mean(MASK.float())


def test_the_command_line_names_every_algorithm() -> None:
    from recipes.setup.choices import Algorithm
    from recipes.spelling.flat_options import word_of

    assert [word_of(choice) for choice in typing.get_args(Algorithm)] == list(ALGORITHMS)


@pytest.mark.parametrize(
    ("name", "options", "wanted"),
    [("grpo", {}, False), ("grpo", {"kl": KL(0.1)}, True), ("ppo", {}, False), ("ppo", {"kl": KL(0.1)}, True),
     ("ppo", {"reward_kl": 0.1}, True)],
)  # fmt: skip
def test_what_is_measured_against_a_reference_says_so_wherever_its_kl_is(name, options, wanted):
    assert named(name, max_completion_length=8, **options).needs_reference is wanted
