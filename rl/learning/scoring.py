"""The columns that an objective reads, scored before the step: no gradient, from the reference and whoever else is needed."""

from collections.abc import Collection, Mapping

from torch import Tensor

from rl.learning.reference import Reference
from rl.objectives.batch import Batch


def prepare(batch: Batch, reads: Collection[str], *, reference: Reference | None) -> Mapping[str, Tensor]:
    """The columns of `reads` that the batch lacks. Raises ValueError where nobody can score one."""
    found: dict[str, Tensor] = {}
    for name in reads:
        if name in batch.columns:
            continue
        if name != "ref_logp":
            raise ValueError(f"nobody knows how to score the column {name!r}")
        if reference is None:
            raise ValueError("the objective is measured against a reference, and there is none")
        found[name] = reference.score(batch)
    return found
