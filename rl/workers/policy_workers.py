"""A policy whose parameters are in other processes: the loop, engines and the canary use it as they use one in this process.

Each call goes to all workers (`policy_worker.py`). The driver keeps a module of the same shape on the CPU, the mirror, which follows what
trains when the weights are asked for: that is what engines sample from or copy. It is the one whole copy, in the machine's memory.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rl.learning.policy import Policy
from rl.learning.update_stats import UpdateStats
from rl.objectives.batch import Batch
from rl.objectives.objective import Objective, Terms
from rl.workers.policy_worker import PolicyFacts
from rl.workers.workers import Workers
from rollout.engine import PolicyWeights
from rollout.engines.replica import Parcel, Replica
from rollout.progress import in_progress

BYTES_AT_ONCE = 2**28
"""Of tensors that travel together."""


class PolicyWorkers(Policy):
    """Has a Policy's methods, and none of its parameters, gradients and optimiser state."""

    def __init__(self, workers: Workers):
        facts: PolicyFacts = workers.call("facts")
        self._workers, self._facts = workers, facts
        self.lora, self.autocast = facts.lora, facts.autocast
        self.device = torch.device(facts.device_type)
        self.has_reference = facts.has_reference
        self._mirror = Replica("cpu")
        self._mirror.build(Parcel({}, facts.autocast, facts.config, facts.adapter))
        self.model = self._mirror.module
        self._follow(list(facts.sizes))
        self._mirrored: int | None = self.version

    @property
    def version(self) -> int:
        return self._workers.stamp[0]

    @property
    def skipped_in_a_row(self) -> int:
        return self._workers.stamp[1]

    @property
    def trainable(self) -> Any:
        """The mirror's: their names and shapes."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    # --- looking ---

    def look(self, batch: Batch, terms: Collection[str]) -> Terms:
        found: Terms = self._workers.call("look", batch, tuple(terms))
        return found

    def score(self, batch: Batch) -> Float[Tensor, "N"]:
        found: Tensor = self._workers.call("score", batch)
        return found

    def top(self, batch: Batch, count: int, *, below: int | None = None) -> tuple[Int[Tensor, "N K"], Float[Tensor, "N K1"]]:
        found: tuple[Tensor, Tensor] = self._workers.call("top", batch, count, below=below)
        return found

    def score_as_updated(self, batch: Batch, objective: Objective) -> Float[Tensor, "N"]:
        found: Tensor = self._workers.call("score_as_updated", batch, objective)
        return found

    def score_sequences(self, sequences: Sequence[Sequence[int]], *, temperature: float = 1.0) -> list[list[float]]:
        found: list[list[float]] = self._workers.call("score_sequences", [list(each) for each in sequences], temperature=temperature)
        return found

    # --- learning ---

    def update(self, batch: Batch, objective: Objective, *, lr: float) -> UpdateStats:
        stats: UpdateStats = self._workers.call("update", batch, objective, lr=lr)
        if progress := in_progress():
            progress.finished(len(batch))
        return stats

    def measure(self, batch: Batch, objective: Objective) -> UpdateStats:
        stats: UpdateStats = self._workers.call("measure", batch, objective)
        return stats

    # --- its weights ---

    def weights(self) -> PolicyWeights:
        if self._mirrored != self.version:
            self._follow(self._facts.trains)
            self._mirrored = self.version
        return PolicyWeights(self.model, self.autocast)

    def _follow(self, names: Sequence[str]) -> None:
        for part in _in_parts(names, self._facts.sizes):
            self._mirror.load(Parcel(self._workers.call("tensors", part), self.autocast))

    def alone(self) -> Policy:
        """What was learnt as a policy of this process, without its optimiser's state."""
        self.weights()
        return Policy(self.model, lora=self.lora, dtype="bf16" if self.autocast else "fp32")

    # --- on disk: the workers write, into a folder that they must see too ---

    def save_model(self, folder: Path) -> None:
        base = self.model.peft_config[self.model.active_adapter].base_model_name_or_path if self.lora else None
        self._workers.call("save_model", folder, base=base)

    def save(self, folder: Path) -> None:
        self._workers.call("save", folder)

    def load(self, folder: Path) -> None:
        self._workers.call("load", folder)
        self._mirrored = None

    def checkpoint_bytes(self) -> int:
        found: int = self._workers.call("checkpoint_bytes")
        return found

    def close(self) -> None:
        self._workers.close()


class WorkersReference:
    """The reference that the workers hold beside their policy."""

    def __init__(self, workers: Workers):
        self._workers = workers

    def score(self, batch: Batch) -> Float[Tensor, "N"]:
        found: Tensor = self._workers.call("reference.score", batch)
        return found

    def reset(self) -> None:
        self._workers.call("reference.reset")

    def follow(self) -> None:
        self._workers.call("reference.follow")

    def save(self, folder: Path) -> None:
        self._workers.call("reference.save", folder)

    def load(self, folder: Path) -> None:
        self._workers.call("reference.load", folder)

    def checkpoint_bytes(self) -> int:
        found: int = self._workers.call("reference.checkpoint_bytes")
        return found


def _in_parts(names: Sequence[str], sizes: dict[str, int]) -> Iterator[list[str]]:
    """Names of tensors that travel together."""
    part: list[str] = []
    held = 0
    for name in names:
        if part and held + sizes[name] > BYTES_AT_ONCE:
            yield part
            part, held = [], 0
        part.append(name)
        held += sizes[name]
    if part:
        yield part
