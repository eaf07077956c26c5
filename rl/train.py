"""The only online loop: problems -> completions -> verdicts -> advantages -> one or more updates, a step at a time.

Every algorithm and every engine runs through it. It decides the order of things and nothing else: what is sampled, scored and
optimised is handed to it. All randomness is a function of (seed, step), so a step replayed from its stored rollout, or sampled
again, gives the same numbers. Every sync and every sampling is followed by the canary: the sampler is the policy, or the run stops.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rl.algorithms import Algorithm
from rl.batch import Batch, make_batch, split
from rl.evaluate import Accuracy
from rl.policy import Diverged, Policy
from rl.run_folder import Position, RunFolder
from rl.schedule import Schedule
from rl.seeds import Shuffled, derive_seed, reseed
from rl.signal_report import no_signal_message, rollout_metrics
from rl.stats import UpdateStats
from rl.stats import metrics as update_metrics
from rl.tracking import Clock, Tracker
from rollout.canary import BOUNDS, Bound, Canary, fixed_sequences
from rollout.chat import Chat
from rollout.collect import Group, Verify, collect_informative
from rollout.engine import Engine, Sampling
from verifiers.problem import Problem

STEPS_WITHOUT_SIGNAL = 20


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
    bound: Bound | None = None,
) -> Position:
    """Run, or continue, `run` until `loop.steps` steps are done or `should_stop` says so; always ends with a checkpoint.

    `bound`: how far apart the log-probabilities of sampler and policy may lie (default: by the policy's dtype). Raises `Diverged` after
    three steps that were not finite, or when the sampler's distribution is not; `SamplerIsNotThePolicy` when it samples from other
    weights; `UnfitReward` for rewards that the algorithm is not defined for.
    """
    sampler = _Sampler(policy, engine, chat, problems, bound)
    stream = Shuffled(len(problems), loop.seed)
    by_id = {problem.id: problem for problem in problems}
    silent: deque[dict[str, float]] = deque(maxlen=STEPS_WITHOUT_SIGNAL)
    position = run.restore(policy)
    if position is None:
        position = Position()
        tracker.step(0, sampler.sync() | _evaluation(evaluate))
        run.save(policy, position)

    while position.step < loop.steps and not should_stop():
        step, clock = position.step + 1, Clock()
        clock("sync")
        reseed(loop.seed, "step", step)
        sync = sampler.sync()
        stored = run.rollouts.read(step, by_id)
        if stored is None or stored[0][0].completions[0].policy_version != policy.version:
            feed = _Feed(problems, stream, position.cursor)
            seeded = replace(sampling, seed=derive_seed(loop.seed, "sampling", step))
            groups, replaced = collect_informative(
                feed.next, loop.problems_per_step, max_refills=algorithm.max_refills,
                engine=engine, chat=chat, sampling=seeded, verify=verify, clock=clock,
            )  # fmt: skip
            _require_finite(groups, step)
            clock("store")
            run.rollouts.write(step, groups, cursor=feed.cursor, replaced=replaced)
            cursor = feed.cursor
        else:
            groups, replaced, cursor = stored
        clock("sync")
        sync |= sampler.check(groups, sampling.temperature, step)
        clock("update")
        rate = loop.lr(step - 1)
        updates = learn(groups, policy=policy, algorithm=algorithm, temperature=sampling.temperature, pad_id=chat.pad_id,
                        parts=loop.updates_per_rollout, lr=rate)  # fmt: skip
        position = Position(step, cursor)
        metrics: dict[str, float] = {**rollout_metrics(groups, replaced), **update_metrics(updates), "lr": rate}
        if step == loop.steps or (loop.eval_every and step % loop.eval_every == 0):
            clock("evaluate")
            sampler.sync()
            metrics |= _evaluation(evaluate)
        tracker.step(step, metrics | sync | _timing(clock, groups))
        silent.append(metrics)
        if len(silent) == STEPS_WITHOUT_SIGNAL and not any(m["effective_batch"] for m in silent):
            tracker.say(no_signal_message(list(silent)))
            silent.clear()
        if step % loop.checkpoint_every == 0 and step < loop.steps:
            run.save(policy, position)
    run.save(policy, position)
    return position


class _Sampler:
    """The engine kept in step with the policy, and the proof of it."""

    def __init__(self, policy: Policy, engine: Engine, chat: Chat, problems: Sequence[Problem], bound: Bound | None):
        self.policy, self.engine = policy, engine
        prompts = [chat.render(problem) for problem in problems[:8]]
        sequences = fixed_sequences(prompts, policy.vocabulary)
        self.canary = Canary(policy.score_sequences, sequences, bound=bound or BOUNDS[policy.autocast or "float32"])

    def sync(self) -> dict[str, float]:
        """The engine samples from the policy as it is now. Returns what that cost and what the canary saw."""
        began = time.monotonic()
        moved = self.engine.load_policy(self.policy.weights(), self.policy.version)
        delivered = time.monotonic()
        gap = self.canary.check_weights(self.engine, self.policy.version)
        return {
            "sync/seconds": delivered - began, "sync/bytes": float(moved), "sync/canary_seconds": time.monotonic() - delivered,
            "canary/weights_worst": gap.worst, "canary/weights_mean": gap.mean,
        }  # fmt: skip

    def check(self, groups: Sequence[Group], temperature: float, step: int) -> dict[str, float]:
        """What was sampled came from the policy. The engine then rests until the update is done."""
        began = time.monotonic()
        sampled = [(group.prompt, group.completions) for group in groups]
        gap = self.canary.check_samples(sampled, temperature=temperature, version=self.policy.version, first=step)
        checked = time.monotonic()
        return {
            "sync/samples_seconds": checked - began, "canary/samples_worst": gap.worst, "canary/samples_mean": gap.mean,
            "sync/bytes_given_back": float(self.engine.sleep()),
        }  # fmt: skip


def _require_finite(groups: Sequence[Group], step: int) -> None:
    """A policy with a nan in it says the same token for ever: no group differs, no update runs, and nothing would ever complain."""
    for group in groups:
        for completion in group.completions:
            if not all(map(math.isfinite, completion.logprobs)):
                raise Diverged(
                    f"at step {step} the sampler's log-probabilities are not finite (policy version {completion.policy_version}): the last "
                    "update broke the policy. Start a new run with a lower learning rate (--lr)"
                )


def learn(
    groups: Sequence[Group], *, policy: Policy, algorithm: Algorithm, temperature: float, pad_id: int, parts: int, lr: float
) -> list[UpdateStats]:
    """One rollout's optimiser steps: advantages over all of it, then `parts` updates over whole groups, in order."""
    batch, _ = make_batch(groups, algorithm, temperature=temperature, pad_id=pad_id)
    if parts > 1:
        batch = replace(batch, old_logp=policy.score(batch)[0])
    if algorithm.kl:
        batch = replace(batch, ref_logp=policy.score_reference(batch))
    steps: list[Batch] = list(split(batch, parts, group_size=len(groups[0].completions)))
    return [policy.update(part, algorithm, lr=lr) for part in steps]


class _Feed:
    """Problems from a position of the endless shuffled stream."""

    def __init__(self, problems: Sequence[Problem], stream: Shuffled, cursor: int):
        self.problems, self.stream, self.cursor = problems, stream, cursor

    def next(self) -> Problem:
        problem = self.problems[self.stream[self.cursor]]
        self.cursor += 1
        return problem


def _evaluation(evaluate: Callable[[], Accuracy] | None) -> dict[str, float]:
    if evaluate is None:
        return {}
    result = evaluate()
    low, high = result.interval
    return {"eval/accuracy": result.value, "eval/low": low, "eval/high": high, "eval/total": result.total}


def _timing(clock: Clock, groups: Sequence[Group]) -> dict[str, float]:
    seconds = clock.stop()
    total = sum(seconds.values())
    sampled = sum(sum(completion.sampled) for group in groups for completion in group.completions)
    speed = {"speed/tokens_per_s": sampled / total if total else 0.0}
    if seconds.get("sample"):
        speed["speed/sampled_tokens_per_s"] = sampled / seconds["sample"]
    return {f"time/{phase}": value for phase, value in seconds.items()} | {"time/step": total} | speed
