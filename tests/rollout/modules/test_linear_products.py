"""Linear layers by another library: the same numbers in float32, and only where they are meant."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from rl.learning.adapters import Lora
from rl.learning.learner import Learner
from rollout.modules import linear_products
from rollout.modules.linear_products import QuickLinear, product, quicken

SHAPES = [(160, 128, 3), (128, 160, 40), (512, 64, 2)]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that gains by it, whether this one does or not."""
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(linear_products, "faster", lambda: True)
    monkeypatch.setattr(linear_products, "SMALLEST_WEIGHT", 0)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_value_and_gradient_are_those_of_float64(shape: tuple[int, int, int], bias: bool, quick: None) -> None:
    out, width, rows = shape
    torch.manual_seed(0)
    layer, x, given = nn.Linear(width, out, bias=bias), torch.randn(2, rows, width, requires_grad=True), torch.randn(2, rows, out)
    found = product(x, layer.weight, layer.bias)
    assert type(found.grad_fn).__name__ == "_ProductBackward", "torch's own was asked"
    mine = [found, *torch.autograd.grad(found, [x, *layer.parameters()], given)]
    exact, wide = nn.Linear(width, out, bias=bias).double(), x.detach().double().requires_grad_()
    exact.load_state_dict(layer.state_dict())
    expected = [exact(wide), *torch.autograd.grad(exact(wide), [wide, *exact.parameters()], given.double())]
    for one, other in zip(mine, expected, strict=True):
        assert (one - other).norm() < 1e-6 * other.norm()


def test_an_input_is_kept_only_for_a_weight_that_trains(quick: None) -> None:
    layer, x = nn.Linear(64, 32, bias=False).requires_grad_(False), torch.randn(4, 64, requires_grad=True)
    kept: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        product(x, layer.weight)
        assert [tensor.shape for tensor in kept] == [layer.weight.shape]
        layer.weight.requires_grad_()
        product(x, layer.weight)
    assert sorted(map(tuple, (tensor.shape for tensor in kept[1:]))) == [(4, 64), (32, 64)]


@pytest.mark.parametrize("why", ["float64", "autocast", "one row", "switched off"])
def test_it_is_torchs_own_elsewhere(why: str, quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("the other library was asked")

    monkeypatch.setattr(linear_products, "_by_onednn", refuse)
    dtype = torch.float64 if why == "float64" else torch.float32
    layer, x = nn.Linear(64, 32).to(dtype), torch.randn(1 if why == "one row" else 4, 64, dtype=dtype)
    if why == "switched off":
        monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    with torch.autocast("cpu", torch.bfloat16, enabled=why == "autocast"):
        assert torch.equal(product(x, layer.weight, layer.bias), layer(x))
    if why == "one row":
        with pytest.raises(AssertionError, match="other library"):
            product(torch.randn(4, 64), layer.weight)


def test_a_model_keeps_its_parameters_and_names(quick: None, make_llama: Callable[..., Any]) -> None:
    model = make_llama()
    before, tokens = dict(model.named_parameters()), torch.tensor([[3, 4, 5, 6]])
    with torch.no_grad():
        expected = model(tokens).logits
    quicken(model)
    assert sum(isinstance(module, QuickLinear) for module in model.modules()) == 2 * 7 + 1
    assert all(before[name] is p for name, p in model.named_parameters())
    assert list(model.state_dict()) == list(make_llama().state_dict())
    with torch.no_grad():
        torch.testing.assert_close(model(tokens).logits, expected, atol=1e-4, rtol=1e-4)


def test_a_learner_is_made_quick_under_its_adapter(quick: None, make_llama: Callable[..., Any]) -> None:
    learner = Learner(make_llama(), lora=Lora(rank=2, alpha=4.0), device="cpu")
    layer = learner.model.get_base_model().model.layers[0].self_attn.q_proj
    assert type(layer.get_base_layer()) is QuickLinear


def test_a_layer_of_another_kind_stays_what_it_is(quick: None) -> None:
    class Own(nn.Linear): ...

    model = nn.ModuleList([nn.Linear(8, 8), Own(8, 8)])
    quicken(model)
    assert [type(module) for module in model] == [QuickLinear, Own]


def test_a_machine_that_gains_nothing_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_products, "_processor", lambda: "vendor_id: GenuineIntel")
    linear_products.faster.cache_clear()
    model = nn.ModuleList([nn.Linear(256, 256)])
    quicken(model)
    assert type(model[0]) is nn.Linear
    linear_products.faster.cache_clear()
