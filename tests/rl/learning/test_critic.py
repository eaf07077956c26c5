"""Critics: what they read, that none of it is off by one, that they learn, and that their state is kept."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from rl.learning.adapters import Lora
from rl.learning.critic import AdapterValue, Critic, ModelValue, TrunkValue
from rl.learning.learner import VALUE_HEAD, Learner, Optimizer, ValueHead
from rl.learning.policy import Policy
from rl.objectives.algorithms import named
from rl.objectives.batch import lay_out
from rl.objectives.values import value_objective, with_value
from tests.rl.rollouts import randomise_adapter

SEQUENCES = [[3, 4, 5, 6, 7], [8, 9, 10], [5, 6, 7, 8, 9, 10, 11]]
MASKS = [[False, True, True, False, True], [False, False, True], [False, True, True, True, True, True, True]]
DRAWN = torch.linspace(-1, 1, 32)


def rollout():
    return lay_out(SEQUENCES, MASKS, [1, 2, 1])


def policy_of(model, *, lora=None, head=None, layout="padded", **settings):
    policy = Policy(model.double(), lora=lora, value_head=head, layout=layout, device="cpu", **settings)
    randomise_adapter(policy)
    return policy


def trunk(make, **settings):
    policy = policy_of(make(), head=ValueHead(DRAWN), **settings)
    return policy, TrunkValue(policy)


def adapter(make, **settings):
    policy = policy_of(make(), lora=Lora(rank=4), **settings)
    return policy, AdapterValue(policy, value_head=ValueHead(DRAWN))


def model(make, **settings):
    policy = policy_of(make(), **settings)
    return policy, ModelValue(Learner(make(seed=1).double(), value_head=ValueHead(DRAWN), device="cpu", **settings))


MAKERS: dict[str, Callable[..., tuple[Policy, Critic]]] = {"trunk": trunk, "adapter": adapter, "model": model}
every_critic = pytest.mark.parametrize("kind", list(MAKERS))


@every_critic
@pytest.mark.parametrize("layout", ["padded", "packed", "shared"])
def test_a_value_is_of_the_text_before_its_token(make_qwen2, kind, layout):
    """By hand: the model's own hidden states, one sequence at a time. Another token changes no value up to its own."""
    policy, critic = MAKERS[kind](make_qwen2, layout=layout)
    batch, own = rollout(), getattr(critic, "learner", policy)
    found = critic.value(batch)
    if kind == "adapter":
        policy.model.set_adapter("critic")
    expected = []
    for sequence, mask in zip(SEQUENCES, MASKS, strict=True):
        with torch.no_grad():
            hidden = own.model(input_ids=torch.tensor([sequence]), output_hidden_states=True).hidden_states[-1][0]
        values = hidden @ own.trainable[VALUE_HEAD][0]
        expected += [values[n - 1].item() if trains else 0.0 for n, trains in enumerate(mask)]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=found.dtype), atol=1e-6, rtol=1e-6)
    if kind == "adapter":
        policy.model.set_adapter("default")
    other = lay_out([SEQUENCES[0], SEQUENCES[1], [*SEQUENCES[2][:-1], 2]], MASKS, [1, 2, 1])
    torch.testing.assert_close(critic.value(other), found)


@every_critic
def test_the_value_after_the_end_is_what_the_next_token_would_have(make_qwen2, kind):
    _, critic = MAKERS[kind](make_qwen2)
    longer = lay_out([[*s, 2] for s in SEQUENCES], [[*m[:0], *[False] * len(m), True] for m in MASKS], [1, 2, 1])
    torch.testing.assert_close(critic.value_after(rollout()), critic.value(longer)[longer.mask])


def test_without_a_masked_token_the_value_after_is_0(make_qwen2):
    _, critic = trunk(make_qwen2)
    assert critic.value_after(lay_out([[3, 4]], [[False, False]], [1])).tolist() == [0.0]


def taught(batch):
    """Returns that only who has read the token before can know: 1 after an even one, 0 after an odd one."""
    before = batch.tokens.roll(1)
    return batch.with_columns({"returns": ((before % 2 == 0) * batch.mask).double(), "value": torch.zeros(len(batch.tokens)).double()})


@every_critic
def test_it_learns_what_the_token_before_tells(make_qwen2, kind):
    policy, critic = MAKERS[kind](make_qwen2, optimizer=Optimizer(max_grad_norm=100.0))
    objective = with_value(named("ppo", max_completion_length=8).objective, coef=1.0, clip=0.0)
    critic.__dict__.update(objective=value_objective(clip=0.0))
    batch = taught(rollout())
    batch = batch.with_columns({"advantage": torch.zeros(len(batch.tokens)).double()})
    batch = batch.with_columns({"sampler_logp": policy.score(batch)})
    for _ in range(60):
        if critic.update(batch, lr=1e-2) is None:
            policy.update(batch, objective, lr=1e-2)
    error = (critic.value(batch) - batch.column("returns"))[batch.mask].abs().max()
    assert error < 0.2
    shifted = torch.cat([batch.column("returns")[1:], batch.column("returns")[:1]])  # as a critic that is off by one would be taught
    assert (critic.value(batch) - shifted)[batch.mask].abs().max() > 0.5


@pytest.mark.parametrize("kind", ["adapter", "model"])
def test_a_critic_of_its_own_leaves_the_policy_as_it_is(make_qwen2, kind):
    policy, critic = MAKERS[kind](make_qwen2)
    batch = taught(rollout())
    before = policy.score(batch)
    assert critic.update(batch, lr=1e-2).updates == 1
    torch.testing.assert_close(policy.score(batch), before, atol=0, rtol=0)
    assert all(p.requires_grad for p in policy.trainable.values())


@every_critic
def test_alone_it_learns_and_the_policy_stays(make_qwen2, kind):
    policy, critic = MAKERS[kind](make_qwen2)
    batch = taught(rollout())
    before, value = policy.score(batch), critic.value(batch)
    assert critic.update(batch, lr=1e-2, alone=True).updates == 1
    torch.testing.assert_close(policy.score(batch), before, atol=0, rtol=0)
    assert not torch.equal(critic.value(batch), value)


@every_critic
def test_a_policys_update_leaves_a_critic_of_its_own_as_it_is(make_qwen2, kind):
    policy, critic = MAKERS[kind](make_qwen2)
    batch = rollout()
    ones = batch.mask.double()
    batch = batch.with_columns({"advantage": ones, "sampler_logp": policy.score(batch)})
    value = critic.value(batch)
    policy.update(batch, named("ppo", max_completion_length=8).objective, lr=1e-2)
    assert torch.equal(critic.value(batch), value) == (kind != "trunk")


@every_critic
def test_saved_and_loaded_it_goes_on_to_the_same_bits(make_qwen2, kind, tmp_path):
    batch = taught(rollout())
    for_policy = batch.with_columns({"advantage": batch.mask.double(), "sampler_logp": -batch.mask.double()})
    objective = named("ppo", max_completion_length=8).objective
    if kind == "trunk":
        objective = with_value(objective, coef=0.5)

    def step(policy, critic):
        critic.update(batch, lr=1e-2)
        policy.update(for_policy, objective, lr=1e-2)

    def single(seed=0):  # saved models are in single precision
        made = make_qwen2(seed)
        made.double = made.float
        return made

    policy, critic = MAKERS[kind](single)
    step(policy, critic)
    for part in (policy, critic):
        part.save(tmp_path)
    step(policy, critic)
    again, its_critic = MAKERS[kind](single)
    for part in (again, its_critic):
        part.load(tmp_path)
    step(again, its_critic)
    assert torch.equal(its_critic.value(batch), critic.value(batch))
    assert torch.equal(again.score(batch), policy.score(batch))


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_a_trunks_head_warms_up_at_the_critics_own_rate(make_qwen2, scale):
    """AdamW's first step is its learning rate, in each number: with the policy it is `lr` times the scale, alone it is what was asked."""
    batch = rollout().with_columns({"returns": torch.ones(15).double(), "value": torch.zeros(15).double()})
    policy = policy_of(make_qwen2(), head=ValueHead(DRAWN, lr_scale=scale))
    before = policy.trainable[VALUE_HEAD].detach().clone()
    TrunkValue(policy).update(batch, lr=1e-2, alone=True)
    moved = (policy.trainable[VALUE_HEAD].detach() - before).abs()
    torch.testing.assert_close(moved, torch.full_like(moved, 1e-2), rtol=1e-3, atol=0)


def test_the_policys_saved_adapter_is_without_the_critics(make_qwen2, tmp_path):
    policy, _ = adapter(make_qwen2)
    policy.save_model(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["README.md", "adapter_config.json", "adapter_model.safetensors"]


def test_an_adapter_critic_holds_one_set_of_weights(make_qwen2):
    policy, critic = adapter(make_qwen2)
    assert critic.learner.model is policy.model
    assert not {id(p) for p in policy.trainable.values()} & {id(p) for p in critic.learner.trainable.values()}


def test_what_cannot_be_is_refused(make_qwen2, tmp_path):
    bare: Any = policy_of(make_qwen2())
    with pytest.raises(ValueError, match="needs a policy with a value head"):
        TrunkValue(bare)
    with pytest.raises(ValueError, match="needs a value head"):
        ModelValue(bare)
    with pytest.raises(ValueError, match="a full policy has none"):
        AdapterValue(bare)
    with pytest.raises(ValueError, match="no value head"):
        bare.look(rollout(), ("value",))
    _, critic = model(make_qwen2)
    with pytest.raises(ValueError, match=r"critic\.pt is missing"):
        critic.load(tmp_path)
    policy_of(make_qwen2()).save(tmp_path)
    with pytest.raises(ValueError, match="no value head"):
        trunk(make_qwen2)[0].load(tmp_path)
