"""What one optimiser step looked like, added up over its micro-batches in double precision, where they are computed.

Sums stay on the device until somebody reads them: a number that is asked for in the middle of a step makes the program wait for all that
was queued before it.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

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
    pending: dict[tuple[str, str], Tensor] = field(default_factory=dict, repr=False, compare=False)
    """What `settle` has yet to read, by the field and the measure that it belongs to."""
    unseen: list[tuple[Tensor, Tensor, dict[str, Tensor]]] = field(default_factory=list, repr=False, compare=False)
    """(numbers, mask, terms) that `settle` has yet to read into `seen`."""

    def add(self, part: Batch, objective: Objective, terms: Terms) -> None:
        """Sequences, tokens and measures of a micro-batch."""
        self._more("trained_sequences", "", (trained(part) > 0).sum())
        self._more("trained_tokens", "", part.mask.sum())
        if PLACE in part.columns:
            of_tokens = {name: term for name, term in terms.items() if len(term) == len(part.tokens)}
            self.unseen.append((part.column(PLACE), part.mask, of_tokens))
        for name, measure in objective.measures.items():
            with torch.no_grad():
                values = measure(terms, part).double()
            counts = ~values.isnan()
            if len(values) == len(part.tokens):
                counts &= part.mask
            self._more("counted", name, counts.sum())
            kept = torch.where(counts, values, 0.0)
            if is_maximum(name):
                self._more("measured", name, kept.max() if len(kept) else kept.sum())
            else:
                self._more("measured", name, kept.sum())

    def add_loss(self, loss: Tensor) -> None:
        self._more("loss", "", loss.detach())

    def _more(self, where: str, name: str, value: Tensor) -> None:
        before, value = self.pending.get((where, name)), value.double()
        if before is not None:
            value = torch.maximum(before, value) if where == "measured" and is_maximum(name) else before + value
        self.pending[where, name] = value

    def settle(self) -> None:
        """Into the fields, all sums in one reading; nothing where all is there."""
        for place, mask, terms in self.unseen:
            kept = mask.cpu()
            self.seen.append((place.cpu()[kept], {name: term.cpu()[kept] for name, term in terms.items()}))
        self.unseen.clear()
        if not self.pending:
            return
        found = torch.stack(list(self.pending.values())).tolist()
        for (where, name), value in zip(list(self.pending), found, strict=True):
            if where == "measured":
                before = self.measured.get(name, 0.0)
                self.measured[name] = max(before, value) if is_maximum(name) else before + value
            elif where == "counted":
                self.counted[name] += int(value)
            else:
                setattr(self, where, getattr(self, where) + (value if where == "loss" else int(value)))
        self.pending.clear()

    def __getstate__(self) -> dict[str, Any]:
        """To another process it goes settled."""
        self.settle()
        return self.__dict__


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
