"""A causal language model from a hub id or folder, whole, and made fit to be trained and sampled from in turn."""

import copy
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, GenerationConfig

from rollout.chat import own_code
from rollout.interruption import raise_if_interrupted
from verifiers.input_error import InputError, first_line

Dtype = Literal["fp32", "bf16"]


def load_model(name: str, dtype: Dtype = "fp32", *, lora: bool = False) -> nn.Module:
    """Any AutoModelForCausalLM of a hub id or folder. Raises InputError in one line where there is none, or not all of its weights."""
    width = torch.bfloat16 if dtype == "bf16" and lora else torch.float32
    remedy = "give a hub id, or a folder that save_pretrained wrote"
    try:
        model, seen = AutoModelForCausalLM.from_pretrained(name, dtype=width, trust_remote_code=False, output_loading_info=True)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # transformers, safetensors and each model's own code have each theirs for files that are not a model's
        raise InputError(own_code(name, error) or f"cannot load a model from {name!r}: {first_line(error)} ({remedy})") from error
    if lost := sorted(seen["missing_keys"]):  # transformers makes random ones, and warns
        raise InputError(f"the model {name!r} lacks {len(lost)} of its tensors, such as {lost[0]}, which would be random; {remedy}")
    return model


def with_attention(model: nn.Module, name: str | None) -> nn.Module:
    """The model with this implementation of attention (sdpa, eager, flash_attention_2); None: transformers' own choice.

    Raises InputError in one line where the model, or this machine, does not have it.
    """
    if name:
        try:
            bare: Any = model
            (bare.get_base_model() if hasattr(bare, "get_base_model") else bare).set_attn_implementation(name)
        except (ValueError, ImportError) as error:
            raise InputError(f"--attention {name}: {first_line(error):.200}; use another, or leave it out") from error
    return model


def prepare_model(model: nn.Module, *, gradient_checkpointing: bool) -> None:
    """No dropout, a backward pass that hears signals, sampling defaults that can be saved, and checkpoints where they are asked for."""
    _switch_off_dropout(model)
    _let_backward_be_interrupted(model)
    _make_generation_defaults_saveable(model)
    if gradient_checkpointing:
        causal: Any = model
        causal.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        causal.enable_input_require_grads()  # with frozen embeddings nothing would reach the checkpoints otherwise


def _switch_off_dropout(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name, value in list(vars(module).items()):  # many layers keep a rate and call F.dropout themselves
            if isinstance(value, float) and any(word in name for word in ("dropout", "pdrop", "layerdrop")):
                setattr(module, name, 0.0)


def _let_backward_be_interrupted(model: nn.Module) -> None:
    """A backward pass is one call, in which Python hears no signal, and on a CPU it may take minutes; a hook at each layer lets it."""

    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        hidden = output[0] if isinstance(output, tuple) and output else output
        if isinstance(hidden, Tensor) and hidden.requires_grad:
            hidden.register_hook(lambda gradient: raise_if_interrupted())

    for layers in [module for module in model.modules() if isinstance(module, nn.ModuleList)]:
        for layer in layers:
            layer.register_forward_hook(hook)


def _make_generation_defaults_saveable(model: Any) -> None:
    """Of the model's sampling defaults, all that hold together: transformers loads `{"top_k": 20}` and then refuses to save it.

    Defaults that only sampling obeys make it the default; whatever contradicts the rest even then is left out.
    """
    given = getattr(model, "generation_config", None)
    if given is None or _saveable(given):
        return
    kept = GenerationConfig(do_sample=True)
    switches = ("num_beams", "return_dict_in_generate", "use_cache")  # first: others are valid or not beside them
    for name, value in sorted(given.to_diff_dict().items(), key=lambda item: item[0] not in switches):
        tried = copy.deepcopy(kept)
        setattr(tried, name, value)
        if name != "do_sample" and _saveable(tried):
            kept = tried
    model.generation_config = kept


def _saveable(config: GenerationConfig) -> bool:
    try:
        config.validate(strict=True)
    except (ValueError, TypeError):
        return False
    return True
