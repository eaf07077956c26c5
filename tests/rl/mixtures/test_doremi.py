"""DoReMi's weights on a batch whose losses are written by hand, and their life in a checkpoint."""

import math

import pytest
import torch

from rl.mixtures.domains import DOMAIN
from rl.mixtures.doremi import DoReMi
from rl.objectives.batch import Batch, lay_out


class Silent:
    """A reference that is never asked."""

    def save(self, folder): ...

    def load(self, folder): ...


def batch_of(domains: list[int], policy: list[list[float]], reference: list[list[float]]) -> Batch:
    """Sequences of a first token and then one for each log-probability."""
    made = lay_out([[1] * (len(row) + 1) for row in policy], [[False] + [True] * len(row) for row in policy], [1] * len(policy))

    def column(rows: list[list[float]]) -> torch.Tensor:
        return torch.tensor([value for row in rows for value in (0.0, *row)], dtype=torch.float64)

    numbers = {DOMAIN: torch.tensor([float(domain) for domain in domains])}
    return made.with_columns(numbers | {"policy_logp": column(policy), "ref_logp": column(reference)})


def test_a_step_by_hand():
    """Domain 0: tokens behind by 1, ahead by 2 (which counts 0), behind by 2: 3/3 = 1. Domain 1: 0. Weights e and 1, over their sum."""
    state = DoReMi(["a", "b"], smoothing=0.0)
    found = state.token_weights(batch_of([0, 1, 0], [[-2.0, -1.0], [-1.0], [-3.0]], [[-1.0, -3.0], [-1.0], [-1.0]]))
    first, second = math.e / (math.e + 1), 1 / (math.e + 1)
    assert state.excess == pytest.approx([1.0, 0.0])
    assert state.weights == pytest.approx([first, second])
    assert found.tolist() == pytest.approx([0, first / 3, first / 3, 0, second, 0, first / 3])
    assert float(found.sum()) == pytest.approx(1.0)


def test_the_outcome_is_the_mean_over_steps():
    state = DoReMi(["a", "b"], smoothing=0.0)
    assert state.mean_weights() == pytest.approx([0.5, 0.5])
    weights = []
    for behind in (0.5, 0.1):
        state.token_weights(batch_of([0, 1], [[-1.0 - behind], [-1.0]], [[-1.0], [-1.0]]))
        weights.append(state.weights[0])
    assert weights == pytest.approx([1 / (1 + math.exp(-0.5)), 1 / (1 + math.exp(-0.6))])
    assert state.mean_weights()[0] == pytest.approx(sum(weights) / 2)


def test_a_domain_that_is_not_in_a_step_keeps_its_excess():
    state = DoReMi(["a", "b", "c"], smoothing=0.0)
    state.token_weights(batch_of([0, 1, 2], [[-2.0], [-1.0], [-1.0]], [[-1.0], [-1.0], [-1.0]]))
    state.token_weights(batch_of([1, 2], [[-1.0], [-1.0]], [[-1.0], [-1.0]]))
    assert state.excess == pytest.approx([1.0, 0.0, 0.0])
    assert state.weights[0] == pytest.approx(math.exp(2) / (math.exp(2) + 2))


def test_a_checkpoint_goes_on_to_the_bit(tmp_path):
    def step(state: DoReMi, behind: float) -> None:
        state.token_weights(batch_of([0, 1], [[-1.0 - behind], [-1.3]], [[-1.0], [-1.0]]))

    straight, resumed = DoReMi(["a", "b"]), DoReMi(["a", "b"])
    straight.reference = resumed.reference = Silent()
    step(straight, 0.7)
    straight.save(tmp_path)
    resumed.load(tmp_path)
    for state in (straight, resumed):
        step(state, 0.2)
    assert resumed.weights.tolist() == straight.weights.tolist()
    assert resumed.mean_weights().tolist() == straight.mean_weights().tolist()
    other = DoReMi(["a", "c"])
    other.reference = Silent()
    with pytest.raises(ValueError, match="domains"):
        other.load(tmp_path)
