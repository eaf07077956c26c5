"""Training on what is already written: a second short loop over the same Learner, for every objective that samples nothing.

What a step trains on is a function of the step alone, so that a run that was killed continues to the same bits. `fit` is the loop and no
more; `train_offline` is the same with a run folder, checkpoints and evaluations.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass

from rl.learning.learner import Learner
from rl.learning.reference import Reference
from rl.learning.schedule import Schedule
from rl.learning.scoring import prepare
from rl.learning.update_stats import UpdateStats
from rl.learning.update_stats import metrics as update_metrics
from rl.loop.course import AroundStep, Course, NothingPending
from rl.loop.seeds import reseed
from rl.objectives.batch import Batch
from rl.objectives.objective import Objective
from rl.runs.run_folder import Position, RunFolder
from rl.runs.tracking import Clock, Tracker
from rollout.interruption import Interrupted, interruptible, raise_if_interrupted, uninterrupted
from rollout.progress import watched

BatchOfStep = Callable[[int], Batch]
"""Step 1, 2, ... -> what it trains on."""


@dataclass(frozen=True)
class OfflineLoop:
    """How long and how often."""

    steps: int
    lr: Schedule
    eval_every: int = 0
    """0: before the first step and after the last only."""
    checkpoint_every: int = 100
    seed: int = 0
    stall_after: float = 0.0
    """Seconds without progress after which `Stalled` is raised; 0: never."""


def learn(batch: Batch, *, learner: Learner, objective: Objective, reference: Reference | None = None, lr: float) -> UpdateStats:
    """One optimiser step, what the objective reads scored first."""
    scored = batch.with_columns(prepare(batch, objective.reads, learner=learner, reference=reference))
    stats = learner.update(scored, objective, lr=lr)
    if reference and stats.updates:
        reference.follow()
    return stats


def measure(batch: Batch, *, learner: Learner, objective: Objective, reference: Reference | None = None) -> dict[str, float]:
    """Loss and measures of a batch that nobody trains on, as `eval/loss` and the like."""
    with watched("measuring what is held out", after=10.0):
        stats = learner.measure(batch.with_columns(prepare(batch, objective.reads, learner=learner, reference=reference)), objective)
    found = update_metrics([stats])
    return {f"eval/{name}": found[name] for name in ("loss", *objective.measures)}


def fit(
    *,
    learner: Learner,
    objective: Objective,
    batch_of_step: BatchOfStep,
    steps: int,
    lr: Schedule,
    reference: Reference | None = None,
    seed: int = 0,
    should_stop: Callable[[int, float], bool] = lambda step, loss: False,
) -> int:
    """`should_stop(step, loss)` is asked after each step. Returns the number of steps taken."""
    for step in range(1, steps + 1):
        reseed(seed, "offline", step)
        stats = learn(batch_of_step(step), learner=learner, objective=objective, reference=reference, lr=lr(step - 1))
        if should_stop(step, stats.loss):
            return step
    return steps


def train_offline(
    *,
    loop: OfflineLoop,
    learner: Learner,
    objective: Objective,
    batch_of_step: BatchOfStep,
    run: RunFolder,
    tracker: Tracker,
    reference: Reference | None = None,
    evaluate: Callable[[], Mapping[str, float]] = dict,
    should_stop: Callable[[], bool] = lambda: False,
    around_step: AroundStep = lambda step: nullcontext(),
    after_step: Callable[[int], None] = lambda step: None,
) -> Position:
    """Run, or continue, `run` until `loop.steps` steps are done or `should_stop` says so; always ends with a checkpoint.

    An interruption (Ctrl-C, SIGTERM) ends it where it is: what is kept is said, and the position returned is that of the last whole step.
    Raises `Diverged` after three steps that were not finite. `after_step` may change the learner: what it does belongs to the step.
    """
    with interruptible(), ExitStack() as watching:
        course = Course(run, learner, NothingPending(), reference)
        watching.enter_context(course.watched_over(loop.stall_after))
        try:
            if not course.begun:
                course.doing = "the evaluation before the first step"
                facts = dict(evaluate())
                with uninterrupted():
                    tracker.step(0, facts)
                    course.reach(Position())
                    course.save()
            while course.position.step < loop.steps and not should_stop():
                raise_if_interrupted()
                step = course.position.step + 1
                with around_step(step):
                    metrics = _step(
                        course, loop, step, objective=objective, batch_of_step=batch_of_step, reference=reference, evaluate=evaluate
                    )
                with uninterrupted():
                    tracker.step(step, metrics)
                    after_step(step)
                    course.reach(Position(step))
                    if step % loop.checkpoint_every == 0 and step < loop.steps:
                        course.save()
            course.save()
        except Interrupted:
            tracker.say(course.interrupted())
    return course.position


def _step(
    course: Course, loop: OfflineLoop, step: int, *, objective: Objective, batch_of_step: BatchOfStep, reference: Reference | None,
    evaluate: Callable[[], Mapping[str, float]],
) -> dict[str, float]:  # fmt: skip
    """One step's numbers."""
    clock, rate = Clock(), loop.lr(step - 1)
    clock("batch")
    course.doing = f"step {step}"
    reseed(loop.seed, "offline", step)
    batch = batch_of_step(step)
    clock("update")
    with watched(f"step {step}, updating", len(batch), after=10.0):
        stats = learn(batch, learner=course.learner, objective=objective, reference=reference, lr=rate)
    found: dict[str, float] = {**update_metrics([stats]), "sequences": len(batch), "tokens": len(batch.tokens)}
    if step == loop.steps or (loop.eval_every and step % loop.eval_every == 0):
        clock("evaluate")
        course.doing = f"the evaluation after step {step}"
        found |= evaluate()
    seconds = clock.stop()
    total = sum(seconds.values())
    timing = {f"time/{phase}": value for phase, value in seconds.items()} | {"time/step": total}
    return found | timing | {"speed/tokens_per_s": len(batch.tokens) / total if total else 0.0}
