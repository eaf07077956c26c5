"""Reward models' losses: numbers by hand, a plain implementation, TRL's own code, and that no pad is ever read."""

import math
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rl.learning.layout import LAYOUTS, Layout, padded
from rl.learning.learner import Learner, ValueHead
from rl.objectives.batch import lay_out
from rl.objectives.objective import describe
from rl.objectives.reward_models import bradley_terry, last_scores, outcome_bce, step_bce
from rl.objectives.weights import sequence_mean


def answers(*lengths: int):
    """Sequences of so many tokens whose last one is read."""
    return lay_out([[2] * length for length in lengths], [[False] * (length - 1) + [True] for length in lengths], [1] * len(lengths))


def at_ends(batch, *rewards: float) -> torch.Tensor:
    score = torch.full((len(batch.tokens),), 99.0, dtype=torch.float64)  # what nobody may read
    score[batch.mask] = torch.tensor(rewards, dtype=torch.float64)
    return score


def step_loss(objective, score, batch) -> float:
    loss, weight = objective.loss({"score": score}, batch), objective.weight(batch)
    return float((torch.where(batch.mask, loss * weight, 0.0) if len(loss) == len(batch.tokens) else loss * weight).sum())


def test_bradley_terry_by_hand() -> None:
    """Rewards 2 over 1 and 0 over 1: -log σ(1) = 0.313262, -log σ(-1) = 1.313262; a margin of 0.5: σ(0.5) and σ(-1.5)."""
    batch = answers(4, 3, 2, 5)
    score = at_ends(batch, 2.0, 1.0, 0.0, 1.0)
    assert step_loss(bradley_terry(), score, batch) == pytest.approx(0.813262, abs=1e-6)
    assert step_loss(bradley_terry(margin=0.5), score, batch) == pytest.approx((0.474077 + 1.701413) / 2, abs=1e-6)
    assert step_loss(bradley_terry(centering=0.01), score, batch) == pytest.approx(0.813262 + 0.01 * (9 + 1) / 2, abs=1e-6)
    own = batch.with_columns({"margin": torch.tensor([0.0, 0.0, 0.5, 0.5])})
    assert step_loss(bradley_terry(margins=True), score, own) == pytest.approx((0.313262 + 1.701413) / 2, abs=1e-6)


def test_right_or_wrong_by_hand() -> None:
    """σ(0) = 1/2 either way; σ(log 3) = 3/4 of a right answer and of a wrong one."""
    batch = answers(3, 2, 4).with_columns({"label": torch.tensor([1.0, 1.0, 0.0])})
    expected = (math.log(2) + math.log(4 / 3) + math.log(4)) / 3
    assert step_loss(outcome_bce(), at_ends(batch, 0.0, math.log(3), math.log(3)), batch) == pytest.approx(expected, abs=1e-7)


def test_steps_by_hand() -> None:
    """Two steps of the first answer, one of the second; half of the last one's continuations were right."""
    batch = lay_out([[2] * 5, [2] * 4], [[False, True, False, True, False], [False, False, True, False]], [1, 1])
    labels = torch.full((9,), torch.nan)
    labels[batch.mask] = torch.tensor([1.0, 0.0, 0.5])
    batch, score = batch.with_columns({"step_label": labels}), at_ends(batch, math.log(3), 0.0, math.log(3))
    each = [math.log(4 / 3), math.log(2), (math.log(4 / 3) + math.log(4)) / 2]
    assert step_loss(step_bce(), score, batch) == pytest.approx(sum(each) / 3, abs=1e-7)
    by_answer = ((each[0] + each[1]) / 2 + each[2]) / 2
    assert step_loss(step_bce(weight=sequence_mean), score, batch) == pytest.approx(by_answer, abs=1e-7)


def test_the_last_masked_token_is_read_and_a_sequence_without_one_says_0() -> None:
    batch = lay_out([[2, 3, 4], [2, 3], [5, 6, 7, 8]], [[False, True, True], [False, False], [False, True, False, False]], [1, 1, 1])
    assert last_scores(torch.arange(9.0), batch).tolist() == [2.0, 0.0, 6.0]


@pytest.mark.parametrize("seed", range(3))
def test_against_a_plain_implementation(seed: int) -> None:
    """One unit at a time with nothing but `math`."""
    random = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, 9, (8,), generator=random).tolist()
    batch = answers(*lengths)
    rewards = (3 * torch.randn(8, generator=random, dtype=torch.float64)).tolist()
    labels = torch.randint(0, 2, (8,), generator=random)
    score, pairs = at_ends(batch, *rewards), list(zip(rewards[0::2], rewards[1::2], strict=True))
    plain = sum(math.log1p(math.exp(-(w - lo - 0.3))) + 0.02 * (w + lo) ** 2 for w, lo in pairs) / 4
    assert step_loss(bradley_terry(margin=0.3, centering=0.02), score, batch) == pytest.approx(plain, rel=1e-7)
    named = batch.with_columns({"label": labels})
    plain = sum(math.log1p(math.exp(-r if y else r)) for r, y in zip(rewards, labels.tolist(), strict=True)) / 8
    assert step_loss(outcome_bce(), score, named) == pytest.approx(plain, rel=1e-7)


def test_far_out_nothing_overflows() -> None:
    batch = answers(2, 2).with_columns({"label": torch.tensor([1.0, 0.0])})
    score = at_ends(batch, -1000.0, 1000.0)
    assert step_loss(bradley_terry(), score, batch) == pytest.approx(2000.0)
    assert step_loss(outcome_bce(), score, batch) == pytest.approx(1000.0)


def test_the_values_describe_themselves() -> None:
    text = describe(bradley_terry(margin=0.5, margins=True, centering=0.01))
    assert text.startswith("loss = Σ_u w · [ -logσ(r_w - r_l - 0.5 - m) + 0.01 (r_w + r_l)² ]")
    assert describe(step_bce()).endswith("w = 1 / tokens of the step")


@pytest.mark.parametrize("margins", [False, True])
def test_bradley_terry_is_trls(make_qwen2: Any, margins: bool) -> None:
    """RewardTrainer.compute_loss itself, in double precision, on transformers' own sequence classifier of the same weights."""
    trl = pytest.importorskip("trl")
    from transformers import Qwen2ForSequenceClassification

    model = make_qwen2().double()
    weight = torch.linspace(-1, 1, 32, dtype=torch.float64)
    model.config.num_labels = 1
    theirs = Qwen2ForSequenceClassification(model.config).double()
    theirs.model.load_state_dict(model.model.state_dict())
    theirs.score.weight.data.copy_(weight[None])
    random = torch.Generator().manual_seed(0)
    sequences = [
        torch.randint(2, 24, (int(n),), generator=random).tolist() for n in (5, 3, 4, 8, 2, 6, 7, 3)
    ]  # four pairs: a weight without rounding
    batch = lay_out(sequences, [[False] * (len(s) - 1) + [True] for s in sequences], [1] * 8)
    wanted = torch.tensor([0.3, 0.0, 1.0, 2.0], dtype=torch.float64)
    batch = batch.with_columns({"margin": wanted.repeat_interleave(2)} if margins else {})
    order = [0, 2, 4, 6, 1, 3, 5, 7]  # TRL lays the chosen half before the rejected one
    laid = padded(batch.take(torch.tensor(order))).inputs
    inputs = {"input_ids": laid["input_ids"], "attention_mask": laid["attention_mask"]} | ({"margin": wanted} if margins else {})
    accelerator = SimpleNamespace(gather=lambda x: x, gather_for_metrics=lambda x: x)
    logged: dict[str, Any] = {"train": defaultdict(list)}
    trainer = SimpleNamespace(
        model=theirs,
        args=SimpleNamespace(center_rewards_coefficient=0.02),
        accelerator=accelerator,
        _metrics=logged,
        _total_train_tokens=0,
        _tp_size=1,
    )
    theirs.config.pad_token_id = 0
    expected = trl.RewardTrainer.compute_loss(trainer, theirs, inputs)
    learner = Learner(model, value_head=ValueHead(weight), device="cpu")
    stats = learner.measure(batch, bradley_terry(margins=margins, centering=0.02))
    assert stats.loss == pytest.approx(expected.item(), abs=1e-12)


@pytest.mark.parametrize("objective", [bradley_terry(), outcome_bce(), step_bce()], ids=["pairs", "outcome", "steps"])
def test_no_pad_is_read(make_qwen2: Any, objective: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wider rows and another padding token, one that texts have too, change nothing."""
    learner = Learner(make_qwen2().double(), value_head=ValueHead(torch.linspace(-1, 1, 32)), device="cpu")
    masks = [[False, True, True], [False, True], [False, False, False, True], [False, False, True]]
    batch = lay_out([[3, 4, 5], [6, 7], [8, 9, 10, 11], [5, 6, 7]], masks, [1] * 4)
    batch = batch.with_columns({"label": torch.tensor([1, 0, 1, 0]), "step_label": torch.linspace(0, 1, 12)})
    expected = learner.measure(batch, objective).loss

    def widened(part: Any) -> Layout:
        laid = padded(part)
        tokens, attention = laid.inputs["input_ids"], laid.inputs["attention_mask"]
        width = tokens.shape[1]
        tokens = torch.nn.functional.pad(torch.where(attention == 1, tokens, 7), (0, 3), value=7)
        source, own = (places // width * (width + 3) + places % width for places in (laid.source, laid.own))
        return Layout({"input_ids": tokens, "attention_mask": torch.nn.functional.pad(attention, (0, 3))}, source, own)

    monkeypatch.setitem(LAYOUTS, "padded", widened)
    assert learner.measure(batch, objective).loss == pytest.approx(expected, abs=1e-7)
