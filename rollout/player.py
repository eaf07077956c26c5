"""Problems to scored groups: sample, decode, verify; and, for dynamic sampling, replace the groups that teach nothing."""

from collections.abc import Callable, Iterable, Iterator, Sequence
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


def collect(
    problems: Sequence[Problem],
    *,
    engine: Engine,
    chat: Chat,
    sampling: Sampling,
    verify: Verify,
    clock: OnPhase = lambda phase: None,
) -> list[Group]:
    """One group for each problem, in order.

    A group is scored while others are still being sampled, where the engine gives them one by one.
    """
    clock("sample")
    prompts = [chat.render(problem) for problem in problems]
    responses: list[list[str]] = [[] for _ in problems]
    judged: list[list[Verdict | None]] = [[] for _ in problems]
    order: list[int] = []
    arrived: SimpleQueue[int | None] = SimpleQueue()
    progress = in_progress()

    def on_group(index: int, group: list[Completion]) -> None:
        responses[index] = [chat.response(completion, prompts[index]) for completion in group]
        judged[index] = [completion.verdict or (ABORTED if completion.finish == "abort" else None) for completion in group]
        arrived.put(index)
        if progress:
            progress.finished(len(group))

    def pairs() -> Iterator[tuple[Problem, str]]:
        while (index := arrived.get()) is not None:
            order.append(index)
            rows = zip(responses[index], judged[index], strict=True)
            yield from ((problems[index], response) for response, verdict in rows if verdict is None)

    scorer, interrupted = ThreadPoolExecutor(1, "reckon-scoring"), False
    try:
        scoring = scorer.submit(verify, pairs())
        try:
            sample = partial(engine.play, problems, clock=clock) if isinstance(engine, EpisodeEngine) else engine.generate
            completions = sample(prompts, sampling, on_group)
        finally:
            arrived.put(None)
        clock("verify")
        verdicts = iter(scoring.result())
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        scorer.shutdown(wait=not interrupted)  # verdicts that nobody waits for any more end with the pool
    scored = {index: tuple(verdict or next(verdicts) for verdict in judged[index]) for index in order}
    return [
        Group(problem, list(prompt), tuple(completions[n]), tuple(responses[n]), scored[n])
        for n, (problem, prompt) in enumerate(zip(problems, prompts, strict=True))
    ]


def collect_informative(
    next_problem: Callable[[], Problem],
    count: int,
    *,
    max_refills: int,
    engine: Engine,
    chat: Chat,
    sampling: Sampling,
    verify: Verify,
    clock: OnPhase = lambda phase: None,
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
            progress.total += len(problems) * sampling.completions
        seeded = replace(sampling, seed=sampling.seed + attempt)
        for group in collect(problems, engine=engine, chat=chat, sampling=seeded, verify=verify, clock=clock):
            (kept if group.contested or not max_refills else dull).append(group)
        if len(kept) >= count:
            break
    missing = count - len(kept)
    dull.sort(key=lambda group: not group.informative)
    return kept + dull[:missing], dull[missing:]
