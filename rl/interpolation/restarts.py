"""Many low-rank updates one after the other, whose sum is of a higher rank (ReLoRA, arXiv:2307.05695).

At a restart the adapter is merged into the weights under it and drawn anew, so that it changes nothing, and its moments are forgotten. The
paper sets 99.9 % of the moments to 0, or by magnitude; here it is all of them. What is trained so is the base too: it is kept in the
precision of what trains, and a checkpoint of a policy that has restarted names the base that it stands on.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from rl.learning.policy import Policy
from verifiers.atomic_files import write_json

FACTS = "restarts.json"
ADAPTER = "adapter_config.json"


class Restarting(Policy):
    """A policy with a low-rank adapter that restarts. `kept_in` is told before the first restart, save or load."""

    def kept_in(self, bases: Path, write_base: Callable[[Path], None]) -> None:
        """`bases`: the run's folder of what its checkpoints and its final adapter stand on, each a model as `from_pretrained` reads it.

        `write_base(place)` writes the model without its adapter, whole or not at all.
        """
        self.bases, self.write_base = bases, write_base
        self.base: str | None = None
        """Name of the base under the adapter; None: the one that the run began with."""
        self._written = True

    def restart(self, step: int) -> None:
        """Merges the adapter and draws it anew from torch's generator, after so many steps. Outputs change by rounding alone."""
        name = self.model.active_adapter
        for _, layer in self._adapted():
            layer.merge(safe_merge=True, adapter_names=[name])
            layer.merged_adapters.clear()  # the product is the base's for good
            layer.reset_lora_parameters(name, True)
        self.optimizer.zero_grad(set_to_none=True)
        self.optimizer.state.clear()
        self._stand_on(f"step-{step:06d}")
        self._written = False

    def save(self, folder: Path) -> None:
        """The base first, where no checkpoint has written it: of a kill in between, a base that the next life writes again is left."""
        if self.base is not None and not self._written:
            self.write_base(self.bases / self.base)
            self._written = True
        super().save(folder)
        write_json(folder / FACTS, {"base": self.base})
        self._forget_bases()

    def checkpoint_bytes(self) -> int:
        """With a base for each checkpoint."""
        return super().checkpoint_bytes() + sum(p.numel() * p.element_size() for p in self.model.parameters())

    def load(self, folder: Path) -> None:
        base = json.loads((folder / FACTS).read_text(encoding="utf-8"))["base"]
        if base is not None:
            self._load_base(base)
        super().load(folder)

    def _load_base(self, base: str) -> None:
        from transformers import AutoModelForCausalLM

        place = self.bases / Path(base).name
        if not place.is_dir():
            raise ValueError(f"the base that it stands on is missing ({place})")
        saved = AutoModelForCausalLM.from_pretrained(place, dtype=self._dtype, trust_remote_code=False, local_files_only=True)
        with torch.no_grad():
            for name, layer in self._adapted():
                layer.get_base_layer().weight.copy_(saved.get_submodule(name).weight)
        self._stand_on(place.name)

    def _adapted(self) -> Iterator[tuple[str, Any]]:
        """Layers with an adapter, under the names of the plain model's."""
        from peft.tuners.lora import LoraLayer

        return ((name, layer) for name, layer in self.model.get_base_model().named_modules() if isinstance(layer, LoraLayer))

    def _stand_on(self, base: str) -> None:
        self.base = base
        self.model.peft_config[self.model.active_adapter].base_model_name_or_path = str((self.bases / base).resolve())

    def _forget_bases(self) -> None:
        """Removes those that no checkpoint, no final adapter and not the policy stand on."""
        named, run = {self.base}, self.bases.parent
        for file in (*run.glob(f"checkpoints/step-*/model/{ADAPTER}"), *run.glob(f"final/{ADAPTER}")):
            named.add(Path(json.loads(file.read_text(encoding="utf-8"))["base_model_name_or_path"] or "").name)
        for place in self.bases.glob("*"):
            if place.name not in named:
                shutil.rmtree(place)
