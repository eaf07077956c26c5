"""The only online loop: problems -> completions -> verdicts -> advantages -> one or more updates, a step at a time.

Every algorithm and every engine runs through it. It decides the order of things and nothing else: what is sampled, scored and
optimised is handed to it. All randomness is a function of (seed, step), so a step replayed from its stored rollout, or sampled
again, gives the same numbers. Every sync and every sampling is followed by the canary: the sampler is the policy, or the run stops.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rl.learning.policy import Policy
from rl.learning.schedule import Schedule
from rl.learning.update_stats import UpdateStats
from rl.learning.update_stats import metrics as update_metrics
from rl.loop.course import Course
from rl.loop.evaluate import Accuracy
from rl.loop.rollouts import Rollout, Rollouts
from rl.loop.sampler import Sampler
from rl.loop.seeds import reseed
from rl.loop.signal_report import rollout_metrics
from rl.loop.silence import SecondLook, Silence
from rl.objectives.algorithms import Algorithm
from rl.objectives.batch import make_batch, split
from rl.runs.run_folder import Position, RunFolder
from rl.runs.tracking import Clock, Tracker
from rollout.chat import Chat
from rollout.engine import Engine, Sampling
from rollout.interruption import Interrupted, interruptible, raise_if_interrupted, uninterrupted
from rollout.player import Group, Verify
from rollout.progress import watched
from verifiers.problem import Problem


@dataclass(frozen=True)
class Loop:
    """How long and how often. Sizes are in problems; nothing needs to divide anything."""

    steps: int
    problems_per_step: int
    lr: Schedule
    updates_per_rollout: int = 1
    eval_every: int = 0
    """0: before the first step and after the last only."""
    checkpoint_every: int = 10
    seed: int = 0
    ahead: int = 0
    """1: sample the next rollout during the update; it is then one step old. The engine must have weights of its own."""


def train(
    *,
    loop: Loop,
    policy: Policy,
    engine: Engine,
    chat: Chat,
    sampling: Sampling,
    problems: Sequence[Problem],
    verify: Verify,
    algorithm: Algorithm,
    run: RunFolder,
    tracker: Tracker,
    evaluate: Callable[[], Accuracy] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    second_look: SecondLook | None = None,
) -> Position:
    """Run, or continue, `run` until `loop.steps` steps are done or `should_stop` says so; always ends with a checkpoint.

    An interruption (Ctrl-C, SIGTERM) ends it where it is: what is kept is said, and the position returned is that of the last whole step.
    `second_look` judges what a gate refused, for the line that says why nothing is learnt. Raises `Diverged` after three steps that were
    not finite, or when the sampler's distribution is not; `SamplerIsNotThePolicy` when it samples from other weights; `UnfitReward` for
    rewards that the algorithm is not defined for.
    """
    silence = Silence(second_look)
    sampler = Sampler(policy, engine, chat, problems)
    rollouts = Rollouts(
        policy=policy, engine=engine, chat=chat, sampling=sampling, problems=problems, verify=verify, run=run, sync=sampler.sync,
        problems_per_step=loop.problems_per_step, max_refills=algorithm.max_refills, seed=loop.seed,
        oldest=loop.ahead * loop.updates_per_rollout,
    )  # fmt: skip
    with interruptible():
        course = Course(run, policy, rollouts)
        try:
            if not course.begun:
                course.doing = "the evaluation before the first step"
                sampler.sync()
                facts = sampler.facts() | _evaluation(evaluate)
                with uninterrupted():
                    tracker.step(0, facts)
                    course.reach(Position())
                    course.save()
            while course.position.step < loop.steps and not should_stop():
                raise_if_interrupted()
                metrics, groups = _step(course, loop, sampler, algorithm=algorithm, sampling=sampling, tracker=tracker, evaluate=evaluate)
                if line := silence.note(groups, taught=bool(metrics["effective_batch"])):
                    tracker.say(line)
            rollouts.settle()
            course.save()
        except Interrupted:
            tracker.say(course.interrupted())
    return course.position


def _step(
    course: Course, loop: Loop, sampler: Sampler, *, algorithm: Algorithm, sampling: Sampling, tracker: Tracker,
    evaluate: Callable[[], Accuracy] | None,
) -> tuple[dict[str, float], list[Group]]:  # fmt: skip
    """One step, shown and stored. Returns its numbers and what they are of."""
    policy, rollouts, step, clock = course.policy, course.rollouts, course.position.step + 1, Clock()
    clock("rollout")
    course.doing = f"the sampling of step {step}"
    reseed(loop.seed, "step", step)
    rollout = rollouts.take(step, course.position.cursor)
    if rollout.version == policy.version:
        clock("canary")
        sampler.check_samples(rollout.groups, sampling.temperature, step)
    if loop.ahead and step < loop.steps:
        clock("begin")
        rollouts.begin(step + 1, rollout.cursor)
    elif not loop.ahead:
        sampler.rest()
    clock("update")
    course.doing = f"the update of step {step}"
    rate, version = loop.lr(step - 1), policy.version
    with watched(f"step {step}, updating", sum(len(group.completions) for group in rollout.groups), after=10.0):
        updates = learn(rollout.groups, policy=policy, algorithm=algorithm, temperature=sampling.temperature,
                        pad_id=rollouts.chat.pad_id, parts=loop.updates_per_rollout, lr=rate)  # fmt: skip
    position = Position(step, rollout.cursor)
    metrics: dict[str, float] = {
        **rollout_metrics(rollout.groups, rollout.replaced), **update_metrics(updates),
        "lr": rate, "staleness": version - rollout.version,
    }  # fmt: skip
    evaluating = step == loop.steps or bool(loop.eval_every and step % loop.eval_every == 0)
    saving = step % loop.checkpoint_every == 0 and step < loop.steps
    if evaluating or saving:
        clock("settle")
        rollouts.settle()
    if evaluating:
        clock("evaluate")
        course.doing = f"the evaluation after step {step}"
        sampler.sync()
        metrics |= _evaluation(evaluate)
    with uninterrupted():
        tracker.step(step, metrics | sampler.facts() | _timing(clock, rollout))
        course.reach(position)
        if saving:
            course.save()
    return metrics, rollout.groups


def learn(
    groups: Sequence[Group], *, policy: Policy, algorithm: Algorithm, temperature: float, pad_id: int, parts: int, lr: float
) -> list[UpdateStats]:
    """One rollout's optimiser steps: advantages over all of it, then `parts` updates over whole groups, in order."""
    batch, _ = make_batch(groups, algorithm, temperature=temperature, pad_id=pad_id)
    if algorithm.kl:
        batch = replace(batch, ref_logp=policy.score_reference(batch))
    first, *later = split(batch, parts, group_size=len(groups[0].completions))
    # the first update starts from the very policy that "old" means
    steps = [first, *(replace(part, old_logp=policy.old_logprobs(part, algorithm)) for part in later)]
    return [policy.update(part, algorithm, lr=lr) for part in steps]


def _evaluation(evaluate: Callable[[], Accuracy] | None) -> dict[str, float]:
    if evaluate is None:
        return {}
    result = evaluate()
    low, high = result.interval
    return {"eval/accuracy": result.value, "eval/low": low, "eval/high": high, "eval/total": result.total}


def _timing(clock: Clock, rollout: Rollout) -> dict[str, float]:
    """Seconds of this step by phase. "rollout" is all that the step had to wait for its groups; sampling ahead makes it short."""
    seconds = clock.stop()
    total = sum(seconds.values())
    sampled = sum(sum(completion.sampled) for group in rollout.groups for completion in group.completions)
    speed = {"speed/tokens_per_s": sampled / total if total else 0.0}
    if rollout.seconds.get("sample"):
        speed["speed/sampled_tokens_per_s"] = sampled / rollout.seconds["sample"]
    return {f"time/{phase}": value for phase, value in {**seconds, **rollout.seconds}.items()} | {"time/step": total} | speed
