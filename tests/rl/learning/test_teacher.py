"""What a teacher says, against plain log-softmax; chunks and layouts; and that learning from it follows the exact KL, in float64."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from rl.learning import token_terms
from rl.learning.policy import Policy
from rl.learning.scoring import prepare
from rl.learning.teacher import EngineTeacher, ModelTeacher
from rl.objectives.algorithms import named
from rl.objectives.batch import Batch, lay_out
from rl.objectives.credit import Signal
from rl.objectives.distillation import DISTILLATIONS, sampled_token, top_k
from rl.objectives.policy_gradient import KL
from tests.rl.rollouts import gradient
from verifiers.input_error import InputError

V = 24  # the tiny models'


def batch_of(sequences: Sequence[Sequence[int]], prompt: int = 1, temperature: float = 1.0) -> Batch:
    masks = [[place >= prompt for place in range(len(sequence))] for sequence in sequences]
    return lay_out(sequences, masks, [prompt] * len(sequences), groups=[0] * len(sequences), temperature=temperature)


SEQUENCES = [[3, 4, 5, 6], [7, 8], [9, 10, 11, 2, 3]]


def plainly(model: Any, batch: Batch) -> Tensor:
    """log-softmax [N V] in place of each token, by one pass a sequence."""
    rows = []
    with torch.no_grad():
        for row in batch.tokens.split(batch.lengths.tolist()):
            logits = model(row[None]).logits[0].double() / batch.temperature
            rows.append(torch.cat([torch.zeros(1, V, dtype=torch.float64), logits[:-1].log_softmax(-1)]))
    return torch.cat(rows)


@pytest.mark.parametrize("layout", ["padded", "packed", "shared"])
@pytest.mark.parametrize("logits", [token_terms.MAX_LOGITS, 3 * V])
def test_its_most_likely_tokens_and_all_others(layout: Any, logits: int, make_llama: Callable[..., Any], monkeypatch: Any) -> None:
    monkeypatch.setattr(token_terms, "MAX_LOGITS", logits)
    model, batch = make_llama(), batch_of(SEQUENCES, temperature=0.7)
    every = plainly(model, batch)
    teacher = ModelTeacher(Policy(model, device="cpu", layout=layout), top=5, policy_vocabulary=20)
    found = teacher.columns(batch, ("teacher_logp", "teacher_top", "teacher_top_logp"))
    ids, values = found["teacher_top"], found["teacher_top_logp"].double()
    wanted, places = every[:, :20].topk(5, dim=-1)
    assert torch.equal(ids[batch.mask], places[batch.mask])
    torch.testing.assert_close(values[batch.mask, :5], wanted[batch.mask], atol=1e-4, rtol=0)
    torch.testing.assert_close(values[batch.mask].exp().sum(-1), torch.ones(int(batch.mask.sum())).double(), atol=1e-5, rtol=0)
    assert (values[~batch.mask] == 0).all()
    torch.testing.assert_close(
        found["teacher_logp"].double()[batch.mask], every.gather(1, batch.tokens[:, None])[batch.mask, 0], atol=1e-4, rtol=0
    )


class _Said:
    """An engine that knows the answer."""

    def __init__(self, policy: Policy):
        self.policy, self.asked = policy, 0

    def score(self, sequences: Sequence[Sequence[int]], *, temperature: float = 1.0) -> list[list[float]]:
        self.asked += len(sequences)
        return self.policy.score_sequences(sequences, temperature=temperature)


def test_behind_an_engine_it_says_the_same_of_what_trains(make_llama: Callable[..., Any]) -> None:
    policy = Policy(make_llama(), device="cpu")
    batch = batch_of([*SEQUENCES, [1, 2, 3]], temperature=0.7)
    batch = replace(batch, mask=batch.mask & (batch.row != 3))
    engine = _Said(policy)
    found = EngineTeacher(engine).columns(batch, ("teacher_logp",))["teacher_logp"]
    torch.testing.assert_close(found, ModelTeacher(policy, top=1).columns(batch, ("teacher_logp",))["teacher_logp"], atol=1e-5, rtol=0)
    assert engine.asked == 3
    with pytest.raises(ValueError, match="says teacher_logp alone, and not teacher_top"):
        EngineTeacher(engine).columns(batch, ("teacher_top", "teacher_top_logp"))


def test_what_it_cannot_say_is_refused(make_llama: Callable[..., Any]) -> None:
    policy = Policy(make_llama(), device="cpu")
    with pytest.raises(ValueError, match="of 24 tokens the 24 most likely"):
        ModelTeacher(policy, top=24)
    with pytest.raises(InputError, match="the policy sampled the token 24"):
        ModelTeacher(policy, top=2).columns(batch_of([[1, 24]]), ("teacher_logp",))
    with pytest.raises(ValueError, match="teacher_logp is a teacher's to say, and there is none"):
        prepare(batch_of([[1, 2]]), ("teacher_logp",), learner=policy, reference=None)


# --- learning ----------------------------------------------------------------------------------------------------------


def exact(model: Any, teacher: Any, prompt: Sequence[int]) -> dict[str, Tensor]:
    """The gradient of KL(policy || teacher) of the next token, by autograd over all of the vocabulary."""
    with torch.no_grad():
        q = teacher(torch.tensor([prompt])).logits[0, -1].log_softmax(-1)
    p = model(torch.tensor([prompt])).logits[0, -1].log_softmax(-1)
    parameters = dict(model.named_parameters())
    found = torch.autograd.grad((p.exp() * (p - q)).sum(), list(parameters.values()))
    return dict(zip(parameters, found, strict=True))


def by_probability(policy: Policy, batch: Batch) -> Batch:
    """With the chance of each sequence in a column that the weights then are."""
    return batch.with_columns({"chance": policy.score(batch).exp() * batch.mask})


def assert_same(mine: dict[str, Tensor], wanted: dict[str, Tensor], *, within: float = 1e-10) -> None:
    """`within` 1e-5 where chances and gaps came of other passes: a Llama's norms are float32 in float64 models too."""
    assert mine.keys() == wanted.keys()
    assert any(value.abs().max() > 1e-3 for value in wanted.values())
    for name, value in wanted.items():
        torch.testing.assert_close(mine[name], value, atol=within, rtol=0, msg=lambda text, name=name: f"{name}: {text}")


def test_the_sampled_token_s_expected_gradient_is_the_exact_kl_s(make_llama: Callable[..., Any]) -> None:
    """Every token that could be sampled, by its probability."""
    model, other, prompt = make_llama(0).double(), make_llama(1).double(), [3, 7]
    policy, teacher = Policy(model, device="cpu"), ModelTeacher(Policy(other, device="cpu"), top=1)
    wanted = exact(model, other, prompt)
    batch = by_probability(policy, batch_of([[*prompt, token] for token in range(V)], prompt=2))
    assert batch.columns["chance"].sum().item() == pytest.approx(1, abs=1e-12)
    algorithm = sampled_token()
    batch = batch.with_columns(prepare(batch, algorithm.reads, learner=policy, reference=None, teacher=teacher))
    signal = Signal(torch.zeros(1, V, dtype=torch.float64), torch.ones(1, V, dtype=torch.bool), batch)
    batch = batch.with_columns({**algorithm.credit(signal), "sampler_logp": batch.columns["policy_logp"]})
    objective = replace(algorithm.objective, weight=lambda batch: batch.column("chance"))
    mine, stats = gradient(policy, batch, objective)
    assert_same(mine, wanted, within=1e-5)
    with torch.no_grad():
        p, q = (each(torch.tensor([prompt])).logits[0, -1].log_softmax(-1) for each in (model, other))
    assert (stats.measured["teacher_kl"] / V) == pytest.approx((p - q).mean().item(), abs=1e-5)


@pytest.mark.parametrize("logits", [token_terms.MAX_LOGITS, V])
def test_over_all_but_one_token_the_kl_is_exact_at_once(logits: int, make_llama: Callable[..., Any], monkeypatch: Any) -> None:
    """One sampled token is enough, whichever it is; a chunk at a time too."""
    monkeypatch.setattr(token_terms, "MAX_LOGITS", logits)
    model, other, prompt = make_llama(0).double(), make_llama(1).double(), [3, 7]
    policy, teacher = Policy(model, device="cpu"), ModelTeacher(Policy(other, device="cpu"), top=V - 1)
    wanted = exact(model, other, prompt)
    batch = batch_of([[*prompt, 5], [*prompt, 9]], prompt=2)
    objective = top_k(k=V - 1).objective
    batch = batch.with_columns(prepare(batch, objective.reads, learner=policy, reference=None, teacher=teacher))
    batch = batch.with_columns({"advantage": batch.mask.double(), "sampler_logp": policy.score(batch)})
    mine, stats = gradient(policy, batch, objective)
    assert_same(mine, wanted)
    assert stats.measured["teacher_kl"] / 2 == pytest.approx(stats.loss, abs=1e-10)


def test_lumping_the_rest_together_is_a_lower_bound(make_llama: Callable[..., Any]) -> None:
    model, other = make_llama(0).double(), make_llama(1).double()
    policy, batch = Policy(model, device="cpu"), batch_of(SEQUENCES)
    p, q = plainly(model, batch), plainly(other, batch)
    whole = (p.exp() * (p - q)).sum(-1)[batch.mask]
    before = torch.zeros_like(whole)
    for k in (1, 4, 12, V - 1):
        teacher = ModelTeacher(Policy(other, device="cpu"), top=k)
        told = batch.with_columns(prepare(batch, top_k(k=k).objective.reads, learner=policy, reference=None, teacher=teacher))
        found = top_k(k=k).objective.loss(policy.look(told, ("logp",)) | {"top_logp": _top_logp(policy, told)}, told)[batch.mask]
        assert (found >= before - 1e-12).all()
        assert (found <= whole + 1e-9).all()
        before = found
    torch.testing.assert_close(before, whole, atol=1e-9, rtol=0)


def _top_logp(policy: Policy, batch: Batch) -> Tensor:
    with torch.no_grad():
        return policy.token_terms(batch, terms=(), watches=("logp", "top_logp"))["top_logp"]


def test_a_policy_that_is_its_teacher_learns_nothing(make_llama: Callable[..., Any]) -> None:
    model = make_llama(0)
    policy = Policy(model, device="cpu")
    teacher = ModelTeacher(Policy(make_llama(0), device="cpu"), top=4)
    batch = batch_of(SEQUENCES)
    algorithm = sampled_token()
    batch = batch.with_columns(prepare(batch, algorithm.reads, learner=policy, reference=None, teacher=teacher))
    signal = Signal(torch.zeros(1, 3), torch.ones(1, 3, dtype=torch.bool), batch)
    assert (algorithm.credit(signal)["advantage"] == 0).all()


def test_every_pair_of_tokens(make_llama: Callable[..., Any]) -> None:
    """Two tokens: with what followed, the gradient is that of the KL of whole sequences."""
    model, other = make_llama(0).double(), make_llama(1).double()
    policy, teacher = Policy(model, device="cpu"), ModelTeacher(Policy(other, device="cpu"), top=1)
    pairs = list(itertools.product(range(V), repeat=2))
    tokens = torch.tensor([[3, *pair] for pair in pairs])

    def logps(network: Any) -> Tensor:
        every = network(tokens).logits.log_softmax(-1)
        return every[:, :-1].gather(2, tokens[:, 1:, None]).squeeze(2)

    with torch.no_grad():
        q = logps(other)
    p = logps(model)
    parameters = dict(model.named_parameters())
    whole = (p.sum(1).exp() * (p - q).sum(1)).sum()
    wanted = dict(zip(parameters, torch.autograd.grad(whole, list(parameters.values())), strict=True))
    batch = batch_of(tokens.tolist())
    algorithm = sampled_token(to_go=True)
    batch = batch.with_columns(prepare(batch, algorithm.reads, learner=policy, reference=None, teacher=teacher))
    signal = Signal(torch.zeros(1, len(pairs), dtype=torch.float64), torch.ones(1, len(pairs), dtype=torch.bool), batch)
    chance = p.detach().sum(1).exp()[batch.row] * batch.mask
    batch = batch.with_columns({**algorithm.credit(signal), "chance": chance, "sampler_logp": batch.columns["policy_logp"]})
    mine, _ = gradient(policy, batch, replace(algorithm.objective, weight=lambda batch: batch.column("chance")))
    assert_same(mine, wanted, within=1e-5)


@pytest.mark.parametrize("name", list(DISTILLATIONS))
def test_micro_batches_layouts_and_order_change_nothing(name: str, make_llama: Callable[..., Any]) -> None:
    algorithm = named(name, max_completion_length=8, among=DISTILLATIONS, kl=KL(0.1), **({"k": 5} if name == "top-k" else {}))
    policy, teacher = Policy(make_llama(0), device="cpu"), ModelTeacher(Policy(make_llama(1), device="cpu"), top=5)
    rows = [*SEQUENCES, [1, 2, 3, 4, 5, 6, 7]]

    def told(order: Sequence[int]) -> Batch:
        batch = batch_of([rows[n] for n in order])
        batch = batch.with_columns({"sampler_logp": policy.score(batch), "ref_logp": policy.score(batch) - 0.1 * batch.mask})
        batch = batch.with_columns(prepare(batch, algorithm.reads, learner=policy, reference=None, teacher=teacher))
        signal = Signal(torch.zeros(1, 4), torch.ones(1, 4, dtype=torch.bool), batch)
        batch = batch.with_columns(algorithm.credit(signal))
        return batch.with_columns(prepare(batch, algorithm.objective.reads, learner=policy, reference=None, teacher=teacher))

    whole, _ = gradient(policy, told(range(4)), algorithm.objective)
    for order, budget, layout in (((0, 1, 2, 3), 1, "padded"), ((3, 1, 0, 2), 9, "padded"), ((2, 0, 3, 1), 8, "packed")):
        mine, _ = gradient(policy, told(order), algorithm.objective, tokens_per_micro_batch=budget, layout=layout)  # type: ignore[arg-type]
        assert_same(mine, whole, within=1e-5)
