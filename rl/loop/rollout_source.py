"""Where a step's groups come from: the run's disk if they are there, otherwise the engine, when they are needed or one step ahead.

With `ahead`, the next step's completions are sampled, scored and stored in a thread while this step's update runs. They come from the
policy before that update: their age is bounded by one step, every completion carries its version, and the trainer/sampler ratio
(`Correction`) accounts for it. Sampling ahead needs an engine with weights of its own.

A rollout is a function of the weights, the seed and the step alone, so one that is found on disk, with the version that it must
have, is the one that would be sampled again. `settle` waits until what is on its way is stored: before a checkpoint, because
after it the older weights are gone, and before anyone else uses the engine.
"""

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass, field

from rl.learning.learner import Diverged
from rl.learning.policy import Policy
from rl.loop.problem_stream import Stream
from rl.loop.seeds import Shuffled, derive_seed
from rl.runs.run_folder import RunFolder
from rl.runs.tracking import Clock
from rollout.interruption import uninterrupted
from rollout.player import Group, Player
from rollout.progress import watched
from rollout.store import Source
from verifiers.input_error import InputError
from verifiers.problem import Problem

_ABANDONED = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Rollout:
    """A step's scored groups."""

    groups: list[Group]
    replaced: list[Group]
    """Groups that taught nothing and were sampled for nothing (dynamic sampling)."""
    cursor: int
    """Where the stream of problems stands after it."""
    seconds: dict[str, float] = field(default_factory=dict)
    """By phase; empty for one from the disk."""

    @property
    def version(self) -> int:
        return self.groups[0].completions[0].policy_version


class RolloutSource:
    """The rollouts of a run, in the order of its steps."""

    kept_since = "are the checkpoint of step {step} and the rollouts sampled since, whose updates are done again"

    def __init__(
        self,
        *,
        policy: Policy,
        player: Player,
        problems: Sequence[Problem],
        run: RunFolder,
        sync: Callable[[], None],
        problems_per_step: int,
        max_refills: int,
        oldest: int,
        seed: int,
        stream: Stream | None = None,
    ):
        """`sync` brings the policy's weights to the engine; `oldest`: by how many updates a rollout may lag behind the policy.

        `stream`: in which order the problems come (default: shuffled).
        """
        self.policy, self.player, self.run = policy, player, run
        self.sync, self.count, self.max_refills, self.oldest, self.seed = sync, problems_per_step, max_refills, oldest, seed
        self.run.rollouts.source = Source.of(policy.name, player)
        self.problems = problems
        self.stream: Stream = stream or Shuffled(len(problems), seed)
        self.by_id = {problem.id: problem for problem in problems}
        self._coming: tuple[int, Future[Rollout]] | None = None
        self._thread: threading.Thread | None = None

    def take(self, step: int, cursor: int) -> Rollout:
        """The rollout of a step: the one begun for it, or the stored one, or one sampled now."""
        if self._coming and self._coming[0] == step:
            rollout = self._coming[1].result()
            self._coming = None
            return rollout
        stored = self._read_stored(step)
        if stored and self.oldest and 0 <= self.policy.version - stored.version <= self.oldest:
            return stored  # begun by an earlier life of this run, from weights that are gone
        clock = self._sync_and_time()
        if stored and stored.version == self.policy.version:
            return stored
        return self._sample(step, cursor, clock)

    def begin(self, step: int, cursor: int) -> None:
        """Start on a step's rollout with the weights as they are now, and return at once."""
        future: Future[Rollout] = Future()
        self._coming = (step, future)
        clock = self._sync_and_time()
        stored = self._read_stored(step)
        if stored and stored.version == self.policy.version:
            future.set_result(stored)
            return

        def work() -> None:
            try:
                future.set_result(self._sample(step, cursor, clock, ahead=True))
            except BaseException as error:  # noqa: BLE001  # raised again where the rollout is taken
                future.set_exception(error)

        self._thread = threading.Thread(target=work, name="reckon-ahead", daemon=True)
        self._thread.start()

    def settle(self) -> None:
        """Wait until what is on its way is on the disk. What it raises, `take` raises."""
        if self._coming:
            self._coming[1].exception()

    @property
    def settled(self) -> bool:
        """Whether nothing is on its way."""
        return self._coming is None or self._coming[1].done()

    def abandon(self) -> None:
        """Let what is on its way end, unless it takes long; an engine hears of the interruption by itself."""
        if self._thread:
            self._thread.join(_ABANDONED)

    def _read_stored(self, step: int) -> Rollout | None:
        stored = self.run.rollouts.read(step, self.by_id)
        if stored is None:
            return None
        last = max((max([*c.tokens, *group.prompt]) for group in stored[0] for c in group.completions), default=0)
        if last >= self.policy.vocabulary:
            raise InputError(f"{self.run.rollouts.path(step)} is another model's: it has the token {last}; remove it, to sample it again")
        return Rollout(*stored)

    def _sync_and_time(self) -> Clock:
        clock = Clock()
        clock("sync")
        self.sync()
        return clock

    def _sample(self, step: int, cursor: int, clock: Clock, *, ahead: bool = False) -> Rollout:
        feed = _Feed(self.problems, self.stream, cursor)
        player, sampling = self.player.seeded(derive_seed(self.seed, "sampling", step)), self.player.sampling
        text = f"step {step}, sampling {self.count:,} x {sampling.completions:,} completions, up to {sampling.max_tokens:,} tokens each"
        with nullcontext() if ahead else watched(text, self.count * sampling.completions, after=10.0):
            groups, replaced = player.collect_informative(feed.next, self.count, max_refills=self.max_refills, clock=clock)
        _require_finite(groups, step)
        clock("store")
        with uninterrupted():
            self.run.rollouts.write(step, groups, cursor=feed.cursor, replaced=replaced)
        return Rollout(groups, replaced, feed.cursor, clock.stop())


def _require_finite(groups: Sequence[Group], step: int) -> None:
    """A policy with a nan in it says the same token for ever: no group differs, no update runs, and nothing would ever complain."""
    for group in groups:
        for completion in group.completions:
            if not all(map(math.isfinite, completion.logprobs)):
                if not completion.policy_version:
                    raise Diverged(
                        f"at step {step} the sampler's log-probabilities are not finite, before any update: the model's weights hold no "
                        "numbers, or its precision is too low; give --dtype fp32, or another model"
                    )
                raise Diverged(
                    f"at step {step} the sampler's log-probabilities are not finite (policy version {completion.policy_version}): the last "
                    "update broke the policy. Start a new run with a lower learning rate (--lr)"
                )


class _Feed:
    """Problems from a position of the endless stream."""

    def __init__(self, problems: Sequence[Problem], stream: Stream, cursor: int):
        self.problems, self.stream, self.cursor = problems, stream, cursor

    def next(self) -> Problem:
        problem = self.problems[self.stream[self.cursor]]
        self.cursor += 1
        return problem
