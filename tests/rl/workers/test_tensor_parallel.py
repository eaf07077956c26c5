"""Ranks that compute a layer together are one process: full and with an adapter, alone and where FSDP cuts their parts further."""

import pytest
import torch
from torch import distributed

from rl.learning.policy import Policy
from rl.learning.reference import MovingAverage
from rl.workers.sharded_learner import ShardedPolicy
from rl.workers.tensor_parallel import cut_layers
from tests.rl.workers.ranks import on_ranks
from tests.rl.workers.test_sharded_learner import (
    assert_close,
    assert_same_course,
    checkpoint_of,
    going_on,
    learn,
    make_policy,
)
from verifiers.input_error import InputError

SETTINGS = [
    ("llama in float64", False, "grpo", {"layout": "shared"}),
    ("qwen2", True, "grpo", {"layout": "packed", "gradient_checkpointing": True}),
    ("qwen3 in float64", False, "sft", {}),
    ("qwen3", True, "sft", {}),
    ("phi3", True, "sft", {}),
]


def on_one_rank(kind, lora, case, settings):
    policy = make_policy(kind, lora, ShardedPolicy, tensor_parallel=2, **settings)
    found = learn(policy, case)
    held = sum(p.to_local().numel() for p in policy.model.parameters())
    return *found, policy.whole(policy.trainable), held, policy.score_sequences([[3, 4, 5]])


QUICK = SETTINGS[1:3]


def all_on_one_rank(place):
    return [on_one_rank(*each) for each in SETTINGS], write_and_read(place)


def quick_on_one_rank():
    return [on_one_rank(*each) for each in QUICK], refusals()


def write_and_read(place):
    """A checkpoint of these ranks, and what they make of one that a single process wrote."""
    found = checkpoint_of(*with_average("qwen3", ShardedPolicy, tensor_parallel=2), place / f"of_{distributed.get_world_size()}")
    return found, going_on(*with_average("qwen3", ShardedPolicy, tensor_parallel=2), place / "of_one")


def with_average(kind, made, **settings):
    policy = make_policy(kind, False, made, **settings)
    return policy, "grpo", MovingAverage(policy, decay=0.5)


def refusals():
    from torch.distributed.device_mesh import init_device_mesh
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    mesh = init_device_mesh("cpu", (distributed.get_world_size(),))
    sizes = {"vocab_size": 24, "hidden_size": 30, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 3}
    models = [
        LlamaForCausalLM(LlamaConfig(**sizes, num_key_value_heads=3)),
        GPT2LMHeadModel(GPT2Config(vocab_size=24, n_embd=32, n_layer=1, n_head=4)),
    ]
    said = []
    for model in models:
        try:
            cut_layers(model, mesh)
        except InputError as error:
            said.append(str(error))
    return said


@pytest.fixture(scope="module")
def place(tmp_path_factory, one_thread):
    """(where checkpoints are, what one process did after writing its own there)."""
    place = tmp_path_factory.mktemp("checkpoints")
    return place, checkpoint_of(*with_average("qwen3", Policy), place / "of_one")


def assert_as_one_process(ranks, tried):
    for kind, lora, case, settings, *found in ((*setting, *(rank[0][number] for rank in ranks)) for number, setting in enumerate(tried)):
        alone = make_policy(kind, lora, **settings)
        said, scores, measured = learn(alone, case)
        total = sum(p.numel() for p in alone.model.parameters())
        for of_rank in found:
            for mine, theirs in zip(of_rank[0], said, strict=True):
                assert_close(mine, theirs)
            torch.testing.assert_close(of_rank[1], scores, atol=1e-5, rtol=1e-5)
            assert_close(of_rank[2], measured)
            uncut = 0.2 if kind == "phi3" else 0.1  # norms, and half of an adapter or all of it
            assert of_rank[4] == pytest.approx(total / len(ranks), rel=uncut)
            assert of_rank[5][0] == pytest.approx(alone.score_sequences([[3, 4, 5]])[0], rel=1e-5, abs=1e-5)
        weights = found[0][3]
        assert weights.keys() == alone.trainable.keys()
        for name, parameter in alone.trainable.items():
            bound = 1e-9 if parameter.dtype == torch.float64 else 3e-5  # AdamW scales up what is rounding of a gradient of nearly 0
            torch.testing.assert_close(weights[name], parameter.detach(), atol=bound, rtol=bound)


def assert_same_files(ranks, place, expected):
    for written, of_one in (rank[1] for rank in ranks):
        assert_same_course(written, expected)
        assert of_one[0] == 2
        assert_same_course(of_one, expected)
    assert_same_course(going_on(*with_average("qwen3", Policy), place / f"of_{len(ranks)}"), expected)


def test_two_ranks_that_share_layers_are_one_process(one_thread):
    ranks = on_ranks(2, quick_on_one_rank)
    assert_as_one_process(ranks, QUICK)
    assert ranks[0][1] == [
        "--tensor-parallel 2: the model has 3 attention heads, which 2 does not divide; use a divisor",
        "--tensor-parallel: GPT2LMHeadModel has no plan in transformers for cutting its layers; leave it out",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_so_are_four_of_whom_two_each_share_layers_for_every_model_and_file(place, count):
    ranks = on_ranks(count, all_on_one_rank, place[0])
    assert_as_one_process(ranks, SETTINGS)
    assert_same_files(ranks, *place)
