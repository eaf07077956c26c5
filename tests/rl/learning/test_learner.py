"""The owner of parameters: its optimiser step is AdamW's, what trains is what was asked for, and what it saves continues to the bit."""

import pytest
import torch

from rl.learning.adapters import Lora
from rl.learning.learner import Diverged, Optimizer
from rl.learning.policy import Policy
from rl.learning.reference import MovingAverage, initial_reference
from rl.objectives import policy_gradient
from rl.objectives.policy_gradient import KL, Correction
from tests.rl.rollouts import algorithm, assert_same, gradient, make_groups, randomise_adapter, with_credit

LORA = Lora(rank=4, alpha=8.0)
DORA = Lora(rank=4, alpha=8.0, dora=True)


def grpo_batch(*, seed=7, reference=None, **terms):
    """(a batch of two problems, GRPO's objective), scored by the reference where there is a KL."""
    chosen = algorithm("grpo", **terms)
    batch = with_credit(make_groups([[1.0, 0.0, 0.5], [0.0, 1.0, 1.0]], seed), chosen)
    return batch.with_columns({"ref_logp": reference.score(batch)} if reference else {}), chosen.objective


def snapshot(policy):
    return {name: p.detach().clone() for name, p in policy.model.named_parameters()}


def changed(policy, before):
    return {name for name, p in policy.model.named_parameters() if not torch.equal(p, before[name])}


def without_advantage(batch):
    return batch.with_columns({"advantage": torch.zeros(len(batch.tokens))})


def test_the_optimiser_step_is_adamw_on_the_clipped_gradient(make_qwen2):
    policy = Policy(make_qwen2(), optimizer=Optimizer(betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1, max_grad_norm=0.05), device="cpu")
    batch, objective = grpo_batch()
    gradients, _ = gradient(policy, batch, objective)
    norm = torch.sqrt(sum(g.double().square().sum() for g in gradients.values()))
    clones = {name: torch.nn.Parameter(p.detach().clone()) for name, p in policy.trainable.items()}
    for name, clone in clones.items():
        clone.grad = gradients[name] * (0.05 / norm).float()
    torch.optim.AdamW(clones.values(), lr=0.01, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1).step()
    stats = policy.update(batch, objective, lr=0.01)
    assert stats.grad_norm == pytest.approx(norm.item(), rel=1e-5)
    assert norm > 0.05
    for name, parameter in policy.trainable.items():
        torch.testing.assert_close(parameter.detach(), clones[name].detach(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("broken", ["loss", "gradient"])
def test_a_step_that_is_not_finite_is_skipped_and_the_third_in_a_row_raises(make_qwen2, broken):
    policy = Policy(make_qwen2(), device="cpu")
    good, objective = grpo_batch()
    bad = good.with_columns({"advantage": torch.where(good.mask, torch.inf, 0.0)}) if broken == "loss" else good

    def spoil():
        poison = policy.trainable["model.norm.weight"].register_hook(lambda g: g * torch.nan) if broken == "gradient" else None
        try:
            return policy.update(bad, objective, lr=0.1)
        finally:
            if poison:
                poison.remove()

    for _ in range(2):
        before = snapshot(policy)
        for expected_in_a_row in (1, 2):
            stats = spoil()
            assert (stats.skipped, stats.updates, policy.skipped_in_a_row) == (1, 0, expected_in_a_row)
        assert not changed(policy, before)
        assert policy.update(good, objective, lr=0.1).updates == 1  # a good step, and the count begins anew
    before, version = snapshot(policy), policy.version
    spoil()
    spoil()
    with pytest.raises(Diverged, match=r"^3 steps in a row .* learning rate 0\.1, policy version 2; gradients not finite in \d+ of \d+ "):
        spoil()
    assert not changed(policy, before)
    assert policy.version == version == 2


@pytest.mark.parametrize("lora", [LORA, DORA], ids=["lora", "dora"])
def test_an_adapter_trains_alone(make_qwen2, lora):
    policy = Policy(make_qwen2(), lora=lora, device="cpu")
    batch, objective = grpo_batch()
    before = snapshot(policy)
    for _ in range(2):  # a new adapter's A has no gradient before B has moved from 0
        policy.update(batch, objective, lr=0.05)
    assert changed(policy, before) == {name for name in before if "lora_" in name} == set(policy.trainable)
    assert any("magnitude" in name for name in policy.trainable) is lora.dora


@pytest.mark.parametrize("layout", ["padded", "packed", "shared"])
@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "lora"])
def test_gradient_checkpointing_gives_the_same_gradient(make_qwen2, lora, layout):
    def run(checkpointing):
        policy = Policy(make_qwen2(), lora=lora, gradient_checkpointing=checkpointing, device="cpu")
        randomise_adapter(policy)
        calls = []
        layer = next(module for name, module in policy.model.named_modules() if name.endswith("layers.0.mlp"))
        layer.register_forward_pre_hook(lambda *_: calls.append(1))
        return gradient(policy, *grpo_batch(), layout=layout)[0], len(calls)

    plain, once = run(False)
    checkpointed, twice = run(True)
    assert_same(checkpointed, plain)
    assert twice == 2 * once  # recomputed in the backward pass


@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "lora"])
def test_bf16_keeps_float32_where_it_trains_and_nearly_the_same_gradient(make_qwen2, lora):
    model = make_qwen2().to(torch.bfloat16) if lora else make_qwen2()
    policy, exact = Policy(model, lora=lora, dtype="bf16", device="cpu"), Policy(make_qwen2(), lora=lora, device="cpu")
    randomise_adapter(policy)
    randomise_adapter(exact)
    assert {p.dtype for p in policy.trainable.values()} == {torch.float32}
    batch, objective = grpo_batch()
    mine, expected = (torch.cat([g.flatten() for g in gradient(p, batch, objective)[0].values()]) for p in (policy, exact))
    assert torch.cosine_similarity(mine, expected, dim=0) > 0.99
    assert not torch.equal(mine, expected)
    assert policy.update(batch, objective, lr=0.01).updates == 1


# --- the terms beside the loss ---------------------------------------------------------------------------------------------


def test_kl_without_reference_log_probabilities_is_an_error(make_qwen2):
    """The penalty that was asked for would silently be left out."""
    policy = Policy(make_qwen2(), device="cpu")
    batch, _ = grpo_batch()
    with pytest.raises(ValueError, match="no column 'ref_logp', which must be scored before the update"):
        policy.update(batch, algorithm("grpo", kl=KL(0.1)).objective, lr=0.1)
    assert policy.version == 0


@pytest.mark.parametrize("estimator", [policy_gradient.k2, policy_gradient.k3])
def test_the_kl_term_pulls_towards_the_reference(make_qwen2, estimator):
    policy = Policy(make_qwen2(), device="cpu")
    reference = initial_reference(policy)
    generator = torch.Generator().manual_seed(0)
    for parameter in policy.trainable.values():
        parameter.data += 0.03 * torch.randn(parameter.shape, generator=generator)
    batch, objective = grpo_batch(reference=reference, kl=KL(1.0, estimator))
    batch = without_advantage(batch)

    distances = []
    for _ in range(20):
        distances.append((policy.score(batch) - batch.column("ref_logp")).square().sum().item())
        policy.update(batch, objective, lr=0.002)
    assert distances[-1] < 0.5 * distances[0]


def test_a_correction_multiplies_the_loss_and_not_the_kl(make_qwen2):
    policy = Policy(make_qwen2().double(), device="cpu")
    batch, plain = grpo_batch(reference=initial_reference(policy), kl=KL(0.0))
    sampler = policy.score(batch) - torch.tensor(1.5).log()
    batch = batch.with_columns({"ref_logp": batch.column("ref_logp") - 0.3, "sampler_logp": sampler})
    corrected = algorithm("grpo", kl=KL(0.2), correction=Correction("truncate", "token", high=2.0)).objective
    of_loss, _ = gradient(policy, batch, plain)
    of_both, _ = gradient(policy, batch, algorithm("grpo", kl=KL(0.2)).objective)
    expected = {name: 1.5 * g + (of_both[name] - g) for name, g in of_loss.items()}
    assert_same(gradient(policy, batch, corrected)[0], expected)


def test_an_entropy_bonus_raises_the_entropy(make_qwen2):
    policy = Policy(make_qwen2(), device="cpu")
    batch, objective = grpo_batch(entropy_coef=0.1)
    batch = without_advantage(batch)

    def entropy():
        return policy.look(batch, ("entropy",))["entropy"].sum()

    before = entropy()
    for _ in range(5):
        policy.update(batch, objective, lr=0.005)
    assert entropy() > 1.05 * before


# --- on disk -------------------------------------------------------------------------------------------------------------


def averaged(policy):
    return MovingAverage(policy, decay=0.8)


BUILDS = {
    "full": ({}, None),
    "full, kl": ({}, initial_reference),
    "full, packed": ({"layout": "packed"}, None),
    "full, bf16": ({"dtype": "bf16"}, None),
    "lora": ({"lora": LORA}, initial_reference),
    "dora": ({"lora": DORA}, None),
    "ema": ({}, averaged),
    "lora, ema": ({"lora": LORA}, averaged),
}


@pytest.mark.parametrize(("build", "refer"), BUILDS.values(), ids=BUILDS)
@pytest.mark.parametrize("make", ["make_qwen2", "make_llama"])
def test_a_loaded_policy_continues_to_the_last_bit(request, tmp_path, make, build, refer):
    make_model = request.getfixturevalue(make)
    policy, resumed = (Policy(make_model(), **build, device="cpu") for _ in range(2))
    reference, resumed_reference = (refer(p) if refer else None for p in (policy, resumed))
    randomise_adapter(resumed, seed=5)
    terms = {"kl": KL(0.1)} if refer else {}

    def step(learner, against, seed):
        stats = learner.update(*grpo_batch(seed=seed, reference=against, **terms), lr=0.02)
        if against:
            against.follow()
        return stats

    for seed in (1, 2):
        step(policy, reference, seed)
    for kept in filter(None, (policy, reference)):
        kept.save(tmp_path)
    for kept in filter(None, (resumed, resumed_reference)):
        kept.load(tmp_path)
    for seed in (3, 4):
        mine, expected = step(resumed, resumed_reference, seed), step(policy, reference, seed)
        assert mine == expected
        assert mine.updates == 1
    assert not changed(resumed, snapshot(policy))
    assert resumed.version == policy.version == 4
