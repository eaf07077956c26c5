"""A policy in another process: what travels there, and the module that follows it.

The first parcel holds how to build the module and every tensor; later ones hold what trains, which for a LoRA is the adapter
alone. A replica is an ordinary module, so any engine that samples from a module in its own process can sample from one.

Not covered: models whose code comes from the hub (their class must be importable at the other end), and adapters by any other
name than the active one.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rollout.engine import PolicyWeights
from rollout.engines.policy_tensors import base_model
from rollout.modules.linear_products import quicken


@dataclass(frozen=True, slots=True)
class Parcel:
    """A policy's tensors on the CPU, by name, and what they are for."""

    tensors: dict[str, Tensor]
    autocast: str | None
    config: Any = None
    """The model's transformers config; None in a parcel of changes."""
    adapter: Any = None
    """The peft config of the active adapter, if there is one."""

    @property
    def bytes(self) -> int:
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors.values())


def pack(weights: PolicyWeights, *, changes: bool = False) -> Parcel:
    """A copy of the policy as it is now; with `changes`, only of the parameters that train. Tied tensors travel once."""
    module: Any = weights.module
    if changes:
        return Parcel({name: _copy_to_cpu(p) for name, p in module.named_parameters() if p.requires_grad}, weights.autocast)
    return Parcel(
        {name: _copy_to_cpu(tensor) for name, tensor in _state_tensors(module).items()},
        weights.autocast,
        base_model(module).config,
        module.peft_config[module.active_adapter] if hasattr(module, "peft_config") else None,
    )


def _copy_to_cpu(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True).contiguous()


def _state_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and the buffers that belong to the state (others, as rotary frequencies, follow from the config)."""
    state = module.state_dict(keep_vars=True)
    return {**dict(module.named_parameters()), **{name: buffer for name, buffer in module.named_buffers() if name in state}}


class Replica:
    """A module that is built from the first parcel and follows the next ones."""

    def __init__(self, device: str | torch.device | None = None) -> None:
        """`device`: default CUDA where there is one."""
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.module: Any = None

    def build(self, parcel: Parcel) -> None:
        """The module that the parcel describes, whatever is in it: for tensors that come in several parcels of changes."""
        self.module = _build_module(parcel).to(self.device)
        quicken(self.module)

    def load(self, parcel: Parcel) -> PolicyWeights:
        """The replica with the parcel's tensors in it. Raises ValueError if the parcel does not fit the module."""
        if self.module is None:
            if parcel.config is None:
                raise ValueError("the first parcel holds only changes; send a whole policy first")
            self.build(parcel)
        own = _state_tensors(self.module)
        missing = own.keys() - parcel.tensors.keys() if parcel.config is not None else set()
        unknown = parcel.tensors.keys() - own.keys()
        if missing or unknown:
            raise ValueError(f"a parcel of another policy: lacks {sorted(missing)[:3]}, does not know {sorted(unknown)[:3]}")
        for name, tensor in parcel.tensors.items():
            if own[name].shape != tensor.shape:
                raise ValueError(f"{name} is {tuple(tensor.shape)} in the parcel and {tuple(own[name].shape)} here")
            own[name].data = tensor.to(self.device)  # not copy_: the parcel's dtype is the policy's
        return PolicyWeights(self.module, parcel.autocast)


def _build_module(parcel: Parcel) -> nn.Module:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(parcel.config, attn_implementation=parcel.config._attn_implementation, trust_remote_code=False)
    if parcel.adapter is not None:
        from peft import get_peft_model

        return get_peft_model(model, parcel.adapter)
    return model
