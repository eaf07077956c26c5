"""Problems to scored groups: sample, decode, verify; and, for dynamic sampling, replace the groups that teach nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rollout.chat import Chat
from rollout.engine import Completion, Engine, Sampling
from verifiers.problem import Problem
from verifiers.verdict import Verdict

Verify = Callable[[Sequence[tuple[Problem, str]]], list[Verdict]]
"""Many (problem, response) pairs to their verdicts, in order: `VerifierPool.verify_many`."""


@dataclass(frozen=True, slots=True)
class Group:
    """A problem, its G completions and their verdicts."""

    problem: Problem
    prompt: list[int]
    completions: tuple[Completion, ...]
    responses: tuple[str, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def informative(self) -> bool:
        """Whether the verdicts that were reached differ, which is all that a group baseline can learn from."""
        return len({verdict.score for verdict in self.verdicts if verdict.valid}) > 1


def collect(
    problems: Sequence[Problem],
    *,
    engine: Engine,
    chat: Chat,
    sampling: Sampling,
    verify: Verify,
    clock: Callable[[str], None] = lambda phase: None,
) -> list[Group]:
    """One group for each problem, in order. `clock` is told the name of each phase as it begins."""
    clock("sample")
    prompts = [chat.render(problem) for problem in problems]
    completions = engine.generate(prompts, sampling)
    clock("verify")
    responses = [[chat.decode(completion.tokens) for completion in group] for group in completions]
    pairs = [(problem, response) for problem, group in zip(problems, responses, strict=True) for response in group]
    verdicts = iter(verify(pairs))
    return [
        Group(problem, list(prompt), tuple(group), tuple(texts), tuple(next(verdicts) for _ in group))
        for problem, prompt, group, texts in zip(problems, prompts, completions, responses, strict=True)
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
    clock: Callable[[str], None] = lambda phase: None,
) -> tuple[list[Group], list[Group]]:
    """(groups to train on, groups replaced): DAPO's dynamic sampling, bounded.

    Groups that teach nothing are replaced by fresh problems in at most `max_refills` further rounds; after that the step is
    filled up with uninformative ones, so that it always has `count` groups and always ends. With `max_refills` 0 nothing is
    replaced.
    """
    kept: list[Group] = []
    dull: list[Group] = []
    for attempt in range(max_refills + 1):
        problems = [next_problem() for _ in range(count - len(kept))]
        seeded = replace(sampling, seed=sampling.seed + attempt)
        for group in collect(problems, engine=engine, chat=chat, sampling=seeded, verify=verify, clock=clock):
            (kept if group.informative or not max_refills else dull).append(group)
        if len(kept) >= count:
            break
    missing = count - len(kept)
    return kept + dull[:missing], dull[missing:]
