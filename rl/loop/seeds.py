"""Randomness without state: every random choice of a run is a function of the run's seed and of where it is made.

A resumed run therefore continues exactly, with no generator's state to save: step 17 draws the same in every life of the run.
"""

import hashlib
import random

import numpy as np
import torch


def derive_seed(seed: int, *place: str | int) -> int:
    """A seed in [0, 2^63) for one place, such as ("sampling", step)."""
    text = "/".join(map(str, (seed, *place)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def reseed(seed: int, *place: str | int) -> None:
    """Set every global generator (python, numpy, torch) for one place: dropout and user code draw from them."""
    value = derive_seed(seed, *place)
    random.seed(value)
    np.random.seed(value % 2**32)
    torch.manual_seed(value)


class Shuffled:
    """An endless stream over `range(n)`: each epoch a new permutation, position i the same whatever was read before."""

    def __init__(self, n: int, seed: int):
        self.n, self.seed = n, seed
        self._epoch = -1
        self._order: list[int] = []

    def __getitem__(self, position: int) -> int:
        epoch, offset = divmod(position, self.n)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, list(range(self.n))
            random.Random(derive_seed(self.seed, "epoch", epoch)).shuffle(self._order)
        return self._order[offset]
