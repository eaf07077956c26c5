"""Every online algorithm's objective goes to a worker and computes the same there."""

import pytest
import torch

from rl.learning.policy import Policy
from rl.objectives.algorithms import ALGORITHMS
from rl.objectives.policy_gradient import KL, Correction
from rl.workers.messages import packed, unpacked
from tests.rl.rollouts import algorithm, make_groups, with_credit

TERMS = {"kl": KL(0.1), "entropy_coef": 0.01, "correction": Correction("truncate", "sequence", high=1.5)}


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_an_objective_travels(name, tiny_qwen2):
    chosen = algorithm(name, **TERMS)
    batch = with_credit(make_groups([[1.0, 0.0, 0.5], [1.0, 0.0, 0.0]]), chosen)
    policy = Policy(tiny_qwen2, device="cpu")
    batch = batch.with_columns({"ref_logp": policy.score(batch), "old_logp": policy.score(batch)})
    there = unpacked(packed((chosen.objective, batch)))
    mine, theirs = policy.measure(batch, chosen.objective), policy.measure(there[1], there[0])
    assert mine.measured == theirs.measured
    assert mine.loss == theirs.loss
    assert torch.equal(there[1].column("advantage"), batch.column("advantage"))
