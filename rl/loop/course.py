"""Where a run stands: its last whole step, and what an interruption keeps of what came after."""

from rl.learning.policy import Policy
from rl.loop.rollouts import Rollouts
from rl.runs.run_folder import Position, RunFolder
from rollout.interruption import take_over, uninterrupted


class Course:
    """The last whole step of a run. The policy may be ahead of it, in the middle of a step."""

    def __init__(self, run: RunFolder, policy: Policy, rollouts: Rollouts):
        self.run, self.policy, self.rollouts = run, policy, rollouts
        self.doing = "the start"
        """What is in progress, for whoever interrupts it."""
        restored = run.restore(policy)
        self.position = restored or Position()
        self.begun = restored is not None
        """Whether what comes before the first step is done."""
        self._saved = self.position.step if restored else None
        self._policy = self._policy_stamp()

    def _policy_stamp(self) -> tuple[int, int]:
        """Changes whenever the policy does."""
        return self.policy.version, self.policy.skipped_in_a_row

    def reach(self, position: Position) -> None:
        """A step is whole: its numbers are stored."""
        self.position, self.begun, self._policy = position, True, self._policy_stamp()

    def save(self) -> None:
        """A checkpoint of the last whole step, where there is none yet. Rollouts of older weights must have settled."""
        if self._saved != self.position.step:
            with uninterrupted():
                self.run.save(self.policy, self.position)
                self._saved = self.position.step

    def interrupted(self) -> str:
        """Keep what can be kept, and say what that is."""
        take_over()
        head = f"interrupted in {self.doing}"
        if not self.begun:
            return f"{head}: nothing was learnt yet, so only the run's options are kept"
        if self._policy == self._policy_stamp() and self.rollouts.settled:
            self.save()
        self.rollouts.abandon()
        step = self.position.step
        if self._saved == step:
            return f"{head}: kept is all up to the end of step {step}, with a checkpoint; the step in flight begins anew"
        return f"{head}: kept are the checkpoint of step {self._saved} and the rollouts sampled since, whose updates are done again"
