"""What every online recipe does between its own beginning and end: checks before anything heavy, then objects, then the loop."""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, fields, replace
from typing import Any

from recipes.setup import choices
from recipes.setup.model_source import ModelSource, find_model
from recipes.setup.options import Options, check_options, optimizer_of, refuse_read_inside, to_json
from recipes.setup.problem_mixture import sets_of
from recipes.setup.resuming import steps_done, with_changes
from recipes.setup.reward_code import changed, reward_code
from recipes.setup.reward_models import NAME, RewardModels, reward_models
from recipes.spelling.flat_options import flat_values, word_of
from recipes.spelling.option_values import flag_of
from rl.learning.adapters import Lora
from rl.learning.critic import Critic
from rl.learning.learner import Diverged, ValueHead
from rl.learning.model_loading import with_attention
from rl.learning.policy import Policy
from rl.learning.reference import MovingAverage, Reference, Renewed, initial_reference
from rl.learning.schedule import Schedule
from rl.learning.teacher import Teacher
from rl.loop.problem_stream import Stream
from rl.loop.seeds import reseed
from rl.loop.silence import SecondLook
from rl.loop.train import Loop, train
from rl.measuring.profile import tracing
from rl.objectives.algorithms import Algorithm, named
from rl.objectives.credit import UnfitReward
from rl.objectives.distillation import DISTILLATIONS
from rl.objectives.policy_gradient import KL, Correction, k1, k2, k3
from rl.objectives.values import with_value
from rl.runs.report import plot_run
from rl.runs.run_folder import Position, RunFolder, read_lines
from rl.runs.tracking import SHOWN, Service, Tracker, check_tracker
from rollout.canary import SamplerIsNotThePolicy
from rollout.chat import Chat
from rollout.engine import Engine, Sampling
from rollout.interruption import interruptible
from rollout.player import Player, Verify
from rollout.progress import watched
from rollout.watchdog import Stalled
from verifiers.atomic_files import write_json
from verifiers.input_error import InputError
from verifiers.problem import Problem
from verifiers.rewards.gold_answers import gold_response
from verifiers.rewards.load_reward import functions_in, rewards_in
from verifiers.rewards.reward_text import parse, split_weight
from verifiers.verdict import Status, as_verdict
from verifiers.worker_pool.gold_check import try_gold
from verifiers.worker_pool.verifier_pool import VerifierPool

TRIALS = 3
_WRONG = "I do not know. 0"
_SCORE_STEPS = frozenset({"steps", "reward_model"})
_WRONG_STEPS = "Let me see.\n\nFirst, 1 + 1 = 3.\n\nThen I do not know.\n\n0"
DECLINED = as_verdict(None).detail
CRITIC_FASTER = 10.0
"""A critic's learning rate over its policy's, where none is given: as in verl's examples (1e-5 beside 1e-6)."""
ESTIMATORS = {"k1": k1, "k2": k2, "k3": k3}


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    position: Position
    stopped: bool
    """By Ctrl-C or SIGTERM, before its last step."""
    seconds: float
    metrics: list[dict[str, Any]]


def algorithm_of(options: Options) -> Algorithm:
    """The algorithm that the options describe. Raises InputError for what it would ignore or cannot do."""
    check_options(options)
    algorithm_name, own = word_of(type(options.algorithm)), {f.name: getattr(options.algorithm, f.name) for f in fields(options.algorithm)}
    kl = KL(options.kl.coef, ESTIMATORS[options.kl.estimator]) if options.kl else None
    critic = own.pop("critic", None)
    if own.pop("kl_in", "loss") == "reward":
        own, kl = own | {"reward_kl": _reward_kl(options)}, None
    correction, chosen = None, options.correction or (choices.Truncate() if options.ahead else None)
    if chosen:
        correction = Correction(word_of(type(chosen)), **{f.name: getattr(chosen, f.name) for f in fields(chosen)})
    try:
        algorithm = named(
            algorithm_name,
            max_completion_length=options.max_completion_length,
            kl=kl,
            correction=correction,
            entropy_coef=options.entropy_coef,
            among=DISTILLATIONS if algorithm_name in DISTILLATIONS else None,
            **own,
        )
    except ValueError as error:
        raise InputError(str(error).replace("_", "-")) from error
    if isinstance(critic, choices.TrunkCritic):
        algorithm = replace(algorithm, objective=with_value(algorithm.objective, coef=critic.coef, clip=critic.clip))
    if options.completions_per_problem < algorithm.min_completions:
        raise InputError(
            f"--completions-per-problem {options.completions_per_problem}: {algorithm_name}'s baseline is the group, which needs "
            f"at least {algorithm.min_completions}; {_fewer(own)}"
        )
    several = {name: getattr(options, name) for name in ("updates_per_rollout", "epochs_per_rollout") if getattr(options, name) > 1}
    if several and not algorithm.corrects_for_age:
        given = " and ".join(f"{flag_of(name)} {value}" for name, value in several.items())
        raise InputError(
            f"{given}: {algorithm_name} has no probability ratio, so only the first update of a rollout would be right; use 1, or grpo"
        )
    return algorithm


def _fewer(own: Mapping[str, Any]) -> str:
    """What can do with a smaller group."""
    size = next((name for name in ("k", "n") if name in own), None)
    return f"sample more, or lower {flag_of(size)} {own[size]}" if size else "reinforce++, raft and ppo can do with 1"


def _reward_kl(options: Options) -> float:
    if not options.kl:
        raise InputError("--kl-in reward would be ignored without --kl-coef; leave it out, or give that too")
    if options.kl.estimator not in ("k1", choices.KL.estimator):
        raise InputError(f"--kl {options.kl.estimator} would be ignored with --kl-in reward, where it is k1; leave it out")
    return options.kl.coef


def critic_of(options: Options) -> Any:
    """What the options say of a critic; None for an algorithm that has none."""
    return getattr(options.algorithm, "critic", None)


def critic_rate(options: Options) -> float:
    """Its peak learning rate."""
    rate = getattr(critic_of(options), "lr", None)
    return CRITIC_FASTER * options.lr if rate is None else float(rate)


def critic_schedule(options: Options) -> Schedule:
    """As the policy's, with a peak of its own."""
    return Schedule(critic_rate(options), options.steps, options.warmup, options.schedule)


def trunk_head(options: Options) -> ValueHead | None:
    """The value head of a policy that carries its critic; None where it does not."""
    return ValueHead(lr_scale=critic_rate(options) / options.lr) if isinstance(critic_of(options), choices.TrunkCritic) else None


def check_prompts(problems: Sequence[Problem], chat: Chat, options: Options, context: int | None, *, skip: bool = False) -> list[Problem]:
    """The problems whose prompt and completion fit into the model's context. Raises InputError if any does not, or none does with `skip`.

    The first to render the prompts, so it also raises for a chat template that does not end.
    """
    chat.vet(problems)
    if context is None:
        return list(problems)
    lengths = [len(chat.render(problem)) for problem in problems]
    room = context - options.max_completion_length
    kept = [problem for problem, length in zip(problems, lengths, strict=True) if length <= room]
    if len(kept) == len(problems):
        return kept
    place, length = next((place, length) for place, length in enumerate(lengths) if length > room)
    if not skip or not kept:
        more = f" (and {len(problems) - len(kept) - 1} more are too long)" if len(problems) - len(kept) > 1 else ""
        remedy = ", or drop such problems with --skip-long-prompts" if kept and not skip else ""
        raise InputError(
            f"problem {problems[place].id} ({_beginning(problems[place])}) has a prompt of {length} tokens, what chat template and "
            f"--system-prompt add included{more}; with --max-completion-length {options.max_completion_length} it needs "
            f"{length + options.max_completion_length}, and the model's context is {context}: shorten one of them{remedy}"
        )
    print(f"left out {len(problems) - len(kept)} of {len(problems)} problems, whose prompts are longer than {room} tokens", file=sys.stderr)
    return kept


def _beginning(problem: Problem, most: int = 40) -> str:
    """What a person knows a problem by: the first characters of what it asks, quoted, on one line."""
    text = problem.prompt if isinstance(problem.prompt, str) else problem.prompt[-1]["content"]
    return repr(text if len(text) <= most else text[:most] + "...")


def fingerprint(problems: Sequence[Problem]) -> str:
    """Changes when any problem is added, removed, changed or moved: a run resumes only on the problems that it began with."""
    content = [[problem.id, dict(problem.meta)] for problem in problems]
    return hashlib.blake2b(json.dumps(content, sort_keys=True, default=str).encode(), digest_size=8).hexdigest()


def open_run(options: Options, problems: Sequence[Problem], *, needed_bytes: int = 0, done: int | None = None) -> RunFolder:
    """A new run folder, or the one to resume, locked. Raises InputError where it exists, is missing, in use, or of other problems.

    Called when everything that can fail has been tried, because `--overwrite` deletes the earlier run here. `done`: steps, where no
    checkpoint says it.
    """
    facts = {"problems": len(problems), "fingerprint": fingerprint(problems)}
    rewards = reward_code(options.reward or [problem.verifier for problem in problems])
    if options.resume is None:
        config = {"options": to_json(options), **facts, "held_out": "drawn by the seed", "rewards": rewards}
        return RunFolder.create(options.run, config, overwrite=options.overwrite, needed_bytes=needed_bytes)
    run, config = RunFolder.open(options.resume)
    if config.get("fingerprint") != facts["fingerprint"]:
        raise InputError(
            f"--resume {options.resume}: the problems changed since the run began ({config.get('problems')} then, {len(problems)} now); "
            "restore the data file, or start a new run"
        )
    if said := changed(config["rewards"], rewards) if isinstance(config.get("rewards"), dict) else "":
        print(f"--resume {options.resume}: {said}", file=sys.stderr)
    run.lock()
    if (updated := with_changes(config, options, step=steps_done(run.path) if done is None else done)) is not config:
        write_json(run.path / "config.json", updated)
    return run


def check_place(options: Options, *, needed_bytes: int = 0) -> None:
    """Raises InputError, before anything heavy, if the run could not be written, another process is at it or its tracker is missing."""
    check_tracker(options.track and word_of(type(options.track)))
    check_folder(options, needed_bytes=needed_bytes)


def service_of(options: Any) -> Service | None:
    """The tracker of the options."""
    track = options.track
    return Service(word_of(type(track)), track.run_name, getattr(track, "project", None)) if track else None


def check_folder(options: Options, *, needed_bytes: int = 0) -> None:
    """Raises InputError where the run's folder cannot be written, or another process is at it."""
    if options.overwrite or options.resume:
        RunFolder(options.resume or options.run).check_free()
    if options.resume is None:
        if options.overwrite:
            refuse_read_inside(options)
        RunFolder.check_new(options.run, overwrite=options.overwrite, needed_bytes=needed_bytes)


def make_policy(
    options: Options,
    model: str | ModelSource,
    *,
    algorithm: Algorithm,
    lora: Lora | None = None,
    attention: str | None = None,
    made: Callable[..., Policy] = Policy,
    **settings: Any,
) -> tuple[Policy, Reference | None]:
    """The policy that the options describe, of a place as `--model` has it, and what its KL is measured against; `settings`: Policy's.

    `made`: what is called with the model and them instead of Policy.
    """
    source = find_model(model) if isinstance(model, str) else model
    with watched(f"loading {source.in_words()}"):
        loaded = with_attention(source.load_model(settings.get("dtype", "fp32"), lora=lora is not None), attention)
    reseed(options.seed, "policy")  # a fresh adapter draws its weights
    policy = made(
        loaded,
        lora=lora,
        value_head=trunk_head(options),
        optimizer=optimizer_of(options),
        tokens_per_micro_batch=options.tokens_per_micro_batch,
        layout=options.layout,
        savings=options.savings,
        **settings,
    )
    say_layout(options.layout, policy.layout, source.in_words())
    if not algorithm.needs_reference:
        return policy, None
    if options.kl and isinstance(options.kl.reference, choices.MovingAverage):
        return policy, MovingAverage(policy, decay=options.kl.reference.decay)
    if options.kl and isinstance(options.kl.reference, choices.Renewed):
        return policy, Renewed(policy, every=options.kl.reference.every)
    return policy, initial_reference(policy)


def say_layout(wanted: str, found: str, model: str) -> None:
    """One line where a model does not allow what is wanted of it, or allows nothing but padding."""
    if found != wanted and found == "padded":
        reason = "takes no sequences that lie in one row, or sees from one into another"
        print(f"{model} {reason}, so they are padded (--layout padded says so too)", file=sys.stderr)


def make_player(options: Options, engine: Engine, chat: Chat, verify: Verify, figures: Callable[[], Mapping[str, float]] = dict) -> Player:
    """Who samples and judges as the options say."""
    sampling = Sampling(options.max_completion_length, options.completions_per_problem, options.temperature, chat.stop_ids)
    return Player(engine, chat, sampling, verify, figures)


def train_online(
    options: Options,
    *,
    name: str,
    run: RunFolder,
    algorithm: Algorithm,
    policy: Policy,
    reference: Reference | None,
    player: Player,
    problems: Sequence[Problem],
    critic: Critic | None = None,
    teacher: Teacher | None = None,
    stream: Stream | None = None,
    evaluate: Callable[[int], Mapping[str, float]] = lambda step: {},
) -> Outcome:
    """The loop, from where the run stands, to its last step or an interruption; then plots and manifest.

    Raises InputError if it had to stop.
    """
    began = time.monotonic()
    loop = Loop(
        steps=options.steps,
        problems_per_step=options.problems_per_step,
        lr=Schedule(options.lr, options.steps, options.warmup, options.schedule),
        updates_per_rollout=options.updates_per_rollout,
        epochs_per_rollout=options.epochs_per_rollout,
        critic_lr=critic_schedule(options),
        critic_warmup=getattr(critic_of(options), "warmup", 0),
        mask_truncated=options.mask_truncated,
        eval_every=options.eval_every,
        checkpoint_every=options.checkpoint_every,
        seed=options.seed,
        stall_after=60 * options.stall_after,
        ahead=options.ahead,
        store_tokens=options.store_tokens,
    )
    shown = SHOWN | {f"eval/{name}/accuracy": (name, "{:.1%}") for name in sets_of(getattr(options, "eval", ()))}
    tracker = Tracker(
        run.metrics_path, steps=options.steps, name=name, tracker=service_of(options), config=flat_values(options), shown=shown
    )
    run.write_manifest(status="running")
    with interruptible(), tracker:
        try:
            position = train(
                loop=loop, policy=policy, player=player, problems=problems, algorithm=algorithm, run=run, tracker=tracker,
                reference=reference, critic=critic, teacher=teacher, stream=stream, evaluate=evaluate, second_look=_second_look(options),
                around_step=tracing(policy, run.path, steps=options.profile, last=options.steps),
            )  # fmt: skip
        except (Diverged, UnfitReward, SamplerIsNotThePolicy) as error:
            run.write_manifest(status="diverged", detail=str(error))
            with suppress(InputError):  # before the first step there is nothing to draw, and `error` is the news
                plot_run(run.metrics_path, run.plots)
            raise InputError(f"the run stopped: {error}") from error
        except Stalled as error:
            run.write_manifest(status="stalled", detail=str(error))
            raise Stalled(f"{error}; continue with --resume {run.path}") from error
        except InputError as error:  # a verifier or an engine that gave up; the checkpoint and its rollouts are whole
            run.write_manifest(status="stopped", detail=str(error))
            raise InputError(f"the run stopped: {error}; once that is mended, continue with --resume {run.path}") from error
        stopped = position.step < options.steps
        run.write_manifest(status="interrupted" if stopped else "done", step=position.step)
    with suppress(InputError) if stopped else nullcontext():  # before the first step there is nothing to draw
        plot_run(run.metrics_path, run.plots)
    return Outcome(position, stopped, time.monotonic() - began, read_lines(run.metrics_path))


def verifier_pool(options: Options, problems: Sequence[Problem]) -> VerifierPool:
    """Workers for the rewards of the options, tried on a few problems first. Raises InputError if they do not work."""
    functions = {name for spec in options.reward or {problem.verifier for problem in problems} for name in _functions_in(spec)}
    _require_step_scores(options, functions)
    named = options.reward or {problem.verifier for problem in problems}
    with ExitStack() as stack:  # the workers end if a trial fails
        models = reward_models(options, named)
        if not models.score_steps:  # those that are left may
            _require_step_scores(options, functions - {NAME})
        pool = stack.enter_context(models.around(VerifierPool(options.reward, workers=options.workers, deadline=options.deadline)))
        for problem in problems[:TRIALS]:
            try_gold(pool, problem)
        said = (_WRONG, _WRONG_STEPS) if functions & _SCORE_STEPS else (_WRONG,)
        wrong = [(problem, response) for problem in problems[:TRIALS] for response in said]
        for (problem, response), verdict in zip(wrong, pool.verify_many(wrong), strict=True):
            if verdict.status is Status.CRASH and verdict.detail != DECLINED:
                raise InputError(f"{verdict.detail}, on problem {problem.id} with the response {response!r}")
        for problem in problems[:1]:
            _try_inside(options, problem, models)
        stack.pop_all()
    return pool


def _functions_in(spec: str) -> list[str]:
    with suppress(InputError):  # loading it says what is wrong
        return functions_in(spec)
    return []


def _require_step_scores(options: Options, functions: Collection[str]) -> None:
    """Raises InputError where the algorithm learns from steps alone, and none of our verifiers that run scores any."""
    algorithm = getattr(options, "algorithm", None)
    alone = isinstance(algorithm, choices.GRPOPS) and not algorithm.outcome_weight
    if alone and not _SCORE_STEPS.intersection(functions) and not any(":" in name for name in functions):
        raise InputError(
            f"--algorithm grpo-ps learns from the scores of steps, and {', '.join(sorted(functions)) or 'a reward model of whole answers'} "
            "gives none; give --reward 'steps(arithmetic)', 'reward_model(PLACE)' of a process reward model, or another way to score them, "
            "or --outcome-weight"
        )


def _try_inside(options: Options, problem: Problem, models: RewardModels) -> None:
    """Each reward that another one runs, alone: a gate, which refuses a bare gold answer, would hide that it works on nothing.

    It may rely on the gate before it, so it is tried on the gold answer and on the same in tags, and one verdict is enough.
    """
    specs = options.reward or (problem.verifier,)
    inside = dict.fromkeys(str(reward) for spec in specs for reward in rewards_in(spec))
    trials = [replace(problem, verifier=reward) for reward in inside if reward not in specs]
    with models.around(VerifierPool(workers=1, deadline=options.deadline)) as pool:
        for trial in trials:
            gold = gold_response(trial)
            verdicts = pool.verify_many([(trial, gold), (trial, f"<think>\n{gold}\n</think>\n<answer>\n{gold}\n</answer>")])
            if all(verdict.status in (Status.CRASH, Status.TIMEOUT) and verdict.detail != DECLINED for verdict in verdicts):
                where = f"on problem {problem.id} with its gold answer as the response"
                raise InputError(f"{trial.verifier}, which {' and '.join(specs)} runs: {verdicts[0].detail}, {where}")


def _second_look(options: Options) -> SecondLook | None:
    """Judges by the reward behind the first one's gate; None where that is no gate."""
    spec = parse(split_weight(options.reward[0])[0]) if options.reward else None
    behind = spec
    while behind and behind.name == "gate" and len(behind.parts) == 2:
        behind = behind.parts[1]
    if behind is None or behind is spec:
        return None
    reward = str(behind)

    def look(pairs: Sequence[tuple[Problem, str]]) -> int:
        with suppress(InputError), VerifierPool([reward], workers=options.workers, deadline=options.deadline) as pool:
            return sum(verdict.status is Status.RIGHT for verdict in pool.verify_many(list(pairs)))
        return 0

    return look


def summary(outcome: Outcome, run: RunFolder) -> str:
    """How the run ended and where everything lies, for the reader's eyes."""
    verdicts = {s: int(sum(m.get(f"verdicts/{s}", 0) for m in outcome.metrics)) for s in ("timeout", "crash", "bad_gold")}
    lost = ", ".join(f"{count} {status}" for status, count in verdicts.items() if count)
    skipped = int(sum(m.get("skipped_updates", 0) for m in outcome.metrics))
    drawn = f", plots in it; reckon view {run.path} shows all of it" if outcome.metrics else ""
    lines = [f"{'stopped' if outcome.stopped else 'done'} after step {outcome.position.step}; run in {run.path}{drawn}"]
    if outcome.stopped:
        lines.append(f"continue with --resume {run.path}")
    if lost:
        lines.append(f"completions without a verdict, left out of training: {lost} (see status and detail in {run.rollouts.folder})")
    if skipped:
        lines.append(f"updates skipped because loss or gradient was not finite: {skipped}")
    return "\n".join(lines)
