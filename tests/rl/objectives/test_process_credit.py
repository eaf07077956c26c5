"""Credit by steps against the paper's formula done by hand and, step by step and token by token, in plain Python."""

import statistics
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.objectives.algorithms import named
from rl.objectives.batch import lay_out
from rl.objectives.credit import Signal, StepScores, zscore
from rl.objectives.process_credit import process_zscore, step_rewards

EPS = 1e-4
many = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def signal(outcome, masks, steps, valid=None):
    """Outcomes [P G], the mask of each sequence, and its steps as (end token in the sequence, score)."""
    outcome = torch.tensor(outcome, dtype=torch.float64)
    valid = torch.tensor(valid) if valid is not None else torch.ones(outcome.shape, dtype=torch.bool)
    masks = [[own and bool(known) for own in mask] for mask, known in zip(masks, valid.reshape(-1), strict=True)]
    batch = lay_out([[0] * len(mask) for mask in masks], masks, [0] * len(masks))
    first = batch.first.tolist()
    flat = [(score, first[row] + end, row) for row, own in enumerate(steps) for end, score in own]
    if not flat:
        return Signal(outcome, valid, batch)
    scores, tokens, rows = zip(*flat, strict=True)
    return Signal(outcome, valid, batch, StepScores(torch.tensor(scores, dtype=torch.float64), torch.tensor(tokens), torch.tensor(rows)))


HAND = signal([[1.0, 0.0]], [[True] * 5, [True] * 3], [[(1, 1.0), (3, 0.0)], [(2, 1.0)]])


def slow_advantages(outcome, masks, steps, valid, process_weight, outcome_weight):
    """The paper's sentence, read out: of each token the sum of the normalised scores of the steps that end at or after it."""
    found = []
    for p, results in enumerate(outcome):
        rows = range(p * len(results), (p + 1) * len(results))
        scores = [score for row in rows if valid[row] for _, score in steps[row]]
        known = [results[row - rows[0]] for row in rows if valid[row]]

        def norm(x, all_of_them):
            if len(all_of_them) < 2 or len(set(all_of_them)) == 1:
                return 0.0
            return (x - statistics.mean(all_of_them)) / (statistics.stdev(all_of_them) + EPS)

        for row in rows:
            for place, own in enumerate(masks[row]):
                if not own or not valid[row]:
                    found.append(0.0)
                    continue
                process = sum(norm(score, scores) for end, score in steps[row] if end >= place)
                found.append(process_weight * process + outcome_weight * norm(results[row - rows[0]], known))
    return found


def test_the_hand_case():
    """Steps [1, 0 | 1]: mean 2/3, standard deviation 0.57735."""
    expected = [-0.57725, -0.57725, -1.15450, -1.15450, 0, 0.57725, 0.57725, 0.57725]
    assert process_zscore(HAND)["advantage"].tolist() == pytest.approx(expected, abs=1e-5)


def test_the_hand_case_mixed_with_the_outcome():
    process = process_zscore(HAND)["advantage"]
    outcome = (0.5 / (0.5**0.5 + EPS)) * torch.tensor([1.0] * 5 + [-1.0] * 3, dtype=torch.float64)
    mixed = named("grpo-ps", max_completion_length=9, process_weight=0.3, outcome_weight=0.7).credit(HAND)["advantage"]
    torch.testing.assert_close(mixed, 0.3 * process + 0.7 * outcome, atol=1e-12, rtol=0)


@st.composite
def rollouts(draw):
    """(outcome, masks, steps, valid) as `signal` takes them: ragged, with tools' tokens, missing verdicts, steps that share a token."""
    problems, peers = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    value = st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0])
    outcome = draw(st.lists(st.lists(value, min_size=peers, max_size=peers), min_size=problems, max_size=problems))
    masks = [draw(st.lists(st.booleans(), min_size=1, max_size=9)) for _ in range(problems * peers)]
    valid = [draw(st.sampled_from([True, True, True, False])) for _ in masks]
    steps = [draw(st.lists(st.tuples(st.integers(0, len(mask) - 1), value), max_size=4)) for mask in masks]
    return outcome, masks, steps, valid


@many
@given(rollouts(), st.sampled_from([(1.0, 0.0), (0.5, 0.25), (0.0, 1.0)]), st.randoms(use_true_random=False))
def test_it_is_the_slow_one(rollout, kinds, random):
    outcome, masks, steps, valid = rollout
    table = torch.tensor(valid).reshape(len(outcome), -1).tolist()
    made = signal(outcome, masks, steps, table)
    process_weight, outcome_weight = kinds
    expected = slow_advantages(outcome, masks, steps, valid, process_weight, outcome_weight)
    if made.steps is None and not outcome_weight:
        return
    found = process_zscore(made, process_weight=process_weight, outcome_weight=outcome_weight)["advantage"]
    assert found.tolist() == pytest.approx(expected, abs=1e-9)
    if made.steps is not None:  # the order in which steps are told means nothing
        order = list(range(len(made.steps.row)))
        random.shuffle(order)
        shuffled = StepScores(made.steps.score[order], made.steps.token[order], made.steps.row[order])
        again = process_zscore(replace(made, steps=shuffled), process_weight=process_weight, outcome_weight=outcome_weight)["advantage"]
        torch.testing.assert_close(again, found, atol=1e-12, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("score", [0.1, 1 / 3, 0.7])
def test_equal_scores_teach_exactly_nothing(dtype, score):
    made = signal([[1.0, 0.0]], [[True] * 6, [True] * 4], [[(0, score), (2, score), (5, score)], [(1, score), (3, score)]])
    steps = replace(made.steps, score=made.steps.score.to(dtype))
    assert (process_zscore(replace(made, outcome=made.outcome.to(dtype), steps=steps))["advantage"] == 0).all()


def test_after_its_last_step_a_sequence_has_exactly_nothing_whatever_the_others_hold():
    rows = 200
    steps = [[(0, 0.1 * (row % 7)), (3, 0.3 * (row % 5))] for row in range(rows)]
    made = signal([[float(row % 2) for row in range(rows)]], [[True] * 6] * rows, steps)
    advantage = process_zscore(replace(made, steps=replace(made.steps, score=made.steps.score.float())))["advantage"].reshape(rows, 6)
    assert (advantage[:, 4:] == 0).all()
    assert (advantage[:, 1] == advantage[:, 3]).all()


def test_a_completion_without_steps_has_no_process_part():
    made = signal([[1.0, 0.0, 0.0]], [[True] * 3] * 3, [[(0, 1.0), (2, 0.0)], [], [(1, 1.0)]])
    assert (process_zscore(made)["advantage"][3:6] == 0).all()
    mixed = process_zscore(made, outcome_weight=2.0)["advantage"]
    torch.testing.assert_close(mixed[3:6], 2 * zscore(made)["advantage"][3:6], atol=0, rtol=0)


def test_without_a_verdict_nothing_trains_and_nobody_is_influenced():
    steps = [[(0, 1.0), (2, 0.0)], [(1, 1.0)], [(0, float("nan"))]]
    lost = signal([[1.0, 0.0, float("nan")]], [[True] * 3] * 3, steps, [[True, True, False]])
    two = signal([[1.0, 0.0]], [[True] * 3] * 2, steps[:2])
    for credit in (lambda s: process_zscore(s, outcome_weight=0.5)["advantage"], step_rewards):
        assert (credit(lost)[6:] == 0).all()
        torch.testing.assert_close(credit(lost)[:6], credit(two), atol=1e-12, rtol=0)


def test_a_rollout_without_a_scored_step_teaches_nothing_and_stops_nothing():
    """It comes by chance; stopped by it, a run would be stopped again whenever it is resumed, since its rollout is stored."""
    bare = replace(HAND, steps=None)
    assert not process_zscore(bare)["advantage"].any()
    torch.testing.assert_close(process_zscore(bare, outcome_weight=1.0)["advantage"], zscore(bare)["advantage"], atol=0, rtol=0)


@many
@given(rollouts())
def test_step_rewards_are_the_slow_ones(rollout):
    outcome, masks, steps, valid = rollout
    made = signal(outcome, masks, steps, torch.tensor(valid).reshape(len(outcome), -1).tolist())
    expected = []
    flat = [score for row in outcome for score in row]
    for row, mask in enumerate(masks):
        rewards = [0.0] * len(mask)
        own = [place for place, sampled in enumerate(mask) if sampled]
        if own and valid[row]:
            rewards[own[-1]] += 3.0 * flat[row]
            for end, score in steps[row]:
                rewards[end] += 0.5 * score * mask[end]
        expected += rewards
    assert step_rewards(made, process_weight=0.5, outcome_weight=3.0).tolist() == pytest.approx(expected)


def test_step_rewards_by_hand():
    assert step_rewards(HAND).tolist() == [0, 1, 0, 0, 1, 0, 0, 1]
    assert step_rewards(replace(HAND, steps=None)).tolist() == [0, 0, 0, 0, 1, 0, 0, 0]
