"""What one optimiser step looked like, added up over its micro-batches in double precision."""

from collections import Counter
from dataclasses import dataclass, field

import torch
from torch import Tensor

from rl.objectives.batch import Batch, trained
from rl.objectives.objective import Objective, Terms

PLACE = "place"
"""A column of a batch: the number of each token in the whole step. Where it is, what the pass saw of the tokens that train is kept."""


@dataclass
class UpdateStats:
    """Sums over the tokens and units that had a backward pass; `metrics` turns several steps' into means."""

    lr: float
    measured: dict[str, float] = field(default_factory=dict)
    """The objective's measures: sums over trained tokens or units, or the largest where the name has the word max in it."""
    counted: Counter[str] = field(default_factory=Counter)
    """How many tokens or units each of them was measured on; nan means that it does not apply to one."""
    loss: float = 0.0
    grad_norm: float = 0.0
    updates: int = 0
    skipped: int = 0
    trained_sequences: int = 0
    trained_tokens: int = 0
    seen: list[tuple[Tensor, dict[str, Tensor]]] = field(default_factory=list)
    """Of each pass, where the batch has `PLACE`: the numbers of its trained tokens, and their terms."""

    def add(self, part: Batch, objective: Objective, terms: Terms) -> None:
        self.trained_sequences += int((trained(part) > 0).sum())
        self.trained_tokens += int(part.mask.sum())
        if PLACE in part.columns:
            of_tokens = {name: term[part.mask].cpu() for name, term in terms.items() if len(term) == len(part.tokens)}
            self.seen.append((part.column(PLACE)[part.mask].cpu(), of_tokens))
        for name, measure in objective.measures.items():
            with torch.no_grad():
                values = measure(terms, part).double()
            values = values[part.mask] if len(values) == len(part.tokens) else values
            values = values[~values.isnan()]
            self.counted[name] += len(values)
            if is_maximum(name):
                self.measured[name] = max(self.measured[name], float(values.max()) if len(values) else 0.0)
            else:
                self.measured[name] += float(values.sum())


def is_maximum(name: str) -> bool:
    return "max" in name.split("_")


def metrics(steps: list[UpdateStats]) -> dict[str, float]:
    """The optimiser steps of one rollout as numbers for a log; means are over trained tokens or units, 0 where there were none."""
    measured: dict[str, float] = {}
    for name in steps[0].measured if steps else ():
        values = [s.measured[name] for s in steps]
        count = sum(s.counted[name] for s in steps)
        measured[name] = max(values) if is_maximum(name) else sum(values) / count if count else 0.0
    return {
        "loss": sum(s.loss for s in steps) / max(1, len(steps)),
        "grad_norm": sum(s.grad_norm for s in steps) / max(1, len(steps)),
        "lr": steps[-1].lr if steps else 0.0,
        "updates": sum(s.updates for s in steps),
        "skipped_updates": sum(s.skipped for s in steps),
        "trained_sequences": sum(s.trained_sequences for s in steps),
        "trained_tokens": sum(s.trained_tokens for s in steps),
        **measured,
    }
