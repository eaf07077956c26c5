"""Self-play fine-tuning: the data's answers against the model's own, in rounds (SPIN, arXiv:2401.01335).

    reckon spin --model ./my-model --data solutions.jsonl --rounds 3
    reckon spin --model runs/sft --data solutions.jsonl --rounds 3 --eval-data test.jsonl
    reckon spin --resume runs/spin --rounds 4

Rows are those of `reckon sft`: prompts with completions, or conversations that end with the assistant's turn. A round samples one
completion of each prompt from what the last round learnt, and trains that further by DPO: what the data say is chosen, what the model
said is rejected, and the reference is the model as the round begins. What the data say already is left out, and counted. It learns from
demonstrations more than imitation does, and needs no judge; where answers can be checked, `reckon rft` and the online recipes use that.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from recipes.selection.data_text import SAME
from recipes.selection.self_play import write_self_play
from recipes.setup.choices import Lora
from recipes.setup.command_line import guarded, parse_options
from recipes.setup.options import Reward
from recipes.setup.problem_source import load_rows, source_name
from recipes.setup.resuming import resumed
from recipes.training import dpo, rounds, sample
from recipes.training.offline_options import Updates
from recipes.training.offline_options import resolve as resolve_training
from recipes.training.preference_options import DPO_RATES
from recipes.training.rounds import Numbers, RoundOptions, Rounds, values_of
from recipes.training.sample import Speech, StartingModel
from rollout.interruption import interruptible
from verifiers.input_error import InputError

if TYPE_CHECKING:
    from verifiers.problem import Problem


@dataclass(frozen=True, kw_only=True)
class Config(RoundOptions, Updates, Speech, StartingModel):
    """Self-play fine-tuning: the data's answers against the model's own, in rounds."""

    reward: ClassVar[Reward] = ()  # each problem's own verifier

    data: str = ""
    """JSONL file, table (Parquet, CSV), or a name or folder for `datasets`."""
    subset: str | None = None
    """Configuration of the data set."""
    split: str | None = None
    """Split of the data set (default train)."""
    limit: int | None = None
    """Read so many rows at most."""
    messages_column: str | None = None
    """Column or field of conversations (default: messages, conversations or conversation)."""
    prompt_column: str | None = None
    """Column or field of the prompt (default: prompt, question, problem, instruction or query)."""
    completion_column: str | None = None
    """Column or field of what follows it (default: completion, response, output, solution or answer)."""
    skip_long_prompts: bool = False
    """Drop rows whose prompt and completion do not fit into the model's context, instead of stopping."""

    system_prompt: str = ""
    """First message of prompts that have none; "" for none."""
    keep_truncated: bool = False
    """Also completions of the model that were cut off at the token limit."""
    beta: float = 0.1
    """How much a margin counts: the smaller, the further a round may move (the paper's lambda)."""

    seed: int = 0
    """All randomness is a function of it."""
    run: Path = Path("runs/spin")


def run(config: Config) -> int:
    """Check, then round by round sample, pair, train. Returns the exit code."""
    rounds.check_resumed(config)
    config = resolve(resumed(config))
    with interruptible():
        return rounds.run_rounds(
            config,
            lambda: rounds.read_material(config, _from_data(config), read_rows(config)),
            sampling=_sampling,
            learn=_learn,
            trained="dpo",
        )


def resolve(config: Config) -> Config:
    """Paths made absolute. Raises InputError for what is missing, cannot be or would be ignored."""
    if not config.beta > 0:
        raise InputError(f"--beta must be a number above 0, not {config.beta}")
    config = rounds.settled(config, _from_data(config))
    resolve_training(replace(_training(config, 1), resume=config.resume), DPO_RATES)
    return config


def planned(config: Config) -> rounds.Planned:
    """What `reckon plan` shows. Raises InputError where the command would, but for the run's folder."""
    config = resolve(resumed(config))
    kept = rounds.kept_material(config.resume) if config.resume else None
    material = kept or rounds.read_material(config, _from_data(config), read_rows(config), place=False)
    return rounds.Planned(config, material, _sampling(config, 1), dpo.prepared(_training(config, 1)), 1)


def read_rows(config: Config) -> "list[Problem]":
    """A problem for each row: its prompt, with what the data say as the answer. Raises InputError for a row that is none."""
    from rl.examples.written import Fields

    rows = load_rows(config.data, subset=config.subset, split=config.split or "train")
    fields = Fields(prompt=config.prompt_column, completion=config.completion_column, messages=config.messages_column)
    source = source_name(config.data, config.split)
    problems: list[Problem] = []
    for place, row in islice(rows, config.limit):
        try:
            problems.append(_problem_of(row, fields))
        except InputError as error:
            raise InputError(f"{source}, {place}: {error}") from None
    if not problems:
        raise InputError(f"{source} holds no rows; it should have prompts with completions, or conversations")
    found = list({problem.id: problem for problem in problems}.values())
    if len(found) < len(problems):
        print(f"{config.data}: left out {len(problems) - len(found)} duplicates", file=sys.stderr)
    return found


def _problem_of(row: Mapping[str, Any], fields: Any) -> "Problem":
    from rl.examples.written import PromptAndCompletion, Text, read_supervised
    from verifiers.problem import make_problem

    written = read_supervised(row, fields, "last")
    if isinstance(written, Text):
        raise InputError("it is a text without a prompt, so there is nothing to answer; give prompts with completions, or conversations")
    if isinstance(written, PromptAndCompletion):
        return make_problem(written.prompt, written.completion, verifier=SAME)
    *before, last = written.messages
    if last["role"] != "assistant" or not before:
        raise InputError(f"it ends with the {last['role']}'s turn; it should end with the assistant's, after a prompt")
    odd = [message for message in written.messages if not isinstance(message["content"], str) or message.keys() != {"role", "content"}]
    if odd or written.arguments:
        raise InputError("it has tools, or messages that are more than a role and a text, which are not sampled from; leave it out")
    if not last["content"].strip():
        raise InputError("the assistant's turn is empty")
    return make_problem([{"role": m["role"], "content": m["content"]} for m in before], last["content"], verifier=SAME)


def _from_data(config: Config) -> sample.Config:
    """How the first round samples, into the folder of the whole run."""
    first = replace(_sampling(config, 1), data=config.data, skip_long_prompts=config.skip_long_prompts)
    return replace(first, subset=config.subset, split=config.split, resume=config.resume, overwrite=config.overwrite)


def _sampling(config: Config, number: int) -> sample.Config:
    """How a round samples: one completion a prompt."""
    return sample.Config(
        **values_of(Speech, config),
        model=_model(config, number),
        gguf_file=config.gguf_file if number == 1 else None,
        completions_per_problem=1,
        data=str((config.run / rounds.PROBLEMS).resolve()),
        trust_data_verifiers=True,  # ours, that compares texts
        seed=config.seed + number - 1,
        run=config.run,
    )


def _training(config: Config, number: int) -> dpo.Config:
    """What a round trains: always what the last one learnt."""
    values = values_of(Updates, config)
    if number > 1 and isinstance(config.tune, Lora):
        values["tune"] = Lora()  # the adapter goes on as it is
    return dpo.Config(
        **values,
        model=_model(config, number),
        gguf_file=config.gguf_file if number == 1 else None,
        from_adapter=config.from_adapter if number == 1 else None,
        data=str(rounds.place_of(config.run, number).resolve() / "pairs.jsonl"),
        chat_template=config.chat_template,
        template_arg=config.template_arg,
        beta=config.beta,
        checkpoint_every=config.checkpoint_every,
        seed=config.seed + number - 1,
        run=config.run,
    )


def _model(config: Config, number: int) -> str:
    return config.model if number == 1 else str(rounds.place_of(config.run, number - 1).resolve() / "dpo")


def _learn(config: Config, run: Rounds, number: int) -> Numbers:
    """One round. Raises InputError where nothing is left to learn from."""
    found = run.sampled(number, _sampling(config, number))
    pairs = run.place(number) / "pairs.jsonl"
    if not pairs.exists():
        print(f"{pairs}: {write_self_play(run.place(number) / 'samples', pairs, keep_truncated=config.keep_truncated)}", file=sys.stderr)
    run.trained(number, "dpo", dpo.run, _training(config, number))
    return {"same": found.value, "responses": found.total, "pairs": rounds.count_rows(pairs)}


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parse_options(Config, sys.argv[1:], name="spin"))))
