"""Problems to scored groups: sample, decode, verify; and, for dynamic sampling, replace the groups that teach nothing."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue

from rollout.chat import Chat
from rollout.engine import Completion, Engine, EpisodeEngine, OnPhase, Sampling
from rollout.progress import in_progress
from verifiers.problem import Problem
from verifiers.verdict import Status, Verdict

Verify = Callable[[Iterable[tuple[Problem, str]]], list[Verdict]]
"""(problem, response) pairs, as they come, to their verdicts, in order: `VerifierPool.verify_many`."""

ABORTED = Verdict(None, Status.CRASH, "the engine gave up on this completion")


@dataclass(frozen=True, slots=True)
class Group:
    """A problem, its G completions and their verdicts."""

    problem: Problem
    prompt: list[int]
    completions: tuple[Completion, ...]
    responses: tuple[str, ...]
    """As the verifier reads them: what the policy said, without a tool's output."""
    verdicts: tuple[Verdict, ...]

    @property
    def informative(self) -> bool:
        """Whether the scores that were reached differ, which is all that a group baseline can learn from."""
        return len({verdict.score for verdict in self.verdicts if verdict.valid}) > 1

    @property
    def contested(self) -> bool:
        """Whether right answers and others are among the verdicts, whatever length or format add to their scores (DAPO's condition)."""
        return len({verdict.status is Status.RIGHT for verdict in self.verdicts if verdict.valid}) > 1


@dataclass(frozen=True)
class Player:
    """Who turns problems into scored groups: an engine, how it is spoken to, how it samples, and who judges."""

    engine: Engine
    chat: Chat
    sampling: Sampling
    verify: Verify
    figures: Callable[[], Mapping[str, float]] = dict
    """Of who judges, since it was last asked: `VerifierPool.take_figures`."""

    def collect(self, problems: Sequence[Problem], *, clock: OnPhase = lambda phase: None) -> list[Group]:
        """One group for each problem, in order.

        A group is scored while others are still being sampled, where the engine gives them one by one.
        """
        clock("sample")
        prompts = [self.chat.render(problem) for problem in problems]
        scoring = _Scoring(problems, prompts, self.chat)
        scorer, interrupted = ThreadPoolExecutor(1, "reckon-scoring"), False
        try:
            verdicts_to_come = scorer.submit(self.verify, scoring.pairs())
            try:
                engine = self.engine
                sample = partial(engine.play, problems, clock=clock) if isinstance(engine, EpisodeEngine) else engine.generate
                completions = sample(prompts, self.sampling, scoring.on_group)
            finally:
                scoring.end()
            clock("verify")
            verdicts = scoring.in_order(verdicts_to_come.result())
        except KeyboardInterrupt:
            interrupted = True
            raise
        finally:
            scorer.shutdown(wait=not interrupted)  # verdicts that nobody waits for any more end with the pool
        return [
            Group(problem, list(prompt), tuple(completions[n]), tuple(scoring.responses[n]), verdicts[n])
            for n, (problem, prompt) in enumerate(zip(problems, prompts, strict=True))
        ]

    def collect_informative(
        self, next_problem: Callable[[], Problem], count: int, *, max_refills: int, clock: OnPhase = lambda phase: None
    ) -> tuple[list[Group], list[Group]]:
        """(groups to train on, groups replaced): DAPO's dynamic sampling, bounded.

        Groups whose completions are all right or all not are replaced by fresh problems in at most `max_refills` further rounds; after
        that the step is filled up with them, those first whose scores differ all the same, so that it always has `count` groups and
        always ends. With `max_refills` 0 nothing is replaced.
        """
        kept: list[Group] = []
        dull: list[Group] = []
        for attempt in range(max_refills + 1):
            problems = [next_problem() for _ in range(count - len(kept))]
            if attempt and (progress := in_progress()):
                progress.total += len(problems) * self.sampling.completions
            for group in self.seeded(self.sampling.seed + attempt).collect(problems, clock=clock):
                (kept if group.contested or not max_refills else dull).append(group)
            if len(kept) >= count:
                break
        missing = count - len(kept)
        dull.sort(key=lambda group: not group.informative)
        return kept + dull[:missing], dull[missing:]

    def seeded(self, seed: int) -> "Player":
        """The same, sampling from this seed."""
        return replace(self, sampling=replace(self.sampling, seed=seed))

    def greedy(self, max_tokens: int | None = None) -> "Player":
        """The same, one likeliest completion a problem."""
        limit = max_tokens or self.sampling.max_tokens
        return replace(self, sampling=replace(self.sampling, max_tokens=limit, completions=1, temperature=0.0))


class _Scoring:
    """Groups as they arrive from the engine, to pairs for the verifier, and its verdicts back to the groups."""

    def __init__(self, problems: Sequence[Problem], prompts: Sequence[Sequence[int]], chat: Chat):
        self.problems, self.prompts, self.chat = problems, prompts, chat
        self.responses: list[list[str]] = [[] for _ in problems]
        self._judged: list[list[Verdict | None]] = [[] for _ in problems]
        self._order: list[int] = []
        self._arrived: SimpleQueue[int | None] = SimpleQueue()
        self._progress = in_progress()

    def on_group(self, index: int, group: list[Completion]) -> None:
        self.responses[index] = [self.chat.response(completion, self.prompts[index]) for completion in group]
        self._judged[index] = [completion.verdict or (ABORTED if completion.finish == "abort" else None) for completion in group]
        self._arrived.put(index)
        if self._progress:
            self._progress.finished(len(group))

    def end(self) -> None:
        self._arrived.put(None)

    def pairs(self) -> Iterator[tuple[Problem, str]]:
        """What has no verdict yet."""
        while (index := self._arrived.get()) is not None:
            self._order.append(index)
            rows = zip(self.responses[index], self._judged[index], strict=True)
            yield from ((self.problems[index], response) for response, verdict in rows if verdict is None)

    def in_order(self, verdicts: Iterable[Verdict]) -> dict[int, tuple[Verdict, ...]]:
        """By group, from the verdicts of `pairs`."""
        coming = iter(verdicts)
        return {index: tuple(verdict or next(coming) for verdict in self._judged[index]) for index in self._order}
