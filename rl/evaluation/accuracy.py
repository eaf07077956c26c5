"""Accuracy on held-out problems, with the interval that says how much of it is luck."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rollout.player import Group, Player
from rollout.progress import watched
from verifiers.problem import Problem
from verifiers.verdict import Status


@dataclass(frozen=True)
class Accuracy:
    """`right` of `total` responses that have a verdict; `without_verdict` more have none."""

    right: int
    total: int
    without_verdict: int = 0

    @property
    def value(self) -> float:
        return self.right / self.total if self.total else 0.0

    def __str__(self) -> str:
        low, high = self.interval
        lost = f", {self.without_verdict:,} more without a verdict" if self.without_verdict else ""
        return f"{self.value:.1%} of {self.total:,} (95 % interval {low:.1%} to {high:.1%}){lost}"

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson score interval: honest near 0 and 1, where the normal one is not."""
        if not self.total:
            return 0.0, 1.0
        n, p, z = self.total, self.value, 1.959964
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half))  # rounding leaves 0 of 3 a little outside of its own


def accuracy(groups: Sequence[Group]) -> Accuracy:
    """Over all completions of the groups."""
    verdicts = [verdict for group in groups for verdict in group.verdicts]
    judged = [verdict for verdict in verdicts if verdict.valid]
    return Accuracy(sum(v.status is Status.RIGHT for v in judged), len(judged), len(verdicts) - len(judged))


def evaluate(
    problems: Sequence[Problem], player: Player, *, max_tokens: int | None = None, what: str = "held-out problems"
) -> tuple[Accuracy, list[Group]]:
    """Greedy accuracy of what the player's engine samples from now. `what` the problems are, for who waits."""
    greedy = player.greedy(max_tokens)
    with watched(f"evaluating {len(problems):,} {what}, up to {greedy.sampling.max_tokens:,} tokens each", len(problems)):
        groups = greedy.collect(problems)
    return accuracy(groups), groups


def evaluation_metrics(results: Mapping[str, Accuracy]) -> dict[str, float]:
    """Numbers for a log of evaluation sets by their names: `eval/NAME/accuracy`, or `eval/accuracy` of the one without a name."""
    found: dict[str, float] = {}
    for name, result in results.items():
        low, high = result.interval
        where = f"eval/{name}/" if name else "eval/"
        found |= {f"{where}accuracy": result.value, f"{where}low": low, f"{where}high": high, f"{where}total": result.total}
    return found
