"""Who says `ref_logp`: the log-probabilities that a KL term, or a preference loss, measures the policy against.

Small objects, swapped whole. The adapter switched off needs no second model in memory; a copy is of what trains only; another model is a
learner of its own that nobody updates.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from rl.learning.learner import Learner, require_same
from rl.objectives.batch import Batch
from rollout.interruption import uninterrupted


@runtime_checkable
class Reference(Protocol):
    """Anything with these six methods."""

    def score(self, batch: Batch) -> Float[Tensor, "N"]:
        """Log-probabilities of the masked tokens; 0 elsewhere."""

    def reset(self) -> None:
        """The reference becomes the policy as it is now (iterative GRPO, WARP's anchor)."""

    def follow(self) -> None:
        """Told of each update of the policy."""

    def save(self, folder: Path) -> None:
        """What a continuation needs, beside the policy's checkpoint."""

    def load(self, folder: Path) -> None:
        """What `save` wrote. Raises ValueError if it is another's."""

    def checkpoint_bytes(self) -> int:
        """About what `save` writes."""


class AdapterOff:
    """The base model under the learner's adapter: what a fresh adapter began as."""

    def __init__(self, learner: Learner):
        if not learner.lora:
            raise ValueError("a full policy has no adapter to switch off; use FrozenCopy")
        self.learner = learner

    def score(self, batch: Batch) -> Float[Tensor, "N"]:
        with self.learner.model.disable_adapter():
            return self.learner.score(batch)

    def reset(self) -> None:
        raise ValueError("the adapter switched off is the base model and nothing else; use FrozenCopy where the reference is reset")

    def follow(self) -> None: ...

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...

    def checkpoint_bytes(self) -> int:
        return 0


class FrozenCopy:
    """What trains, copied when this was made: the policy as it began. On disk only once it was reset: before, the start makes it again."""

    def __init__(self, learner: Learner):
        self.learner = learner
        self.shadow = {name: p.detach().clone() for name, p in learner.trainable.items()}
        self.kept = False
        """Whether it is something that building the learner again would not give."""

    def score(self, batch: Batch) -> Float[Tensor, "N"]:
        with self._swapped():
            return self.learner.score(batch)

    @contextmanager
    def _swapped(self) -> Iterator[None]:
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        with uninterrupted():
            for name, parameter in self.learner.trainable.items():
                self.shadow[name] = self.learner.exchange(parameter, self.shadow[name])

    def reset(self) -> None:
        for name, parameter in self.learner.trainable.items():
            self.shadow[name].copy_(parameter.detach())
        self.kept = True

    def follow(self) -> None: ...

    def save(self, folder: Path) -> None:
        if self.kept:
            self._write(folder, {})

    def _write(self, folder: Path, facts: Mapping[str, int]) -> None:
        whole = self.learner.whole(self.shadow)
        if self.learner.writes:
            torch.save({"shadow": whole, **facts}, folder / "reference.pt")

    def load(self, folder: Path) -> None:
        path = folder / "reference.pt"
        if not path.exists():
            if self.kept:
                raise ValueError("reference.pt is missing")
            return
        saved = torch.load(path, map_location=self.learner.device, weights_only=True)["shadow"]
        require_same(self.shadow, saved, "the reference")
        self.shadow, self.kept = dict(self.learner.own_part(saved)), True

    def checkpoint_bytes(self) -> int:
        return sum(tensor.numel() * tensor.element_size() for tensor in self.shadow.values()) if self.kept else 0


class MovingAverage(FrozenCopy):
    """An exponential moving average of the policy: shadow = decay * shadow + (1 - decay) * policy, after each update."""

    def __init__(self, learner: Learner, *, decay: float = 0.99):
        super().__init__(learner)
        self.decay, self.kept = decay, True

    def follow(self) -> None:
        for name, parameter in self.learner.trainable.items():
            self.shadow[name].lerp_(parameter.detach(), 1 - self.decay)


class Renewed(FrozenCopy):
    """The policy as it was, which it becomes again after each `every` of its updates (iterative GRPO within one run)."""

    def __init__(self, learner: Learner, *, every: int):
        super().__init__(learner)
        self.every, self.updates, self.kept = every, 0, True

    def follow(self) -> None:
        self.updates += 1
        if self.updates % self.every == 0:
            self.reset()

    def save(self, folder: Path) -> None:
        self._write(folder, {"updates": self.updates})

    def load(self, folder: Path) -> None:
        super().load(folder)
        saved = torch.load(folder / "reference.pt", map_location="cpu", weights_only=True)
        if not isinstance(saved.get("updates"), int):
            raise ValueError("reference.pt does not say how many updates it has seen")
        self.updates = saved["updates"]


class OtherModel:
    """A model of its own, of the same tokenizer; nobody updates it."""

    def __init__(self, learner: Learner):
        self.learner = learner

    def score(self, batch: Batch) -> Float[Tensor, "N"]:
        return self.learner.score(batch)

    def reset(self) -> None:
        raise ValueError("another model is not the policy, so it cannot become it; use FrozenCopy")

    def follow(self) -> None: ...

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...

    def checkpoint_bytes(self) -> int:
        return 0


def initial_reference(learner: Learner) -> Reference:
    """The policy as it is now: for a fresh adapter its base, which costs nothing; otherwise a copy of what trains."""
    return AdapterOff(learner) if learner.lora and _changes_nothing(learner) else FrozenCopy(learner)


def _changes_nothing(learner: Learner) -> bool:
    """Whether the adapter is fresh: its B is 0 everywhere."""
    grown = [p for name, p in learner.trainable.items() if "lora_B" in name or "lora_embedding_B" in name]
    return all(learner.holds(lambda part: not part.any(), p) for p in grown)
