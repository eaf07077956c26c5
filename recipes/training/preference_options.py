"""What `reckon dpo`, `orpo` and `kto` share: which fields of a row they read, what they are measured against, their losses by name.

Learning rates where none is given are those of TRL's own scripts and of the papers, for all parameters; for a LoRA ten times as much
(Schulman et al., LoRA Without Regret, 2025; TRL's scripts have the same factor).
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from recipes.setup.command_line import flag_of
from recipes.setup.options import absolute
from recipes.training.offline_options import OfflineOptions, Rates
from verifiers.input_error import InputError, missing_place

if TYPE_CHECKING:
    from rl.objectives.objective import Objective

DPO_RATES = Rates(lora=5e-6, full=5e-7)  # TRL's scripts/dpo.py; KTO's in scripts/kto.py are the same for all parameters
ORPO_RATES = Rates(lora=8e-5, full=8e-6)  # arXiv:2403.07691, section 5


@dataclass(frozen=True, kw_only=True)
class PairOptions(OfflineOptions):
    """Rows with a chosen and a rejected side."""

    prompt_column: str | None = None
    """Field of the prompt (default: prompt, question or problem; messages that both sides begin with need none)."""
    chosen_column: str | None = None
    """Field of the better answer (default chosen)."""
    rejected_column: str | None = None
    """Field of the worse answer (default rejected)."""


@dataclass(frozen=True, kw_only=True)
class ReferenceOptions:
    """What log-probabilities are measured against; without a word the policy as it began."""

    reference_model: str | None = None
    """Measure against this model, of the same tokenizer, instead of the policy as it began."""
    reference_scores: Path | None = None
    """Score all data with the reference once, keep the scores in this folder, and train without it; a later run takes them from there."""


def objective_of(name: str, **options: Any) -> "Objective":
    """The objective of these options (None: not set). Raises InputError, in flags, for one that it would ignore or cannot have."""
    from rl.objectives.preferences import preference

    try:
        return preference(name, **options)
    except ValueError as error:
        said = str(error)
        for option in sorted(options, key=len, reverse=True):
            said = re.sub(rf"(?<![\w-]){option}(?![\w-])", flag_of(option), said)
        raise InputError(said if said.startswith("--") else f"--loss {said}") from error


AnyOptions = TypeVar("AnyOptions", bound=ReferenceOptions)


def with_reference(options: AnyOptions, *, read: bool, loss: str) -> AnyOptions:
    """Its places made absolute. Raises InputError for one that is missing, or that the loss (`read` says whether) would ignore."""
    given = [flag_of(name) for name in ("reference_model", "reference_scores") if getattr(options, name) is not None]
    if given and not read:
        raise InputError(f"{' and '.join(given)} would be ignored: {loss} has no reference; leave it out")
    if options.reference_model is not None and (missing := missing_place(options.reference_model)) is not None:
        raise InputError(f"--reference-model: {missing}")
    model, scores = options.reference_model, options.reference_scores
    run: Path | None = getattr(options, "run", None)
    if scores is not None and run is not None and run.resolve() in (scores.resolve(), *scores.resolve().parents):
        raise InputError(f"--reference-scores {scores} would lie in the run's folder {run}, which the run makes; give a place beside it")
    return replace(options, reference_model=model and absolute(model), reference_scores=scores and scores.resolve())
