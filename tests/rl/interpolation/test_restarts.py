"""An adapter that is merged and drawn anew: the same model after as before, nothing left of the moments, and a rate that rises again."""

from pathlib import Path
from typing import Any

import pytest
import torch

from rl.interpolation.merged_adapters import fixed_sequences, logits
from rl.interpolation.restarts import Restarting
from rl.learning.adapters import Lora
from rl.learning.schedule import Schedule
from rl.objectives.batch import lay_out
from rl.objectives.supervised import sft

ROUNDING = 5e-5  # of logits of 6 in float32: 1.8e-5 were seen, by another order of sums; what was learnt moves them by 1e-2


@pytest.fixture
def policy(tiny_llama: Any, tmp_path: Path) -> Restarting:
    made = Restarting(tiny_llama, lora=Lora(rank=2, alpha=4))
    made.kept_in(tmp_path / "bases", lambda place: place.mkdir(parents=True))
    return made


def _learn(policy: Restarting, steps: int) -> None:
    batch = lay_out([[1, 5, 9, 4, 7]], [[False, True, True, True, True]], [1])
    for _ in range(steps):
        assert policy.update(batch, sft(), lr=1e-2).updates == 1


def test_a_restart_leaves_the_model_as_it_was(policy: Restarting) -> None:
    sequences = fixed_sequences(policy.vocabulary)
    untouched = logits(policy.model, sequences)
    for step in (3, 6):
        _learn(policy, 3)
        before, drawn = logits(policy.model, sequences), {name: p.detach().clone() for name, p in policy.trainable.items()}
        assert (before - untouched).abs().max() > 1e-2
        policy.restart(step)
        assert torch.allclose(logits(policy.model, sequences), before, atol=ROUNDING)
        with policy.model.disable_adapter():
            assert torch.allclose(logits(policy.model, sequences), before, atol=ROUNDING)
        assert all(not p.any() for name, p in policy.trainable.items() if "lora_B" in name)
        assert all((p != drawn[name]).any() for name, p in policy.trainable.items())
        assert not policy.optimizer.state
    _learn(policy, 1)  # goes on with the same parameters
    assert (logits(policy.model, sequences) - before).abs().max() > 1e-4


def test_two_restarts_are_of_a_higher_rank_than_one_adapter(policy: Restarting) -> None:
    weights = {name: layer.get_base_layer().weight for name, layer in policy._adapted()}
    began = {name: weight.detach().clone() for name, weight in weights.items()}
    for step in (2, 4):
        _learn(policy, 2)
        policy.restart(step)
    weights = {name: layer.get_base_layer().weight for name, layer in policy._adapted()}
    ranks = [int(torch.linalg.matrix_rank(weights[name].detach() - began[name], rtol=1e-4)) for name in began]
    assert max(ranks) == 4


def test_the_rate_rises_again() -> None:
    plain, risen = Schedule(1.0, 20, 2, "cosine"), Schedule(1.0, 20, 2, "cosine", restart_every=6, restart_warmup=3)
    shares = [risen(step) / plain(step) for step in range(20)]
    assert shares == pytest.approx([1] * 6 + [1 / 3, 2 / 3, 1, 1, 1, 1] * 2 + [1 / 3, 2 / 3])
