"""A layer's matrices cut over processes that compute it together, by the model's own plan and transformers' own styles.

The plan says which linear layers are cut by outputs (`colwise`: query, key, value, gate, up) and which by inputs (`rowwise`: what follows
them, whose products are then summed). An adapter is cut as the matrix that it is on: of a `colwise` one the second of its two matrices,
of a `rowwise` one the first. Layers whose input or output is whole (several matrices in one, as in Phi) are cut by themselves, without
their adapters. Embeddings and the output head are left whole here; FSDP cuts those over all processes.

Not covered: plans with other styles (experts, packed or latent projections), DoRA, quantised bases.
"""

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed import ProcessGroup, all_reduce
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor

from rollout.engines.policy_tensors import base_model
from rollout.modules.linear_products import QuickLinear
from verifiers.input_error import InputError

_quiet = logging.getLogger("torch.distributed.tensor._redistribute")
_CUT = ("colwise", "rowwise")
_ALONE = ("colwise_gather_output", "colwise_rep", "rowwise_split_input", "rowwise_rep")
_PARTIAL = "replicated_with_grad_allreduce"
"""A norm of each head: whole on every rank, where it sees its own heads alone."""


def cut_layers(model: nn.Module, mesh: DeviceMesh) -> None:
    """In place; every rank holds the same whole model before. `mesh`: of one dimension, the processes that share a layer.

    Raises InputError for a model without a plan, with a style that is not covered, or with sizes that the processes do not divide.
    """
    from transformers.distributed.tensor_parallel import apply_tensor_parallelism

    plan = _plan_of(model)
    causal: Any = base_model(model)
    _require_divisible(causal, plan, mesh.size())
    prefix = next(name for name, module in model.named_modules() if module is causal)
    cut: dict[str, str] = {}
    for name, module in model.named_modules():
        own = name.removeprefix(f"{prefix}.") if prefix else name
        style = plan.get(_with_wildcards(own))
        if style in _CUT or style in _ALONE:
            cut |= _styles_of(name, module, style)
        elif style == _PARTIAL:
            _add_up_gradients(module, mesh.get_group())
    for name in cut:
        module = model.get_submodule(name)
        if type(module) is QuickLinear:  # whose operator knows no cut tensors
            module.__class__ = nn.Linear
    _quiet.setLevel(logging.ERROR)  # it would say of every weight that leaves that its parts are gathered one way after the other
    apply_tensor_parallelism(model, mesh, {_with_wildcards(name): style for name, style in cut.items()})


def _plan_of(model: nn.Module) -> Mapping[str, str]:
    causal: Any = base_model(model)
    heads = {id(module) for module in (causal.get_input_embeddings(), causal.get_output_embeddings()) if module is not None}
    whole = {_with_wildcards(name) for name, module in causal.named_modules() if id(module) in heads}
    plan = {name: style for name, style in (getattr(causal, "tp_plan", None) or {}).items() if name not in whole}
    kind = type(causal).__name__
    if not any(style in _CUT or style in _ALONE for style in plan.values()):
        raise InputError(f"--tensor-parallel: {kind} has no plan in transformers for cutting its layers; leave it out")
    if unknown := sorted({style for style in plan.values() if style not in (*_CUT, *_ALONE, _PARTIAL)}):
        raise InputError(f"--tensor-parallel: {kind}'s plan has the style {unknown[0]}, which is not trained here; leave it out")
    return plan


def _require_divisible(causal: Any, plan: Mapping[str, str], count: int) -> None:
    config = causal.config.get_text_config()
    of = {"attention heads": config.num_attention_heads, "key-value heads": getattr(config, "num_key_value_heads", None)}
    for what, number in of.items():
        if number and number % count:
            raise InputError(f"--tensor-parallel {count}: the model has {number} {what}, which {count} does not divide; use a divisor")
    for name, module in causal.named_modules():
        if (style := plan.get(_with_wildcards(name), "")) in _CUT or style in _ALONE:
            weight = getattr(module, "base_layer", module).weight
            side = 0 if style.startswith("colwise") else 1
            if weight.shape[side] % count:
                raise InputError(f"--tensor-parallel {count}: {name} has {weight.shape[side]} rows to cut; use a divisor")


def _styles_of(name: str, module: Any, style: str) -> dict[str, str]:
    """By name, of a linear layer or of the parts of one with an adapter."""
    if not hasattr(module, "base_layer"):
        return {name: style}
    if any(getattr(module, "use_dora", {}).values()):
        raise InputError("--tensor-parallel: DoRA's norms are of whole matrices; use a plain LoRA, or leave it out")
    if style in _ALONE:
        return {f"{name}.base_layer": style}
    cut = "lora_B" if style == "colwise" else "lora_A"
    return {f"{name}.base_layer": style} | {f"{name}.{cut}.{adapter}": style for adapter in getattr(module, cut)}


def _with_wildcards(name: str) -> str:
    return ".".join("*" if part.isdigit() else part for part in name.split("."))


class _SummedBackward(torch.autograd.Function):
    """A tensor as it is; its gradient is the sum of all ranks'."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: ProcessGroup) -> Tensor:
        ctx.group = group
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        summed = gradient.contiguous().clone()
        all_reduce(summed, group=ctx.group)
        return summed, None


def _add_up_gradients(module: nn.Module, group: ProcessGroup) -> None:
    """Of parameters that are whole on every rank and see a part of what they are for. transformers' own hook would look at gradients that
    FSDP has taken away, or that are not there yet."""
    plain = module.forward

    def forward(*given: Any, **named: Any) -> Any:
        own = dict(module._parameters)
        module._parameters.update({name: None if p is None else _SummedBackward.apply(p, group) for name, p in own.items()})  # type: ignore[no-untyped-call]
        try:
            return plain(*given, **named)
        finally:
            module._parameters.update(own)

    module.forward = forward  # type: ignore[method-assign]


def replicas(tensor: Tensor, ranks: int) -> int:
    """On how many of all ranks each element of a parameter lies."""
    if not isinstance(tensor, DTensor):
        return ranks
    distinct = 1
    for size, placement in zip(tensor.device_mesh.shape, tensor.placements, strict=True):
        distinct *= size if not placement.is_replicate() else 1
    return ranks // distinct
