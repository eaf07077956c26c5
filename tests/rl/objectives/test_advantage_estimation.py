"""GAE over ragged sequences: by hand, against a loop over tokens, and against what must hold."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.objectives.advantage_estimation import GAE, suffix_sums
from rl.objectives.batch import lay_out
from rl.objectives.credit import Signal, StepScores
from rl.objectives.objective import formula_of
from tests.rl import grids


def double(rows):
    return torch.tensor(rows, dtype=torch.float64)


def signal_on(*parts, **columns):
    """Without steps: outcomes alone."""
    return replace(grids.signal_on(*parts, **columns), steps=None)


def slowly(reward, value, after, gamma, lam):
    """One sequence of sampled tokens, by the definition: a sum of powers for each."""
    following = [*value[1:], after][: len(value)]
    delta = [r + gamma * f - v for r, f, v in zip(reward, following, value, strict=True)]
    return [sum((gamma * lam) ** k * d for k, d in enumerate(delta[t:])) for t in range(len(delta))]


def test_by_hand():
    """Three tokens, values .5 .6 .7, outcome 1, γ 1, λ .5: δ = .1 .1 .3; A = .1 + .05 + .075, .1 + .15, .3."""
    signal = signal_on(double([[1.0]]), torch.ones(1, 3, dtype=torch.bool), value=double([[0.5, 0.6, 0.7]]))
    credit = GAE(lam=0.5, critic_lam=0.5, whiten=False)(signal)
    torch.testing.assert_close(credit["advantage"], double([0.225, 0.25, 0.3]), atol=1e-12, rtol=0)
    torch.testing.assert_close(credit["returns"], double([0.725, 0.85, 1.0]), atol=1e-12, rtol=0)


def test_lambda_1_is_the_outcome_less_the_value_and_its_return_the_outcome():
    signal = signal_on(
        double([[1.0, 0.0]]), torch.tensor([[0, 1, 1], [1, 1, 0]], dtype=torch.bool), value=double([[9, 0.2, 0.4], [0.3, 0.1, 9]])
    )
    credit = GAE(whiten=False)(signal)
    torch.testing.assert_close(credit["advantage"], double([0, 0.8, 0.6, -0.3, -0.1, 0]), atol=1e-12, rtol=0)
    torch.testing.assert_close(credit["returns"], double([0, 1, 1, 0, 0, 0]), atol=1e-12, rtol=0)


@st.composite
def rollouts(draw):
    """Rows of masks with holes (a tool's tokens), values, outcomes and whether they were cut."""
    masks = draw(st.lists(st.lists(st.booleans(), min_size=1, max_size=12), min_size=1, max_size=5))
    masks = [[False, *mask] for mask in masks]  # a prompt of one token
    number = st.floats(-2, 2, width=32)
    values = [[draw(number) for _ in mask] for mask in masks]
    return masks, values, [draw(number) for _ in masks], [draw(st.booleans()) for _ in masks], [draw(number) for _ in masks]


def batch_of(masks, values, cut, after, **columns):
    batch = lay_out([[2] * len(mask) for mask in masks], masks, [1] * len(masks))
    flat = {"value": double([v for row in values for v in row]), "truncated": torch.tensor(cut), "value_after": double(after)}
    return batch.with_columns(flat | columns)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(rollout=rollouts(), gamma=st.sampled_from([1.0, 0.99, 0.5]), lam=st.sampled_from([1.0, 0.95, 0.3, 0.0]), bootstrap=st.booleans())
def test_as_a_loop_over_tokens_has_it(rollout, gamma, lam, bootstrap):
    masks, values, outcomes, cut, after = rollout
    batch = batch_of(masks, values, cut, after)
    given_ = GAE(gamma, lam, 0.7, truncation="bootstrap" if bootstrap else "zero", whiten=False)
    credit = given_(Signal(double([outcomes]), torch.ones(1, len(masks), dtype=torch.bool), batch))
    at = 0
    for mask, row, outcome, was_cut, end in zip(masks, values, outcomes, cut, after, strict=True):
        own = [n for n, trains in enumerate(mask) if trains]
        reward = [outcome if n == own[-1] else 0.0 for n in own]
        last = end if bootstrap and was_cut else 0.0
        expected = slowly(reward, [row[n] for n in own], last, gamma, lam)
        targets = [a + row[n] for a, n in zip(slowly(reward, [row[n] for n in own], last, gamma, 0.7), own, strict=True)]
        for n, trains in enumerate(mask):
            a, r = credit["advantage"][at + n].item(), credit["returns"][at + n].item()
            assert (a, r) == (0, 0) if not trains else (a, r) == pytest.approx((expected[own.index(n)], targets[own.index(n)]), abs=1e-9)
        at += len(mask)


def test_a_tools_tokens_are_passed_over_as_if_they_were_not_there():
    without = batch_of([[False, True, True, True]], [[0, 0.1, 0.2, 0.3]], [False], [0.0])
    inside = batch_of([[False, True, False, False, True, True, False]], [[0, 0.1, 7, 8, 0.2, 0.3, 9]], [False], [0.0])
    chosen, one = GAE(0.9, 0.8, 0.6, whiten=False), torch.ones(1, 1, dtype=torch.bool)
    expected, found = (chosen(Signal(double([[1.0]]), one, each)) for each in (without, inside))
    for name in ("advantage", "returns"):
        torch.testing.assert_close(found[name][inside.mask], expected[name][without.mask], atol=1e-12, rtol=0)
        assert not found[name][~inside.mask].any()


def test_lambda_by_length():
    """α = 0.05 and 40 tokens: λ = 1 - 1/2. Of fewer than 20 tokens λ is 0: one step ahead."""
    for length, lam in ((40, 0.5), (10, 0.0)):
        signal = signal_on(double([[1.0]]), torch.ones(1, length, dtype=torch.bool), value=torch.rand(1, length).double())
        found, expected = (GAE(whiten=False, **how)(signal) for how in ({"length_adaptive": 0.05}, {"lam": lam}))
        torch.testing.assert_close(found["advantage"], expected["advantage"], atol=1e-12, rtol=0)
        torch.testing.assert_close(found["returns"], GAE()(signal)["returns"], atol=1e-12, rtol=0)


def test_kl_in_the_reward_is_on_each_sampled_token_and_on_no_other():
    mask = torch.tensor([[0, 1, 1, 0]], dtype=torch.bool)
    columns = {"policy_logp": double([[-5.0, -1.0, -2.0, -5.0]]), "ref_logp": double([[5.0, -1.5, -1.0, 5.0]])}
    credit = GAE(kl_coef=0.1, whiten=False)(signal_on(double([[1.0]]), mask, value=double([[0.0] * 4]), **columns))
    torch.testing.assert_close(credit["returns"], double([0, 1 - 0.05 + 0.1, 1 + 0.1, 0]), atol=1e-12, rtol=0)


def test_scores_of_steps_are_rewards_where_the_steps_end():
    """A hand case: steps of .5 and 1 end at the first and the last of three tokens, the outcome is 1; λ 1 and no values."""
    steps = StepScores(double([0.5, 1.0]), torch.tensor([0, 2]), torch.tensor([0, 0]))
    signal = replace(signal_on(double([[1.0]]), torch.ones(1, 3, dtype=torch.bool)), steps=steps)
    torch.testing.assert_close(GAE(whiten=False)(signal)["returns"], double([2.5, 2.0, 2.0]), atol=1e-12, rtol=0)
    torch.testing.assert_close(GAE(whiten=False, process_weight=0.0)(signal)["returns"], double([1.0, 1.0, 1.0]), atol=1e-12, rtol=0)
    torch.testing.assert_close(GAE(whiten=False, outcome_weight=0.0)(signal)["returns"], double([1.5, 1.0, 1.0]), atol=1e-12, rtol=0)


def test_whitened_over_the_sampled_tokens_of_the_rollout():
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]], dtype=torch.bool)
    signal = signal_on(double([[1.0, 0.0]]), mask)
    advantage = GAE()(signal)["advantage"]
    own = advantage[signal.batch.mask]
    assert own.mean().item() == pytest.approx(0, abs=1e-12)
    assert own.std().item() == pytest.approx(1, abs=1e-6)
    raw = double([1, 1, 1, 0])
    torch.testing.assert_close(own, (raw - raw.mean()) / math.sqrt(raw.var().item() + 1e-8), atol=1e-12, rtol=0)


@pytest.mark.parametrize("tokens", [0, 1])
def test_fewer_than_two_tokens_are_whitened_to_0(tokens):
    mask = torch.zeros(1, 3, dtype=torch.bool)
    mask[0, :tokens] = True
    assert not GAE()(signal_on(double([[1.0]]), mask))["advantage"].any()


def test_no_verdict_no_credit_and_no_trace_in_others():
    masks = torch.ones(2, 3, dtype=torch.bool)
    both = signal_on(double([[1.0, float("nan")]]), masks, torch.tensor([[True, False]]), value=double([[0.1, 0.2, 0.3], [9, 9, 9]]))
    credit = GAE(lam=0.5)(both)
    alone = GAE(lam=0.5)(signal_on(double([[1.0]]), masks[:1], value=double([[0.1, 0.2, 0.3]])))
    for name in ("advantage", "returns"):
        torch.testing.assert_close(credit[name][:3], alone[name], atol=1e-12, rtol=0)
        assert not credit[name][3:].any()


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(lengths=st.lists(st.integers(1, 70), min_size=1, max_size=6), decay=st.floats(0, 1))
def test_suffix_sums_by_doubling(lengths, decay):
    row = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    x = torch.sin(torch.arange(len(row)).double() * 1.3)
    found, expected, running = suffix_sums(x, row, torch.full_like(x, decay)), [], 0.0
    for n in reversed(range(len(row))):
        running = x[n].item() + (decay * running if n + 1 < len(row) and row[n + 1] == row[n] else 0.0)
        expected.append(running)
    torch.testing.assert_close(found, double(expected[::-1]), atol=1e-9, rtol=0)


def test_it_says_what_it_is():
    assert formula_of(GAE()).splitlines()[0] == "A = whiten(Σ_k (1.0 λ)^k δ_(t+k)),  λ = 1.0"
    assert "r_t - 0.05 (lp - ref)" in formula_of(GAE(kl_coef=0.05))
    assert GAE(kl_coef=0.05, truncation="bootstrap").reads == ("value", "value_after", "policy_logp", "ref_logp")
