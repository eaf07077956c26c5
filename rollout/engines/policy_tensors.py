"""A policy's module as tensors under the names that checkpoints use, for engines that hold a copy of their own.

It decides what travels: a plain LoRA as its adapter, everything else (full policies, and adapters that inference engines do not
know, such as DoRA) as the full weights that it amounts to. Merging never touches the policy: peft's own merge and unmerge would
leave rounding behind. Not covered: parameters sharded over processes.
"""

import copy
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rollout.engine import PolicyWeights

SHARD_BYTES = 4 * 2**30
MEMORY_FOLDER = Path("/dev/shm")


def base_model(module: nn.Module) -> Any:
    """The transformers model itself, with or without peft around it."""
    return module.get_base_model() if hasattr(module, "get_base_model") else module


def computing_dtype(weights: PolicyWeights) -> torch.dtype:
    """In which an engine of its own should hold the policy."""
    if weights.autocast:
        found: torch.dtype = getattr(torch, weights.autocast)
        return found
    return next(weights.module.parameters()).dtype


def plain_adapter(module: nn.Module) -> Any | None:
    """The LoRA config of a policy whose adapter an inference engine can take as it is; None for all others."""
    configs = getattr(module, "peft_config", None)
    if not configs:
        return None
    config = configs[module.active_adapter]
    special = (
        "use_dora",
        "use_rslora",
        "modules_to_save",
        "rank_pattern",
        "alpha_pattern",
        "lora_bias",
        "trainable_token_indices",
        "target_parameters",
    )
    if str(getattr(config.peft_type, "value", config.peft_type)) != "LORA" or config.bias != "none":
        return None
    if any(getattr(config, name, None) for name in special):
        return None
    head = base_model(module).get_output_embeddings()
    adapted = adapted_modules(module).values()
    plain = all(isinstance(layer.get_base_layer(), nn.Linear) and layer is not head for layer in adapted)
    return config if plain else None


def adapted_modules(module: nn.Module) -> dict[str, Any]:
    """The layers that carry an adapter, by name."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return {name: layer for name, layer in module.named_modules() if isinstance(layer, BaseTunerLayer)}


def full_tensors(module: nn.Module, dtype: torch.dtype, *, adapter: bool = True) -> Iterator[tuple[str, Tensor]]:
    """Every weight once, in `dtype`, named as in the model's checkpoints; with the adapter merged in, or left out.

    Tied weights appear once, under the name that comes first (the input embeddings).
    """
    base = base_model(module)
    tensors: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in _walk_tensors(base, "", adapter):
        if id(tensor) not in seen:
            seen.add(id(tensor))
            tensors[name] = tensor
    for name, tensor in _as_saved(base, tensors).items():
        tensor = tensor.detach()
        yield name, tensor.to(dtype) if tensor.is_floating_point() else tensor


def save_model_folder(module: nn.Module, folder: Path, dtype: torch.dtype, *, adapter: bool, shard_bytes: int = SHARD_BYTES) -> int:
    """A folder that inference engines start from (config and safetensors; no tokenizer). Returns the bytes written.

    A shard at a time is held in memory beside the model.
    """
    from safetensors.torch import save_file

    base = base_model(module)
    config = copy.deepcopy(base.config)
    config.architectures = [type(base).__name__]
    config.dtype = dtype
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    shard: dict[str, Tensor] = {}
    shard_of: dict[str, str] = {}
    written, size = 0, 0

    def write() -> None:
        nonlocal written, size
        name = f"model-{len(set(shard_of.values())):05}.safetensors"
        save_file(shard, folder / name, metadata={"format": "pt"})
        shard_of.update(dict.fromkeys(shard, name))
        written, size = written + size, 0
        shard.clear()

    for name, tensor in full_tensors(module, dtype, adapter=adapter):
        shard[name] = tensor.cpu().contiguous()
        size += tensor.numel() * tensor.element_size()
        if size >= shard_bytes:
            write()
    if shard:
        write()
    index = {"metadata": {"total_size": written}, "weight_map": shard_of}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    return written


def save_adapter(module: nn.Module, folder: Path, dtype: torch.dtype) -> int:
    """The adapter alone, in peft's format. Returns the bytes written."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    peft_model: Any = module
    name = peft_model.active_adapter
    state = get_peft_model_state_dict(peft_model, adapter_name=name, save_embedding_layers=False)
    tensors = {key: value.detach().to("cpu", dtype).contiguous() for key, value in state.items()}
    save_file(tensors, folder / "adapter_model.safetensors")
    peft_model.peft_config[name].save_pretrained(folder)
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def handover_folder(needed_bytes: int, parent: Path | None = None) -> Path:
    """A new temporary folder: in `parent`, or in memory where there is room for it, else on disk. The caller deletes it."""
    if parent:
        return Path(tempfile.mkdtemp(prefix="reckon-", dir=parent)).resolve()
    in_memory = MEMORY_FOLDER.is_dir() and shutil.disk_usage(MEMORY_FOLDER).free > 2 * needed_bytes
    return Path(tempfile.mkdtemp(prefix="reckon-", dir=MEMORY_FOLDER if in_memory else None))


@contextmanager
def handed_over(module: nn.Module, dtype: torch.dtype, *, adapter: bool = True, parent: Path | None = None) -> Iterator[tuple[Path, int]]:
    """A folder as `save_model_folder` makes it, and the bytes written; both are gone after the block."""
    folder = handover_folder(sum(parameter.numel() for parameter in module.parameters()) * dtype.itemsize, parent)
    try:
        yield folder, save_model_folder(module, folder, dtype, adapter=adapter)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _walk_tensors(module: Any, prefix: str, adapter: bool) -> Iterator[tuple[str, Tensor]]:
    """Parameters and persistent buffers, each adapted layer as the plain layer that it stands for."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils import ModulesToSaveWrapper

    if isinstance(module, BaseTunerLayer):
        plain = _merged_layer(module) if adapter else module.get_base_layer()
        yield from _walk_tensors(plain, prefix, adapter)
        return
    if isinstance(module, ModulesToSaveWrapper):
        yield from _walk_tensors(module.modules_to_save[module.active_adapter] if adapter else module.original_module, prefix, adapter)
        return
    for name, parameter in module.named_parameters(recurse=False):
        yield prefix + name, parameter
    for name, buffer in module.named_buffers(recurse=False):
        if name not in module._non_persistent_buffers_set:
            yield prefix + name, buffer
    for name, child in module.named_children():
        yield from _walk_tensors(child, f"{prefix}{name}.", adapter)


def _merged_layer(layer: Any) -> nn.Module:
    """The plain layer with the adapter in its weights, made on a copy."""
    duplicate = copy.deepcopy(layer)
    with torch.no_grad():
        duplicate.merge()
    plain: nn.Module = duplicate.get_base_layer()
    return plain


def _as_saved(model: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names and layouts of checkpoints, where transformers computes with others (fused experts, for example)."""
    try:
        from transformers.core_model_loading import revert_weight_conversion
    except ImportError:  # versions that compute with what they load
        return tensors
    saved: dict[str, Tensor] = revert_weight_conversion(model, tensors)
    return saved
