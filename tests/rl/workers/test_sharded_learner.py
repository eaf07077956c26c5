"""A learner of two processes is the learner of one: the same numbers, half of the memory, and the same files."""

from dataclasses import asdict

import pytest
import torch
from torch import distributed

from rl.learning.adapters import Lora
from rl.learning.learner import Diverged
from rl.learning.policy import Policy
from rl.learning.reference import AdapterOff, MovingAverage
from rl.loop.group_batch import batch_of_groups, signal_of
from rl.loop.token_record import with_places
from rl.objectives.batch import lay_out
from rl.objectives.policy_gradient import KL
from rl.objectives.preferences import dpo
from rl.objectives.supervised import sft
from rl.workers.sharded_learner import ShardedPolicy
from rollout.interruption import Interrupted
from tests.rl.rollouts import algorithm, make_groups
from tests.rl.workers.ranks import on_ranks

STEPS = 3


def make_model(kind, seed=0):
    from transformers import (
        LlamaConfig,
        LlamaForCausalLM,
        Phi3Config,
        Phi3ForCausalLM,
        Qwen2Config,
        Qwen2ForCausalLM,
        Qwen3Config,
        Qwen3ForCausalLM,
    )

    sizes = {
        "vocab_size": 24, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 128, "initializer_range": 0.3, "bos_token_id": None, "eos_token_id": 1,
        "pad_token_id": 0,
    }  # fmt: skip
    torch.manual_seed(seed)
    if kind.endswith(" in float64"):
        return make_model(kind.removesuffix(" in float64"), seed).double()
    if kind == "llama":
        return LlamaForCausalLM(LlamaConfig(**sizes, tie_word_embeddings=False))
    if kind == "phi3":
        return Phi3ForCausalLM(Phi3Config(**sizes, tie_word_embeddings=False))
    if kind == "qwen3":
        return Qwen3ForCausalLM(Qwen3Config(**sizes, tie_word_embeddings=True, head_dim=16))
    return Qwen2ForCausalLM(Qwen2Config(**sizes, tie_word_embeddings=True))


def make_policy(kind, lora, made=Policy, **settings):
    model = make_model(kind)
    return made(model, lora=Lora(rank=4) if lora else None, device="cpu", tokens_per_micro_batch=30, **settings)


def sequences(count=10):
    generator = torch.Generator().manual_seed(3)
    lengths = torch.randint(3, 12, (count,), generator=generator).tolist()
    return [torch.randint(2, 24, (length,), generator=generator).tolist() for length in lengths]


def grpo_step():
    chosen = algorithm("grpo", kl=KL(0.1), entropy_coef=0.01)
    groups = make_groups([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0], [1.0, None, 0.0]])
    batch = batch_of_groups(groups, temperature=1.3)
    return batch.with_columns(chosen.credit(signal_of(groups, batch))), chosen.objective


def written_step(objective):
    rows = sequences()
    return lay_out(rows, [[place > 1 for place in range(len(row))] for row in rows], [2] * len(rows)), objective


CASES = {"grpo": grpo_step, "sft": lambda: written_step(sft()), "dpo": lambda: written_step(dpo(beta=0.5))}


def learn(policy, case, reference=None, steps=STEPS):
    """What some updates say, and what the policy then says of a batch."""
    batch, objective = CASES[case]()
    batch = batch.with_columns({name: policy.score(batch) if reference is None else reference.score(batch) for name in objective.reads})
    said = []
    for step in range(steps):
        given = batch.with_columns({"old_logp": policy.score_as_updated(batch, objective)}) if step == 0 and case == "grpo" else batch
        said.append(told(policy.update(with_places(given), objective, lr=0.01)))
        if reference:
            reference.follow()
    return said, policy.score(batch), asdict(policy.measure(batch, objective))


def told(stats):
    """With what passes saw of each token, by its number, whichever rank it was on."""
    found = asdict(stats)
    seen = [(int(place), float(value)) for places, terms in found.pop("seen") for place, value in zip(places, terms["logp"], strict=True)]
    assert seen
    return found | {"logp": dict(seen)}


def without_adapter(policy):
    """Before anything else: what is gathered for the first time with the adapter switched off must train all the same."""
    return AdapterOff(policy).score(CASES["sft"]()[0]) if policy.lora else torch.zeros(1)


def bytes_of(tensors):
    """Of this rank's own memory: two parts of one piece count it once."""
    storages = {local.untyped_storage().data_ptr(): local.untyped_storage().nbytes() for local in (t.to_local() for t in tensors)}
    return sum(storages.values())


def on_one_rank(kind, lora, case, settings):
    policy = make_policy(kind, lora, ShardedPolicy, **settings)
    base = without_adapter(policy)
    reference = MovingAverage(policy, decay=0.5) if settings else None
    found = learn(policy, case, reference)
    held = bytes_of(policy.model.parameters())
    moments = bytes_of(state[kind] for state in policy.optimizer.state.values() for kind in ("exp_avg", "exp_avg_sq"))
    whole = policy.whole(policy.trainable)
    top = policy.top(CASES["sft"]()[0], 3)
    return *found, whole, held, moments, top[0], policy.score_sequences([[3, 4, 5]]), base


def assert_close(one, other):
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            assert_close(one[name], other[name])
    else:
        assert one == pytest.approx(other, rel=1e-5, abs=1e-5, nan_ok=True)


SETTINGS = [
    ("qwen2", False, "grpo", {}),
    ("llama", True, "grpo", {"gradient_checkpointing": True, "layout": "packed"}),
    ("llama", False, "dpo", {}),
    ("qwen2", True, "sft", {}),
    ("qwen2", True, "grpo", {"gradient_checkpointing": True, "layout": "shared"}),
    ("llama", False, "grpo", {"layout": "shared"}),
]


def all_on_one_rank():
    return [on_one_rank(*each) for each in SETTINGS]


@pytest.fixture(scope="module")
def two_ranks(one_thread):
    """Of each setting, what both ranks found."""
    return list(zip(*on_ranks(2, all_on_one_rank), strict=True))


@pytest.mark.parametrize("place", range(len(SETTINGS)))
def test_two_ranks_learn_what_one_process_learns(two_ranks, place):
    assert_learnt_alike(two_ranks[place], *SETTINGS[place])


def without_ties(said):
    """Who wins is rounding where both sides of all pairs have gained nothing yet."""
    even = abs(said["measured"].get("rewards/margins", 1.0)) < 1e-4
    return said | {"measured": {name: x for name, x in said["measured"].items() if not (even and name == "rewards/accuracies")}}


def assert_learnt_alike(ranks, kind, lora, case, settings):
    alone = make_policy(kind, lora, **settings)
    assert alone.layout == settings.get("layout", "padded")
    base = without_adapter(alone)
    said, scores, measured = learn(alone, case, MovingAverage(alone, decay=0.5) if settings else None)
    for found in ranks:
        for mine, theirs in zip(found[0], said, strict=True):
            assert_close(without_ties(mine), without_ties(theirs))
        torch.testing.assert_close(found[1], scores, atol=1e-5, rtol=1e-5)
        assert_close(found[2], measured)
        assert torch.equal(found[6], alone.top(CASES["sft"]()[0], 3)[0])
        torch.testing.assert_close(found[8], base, atol=1e-5, rtol=1e-5)
        assert found[7][0] == pytest.approx(alone.score_sequences([[3, 4, 5]])[0], abs=1e-5)
    weights, nothing = ranks[0][3], ranks[1][3]
    assert weights.keys() == alone.trainable.keys()
    assert not nothing
    for name, parameter in alone.trainable.items():
        torch.testing.assert_close(
            weights[name], parameter.detach(), atol=3e-5, rtol=1e-5
        )  # steps of 0.01, where a gradient that is nearly 0 is divided by itself


@pytest.mark.parametrize("place", range(len(SETTINGS)))
def test_a_rank_holds_its_part_of_parameters_and_moments(two_ranks, place):
    assert_parts_held(two_ranks[place], *SETTINGS[place])


def assert_parts_held(ranks, kind, lora, case, settings):
    alone = make_policy(kind, lora, **settings)
    total = sum(p.numel() * p.element_size() for p in alone.model.parameters())
    trained = sum(p.numel() * p.element_size() for p in alone.trainable.values())
    for found in ranks:
        assert found[4] == pytest.approx(total / len(ranks), rel=0.05)
        assert found[5] == pytest.approx(2 * trained / len(ranks), rel=0.05)


@pytest.mark.slow
def test_four_ranks_learn_it_too_with_a_quarter_each(one_thread):
    for ranks, setting in zip(zip(*on_ranks(4, all_on_one_rank), strict=True), SETTINGS, strict=True):
        assert_learnt_alike(ranks, *setting)
        assert_parts_held(ranks, *setting)


def checkpoint_of(policy, case, reference, folder):
    """Two steps, a checkpoint, and what two more steps then say."""
    learn(policy, case, reference, steps=2)
    if policy.writes:
        folder.mkdir()
    if isinstance(policy, ShardedPolicy):
        distributed.barrier()
    policy.save(folder)
    reference.save(folder)
    return learn(policy, case, reference, steps=2)


def going_on(policy, case, reference, folder):
    policy.load(folder)
    reference.load(folder)
    return policy.version, *learn(policy, case, reference, steps=2)


def with_average(kind, lora, made):
    policy = make_policy(kind, lora, made)
    return policy, MovingAverage(policy, decay=0.5)


def write_and_read(kind, lora, place):
    """A checkpoint of these ranks, and what they make of one that a single process wrote."""
    policy, reference = with_average(kind, lora, ShardedPolicy)
    found = checkpoint_of(policy, "grpo", reference, place / "of_two")
    policy, reference = with_average(kind, lora, ShardedPolicy)
    return found, going_on(policy, "grpo", reference, place / "of_one")


def read(kind, lora, place):
    policy, reference = with_average(kind, lora, ShardedPolicy)
    return going_on(policy, "grpo", reference, place / "of_two")


def assert_same_course(mine, theirs):
    for one, other in zip(mine[-3], theirs[-3], strict=True):
        assert_close(one, other)
    torch.testing.assert_close(mine[-2], theirs[-2], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("kind", "lora"), [("qwen2", False), ("llama", True)])
def test_a_checkpoint_goes_on_with_another_number_of_ranks(kind, lora, tmp_path, one_thread):
    policy, reference = with_average(kind, lora, Policy)
    expected = checkpoint_of(policy, "grpo", reference, tmp_path / "of_one")
    for written, of_one in on_ranks(2, write_and_read, kind, lora, tmp_path):
        assert_same_course(written, expected)
        assert of_one[0] == 2
        assert_same_course(of_one, expected)
    policy, reference = with_average(kind, lora, Policy)
    assert_same_course(going_on(policy, "grpo", reference, tmp_path / "of_two"), expected)


@pytest.mark.slow
def test_a_checkpoint_of_two_ranks_goes_on_with_four(tmp_path, one_thread):
    written = on_ranks(2, write_two, "qwen2", tmp_path)[0]
    for found in on_ranks(4, read, "qwen2", False, tmp_path):
        assert_same_course(found, written)


def write_two(kind, place):
    policy, reference = with_average(kind, False, ShardedPolicy)
    return checkpoint_of(policy, "grpo", reference, place / "of_two")


def break_one_gradient():
    """A gradient that is not finite in one rank's part alone."""
    policy = make_policy("llama", False, ShardedPolicy)
    batch, objective = CASES["sft"]()
    name = "model.layers.0.mlp.up_proj.weight"
    broken = policy.trainable[name].detach().to_local()
    if policy.rank == 1:
        broken[0, 0] = torch.nan
    before = policy.version
    stats = policy.update(batch, objective, lr=0.01)
    first = (stats.skipped, policy.version - before)
    try:
        policy.update(batch, objective, lr=0.01)
        policy.update(batch, objective, lr=0.01)
    except Diverged as error:
        return first, str(error)
    return first, ""


def interrupted_by_one():
    asked = []
    policy = ShardedPolicy(make_model("llama"), device="cpu", tokens_per_micro_batch=30, asked_to_stop=lambda: bool(asked))
    batch, objective = CASES["sft"]()
    if policy.rank == 1:
        asked.append(1)
    try:
        policy.update(batch, objective, lr=0.01)
    except Interrupted:
        return policy.version
    return None


def both():
    return break_one_gradient(), interrupted_by_one()


def test_all_ranks_skip_give_up_and_stop_alike(one_thread):
    (first, second) = on_ranks(2, both)
    assert first == second
    (skipped, error), version = first
    assert skipped == (1, 0)
    assert "3 steps in a row were not finite" in error
    assert version == 0
