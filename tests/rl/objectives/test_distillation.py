"""The reverse KL to a teacher: numbers by hand, and both estimates against the exact gradient, every sequence gone through."""

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from rl.objectives import distillation
from rl.objectives.algorithms import describe_algorithm, named
from rl.objectives.batch import Batch, lay_out
from rl.objectives.credit import Signal
from rl.objectives.policy_gradient import KL, Correction
from tests.rl.grids import as_rows, grid


def double(rows: Any) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


TEACHER, POLICY = double([[-0.5, -2.0, -1.0], [-1.5, -0.1, -9.0]]), double([[-1.0, -1.0, -1.5], [-0.7, -0.4, -1.0]])
MASK = torch.tensor([[1, 1, 1], [1, 1, 0]], dtype=torch.bool)


def credited(given: Any) -> tuple[Batch, Tensor]:
    batch = grid(MASK, teacher_logp=TEACHER, policy_logp=POLICY)
    found = given(Signal(torch.zeros(2, 1, dtype=torch.float64), torch.ones(2, 1, dtype=torch.bool), batch))
    return batch.with_columns(found), as_rows(found["advantage"], batch)


def test_the_advantage_is_what_the_teacher_thinks_better() -> None:
    _, advantage = credited(distillation.teacher_gap)
    torch.testing.assert_close(advantage, double([[0.5, -1.0, 0.5], [-0.8, 0.3, 0.0]]), atol=1e-12, rtol=0)


def test_to_go_a_token_answers_for_what_followed() -> None:
    batch, advantage = credited(distillation.teacher_gap_to_go)
    torch.testing.assert_close(advantage, double([[0.0, -0.5, 0.5], [-0.5, 0.3, 0.0]]), atol=1e-12, rtol=0)
    torch.testing.assert_close(as_rows(batch.columns["teacher_gap"], batch)[0], double([0.5, -1.0, 0.5]), atol=1e-12, rtol=0)


def test_a_teacher_that_rules_a_token_out_makes_no_infinity() -> None:
    batch = grid(MASK, teacher_logp=torch.full((2, 3), -math.inf, dtype=torch.float64), policy_logp=POLICY)
    found = distillation.teacher_gap(Signal(torch.zeros(2, 1).double(), torch.ones(2, 1, dtype=torch.bool), batch))["advantage"]
    assert found[MASK.reshape(-1)].tolist() == [-20.0] * 5


def test_the_kl_by_hand() -> None:
    """p = (1/2, 1/4, 1/4), q = (1/4, 1/4, 1/2), the last of each all others: 1/2 ln 2 + 0 - 1/4 ln 2."""
    terms = {"top_logp": double([[0.5, 0.25, 0.25]]).log()}
    batch = grid(torch.ones(1, 1, dtype=torch.bool)).with_columns({"teacher_top_logp": double([[0.25, 0.25, 0.5]]).log()})
    assert distillation.top_kl(terms, batch).item() == pytest.approx(math.log(2) / 4, abs=1e-12)
    assert distillation.top_kl({"top_logp": batch.columns["teacher_top_logp"]}, batch).item() == 0


# --- the gradient ------------------------------------------------------------------------------------------------------

V, T = 3, 2


def table(seed: int) -> Tensor:
    """Logits of the first token [V], and of the second after each first [V V]: all of a policy of two tokens."""
    return torch.randn(1 + V, V, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def token_logps(logits: Tensor, sequence: tuple[int, ...]) -> Tensor:
    every = logits.log_softmax(-1)
    return torch.stack([every[0, sequence[0]], every[1 + sequence[0], sequence[1]]])


def expected_gradient(to_go: bool) -> Tensor:
    """Of the loss of one sequence, over every sequence by its probability."""
    policy, teacher = table(0).requires_grad_(), table(1)
    algorithm = named("sampled", max_completion_length=T, among=distillation.DISTILLATIONS, to_go=to_go)
    total = torch.zeros((), dtype=torch.float64)
    for sequence in itertools.product(range(V), repeat=T):
        logp = token_logps(policy, sequence)
        columns = {"teacher_logp": token_logps(teacher, sequence)[None], "policy_logp": logp.detach()[None]}
        batch = grid(torch.ones(1, T, dtype=torch.bool), **columns)
        signal = Signal(torch.zeros(1, 1).double(), torch.ones(1, 1, dtype=torch.bool), batch)
        batch = batch.with_columns(algorithm.credit(signal))
        loss = (algorithm.objective.weight(batch) * algorithm.objective.loss({"logp": logp, "entropy": logp}, batch)).sum()
        total = total + logp.detach().sum().exp() * loss * T  # the weights are 1 / T
    return torch.autograd.grad(total, policy)[0]


def kl(policy: Tensor, teacher: Tensor) -> Tensor:
    return (policy.softmax(-1) * (policy.log_softmax(-1) - teacher.log_softmax(-1))).sum(-1)


def test_to_go_its_expectation_is_the_gradient_of_the_kl_of_sequences() -> None:
    policy, teacher = table(0).requires_grad_(), table(1)
    first = policy[0].softmax(-1)
    whole = kl(policy[0], teacher[0]) + (first * kl(policy[1:], teacher[1:])).sum()
    torch.testing.assert_close(expected_gradient(True), torch.autograd.grad(whole, policy)[0], atol=1e-12, rtol=0)


def test_token_by_token_it_is_that_of_the_kl_at_each_place() -> None:
    policy, teacher = table(0).requires_grad_(), table(1)
    first = policy[0].softmax(-1).detach()  # where it comes to is taken as it is
    places = kl(policy[0], teacher[0]) + (first * kl(policy[1:], teacher[1:])).sum()
    torch.testing.assert_close(expected_gradient(False), torch.autograd.grad(places, policy)[0], atol=1e-12, rtol=0)


# --- as values ---------------------------------------------------------------------------------------------------------


def test_what_it_reads_and_what_it_takes_beside_it() -> None:
    sampled, exact = (named(name, max_completion_length=4, among=distillation.DISTILLATIONS) for name in distillation.DISTILLATIONS)
    assert (sampled.reads, sampled.objective.reads, sampled.min_completions) == (("teacher_logp", "policy_logp"), (), 1)
    assert exact.objective.reads == ("teacher_top", "teacher_top_logp")
    assert set(exact.objective.terms) == {"logp", "top_logp"}
    with_terms = named("top-k", max_completion_length=4, among=distillation.DISTILLATIONS, kl=KL(0.1), correction=Correction(), k=8)
    assert with_terms.objective.reads == ("ref_logp", "teacher_top", "teacher_top_logp")
    said = describe_algorithm(with_terms)
    assert "the 8 ids that the teacher finds most likely" in said
    assert "0.1 (exp(ref - lp)" in said
    with pytest.raises(ValueError, match="unknown algorithm 'grpo'"):
        named("grpo", max_completion_length=4, among=distillation.DISTILLATIONS)


def test_what_is_cut_or_moved_changes_no_gradient() -> None:
    tokens = [[1, 2, 0], [2, 1, 1, 0], [0, 2]]
    batch = lay_out(tokens, [[False, *[True] * (len(row) - 1)] for row in tokens], [1] * 3)
    generator = torch.Generator().manual_seed(0)
    top = torch.randn(len(batch.tokens), 3, dtype=torch.float64, generator=generator).log_softmax(-1)
    own = torch.randn(len(batch.tokens), 3, dtype=torch.float64, generator=generator)
    objective = distillation.top_k(k=2).objective
    batch = replace(batch.with_columns({"teacher_top_logp": top, "advantage": batch.mask.double()}))

    def gradient(cuts: list[list[int]]) -> Tensor:
        leaf, weight = own.clone().requires_grad_(), objective.weight(batch)
        for rows in cuts:
            places, part = batch.places(torch.tensor(rows)), batch.take(torch.tensor(rows))
            terms = {"top_logp": leaf[places].log_softmax(-1), "logp": leaf[places, 0]}
            torch.where(part.mask, weight[places] * objective.loss(terms, part), 0.0).sum().backward()
        assert leaf.grad is not None
        return leaf.grad

    torch.testing.assert_close(gradient([[2], [1, 0]]), gradient([[0, 1, 2]]), atol=1e-12, rtol=0)
