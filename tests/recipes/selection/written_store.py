"""A store as a run writes it, from responses that a test writes down."""

from collections.abc import Sequence
from pathlib import Path

from rollout.engine import Completion
from rollout.player import Group
from rollout.store import RolloutStore, Source
from verifiers.problem import Problem, make_problem
from verifiers.verdict import Status, Verdict

R, W, NO, LOST = (Status.RIGHT, Status.WRONG, Status.NO_ANSWER, Status.TIMEOUT)
CHAT = Source("tiny/model", "Think.", True, 1.0)
PLAIN = Source("tiny/model", "", False, 1.0)
Said = tuple[str, Status] | tuple[str, Status, dict[str, object]]


def problem_of(text: str = "What is 3 * 4 + 5?", answer: str = "17") -> Problem:
    return make_problem(text, answer, meta={"level": 2})


def group_of(problem: Problem, said: Sequence[Said]) -> Group:
    """Responses with their statuses; a third element may change `score`, `finish`, `length` or `sampled`."""
    completions, verdicts = [], []
    for _, status, *more in said:
        facts = more[0] if more else {}
        length = int(str(facts.get("length", 3)))
        sampled = [True] * (length - 1) + [bool(facts.get("sampled", True))]
        completions.append(Completion([5] * length, [-0.5] * length, sampled, facts.get("finish", "stop"), 3))  # type: ignore[arg-type]
        score = {R: 1.0, W: 0.0, NO: 0.0}.get(status)
        verdicts.append(Verdict(facts.get("score", score), status))  # type: ignore[arg-type]
    return Group(problem, [7, 8], tuple(completions), tuple(text for text, *_ in said), tuple(verdicts))


def write_store(folder: Path, *steps: Sequence[Group], source: Source | None = CHAT) -> Path:
    """A folder as a run's, with one file a step."""
    store = RolloutStore(folder / "rollouts", source)
    store.folder.mkdir(parents=True, exist_ok=True)
    for number, groups in enumerate(steps, 1):
        store.write(number, groups, cursor=0)
    return folder
