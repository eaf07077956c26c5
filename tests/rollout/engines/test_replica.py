"""A policy sent to another process and followed there: the same log-probabilities, and only what trains travels again."""

import pickle

import pytest
import torch

from rl.learning.adapters import Lora
from rl.learning.policy import Policy
from rollout.engines.hf_engine import HFEngine
from rollout.engines.replica import Parcel, Replica, pack

SEQUENCES = [[3, 4, 5, 6, 7], [9, 8, 7]]
KINDS = {"full": {}, "lora": {"lora": Lora(rank=4, alpha=8.0)}, "bf16 lora": {"lora": Lora(rank=4, alpha=8.0), "dtype": "bf16"}}


def make(request, kind):
    name = "make_llama" if kind == "full" else "make_qwen2"
    return Policy(request.getfixturevalue(name)(), device="cpu", **KINDS[kind])


def scores(weights):
    engine = HFEngine(pad_id=0)
    engine.load_policy(weights, 0)
    return engine.score(SEQUENCES)


def change(policy, seed):
    generator = torch.Generator().manual_seed(seed)
    for parameter in policy.trainable.values():
        parameter.data.add_(0.2 * torch.randn(parameter.shape, generator=generator).to(parameter.dtype))


@pytest.mark.parametrize("kind", KINDS)
def test_a_replica_follows_the_policy(request, kind):
    policy, replica = make(request, kind), Replica("cpu")
    change(policy, 1)
    weights = replica.load(pickle.loads(pickle.dumps(pack(policy.weights()))))  # noqa: S301  # our own bytes
    assert scores(weights) == scores(policy.weights())
    before = scores(policy.weights())
    change(policy, 2)
    assert scores(policy.weights()) != before
    assert scores(weights) == before  # a copy, not a view
    assert scores(replica.load(pack(policy.weights(), changes=True))) == scores(policy.weights())


def test_tied_tensors_travel_once_and_stay_tied(make_qwen2):
    policy, replica = Policy(make_qwen2(), device="cpu"), Replica("cpu")
    parcel = pack(policy.weights())
    assert not any("lm_head" in name for name in parcel.tensors)
    module = replica.load(parcel).module
    assert module.lm_head.weight is module.model.embed_tokens.weight


def test_an_adapter_alone_is_a_small_parcel(make_qwen2):
    policy = Policy(make_qwen2(), device="cpu", lora=Lora(rank=2, alpha=4.0))
    whole, changes = pack(policy.weights()), pack(policy.weights(), changes=True)
    assert changes.tensors.keys() == policy.trainable.keys()
    assert changes.bytes == sum(4 * p.numel() for p in policy.trainable.values()) < whole.bytes


def test_a_parcel_of_another_policy_is_refused(make_qwen2, make_llama):
    replica = Replica("cpu")
    with pytest.raises(ValueError, match="only changes"):
        replica.load(pack(Policy(make_qwen2(), device="cpu").weights(), changes=True))
    replica.load(pack(Policy(make_qwen2(), device="cpu").weights()))
    with pytest.raises(ValueError, match="another policy"):
        replica.load(pack(Policy(make_llama(), device="cpu").weights()))
    whole = pack(Policy(make_qwen2(), device="cpu").weights())
    del whole.tensors["model.norm.weight"]
    with pytest.raises(ValueError, match=r"lacks \['model.norm.weight'\]"):
        replica.load(whole)
    with pytest.raises(ValueError, match=r"is \(3,\) in the parcel"):
        replica.load(Parcel({"model.norm.weight": torch.ones(3)}, None))
