"""Where a run stands: its last whole step, and what an interruption keeps of what came after."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

from rl.learning.learner import Learner
from rl.runs.run_folder import Kept, Position, RunFolder, read_lines
from rollout.interruption import take_over, uninterrupted
from rollout.watchdog import watchdog

AroundStep = Callable[[int], AbstractContextManager[Any]]
"""What is opened around each step, which is told its number: a tracer."""


@runtime_checkable
class Pending(Protocol):
    """What is on its way beside the loop: the rollouts of an online run."""

    @property
    def settled(self) -> bool:
        """Whether nothing is on its way."""

    def abandon(self) -> None:
        """Let what is on its way end, unless it takes long."""

    kept_since: str
    """What an interruption keeps where the last step has no checkpoint; `{step}` is the checkpoint's."""


class NothingPending:
    """Of an offline run, whose steps are functions of their data alone."""

    settled = True
    kept_since = "is the checkpoint of step {step}; the steps since are done again"

    def abandon(self) -> None: ...


class Course:
    """The last whole step of a run. The learner may be ahead of it, in the middle of a step."""

    def __init__(self, run: RunFolder, learner: Learner, pending: Pending, *beside: Kept | None):
        """`beside`: who else has a state that belongs to a checkpoint: a reference, a critic."""
        self.run, self.learner, self.pending = run, learner, pending
        self.kept = (learner, *(each for each in beside if each is not None))
        self.doing = "the start"
        """What is in progress, for whoever interrupts it."""
        restored = run.restore(*self.kept)
        self.position = restored or Position()
        self.begun = restored is not None
        """Whether what comes before the first step is done."""
        self._saved = self.position.step if restored else None
        self._learner = self._stamp()

    def _stamp(self) -> tuple[int, int]:
        """Changes whenever the learner does."""
        return self.learner.version, self.learner.skipped_in_a_row

    def reach(self, position: Position) -> None:
        """A step is whole: its numbers are stored."""
        self.position, self.begun, self._learner = position, True, self._stamp()

    def save(self) -> None:
        """A checkpoint of the last whole step, where there is none yet. Rollouts of older weights must have settled."""
        if self._saved != self.position.step:
            self.doing = f"the checkpoint of step {self.position.step}"
            with uninterrupted():
                self.run.save(self.position, *self.kept)
                self._saved = self.position.step

    def watched_over(self, seconds: float) -> AbstractContextManager[None]:
        """`Stalled` is raised where nothing comes on for so long; the report lies in the run's folder."""
        return watchdog(lambda: self.doing, after=seconds, report=self.run.path / "stalled.txt", facts=self._last_numbers)

    def _last_numbers(self) -> list[str]:
        """Of the last whole step: what became of its completions, and where its time went."""
        row = (read_lines(self.run.metrics_path) or [{}])[-1]
        told = [f"{name}={row[name]:g}" for name in row if name.startswith(("verdicts/", "time/"))]
        return [f"step {row.get('step', 0)} was the last whole one: {', '.join(told)}"]

    def interrupted(self) -> str:
        """Keep what can be kept, and say what that is."""
        take_over()
        head = f"interrupted in {self.doing}"
        if not self.begun:
            return f"{head}: nothing was learnt yet, so only the run's options are kept"
        if self._learner == self._stamp() and self.pending.settled:
            self.save()
        self.pending.abandon()
        step = self.position.step
        if self._saved == step:
            return f"{head}: kept is all up to the end of step {step}, with a checkpoint; the step in flight begins anew"
        return f"{head}: kept {self.pending.kept_since.format(step=self._saved)}"
