"""An adapter lies in the weights for as long as a block lasts, and nothing of it stays."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from rl.learning.adapters import Lora, with_adapter
from rollout.modules.merged_adapter import merged

TOKENS = torch.tensor([[3, 4, 5, 6, 7]])


def adapted(model: Any, **options: Any) -> Any:
    return drawn(with_adapter(model, Lora(rank=2, alpha=6.0, **options)))


def drawn(found: Any) -> Any:
    generator = torch.Generator().manual_seed(0)
    for name, parameter in found.named_parameters():
        if "lora_B" in name:
            parameter.data.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return found.eval()


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(TOKENS).logits
    return found


@pytest.mark.parametrize("ends", ["by itself", "by an error"])
def test_the_weights_come_back_bit_for_bit(ends: str, make_llama: Callable[..., Any]) -> None:
    model = adapted(make_llama())
    before, expected = {name: (p, p.data_ptr(), p.clone()) for name, p in model.named_parameters()}, logits(model)
    kernels: list[int] = []
    layer = model.get_base_model().model.layers[0].self_attn.q_proj
    layer.lora_A["default"].register_forward_hook(lambda *_: kernels.append(1))
    try:
        with merged(model) as count:
            torch.testing.assert_close(logits(model), expected, atol=1e-4, rtol=1e-4)
            if ends == "by an error":
                raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert (count, kernels) == (14, []), "the adapter's own products were computed"
    for name, parameter in model.named_parameters():
        own, place, value = before[name]
        assert parameter is own
        assert parameter.data_ptr() == place
        assert torch.equal(parameter, value)
    assert torch.equal(logits(model), expected)
    assert kernels == [1]


def test_an_error_half_way_leaves_no_layer_merged(make_llama: Callable[..., Any]) -> None:
    model = adapted(make_llama())
    expected, layers = logits(model), [each for each in model.modules() if hasattr(each, "get_delta_weight")]

    def fail(adapter: str) -> torch.Tensor:
        raise torch.OutOfMemoryError

    layers[5].get_delta_weight = fail
    with pytest.raises(torch.OutOfMemoryError), merged(model):
        raise AssertionError("it began")
    assert torch.equal(logits(model), expected)


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning")  # peft's
def test_what_cannot_lie_in_the_weights_goes_on_computing(make_llama: Callable[..., Any], make_qwen2: Callable[..., Any]) -> None:
    models = [
        adapted(make_llama(), dora=True),
        adapted(make_llama().to(torch.bfloat16)),
        drawn(get_peft_model(make_qwen2(), LoraConfig(r=2, target_modules=["lm_head"]))),  # its weight is the embedding's
        make_llama().eval(),
    ]
    for model in models:
        expected = logits(model)
        with merged(model) as count:
            assert count == 0
            assert torch.equal(logits(model), expected)


def test_an_adapter_that_is_switched_off_stays_off(make_llama: Callable[..., Any]) -> None:
    model = adapted(make_llama())
    with model.disable_adapter():
        expected = logits(model)
        with merged(model) as count:
            assert (count, torch.equal(logits(model), expected)) == (0, True)
