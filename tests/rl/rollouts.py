"""Rollouts drawn from a seed, the batch that a step makes of them, and the gradient that an update takes from it."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from rl.learning.layout import LayoutName
from rl.learning.policy import Policy
from rl.learning.update_stats import UpdateStats
from rl.loop.group_batch import batch_of_groups, signal_of
from rl.objectives.algorithms import Algorithm, named
from rl.objectives.batch import Batch, by_row
from rl.objectives.objective import Objective
from rollout.engine import Completion
from rollout.player import Group
from tests.rl.grids import in_one_step
from verifiers.problem import make_problem
from verifiers.verdict import Status, Verdict

MAX_LENGTH, VOCABULARY = 6, 24


SUBSETS: dict[str, dict[str, Any]] = {"pass-at-k": {"k": 2}, "best-of-n": {"n": 2}}
"""Of the groups of three or four that tests have."""


def algorithm(name: str, **terms: Any) -> Algorithm:
    return named(name, max_completion_length=MAX_LENGTH, **SUBSETS.get(name, {}) | terms)


def make_groups(rewards: Sequence[Sequence[float | None]], seed: int = 0) -> list[Group]:
    """A group for each row of rewards; None is no verdict."""
    generator = torch.Generator().manual_seed(seed)

    def tokens(low: int, high: int) -> list[int]:
        length = int(torch.randint(low, high + 1, (1,), generator=generator))
        return [int(token) for token in torch.randint(2, VOCABULARY, (length,), generator=generator)]

    groups = []
    for i, row in enumerate(rewards):
        texts = [tokens(1, MAX_LENGTH) for _ in row]
        completions = tuple(Completion(t, [-1.0 - 0.1 * n for n in range(len(t))], [True] * len(t), "length", 0) for t in texts)
        verdicts = tuple(Verdict(s, Status.TIMEOUT if s is None else Status.RIGHT if s > 0 else Status.WRONG) for s in row)
        groups.append(Group(make_problem(str(i), ""), tokens(1, 5), completions, ("",) * len(row), verdicts))
    return groups


def with_credit(groups: Sequence[Group], chosen: Algorithm, *, temperature: float = 1.0) -> Batch:
    """The groups' batch, advantages given."""
    batch = batch_of_groups(groups, temperature=temperature)
    batch = as_if_scored(batch, chosen)
    return batch.with_columns(chosen.credit(in_one_step(signal_of(groups, batch, length_penalty=chosen.length_penalty))))


def as_if_scored(batch: Batch, chosen: Algorithm) -> Batch:
    """With the columns that credit is given from, made of each sequence's tokens, so that neither order nor neighbours change them."""
    drawn = torch.sin(batch.tokens * 1.7 + batch.position) * batch.mask
    columns = {"value": drawn, "value_after": 0.3 + by_row(drawn, batch), "policy_logp": drawn - 1, "ref_logp": drawn - 1.1}
    return batch.with_columns({name: columns[name] for name in chosen.reads})


def gradient(
    policy: Policy, batch: Batch, objective: Objective, *, tokens_per_micro_batch: int = 10_000, layout: LayoutName = "padded"
) -> tuple[dict[str, Tensor], UpdateStats]:
    """(gradient of every parameter, stats) of `Policy.update`, taken where the optimiser would have stepped."""
    taken: dict[str, Tensor] = {}

    def take(stats: UpdateStats, lr: float) -> None:
        taken.update({name: p.grad.clone() for name, p in policy.trainable.items() if p.grad is not None})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy, "_step", take)
        patch.setattr(policy, "tokens_per_micro_batch", tokens_per_micro_batch)
        patch.setattr(policy, "layout", layout)
        return taken, policy.update(batch, objective, lr=1.0)


def assert_same(mine: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert mine.keys() == expected.keys()
    assert mine, "there is no gradient to compare"
    for name, value in expected.items():
        torch.testing.assert_close(mine[name], value, atol=1e-6, rtol=1e-6, msg=lambda text, name=name: f"{name}: {text}")


def randomise_adapter(policy: Policy, seed: int = 0) -> None:
    """A LoRA's B starts at 0, where an adapter that is ignored could not be told from one that is used."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in policy.trainable.items():
        if "lora_B" in name:
            parameter.data.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
