"""Who says what a teacher would have said: of the tokens that a policy sampled, or of its own most likely ones at each place.

A model in this process says both. An engine, or a server that somebody else runs, holds a teacher that does not fit beside the policy: they
are asked for log-probabilities of whole sequences. Nobody updates a teacher.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from rl.learning.learner import Learner
from rl.objectives.batch import Batch
from verifiers.input_error import InputError

LOGP, TOP, TOP_LOGP = "teacher_logp", "teacher_top", "teacher_top_logp"


@runtime_checkable
class Teacher(Protocol):
    """Anything with this method."""

    def columns(self, batch: Batch, names: Collection[str]) -> Mapping[str, Tensor]:
        """Of the masked tokens, at the batch's temperature; 0 elsewhere.

        `teacher_logp` [N] of each token; `teacher_top` [N K], the ids that the teacher finds most likely in its place; `teacher_top_logp`
        [N K+1] of these, then of all others together. Raises ValueError for one that it cannot say.
        """


class ModelTeacher:
    """A model of its own, of the policy's tokenizer."""

    def __init__(self, learner: Learner, *, top: int = 64, policy_vocabulary: int | None = None):
        """`top`: K. `policy_vocabulary`: ids that the policy has; a larger teacher's others are among the rest."""
        self.learner, self.top, self.below = learner, top, policy_vocabulary
        if not 0 < top < min(learner.vocabulary, policy_vocabulary or learner.vocabulary):
            raise ValueError(f"of {learner.vocabulary} tokens the {top} most likely and others cannot be told apart")

    def columns(self, batch: Batch, names: Collection[str]) -> Mapping[str, Tensor]:
        if len(batch.tokens) and int(batch.tokens.max()) >= self.learner.vocabulary:
            raise InputError(
                f"the policy sampled the token {int(batch.tokens.max())}, which its teacher's {self.learner.vocabulary} have not; give a "
                "teacher with as many"
            )
        found: dict[str, Tensor] = {}
        if LOGP in names:
            found[LOGP] = self.learner.score(batch)
        if TOP in names or TOP_LOGP in names:
            found[TOP], found[TOP_LOGP] = self.learner.top(batch, self.top, below=self.below)
        return {name: found[name] for name in names}


@runtime_checkable
class TokenScorer(Protocol):
    """What an engine's or server's `score` is."""

    def score(self, sequences: Sequence[Sequence[int]], *, temperature: float = 1.0) -> list[list[float]]:
        """Log-probability of each token given those before it; the first of a sequence has 0.0."""


class EngineTeacher:
    """A teacher behind an engine or a server. It says `teacher_logp` alone."""

    def __init__(self, engine: TokenScorer):
        self.engine = engine

    def columns(self, batch: Batch, names: Collection[str]) -> Mapping[str, Tensor]:
        if set(names) != {LOGP}:
            raise ValueError(f"an engine says {LOGP} alone, and not {', '.join(sorted(set(names) - {LOGP}))}")
        rows = torch.bincount(batch.row[batch.mask], minlength=len(batch)).nonzero().squeeze(1).tolist()
        sequences = [part.tolist() for part in batch.tokens.split(batch.lengths.tolist())]
        scores = self.engine.score([sequences[row] for row in rows], temperature=batch.temperature)
        found = torch.zeros(len(batch.tokens))
        first = batch.first.tolist()
        for row, said in zip(rows, scores, strict=True):
            found[first[row] : first[row] + len(said)] = torch.tensor(said)
        return {LOGP: torch.where(batch.mask, found, 0.0)}
