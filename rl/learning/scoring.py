"""The columns that an objective reads, scored before the step: no gradient, from the reference and whoever else is needed."""

from collections.abc import Collection, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from rl.learning.critic import Critic
from rl.learning.learner import Learner
from rl.learning.reference import Reference
from rl.learning.teacher import Teacher
from rl.objectives.batch import Batch, by_row
from rl.objectives.preferences import chosen_length, mismatched, reference_point
from verifiers.input_error import InputError

_OF_OTHERS = {"teacher_logp": "teacher", "teacher_top_logp": "teacher", "ref_logp": "reference"}
"""Columns that another model says, which no update of the policy can have broken."""


def prepare(
    batch: Batch,
    reads: Collection[str],
    *,
    learner: Learner,
    reference: Reference | None,
    critic: Critic | None = None,
    teacher: Teacher | None = None,
) -> Mapping[str, Tensor]:
    """The columns of `reads` that the batch, one whole step, lacks. Raises ValueError where nobody can score one."""
    wanted = [name for name in reads if name not in batch.columns]
    taught = [name for name in wanted if name.startswith("teacher_")]
    if taught and teacher is None:
        raise ValueError(f"{taught[0]} is a teacher's to say, and there is none")
    said = teacher.columns(batch, taught) if teacher and taught else {}
    found = {name: said[name] if name in said else _column(name, batch, learner, reference, critic) for name in wanted}
    for name in found.keys() & _OF_OTHERS.keys():
        if bool(found[name].isnan().any()):
            raise InputError(f"the {_OF_OTHERS[name]} says log-probabilities that are no numbers: its weights hold none; give another")
    return found


def _column(name: str, batch: Batch, learner: Learner, reference: Reference | None, critic: Critic | None) -> Tensor:
    if name == "chosen_length":
        return chosen_length(batch)
    if name == "policy_logp":
        return learner.score(batch)
    if name in ("value", "value_after"):
        if critic is None:
            raise ValueError("the algorithm asks what a text is worth, and there is no critic")
        return critic.value(batch) if name == "value" else critic.value_after(batch)
    if name not in ("ref_logp", "z0"):
        raise ValueError(f"nobody knows how to score the column {name!r}")
    if reference is None:
        raise ValueError("the objective is measured against a reference, and there is none")
    return reference.score(batch) if name == "ref_logp" else _reference_point(batch, learner, reference)


def _reference_point(batch: Batch, learner: Learner, reference: Reference) -> Float[Tensor, "B"]:
    """KTO's z0 of the step, the same in every row; 0 where all prompts are equal, so that there is no mismatched pair."""
    others = mismatched(batch, most=getattr(learner.model.config.get_text_config(), "max_position_embeddings", None))
    if others is None:
        return torch.zeros(len(batch))
    point = reference_point(by_row(learner.score(others) - reference.score(others), others))
    return point.expand(len(batch)).clone()
