"""What a preference loss is measured against: the policy as it began, another model, or scores that were kept on disk.

Without a word it is the policy as it began: the adapter switched off, which takes no memory, or a copy of what trains. Scores on disk are
made once, by whichever model it is, and looked up from then on: during training there is no second model and no second pass.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from recipes.setup.model_source import ModelSource, find_model
from rl.examples.batches import batch_of
from rl.examples.example import Example
from rl.learning.kept_scores import kept_scores
from rl.learning.learner import Learner
from rl.learning.reference import OtherModel, Reference, initial_reference
from rl.objectives.batch import Batch
from rl.objectives.objective import Objective
from rollout.progress import watched
from verifiers.input_error import InputError

UNITS_PER_PART = 256
_PROBE = "Let f(x) = 3x^2 - 12.5; so f'(2) = 12.\n\n  Zwölf — δ ≤ 1/√2, 東京 ✓\t<|im_end|>"


def find_reference(place: str) -> ModelSource:
    """What stands there, as for --model: a model, a run, a checkpoint, an adapter. Raises InputError where nothing does."""
    try:
        return find_model(place)
    except InputError as error:
        raise InputError(str(error).replace("--model ", "--reference-model ", 1)) from error


def check_same_tokenizer(model: str, own: Any, other: str) -> None:
    """Raises InputError where the reference splits text into other tokens than the policy."""
    theirs = find_reference(other).load_tokenizer()
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
    if other is not None:
        dtype: Literal["fp32", "bf16"] = "bf16" if learner.autocast else "fp32"
        with watched(f"loading the reference {other}"):
            model = find_reference(other).load_model(dtype, lora=True)  # as narrow as a base that is frozen
            scorer = Learner(model, dtype=dtype, tokens_per_micro_batch=learner.tokens_per_micro_batch, layout=learner.layout)
    if scores is None:
        return OtherModel(scorer)

    def part(number: int) -> Batch:
        return batch_of(units[number * UNITS_PER_PART :][:UNITS_PER_PART])

    return kept_scores(scores, part, -(-len(units) // UNITS_PER_PART), scorer, option="--reference-scores")
