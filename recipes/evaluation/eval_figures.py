"""What was sampled and judged, problem by problem, to figures: each with its n, k, temperature and 95 % interval, and to a table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from recipes.evaluation.answer_classes import answered
from rl.evaluation.accuracy import Accuracy
from rl.evaluation.luck import bootstrap, compared
from rl.evaluation.subsets import AnswerClass, best_at_k, majority_at_k, pass_at_k, weighted_majority
from verifiers.verdict import Status

if TYPE_CHECKING:
    from rollout.player import Group
    from verifiers.problem import Problem


@dataclass(frozen=True)
class Asked:
    """One problem and what became of its samples; those without a verdict are counted and nothing else."""

    problem: "Problem"
    right: tuple[bool, ...]
    tokens: tuple[int, ...]
    cut_off: int
    without_verdict: int = 0
    classes: tuple[AnswerClass, ...] = ()
    """Of several samples by their answers."""
    place: tuple[int | None, ...] = ()
    """Of each sample, which class it is of."""
    ranks: tuple[float, ...] | None = None
    """What ranks the samples says of each, such as a reward model."""

    @property
    def total(self) -> int:
        return len(self.right)

    @property
    def share(self) -> float:
        return sum(self.right) / self.total

    def pass_at(self, k: int) -> float:
        return pass_at_k(self.total, sum(self.right), k)

    def majority_at(self, k: int) -> float:
        return majority_at_k(self.classes, self.total, k)

    def best_at(self, k: int) -> float:
        return best_at_k(list(zip(self.ranks or (), self.right, strict=True)), k)

    @property
    def by_weight(self) -> float:
        """Of all samples at once, each vote as heavy as its rank, from the lowest of the problem's up: rewards may be negative."""
        ranks = self.ranks or ()
        votes = [(rank - min(ranks), place) for rank, place in zip(ranks, self.place, strict=True) if place is not None]
        return weighted_majority(votes, [each.right for each in self.classes])


@dataclass(frozen=True)
class Figure:
    """A mean over problems, in shares, with its 95 % interval."""

    value: float
    low: float
    high: float
    problems: int


@dataclass(frozen=True)
class Figures:
    """Of one set, or a part of it."""

    problems: int
    samples: int
    """Judged ones."""
    without_verdict: int
    accuracy: Figure
    of_k: Mapping[str, Figure]
    """pass@k, maj@k, best@k, weighted-maj@n by those names, for k = 1, 2, 4, ... up to the samples of a problem."""
    tokens: float
    """Mean length of a response."""
    cut_off: float
    """Share of the responses that ended at the limit of tokens."""
    parts: Mapping[str, "Figures"] = field(default_factory=dict)
    """By the values of a field of the problems, as FIELD=VALUE."""


def asked_of(group: "Group", ranks: Sequence[float | None] | None = None) -> Asked:
    """`ranks`: of each completion, if something ranks them; a completion without a verdict or a rank is left out."""
    rows = [n for n, verdict in enumerate(group.verdicts) if verdict.valid and (ranks is None or ranks[n] is not None)]
    right = tuple(group.verdicts[n].status is Status.RIGHT for n in rows)
    several = len(group.completions) > 1
    said = answered([group.responses[n] for n in rows]) if several else None
    return Asked(
        group.problem, right, tuple(len(group.completions[n].tokens) for n in rows),
        sum(group.completions[n].finish == "length" for n in rows), len(group.verdicts) - len(rows),
        tuple(said.classes(right)) if said else (), said.place if said else (),
        tuple(float(ranks[n]) for n in rows) if ranks is not None else None,  # type: ignore[arg-type]  # None was left out
    )  # fmt: skip


def figures(asked: Sequence[Asked], *, by: Sequence[str] = ()) -> Figures:
    """Of one set. `by`: fields of the problems' rows, each value of which gets figures of its own."""
    judged = [each for each in asked if each.total]
    total = sum(each.total for each in judged)
    lengths = [length for each in judged for length in each.tokens]
    return Figures(
        len(judged), total, sum(each.without_verdict for each in asked), _accuracy(judged), _of_k(judged),
        sum(lengths) / len(lengths) if lengths else 0.0, sum(each.cut_off for each in judged) / max(1, total),
        {f"{name}={value}": figures(part) for name in by for value, part in _by_value(judged, name).items()},
    )  # fmt: skip


def _accuracy(judged: Sequence[Asked]) -> Figure:
    """Wilson's interval where each problem was answered once; else that of a mean over problems, whose samples are not independent."""
    shares = [each.share for each in judged]
    if all(each.total == 1 for each in judged):
        low, high = Accuracy(round(sum(shares)), len(shares)).interval
        return Figure(sum(shares) / max(1, len(shares)), low, high, len(shares))
    return _mean(shares)


def _mean(values: Sequence[float]) -> Figure:
    low, high = bootstrap(values)
    return Figure(sum(values) / max(1, len(values)), low, high, len(values))


def _of_k(judged: Sequence[Asked]) -> dict[str, Figure]:
    most = max((each.total for each in judged), default=0)
    if most < 2:
        return {}
    ks = [1 << power for power in range(most.bit_length())]
    found: dict[str, Figure] = {}
    for k in ks if most in ks else [*ks, most]:
        enough = [each for each in judged if each.total >= k]
        found[f"pass@{k}"] = _mean([each.pass_at(k) for each in enough])
        if k > 1:
            found[f"maj@{k}"] = _mean([each.majority_at(k) for each in enough])
        if k > 1 and all(each.ranks is not None for each in enough):
            found[f"best@{k}"] = _mean([each.best_at(k) for each in enough])
    if all(each.ranks is not None for each in judged):
        found[f"weighted-maj@{most}"] = _mean([each.by_weight for each in judged if each.total == most])
    return found


def _by_value(judged: Sequence[Asked], name: str) -> dict[str, list[Asked]]:
    found: dict[str, list[Asked]] = {}
    for each in judged:
        if name in each.problem.meta:
            found.setdefault(str(each.problem.meta[name])[:80], []).append(each)
    return dict(sorted(found.items()))


# --- two policies on the same problems ---


def against(now: Mapping[str, float], before: Mapping[str, float]) -> dict[str, Any] | None:
    """The paired comparison of two shares by problem id; None where no problem is in both."""
    both = [name for name in now if name in before]
    if not both:
        return None
    found = compared([before[name] for name in both], [now[name] for name in both])
    return {**found._asdict(), "only_here": len(now) - len(both), "only_there": len(before) - len(both)}


# --- to read ---


def table(sets: Mapping[str, Figures], compared_to: Mapping[str, Any]) -> str:
    """Markdown: a row a set and a row for each part; where there are several samples, a second table of what k of them do."""
    heads = ["set", "problems", "samples", "accuracy", "tokens", "cut off", *(["against"] if compared_to else [])]
    rows = [
        row
        for name, each in sets.items()
        for row in [_row(name, each, compared_to), *(_row(f"{name}, {part}", own, {}) for part, own in each.parts.items())]
    ]
    found = _table(heads, [row + [""] * (len(heads) - len(row)) for row in rows])
    ks = sorted({_k_of(name) for each in sets.values() for name in each.of_k})
    of_k = [
        [f"{name}, {word}@k", *(_cell(each.of_k.get(f"{word}@{k}")) for k in ks)]
        for name, each in sets.items()
        for word in dict.fromkeys(own.partition("@")[0] for own in each.of_k)
    ]
    return found + ("\n" + _table(["", *(f"k = {k}" for k in ks)], of_k) if of_k else "")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in line)} |\n" for line in lines)


def _k_of(name: str) -> int:
    return int(name.rpartition("@")[2])


def _row(name: str, each: Figures, compared_to: Mapping[str, Any]) -> list[str]:
    found = compared_to.get(name)
    change = [f"{found['value']:+.1%} ({found['low']:+.1%} to {found['high']:+.1%}), p = {found['p']:.2g}"] if found else []
    return [name, f"{each.problems:,}", f"{each.samples:,}", _cell(each.accuracy), f"{each.tokens:,.0f}", f"{each.cut_off:.1%}", *change]


def _cell(figure: Figure | None) -> str:
    return f"{figure.value:.1%} ({figure.low:.1%} to {figure.high:.1%})" if figure else ""
