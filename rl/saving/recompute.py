"""What of a model's layers is computed again in the backward pass, not kept: transformers' checkpoints, and torch's selective ones."""

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts

from rl.saving.savings import Savings
from verifiers.input_error import InputError

ATTENTION = (
    "_scaled_dot_product_flash_attention", "_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention", "_flash_attention_forward",
)  # fmt: skip
PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "_linear_pointwise")


def recompute_layers(model: Any, savings: Savings) -> None:
    """Switches transformers' checkpoints on, as `savings` says."""
    settings: dict[str, Any] = {"use_reentrant": False}
    kept = {"all": (), "all-but-attention": ATTENTION, "all-but-products": ATTENTION + PRODUCTS}[savings.recompute]
    if kept:
        settings["context_fn"] = partial(create_selective_checkpoint_contexts, partial(_policy, frozenset(kept)))
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=settings)
    model.enable_input_require_grads()  # with frozen embeddings nothing would reach the checkpoints otherwise
    if savings.recompute_every > 1:
        for number, layer in enumerate(_layers(model)):
            layer.gradient_checkpointing = number % savings.recompute_every == 0


def _policy(kept: frozenset[str], context: Any, operator: Any, *args: Any, **settings: Any) -> CheckpointPolicy:
    name = operator.__name__.partition(".")[0] if isinstance(operator, torch._ops.OpOverload) else ""
    return CheckpointPolicy.MUST_SAVE if name in kept else CheckpointPolicy.PREFER_RECOMPUTE


def _layers(model: nn.Module) -> list[Any]:
    """Those that can be computed again each by itself, in order. Raises InputError where the model switches them all at once."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    found = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not found:
        raise InputError("--recompute-every: this model's layers are computed again all or none; leave it out")
    return found
