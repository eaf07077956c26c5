"""Values and gradients of the chunked head are those of the whole logits in torch's own autograd, and no graph of logits is kept."""

from itertools import product as combinations
from typing import Any

import pytest
import torch
from torch import Tensor

from rl.forward.output_head import HeadRule, chosen_terms

TOKENS, WIDTH, VOCABULARY = 11, 6, 40


def plain(hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, rule: HeadRule) -> list[Tensor]:
    logits = torch.nn.functional.linear(hidden, weight, bias) * rule.scale
    logits = rule.softcap * torch.tanh(logits / rule.softcap) if rule.softcap else logits
    every = torch.log_softmax(logits / rule.temperature, -1)
    return [every.gather(1, targets[:, None]).squeeze(1), -(every.exp() * every).sum(-1)]


def inputs(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    hidden, weight, bias = (torch.randn(*shape).to(dtype) for shape in ((TOKENS, WIDTH), (VOCABULARY, WIDTH), (VOCABULARY,)))
    return hidden.requires_grad_(), weight, bias, torch.randint(VOCABULARY, (TOKENS,))


@pytest.mark.parametrize("entropy", [None, False, True])
@pytest.mark.parametrize("trains", [False, True], ids=["adapter", "full"])
def test_value_and_gradient_are_those_of_whole_logits(trains: bool, entropy: bool | None) -> None:
    hidden, weight, bias, targets = inputs(torch.float64)
    weight.requires_grad_(trains), bias.requires_grad_(trains)
    factor = torch.randn(2, TOKENS, dtype=torch.float64)
    for scale, softcap, temperature, chunk, biased in combinations((1.0, 0.25), (None, 3.0), (1.0, 0.7), (4, 100), (True, False)):
        rule = HeadRule(scale, softcap, temperature, entropy, chunk)
        given = (hidden, weight, bias if biased else None)
        found, expected = list(chosen_terms(*given, targets, rule)), plain(*given, targets, rule)
        assert len(found) == (1 if entropy is None else 2)
        assert found[-1].requires_grad is (entropy is not False)
        for one, other in zip(found, expected, strict=False):
            torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-12)
        wanted = [x for x in given if x is not None and x.requires_grad]
        terms = 2 if entropy else 1
        mine, theirs = (torch.autograd.grad(sum((factor[n] * each[n]).sum() for n in range(terms)), wanted) for each in (found, expected))
        for one, other in zip(mine, theirs, strict=True):
            torch.testing.assert_close(one, other, atol=1e-11, rtol=1e-10)


def with_top(every: list[Tensor], top: Tensor, logits: Tensor) -> list[Tensor]:
    """`plain`'s, and the log-probabilities of some ids and of all others together."""
    logp = torch.log_softmax(logits, -1)
    others = logp.scatter(1, top, float("-inf")).logsumexp(-1, keepdim=True)
    return [*every, torch.cat([logp.gather(1, top), others], 1)]


@pytest.mark.parametrize("entropy", [None, False, True])
@pytest.mark.parametrize("trains", [False, True], ids=["adapter", "full"])
def test_many_ids_at_each_place_and_all_others_have_the_gradient_of_whole_logits(trains: bool, entropy: bool | None) -> None:
    hidden, weight, bias, targets = inputs(torch.float64)
    weight.requires_grad_(trains), bias.requires_grad_(trains)
    top = torch.stack([torch.randperm(VOCABULARY)[:5] for _ in range(TOKENS)])
    top[0, 0] = targets[0] if targets[0] not in top[0] else top[0, 0]  # a target that is among them
    one_token, of_top = torch.randn(2, TOKENS, dtype=torch.float64), torch.randn(TOKENS, 6, dtype=torch.float64)
    for softcap, temperature, chunk in combinations((None, 3.0), (1.0, 0.7), (4, 100)):
        rule = HeadRule(0.5, softcap, temperature, entropy, chunk)
        logits = torch.nn.functional.linear(hidden, weight, bias) * 0.5
        logits = (softcap * torch.tanh(logits / softcap) if softcap else logits) / temperature
        found = list(chosen_terms(hidden, weight, bias, targets, rule, top))
        expected = with_top(plain(hidden, weight, bias, targets, rule)[: 1 if entropy is None else 2], top, logits)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-12)
        wanted = [x for x in (hidden, weight, bias) if x.requires_grad]
        mine, theirs = (
            torch.autograd.grad(sum((one_token[n] * each[n]).sum() for n in range(2 if entropy else 1)) + (of_top * each[-1]).sum(), wanted)
            for each in (found, expected)
        )
        for one, other in zip(mine, theirs, strict=True):
            torch.testing.assert_close(one, other, atol=1e-11, rtol=1e-10)


def test_what_is_left_of_a_certain_distribution_is_a_number() -> None:
    """The others of a token that is all but certain underflow; their gradient is 0, not nan."""
    hidden, weight = torch.ones(1, 1, requires_grad=True), torch.tensor([[300.0], [0.0], [0.0]])
    *_, top = chosen_terms(hidden, weight, None, torch.tensor([0]), HeadRule(1.0, None, 1.0, None, 4), torch.tensor([[0]]))
    assert top[0, 0].item() == 0.0
    assert top[0, 1].item() < -80
    (top.exp() * top).sum().backward()
    assert torch.isfinite(hidden.grad).all()


def test_of_no_token_there_is_nothing() -> None:
    hidden, weight, _, targets = inputs(torch.float32)
    logp, entropy = chosen_terms(hidden[:0], weight, None, targets[:0], HeadRule(1.0, None, 1.0, True, 4))
    assert (logp.shape, entropy.shape) == ((0,), (0,))
    (logp.sum() + entropy.sum()).backward()


@pytest.mark.parametrize("top", [None, torch.arange(2).expand(TOKENS, 2)], ids=["chosen", "top"])
@pytest.mark.parametrize("trains", [False, True], ids=["adapter", "full"])
def test_no_logits_are_kept_for_the_backward_pass(trains: bool, top: Tensor | None) -> None:
    hidden, weight, _, targets = inputs(torch.float32)
    kept: list[Tensor] = []

    def keep(x: Tensor) -> Any:
        kept.append(x)
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        chosen_terms(hidden, weight.requires_grad_(trains), None, targets, HeadRule(1.0, None, 0.7, False, 4), top)
    assert {tuple(x.shape) for x in kept} <= {(TOKENS, WIDTH), (VOCABULARY, WIDTH), (TOKENS,), (TOKENS, 2)}
    assert sum(x.numel() for x in kept if x is not weight) <= TOKENS * (WIDTH + 3) + (trains or top is not None) * VOCABULARY * WIDTH


@pytest.mark.parametrize("trains", [False, True], ids=["adapter", "full"])
def test_under_autocast_products_are_bfloat16_and_the_rest_float32(trains: bool) -> None:
    hidden, weight, _, targets = inputs(torch.float32)
    weight.requires_grad_(trains)
    rule = HeadRule(1.0, None, 1.0, None, 4)
    with torch.autocast("cpu", torch.bfloat16):
        (found,) = chosen_terms(hidden, weight, None, targets, rule)
    expected = plain(hidden.bfloat16().float(), weight.bfloat16().float(), None, targets, rule)[0]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=0.05, rtol=0)
    assert not torch.equal(found, plain(hidden, weight, None, targets, rule)[0])
    mine, theirs = (torch.autograd.grad(each.sum(), [hidden, *[weight] * trains]) for each in (found, expected))
    for one, other in zip(mine, theirs, strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() < 0.02 * other.norm()
