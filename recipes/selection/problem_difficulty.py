"""How hard each problem of a store was for the policy that sampled it: the share solved, what luck may have to do with it, and pass@k.

Every response with a verdict counts, one that was cut off too, and those of groups that dynamic sampling replaced: without them the
problems that are always or never solved would seem rarer than they are. Responses without a verdict are left out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from recipes.selection.stored_responses import StoredResponse, store_files, stored_responses
from recipes.selection.tally import NO_VERDICT, Tally
from rl.evaluation.accuracy import Accuracy
from rl.evaluation.subsets import pass_at_k
from verifiers.input_error import InputError
from verifiers.problem import Problem

_OURS = ("problem_id", "solve_rate", "solve_rate_low", "solve_rate_high", "samples", "pass_at_k")


@dataclass(frozen=True, kw_only=True)
class Curriculum:
    """Which problems are wanted."""

    min_rate: float = 0.0
    """Leave out problems that were solved less often."""
    max_rate: float = 1.0
    """Leave out problems that were solved more often."""
    order: Literal["easiest", "hardest", "id"] = "easiest"
    """Which problems come first."""

    def check(self) -> None:
        """Raises InputError for rates that cannot be."""
        if not 0 <= self.min_rate <= self.max_rate <= 1:
            raise InputError(
                f"--min-rate {self.min_rate} and --max-rate {self.max_rate} must lie between 0 and 1, the first not above the second"
            )


@dataclass(frozen=True, slots=True)
class SolveRate:
    """One problem's."""

    problem: Problem
    solved: Accuracy

    def pass_at(self, k: int) -> float:
        return pass_at_k(self.solved.total, self.solved.right, k)

    @property
    def ks(self) -> list[int]:
        """1, 2, 4, ... as far as there are samples."""
        return [1 << power for power in range(self.solved.total.bit_length())]


def solve_rates(stored: Iterable[tuple[Problem, Sequence[StoredResponse]]], tally: Tally) -> Iterator[SolveRate]:
    """Of every problem with a verdict, by id."""
    for problem, responses in tally.watch(stored):
        judged = [response for response in responses if response.score is not None]
        tally.leave_out(NO_VERDICT, len(responses) - len(judged))
        if judged:
            right = sum(response.status == "right" for response in judged)
            yield SolveRate(problem, Accuracy(right, len(judged), len(responses) - len(judged)))


def solved_in(*places: Path | str) -> Accuracy:
    """Over all responses of these stores. Raises InputError for a place that holds none."""
    return overall(list(solve_rates(stored_responses(store_files(places)), Tally("problems"))))


def overall(measured: Sequence[SolveRate]) -> Accuracy:
    """Over all responses."""
    right, total, without = (sum(getattr(each.solved, name) for each in measured) for name in ("right", "total", "without_verdict"))
    return Accuracy(right, total, without)


def chosen_problems(measured: Iterable[SolveRate], wanted: Curriculum, tally: Tally) -> list[SolveRate]:
    """Those that are neither too hard nor too easy, in the order asked for; problems that are equally hard stay by id."""
    kept: list[SolveRate] = []
    for each in measured:
        if each.solved.value < wanted.min_rate:
            tally.leave_out("problems that are too hard")
        elif each.solved.value > wanted.max_rate:
            tally.leave_out("problems that are too easy")
        else:
            kept.append(each)
    if wanted.order != "id":
        kept.sort(key=lambda each: each.solved.value if wanted.order == "hardest" else -each.solved.value)
    tally.written = len(kept)
    return kept


def problem_row(each: SolveRate) -> dict[str, Any]:
    """A row that `--data` reads, as the same problem with its difficulty in `meta`, and that `reckon mine` takes as a solve rate."""
    low, high = each.solved.interval
    problem = each.problem
    return {
        "prompt": problem.prompt,
        "answer": problem.answer,
        "verifier": problem.verifier,
        "problem_id": problem.id,
        "solve_rate": round(each.solved.value, 6),
        "solve_rate_low": round(low, 6),
        "solve_rate_high": round(high, 6),
        "samples": each.solved.total,
        "pass_at_k": {str(k): round(each.pass_at(k), 6) for k in each.ks},
        "meta": {key: value for key, value in problem.meta.items() if key not in _OURS},  # an earlier measure's would hide this one
    }


def mean_pass_at_k(measured: Sequence[SolveRate]) -> Mapping[int, tuple[float, int]]:
    """k -> (mean over the problems that have so many samples, how many these are)."""
    found: dict[int, tuple[float, int]] = {}
    for k in sorted({k for each in measured for k in each.ks}):
        values = [each.pass_at(k) for each in measured if each.solved.total >= k]
        found[k] = (sum(values) / len(values), len(values))
    return found


def summary(measured: Sequence[SolveRate]) -> str:
    """For the reader's eyes: how many problems are how hard, and pass@k."""
    rates = [each.solved.value for each in measured]
    solved = overall(measured)
    never, always = sum(rate == 0 for rate in rates), sum(rate == 1 for rate in rates)
    low, high = solved.interval
    lines = [f"{solved.right:,} of {solved.total:,} responses right: {solved.value:.1%} (95 % interval {low:.1%} to {high:.1%})"]
    lines.append(f"of {len(rates):,} problems never solved {never:,}, always {always:,}, now and then {len(rates) - never - always:,}")
    for k, (value, count) in mean_pass_at_k(measured).items():
        lines.append(f"pass@{k}: {value:.1%}" + (f" (of the {count:,} problems with so many samples)" if count < len(measured) else ""))
    return "\n".join(lines)
