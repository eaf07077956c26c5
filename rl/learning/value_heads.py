"""Value heads on the disk: one small file beside a model or an adapter, which a critic or a reward model begins from."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rl.learning.learner import HEAD_FILE as FILE
from rl.learning.learner import VALUE_HEAD, Learner
from rl.learning.model_loading import is_classifier
from rl.learning.starting_model import weight_files
from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError, first_line

SCORE = "score.weight"
"""The head of a transformers sequence classifier."""


def save_value_head(learner: Learner, folder: Path, *, whole: bool) -> None:
    """The learner's head, and where it is `whole` its model or adapter too: all or nothing."""
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        if whole:
            learner.save_model(temporary)
        learner.save_head(temporary)


def load_value_head(places: Sequence[str]) -> Tensor | None:
    """[1 H], from the first of the folders that has one, or of a sequence classifier among them; None where none has.

    Raises InputError for a damaged file.
    """
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    for place in places:
        file = Path(place) / FILE
        try:
            if file.is_file():
                weight = load_file(file)["weight"]
            elif is_classifier(place):
                files = [safe_open(file, "pt") for file in weight_files(place)]
                held = {name: file for file in files for name in file.keys()}  # noqa: SIM118  # no mapping
                weight = held[SCORE].get_tensor(SCORE).float()
            else:
                continue
        except (SafetensorError, OSError, KeyError) as error:
            what = file if file.is_file() else place
            raise InputError(f"{what} is damaged: {first_line(error):.200}; restore it") from error
        if weight.dim() != 2 or len(weight) != 1 or not torch.isfinite(weight).all():
            raise InputError(f"{file} holds no value head of one number ({tuple(weight.shape)}); restore it")
        return weight
    return None


def head_facts(places: Sequence[str]) -> Mapping[str, str]:
    """What was written of the head that `load_value_head` finds; nothing of a critic's or a classifier's."""
    from safetensors import SafetensorError, safe_open

    for place in places:
        if (file := Path(place) / FILE).is_file():
            try:
                with safe_open(file, "pt") as opened:
                    return dict(opened.metadata() or {})
            except (SafetensorError, OSError) as error:
                raise InputError(f"{file} is damaged: {first_line(error):.200}; restore it") from error
    return {}


def write_classifier(learner: Learner, folder: Path, tokenizer: Any) -> None:
    """A full learner as a transformers sequence classifier of one number, which `AutoModelForSequenceClassification` reads.

    It scores at the last token before its pads: a text must end as it did in training, with its end-of-turn token. Raises InputError for
    a model that has no such form.
    """
    from transformers import AutoModelForSequenceClassification

    causal = learner.model
    config = copy.deepcopy(causal.config)
    config.num_labels, config.pad_token_id = 1, tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    try:
        with torch.device("meta"):
            model: Any = AutoModelForSequenceClassification.from_config(config, trust_remote_code=False)
        getattr(model, model.base_model_prefix)
    except (ValueError, AttributeError) as error:
        raise InputError(f"a model of type {config.model_type} has no form as a sequence classifier: {first_line(error):.200}") from error
    head = {"score.weight": learner.trainable[VALUE_HEAD].detach()}
    backbone = getattr(causal, causal.base_model_prefix).state_dict(prefix=f"{model.base_model_prefix}.")
    model.load_state_dict({**backbone, **head}, assign=True)
    with atomic_path(folder) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
