"""A causal language model from a hub id or folder, whole, and made fit to be trained and sampled from in turn."""

import copy
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, GenerationConfig

from rl.forward.fused_layers import fuse
from rl.saving.recompute import recompute_layers
from rl.saving.savings import Savings
from rollout.chat import own_code
from rollout.interruption import raise_if_interrupted
from rollout.modules.linear_products import quicken
from verifiers.input_error import InputError, first_line

Dtype = Literal["fp32", "bf16"]


def load_model(name: str, dtype: Dtype = "fp32", *, lora: bool = False, judges: bool = False) -> nn.Module:
    """Any AutoModelForCausalLM of a hub id or folder. Raises InputError in one line where there is none, or not all of its weights.

    One that is stored in float64 stays so where float32 is asked for.

    `judges`: it is asked for a value or score alone, so it may be a transformers sequence classifier of one number too. Its language-model
    head then says nothing.
    """
    width = torch.bfloat16 if dtype == "bf16" and lora else torch.float64 if dtype == "fp32" and _is_double(name) else torch.float32
    remedy = "give a hub id, or a folder that save_pretrained wrote"
    try:
        if is_classifier(name):
            return _classifier(name, width, judges=judges)
        model, seen = AutoModelForCausalLM.from_pretrained(name, dtype=width, trust_remote_code=False, output_loading_info=True)
    except (MemoryError, torch.OutOfMemoryError, InputError):
        raise
    except Exception as error:  # transformers, safetensors and each model's own code have each theirs for files that are not a model's
        raise InputError(own_code(name, error) or f"cannot load a model from {name!r}: {first_line(error)} ({remedy})") from error
    if lost := sorted(seen["missing_keys"]):  # transformers makes random ones, and warns
        raise InputError(f"the model {name!r} lacks {len(lost)} of its tensors, such as {lost[0]}, which would be random; {remedy}")
    return model


def is_classifier(name: str) -> bool:
    """Whether a model is a transformers sequence classifier, as reward models on the hub are (`score.weight`)."""
    return any(each.endswith("ForSequenceClassification") for each in getattr(_config(name), "architectures", None) or [])


def _is_double(name: str) -> bool:
    return getattr(_config(name), "dtype", None) == torch.float64


def _config(name: str) -> Any:
    """None where it cannot be read: whoever reads the model says what is wrong with it."""
    try:
        return AutoConfig.from_pretrained(name, trust_remote_code=False)
    except Exception:  # noqa: BLE001
        return None


def _classifier(name: str, width: torch.dtype, *, judges: bool) -> nn.Module:
    """The backbone of a sequence classifier as a causal model. Raises InputError where no score is asked for, or it gives several."""
    if not judges:
        raise InputError(f"{name!r} is a sequence classifier (a reward model), which samples nothing; give it as a reward or a critic")
    found: Any
    found, seen = AutoModelForSequenceClassification.from_pretrained(name, dtype=width, trust_remote_code=False, output_loading_info=True)
    if found.config.num_labels != 1:
        raise InputError(f"{name!r} gives {found.config.num_labels} numbers for a text; a reward model gives one (num_labels 1)")
    if lost := sorted(seen["missing_keys"]):
        raise InputError(f"the model {name!r} lacks {len(lost)} of its tensors, such as {lost[0]}, which would be random")
    with torch.device("meta"):
        causal: Any = AutoModelForCausalLM.from_config(found.config, trust_remote_code=False)
    setattr(causal, causal.base_model_prefix, getattr(found, found.base_model_prefix))
    causal.get_output_embeddings().weight = causal.get_input_embeddings().weight  # nobody asks what it says; so it takes no memory
    causal.config.name_or_path = name
    return causal  # type: ignore[no-any-return]


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


def prepare_model(model: nn.Module, *, gradient_checkpointing: bool, savings: Savings | None = None) -> None:
    """No dropout, the quicker library for its products, a backward pass that hears signals, sampling defaults that can be saved, and
    checkpoints where they are asked for."""
    savings = savings or Savings()
    _switch_off_dropout(model)
    quicken(model)
    if hasattr(model, "peft_config") and savings.recompute != "all-but-products":  # that keeps products, to which fused layers add
        fuse(model)
    _let_backward_be_interrupted(model)
    _make_generation_defaults_saveable(model)
    if gradient_checkpointing:
        recompute_layers(model, savings)


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
