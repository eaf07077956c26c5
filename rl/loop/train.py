"""The only online loop: problems -> completions -> verdicts -> advantages -> one or more updates, a step at a time.

Every algorithm and every engine runs through it. It decides the order of things and nothing else: what is sampled, scored and
optimised is handed to it. All randomness is a function of (seed, step), so a step replayed from its stored rollout, or sampled
again, gives the same numbers. Every sync and every sampling is followed by the canary: the sampler is the policy, or the run stops.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import Any

from rl.learning.critic import Critic
from rl.learning.policy import Policy
from rl.learning.reference import Reference
from rl.learning.schedule import Schedule
from rl.learning.scoring import prepare
from rl.learning.teacher import Teacher
from rl.learning.update_stats import UpdateStats
from rl.learning.update_stats import metrics as update_metrics
from rl.loop.alarms import Watch
from rl.loop.course import AroundStep, Course
from rl.loop.engine_sync import EngineSync
from rl.loop.group_batch import batch_of_groups, signal_of, taught
from rl.loop.problem_stream import Stream
from rl.loop.rollout_source import Rollout, RolloutSource
from rl.loop.seeds import reseed
from rl.loop.signal_report import critic_metrics, rollout_metrics
from rl.loop.silence import SecondLook, Silence
from rl.loop.token_record import token_record, with_places
from rl.objectives.algorithms import Algorithm
from rl.objectives.batch import Batch, split
from rl.runs.run_folder import Position, RunFolder, read_lines
from rl.runs.tracking import Clock, Tracker
from rollout.interruption import Interrupted, interruptible, raise_if_interrupted, uninterrupted
from rollout.player import Group, Player
from rollout.progress import watched
from verifiers.problem import Problem


@dataclass(frozen=True)
class Loop:
    """How long and how often. Sizes are in problems; nothing needs to divide anything."""

    steps: int
    problems_per_step: int
    lr: Schedule
    updates_per_rollout: int = 1
    """Over disjoint parts of its groups."""
    epochs_per_rollout: int = 1
    """Passes over those parts. From the second update on, ratios are to the policy as it was before the first."""
    eval_every: int = 0
    """0: before the first step and after the last only."""
    checkpoint_every: int = 10
    seed: int = 0
    critic_lr: Schedule = field(default_factory=lambda: Schedule(0.0, 1))
    """Of a critic with an optimiser of its own."""
    critic_warmup: int = 0
    """In so many steps only the critic learns, and the policy stays as it is."""
    mask_truncated: bool = False
    """Completions that reached the length limit do not train; their verdicts count in their group all the same (DAPO's filtering)."""
    ahead: int = 0
    """1: sample the next rollout during the update; it is then one step old. The engine must have weights of its own."""
    store_tokens: bool = True
    """Keep what the updates saw of every token (`token_record.py`)."""
    stall_after: float = 0.0
    """Seconds without progress after which `Stalled` is raised; 0: never."""


def train(
    *,
    loop: Loop,
    policy: Policy,
    player: Player,
    problems: Sequence[Problem],
    algorithm: Algorithm,
    run: RunFolder,
    tracker: Tracker,
    reference: Reference | None = None,
    critic: Critic | None = None,
    teacher: Teacher | None = None,
    stream: Stream | None = None,
    evaluate: Callable[[int], Mapping[str, float]] = lambda step: {},
    should_stop: Callable[[], bool] = lambda: False,
    second_look: SecondLook | None = None,
    around_step: AroundStep = lambda step: nullcontext(),
) -> Position:
    """Run, or continue, `run` until `loop.steps` steps are done or `should_stop` says so; always ends with a checkpoint.

    An interruption (Ctrl-C, SIGTERM) ends it where it is: what is kept is said, and the position returned is that of the last whole step.
    What goes wrong is said in words (`alarms.py`, `silence.py`).
    `evaluate` gives numbers for the log after a step: before the first (0), and when it is time. `second_look` judges what a gate refused,
    for the line that says why nothing is learnt. Raises `Diverged` after three steps that were not finite, or when the sampler's
    distribution is not; `SamplerIsNotThePolicy` when it samples from other weights; `UnfitReward` for rewards that the
    algorithm is not defined for.
    """
    silence, watch = Silence(second_look, loop.mask_truncated, algorithm.by_steps), Watch()
    engine = EngineSync(policy, player, problems)
    rollouts = RolloutSource(
        policy=policy, player=player, problems=problems, run=run, sync=engine.sync, problems_per_step=loop.problems_per_step,
        max_refills=algorithm.max_refills, seed=loop.seed, oldest=loop.ahead * loop.updates_per_rollout * loop.epochs_per_rollout,
        stream=stream,
    )  # fmt: skip
    step = _Step(loop, policy, engine, rollouts, algorithm, reference, critic, teacher, tracker, evaluate)
    with interruptible(), ExitStack() as watching:
        course = Course(run, policy, rollouts, reference, critic)
        watching.enter_context(course.watched_over(loop.stall_after))
        for row in read_lines(run.metrics_path)[1:]:  # without what comes before the first step
            watch.note(row)  # it was said in an earlier life
        try:
            if not course.begun:
                course.doing = "the evaluation before the first step"
                engine.sync()
                facts = engine.facts() | dict(evaluate(0))
                with uninterrupted():
                    tracker.step(0, facts)
                    course.reach(Position())
                    course.save()
            while course.position.step < loop.steps and not should_stop():
                raise_if_interrupted()
                with around_step(course.position.step + 1):
                    metrics, groups = step.take(course)
                if line := silence.note(groups, taught=bool(metrics["effective_batch"])):
                    tracker.say(line)
                for line in watch.note(metrics):
                    tracker.say(f"step {course.position.step}: {line}")
            rollouts.settle()
            course.save()
        except Interrupted:
            tracker.say(course.interrupted())
    return course.position


@dataclass(frozen=True)
class _Step:
    """What every step of a run has in common."""

    loop: Loop
    policy: Policy
    engine: EngineSync
    rollouts: RolloutSource
    algorithm: Algorithm
    reference: Reference | None
    critic: Critic | None
    teacher: Teacher | None
    tracker: Tracker
    evaluate: Callable[[int], Mapping[str, float]]

    def take(self, course: Course) -> tuple[dict[str, float], list[Group]]:
        """The next step, shown and stored. Returns its numbers and what they are of."""
        loop, policy, step, clock = self.loop, self.policy, course.position.step + 1, Clock()
        temperature = self.rollouts.player.sampling.temperature
        clock("rollout")
        course.doing = f"the sampling of step {step}"
        reseed(loop.seed, "step", step)
        rollout = self.rollouts.take(step, course.position.cursor)
        if rollout.version == policy.version:
            clock("canary")
            self.engine.check_samples(rollout.groups, temperature, step)
        if loop.ahead and step < loop.steps:
            clock("begin")
            self.rollouts.begin(step + 1, rollout.cursor)
        elif not loop.ahead:
            self.engine.rest()
        clock("update")
        course.doing = f"the update of step {step}"
        rate, version = loop.lr(step - 1), policy.version
        batch = batch_of_groups(rollout.groups, temperature=temperature, mask_truncated=loop.mask_truncated)
        batch = self._credited(batch, rollout.groups)
        if loop.store_tokens:
            batch = with_places(batch)
        with watched(f"step {step}, updating", len(batch) * loop.epochs_per_rollout, after=10.0):
            updates, of_critic = self._learn(batch, rows_per_group=len(rollout.groups[0].completions), step=step)
        if loop.store_tokens:
            course.run.tokens.write(step, *token_record(batch, updates))
        metrics: dict[str, float] = {
            **rollout_metrics(rollout.groups, rollout.replaced), **update_metrics(updates), **critic_metrics(batch, of_critic),
            "effective_batch": taught(batch), "lr": rate, "staleness": version - rollout.version,
        }  # fmt: skip
        self._conclude(course, Position(step, rollout.cursor), metrics, rollout, clock)
        return metrics, rollout.groups

    def _credited(self, batch: Batch, groups: list[Group]) -> Batch:
        """With all that credit and objective read, and the credit itself."""
        asked: dict[str, Any] = {"learner": self.policy, "reference": self.reference, "critic": self.critic, "teacher": self.teacher}
        batch = batch.with_columns(prepare(batch, self.algorithm.reads, **asked))
        signal = signal_of(groups, batch, length_penalty=self.algorithm.length_penalty, chat=self.rollouts.player.chat)
        batch = batch.with_columns(self.algorithm.credit(signal))
        return batch.with_columns(prepare(batch, self.algorithm.objective.reads, **asked))

    def _learn(self, batch: Batch, *, rows_per_group: int, step: int) -> tuple[list[UpdateStats], list[UpdateStats]]:
        """One rollout's optimiser steps, over whole groups, in order, as often as there are epochs: (the policy's, a critic's own).

        The critic's come first: a policy that follows stale values would be corrected by the next rollout only.
        """
        loop, objective = self.loop, self.algorithm.objective
        first, *later = split(batch, loop.updates_per_rollout, rows_per_group)
        waits = step <= loop.critic_warmup
        # the first update starts from the very policy that "old" means
        parts = [first if loop.epochs_per_rollout == 1 else self._with_old(first), *map(self._with_old, later)]
        steps, of_critic = [], []
        for part in parts * loop.epochs_per_rollout:
            if self.critic and (stats := self.critic.update(part, lr=loop.critic_lr(step - 1), alone=waits)):
                of_critic.append(stats)
            if waits:
                continue
            steps.append(self.policy.update(part, objective, lr=loop.lr(step - 1)))
            if self.reference and steps[-1].updates:
                self.reference.follow()
        return steps, of_critic

    def _with_old(self, part: Batch) -> Batch:
        return part.with_columns({"old_logp": self.policy.score_as_updated(part, self.algorithm.objective)})

    def _conclude(self, course: Course, position: Position, metrics: dict[str, float], rollout: Rollout, clock: Clock) -> None:
        """Evaluate, store the numbers, save, where it is time."""
        loop, step = self.loop, position.step
        evaluating = step == loop.steps or bool(loop.eval_every and step % loop.eval_every == 0)
        saving = step % loop.checkpoint_every == 0 and step < loop.steps
        if evaluating or saving:
            clock("settle")
            self.rollouts.settle()
        if evaluating:
            clock("evaluate")
            course.doing = f"the evaluation after step {step}"
            self.engine.sync()
            metrics |= self.evaluate(step)
        with uninterrupted():
            judged = {f"speed/verify_{name}": value for name, value in self.rollouts.player.figures().items()}
            self.tracker.step(step, metrics | self.engine.facts() | judged | _timing(clock, rollout))
            course.reach(position)
            if saving:
                course.save()


def _timing(clock: Clock, rollout: Rollout) -> dict[str, float]:
    """Seconds of this step by phase. "rollout" is all that the step had to wait for its groups; sampling ahead makes it short."""
    seconds = clock.stop()
    total = sum(seconds.values())
    sampled = sum(sum(completion.sampled) for group in rollout.groups for completion in group.completions)
    speed = {"speed/tokens_per_s": sampled / total if total else 0.0}
    if rollout.seconds.get("sample"):
        speed["speed/sampled_tokens_per_s"] = sampled / rollout.seconds["sample"]
    return {f"time/{phase}": value for phase, value in {**seconds, **rollout.seconds}.items()} | {"time/step": total} | speed
