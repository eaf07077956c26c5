"""Every objective has one gradient: whatever the layout, the cut into micro-batches and the order of units, full or with an adapter.

And its loss is additive over units: that of a step is the weighed sum of what each unit's loss is by itself. Generic on purpose: an
objective that joins a table joins this test.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from rl.learning.adapters import Lora
from rl.learning.layout import LAYOUTS
from rl.learning.learner import Learner, ValueHead
from rl.objectives.algorithms import ALGORITHMS, named
from rl.objectives.batch import Batch, lay_out
from rl.objectives.objective import Objective, describe
from rl.objectives.policy_gradient import KL, Correction
from rl.objectives.preferences import PREFERENCES, chosen_length, preference
from rl.objectives.reward_models import bradley_terry, outcome_bce, step_bce
from rl.objectives.supervised import sft
from rl.objectives.weights import sequence_mean
from tests.rl.double_precision import doubled

VOCABULARY, PROMPT, GROUPS, SIZE = 24, 4, 3, 4
BESIDE = {"kl": KL(0.1), "entropy_coef": 0.01, "correction": Correction("truncate", "sequence", high=1.5)}

OBJECTIVES: dict[str, Objective] = {
    **{name: named(name, max_completion_length=12).objective for name in ALGORITHMS},
    **{f"{name}, all terms": named(name, max_completion_length=12, **BESIDE).objective for name in ALGORITHMS},
    "sft": sft(),
    "sft, sequences": sft(weight=sequence_mean),
    **{name: preference(name) for name in PREFERENCES},
    "sigmoid, all terms": preference("sigmoid", nll_coef=1.0, nll_mean="token", length_normalised=True, label_smoothing=0.1),
    "orpo, tokens": preference("orpo", nll_mean="token"),
    "bradley-terry": bradley_terry(),
    "bradley-terry, all terms": bradley_terry(margin=0.2, margins=True, centering=0.05),
    "outcome": outcome_bce(),
    "steps": step_bce(),
    "steps, sequences": step_bce(weight=sequence_mean),
}
every_objective = pytest.mark.parametrize("name", OBJECTIVES)


def make_batch(dtype: torch.dtype) -> Batch:
    """Groups of ragged completions with a token in the middle that nobody sampled, and every column that an objective may read."""
    random = torch.Generator().manual_seed(1)
    sequences: list[list[int]] = []
    masks: list[list[bool]] = []
    for _ in range(GROUPS):
        prompt = torch.randint(2, VOCABULARY, (PROMPT,), generator=random).tolist()
        for _ in range(SIZE):
            length = int(torch.randint(2, 13, (), generator=random))
            sequences.append(prompt + torch.randint(2, VOCABULARY, (length,), generator=random).tolist())
            masks.append([False] * PROMPT + [place != 1 for place in range(length)])
    groups = [group for group in range(GROUPS) for _ in range(SIZE)]
    batch = lay_out(sequences, masks, [PROMPT] * len(sequences), groups=groups, temperature=1.3)

    def around(centre: float, spread: float) -> Tensor:
        return centre + spread * torch.randn(len(batch.tokens), generator=random, dtype=dtype)

    given = torch.randn(len(batch), generator=random, dtype=dtype)
    given[:2] = 0.0  # idle sequences: their passes are left out
    columns = {
        "advantage": given[batch.row] * batch.mask, "old_logp": around(-3.0, 0.3), "ref_logp": around(-3.1, 0.2),
        "sampler_logp": around(-3.0, 0.2), "label": torch.arange(len(batch)) % 2,
        "z0": torch.full((len(batch),), 0.3, dtype=dtype),
        "chosen_length": chosen_length(batch),
        "margin": given.repeat_interleave(2)[: len(batch)],
        "step_label": torch.where(batch.mask, torch.rand(len(batch.tokens), generator=random, dtype=dtype), torch.nan),
    }  # fmt: skip
    return batch.with_columns(columns)


def gradient_of(learner: Learner, batch: Batch, objective: Objective, *, budget: int = 10_000) -> tuple[Tensor, float]:
    """(gradient, loss) of an update, taken where the optimiser would have stepped."""
    taken: list[Tensor] = []

    def take(stats: Any, lr: float) -> None:
        taken.extend(torch.zeros(p.numel()) if p.grad is None else p.grad.flatten().clone() for p in learner.trainable.values())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learner, "_step", take)
        patch.setattr(learner, "tokens_per_micro_batch", budget)
        return_stats = learner.update(batch, objective, lr=1.0)
    return torch.cat(taken), return_stats.loss


@pytest.fixture(scope="module", params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    return getattr(torch, request.param)


@pytest.fixture(scope="module", params=["full", "lora"])
def learner(request: pytest.FixtureRequest, make_qwen2: Callable[..., Any], dtype: torch.dtype) -> Learner:
    lora, head = Lora(rank=2, alpha=4.0) if request.param == "lora" else None, ValueHead(torch.linspace(-1, 1, 32))
    model = doubled(make_qwen2()) if dtype == torch.float64 else make_qwen2()
    made = Learner(model, lora=lora, value_head=head, device="cpu")
    generator = torch.Generator().manual_seed(0)
    for name, parameter in made.trainable.items():
        if "lora_" in name:  # a fresh adapter's B is 0, which would hide half of it; peft keeps an adapter in float32
            parameter.data = torch.randn(parameter.shape, generator=generator).to(dtype) * 0.3
    return made


def units_in_order(batch: Batch, objective: Objective, seed: int) -> Batch:
    units = torch.arange(len(batch)).reshape(-1, objective.rows_per_unit)
    return batch.take(units[torch.randperm(len(units), generator=torch.Generator().manual_seed(seed))].reshape(-1))


@every_objective
def test_one_gradient_in_every_layout_cut_and_order(
    name: str, learner: Learner, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective, batch = OBJECTIVES[name], make_batch(dtype)
    bound = 1e-10 if dtype == torch.float64 else 1e-5
    monkeypatch.setattr(learner, "layout", "padded")
    whole, loss = gradient_of(learner, batch, objective)
    assert whole.norm() > 1e-3
    turned = units_in_order(batch, objective, 40)
    for layout in LAYOUTS:
        assert learner.token_terms.allows(layout)
        monkeypatch.setattr(learner, "layout", layout)
        # whole, cut and in another order, and, where it costs least, every unit by itself
        for budget, order in ((10_000, batch), (40, turned), (1, batch))[: 3 if layout == "packed" else 2]:
            other, said = gradient_of(learner, order, objective, budget=budget)
            assert (other - whole).norm() / whole.norm() < bound, (layout, budget)
            assert said == pytest.approx(loss, rel=bound, abs=bound)


@every_objective
def test_the_loss_is_additive_over_units(name: str) -> None:
    """Each unit's loss, computed in a batch of its own, is what it is among the others."""
    objective, batch = OBJECTIVES[name], make_batch(torch.float64)
    logp = torch.where(batch.mask, -3 + 0.3 * torch.randn(len(batch.tokens), dtype=torch.float64), 0.0)
    entropy = torch.where(batch.mask, logp.abs(), 0.0)
    together = objective.loss({"logp": logp, "entropy": entropy, "score": logp}, batch)
    per_token = len(together) == len(batch.tokens)
    for unit, rows in enumerate(torch.arange(len(batch)).reshape(-1, objective.rows_per_unit)):
        places = batch.places(rows)
        alone = objective.loss({"logp": logp[places], "entropy": entropy[places], "score": logp[places]}, batch.take(rows))
        expected = together[places] if per_token else together[unit : unit + 1]
        kept = batch.mask[places] if per_token else slice(None)
        torch.testing.assert_close(alone[kept], expected[kept], atol=1e-12, rtol=0)


@every_objective
def test_the_weights_are_of_the_loss_and_the_value_describes_itself(name: str) -> None:
    objective, batch = OBJECTIVES[name], make_batch(torch.float64)
    weight = objective.weight(batch)
    logp = batch.columns["old_logp"]
    assert weight.shape == objective.loss({"logp": logp, "entropy": -logp, "score": logp}, batch).shape
    assert weight.isfinite().all()
    text = describe(objective)
    assert text.startswith("loss = ")
    assert "{" not in text
