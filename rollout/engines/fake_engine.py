"""An engine without a model, so that a user's loop, reward and environment can be tested in milliseconds.

It samples from a table of bigram log-probabilities: the distribution of the next token depends on the last one only. That is
enough to be exact in everything the contract asks (log-probabilities, temperature, seeds, stops, scores).
"""

import itertools
import math
import random
from collections.abc import Sequence
from typing import Literal

from rollout.engine import Completion, OnGroup, PolicyWeights, Sampling, require_tokens
from rollout.stopping import Decode, stop_test


class FakeEngine:
    """Samples from `table[last][next]`, unnormalised log-probabilities (one row for each token id of the vocabulary)."""

    def __init__(self, table: Sequence[Sequence[float]], *, decode: Decode | None = None):
        """`decode` is needed for stop texts only."""
        self.decode = decode
        self.table = [list(row) for row in table]
        self.loaded: list[int] = []
        """Every version that load_policy was called with, for tests of the loop."""

    def load_policy(self, weights: PolicyWeights, version: int) -> int:
        self.loaded.append(version)
        return 0

    def sleep(self) -> int:
        return 0

    def close(self) -> None:
        pass

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling, on_group: OnGroup | None = None) -> list[list[Completion]]:
        require_tokens(prompts)
        rng = random.Random(sampling.seed)
        groups = []
        for index, prompt in enumerate(prompts):
            groups.append([self._complete(prompt[-1], sampling, rng) for _ in range(sampling.completions)])
            if on_group:
                on_group(index, groups[-1])
        return groups

    def score(self, sequences: Sequence[Sequence[int]], *, temperature: float = 1.0) -> list[list[float]]:
        pairs = [list(itertools.pairwise(sequence)) for sequence in sequences]
        return [[0.0, *(self._logp(last, temperature)[token] for last, token in pair)] for pair in pairs]

    def _logp(self, last: int, temperature: float) -> list[float]:
        scaled = [value / (temperature or 1.0) for value in self.table[last]]
        peak = max(scaled)
        total = peak + math.log(sum(math.exp(value - peak) for value in scaled))
        return [value - total for value in scaled]

    def _complete(self, last: int, sampling: Sampling, rng: random.Random) -> Completion:
        tokens: list[int] = []
        logprobs: list[float] = []
        ended = stop_test(sampling, self.decode)
        finish: Literal["stop", "length"] = "length"
        while len(tokens) < sampling.max_tokens:
            logp = self._logp(last, sampling.temperature)
            if sampling.temperature == 0:
                last = max(range(len(logp)), key=logp.__getitem__)
            else:
                last = rng.choices(range(len(logp)), [math.exp(value) for value in logp])[0]
            tokens.append(last)
            logprobs.append(logp[last])
            if ended(tokens):
                finish = "stop"
                break
        return Completion(tokens, logprobs, [True] * len(tokens), finish, self.loaded[-1] if self.loaded else -1)
