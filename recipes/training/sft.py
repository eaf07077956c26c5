"""Supervised fine-tuning: maximum likelihood of what is written.

    reckon sft --model ./my-model --data solutions.jsonl --show-mask 3
    reckon sft --model ./my-model --data solutions.jsonl --epochs 3 --held-out 200
    reckon sft --model ./my-model --data by-domain/ --mixture weights.json     weights of domains, as `reckon mix` finds them
    reckon sft --resume runs/sft

Rows are conversations (`messages`), prompts with completions, or texts (`rl/examples/written.py`). Which tokens train is made by the
model's chat template and shown by --show-mask; the end of every trained turn trains with it. Each trained token of a step counts the
same. Learning rates: 2e-4 for a LoRA (QLoRA, arXiv:2305.14314, table 9), 2e-5 for all parameters (TRL's and Alpaca's).
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from recipes.setup.command_line import guarded, parse_options
from recipes.setup.resuming import resumed
from recipes.training.offline_options import OfflineOptions, Rates, resolve
from verifiers.input_error import InputError

if TYPE_CHECKING:  # torch and transformers: only when something runs
    from recipes.training.offline_run import Method, Rows
    from rl.examples.example import Intake
    from rl.examples.intake import Limits
    from rollout.chat import Chat

RATES = Rates(lora=2e-4, full=2e-5)


@dataclass(frozen=True, kw_only=True)
class Config(OfflineOptions):
    """Supervised fine-tuning on prompts with completions, conversations or texts."""

    train_on: Literal["auto", "all", "last", "marked"] = "auto"
    """Which of the assistant's turns train: those that the data mark (`train`, `loss` or `weight` of a message), else all (auto); all; the
    last; marked ones only."""
    messages_column: str | None = None
    """Column or field of conversations (default: messages, conversations or conversation)."""
    prompt_column: str | None = None
    """Column or field of the prompt (default: prompt, question, problem, instruction or query)."""
    completion_column: str | None = None
    """Column or field of what follows it (default: completion, response, output, solution or answer)."""
    text_column: str | None = None
    """Column or field of plain text, all of which trains (default: text)."""

    mixture: Path | None = None
    """Weights of domains (JSON, as `reckon mix` writes it): examples are drawn by them, whatever the sizes."""
    domain_column: str | None = None
    """With --mixture, the field that names a row's domain (default: --data is a folder, and a domain is a file of it)."""

    run: Path = Path("runs/sft")


def prepared(config: Config) -> "tuple[Config, Method]":
    """The options made numbers, and what they say to train by. Raises InputError."""
    config = resolve(resumed(config), RATES)
    return config, mixed(config, method_of(config))


def method_of(config: Config) -> "Method":
    """Likelihood of the rows, as they come."""
    from recipes.training.offline_run import Method
    from rl.examples.intake import supervised_examples
    from rl.examples.written import Fields
    from rl.objectives.supervised import sft

    fields = Fields(
        prompt=config.prompt_column, completion=config.completion_column, messages=config.messages_column, text=config.text_column
    )

    def intake(rows: "Rows", chat: "Chat", source: str, limits: "Limits") -> "Intake":
        return supervised_examples(rows, chat, source=source, fields=fields, train_on=config.train_on, limits=limits)

    return Method("sft", sft(), intake)


def mixed(config: Config, method: "Method") -> "Method":
    """The method on examples that are drawn by the weights of --mixture, where there is one. Raises InputError."""
    if config.mixture is None:
        if config.domain_column is not None:
            raise InputError("--domain-column would be ignored without --mixture; give that too, or leave it out")
        return method
    if not config.shuffle:
        raise InputError("--no-shuffle would be ignored with --mixture, which draws the examples; leave one of them out")
    from recipes.setup.problem_source import load_rows
    from rl.mixtures.mixed_examples import MixedExamples
    from rl.mixtures.mixture_file import read_mixture

    examples = MixedExamples(config.domain_column, read_mixture(config.mixture), load_rows)
    rows = method.rows if config.domain_column else examples.rows
    return replace(method, rows=rows, intake=examples.intake(method.intake), order=examples.order, figures=examples.figures)


def run(config: Config) -> int:
    """Check, load, train. Returns the exit code."""
    config, method = prepared(config)
    from recipes.training.offline_run import run_offline

    return run_offline(config, method)


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parse_options(Config, sys.argv[1:], name="sft"))))
