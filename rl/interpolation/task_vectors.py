"""What several models learnt from one start, put together: the maths, over one tensor or one group of tensors at a time.

A task vector is what a model's weights are beyond those of the start. Spherical interpolation keeps its length where averaging shortens
it: independent runs learn at nearly right angles, and the mean of two such vectors is 0.7 of one long (WARP, arXiv:2406.16768, lemma 2).
All of it depends on inner products alone, so that a group's M vectors are summed up in an M x M matrix and never held together.

Shapes: M models, K numbers of a tensor.
"""

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

Angle = Literal["tensor", "layer", "model"]
PARALLEL = 1e-6
"""Of the sine of an angle: below it two vectors lie on one line, where a great circle through both is none or any."""
CHUNK = 2**22


@dataclass(frozen=True)
class Slerp:
    """Spherical interpolation of task vectors, WARP's second stage. More than two are taken in one after the other."""

    angle: Angle = "tensor"
    """Whose angle is measured: each tensor's, each layer's, or that of all weights as one vector."""
    formula: ClassVar[str] = "start + Σ_m c_m δ_m,  c by slerp of the δ_m of each {angle}"


@dataclass(frozen=True)
class Average:
    """The weighted mean of weights (model soups, arXiv:2203.05482)."""

    formula: ClassVar[str] = "Σ_m share_m θ_m"


@dataclass(frozen=True)
class Ties:
    """Each tensor's largest changes; of every number the sign that prevails, and the mean of those that have it. arXiv:2306.01708."""

    density: float = 0.2
    """Share of a task vector's numbers that is kept, the largest of each tensor."""


@dataclass(frozen=True)
class Dare:
    """Changes dropped at random and the others scaled up, then averaged. arXiv:2311.03099."""

    density: float = 0.1
    """Share that is kept."""
    seed: int = 0


How = Slerp | Average | Ties | Dare


def slerp_pair(cosine: float, share: float) -> tuple[float, float]:
    """(a, b) of a δ_1 + b δ_2: sin((1 - λ) Ω) / sin Ω and sin(λ Ω) / sin Ω, λ the second's share. WARP's equation (SLERP), section 3.2.

    Where the vectors lie on one line (equal, opposite, or one of them 0, which the caller tells by nan) there is no one great circle:
    then (1 - λ, λ), the straight line, which is slerp's limit for equal ones, and half way between opposite ones is 0.
    """
    angle = math.nan if math.isnan(cosine) else math.acos(max(-1.0, min(1.0, cosine)))
    sine = math.sin(angle)
    if not sine > PARALLEL:
        return 1.0 - share, share
    return math.sin((1 - share) * angle) / sine, math.sin(share * angle) / sine


def slerp_weights(gram: Float[Tensor, "M M"], shares: Sequence[float]) -> list[float]:
    """c [M] of Σ_m c_m δ_m, from the inner products of the δ_m: the first two by slerp, that and the third, and so on.

    λ at each is the newcomer's share of those taken in so far, so that equal shares mean 1/2, 1/3, 1/4 (WARP, equation 26). With more
    than two the order matters a little; a mean on the sphere has no closed form.
    """
    kept, total = [1.0], shares[0]
    for m in range(1, len(shares)):
        total += shares[m]
        part = torch.tensor(kept, dtype=gram.dtype)
        dot, own = float(part @ gram[:m, m]), float(gram[m, m])
        before = float(part @ gram[:m, :m] @ part)
        cosine = dot / math.sqrt(before * own) if before > 0 and own > 0 else math.nan
        a, b = slerp_pair(cosine, shares[m] / total if total else 0.0)
        kept = [*(a * weight for weight in kept), b]
    return kept


def inner_products(vectors: Sequence[Tensor]) -> Float[Tensor, "M M"]:
    """Of M tensors of one shape, in float64, a chunk at a time."""
    gram = torch.zeros(len(vectors), len(vectors), dtype=torch.float64)
    for parts in zip(*(vector.reshape(-1).split(CHUNK) for vector in vectors), strict=True):
        stacked = torch.stack([part.double() for part in parts])
        gram += stacked @ stacked.T
    return gram


def group_of(name: str, angle: Angle) -> str:
    """Which group's angle a tensor of this name has."""
    if angle == "model":
        return ""
    layer = re.match(r"(?:.*?\.)?\d+(?=\.)", name) if angle == "layer" else None
    return layer[0] if layer else name


def combined(vectors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Σ_m weights_m vectors_m."""
    total = vectors[0] * weights[0]
    for vector, weight in zip(vectors[1:], weights[1:], strict=True):
        total.add_(vector, alpha=weight)
    return total


def sparsely_combined(how: Ties | Dare, name: str, vectors: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """One tensor's merged task vector, by peft's own functions. Shares sum to 1.

    DARE's draws are a function of (seed, tensor's name): the same in any order.
    """
    from peft.utils.merge_utils import dare_linear, ties

    weights = torch.tensor(shares, dtype=vectors[0].dtype)
    if how.density >= 1 and isinstance(how, Dare):
        return combined(vectors, shares)
    if isinstance(how, Ties):
        return ties(list(vectors), weights * len(vectors), how.density)  # it divides by how many agree
    seed = int.from_bytes(hashlib.blake2b(f"{how.seed}/{name}".encode(), digest_size=7).digest())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return dare_linear(list(vectors), weights, how.density)
