"""Learning from single answers with a label, wanted or not: Kahneman-Tversky optimisation, arXiv:2402.01306.

    reckon kto --model ./my-model --data labelled.jsonl
    reckon kto --resume runs/kto

Rows have a prompt, a completion and a label, true or false, as `reckon data pairs --format kto` writes them and TRL reads them. The
reference point, an estimate of the KL to the reference, is of the whole step: it depends on no memory setting and needs no order of the
data.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.setup.command_line import guarded, parse_options
from recipes.setup.resuming import resumed
from recipes.training.offline_options import OfflineOptions, resolve
from recipes.training.preference_options import DPO_RATES, ReferenceOptions, objective_of, with_reference
from verifiers.input_error import InputError

if TYPE_CHECKING:  # torch and transformers: only when something runs
    from recipes.training.offline_run import Method


@dataclass(frozen=True, kw_only=True)
class Config(ReferenceOptions, OfflineOptions):
    """Preference optimisation on single answers that have a label."""

    prompt_column: str | None = None
    """Field of the prompt (default: prompt, question or problem)."""
    completion_column: str | None = None
    """Field of the answer (default: completion, response, output or solution)."""
    label_column: str | None = None
    """Field that says whether the answer is wanted: true or false (default label)."""
    beta: float = 0.1
    """How much a gain counts: the smaller, the further the policy may move."""
    desirable_weight: float = 1.0
    """What a wanted answer counts. The paper would have weight times number of the wanted 1 to 4/3 times that of the unwanted."""
    undesirable_weight: float = 1.0
    """What an unwanted answer counts."""

    run: Path = Path("runs/kto")


def prepared(config: Config) -> "tuple[Config, Method]":
    """The options made numbers, and what they say to train by. Raises InputError."""
    config = resolve(resumed(config), DPO_RATES)
    names = ("beta", "desirable_weight", "undesirable_weight")
    objective = objective_of("kto", **{name: getattr(config, name) for name in names})
    config = with_reference(config, read=True, loss="kto")
    if config.reference_scores is not None:
        raise InputError(
            "--reference-scores: KTO scores other pairs of prompt and answer at every step, which cannot be kept; leave it out"
        )
    if config.examples_per_step < 2:
        raise InputError("--examples-per-step 1: KTO's reference point is estimated from other prompts of the step; give 2 or more")
    from recipes.training.preference_run import preference_method

    return config, preference_method("kto", config, objective)


def run(config: Config) -> int:
    """Check, load, train. Returns the exit code."""
    config, method = prepared(config)
    from recipes.training.offline_run import run_offline

    return run_offline(config, method)


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parse_options(Config, sys.argv[1:], name="kto"))))
