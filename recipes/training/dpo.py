"""Learning from pairs of a better and a worse answer to one prompt: DPO with its relatives, and SimPO.

    reckon dpo --model ./my-model --data pairs.jsonl --show-mask 3
    reckon dpo --model ./my-model --data pairs.jsonl --loss ipo --beta 0.2 --held-out 200
    reckon dpo --model ./my-model --data pairs.jsonl --tune full --reference-scores scores/pairs
    reckon dpo --resume runs/dpo

Rows have a prompt, a chosen and a rejected side, each text or messages (`rl/examples/written.py`), as `reckon data pairs` writes them and
TRL reads them. What a loss means is in `rl/objectives/preferences.py`. A LoRA is measured against itself switched off, so that there is no
second model in memory; all parameters against a copy, or, with --reference-scores, against what was scored once and is on disk.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from recipes.setup.command_line import guarded, parse_options
from recipes.setup.resuming import resumed
from recipes.training.offline_options import resolve
from recipes.training.preference_options import DPO_RATES, PairOptions, ReferenceOptions, objective_of, with_reference

if TYPE_CHECKING:  # torch and transformers: only when something runs
    from recipes.training.offline_run import Method


@dataclass(frozen=True, kw_only=True)
class Config(ReferenceOptions, PairOptions):
    """Preference optimisation on pairs of answers."""

    loss: Literal["sigmoid", "hinge", "ipo", "robust", "simpo"] = "sigmoid"
    """DPO (sigmoid); with a hinge; IPO; DPO that takes a share of the pairs to be flipped (robust); SimPO, which has no reference."""
    beta: float | None = None
    """How much a margin counts: the smaller, the further the policy may move (default 0.1; simpo 2)."""
    label_smoothing: float | None = None
    """Share of pairs taken to be wrong, below 0.5. sigmoid: cDPO, simpo likewise (default 0); robust (default 0.1)."""
    length_normalised: bool | None = None
    """Margins a token instead of a sequence (default: of ipo only; simpo always is)."""
    gamma: float | None = None
    """simpo: the margin aimed at (default 1)."""
    nll_coef: float | None = None
    """Coefficient of the chosen side's negative log-likelihood beside the loss (default 0; RPO: 1)."""
    nll_mean: Literal["sequence", "token"] | None = None
    """Mean of that over each chosen side (default, as in the paper), or over the tokens of the step (TRL)."""

    run: Path = Path("runs/dpo")


def prepared(config: Config) -> "tuple[Config, Method]":
    """The options made numbers, and what they say to train by. Raises InputError."""
    config = resolve(resumed(config), DPO_RATES)
    names = ("beta", "label_smoothing", "length_normalised", "gamma", "nll_coef", "nll_mean")
    objective = objective_of(config.loss, **{name: getattr(config, name) for name in names})
    config = with_reference(config, read="ref_logp" in objective.reads, loss=f"--loss {config.loss}")
    from recipes.training.preference_run import preference_method

    return config, preference_method("dpo" if config.loss != "simpo" else "simpo", config, objective)


def run(config: Config) -> int:
    """Check, load, train. Returns the exit code."""
    config, method = prepared(config)
    from recipes.training.offline_run import run_offline

    return run_offline(config, method)


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parse_options(Config, sys.argv[1:], name="dpo"))))
