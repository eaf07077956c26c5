"""Every objective goes to a worker and computes the same there."""

import pytest
import torch

from rl.learning.policy import Policy
from rl.objectives.algorithms import ALGORITHMS
from rl.objectives.batch import lay_out
from rl.objectives.policy_gradient import KL, Correction
from rl.objectives.preferences import PREFERENCES
from rl.objectives.supervised import sft
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


@pytest.mark.parametrize("name", ["sft", *PREFERENCES])
def test_an_objective_of_written_data_travels(name):
    objective = sft() if name == "sft" else PREFERENCES[name]()
    there = unpacked(packed(objective))
    batch = as_if_scored_pairs()
    terms = {"logp": batch.columns["ref_logp"] * 1.5 - 0.1}
    assert torch.equal(there.loss(terms, batch), objective.loss(terms, batch))
    assert there.measures.keys() == objective.measures.keys()
    for measure in objective.measures:
        assert torch.equal(there.measures[measure](terms, batch).nan_to_num(), objective.measures[measure](terms, batch).nan_to_num())


def as_if_scored_pairs():
    """Two pairs, or four labelled rows."""
    rows = [[2, 3, 4], [2, 3, 5, 6], [7, 8], [7, 9, 9]]
    batch = lay_out(rows, [[n > 0 for n in range(len(row))] for row in rows], [1] * 4, groups=[0, 0, 1, 1])
    scores = -0.1 * batch.tokens.float()
    columns = {"ref_logp": scores, "label": torch.tensor([1.0, 0.0, 1.0, 0.0]), "z0": torch.full((4,), 0.2)}
    return batch.with_columns(columns | {"chosen_length": torch.full((4,), 1.5)})
