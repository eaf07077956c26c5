"""Likelihood and preference in one, without a reference: odds-ratio preference optimisation, arXiv:2403.07691.

    reckon orpo --model ./my-base-model --data pairs.jsonl --epochs 3
    reckon orpo --resume runs/orpo

Meant for a model that was not fine-tuned on the task before: the chosen answers are imitated, and kept apart from the rejected ones by
their odds. Rows are as for `reckon dpo`. The likelihood is the completion's, each sequence's mean, as in the paper; TRL's experimental
trainer takes prompt and completion, and the mean over tokens (--nll-over everything --nll-mean token).
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from recipes.setup.command_line import guarded, parse_options
from recipes.setup.resuming import resumed
from recipes.training.offline_options import resolve
from recipes.training.preference_options import ORPO_RATES, PairOptions, objective_of

if TYPE_CHECKING:  # torch and transformers: only when something runs
    from recipes.training.offline_run import Method


@dataclass(frozen=True, kw_only=True)
class Config(PairOptions):
    """Odds-ratio preference optimisation on pairs of answers."""

    beta: float = 0.1
    """What the preference counts beside the likelihood: the paper's lambda."""
    nll_over: Literal["completion", "everything"] = "completion"
    """What of the chosen side is imitated: its completion, or its prompt as well."""
    nll_mean: Literal["sequence", "token"] = "sequence"
    """Mean of the likelihood over each chosen side, or over the tokens of the step."""

    run: Path = Path("runs/orpo")


def prepared(config: Config) -> "tuple[Config, Method]":
    """The options made numbers, and what they say to train by. Raises InputError."""
    config = resolve(resumed(config), ORPO_RATES)
    objective = objective_of("orpo", beta=config.beta, nll_over=config.nll_over, nll_mean=config.nll_mean)
    from recipes.training.preference_run import preference_method

    return config, preference_method("orpo", config, objective, train_prompts=config.nll_over == "everything")


def run(config: Config) -> int:
    """Check, load, train. Returns the exit code."""
    config, method = prepared(config)
    from recipes.training.offline_run import run_offline

    return run_offline(config, method)


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parse_options(Config, sys.argv[1:], name="orpo"))))
