"""What a preference loss is measured against: the policy as it began, another model, or scores that were kept on disk.

Without a word it is the policy as it began: the adapter switched off, which takes no memory, or a copy of what trains. Scores on disk are
made once, by whichever model it is, and looked up from then on: during training there is no second model and no second pass.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from recipes.actors.same_tokenizer import find_other
from rl.examples.batches import batch_of
from rl.examples.example import Example
from rl.learning.kept_scores import kept_scores
from rl.learning.learner import Learner
from rl.learning.reference import OtherModel, Reference, initial_reference
from rl.objectives.batch import Batch
from rl.objectives.objective import Objective
from rollout.progress import watched

UNITS_PER_PART = 256
OPTION = "--reference-model"


def make_reference(
    objective: Objective, learner: Learner, units: Sequence[tuple[Example, ...]], *, other: str | None, scores: Path | None
) -> Reference | None:
    """What the objective reads `ref_logp` from, None where it reads none. `units`: all that will be trained on."""
    if "ref_logp" not in objective.reads:
        return None
    if other is None and scores is None:
        return initial_reference(learner)
    scorer = learner
    if other is not None:
        dtype: Literal["fp32", "bf16"] = "bf16" if learner.autocast else "fp32"
        with watched(f"loading the reference {other}"):
            model = find_other(other, OPTION).load_model(dtype, lora=True)  # as narrow as a base that is frozen
            scorer = Learner(model, dtype=dtype, tokens_per_micro_batch=learner.tokens_per_micro_batch, layout=learner.layout)
    if scores is None:
        return OtherModel(scorer)

    def part(number: int) -> Batch:
        return batch_of(units[number * UNITS_PER_PART :][:UNITS_PER_PART])

    return kept_scores(scores, part, -(-len(units) // UNITS_PER_PART), scorer, option="--reference-scores")
