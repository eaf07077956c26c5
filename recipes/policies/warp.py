r"""WARP: several policies are trained from one start, what they learnt is put together, and the next round begins part of the way there.

    reckon warp --model runs/sft --data problems.jsonl --eval-data test.jsonl
    reckon warp --model runs/sft --data problems.jsonl --rounds 3 --policies 2 --eta 0.3 --tune full
    reckon warp --resume runs/warp --rounds 4

    runs/warp/  config.json  problems.jsonl  held_out.jsonl  metrics.jsonl  final/
                round-01/{run-1/, run-2/, final/, next/, evaluation/}   round-02/{..., front.json, front.png, front/}

Weight averaged rewarded policies, arXiv:2406.16768. A round trains M policies by `reckon grpo-math`, each with a moving average of itself
as what its KL is measured against (stage 1), puts them together by spherical interpolation of their task vectors (stage 2: `final/`), and
goes part of the way from the start to that (stage 3: `next/`), where the next round begins. Between --model and what the last round merged
several points are measured, reward against KL to --model: the front, of which a user takes the point that is wanted
(`reckon merge runs/warp/final --start runs/sft --eta 0.5`).
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, cast

from recipes import grpo_math
from recipes.policies.front import Point, measured_front
from recipes.policies.merged_policies import Average, Slerp, merge_policies
from recipes.setup.choices import KL, Initial, MovingAverage
from recipes.setup.command_line import guarded, parse_options
from recipes.setup.problem_mixture import parts_of
from recipes.setup.problem_set import Given
from recipes.setup.resuming import resumed
from recipes.setup.starting_point import lora_of, start_of
from recipes.spelling.flat_options import spelt
from recipes.training import rounds, sample
from recipes.training.rounds import Numbers, RoundOptions, Rounds, values_of
from rollout.interruption import interruptible
from verifiers.input_error import InputError


@dataclass(frozen=True)
class Anchor(KL):
    """A KL to the policy's own moving average."""

    coef: float = 0.04
    """Coefficient of the KL to the reference; 0 computes none (DeepSeekMath: 0.04)."""
    reference: Initial | MovingAverage = spelt("reference", default=MovingAverage())
    """What that KL is measured against: the policy's moving average, or the policy as it began."""


@dataclass(frozen=True, kw_only=True)
class Config(RoundOptions, grpo_math.Config):  # what both say is said the same
    """WARP: policies trained from one start, put together by spherical interpolation, in rounds."""

    rounds: int = 2
    """Rounds: each trains --policies policies from where the last one ended."""
    policies: int = 2
    """M: policies that a round trains, alike but for their seeds."""
    angle: Literal["tensor", "layer", "model"] = "tensor"
    """Whose angle spherical interpolation goes by: each tensor's, each layer's, or that of all weights as one vector."""
    eta: float = 0.3
    """How far from the start of a round to what it merged the next one begins."""
    front: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    """Points between --model (0) and what the last round merged (1) whose reward and KL are measured; none leaves the front out."""
    front_problems: int = 100
    """Problems of the front: held-out ones where there are any."""

    kl: Anchor | None = Anchor()
    """The KL of each policy to its moving average, in the loss."""
    steps: int = 100
    """Steps of each policy."""
    checkpoint_every: int = 10
    """Steps between checkpoints of a policy that is being trained."""
    seed: int = 0
    """All randomness is a function of it."""
    run: Path = Path("runs/warp")


def run(config: Config) -> int:
    """Check, then round by round train, merge, and go part of the way. Returns the exit code."""
    rounds.check_resumed(config)
    config = resolve(resumed(config))
    with interruptible():
        return rounds.run_rounds(config, lambda: _material(config), sampling=_sampling, learn=_learn, trained="")


def resolve(config: Config) -> Config:
    """Paths made absolute. Raises InputError for what is missing, cannot be or would be ignored."""
    if not 0 < config.eta <= 1:
        raise InputError(f"--eta must be above 0 and at most 1, not {config.eta}")
    if wrong := [eta for eta in config.front if not 0 <= eta <= 1]:
        raise InputError(f"--front {wrong[0]}: a point lies from 0 (the start) to 1 (the merged policy)")
    if config.eval:
        raise InputError("--eval would be ignored: give the problems to look at with --eval-data")
    if any(part.weight is not None for part in parts_of(config.data)) or config.order != "shuffled":
        raise InputError("weights in --data and --order are not kept by warp, which writes the problems down; write one file of them first")
    config = cast("Config", grpo_math.resolve(config))
    if config.gguf_file and Path(config.model).is_dir():
        config = replace(config, model=str(Path(config.model) / config.gguf_file), gguf_file=None)
    return replace(config, model=sample.resolve(_from_data(config)).model)


def _from_data(config: Config) -> sample.Config:
    """How the start is sampled, of the problems as they are given."""
    return replace(_sampling(config, 1), data=parts_of(config.data)[0].place, resume=config.resume, overwrite=config.overwrite)


def _material(config: Config) -> rounds.Material:
    """The problems, and all that can be wrong with them, the model and the options found. Raises InputError."""
    from recipes.setup import online

    online.algorithm_of(config)
    problems, held_out = grpo_math.load_data(config)
    with ExitStack() as opened:
        skip = replace(_from_data(config), skip_long_prompts=config.skip_long_prompts, skip_bad_gold=config.skip_bad_gold)
        _, problems, _, _ = sample.checked(skip, opened, Given(problems))
        if held_out:
            _, held_out, _, _ = sample.checked(skip, opened, Given(held_out))
    lora_of(config, start_of(config))
    return rounds.Material([rounds.plain(problem) for problem in problems], [rounds.plain(problem) for problem in held_out])


def _sampling(config: Config, number: int) -> sample.Config:
    """How what stands before a round is sampled: --model, or what the round before merged."""
    speech = {field.name: getattr(config, field.name) for field in fields(sample.Judged) if hasattr(config, field.name)}
    return sample.Config(
        **speech,
        model=config.model if number == 1 else str(rounds.place_of(config.run, number - 1).resolve() / "final"),
        gguf_file=config.gguf_file if number == 1 else None,
        data=str((config.run / rounds.PROBLEMS).resolve()),
        trust_data_verifiers=True,  # they were trusted, or there are none, when the problems were written down
        seed=config.seed + number - 1,
        run=config.run,
    )


def _start(config: Config, number: int) -> str:
    return config.model if number == 1 else str(rounds.place_of(config.run, number - 1).resolve() / "next")


def _policy(config: Config, number: int, policy: int) -> grpo_math.Config:
    """One policy of a round."""
    from rl.loop.seeds import derive_seed

    held_out = (config.run / rounds.HELD_OUT).resolve()
    own: dict[str, Any] = {
        **dict.fromkeys(("subset", "split", "prompt_column", "answer_column", "limit", "resume"), None),
        **dict.fromkeys(("skip_bad_gold", "drop_answer_turn", "skip_long_prompts", "overwrite"), False),
        "kl": config.kl and KL(config.kl.coef, config.kl.estimator, config.kl.reference),
        "held_out": 0, "eval": (), "eval_data": str(held_out) if config.eval_every and held_out.exists() else None,
    }  # fmt: skip
    return grpo_math.Config(**values_of(grpo_math.Config, config) | own | {
        "model": _start(config, number),
        "gguf_file": config.gguf_file if number == 1 else None,
        "from_adapter": config.from_adapter if number == 1 else None,
        "data": (str((config.run / rounds.PROBLEMS).resolve()),),
        "trust_data_verifiers": True,
        "seed": derive_seed(config.seed, "warp", number, policy) >> 33,
    })  # fmt: skip


def plan_facts(config: Config) -> Any:
    """What `reckon plan` needs to know of a policy. Raises InputError where the command would, but for the run's folder."""
    return grpo_math.plan_facts(resolve(config))


def plan_rounds(config: Config, facts: Any) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """What `reckon plan` shows besides of rounds, and what else takes memory: nothing, a tensor of each model at a time."""
    steps = config.rounds * config.policies * config.steps
    rounds_said = f"{config.rounds:,} round{'s' if config.rounds > 1 else ''}"
    lines = [
        f"{rounds_said} x {config.policies:,} policies x {config.steps:,} steps = {steps:,} steps",
        f"merged by slerp, an angle for each {config.angle}; the next round begins {config.eta:g} of the way from the start to that",
    ]
    if config.front:
        points = len(config.front) + config.policies
        each = f"up to {config.front_problems:,} problems x {config.completions_per_problem} completions"
        lines.append(f"the front: {points} policies, {each} of each")
    return {"rounds": lines}, {}


def _learn(config: Config, run: Rounds, number: int) -> Numbers:
    """One round."""
    place, start = run.place(number), _start(config, number)
    names = [f"run-{policy}" for policy in range(1, config.policies + 1)]
    for policy, name in enumerate(names, 1):
        run.trained(number, name, grpo_math.run, _policy(config, number, policy))
    numbers: Numbers = {}
    if not (place / "final").exists():
        found = merge_policies(
            place / "final", [str(place / name) for name in names], Slerp(angle=config.angle), start=start, dtype="fp32"
        )  # fmt: skip
        if found:
            print(f"round {number}: {found.in_words()}", file=sys.stderr)
    if not (place / "next").exists():
        merge_policies(place / "next", [str(place / "final")], Average(), start=start, eta=config.eta, dtype="fp32")
    if number == config.rounds and config.front:
        _measure(config, run, number)
    return numbers


def _measure(config: Config, run: Rounds, number: int) -> None:
    place = run.place(number)
    problems = run.folder.path / (rounds.HELD_OUT if (run.folder.path / rounds.HELD_OUT).exists() else rounds.PROBLEMS)
    sampling = replace(_sampling(config, 1), data=str(problems.resolve()), limit=config.front_problems, seed=config.seed)
    points = [Point(f"eta-{eta:g}", str((place / "final").resolve()), eta) for eta in config.front]
    points += [Point(f"run-{policy}", str((place / f"run-{policy}").resolve())) for policy in range(1, config.policies + 1)]
    found = measured_front(run, number, points, config.model, sampling)
    print("\n".join(front_lines(found)))


def front_lines(found: list[dict[str, Any]]) -> Iterator[str]:
    """The front, a line each."""
    yield f"{'policy':12} {'KL to the start':>22} {'reward':>18} {'right':>7}"
    for point in found:
        kl, reward = (f"{point[name]:.3f} ± {point[f'{name}_error']:.3f}" for name in ("kl", "reward"))
        yield f"{point['name']:12} {kl:>22} {reward:>18} {point['accuracy']:>7.1%}"


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parse_options(Config, sys.argv[1:], name="warp"))))
