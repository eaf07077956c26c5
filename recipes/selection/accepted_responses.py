"""Rejection sampling: which responses of a store to imitate (RFT, arXiv:2308.01825; STaR, arXiv:2203.14465; ReST-EM, arXiv:2312.06585).

Right answers that ended by themselves, one of each solution (`same_solution.py`), and of each problem at most so many: the shortest, the
most different ones, or any. What is left out is counted by its reason. A choice by chance is a function of the seed and the problem, so
the same store gives the same rows.
"""

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from recipes.selection.same_solution import Solution, similarity, solution_of, why_same
from recipes.selection.stored_responses import StoredResponse
from recipes.selection.tally import Tally
from recipes.selection.training_text import completion_of, facts_of, prompt_of
from verifiers.input_error import InputError
from verifiers.problem import Problem

Keep = Literal["shortest", "diverse", "random"]
Solved = tuple[StoredResponse, Solution]


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """What is accepted."""

    min_score: float | None = None
    """Take what has this score or more, in place of what was judged right."""
    keep: Keep = "shortest"
    """Which ones, of those that are different solutions: the fewest tokens, the least alike, or any."""
    per_problem: int = 4
    """Of each problem so many at most."""
    near: float = 0.75
    """Two responses are the same solution from this similarity on (Jaccard, word 5-grams), as they are with the same equations."""
    keep_truncated: bool = False
    """Also those that were cut off at the token limit."""
    seed: int = 0
    """Which ones are kept by chance, and where the least alike begin."""

    def check(self) -> None:
        """Raises InputError for numbers that cannot be."""
        if self.per_problem < 1:
            raise InputError(f"--per-problem must be at least 1, not {self.per_problem}")
        if not 0 < self.near <= 1:
            raise InputError(f"--near must be above 0 and at most 1, not {self.near}")
        if self.min_score is not None and not math.isfinite(self.min_score):
            raise InputError(f"--min-score must be a number, not {self.min_score}")


def accepted(stored: Iterable[tuple[Problem, Sequence[StoredResponse]]], rules: Acceptance, tally: Tally) -> Iterator[StoredResponse]:
    """The responses to imitate, problem by problem."""
    for problem, responses in tally.watch(stored):
        good = [response for response in responses if _is_good(response, rules, tally)]
        chosen = _chosen(problem, good, rules, tally) if good else []
        tally.written += len(chosen)
        yield from chosen


def example_row(response: StoredResponse) -> dict[str, Any]:
    """A row of a file for supervised fine-tuning."""
    return {"prompt": prompt_of(response), "completion": completion_of(response), "score": response.score, **facts_of(response)}


def _is_good(response: StoredResponse, rules: Acceptance, tally: Tally) -> bool:
    if not tally.fits(response, keep_truncated=rules.keep_truncated):
        return False
    assert response.score is not None
    if rules.min_score is not None:
        if response.score < rules.min_score:
            tally.leave_out("below --min-score")
        return response.score >= rules.min_score
    if response.status != "right":
        tally.leave_out("not right")
    return response.status == "right"


def _chosen(problem: Problem, good: Sequence[StoredResponse], rules: Acceptance, tally: Tally) -> list[StoredResponse]:
    order = sorted(good, key=lambda response: (response.length, response.text))
    if rules.keep != "shortest":
        random.Random(f"{rules.seed}/{problem.id}").shuffle(order)
    wanted = len(order) if rules.keep == "diverse" else rules.per_problem
    different: list[Solved] = []
    for response in order:
        if len(different) == wanted:  # so that thousands of responses to one problem are not all compared
            break
        solution = solution_of(response.text)
        reasons = (why_same(solution, other, near=rules.near) for _, other in different)
        if reason := next(filter(None, reasons), None):
            tally.leave_out(reason)
            good = [other for other in good if other is not response]
        else:
            different.append((response, solution))
    kept = _farthest(different, rules.per_problem) if rules.keep == "diverse" else different
    tally.leave_out("over the cap of their problem", len(good) - len(kept))
    return [response for response, _ in kept]


def _farthest(pool: Sequence[Solved], count: int) -> list[Solved]:
    """Farthest first: each next one is least like the one of those chosen that it is most like."""
    chosen = list(pool[:1])
    closest = [similarity(pool[0][1], solution) for _, solution in pool]
    taken = {0}
    while len(chosen) < min(count, len(pool)):
        best = min((place for place in range(len(pool)) if place not in taken), key=lambda place: (closest[place], place))
        taken.add(best)
        chosen.append(pool[best])
        closest = [max(near, similarity(pool[best][1], solution)) for near, (_, solution) in zip(closest, pool, strict=True)]
    return chosen
