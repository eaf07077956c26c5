"""In which order problems come: shuffled, mixed by weights, or from easy to hard. Each is endless, and a function of its seed alone.

A position says everything: position 1000 is the same problem whatever was read before, so a resumed run needs no more than its number.
"""

import random
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from rl.loop.seeds import Shuffled, derive_seed

_BLOCK = 1024  # positions whose parts are drawn together


@runtime_checkable
class Stream(Protocol):
    """Places in a list of problems, by position."""

    def __getitem__(self, position: int) -> int: ...


class Mixed:
    """Each position draws one of several parts by weight; within a part, its own shuffled epochs go on where they were.

    A small part with a large weight is gone through more often than the others: that is what a weight is for.
    """

    def __init__(self, parts: Sequence[Sequence[int]], weights: Sequence[float], seed: int):
        """`parts`: places of the problems, none of them empty; `weights`: how often each is drawn, in any unit."""
        if len(parts) != len(weights) or not all(parts) or not all(weight > 0 for weight in weights):
            raise ValueError("each part has problems and a weight above 0")
        self.parts, self.weights, self.seed = parts, weights, seed
        self.orders = [Shuffled(len(part), derive_seed(seed, "part", number)) for number, part in enumerate(parts)]
        self._before = [[0] * len(parts)]
        """How often each part was drawn before the first, second, ... block."""

    def __getitem__(self, position: int) -> int:
        block, offset = divmod(position, _BLOCK)
        while len(self._before) <= block:
            drawn = self._draw(len(self._before) - 1)
            self._before.append([count + drawn.count(part) for part, count in enumerate(self._before[-1])])
        drawn = self._draw(block)
        part = drawn[offset]
        return self.parts[part][self.orders[part][self._before[block][part] + drawn[:offset].count(part)]]

    def _draw(self, block: int) -> list[int]:
        chance = random.Random(derive_seed(self.seed, "mixture", block))
        return chance.choices(range(len(self.parts)), self.weights, k=_BLOCK)


class EasyFirst:
    """Every epoch from the easiest problem to the hardest; those that are equally hard in a new order each time."""

    def __init__(self, solve_rates: Sequence[float], seed: int):
        """`solve_rates`: of each problem, the share of its samples that were right."""
        self.solve_rates, self.seed = solve_rates, seed
        self._epoch, self._order = -1, list[int]()

    def __getitem__(self, position: int) -> int:
        epoch, offset = divmod(position, len(self.solve_rates))
        if epoch != self._epoch:
            among = random.Random(derive_seed(self.seed, "epoch", epoch))
            draws = [among.random() for _ in self.solve_rates]
            self._epoch = epoch
            self._order = sorted(range(len(draws)), key=lambda place: (-self.solve_rates[place], draws[place]))
        return self._order[offset]
