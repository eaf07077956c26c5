"""Reference scores made once and kept on disk: while the policy trains, nobody else is in memory or scored.

A folder holds parts, each the scores of a batch's sequences, and `scores.json`, which says of what weights and data they are. A sequence
is known by its tokens and its mask, so that the order of the data, the size of a step and the loop are free. Parts are written whole; a
process that was killed scores again the part that it was at. Objectives that score further sequences while they train (KTO's mismatched
pairs) cannot be served from here.
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from rl.learning.learner import Learner
from rl.objectives.batch import Batch, trained
from rollout.progress import watched
from verifiers.atomic_files import atomic_path, read_file, write_json
from verifiers.input_error import InputError, first_line

VERSION = 1


class KeptScores:
    """A Reference that looks its scores up. Nothing resets it."""

    def __init__(self, found: Mapping[bytes, Float[Tensor, "T"]]):
        self.found = found

    def score(self, batch: Batch) -> Float[Tensor, "N"]:
        """Raises ValueError for a sequence that was not scored."""
        digests = _digests(batch)
        if not self.found.keys() >= set(digests):
            raise ValueError("a sequence of the step is not among the kept reference scores")
        kept = torch.cat([self.found[digest] for digest in digests])
        scores = kept.new_zeros(len(batch.tokens))
        scores[batch.mask.cpu()] = kept
        return scores

    def reset(self) -> None:
        raise ValueError("kept reference scores are of one model and cannot be reset")

    def follow(self) -> None: ...

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...

    def checkpoint_bytes(self) -> int:
        return 0


def kept_scores(folder: Path, part: Callable[[int], Batch], parts: int, learner: Learner, *, option: str) -> KeptScores:
    """The learner's scores of parts 0, 1, ... as it is now: from `folder` as far as they are there, made and kept otherwise.

    Raises InputError, naming `option`, where the folder's are of other weights or data, or cannot be read.
    """
    data = _data_digest(map(part, range(parts)))
    told = {"version": VERSION, "model": weights_digest(learner), "data": data, "parts": parts}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{option} {folder}: no folder can be made there ({error.strerror}); give another place") from error
    note = folder / "scores.json"
    if note.exists():
        _require_same(told, note, folder, option)
    else:
        write_json(note, told)
    found: dict[bytes, Tensor] = {}
    with watched("scoring with the reference", parts, after=10.0) as progress:
        for number in range(parts):
            found |= _part(folder / f"part-{number:05d}.safetensors", part(number), learner, option)
            progress.finished(1)
    return KeptScores(found)


def _part(path: Path, batch: Batch, learner: Learner, option: str) -> Mapping[bytes, Tensor]:
    digests, counts = _digests(batch), trained(batch).tolist()
    if not path.exists():
        scores = learner.score(batch)[batch.mask]
        with atomic_path(path) as temporary:
            save_file({"scores": scores}, temporary)
    try:
        scores = load_file(path)["scores"]
        if scores.shape != (sum(counts),) or not scores.is_floating_point():
            raise ValueError(f"it holds {tuple(scores.shape)} numbers for {sum(counts)} tokens")
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise InputError(
            f"{option} {path.parent}: {path.name} is damaged ({first_line(error)}); delete it, and it is made again"
        ) from error
    return dict(zip(digests, torch.split(scores, counts), strict=True))


def _require_same(told: Mapping[str, Any], note: Path, folder: Path, option: str) -> None:
    try:
        stored = json.loads(read_file(note))
        if not isinstance(stored, dict):
            raise ValueError("it holds no object")
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{option} {folder}: its scores.json cannot be read ({first_line(error)}); delete the folder, or give another"
        ) from error
    wrong = {"version": "another version of Reckon", "model": "another model", "data": "other data", "parts": "other data"}
    for key, what in wrong.items():
        if stored.get(key) != told[key]:
            raise InputError(f"{option} {folder}: the scores there are of {what}; give another folder, or delete it to have them made anew")


# --- what was scored, and by whom ----------------------------------------------------------------------------------------


def weights_digest(learner: Learner) -> str:
    """Of the model as it is now, whatever adapter it is wrapped in; of a fresh adapter, which changes nothing, nothing is counted."""
    fresh = learner.lora is not None and not any(p.any() for name, p in learner.trainable.items() if "lora_B" in name)
    digest = hashlib.sha256()
    for name, tensor in sorted(learner.model.state_dict().items()):
        if fresh and ".lora_" in name:
            continue
        digest.update(f"{_plain(name)} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data if tensor.dim() else repr(tensor.item()).encode())
    return digest.hexdigest()


def _plain(name: str) -> str:
    """A parameter's name as it is without an adapter around the model."""
    return name.removeprefix("base_model.model.").replace(".base_layer.", ".")


def _data_digest(batches: Iterable[Batch]) -> str:
    digest = hashlib.sha256()
    for batch in batches:
        for each in _digests(batch):
            digest.update(each)
    return digest.hexdigest()


def _digests(batch: Batch) -> list[bytes]:
    """What each sequence is known by: its tokens and which of them train."""
    starts = [*batch.first.tolist(), len(batch.tokens)]
    tokens, mask = batch.tokens.cpu().numpy().astype(np.int64), batch.mask.cpu().numpy()
    return [hashlib.sha256(tokens[begin:end].tobytes() + mask[begin:end].tobytes()).digest() for begin, end in itertools.pairwise(starts)]
