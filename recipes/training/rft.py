r"""Rejection-sampling fine-tuning: the model learns from its own right answers, in rounds.

    reckon rft --model ./my-model --data problems.jsonl --completions-per-problem 16 --keep diverse
    reckon rft --model ./my-model --data problems.jsonl --rounds 3 --eval-data test.jsonl
    reckon rft --model ./my-model --data problems.jsonl --rounds 3 --start last --examples latest
    reckon rft --resume runs/rft --rounds 4

A round samples answers from what the last one learnt, keeps right ones, each solution once, and trains on them by maximum likelihood. One
round is RFT (arXiv:2308.01825). Several, each trained from the base, are STaR (arXiv:2203.14465) and ReST-EM (arXiv:2312.06585), which take
`--examples latest`; each trained from the last, expert iteration. The online form, a step a round, is `reckon grpo-math --algorithm raft`.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from recipes.selection.accepted_responses import Acceptance
from recipes.selection.data_command import SftConfig
from recipes.selection.data_command import run as select
from recipes.setup.choices import Lora
from recipes.setup.command_line import guarded, parse_options
from recipes.setup.resuming import resumed
from recipes.training import rounds, sample, sft
from recipes.training.offline_options import Updates
from recipes.training.offline_options import resolve as resolve_training
from recipes.training.rounds import Numbers, RoundOptions, Rounds, values_of
from recipes.training.sample import Judged, ProblemData, StartingModel
from rollout.interruption import interruptible


@dataclass(frozen=True, kw_only=True)
class Config(RoundOptions, Updates, Acceptance, Judged, ProblemData, StartingModel):
    """Rejection-sampling fine-tuning: sample, keep right answers, learn from them, in rounds."""

    start: Literal["base", "last"] = "base"
    """What a round's training begins with, from the second round on: --model (RFT, STaR, ReST-EM), or what the last round learnt."""
    examples: Literal["all", "latest"] = "all"
    """Whose right answers are trained on, from the second round on: those of all rounds, each solution once and at most --per-problem of a
    problem, or those of the latest round."""

    seed: int = 0
    """All randomness is a function of it."""
    run: Path = Path("runs/rft")


def run(config: Config) -> int:
    """Check, then round by round sample, select, train. Returns the exit code."""
    rounds.check_resumed(config)
    config = resolve(resumed(config))
    with interruptible():
        return rounds.run_rounds(
            config,
            lambda: _material(config),
            sampling=_sampling,
            learn=_learn,
            trained="sft",
        )


def resolve(config: Config) -> Config:
    """Paths made absolute. Raises InputError for what is missing, cannot be or would be ignored."""
    config.check()
    config = rounds.settled(config, _from_data(config))
    resolve_training(replace(_training(config, 1), resume=config.resume), sft.RATES)
    return config


def planned(config: Config) -> rounds.Planned:
    """What `reckon plan` shows. Raises InputError where the command would, but for the run's folder."""
    config = resolve(resumed(config))
    kept = rounds.kept_material(config.resume) if config.resume else None
    most = min(config.per_problem, config.completions_per_problem)
    return rounds.Planned(
        config, kept or _material(config, place=False), _sampling(config, 1), sft.prepared(_training(config, 1)), most,
        grows=config.examples == "all",
    )  # fmt: skip


def _material(config: Config, *, place: bool = True) -> rounds.Material:
    first = _from_data(config)
    problems, fields = sample.load_data(first), {"answer_field": config.answer_column, "prompt_field": config.prompt_column}
    return rounds.read_material(config, first, problems, place=place, **fields)


def _sampling(config: Config, number: int) -> sample.Config:
    """How a round samples: from --model, or what the round before learnt."""
    return sample.Config(
        **values_of(Judged, config),
        model=config.model if number == 1 else str(rounds.place_of(config.run, number - 1).resolve() / "sft"),
        gguf_file=config.gguf_file if number == 1 else None,
        data=str((config.run / rounds.PROBLEMS).resolve()),
        trust_data_verifiers=True,  # they were trusted, or there are none, when the problems were written down
        seed=config.seed + number - 1,
        run=config.run,
    )


def _from_data(config: Config) -> sample.Config:
    """How the first round samples, of the problems as they are given."""
    first = replace(_sampling(config, 1), **values_of(ProblemData, config))
    return replace(first, run=config.run, resume=config.resume, overwrite=config.overwrite)


def _training(config: Config, number: int) -> sft.Config:
    """What a round trains on, and from where."""
    afresh = number == 1 or config.start == "base"
    values = values_of(Updates, config)
    if not afresh and isinstance(config.tune, Lora):
        values["tune"] = Lora()  # the adapter goes on as it is
    return sft.Config(
        **values,
        model=config.model if afresh else str(rounds.place_of(config.run, number - 1).resolve() / "sft"),
        gguf_file=config.gguf_file if afresh else None,
        from_adapter=config.from_adapter if afresh else None,
        data=str(rounds.place_of(config.run, number).resolve() / "examples.jsonl"),
        chat_template=config.chat_template,
        template_arg=config.template_arg,
        checkpoint_every=config.checkpoint_every,
        seed=config.seed + number - 1,
        run=config.run,
    )


def _learn(config: Config, run: Rounds, number: int) -> Numbers:
    """One round. Raises InputError where nothing is accepted."""
    found = run.sampled(number, _sampling(config, number))
    examples = run.place(number) / "examples.jsonl"
    if not examples.exists():
        numbers = range(1, number + 1) if config.examples == "all" else [number]
        stores = tuple(str(run.place(each) / "samples") for each in numbers)
        select(SftConfig(**values_of(Acceptance, config), stores=stores, out=examples))
    run.trained(number, "sft", sft.run, _training(config, number))
    return {**rounds.sampled_numbers(found), "examples": rounds.count_rows(examples)}


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parse_options(Config, sys.argv[1:], name="rft"))))
