"""Micro-batches shared out over ranks that wait for each other at every pass: as many for each, and of like cost in every round."""

from collections.abc import Sequence

from jaxtyping import Int
from torch import Tensor

Part = Int[Tensor, "..."]
"""The rows of a micro-batch."""


def cost(part: Part, lengths: Int[Tensor, "B"], *, packed: bool) -> int:
    """Tokens as they lie: padding included, or the sequences' own."""
    own = lengths[part]
    return int(own.sum()) if packed else int(own.max()) * len(part)


def evened(plan: Sequence[Part], lengths: Int[Tensor, "B"], ranks: int, *, rows_per_unit: int, packed: bool) -> list[Part]:
    """The plan, its costliest parts cut in two until every rank gets as many, or no part has more than one unit.

    A gradient does not depend on how a step is cut, and a smaller part needs no more memory.
    """
    parts = list(plan)
    while len(parts) % ranks:
        costs = [cost(part, lengths, packed=packed) if len(part) > rows_per_unit else -1 for part in parts]
        place = max(range(len(parts)), key=costs.__getitem__)
        if costs[place] < 0:
            break
        part = parts[place]
        sizes = lengths[part].reshape(-1, rows_per_unit).sum(1).cumsum(0)
        units = 1 + int((sizes[:-1] - sizes[-1] / 2).abs().argmin())
        parts[place : place + 1] = [part[: units * rows_per_unit], part[units * rows_per_unit :]]
    return parts


def rounds(plan: Sequence[Part], lengths: Int[Tensor, "B"], ranks: int, *, packed: bool) -> list[list[Part]]:
    """Costliest first, a part for each rank in every round but the last, which may lack some: a round takes as long as its costliest."""
    order = sorted(plan, key=lambda part: -cost(part, lengths, packed=packed))  # stable
    return [order[start : start + ranks] for start in range(0, len(order), ranks)]
