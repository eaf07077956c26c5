"""Models that are float64 all the way: transformers' RMS norms compute in float32 whatever they are given."""

from typing import Any

import torch
from torch import Tensor, nn


def doubled(model: Any) -> Any:
    """The model in float64, its norms too. Sums that are taken in another order then agree to float64's rounding."""
    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            module.forward = _norm(module)
    return model.double()


def _norm(module: nn.Module) -> Any:
    plus = 1.0 if "Gemma" in type(module).__name__ else 0.0

    def forward(x: Tensor) -> Tensor:
        eps = getattr(module, "variance_epsilon", None) or module.eps
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * (plus + module.weight)

    return forward
