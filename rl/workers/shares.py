"""Micro-batches shared out over ranks that wait for each other at every pass: as many for each, and of like cost in every round."""

from collections.abc import Sequence

from jaxtyping import Int
from torch import Tensor

from rl.objectives.batch import Batch, families

Part = Int[Tensor, "..."]
"""The rows of a micro-batch."""


class Cost:
    """Tokens of a micro-batch as they lie: padding included, the sequences' own, or those with what a group has in common once."""

    def __init__(self, batch: Batch, layout: str):
        self.padded, self.lengths = layout == "padded", batch.lengths
        self.family, self.prompt = self.lengths * 0, self.lengths * 0
        for number, (prompt, rows) in enumerate(families(batch) if layout == "shared" else ()):
            self.family[rows], self.prompt[rows] = number, prompt

    def __call__(self, part: Part) -> int:
        own = self.lengths[part]
        if self.padded:
            return int(own.max()) * len(part)
        prompts = self.prompt[part]
        if not prompts.any():
            return int(own.sum())
        once = prompts.new_zeros(len(self.prompt)).index_copy(0, self.family[part], prompts)
        return int((own - prompts).sum() + once.sum())


def evened(plan: Sequence[Part], cost: Cost, ranks: int, *, rows_per_unit: int) -> list[Part]:
    """The plan, its costliest parts cut in two until every rank gets as many, or no part has more than one unit.

    A gradient does not depend on how a step is cut, and a smaller part needs no more memory.
    """
    parts = list(plan)
    while len(parts) % ranks:
        costs = [cost(part) if len(part) > rows_per_unit else -1 for part in parts]
        place = max(range(len(parts)), key=costs.__getitem__)
        if costs[place] < 0:
            break
        part = parts[place]
        cuts = [(part[:rows], part[rows:]) for rows in range(rows_per_unit, len(part), rows_per_unit)]
        parts[place : place + 1] = min(cuts, key=lambda halves: max(map(cost, halves)))
    return parts


def rounds(plan: Sequence[Part], cost: Cost, ranks: int) -> list[list[Part]]:
    """Costliest first, a part for each rank in every round but the last, which may lack some: a round takes as long as its costliest."""
    order = sorted(plan, key=lambda part: -cost(part))  # stable
    return [order[start : start + ranks] for start in range(0, len(order), ranks)]
