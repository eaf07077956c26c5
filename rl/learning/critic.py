"""Who says `value`: what a text is worth before its next token is chosen. Three critics, swapped whole.

A head on the policy learns in the policy's own passes and shares what it sees; a second adapter on the policy's frozen base costs passes
but hardly any memory, and pulls at nothing of the policy's; a model of its own costs both and may begin as anything. Each takes a pass
without gradient to score a rollout.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from rl.learning.adapters import Lora
from rl.learning.learner import VALUE_HEAD, Learner, ValueHead, require_same
from rl.learning.update_stats import UpdateStats
from rl.objectives.batch import Batch, by_row, ends
from rl.objectives.values import value_objective

ADAPTER = "critic"


@runtime_checkable
class Critic(Protocol):
    """Anything with these six methods."""

    def value(self, batch: Batch) -> Float[Tensor, "N"]:
        """Of the masked tokens, each before it was chosen; 0 elsewhere."""

    def value_after(self, batch: Batch) -> Float[Tensor, "B"]:
        """Of each sequence as it stands, after its last masked token; 0 where it has none."""

    def update(self, batch: Batch, *, lr: float, alone: bool = False) -> UpdateStats | None:
        """One optimiser step towards the column `returns`. None: it learns in the policy's own update.

        `alone`: the policy must not change.
        """

    def save(self, folder: Path) -> None:
        """What a continuation needs, beside the policy's checkpoint."""

    def load(self, folder: Path) -> None:
        """What `save` wrote. Raises ValueError if it is another's."""

    def checkpoint_bytes(self) -> int:
        """About what `save` writes."""


def _value_after(learner: Learner, batch: Batch) -> Float[Tensor, "B"]:
    only = replace(batch, mask=ends(batch), columns={})
    return by_row(learner.look(only, ("score",))["score"], only)


class TrunkValue:
    """A value head on the policy, which must have one: its loss is a part of the policy's objective (`with_value`)."""

    def __init__(self, policy: Learner, *, clip: float = 0.2):
        if VALUE_HEAD not in policy.trainable:
            raise ValueError("a trunk critic needs a policy with a value head")
        self.policy, self.warm_up = policy, value_objective(clip=clip, apart=True)

    def value(self, batch: Batch) -> Float[Tensor, "N"]:
        return self.policy.look(batch, ("value",))["value"]

    def value_after(self, batch: Batch) -> Float[Tensor, "B"]:
        return _value_after(self.policy, batch)

    def update(self, batch: Batch, *, lr: float, alone: bool = False) -> UpdateStats | None:
        """Alone, only the head learns."""
        # the policy's optimiser scales what it is given to the head's own rate, which `lr` is already
        return self.policy.update(batch, self.warm_up, lr=lr / self.policy.head_scale) if alone else None

    def save(self, folder: Path) -> None: ...  # the head is the policy's, and saved with it

    def load(self, folder: Path) -> None: ...

    def checkpoint_bytes(self) -> int:
        return 0


class ModelValue:
    """A learner of its own with a value head: a whole model, or an adapter on it."""

    def __init__(self, learner: Learner, *, clip: float = 0.2):
        if VALUE_HEAD not in learner.trainable:
            raise ValueError("a critic needs a value head")
        self.learner, self.objective = learner, value_objective(clip=clip)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        yield

    def value(self, batch: Batch) -> Float[Tensor, "N"]:
        with self._at_work():
            return self.learner.look(batch, ("value",))["value"]

    def value_after(self, batch: Batch) -> Float[Tensor, "B"]:
        with self._at_work():
            return _value_after(self.learner, batch)

    def update(self, batch: Batch, *, lr: float, alone: bool = False) -> UpdateStats | None:
        with self._at_work():
            return self.learner.update(batch, self.objective, lr=lr)

    def save(self, folder: Path) -> None:
        """What trains, with the optimiser's state: the model under an adapter is where it was."""
        learner = self.learner
        tensors = {name: p.detach() for name, p in learner.trainable.items()}
        state = {"optimizer": learner.optimizer.state_dict(), "version": learner.version, "skipped": learner.skipped_in_a_row}
        torch.save({"tensors": tensors, **state}, folder / "critic.pt")

    def load(self, folder: Path) -> None:
        path, learner = folder / "critic.pt", self.learner
        if not path.exists():
            raise ValueError("critic.pt is missing")
        state = torch.load(path, map_location="cpu", weights_only=True)
        require_same(learner.trainable, state["tensors"], "the critic")
        for name, parameter in learner.trainable.items():
            parameter.data.copy_(state["tensors"][name])
        learner.optimizer.load_state_dict(state["optimizer"])
        learner.version, learner.skipped_in_a_row = state["version"], state["skipped"]

    def checkpoint_bytes(self) -> int:
        return self.learner.checkpoint_bytes()


class AdapterValue(ModelValue):
    """A second adapter and a value head on the base under the policy's adapter: one set of weights in memory."""

    def __init__(self, policy: Learner, *, lora: Lora | None = None, value_head: ValueHead | None = None, clip: float = 0.2):
        """`lora`: default the policy's own. Raises ValueError for a policy without an adapter, whose base moves."""
        if not policy.lora:
            raise ValueError("an adapter critic stands on the base under the policy's adapter, and a full policy has none")
        self.model: Any = policy.model
        self.of_policy = self.model.active_adapter
        self.model.add_adapter(ADAPTER, _like(self.model.peft_config[self.of_policy], lora))
        with self._at_work():
            learner = policy.beside(value_head=value_head or ValueHead())
        super().__init__(learner, clip=clip)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        self.model.set_adapter(ADAPTER)
        try:
            yield
        finally:
            self.model.set_adapter(self.of_policy)


def _like(config: Any, lora: Lora | None) -> Any:
    """A fresh adapter's configuration on the same modules."""
    from peft import LoraConfig

    rank, alpha, dora = (lora.rank, lora.alpha, lora.dora) if lora else (config.r, config.lora_alpha, config.use_dora)
    rslora = lora.rslora if lora else config.use_rslora
    targets = config.target_modules if isinstance(config.target_modules, str) else sorted(config.target_modules)
    return LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets, use_dora=dora, use_rslora=rslora, task_type="CAUSAL_LM")
