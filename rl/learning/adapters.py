"""Low-rank adapters on a frozen model: peft's, with what it would let pass refused."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rl.saving.quantization import Quantization
from verifiers.input_error import InputError, did_you_mean, first_line

OTHER_BASE = "give the model that it was trained on, or another adapter"


@dataclass(frozen=True)
class Lora:
    """A low-rank adapter (arXiv:2106.09685); `dora` decomposes weights into direction and magnitude (arXiv:2402.09353)."""

    rank: int = 16
    alpha: float = 32.0
    target_modules: str | tuple[str, ...] = "all-linear"
    dora: bool = False
    rslora: bool = False
    """Scale alpha / sqrt(rank) instead of alpha / rank (arXiv:2312.03732)."""
    plus: float = 1.0
    """Learning rate of the matrices B over that of A (LoRA+, arXiv:2402.12354)."""
    quantization: Quantization | None = None
    """In what the frozen base lies under it (QLoRA, arXiv:2305.14314); None: as it was read."""


def with_adapter(model: nn.Module, lora: Lora) -> nn.Module:
    """The model with its parameters frozen and a fresh adapter that changes nothing yet; one with an adapter on it keeps that.

    Raises InputError for an adapter on weights that two modules share: merged, it would change both, trained it changed one; and for a name
    that no module has, which would otherwise get no adapter in silence.
    """
    if getattr(model, "peft_config", None):
        return model
    from peft import LoraConfig, get_peft_model

    targets = lora.target_modules if isinstance(lora.target_modules, str) else list(lora.target_modules)
    if isinstance(targets, list):
        _require_modules(model, targets)
    shared = _shared_modules(model)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Model has `tie_word_embeddings=True`")  # that is refused below
        alpha: Any = _as_int_if_whole(lora.alpha)
        config = LoraConfig(
            r=lora.rank, lora_alpha=alpha, target_modules=targets, use_dora=lora.dora, use_rslora=lora.rslora, task_type="CAUSAL_LM"
        )
        try:
            adapted = get_peft_model(model, config)  # type: ignore[arg-type]  # any PreTrainedModel
        except ValueError as error:  # a module of a kind that has no low-rank update, such as a norm
            raise InputError(f"--lora-targets: {first_line(error):.200}") from error
    _refuse_tied(adapted, shared)
    return adapted


def _require_modules(model: nn.Module, targets: Sequence[str]) -> None:
    names = [name for name, _ in model.named_modules()]
    leaves = sorted({name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, nn.Linear)})
    for target in targets:
        if not target or not any(name == target or name.endswith(f".{target}") for name in names):
            hint = did_you_mean(target, leaves) or f"; it has {', '.join(leaves)}"
            raise InputError(f"--lora-targets {target or repr(target)}: the model has no such module{hint}")


def with_saved_adapter(model: nn.Module, folder: str, *, trainable: bool = False) -> Any:
    """The model with a saved LoRA on it, and its own parameters frozen. Raises InputError where that was made for another model."""
    from peft import PeftModel, get_peft_model_state_dict

    shared = _shared_modules(model)
    try:
        adapted = PeftModel.from_pretrained(model, folder, is_trainable=trainable)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # peft, safetensors and torch have each their own
        raise InputError(f"the adapter {folder} does not fit the model under it: {first_line(error):.200}; {OTHER_BASE}") from error
    require_tensors(folder, get_peft_model_state_dict(adapted, save_embedding_layers=False))
    if trainable:
        _refuse_tied(adapted, shared)
    return adapted


def require_tensors(folder: str, own: Mapping[str, Tensor]) -> None:
    """Raises InputError unless the saved adapter has all of these tensors: peft would leave those that it lacks at random, and warn."""
    saved = adapter_shapes(folder)
    if lost := sorted(name for name, tensor in own.items() if saved and saved.get(name) != tuple(tensor.shape)):
        raise InputError(
            f"the adapter {folder} does not fit the model under it: {len(lost)} of {len(own)} tensors are missing or of another shape, "
            f"first {lost[0]}; {OTHER_BASE}"
        )


def adapter_shapes(folder: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a saved adapter's tensors, from the file's header; none for one in torch's format. Raises InputError."""
    from safetensors import SafetensorError, safe_open

    file = Path(folder) / "adapter_model.safetensors"
    if not file.is_file():
        if file.with_suffix(".bin").is_file():
            return {}
        raise InputError(f"the adapter {folder} has no adapter_model.safetensors; restore it")
    try:
        with safe_open(file, "pt") as tensors:
            return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118  # no mapping
    except (SafetensorError, OSError) as error:
        raise InputError(f"{file} is damaged: {first_line(error):.200}; restore it") from error


def saved_lora(folder: str) -> Lora:
    """What an adapter was made with, from its adapter_config.json. `find_model` has looked at it before."""
    from peft import LoraConfig

    config: Any = LoraConfig.from_pretrained(folder)
    targets = config.target_modules
    names = targets if isinstance(targets, str) else tuple(sorted(targets))
    return Lora(config.r, float(config.lora_alpha), names, config.use_dora, config.use_rslora)


def _refuse_tied(adapted: Any, shared: set[str]) -> None:
    if tied := sorted(shared & set(getattr(adapted.base_model, "targeted_module_names", ()))):
        raise InputError(
            f"--lora-targets: {tied[0]} shares its weights with another module of this model (a tied output head), so its adapter could "
            "not be merged into them; leave it out, or use --tune full"
        )


def _shared_modules(model: nn.Module) -> set[str]:
    """Names of the modules whose weight is another module's too."""
    owners: dict[int, list[str]] = {}
    for name, module in model.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor):
            owners.setdefault(id(weight), []).append(name)
    return {name for names in owners.values() if len(names) > 1 for name in names}


def _as_int_if_whole(alpha: float) -> Any:
    """peft documents an int and computes with any number: whole ones stay ints in the saved adapter's config."""
    return int(alpha) if alpha == int(alpha) else alpha
