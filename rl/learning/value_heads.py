"""Value heads on the disk: one small file beside a model or an adapter, which a critic or a reward model begins from."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from rl.learning.learner import VALUE_HEAD, Learner
from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError, first_line

FILE = "value_head.safetensors"


def save_value_head(learner: Learner, folder: Path, *, whole: bool) -> None:
    """The learner's head, and where it is `whole` its model or adapter too: all or nothing."""
    from safetensors.torch import save_file

    with atomic_path(folder) as temporary:
        temporary.mkdir()
        if whole:
            learner.save_model(temporary)
        save_file({"weight": learner.trainable[VALUE_HEAD].detach().cpu().contiguous()}, temporary / FILE)


def load_value_head(places: Sequence[str]) -> Tensor | None:
    """[1 H], from the first of the folders that has one; None where none has. Raises InputError for a damaged file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    for place in places:
        file = Path(place) / FILE
        if not file.is_file():
            continue
        try:
            weight = load_file(file)["weight"]
        except (SafetensorError, OSError, KeyError) as error:
            raise InputError(f"{file} is damaged: {first_line(error):.200}; restore it") from error
        if weight.dim() != 2 or len(weight) != 1 or not torch.isfinite(weight).all():
            raise InputError(f"{file} holds no value head of one number ({tuple(weight.shape)}); restore it")
        return weight
    return None
