"""Linear layers by oneDNN where the library that torch calls runs at half speed.

torch hands float32 products to MKL, which takes its AVX2 kernels on processors that are not Intel's, AVX-512 or not: 105 GFLOP/s a core
on a Zen 5 where oneDNN, which torch ships too, does 245. Both are plain float32: they differ by rounding. Who uses which is a fact of
the machine and of a layer's shape, never of a measurement, so that a run repeats itself. Autocast, other dtypes, other devices and small
layers are torch's as before. Not covered: batched products (attention), and layers that are not a plain `nn.Linear`.
"""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

SMALLEST_WEIGHT = 2**14
"""Elements. Below, a call costs more than the product."""
FEWEST_ROWS = 2


def quicken(model: nn.Module) -> None:
    """Every plain linear layer of a size that pays becomes a `QuickLinear`, where this machine gains by it; parameters stay."""
    if not faster():
        return
    for module in model.modules():
        if type(module) is nn.Linear and module.weight.numel() >= SMALLEST_WEIGHT:
            module.__class__ = QuickLinear


class QuickLinear(nn.Linear):
    """`nn.Linear` by another library where it is the faster one."""

    def forward(self, input: Float[Tensor, "... I"]) -> Float[Tensor, "... O"]:  # noqa: A002  # nn.Linear's name for it
        return product(input, self.weight, self.bias)


def product(x: Float[Tensor, "... I"], weight: Float[Tensor, "O I"], bias: Float[Tensor, " O"] | None = None) -> Float[Tensor, "... O"]:
    """x W^T + b, with gradient."""
    if not _applies(x, weight):
        return nn.functional.linear(x, weight, bias)
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)):
        found: Tensor = _Product.apply(x, weight, bias)  # type: ignore[no-untyped-call]
        return found
    return _by_onednn(x, weight, bias)


@cache
def faster() -> bool:
    """Whether oneDNN's float32 products are the faster ones here: AVX-512 on a processor that MKL does not know as its own."""
    if not (torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()):
        return False
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or "AuthenticAMD" not in _processor():
        return False
    return _agrees()


def _processor() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")[:4096]
    except OSError:
        return ""


def _agrees() -> bool:
    """Whether the operator, which torch's compiler calls and no page describes, is there and does what is thought of it."""
    x, weight = (torch.linspace(-1, 1, rows * 48).reshape(rows, 48).sin() for rows in (5, 32))
    try:
        found = _by_onednn(x, weight, None), _by_onednn(x[:, :32], weight.t(), weight[0, :48])
    except (RuntimeError, AttributeError, TypeError):
        return False
    expected = x @ weight.t(), x[:, :32] @ weight + weight[0, :48]
    return all(torch.allclose(one, other, atol=1e-5) for one, other in zip(found, expected, strict=True))


def _applies(x: Tensor, weight: Tensor) -> bool:
    return (
        x.dtype == weight.dtype == torch.float32
        and x.device.type == weight.device.type == "cpu"
        and weight.numel() >= SMALLEST_WEIGHT
        and x.numel() >= FEWEST_ROWS * x.shape[-1]
        and torch.backends.mkldnn.enabled
        and not torch.is_autocast_enabled("cpu")
        and faster()
    )


def _by_onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    operator: Any = torch.ops.mkldnn
    found: Tensor = operator._linear_pointwise(x, weight, bias, "none", [], "")
    return found


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        # as torch's own, the input is kept only for a weight that trains
        ctx.save_for_backward(x if weight.requires_grad else None, weight)
        return _by_onednn(x, weight, bias)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        rows = gradient.flatten(0, -2)
        return (
            _by_onednn(gradient, weight.t(), None) if of_x else None,
            _by_onednn(rows.t(), x.flatten(0, -2).t(), None) if of_weight else None,
            rows.sum(0) if of_bias else None,
        )
