"""Plain models on disk, read a tensor at a time and written a shard at a time: several can be put together that do not fit in memory.

Only safetensors: a model in another format is written as a plain one first (`write_plain_model`).
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from verifiers.atomic_files import read_file
from verifiers.input_error import InputError, first_line

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


def has_weights(folder: Path) -> bool:
    """Whether a plain model's weights lie there as safetensors."""
    return (folder / SINGLE).is_file() or (folder / INDEX).is_file()


@dataclass(frozen=True)
class Weights:
    """An open model's tensors by name."""

    folder: Path
    shards: dict[str, list[str]]
    """Names of tensors by file, as they lie there."""
    files: dict[str, Any]

    @property
    def place(self) -> dict[str, str]:
        return {name: file for file, names in self.shards.items() for name in names}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """From the headers: no tensor is read."""
        return {name: tuple(self.files[file].get_slice(name).get_shape()) for name, file in self.place.items()}

    def __getitem__(self, name: str) -> Tensor:
        tensor: Tensor = self.files[self.place[name]].get_tensor(name)
        return tensor


@contextmanager
def open_weights(folder: Path) -> Iterator[Weights]:
    """The tensors of a folder that `save_pretrained` wrote. Raises InputError where they are missing, damaged or elsewhere."""
    with ExitStack() as opened:
        yield _opened(folder, opened)


def _opened(folder: Path, opened: ExitStack) -> Weights:
    from safetensors import SafetensorError, safe_open

    try:
        names = [SINGLE]
        if (folder / INDEX).is_file():
            names = sorted(set(json.loads(read_file(folder / INDEX))["weight_map"].values()))
            if elsewhere := [name for name in names if Path(name).name != name]:
                raise ValueError(f"its index names {elsewhere[0]!r:.80}, which is no file of the folder")
        files = {name: opened.enter_context(safe_open(folder / name, "pt")) for name in names}
        return Weights(folder, {name: list(file.keys()) for name, file in files.items()}, files)
    except (SafetensorError, OSError, LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"the weights in {folder} cannot be read: {first_line(error):.200}; restore them") from error


def write_weights(folder: Path, shards: dict[str, list[str]], make: Callable[[str], Tensor]) -> None:
    """The tensors of these names, one file in memory at a time, as `from_pretrained` reads them."""
    from safetensors.torch import save_file

    size = 0
    for file, names in shards.items():
        tensors = {name: make(name).contiguous() for name in names}
        save_file(tensors, folder / file, metadata={"format": "pt"})
        size += sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if list(shards) != [SINGLE]:
        places = {name: file for file, names in shards.items() for name in names}
        index = {"metadata": {"total_size": size}, "weight_map": places}
        (folder / INDEX).write_text(json.dumps(index, indent=2), encoding="utf-8")
