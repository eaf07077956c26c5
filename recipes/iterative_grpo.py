"""Iterative GRPO: in rounds, a reward model learns what the policy says now, and the policy learns from it.

    reckon iterate --model runs/sft --data problems.jsonl --rounds 3 --steps 50
    reckon iterate --model runs/sft --data problems.jsonl --rounds 2 --reward-model runs/reward_model --kl-coef 0.04 --eval-data test.jsonl
    reckon iterate --resume runs/iterate --rounds 4

DeepSeekMath's algorithm 1 (arXiv:2402.03300, section 4.1.4). A round samples from the policy, labels the samples by the verifier, trains
the reward model further on them with some of the earlier rounds' data again, and runs GRPO by that reward model alone, or with the
verifier beside it (--verifier-weight); the KL, where there is one, is to the policy as the round begins. What is right, and so every
accuracy, the verifier says. Each part is a run of its own:

    runs/iterate/  round-00/evaluation/  round-01/{samples/, pairs.jsonl, data.jsonl, reward_model/, grpo/, evaluation/}  ...  final/
"""

import random
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from recipes import grpo_math
from recipes.selection.data_command import PairsConfig
from recipes.selection.data_command import run as select
from recipes.setup.choices import GRPOPS, PPO, Full, Lora
from recipes.setup.command_line import guarded, parse_options
from recipes.setup.model_source import find_model
from recipes.setup.options import Reward, absolute, check_numbers
from recipes.setup.problem_mixture import parts_of
from recipes.setup.resuming import resumed
from recipes.training import reward_model, rounds, sample
from recipes.training.rounds import Numbers, Rounds
from rollout.interruption import interruptible
from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError, first_line, missing_place
from verifiers.rewards.reward_text import split_weight


@dataclass(frozen=True, kw_only=True)
class Config(grpo_math.Config):
    """GRPO by a reward model that learns anew what the policy says, in rounds."""

    rounds: int = 2
    """Rounds: each samples from what the last one learnt."""
    reward_model: str | None = None
    """What the first round's reward model begins as: a reward model, or any model (default: --model with a fresh head)."""
    reward_kind: Literal["outcome-pairs", "outcome"] = "outcome-pairs"
    """What it learns from: right answers against wrong ones of a problem, or each with its label."""
    reward_samples: int = 8
    """Completions of each problem that a round's reward model learns from."""
    reward_problems: int | None = None
    """Problems that they are of, the next so many in every round (default: all)."""
    reward_per_problem: int = 4
    """Pairs, or answers of either label, of one problem at most."""
    reward_lr: float | None = None
    """Peak learning rate of the reward model (default: that of reckon reward-model)."""
    reward_epochs: float = 1.0
    """Times that a round's data is gone through."""
    reward_batch: int = 32
    """Pairs, or answers, in an optimiser step of the reward model."""
    reward_held_out: int = 0
    """Keep the data of so many problems of each round, and measure the reward model on them."""
    keep_truncated: bool = False
    """Also completions that were cut off at the token limit."""
    replay: float = 0.1
    """Data of earlier rounds that a round's reward model sees again, over its own (DeepSeekMath: 10 %)."""
    verifier_weight: float = 0.0
    """What the verifier's 0 or 1 weighs in the policy's reward beside the reward model's number; 0: the model alone (DeepSeekMath)."""
    reward: Reward = ()
    """The verifier that labels samples and says what is right: one, without a weight (default: that of the problems)."""

    run: Path = Path("runs/iterate")


def run(config: Config) -> int:
    """Check, then round by round sample, label, train the reward model, train the policy. Returns the exit code."""
    rounds.check_resumed(config)
    config = resolve(resumed(config))
    with interruptible():
        return rounds.run_rounds(config, lambda: _material(config), sampling=_sampling, learn=_learn, trained="grpo")  # type: ignore[type-var]


def resolve(config: Config) -> Config:
    """Paths made absolute. Raises InputError for what is missing, cannot be or would be ignored."""
    check_numbers(config)
    if config.held_out or config.eval:
        raise InputError("--held-out and --eval would be ignored: give the problems to be answered after each round with --eval-data")
    if any(part.weight is not None for part in parts_of(config.data)):
        raise InputError("weights in --data are not kept by iterate, which writes the problems down; write one file of them first")
    if isinstance(config.algorithm, GRPOPS | PPO):
        raise InputError("a round's reward model scores whole answers; give --algorithm grpo or another that learns from those")
    if len(config.reward) > 1 or (config.reward and split_weight(config.reward[0])[1] != 1.0):
        raise InputError(
            "--reward is the verifier that labels samples: give one, without a weight; what the policy learns from is the model"
        )
    if config.reward_model is not None and (missing := missing_place(config.reward_model)) is not None:
        raise InputError(f"--reward-model: {missing}")
    if config.reward_kind == "outcome-pairs" and config.reward_samples < 2:
        raise InputError("--reward-samples 1 makes no pairs, which are of one problem's answers; give more, or --reward-kind outcome")
    config = replace(grpo_math.resolve(config), reward_model=config.reward_model and absolute(config.reward_model))
    config = replace(config, model=sample.resolve(_sampling(config, 1)).model)  # of a run, what it means now
    reward_model.check(replace(_of_reward(config, 1), resume=config.resume))
    return config


def _material(config: Config) -> rounds.Material:
    from recipes.setup import online

    online.algorithm_of(config)
    _check_head(config)
    problems, _ = grpo_math.load_data(config)
    first = replace(_sampling(config, 1), data=config.data[0], overwrite=config.overwrite, skip_long_prompts=config.skip_long_prompts)
    first = replace(first, skip_bad_gold=config.skip_bad_gold, trust_data_verifiers=config.trust_data_verifiers)
    found = rounds.read_material(
        config, replace(first, run=config.run), problems, answer_field=config.answer_column, prompt_field=config.prompt_column
    )
    _outcome(config, {problem.verifier for problem in found.problems})
    return found


def _check_head(config: Config) -> None:
    """Raises InputError, before anything is sampled, for a first reward model whose head is another model's."""
    if config.reward_model is None:
        return
    from rl.learning.value_heads import load_value_head

    source = find_model(config.reward_model)
    head, width = load_value_head(source.stages), source.load_shape().get_text_config().hidden_size
    if head is not None and head.shape[1] != width:
        raise InputError(f"--reward-model {config.reward_model}: its value head is {head.shape[1]} wide, the model {width}; restore it")


def _outcome(config: Config, named: set[str]) -> str:
    """The one verifier that says what is right. Raises InputError where the problems have several."""
    if config.reward:
        return config.reward[0]
    if len(named) > 1:
        raise InputError(f"the problems name several verifiers ({', '.join(sorted(named))}); say with --reward which one judges")
    return next(iter(named))


def plan_facts(config: Config) -> Any:
    """What `reckon plan` needs to know of the policy. Raises InputError where the command would, but for the run's folder."""
    return grpo_math.plan_facts(resolve(config))


def plan_rounds(config: Config, facts: Any) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """What `reckon plan` shows besides: what a round samples, and how its reward model learns and what that takes."""
    from recipes.setup.memory import batch_of_units, estimate, layout_of, work_of
    from rl.objectives.objective import describe

    training = _of_reward(config, 1)
    objective, pairs = reward_model.objective_of(training), config.reward_kind == "outcome-pairs"
    problems = min(config.reward_problems or facts.problems, facts.problems)
    most = problems * min(config.reward_per_problem * (1 if pairs else 2), config.reward_samples // (2 if pairs else 1))
    rows = [config.max_completion_length] * objective.rows_per_unit
    sampled = f"{problems:,} problems x {config.reward_samples} completions = {problems * config.reward_samples:,} sequences"
    rounds_said = f"{config.rounds:,} round{'s' if config.rounds > 1 else ''}"
    lines = [
        f"{rounds_said}, each of {config.steps:,} steps by {_taught_by(config)}, and before them",
        f"{sampled} that the verifier judges: at most {most:,} {'pairs' if pairs else 'answers'} for the reward model",
        f"from the second on {config.replay:.0%} more of earlier rounds; {config.reward_epochs:g} epochs, {config.reward_batch} a step",
    ]  # fmt: skip
    layout = layout_of(config.layout, facts.shape, facts.attention)
    batch = batch_of_units(config.reward_batch, facts.longest_prompt, rows)
    work = work_of(objective, batch, layout, config.tokens_per_micro_batch)
    memory = estimate(facts.shape, facts.lora, work, bf16=facts.dtype == "bf16", checkpointing=config.gradient_checkpointing)
    return {"rounds": lines, "loss of the reward model": describe(objective).splitlines()}, {"the reward model's training": memory}


def _taught_by(config: Config) -> str:
    return f"the reward model and {config.verifier_weight:g} of the verifier" if config.verifier_weight else "the reward model alone"


# --- the parts of a round ------------------------------------------------------------------------------------------------


def _policy(config: Config, number: int) -> str:
    """What a round begins with: --model, or what the round before learnt."""
    return config.model if number == 1 else str(rounds.place_of(config.run, number - 1).resolve() / "grpo")


def _problems_file(config: Config) -> str:
    return str((config.run / rounds.PROBLEMS).resolve())


def _sampling(config: Config, number: int) -> sample.Config:
    """How a round samples what its reward model learns from."""
    shared = {field.name for field in fields(sample.Speech)} & {field.name for field in fields(Config)}
    return sample.Config(
        **{name: getattr(config, name) for name in shared},
        reward=config.reward,
        completions_per_problem=config.reward_samples,
        model=_policy(config, number),
        gguf_file=config.gguf_file if number == 1 else None,
        data=_problems_file(config),
        trust_data_verifiers=True,  # they were trusted, or there are none, when the problems were written down
        seed=config.seed + number - 1,
        run=config.run,
    )


def _of_reward(config: Config, number: int) -> reward_model.Config:
    """How a round trains its reward model: what the last round's had learnt, further."""
    begins = config.reward_model or config.model
    tune = config.tune
    if number > 1:
        begins = str(rounds.place_of(config.run, number - 1).resolve() / "reward_model")
        tune = Lora() if isinstance(tune, Lora) else tune  # the adapter goes on as it is
    elif config.reward_model is not None and isinstance(tune, Lora) and _is_adapter(begins):
        tune = Lora()
    # no system prompt: the rows bring it, and where no template is used it would stand there twice, and once where the model judges
    shared = ("dtype", "attention", "gradient_checkpointing", "chat_template", "template_arg", "checkpoint_every")
    return reward_model.Config(
        **{name: getattr(config, name) for name in shared},
        model=begins,
        gguf_file=config.gguf_file if begins == config.model else None,
        from_adapter="merge" if isinstance(tune, Full) and _is_adapter(begins) else None,
        data=str(rounds.place_of(config.run, number).resolve() / "data.jsonl"),
        kind=config.reward_kind,
        tune=tune,
        lr=config.reward_lr,
        epochs=config.reward_epochs,
        examples_per_step=config.reward_batch,
        held_out=config.reward_held_out,
        tokens_per_micro_batch=config.tokens_per_micro_batch,
        max_grad_norm=config.max_grad_norm,
        seed=config.seed + number - 1,
        run=config.run,
    )


def _is_adapter(place: str) -> bool:
    return find_model(place).adapter is not None


def _of_policy(config: Config, number: int) -> grpo_math.Config:
    """How a round trains the policy: GRPO as the options say, by the round's reward model, and the verifier where it has a weight."""
    values: dict[str, Any] = {field.name: getattr(config, field.name) for field in fields(grpo_math.Config)}
    from verifiers.rewards.problem_file import read_problems

    outcome = _outcome(config, {p.verifier for p in read_problems(config.run / rounds.PROBLEMS, trust_verifiers=True)})
    place = rounds.place_of(config.run, number).resolve() / "reward_model"
    verifier = (f"{outcome}={config.verifier_weight:g}",) if config.verifier_weight else ()
    values |= {
        "model": _policy(config, number), "data": (_problems_file(config),), "reward": (*verifier, f'reward_model("{place}", {outcome})'),
        "trust_data_verifiers": True, "seed": config.seed + number - 1, "resume": None, "overwrite": False, "eval_data": None,
        **dict.fromkeys(("subset", "split", "prompt_column", "answer_column", "limit", "track")),
    }  # fmt: skip
    if number > 1:
        values |= {"gguf_file": None, "from_adapter": None}
        values["tune"] = Lora() if isinstance(config.tune, Lora) else config.tune
    return grpo_math.Config(**values)


def _learn(config: Config, run: Rounds, number: int) -> Numbers:
    """One round. Raises InputError where no pairs, or no labels, come of its samples."""
    found = run.sampled(number, _sampled_part(config, run, number))
    own, mixed = run.place(number) / "pairs.jsonl", run.place(number) / "data.jsonl"
    if not own.exists():
        form: Literal["pairs", "kto"] = "pairs" if config.reward_kind == "outcome-pairs" else "kto"
        store = (str(run.place(number) / "samples"),)
        select(
            PairsConfig(
                stores=store,
                out=own,
                format=form,
                per_problem=config.reward_per_problem,
                keep_truncated=config.keep_truncated,
                seed=config.seed,
            )
        )
    if not mixed.exists():
        _mix(config, run, number)
    run.trained(number, "reward_model", reward_model.run, _of_reward(config, number))
    run.trained(number, "grpo", grpo_math.run, _of_policy(config, number))
    rows = rounds.count_rows(own)
    return {
        **rounds.sampled_numbers(found), "pairs": rows, "replayed": rounds.count_rows(mixed) - rows,
        **run.last(number, "reward_model", {"eval/accuracy": "reward_model/accuracy", "eval/auc": "reward_model/auc"}),
        **run.last(number, "grpo", {"reward": "grpo/reward", "accuracy": "grpo/accuracy"}),
    }  # fmt: skip


def _sampled_part(config: Config, run: Rounds, number: int) -> sample.Config:
    """Sampling of the problems that are this round's turn."""
    sampling, many = _sampling(config, number), config.reward_problems
    if many is None:
        return sampling
    file = run.place(number) / rounds.PROBLEMS
    if not file.exists():
        lines = (config.run / rounds.PROBLEMS).read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [lines[(many * (number - 1) + place) % len(lines)] for place in range(min(many, len(lines)))]
        with atomic_path(file) as temporary:
            temporary.write_text("".join(kept), encoding="utf-8")
    return replace(sampling, data=str(file.resolve()))


def _mix(config: Config, run: Rounds, number: int) -> None:
    """The round's own rows, and a share of those of the rounds before, drawn by the seed."""
    own = _rows(run.place(number) / "pairs.jsonl")
    earlier = [row for before in range(1, number) for row in _rows(run.place(before) / "pairs.jsonl")]
    again = random.Random(f"{config.seed}/replay/{number}").sample(earlier, min(len(earlier), round(config.replay * len(own))))
    with atomic_path(run.place(number) / "data.jsonl") as temporary:
        temporary.write_text("".join([*own, *again]), encoding="ascii")


def _rows(path: Path) -> list[str]:
    """Raises InputError for a round's rows that are gone or damaged."""
    try:
        return path.read_text(encoding="ascii").splitlines(keepends=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}, which a later round learns from again, cannot be read ({first_line(error)}); restore it") from error


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parse_options(Config, sys.argv[1:], name="iterate"))))
