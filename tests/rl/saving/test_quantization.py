"""A base in 4 bits under an adapter: what it is, that an engine of ours samples from it, and that it goes on to the same numbers."""

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from rl.learning.adapters import Lora
from rl.learning.policy import Policy
from rl.measuring.planned_step import BareLearner
from rl.objectives.supervised import sft
from rl.saving.quantization import narrow_bytes, quantizable
from rollout.engine import Sampling
from rollout.engines.hf_engine import HFEngine
from rollout.modules.merged_adapter import merged
from tests.rl.rollouts import assert_same, randomise_adapter
from tests.rl.saving.test_savings import batch_of
from verifiers.input_error import InputError

bitsandbytes = pytest.importorskip("bitsandbytes")
SHAPE = LlamaConfig(vocab_size=64, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2, attention_bias=True)


def model():
    torch.manual_seed(0)
    return LlamaForCausalLM(SHAPE)


def policy(quantization="nf4", **settings):
    base = model()
    torch.manual_seed(1)
    return Policy(base, lora=Lora(rank=4, alpha=8.0, quantization=quantization, **settings.pop("kind", {})), device="cpu", **settings)


def packed(learner):
    return {name: each for name, each in learner.model.named_modules() if isinstance(each, bitsandbytes.nn.Linear4bit)}


def test_every_linear_layer_but_the_head_is_the_nearest_of_sixteen_values():
    own, found = policy(), {}
    for name, layer in packed(own).items():
        found[name] = bitsandbytes.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)
        assert layer.weight.quant_state.nested
        assert layer.weight.quant_state.quant_type == "nf4"
    assert len(found) == 14
    for name, weight in found.items():
        plain = model().get_submodule(name.removeprefix("base_model.model.").removesuffix(".base_layer")).weight
        assert 0 < (weight - plain).norm() / plain.norm() < 0.11
    head = own.model.get_output_embeddings()
    assert type(head) is not bitsandbytes.nn.Linear4bit
    assert head.weight.dtype == torch.float32


@pytest.mark.parametrize("layout", ["auto", "shared", "packed", "padded"])
def test_gradients_are_those_of_a_base_that_holds_the_same_values(layout, one_thread):
    """The same model with what the 4 bits say written out in float32."""
    own, plain = policy(layout=layout), policy(None, layout=layout)
    assert own.layout == plain.layout
    for name, layer in packed(own).items():
        target = plain.model.get_submodule(name)
        target.weight.data = bitsandbytes.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state).float()
    for learner in (own, plain):
        randomise_adapter(learner)
    losses = [[learner.update(batch_of(), sft(), lr=1e-2).loss for _ in range(3)] for learner in (own, plain)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0][-1] < losses[0][0]


def test_what_samples_is_what_trains_before_and_after_updates(one_thread):
    own, engine = policy(), HFEngine(pad_id=0)
    randomise_adapter(own)
    with merged(own.model) as layers:
        assert layers == 0, "an adapter was put into packed weights"
    for version in range(2):
        engine.load_policy(own.weights(), own.version)
        groups = engine.generate([[1, 2, 3], [4, 5]], Sampling(12, 3, 1.0, (), seed=version))
        for prompt, group in zip(([1, 2, 3], [4, 5]), groups, strict=True):
            for completion in group:
                scored = own.score_sequences([[*prompt, *completion.tokens]])[0][len(prompt) :]
                assert completion.logprobs == pytest.approx(scored, abs=1e-4)
        before = {name: p.clone() for name, p in own.trainable.items()}
        own.update(batch_of(), sft(), lr=1e-2)
        assert all(not torch.equal(p, before[name]) for name, p in own.trainable.items()), "sampling took the gradient away"


@pytest.mark.parametrize("kind", [{}, {"dora": True}, {"rslora": True, "plus": 16.0}], ids=["plain", "dora", "others"])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_it_goes_on_from_a_checkpoint_that_holds_the_adapter_alone(kind, dtype, one_thread, tmp_path: Path):
    first, second = policy(kind=kind, dtype=dtype), policy(kind=kind, dtype=dtype)
    first.update(batch_of(), sft(), lr=1e-2)
    first.save(tmp_path)
    second.load(tmp_path)
    for learner in (first, second):
        learner.update(batch_of(), sft(), lr=1e-2)
    assert_same(second.trainable, first.trainable)
    assert not list((tmp_path / "model").glob("model*.safetensors"))


def test_checkpoints_of_activations_change_no_loss(one_thread):
    one, other = policy(), policy(gradient_checkpointing=True)
    losses = [[learner.update(batch_of(), sft(), lr=1e-2).loss for _ in range(2)] for learner in (one, other)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_a_plan_counts_the_packed_bytes():
    own = policy()
    narrow = BareLearner(SHAPE, own.lora, bf16=False)
    tensors = [*own.model.parameters(), *own.model.buffers()]
    states = [layer.weight.quant_state for layer in packed(own).values()]
    factors = sum(t.nbytes for s in states for t in (s.absmax, s.state2.absmax, s.code, s.state2.code, s.offset))
    assert narrow.weight_bytes() == pytest.approx(sum(t.nbytes for t in tensors) + factors, rel=0.001)
    assert narrow_bytes(10**9) / 1e9 == pytest.approx(0.5159, abs=1e-3)


def test_what_is_shared_or_trains_stays():
    tied = LlamaForCausalLM(LlamaConfig(**SHAPE.to_dict() | {"tie_word_embeddings": True})).requires_grad_(False)
    assert all("head" not in name for _, name, _ in quantizable(tied))
    assert not list(quantizable(model())), "a layer that trains was narrowed"
    odd = LlamaForCausalLM(LlamaConfig(**SHAPE.to_dict() | {"intermediate_size": 96})).requires_grad_(False)
    assert {name for _, name, _ in quantizable(odd)}.isdisjoint({"down_proj"})
    assert len(list(quantizable(odd))) == 12


def test_a_model_without_such_a_layer_is_one_line():
    odd = LlamaForCausalLM(LlamaConfig(**SHAPE.to_dict() | {"hidden_size": 32, "head_dim": 16, "intermediate_size": 48}))
    with pytest.raises(InputError, match="a multiple of 64 inputs"):
        Policy(odd, lora=Lora(quantization="nf4"), device="cpu")
