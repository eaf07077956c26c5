"""Parts of a layer that make and keep fewer tensors than as their libraries write them: an adapter's layer, and a gated MLP.

peft computes W x + s B A x in five steps, each of which makes a tensor as wide as the layer's output; here the adapter's product is added
where the base's lies. A gated MLP keeps four tensors of its inner width for the backward pass: gate, its activation, up, and their product;
here gate and up are kept and the other two, which are cheap, are made again. On a CPU such tensors cost a narrow model about as much time
as its products, and the C library keeps their memory.

The numbers differ from the libraries' by rounding. Only what is plain is taken (`nn.Linear`, under at most one active LoRA without dropout
or variant, without hooks, one dtype, on a CPU, without autocast); all else goes on as it does. Models that train whole are left as they
are: what they would gain has not been measured.
"""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from rollout.modules.linear_products import QuickLinear, product

GATED = "self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))"
"""What the forward pass of an MLP says that can be fused: that of Llama, Mistral, Qwen2, Qwen3, Gemma and others."""
_ACTIVATIONS = {"SiLU": "silu", "SiLUActivation": "silu", "GELUTanh": "gelu_tanh"}


def fuse(model: nn.Module) -> None:
    """Every layer of peft's and every gated MLP of a model with an adapter becomes a fused one; parameters and their names stay."""
    from peft.tuners.lora.layer import Linear

    modules = list(model.modules())
    adapted = [module for module in modules if type(module) is Linear]
    for module in adapted:
        module.__class__ = _fused_class(Linear, _adapted_forward)
    for module in modules if adapted else ():
        if _is_gated(type(module)) and type(module.act_fn).__name__ in _ACTIVATIONS:
            module.__class__ = _fused_class(type(module), _gated_forward)


@cache
def _fused_class(kind: type, forward: Callable[[type], Callable[..., Tensor]]) -> type:
    return type(f"Fused{kind.__name__}", (kind,), {"forward": forward(kind), "fused": True})


@cache
def _is_gated(kind: type) -> bool:
    if not kind.__module__.startswith("transformers.") or not kind.__name__.endswith("MLP"):
        return False
    try:
        return GATED in inspect.getsource(kind.forward)  # type: ignore[attr-defined]
    except OSError:
        return False


def _adapted_forward(kind: type) -> Callable[..., Tensor]:
    def forward(self: Any, x: Tensor, *args: Any, **settings: Any) -> Tensor:
        parts = _parts(self, x) if not (args or settings) else None
        if parts is None or parts.a is None:
            plain: Tensor = kind.forward(self, x, *args, **settings)  # type: ignore[attr-defined]
            return plain
        found: Tensor = _Adapted.apply(x, *parts)  # type: ignore[no-untyped-call]
        return found

    return forward


def _gated_forward(kind: type) -> Callable[..., Tensor]:
    def forward(self: Any, x: Tensor) -> Tensor:
        down = self.down_proj
        parts = None if down._forward_hooks or down._forward_pre_hooks else _parts(down, x)
        if parts is None:
            plain: Tensor = kind.forward(self, x)  # type: ignore[attr-defined]
            return plain
        rule = _ACTIVATIONS[type(self.act_fn).__name__]
        found: Tensor = _GatedDown.apply(self.gate_proj(x), self.up_proj(x), rule, *parts)  # type: ignore[no-untyped-call]
        return found

    return forward


class _Parts(NamedTuple):
    """Of a linear layer; without an adapter the last three count as nothing."""

    weight: Tensor
    bias: Tensor | None
    a: Tensor | None = None
    b: Tensor | None = None
    scale: float = 0.0


def _parts(layer: Any, x: Tensor) -> _Parts | None:
    """None: it is more than these."""
    found = _Parts(layer.weight, layer.bias) if type(layer) in (nn.Linear, QuickLinear) else _adapted_parts(layer)
    if found is None or torch.is_autocast_enabled("cpu"):
        return None
    tensors = [each for each in found[:4] if isinstance(each, Tensor)]
    if any(hasattr(each, "device_mesh") for each in tensors):  # cut over processes
        return None
    return found if all(each.dtype == x.dtype and each.device.type == x.device.type == "cpu" for each in tensors) else None


def _adapted_parts(layer: Any) -> _Parts | None:
    if not hasattr(layer, "lora_A"):
        return None
    base, active = layer.get_base_layer(), layer.active_adapters
    if type(base) not in (nn.Linear, QuickLinear) or (layer.merged and layer.disable_adapters):
        return None
    if layer.merged or layer.disable_adapters:
        return _Parts(base.weight, base.bias)
    name = active[0] if len(active) == 1 else None
    if name not in layer.lora_A or name in layer.lora_variant or not isinstance(layer.lora_dropout[name], nn.Identity):
        return None
    a, b = layer.lora_A[name], layer.lora_B[name]
    if a.bias is not None or b.bias is not None:
        return None
    return _Parts(base.weight, base.bias, a.weight, b.weight, float(layer.scaling[name]))


# --- the passes ----------------------------------------------------------------------------------------------------------


class _Adapted(torch.autograd.Function):
    """x W^T + bias + s (x A^T) B^T."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *parts: Any) -> Tensor:
        ctx.scale = parts[-1]
        found, low = _layer(x, _Parts(*parts))
        ctx.save_for_backward(x, low, *parts[:-1])
        return found

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, low, *tensors = ctx.saved_tensors
        return _gradients(gradient, x, low, _Parts(*tensors, ctx.scale), ctx.needs_input_grad)


class _GatedDown(torch.autograd.Function):
    """A linear layer of act(gate) * up."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor, rule: str, *parts: Any) -> Tensor:
        ctx.rule, ctx.scale = rule, parts[-1]
        found, low = _layer(_activated(gate, rule).mul_(up), _Parts(*parts))
        ctx.save_for_backward(gate, up, low, *parts[:-1])
        return found

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        gate, up, low, *tensors = ctx.saved_tensors
        active = _activated(gate, ctx.rule)
        needed = ctx.needs_input_grad
        inner, *rest = _gradients(gradient, active * up, low, _Parts(*tensors, ctx.scale), (needed[0] or needed[1], *needed[3:]))
        if inner is None:
            return (None, None, None, *rest)
        of_up = active.mul_(inner)
        return (_activation_gradient(inner.mul_(up), gate, ctx.rule), of_up, None, *rest)


def _layer(x: Tensor, parts: _Parts) -> tuple[Tensor, Tensor | None]:
    """What it gives, and [N r], what A gives."""
    found = product(x, parts.weight, parts.bias)
    if parts.a is None or parts.b is None:
        return found, None
    low = product(x, parts.a).flatten(0, -2)
    found.view(-1, found.shape[-1]).addmm_(low, parts.b.t(), alpha=parts.scale)
    return found, low


def _gradients(gradient: Tensor, x: Tensor, low: Tensor | None, parts: _Parts, needed: Any) -> tuple[Tensor | None, ...]:
    """Of the input, and of each part; `needed` says of which."""
    of_x, of_weight, of_bias, of_a, of_b, *_ = needed
    rows, inputs = gradient.flatten(0, -2), x.flatten(0, -2)
    back = product(gradient, parts.weight.t()) if of_x else None
    found = [product(rows.t(), inputs.t()) if of_weight else None, rows.sum(0) if of_bias else None]
    if parts.a is None or parts.b is None or low is None:
        return (back, *found, None, None, None)
    of_low = (rows @ parts.b).mul_(parts.scale)
    if back is not None:
        back.view(-1, back.shape[-1]).addmm_(of_low, parts.a)
    return (back, *found, of_low.t() @ inputs if of_a else None, (rows.t() @ low).mul_(parts.scale) if of_b else None, None)


def _activated(gate: Tensor, rule: str) -> Tensor:
    return nn.functional.silu(gate) if rule == "silu" else nn.functional.gelu(gate, approximate="tanh")


def _activation_gradient(gradient: Tensor, gate: Tensor, rule: str) -> Tensor:
    operators: Any = torch.ops.aten
    if rule == "silu":
        found: Tensor = operators.silu_backward(gradient, gate)
    else:
        found = operators.gelu_backward(gradient, gate, approximate="tanh")
    return found
