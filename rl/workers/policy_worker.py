"""What one worker process does: it holds a rank's sharded policy and its reference, and answers calls that come to all ranks alike.

How calls travel is another's business (`local_workers.py`, `ray_workers.py`).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed

from rl.learning.adapters import Lora
from rl.learning.reference import Reference
from rl.workers.messages import packed, unpacked
from rl.workers.sharded_learner import ShardedPolicy
from rollout.engines.policy_tensors import base_model
from rollout.interruption import Interrupted
from verifiers.input_error import InputError, first_line

Build = Callable[[torch.device, Callable[[], bool]], tuple[ShardedPolicy, Reference | None]]
"""Of this rank's device, and of who says whether the call in progress is to be given up."""
OF_POLICY = frozenset(
    {"update", "measure", "look", "score", "top", "score_as_updated", "score_sequences", "save", "load", "save_model", "checkpoint_bytes",
     "tensors"}
)  # fmt: skip
OF_REFERENCE = frozenset({"score", "reset", "follow", "save", "load", "checkpoint_bytes"})


@dataclass(frozen=True)
class PolicyFacts:
    """What the driver must know of a policy that is elsewhere."""

    config: Any
    """The model's transformers config."""
    adapter: Any
    """The peft config of its adapter; None without one."""
    autocast: str | None
    device_type: str
    lora: Lora | None
    layout: str
    sizes: dict[str, int]
    """Bytes of every tensor of its state, whole, by the names of a module that is in one piece. Tied tensors once."""
    trains: tuple[str, ...]
    has_reference: bool


@dataclass(frozen=True)
class Answer:
    """Of one rank. Values come from rank 0 alone: the others have the same, or nothing."""

    number: int
    kind: str
    """done, raised or interrupted."""
    value: Any
    stamp: tuple[int, int]
    """The policy's version, and how many steps in a row it skipped."""


def join_group(rank: int, count: int, meet: str, *, timeout: float) -> torch.device:
    """Meets the other ranks at `meet` (an init_method of torch.distributed). Returns this rank's device."""
    gpus = torch.cuda.device_count()
    device = torch.device("cuda", rank % gpus) if gpus else torch.device("cpu")
    if gpus:
        torch.cuda.set_device(device)
    elif "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() // count))
    backend = "cpu:gloo,cuda:nccl" if gpus else "gloo"
    distributed.init_process_group(backend, init_method=meet, rank=rank, world_size=count, timeout=timedelta(seconds=timeout))
    return device


class PolicyWorker:
    """One rank's policy and reference, behind calls by name."""

    def __init__(self, build: Build, device: torch.device, asked_to_stop: Callable[[], bool]):
        self.policy, self.reference = build(device, asked_to_stop)

    def answer(self, number: int, name: str, given: tuple[Any, ...], named: dict[str, Any]) -> Answer:
        """`name` is of OF_POLICY, "facts", or "reference." and one of OF_REFERENCE."""
        kind, value = "done", None
        try:
            value = self._call(name, given, named)
        except Interrupted:
            kind = "interrupted"
        except Exception as error:  # noqa: BLE001  # the driver raises it
            kind, value = "raised", sendable(error)
        if kind == "done" and not self.policy.writes:
            value = None
        return Answer(number, kind, value, (self.policy.version, self.policy.skipped_in_a_row))

    def _call(self, name: str, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        owner, _, method = name.rpartition(".")
        if name == "facts":
            return self.facts()
        if owner == "reference" and method in OF_REFERENCE and self.reference is not None:
            return getattr(self.reference, method)(*given, **named)
        if owner or name not in OF_POLICY:
            raise ValueError(f"a policy worker does not know {name!r}")
        if name == "save_model":
            self._name_base(named.pop("base"))
        return getattr(self.policy, name)(*given, **named)

    def facts(self) -> PolicyFacts:
        policy = self.policy
        module: Any = policy.model
        state = module.state_dict(keep_vars=True)
        tensors = dict(module.named_parameters()) | {name: buffer for name, buffer in module.named_buffers() if name in state}
        return PolicyFacts(
            config=base_model(module).config,
            adapter=module.peft_config[module.active_adapter] if policy.lora else None,
            autocast=policy.autocast,
            device_type=policy.device.type,
            lora=policy.lora,
            layout=policy.layout,
            sizes={name: tensor.numel() * tensor.element_size() for name, tensor in tensors.items()},
            trains=tuple(policy.trainable),
            has_reference=self.reference is not None,
        )

    def _name_base(self, base: str | None) -> None:
        """Where an adapter says its base is, which the driver decides."""
        if self.policy.lora:
            self.policy.model.peft_config[self.policy.model.active_adapter].base_model_name_or_path = base


def sendable(error: Exception) -> Exception:
    """The error itself where it travels, else its words."""
    if isinstance(error, torch.OutOfMemoryError):
        return InputError(
            f"a policy worker ran out of memory ({first_line(error):.200}); lower --tokens-per-micro-batch, or give more workers"
        )
    try:
        unpacked(packed(error))
    except Exception:  # noqa: BLE001  # each library's errors have their own reasons
        return RuntimeError(f"{type(error).__name__}: {first_line(error)}")
    return error
