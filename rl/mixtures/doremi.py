"""DoReMi: weights over domains by how far a small proxy model is behind a reference in each, learnt while the proxy trains on them.

A step draws its examples from all domains alike. Where the proxy is behind the reference a domain's weight grows; the proxy then learns
from each domain's mean loss, times its weight. What comes out is the mean of the weights over all steps (arXiv:2305.10429, algorithm 1).
Data that nobody can learn are noise to the reference too: there is nothing to gain in them, and their weight falls.

This is an ordinary offline run whose objective's weights have a memory, kept in its checkpoints beside the reference. A domain of which a
step holds no token keeps the excess that it had.
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from rl.learning.reference import Reference
from rl.mixtures.domains import DOMAIN
from rl.mixtures.weight_updates import Weights, doremi_step, uniform
from rl.objectives.batch import Batch
from rl.objectives.objective import Objective, Terms
from rl.objectives.supervised import nll
from verifiers.atomic_files import write_json

STATE = "doremi.json"


class DoReMi:
    """The weights of domains, and the reference that they are measured against: to the loop it is the run's reference."""

    reference: Reference
    """Set before the first step."""

    def __init__(self, domains: Sequence[str], *, step_size: float = 1.0, smoothing: float = 1e-3):
        self.domains = tuple(domains)
        self.step_size, self.smoothing = step_size, smoothing
        self.weights: Weights = uniform(len(domains))
        self.excess: Weights = np.zeros(len(domains))
        self.total: Weights = np.zeros(len(domains))
        self.steps = 0

    def objective(self) -> Objective:
        """What the proxy minimises. Its weights move whenever they are asked for, which an update does once."""
        shown = {f"mixture/{name}": partial(self._shown, number) for number, name in enumerate(self.domains)}
        return Objective(nll, self.token_weights, reads=("ref_logp", "policy_logp"), measures=shown)

    def mean_weights(self) -> Weights:
        """Over the steps so far; uniform before the first."""
        return self.total / self.steps if self.steps else uniform(len(self.domains))

    def token_weights(self, batch: Batch) -> Float[Tensor, "N"]:
        """One step of the weights; then what each token counts: its domain's weight over the domain's trained tokens in this step."""
        domain = batch.column(DOMAIN).long()[batch.row]
        counts = _sums(batch.mask.double(), domain, len(self.domains))
        behind = torch.where(batch.mask, batch.column("ref_logp") - batch.column("policy_logp"), 0.0).clamp(min=0.0)
        excess = (_sums(behind.double(), domain, len(self.domains)) / counts.clamp(min=1.0)).numpy()
        self.excess = np.where(counts.numpy() > 0, excess, self.excess)
        self.weights = doremi_step(self.weights, self.excess, step_size=self.step_size, smoothing=self.smoothing)
        self.total = self.total + self.weights
        self.steps += 1
        each = torch.from_numpy(self.weights) / counts.clamp(min=1.0)
        return torch.where(batch.mask, each[domain], 0.0).to(batch.column("policy_logp").dtype)

    token_weights.formula = "w_domain / tokens of the domain in the step"  # type: ignore[attr-defined]

    def _shown(self, number: int, terms: Terms, batch: Batch) -> Float[Tensor, "N"]:
        return torch.full_like(terms["logp"], float(self.weights[number]))

    # --- to the loop: the run's reference ---

    def score(self, batch: Batch) -> Float[Tensor, "N"]:
        return self.reference.score(batch)

    def reset(self) -> None:
        self.reference.reset()

    def follow(self) -> None:
        self.reference.follow()

    def save(self, folder: Path) -> None:
        self.reference.save(folder)
        lists = {name: getattr(self, name).tolist() for name in ("weights", "excess", "total")}
        write_json(folder / STATE, {"domains": list(self.domains), "steps": self.steps, **lists})

    def load(self, folder: Path) -> None:
        self.reference.load(folder)
        found: dict[str, Any] = json.loads((folder / STATE).read_text())
        if found["domains"] != list(self.domains):
            raise ValueError(f"the checkpoint's weights are of the domains {found['domains']}, not of {list(self.domains)}")
        self.steps = int(found["steps"])
        self.weights, self.excess, self.total = (np.array(found[name], np.float64) for name in ("weights", "excess", "total"))

    def checkpoint_bytes(self) -> int:
        return self.reference.checkpoint_bytes() + 100 * len(self.domains)


def _sums(x: Float[Tensor, "N"], domain: Int[Tensor, "N"], count: int) -> Float[Tensor, "M"]:
    return x.new_zeros(count).index_add(0, domain, x)
