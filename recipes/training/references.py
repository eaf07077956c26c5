"""What a preference loss is measured against: the policy as it began, another model, or scores that were kept on disk.

Without a word it is the policy as it began: the adapter switched off, which takes no memory, or a copy of what trains. Scores on disk are
made once, by whichever model it is, and looked up from then on: during training there is no second model and no second pass.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rl.examples.batches import batch_of
from rl.examples.example import Example
from rl.learning.kept_scores import kept_scores
from rl.learning.learner import Learner
from rl.learning.model_loading import Dtype, load_model
from rl.learning.reference import OtherModel, Reference, initial_reference
from rl.objectives.batch import Batch
from rl.objectives.objective import Objective
from rollout.chat import load_tokenizer
from rollout.progress import watched
from verifiers.input_error import InputError

UNITS_PER_PART = 256
_PROBE = "Let f(x) = 3x^2 - 12.5; so f'(2) = 12.\n\n  Zwölf — δ ≤ 1/√2, 東京 ✓\t<|im_end|>"


def check_same_tokenizer(model: str, own: Any, other: str) -> None:
    """Raises InputError where the reference splits text into other tokens than the policy."""
    theirs = load_tokenizer(other)
    mine, their = own.get_vocab(), theirs.get_vocab()
    odd = sorted(token for token in mine.keys() | their.keys() if mine.get(token) != their.get(token))
    if odd or own.encode(_PROBE) != theirs.encode(_PROBE):
        what = f"{len(odd):,} tokens differ, such as {odd[0]!r:.40}" if odd else "the same text becomes other tokens"
        raise InputError(f"--reference-model {other} has another tokenizer than --model {model} ({what}); give a model of the same family")


def make_reference(
    objective: Objective, learner: Learner, units: Sequence[tuple[Example, ...]], *, other: str | None, scores: Path | None
) -> Reference | None:
    """What the objective reads `ref_logp` from, None where it reads none. `units`: all that will be trained on."""
    if "ref_logp" not in objective.reads:
        return None
    if other is None and scores is None:
        return initial_reference(learner)
    scorer = learner
    dtype: Dtype = "bf16" if learner.autocast else "fp32"
    if other is not None:
        with watched(f"loading the reference {other}"):
            scorer = Learner(
                load_model(other, dtype, lora=True),
                dtype=dtype,
                tokens_per_micro_batch=learner.tokens_per_micro_batch,
                layout=learner.layout,
            )
    if scores is None:
        return OtherModel(scorer)

    def part(number: int) -> Batch:
        return batch_of(units[number * UNITS_PER_PART :][:UNITS_PER_PART])

    return kept_scores(scores, part, -(-len(units) // UNITS_PER_PART), scorer, option="--reference-scores")
