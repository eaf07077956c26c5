"""Supervised fine-tuning: maximum likelihood of what is written.

    reckon sft --model ./my-model --data solutions.jsonl --show-mask 3
    reckon sft --model ./my-model --data solutions.jsonl --epochs 3 --held-out 200
    reckon sft --resume runs/sft

Rows are conversations (`messages`), prompts with completions, or texts (`rl/examples/written.py`). Which tokens train is made by the
model's chat template and shown by --show-mask; the end of every trained turn trains with it. Each trained token of a step counts the
same. Learning rates: 2e-4 for a LoRA (QLoRA, arXiv:2305.14314, table 9), 2e-5 for all parameters (TRL's and Alpaca's).
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from recipes.setup.command_line import guarded, parse_options
from recipes.setup.resuming import resumed
from recipes.training.offline_options import OfflineOptions, Rates, resolve

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

    run: Path = Path("runs/sft")


def prepared(config: Config) -> "tuple[Config, Method]":
    """The options made numbers, and what they say to train by. Raises InputError."""
    config = resolve(resumed(config), RATES)
    from recipes.training.offline_run import Method
    from rl.examples.intake import supervised_examples
    from rl.examples.written import Fields
    from rl.objectives.supervised import sft

    fields = Fields(
        prompt=config.prompt_column, completion=config.completion_column, messages=config.messages_column, text=config.text_column
    )

    def intake(rows: "Rows", chat: "Chat", source: str, limits: "Limits") -> "Intake":
        return supervised_examples(rows, chat, source=source, fields=fields, train_on=config.train_on, limits=limits)

    return config, Method("sft", sft(), intake)


def run(config: Config) -> int:
    """Check, load, train. Returns the exit code."""
    config, method = prepared(config)
    from recipes.training.offline_run import run_offline

    return run_offline(config, method)


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parse_options(Config, sys.argv[1:], name="sft"))))
