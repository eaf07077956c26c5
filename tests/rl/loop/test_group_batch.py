"""Scored groups become a batch and a signal: every number in its place, groups whole, lengths those that were sampled."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.loop.group_batch import batch_of_groups, signal_of, taught
from rl.objectives.batch import split
from rollout.chat import Chat
from rollout.engine import Completion
from rollout.player import Group
from tests.rl.rollouts import algorithm, make_groups, with_credit
from verifiers.input_error import InputError
from verifiers.problem import make_problem
from verifiers.verdict import Status, StepScore, Verdict

few = settings(max_examples=8, deadline=None, derandomize=True, database=None)


def test_batch_of_groups_places_every_number():
    completions = (
        Completion([7, 8, 1], [-0.5, -0.25, -0.125], [True, False, True], "stop", 0),
        Completion([9], [-2.0], [True], "length", 0),
        Completion([5, 5], [-1.0, -3.0], [True, True], "length", 0),
    )
    verdicts = (Verdict(1.0, Status.RIGHT), Verdict(0.0, Status.WRONG), Verdict(None, Status.CRASH))
    group = Group(make_problem("p", "a"), [3, 4], completions, ("", "", ""), verdicts)
    batch = batch_of_groups([group], temperature=0.7)
    signal = signal_of([group], batch)
    batch = batch.with_columns(algorithm("dr_grpo").credit(signal))
    assert batch.tokens.tolist() == [*(3, 4, 7, 8, 1), *(3, 4, 9), *(3, 4, 5, 5)]
    assert batch.row.tolist() == [*(0, 0, 0, 0, 0), *(1, 1, 1), *(2, 2, 2, 2)]
    assert batch.position.tolist() == [*(0, 1, 2, 3, 4), *(0, 1, 2), *(0, 1, 2, 3)]
    assert batch.mask.int().tolist() == [*(0, 0, 1, 0, 1), *(0, 0, 1), *(0, 0, 0, 0)]  # a tool's token; no verdict
    assert batch.columns["sampler_logp"].tolist() == [*(0, 0, -0.5, -0.25, -0.125), *(0, 0, -2.0), *(0, 0, -1.0, -3.0)]
    assert batch.columns["advantage"].tolist() == [*(0, 0, 0.5, 0, 0.5), *(0, 0, -0.5), *(0, 0, 0, 0)]
    assert (batch.lengths.tolist(), batch.prompt_length.tolist(), batch.group.tolist()) == ([5, 3, 4], [2, 2, 2], [0, 0, 0])
    assert (batch.temperature, signal.valid.tolist()) == (0.7, [[True, True, False]])
    assert signal.outcome[0, :2].tolist() == [1.0, 0.0]
    assert taught(batch) == 2


def test_dapos_penalty_is_on_the_length_that_was_sampled():
    groups = make_groups([[1.0, 1.0, None]], seed=1)
    lengths = [len(c.tokens) for c in groups[0].completions]
    chosen = algorithm("dapo", overlong_cache=4)
    signal = signal_of(groups, batch_of_groups(groups, temperature=1.0), length_penalty=chosen.length_penalty)
    expected = [1 - min(1.0, max(0.0, (n - 2) / 4)) for n in lengths[:2]]
    assert signal.outcome[0, :2].tolist() == pytest.approx(expected)
    assert len(set(lengths[:2])) == 2


def test_steps_stand_at_their_last_tokens_and_those_without_a_verdict_are_left_out(tokenizer):
    chat, texts = Chat(tokenizer), ([7, 8, 9], [6, 8], [9, 9, 9, 9])  # a token a character
    completions = tuple(Completion(t, [-1.0] * len(t), [True] * len(t), "stop", 0) for t in texts)
    verdicts = (
        Verdict(1.0, Status.RIGHT, steps=(StepScore(1, 0.25), StepScore(3, 1.0))),
        Verdict(0.0, Status.WRONG, steps=(StepScore(0, 0.5), StepScore(2, 0.0))),  # the prompt gave the first one whole
        Verdict(None, Status.CRASH, steps=(StepScore(4, 1.0),)),
    )
    group = Group(make_problem("p", "a"), [3, 3], completions, ("", "", ""), verdicts)
    batch = batch_of_groups([group], temperature=1.0)
    steps = signal_of([group], batch, chat=chat).steps
    assert (steps.score.tolist(), steps.token.tolist(), steps.row.tolist()) == ([0.25, 1.0, 0.0], [2, 4, 8], [0, 0, 1])
    assert batch.mask[steps.token].all()
    assert signal_of([group], batch).steps is None
    bare = Group(group.problem, group.prompt, completions, ("", "", ""), (Verdict(1.0, Status.RIGHT),) * 3)
    assert signal_of([bare], batch, chat=chat).steps is None


def test_a_step_outside_of_its_response_names_its_problem(tokenizer):
    chat = Chat(tokenizer)
    completions = tuple(Completion(chat.encode("1+1"), [-1.0] * 3, [True] * 3, "stop", 0) for _ in range(2))
    verdicts = (Verdict(1.0, Status.RIGHT, steps=(StepScore(3, 1.0),)), Verdict(0.0, Status.WRONG, steps=(StepScore(4, 1.0),)))
    group = Group(make_problem("1+1=", "2"), chat.encode("1+1="), completions, ("1+1", "1+1"), verdicts)
    with pytest.raises(InputError, match=rf"^problem {group.problem.id}: a step ends at character 4 of a response that has 3"):
        signal_of([group], batch_of_groups([group], temperature=1.0), chat=chat)


scores = st.sampled_from([0.0, 0.5, 1.0, None])


@few
@given(rows=st.lists(st.lists(scores, min_size=3, max_size=3), min_size=1, max_size=5), seed=st.integers(0, 2**31), parts=st.integers(1, 6))
def test_split_keeps_groups_whole_and_in_order(rows, seed, parts):
    groups = make_groups(rows, seed)
    batch = with_credit(groups, algorithm("grpo"))
    steps = list(split(batch, parts, 3))
    assert len(steps) == min(parts, len(groups))
    assert all(len(step) % 3 == 0 for step in steps)
    assert max(map(len, steps)) - min(map(len, steps)) <= 3
    assert [group for step in steps for group in step.group.tolist()] == [n for n in range(len(groups)) for _ in range(3)]
    sequences = [part.tolist() for step in steps for part in step.tokens.split(step.lengths.tolist())]
    assert sequences == [g.prompt + c.tokens for g in groups for c in g.completions]
    for name, column in batch.columns.items():
        assert torch.equal(torch.cat([step.columns[name] for step in steps]), column)
