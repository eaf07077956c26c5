"""Learning rates as a function of the step, so that a resumed run has no schedule to restore."""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up to `peak`, then constant, or a cosine that falls to `floor * peak` at the last step.

    A floor of 0 would be reached one step after the last: a rollout is not sampled for an update of rate 0.
    """

    peak: float
    steps: int
    warmup: int = 0
    shape: Literal["constant", "cosine"] = "constant"
    floor: float = 0.0
    restart_every: int = 0
    """Steps after which the rate rises again, linearly to what it would be without (ReLoRA, arXiv:2307.05695); 0: never."""
    restart_warmup: int = 0
    """Steps of such a rise."""

    def __call__(self, step: int) -> float:
        """The rate of step 0, 1, ... `steps - 1`. Warm-up reaches the peak at step `warmup - 1`; no step has rate 0."""
        return self._risen(step) * self._without_restarts(step)

    def _risen(self, step: int) -> float:
        if not self.restart_every or step < self.restart_every:
            return 1.0
        return min(1.0, (step % self.restart_every + 1) / max(1, self.restart_warmup))

    def _without_restarts(self, step: int) -> float:
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        if self.shape == "constant":
            return self.peak
        done = (step + 1 - self.warmup) / max(1, self.steps - self.warmup + (self.floor == 0))
        return self.peak * (self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))
