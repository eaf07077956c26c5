"""Reward models: a number for an answer, or for each of its steps, learnt from what was judged.

    reckon data pairs runs/sample --out pairs.jsonl
    reckon reward-model --model ./my-model --data pairs.jsonl --held-out 200
    reckon reward-model --kind process --model ./my-model --data steps.jsonl --held-out 100
    reckon grpo-math --model ./my-model --data problems.jsonl --reward 'reward_model(runs/reward_model)'

Rows are pairs of answers (`outcome-pairs`), answers with a label, right or wrong (`outcome`), or answers whose steps have labels
(`process`), as `reckon data` writes them and TRL reads them (`rl/examples/written.py`). The model is any causal one with a value head
beside it, as an adapter or whole; one that has a head goes on from it. What is held out are whole problems. Learning rates: 1e-4
for a LoRA (TRL's RewardConfig), 9e-6 for all parameters (InstructGPT, arXiv:2203.02155, appendix C).
"""

import math
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from recipes.setup.choices import Lora
from recipes.setup.command_line import guarded, parse_options
from recipes.setup.resuming import resumed
from recipes.spelling.option_values import flag_of
from recipes.training.offline_options import OfflineOptions, Rates, resolve
from verifiers.input_error import InputError

if TYPE_CHECKING:  # torch and transformers: only when something runs
    from recipes.training.offline_run import Method, Rows
    from rl.examples.example import Intake
    from rl.examples.intake import Limits
    from rl.learning.policy import Policy
    from rl.objectives.objective import Objective
    from rollout.chat import Chat

RATES = Rates(lora=1e-4, full=9e-6)
ROWS = {"outcome-pairs": "pairs", "outcome": "label", "process": "steps"}
"""Kind -> what its rows hold, as `judged_examples` calls it."""
_COLUMNS = {"outcome-pairs": ("chosen", "rejected", "margin"), "outcome": ("completion", "label"), "process": ("completion",)}


@dataclass(frozen=True, kw_only=True)
class Config(OfflineOptions):
    """A reward model from pairs of answers, from answers that are right or wrong, or from steps with labels."""

    kind: Literal["outcome-pairs", "outcome", "process"] = "outcome-pairs"
    """What it learns from: a better and a worse answer (Bradley-Terry), right or wrong answers, or the label of each step."""
    margin: float | None = None
    """outcome-pairs: by how much the better answer's reward should be above the other's (default 0)."""
    centering: float | None = None
    """outcome-pairs: coefficient of (r_w + r_l)², which draws rewards to 0 (default 0; TRL's example 0.01)."""
    prompt_column: str | None = None
    """Field of the prompt (default: prompt, question or problem)."""
    chosen_column: str | None = None
    """outcome-pairs: field of the better answer (default chosen)."""
    rejected_column: str | None = None
    """outcome-pairs: field of the worse answer (default rejected)."""
    margin_column: str | None = None
    """outcome-pairs: field of a number, how far each pair's better answer should be above the other, over --margin (default: none)."""
    completion_column: str | None = None
    """outcome, process: field of the answer (default: completion, response, output or solution)."""
    label_column: str | None = None
    """outcome: field that says whether the answer is right (default label)."""
    classifier: bool = False
    """With --tune full: write the model as a transformers sequence classifier too (`score.weight`), in the run's `classifier/`."""
    held_out: int = 0
    """Keep so many problems, drawn by --seed, and measure ranking, calibration and loss on their answers."""

    run: Path = Path("runs/reward_model")


def check(config: Config) -> Config:
    """Paths made absolute and defaults made numbers; the data need not be there yet. Raises InputError."""
    config = resolve(config, RATES)
    _refuse_ignored(config)
    return config


def prepared(config: Config) -> "tuple[Config, Method]":
    """The options made numbers, and what they say to train by. Raises InputError."""
    config = check(resumed(config))
    from recipes.setup.problem_source import source_name
    from recipes.training.offline_run import Method
    from rl.examples.intake import judged_examples
    from rl.examples.written import Fields
    from rl.loop.judged_figures import judged_figures

    names = ("prompt", *_COLUMNS[config.kind])
    fields = Fields(**{name: getattr(config, f"{name}_column") for name in names})

    def intake(rows: "Rows", chat: "Chat", source: str, limits: "Limits") -> "Intake":
        taken = judged_examples(rows, chat, source=source, fields=fields, kind=ROWS[config.kind], limits=limits)  # type: ignore[arg-type]
        if source == source_name(config.data, config.split):
            _require_both(taken, config.kind)
        return taken

    figures = partial(judged_figures, config.kind)
    return config, Method("reward model", objective_of(config), intake, head={"kind": config.kind}, by_problem=True, figures=figures)


def _require_both(taken: "Intake", kind: str) -> None:
    """Raises InputError where every label is the same: all that could be learnt is to say it of everything."""
    what = {"outcome": "answers", "process": "steps"}.get(kind)
    labels = {label for example in taken.examples for label in (example.labels or example.columns.values())}
    if what and len(labels) == 1:
        only = labels.pop()
        said = {1.0: "right", 0.0: "wrong"}.get(only, f"labelled {only:g}")
        raise InputError(f"all {what} of the data are {said}, from which nothing can be told apart; give data with right and wrong ones")


def _refuse_ignored(config: Config) -> None:
    columns = {name for names in _COLUMNS.values() for name in names} - set(_COLUMNS[config.kind])
    ignored = [f"{name}_column" for name in sorted(columns) if getattr(config, f"{name}_column") is not None]
    if config.kind != "outcome-pairs":
        ignored += [name for name in ("margin", "centering") if getattr(config, name) is not None]
    if ignored:
        raise InputError(f"{' and '.join(map(flag_of, ignored))} would be ignored with --kind {config.kind}; leave it out")
    for name in ("margin", "centering"):
        if not 0 <= (getattr(config, name) or 0) < math.inf:
            raise InputError(f"--{name} must be 0 or more, not {getattr(config, name)}")
    if config.classifier and isinstance(config.tune, Lora):
        raise InputError("--classifier writes a whole model, and --tune lora trains an adapter; use --tune full, or leave it out")
    if config.classifier and config.kind == "process":
        raise InputError(
            "--classifier would be ignored with --kind process: a sequence classifier gives one number for a text; leave it out"
        )


def objective_of(config: Config) -> "Objective":
    """What the kind minimises."""
    from rl.objectives.reward_models import bradley_terry, outcome_bce, step_bce

    if config.kind == "outcome-pairs":
        margins = config.margin_column is not None
        return bradley_terry(margin=config.margin or 0.0, margins=margins, centering=config.centering or 0.0)
    return outcome_bce() if config.kind == "outcome" else step_bce()


def run(config: Config) -> int:
    """Check, load, train. Returns the exit code."""
    config, method = prepared(config)
    from recipes.training.offline_run import run_offline
    from rl.learning.value_heads import write_classifier

    def hand_over(policy: "Policy", chat: "Chat") -> None:
        if config.classifier:
            write_classifier(policy, config.run / "classifier", chat.tokenizer)

    return run_offline(config, method, hand_over=hand_over)


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parse_options(Config, sys.argv[1:], name="reward-model"))))
