"""What an update saw of every sampled token, as `rollout/token_store.py` keeps it: made out of what was computed anyway, nothing anew."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from rl.learning.update_stats import PLACE, UpdateStats
from rl.objectives.batch import Batch


def with_places(batch: Batch) -> Batch:
    """The same with a column of each token's number, by which what passes see of it finds back, however the batch is cut."""
    return batch.with_columns({PLACE: torch.arange(len(batch.tokens), dtype=torch.int32)})


def token_record(batch: Batch, steps: Sequence[UpdateStats]) -> tuple[list[int], dict[str, Shaped[np.ndarray, "T"]]]:
    """(tokens of each completion, columns of the store) of a whole step and the updates that were made of it, the last one counting."""
    own = batch.completion
    seen = {name: torch.full((len(batch.tokens),), float("nan")) for name in ("logp", "entropy")}
    for stats in steps:
        for places, terms in stats.seen:
            for name in seen.keys() & terms.keys():
                seen[name][places.long()] = terms[name].float()
    sampler = batch.column("sampler_logp").float()
    found: dict[str, Tensor] = {"trains": batch.mask, "log_ratio": seen["logp"] - sampler, "entropy": seen["entropy"]}
    found |= {name: column for name in ("advantage", "value") if (column := batch.columns.get(name)) is not None}
    if (reference := batch.columns.get("ref_logp")) is not None:
        found["ref_log_ratio"] = torch.where(batch.mask, sampler - reference, float("nan"))
    lengths = (batch.lengths - batch.prompt_length).tolist()
    return lengths, {name: _of_tokens(column, batch)[own].cpu().numpy() for name, column in _said(found).items()}


def _said(columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of which any token has a number."""
    return {name: column for name, column in columns.items() if not column.isnan().all()}


def _of_tokens(column: Tensor, batch: Batch) -> Tensor:
    column = column.detach().cpu()
    return column if len(column) == len(batch.tokens) else column[batch.row]
