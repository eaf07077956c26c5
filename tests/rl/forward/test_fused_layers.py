"""Fused layers: peft's and transformers' own numbers and gradients in float64, fewer tensors kept, and only where all is plain."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from transformers import GemmaConfig, GemmaForCausalLM, GPT2Config, GPT2LMHeadModel

from rl.forward import fused_layers
from rl.forward.fused_layers import fuse
from rl.learning.adapters import Lora, with_adapter

TOKENS = torch.tensor([[3, 4, 5, 6, 7], [9, 8, 7, 6, 5]])
LORA = Lora(rank=4, alpha=8.0)


def gemma() -> Any:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
    return GemmaForCausalLM(GemmaConfig(vocab_size=24, head_dim=16, **sizes))


def with_gradients(model: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    logits = model(TOKENS).logits
    logits.sin().sum().backward()
    return logits.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("targets", ["all-linear", ("q_proj", "up_proj")])
@pytest.mark.parametrize("kind", ["llama", "qwen2", "gemma"])
def test_numbers_and_gradients_are_the_libraries_own(
    kind: str, targets: Any, make_llama: Callable[..., Any], make_qwen2: Callable[..., Any]
) -> None:
    """With an adapter on the last layer of an MLP, and without; biases and the rest of the model train too."""
    model = with_adapter({"llama": make_llama, "qwen2": make_qwen2, "gemma": gemma}[kind]().double(), Lora(4, 8.0, targets))
    for name, p in model.named_parameters():
        p.requires_grad_()
        if "lora_B" in name:
            p.data.normal_(std=0.1)
    names = [name for name, _ in model.named_parameters()]
    expected, gradients = with_gradients(model)
    fuse(model)
    assert sum(hasattr(module, "fused") for module in model.modules()) == (2 * 8 if targets == "all-linear" else 2 * 3)
    assert [name for name, _ in model.named_parameters()] == names
    found, own = with_gradients(model)
    assert (found - expected).norm() < 1e-12 * expected.norm()
    assert own.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert (own[name] - gradient).norm() <= 1e-10 * gradient.norm(), name


def test_fewer_tensors_are_kept_for_the_backward_pass(make_llama: Callable[..., Any]) -> None:
    def kept(model: Any) -> int:
        sizes: dict[int, int] = {}

        def note(tensor: torch.Tensor) -> torch.Tensor:
            if not isinstance(tensor, nn.Parameter):
                sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            model(TOKENS).logits.sum()
        return sum(sizes.values())

    model = with_adapter(make_llama(), LORA)
    before, inner = kept(model), model.config.intermediate_size
    fuse(model)
    saved = before - kept(model)
    assert saved >= 2 * 2 * TOKENS.numel() * inner * 4, "the activation and the product, in each of two layers"


def test_another_adapter_none_and_a_merged_one(make_llama: Callable[..., Any]) -> None:
    """What is active is asked at each pass."""
    plain, model = make_llama(), with_adapter(make_llama(), LORA)
    model.add_adapter("other", model.peft_config["default"])
    fuse(model)
    for name, p in model.named_parameters():
        if "lora_B.other" in name:
            p.data.normal_(std=0.1)
    with torch.no_grad():
        base = plain(TOKENS).logits
        assert torch.allclose(model(TOKENS).logits, base, atol=1e-5), "B is zero"
        model.set_adapter("other")
        other = model(TOKENS).logits
        assert not torch.allclose(other, base, atol=1e-3)
        with model.disable_adapter():
            assert torch.allclose(model(TOKENS).logits, base, atol=1e-5)
        model.merge_adapter(["other"])
        assert torch.allclose(model(TOKENS).logits, other, atol=1e-4)


@pytest.mark.parametrize("why", ["autocast", "hook", "dora", "another MLP"])
def test_what_is_not_plain_goes_on_as_it_does(why: str, make_llama: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=24, n_embd=32, n_layer=1, n_head=2)) if why == "another MLP" else make_llama()
    if why == "dora":
        model = with_adapter(model, Lora(rank=4, dora=True, target_modules=("q_proj", "down_proj")))
    elif why != "another MLP":
        model = with_adapter(model, Lora(rank=4, target_modules=("down_proj",)))
    if why == "hook":
        for layer in model.base_model.model.model.layers:
            layer.mlp.down_proj.register_forward_hook(lambda module, inputs, output: 2 * output)
    with torch.autocast("cpu", torch.bfloat16, enabled=why == "autocast"):
        expected = model.eval()(TOKENS).logits
        fuse(model)
        for name in ("_GatedDown",) if why == "hook" else ("_Adapted", "_GatedDown"):
            monkeypatch.setattr(fused_layers, name, None)  # to call it would fail
        assert torch.equal(model(TOKENS).logits, expected)


def test_a_learner_trains_through_them(make_qwen2: Callable[..., Any]) -> None:
    """All parameters and an adapter; what `all-but-products` keeps must not be added to."""
    from rl.learning.learner import Learner
    from rl.saving.savings import Savings

    def fused(**settings: Any) -> int:
        learner = Learner(make_qwen2(), device="cpu", **settings)
        return sum(hasattr(module, "fused") for module in learner.model.modules())

    assert fused() == 0, "what trains whole is left as it is"
    assert fused(lora=LORA) == 2 * 8
    assert fused(lora=LORA, gradient_checkpointing=True, savings=Savings(recompute="all-but-products")) == 0
