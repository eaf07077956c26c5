"""Which example comes at each position of a stream that draws domains by weights which may change as it goes on.

A position says everything, as in `problem_stream.py`: position 1000 is the same example whatever was read before, as long as the phases
before it are the same. Within a domain its own shuffled epochs go on where they were, through all phases; a small domain of a large weight
is gone through more often than the others.
"""

import random
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from rl.loop.seeds import Shuffled, derive_seed

_BLOCK = 1024  # positions whose domains are drawn together


class DomainStream:
    """Endless. `places`: of each domain, where its examples stand in a list; phases are added by `begin_phase`, the first at 0."""

    def __init__(self, places: Sequence[Sequence[int]], seed: int):
        self.places, self.seed = places, seed
        self.orders = [Shuffled(len(mine), derive_seed(seed, "domain", number)) if mine else None for number, mine in enumerate(places)]
        self._begins: list[int] = []
        self._weights: list[Sequence[float]] = []
        self._before: list[list[list[int]]] = []
        """Of each phase, how often each domain was drawn before its first, second, ... block."""
        self._last: tuple[tuple[int, int], list[int]] = (-1, -1), []
        """The block that was drawn last, and its domains."""

    def begin_phase(self, position: int, weights: Sequence[float]) -> None:
        """From `position` on, these weights. Raises ValueError for phases that do not rise from 0, or a weight without an example."""
        if position != 0 if not self._begins else position <= self._begins[-1]:
            raise ValueError("phases rise from position 0")
        if len(weights) != len(self.places) or any(weight < 0 or (weight > 0 and not mine) for weight, mine in self._paired(weights)):
            raise ValueError("each domain needs a weight, and an example where that is above 0")
        if not sum(weights) > 0:
            raise ValueError("some weight must be above 0")
        drawn = self._counts(position) if self._begins else [0] * len(self.places)
        self._begins.append(position)
        self._weights.append(weights)
        self._before.append([drawn])

    def _paired(self, weights: Sequence[float]) -> Iterable[tuple[float, Sequence[int]]]:
        return zip(weights, self.places, strict=True)

    def __getitem__(self, position: int) -> int:
        domain, before = self._drawn(position)
        order = self.orders[domain]
        assert order is not None, "a domain without examples has no weight"
        return self.places[domain][order[before[domain]]]

    def _counts(self, position: int) -> list[int]:
        """How often each domain is drawn before the position."""
        return self._drawn(position)[1]

    def _drawn(self, position: int) -> tuple[int, list[int]]:
        """The domain that is drawn at a position, and how often each is drawn before it."""
        phase = bisect_right(self._begins, position) - 1
        block, offset = divmod(position - self._begins[phase], _BLOCK)
        before = self._before[phase]
        while len(before) <= block:
            before.append(_added(before[-1], self._draw(phase, len(before) - 1)))
        drawn = self._draw(phase, block)
        return drawn[offset], _added(before[block], drawn[:offset])

    def _draw(self, phase: int, block: int) -> list[int]:
        if self._last[0] != (phase, block):
            chance = random.Random(derive_seed(self.seed, "mixture", phase, block))
            self._last = (phase, block), chance.choices(range(len(self.places)), self._weights[phase], k=_BLOCK)
        return self._last[1]


def _added(counts: Sequence[int], drawn: Sequence[int]) -> list[int]:
    return [count + drawn.count(domain) for domain, count in enumerate(counts)]
