"""The part of `reckon dpo`, `orpo` and `kto` that needs torch: rows to pairs or labelled answers, and their reference."""

from dataclasses import replace
from functools import partial
from typing import Any

from recipes.actors.same_tokenizer import check_same_tokenizer
from recipes.training.offline_options import OfflineOptions
from recipes.training.offline_run import Method, Rows
from recipes.training.references import OPTION, make_reference
from rl.examples.example import Intake
from rl.examples.intake import Limits, preference_examples
from rl.examples.written import Fields
from rl.objectives.objective import Objective
from rl.objectives.preferences import with_trained_prompts
from rollout.chat import Chat
from verifiers.input_error import InputError


def preference_method(name: str, options: OfflineOptions, objective: Objective, *, train_prompts: bool = False) -> Method:
    """How rows become units, what is minimised, and what it is measured against."""
    fields = Fields(
        **{field: getattr(options, f"{field}_column", None) for field in ("prompt", "chosen", "rejected", "completion", "label")}
    )
    other, scores = getattr(options, "reference_model", None), getattr(options, "reference_scores", None)

    def intake(rows: Rows, chat: Chat, source: str, limits: Limits) -> Intake:
        if other is not None:
            check_same_tokenizer(options.model, chat.tokenizer, other, OPTION)
        labelled = objective.rows_per_unit == 1
        taken = preference_examples(rows, chat, source=source, fields=fields, labelled=labelled, limits=limits)
        return with_balance(taken, options) if labelled else taken

    return Method(
        name,
        objective,
        intake,
        reference=partial(make_reference, objective, other=other, scores=scores),
        batch=with_trained_prompts if train_prompts else lambda batch: batch,
    )


def with_balance(taken: Intake, options: Any) -> Intake:
    """The intake with a note where wanted and unwanted answers weigh otherwise than KTO's paper would have it (equation 8).

    Raises InputError where one kind is missing: nothing would keep the policy from drifting.
    """
    good = sum(example.columns["label"] > 0 for example in taken.examples)
    bad = len(taken.examples) - good
    if not good or not bad:
        missing = "wanted (label true)" if bad else "unwanted (label false)"
        raise InputError(f"the data have no answer that is {missing}; KTO needs both, and `reckon sft` learns from wanted ones alone")
    ratio = options.desirable_weight * good / (options.undesirable_weight * bad)
    said = f"{good:,} wanted and {bad:,} unwanted answers"
    if not 0.995 <= ratio <= 4 / 3 + 0.005:
        low = options.undesirable_weight * bad / good
        said += f" weigh {ratio:.2g} to 1; the KTO paper would have 1 to 1.33: --desirable-weight {low:.3g} to {4 / 3 * low:.3g}"
    return replace(taken, notes=(*taken.notes, said))
