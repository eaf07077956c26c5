"""Low-rank adapters on a frozen model: peft's, with what it would let pass refused."""

import warnings
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from verifiers.input_error import InputError


@dataclass(frozen=True)
class Lora:
    """A low-rank adapter (arXiv:2106.09685); `dora` decomposes weights into direction and magnitude (arXiv:2402.09353)."""

    rank: int = 16
    alpha: float = 32.0
    target_modules: str | tuple[str, ...] = "all-linear"
    dora: bool = False


def with_adapter(model: nn.Module, lora: Lora) -> nn.Module:
    """The model with its parameters frozen and a fresh adapter that changes nothing yet.

    Raises InputError for an adapter on weights that two modules share: merged, it would change both, trained it changed one.
    """
    from peft import LoraConfig, get_peft_model

    targets = lora.target_modules if isinstance(lora.target_modules, str) else list(lora.target_modules)
    shared = _shared_modules(model)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Model has `tie_word_embeddings=True`")  # that is refused below
        adapted = get_peft_model(
            model,  # type: ignore[arg-type]  # any PreTrainedModel
            LoraConfig(
                r=lora.rank, lora_alpha=_as_int_if_whole(lora.alpha), target_modules=targets, use_dora=lora.dora, task_type="CAUSAL_LM"
            ),
        )
    if tied := sorted(shared & set(getattr(adapted.base_model, "targeted_module_names", ()))):
        raise InputError(
            f"--lora-targets: {tied[0]} shares its weights with another module of this model (a tied output head), so its adapter could "
            "not be merged into them; leave it out, or use --tune full"
        )
    return adapted


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
