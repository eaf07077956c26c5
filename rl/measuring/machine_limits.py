"""What this machine can do at most, measured on the spot: products of matrices, and copies in memory."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from rollout.modules.linear_products import product

WIDTHS = (1024, 2048)
COPIED = 2**26
"""Numbers of a copy: 256 MiB, more than caches hold."""
SECONDS = 0.3


@dataclass(frozen=True)
class Limits:
    flops: float
    """Floating-point operations a second, of which a product of [M K] and [K N] has 2 M K N."""
    bytes: float
    """Read and written a second."""


def measured_limits(device: torch.device, dtype: torch.dtype) -> Limits:
    """By the very products that a policy is computed with, and by copies of large tensors; each the best of several."""
    with torch.no_grad():
        of_products = []
        for width in WIDTHS:
            x, weight = (torch.randn(width, width, device=device).to(dtype) for _ in range(2))
            of_products.append(2 * width**3 / _best(lambda x=x, weight=weight: product(x, weight), device))
        source = torch.ones(COPIED, device=device)
        target = torch.empty_like(source)
        copies = 2 * source.nbytes / _best(lambda: target.copy_(source), device)
    return Limits(max(of_products), copies)


def _best(action: Callable[[], object], device: torch.device) -> float:
    action()  # the first touches memory that was never used
    least, began, runs = float("inf"), time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS or runs < 3:
        start = time.perf_counter()
        action()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        runs += 1
        least = min(least, time.perf_counter() - start)
    return least
