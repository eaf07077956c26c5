"""Weights on disk: what is written is read back, and an index neither reads nor writes outside of its folder."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from rl.interpolation.weight_files import open_weights, write_weights
from verifiers.input_error import InputError

SHARDS = {"model-1.safetensors": ["a", "b"], "model-2.safetensors": ["c"]}


def tensor(name: str) -> torch.Tensor:
    return torch.full((2, 3), float(ord(name)))


def test_shards_are_read_back_by_name(tmp_path: Path) -> None:
    write_weights(tmp_path, SHARDS, tensor)
    with open_weights(tmp_path) as weights:
        assert weights.shapes() == dict.fromkeys("abc", (2, 3))
        assert weights.shards == SHARDS
        assert all(torch.equal(weights[name], tensor(name)) for name in "abc")


@pytest.mark.parametrize("file", ["../model-2.safetensors", "/model-2.safetensors", "deeper/model-2.safetensors", "..", "", 2, ["a"], None])
def test_an_index_that_leaves_its_folder_is_one_line(file: Any, tmp_path: Path) -> None:
    """What is merged is written in files of the names that the first model's have."""
    folder = tmp_path / "model"
    folder.mkdir()
    write_weights(folder, SHARDS, tensor)
    (tmp_path / "model-2.safetensors").write_bytes((folder / "model-2.safetensors").read_bytes())
    index = folder / "model.safetensors.index.json"
    stored = json.loads(index.read_text())
    stored["weight_map"]["c"] = str(tmp_path) + file if file == "/model-2.safetensors" else file
    index.write_text(json.dumps(stored))
    with pytest.raises(InputError, match=r"the weights in .*/model cannot be read: .*; restore them"), open_weights(folder):
        pass


@pytest.mark.parametrize("damage", ["[" * 100_000, "[]", "{}", '{"weight_map": []}', "\u2028{"])
def test_a_damaged_index_is_one_line(damage: str, tmp_path: Path) -> None:
    write_weights(tmp_path, SHARDS, tensor)
    (tmp_path / "model.safetensors.index.json").write_text(damage)
    with pytest.raises(InputError, match=r"cannot be read: .*; restore them"), open_weights(tmp_path):
        pass
