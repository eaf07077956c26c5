"""The model that training, sampling or a merge starts from: base weights, adapters merged into them, an adapter on top that goes on.

Merging is done in float32 and rounded once, whatever width the result has: added in bfloat16, small updates would be lost twice over.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rl.learning.adapters import OTHER_BASE, Lora, require_tensors, with_adapter, with_saved_adapter
from rl.learning.model_loading import Dtype, load_model
from rollout.engines.policy_tensors import base_model, full_tensors
from verifiers.input_error import InputError, first_line


def load_start(
    base: str,
    *,
    gguf_file: str | None = None,
    merged: Sequence[str] = (),
    adapter: str | None = None,
    dtype: Dtype = "fp32",
    lora: bool = False,
    judges: bool = False,
) -> nn.Module:
    """`base` (a hub id or folder) with the adapters of the folders `merged` in its weights, and `adapter` on it, to be trained further.

    `dtype`, `lora`, `judges`: as `load_model` has them. Raises InputError in one line for files that are not what they should be, or do not
    fit.
    """
    model: Any = load_gguf(base, gguf_file) if gguf_file else load_model(base, "fp32" if merged else dtype, lora=lora, judges=judges)
    for folder in merged:
        model = with_saved_adapter(model, folder).merge_and_unload(safe_merge=True)
        model.requires_grad_(True)  # peft froze it
    if dtype == "bf16" and lora:
        set_width(model, torch.bfloat16)
    return with_saved_adapter(model, adapter, trainable=True) if adapter else model


def load_gguf(folder: str, file: str) -> nn.Module:
    """The weights of a GGUF file (of a folder or hub id), as float32: what its quantisation lost is lost. Raises InputError."""
    from transformers import AutoModelForCausalLM

    try:
        model: Any = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32, trust_remote_code=False)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except ImportError as error:
        raise InputError(f"{file}: reading GGUF needs the package gguf; pip install 'reckon-rl[gguf]'") from error
    except Exception as error:  # gguf's reader, transformers' tables of architectures and numpy have each their own
        raise InputError(
            f"cannot read {Path(folder) / file} as GGUF: {first_line(error):.200} (transformers reads the commoner architectures and "
            "quantisations; others: convert it to safetensors first)"
        ) from error
    for name in ("quantization_config", "_pre_quantization_dtype"):  # the weights are plain now, and are saved as such
        model.config.__dict__.pop(name, None)
    model.hf_quantizer, model.is_quantized, model.quantization_method = None, False, None
    return model


def require_fit(shape: Any, folders: Sequence[str]) -> None:
    """Raises InputError unless each adapter has a tensor of the right shape for every module of such a model that it names.

    `shape`: the model's transformers config. No weights are read, neither the model's nor the adapters'.
    """
    from peft import get_peft_model_state_dict

    for folder in folders:
        require_tensors(folder, get_peft_model_state_dict(_saved_on_nothing(shape, folder), save_embedding_layers=False))


def targeted_modules(shape: Any, adapter: Lora | str) -> set[str]:
    """The modules of such a model that a fresh adapter, or one in a folder, is on. Raises InputError as `with_adapter` does.

    `shape`: the model's transformers config. No weights are read.
    """
    adapted: Any
    if isinstance(adapter, str):
        adapted = _saved_on_nothing(shape, adapter)
    else:
        with torch.device("meta"):
            adapted = with_adapter(_without_weights(shape), adapter)
    return set(adapted.base_model.targeted_module_names)


def _saved_on_nothing(shape: Any, folder: str) -> Any:
    """A saved adapter on a model without weights. Raises InputError where it does not fit."""
    from peft import LoraConfig, get_peft_model

    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what peft says of tied weights is `with_saved_adapter`'s to refuse
            return get_peft_model(_without_weights(shape), LoraConfig.from_pretrained(folder))
    except ValueError as error:  # no module of those names
        raise InputError(f"the adapter {folder} does not fit the model under it: {first_line(error):.200}; {OTHER_BASE}") from error


def _without_weights(shape: Any) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_config(shape, trust_remote_code=False)


def set_width(model: nn.Module, width: torch.dtype) -> None:
    """Every floating-point parameter in `width`. Buffers stay: rotary frequencies are float32 in every model."""
    for parameter in model.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(width)


def as_if_read(model: nn.Module, width: torch.dtype, *, wider: bool) -> nn.Module:
    """A model of a Python program, made what loading it in `width` would give; `wider`: float64 stays, as `load_model` leaves it.

    `model.half()` narrows rotary frequencies too, which no loaded model has narrow: those are made anew.
    """
    widths = {parameter.dtype for parameter in model.parameters() if parameter.is_floating_point()}
    if not (wider and widths <= {torch.float32, torch.float64}):
        set_width(model, width)
    for module in model.modules():
        narrow = [name for name in module._non_persistent_buffers_set if getattr(module, name).dtype in (torch.bfloat16, torch.float16)]
        if not narrow:
            continue
        try:
            fresh: Any = type(module)(config=model.config)  # type: ignore[call-arg]
        except TypeError:  # nobody knows how it is made
            continue
        for name in narrow:
            old, new = getattr(module, name), getattr(fresh, name)
            setattr(module, name, new.to(old.device) if new.shape == old.shape else old)
    return model


_SAID_OTHERWISE = ("_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version", "use_cache", "attn_implementation")
"""Of a transformers config: what loading or saving writes into it, and no weight or formula depends on."""


def stands_at(model: nn.Module, place: str) -> bool:
    """Whether loading `place` (a folder, or a hub id in the cache) would give this very model, an adapter around it left out.

    Config and all weights are compared, in the model's own width; nothing is fetched. False wherever that cannot be said: other formats
    than safetensors, quantised weights, tensors of another name.
    """
    from safetensors import SafetensorError, safe_open
    from transformers import AutoConfig

    base = base_model(model)
    try:
        if _formulas(AutoConfig.from_pretrained(place, trust_remote_code=False, local_files_only=True)) != _formulas(base.config):
            return False
        files = [safe_open(file, "pt") for file in weight_files(place)]
        held = {name: file for file in files for name in file.keys()}  # noqa: SIM118  # no mapping
        own = dict(full_tensors(model, next(base.parameters()).dtype, adapter=False))
        spare = held.keys() - own.keys()
        tied = bool(getattr(base.config.get_text_config(), "tie_word_embeddings", False))
        if own.keys() - held.keys() or (spare and not (tied and spare == {"lm_head.weight"})):
            return False
        return all(_equal(tensor, held[name].get_tensor(name)) for name, tensor in own.items())
    except (OSError, ValueError, SafetensorError):
        return False


def _equal(own: Tensor, saved: Tensor) -> bool:
    return own.shape == saved.shape and torch.equal(own, saved.to(own.device, own.dtype))


def _formulas(config: Any) -> dict[str, Any]:
    return {name: value for name, value in config.to_dict().items() if name not in _SAID_OTHERWISE}


def weight_files(place: str) -> list[str]:
    """The safetensors files of a model that lies here. Raises OSError where there are none."""
    from transformers.utils.hub import cached_file, get_checkpoint_shard_files

    found: Any = cached_file(place, "model.safetensors", local_files_only=True, _raise_exceptions_for_missing_entries=False)
    if found is not None:
        return [found]
    index = cached_file(place, "model.safetensors.index.json", local_files_only=True)
    return list(get_checkpoint_shard_files(place, index, local_files_only=True)[0])
