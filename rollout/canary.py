"""Proof, at every step of a run, that the sampler is the policy.

Two comparisons, both of log-probabilities that the policy computes with those that the engine reports:

- after each sync, on fixed sequences at temperature 1 (`check_weights`): are the engine's weights the policy's? An engine whose
  scores did not change by a single bit since an earlier version, while the policy's did, has lost an update; that is caught
  even where the change is far below rounding;
- after each sampling, on a few of the completions themselves at the run's temperature (`check_samples`): were they drawn from
  the policy, at that temperature, and do they carry its version?

Rounding differs between two implementations, so `Bound` depends on the dtype. In float32 it is narrow, and any wrong tensor
shows. Where products are rounded to a few bits (bfloat16; TF32, which float32 on a GPU may use), a token in thousands differs by a
lot between two honest implementations, so the mean and a high quantile are bounded and the maximum is logged. In bfloat16 a fault
that moves log-probabilities less than rounding does is not visible until it has added up; what is always visible is an update that
never arrived. The policy is given as a function, so that this file needs no trainer.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from rollout.engine import Completion, Engine

SEQUENCES = 4
TOKENS = 64
"""Of each fixed sequence, at most."""
SAMPLES = 4
"""Completions compared after each sampling."""
ROWS = 8
"""Of the table, at most."""


@runtime_checkable
class PolicyScore(Protocol):
    """The policy's log-probability of each token given those before it; as `Engine.score`."""

    def __call__(self, sequences: Sequence[Sequence[int]], *, temperature: float = 1.0) -> list[list[float]]: ...


@dataclass(frozen=True, slots=True)
class Bound:
    """How far apart two honest log-probabilities of one token may lie, in nats."""

    worst: float
    """For any single token; infinite where a maximum says nothing."""
    mean: float
    """Over all compared tokens."""
    still: float
    """A policy whose scores moved by more must have moved the engine's too."""
    high: float = math.inf
    """For all tokens but the worst in a hundred, one at least."""


BOUNDS = {
    "float32": Bound(worst=1e-3, mean=1e-4, still=1e-5),
    "tf32": Bound(worst=math.inf, mean=0.01, still=1e-3, high=0.06),  # an eighth of bfloat16's, for three bits more
    "bfloat16": Bound(worst=math.inf, mean=0.08, still=1e-2, high=0.5),
}


def bound_of(autocast: str | None, device: str) -> Bound:
    """The bound for a policy that computes under `autocast` (None: plain float32) on a device of that type."""
    return BOUNDS[autocast or ("tf32" if device == "cuda" else "float32")]


@dataclass(frozen=True, slots=True)
class Gap:
    """How far apart they were."""

    worst: float
    mean: float
    high: float = 0.0
    """As `Bound.high`: the largest when the worst in a hundred, one at least, are left out."""


class SamplerIsNotThePolicy(RuntimeError):
    """What was compared, how far apart it is, and what that points to; a table of several lines."""


class Canary:
    """Compares one engine with one policy, for the length of a run."""

    def __init__(self, policy_score: PolicyScore, sequences: Sequence[Sequence[int]], *, bound: Bound):
        """`sequences`: the fixed ones, of two tokens or more; a few suffice."""
        self.policy_score, self.bound = policy_score, bound
        self.sequences = [list(sequence) for sequence in sequences if len(sequence) > 1]
        if not self.sequences:
            raise ValueError("a canary needs at least one sequence of two tokens or more")
        self._unchanged: tuple[int, list[list[float]], list[list[float]]] | None = None

    def check_weights(self, engine: Engine, version: int) -> Gap:
        """After `load_policy`. Raises SamplerIsNotThePolicy."""
        mine, theirs = self.policy_score(self.sequences), engine.score(self.sequences)
        if self._unchanged is None or self._unchanged[2] != theirs:
            self._unchanged = (version, mine, theirs)
        since, then, _ = self._unchanged
        moved = max(abs(a - b) for a, b in _paired_scores(mine, then))
        if moved > self.bound.still:
            raise SamplerIsNotThePolicy(
                f"the engine did not change: its scores are those of policy version {since} to the last bit, while the policy, now version "
                f"{version}, moved by up to {moved:.1e}. An update or an adapter was not delivered, or was thrown away.\n"
                + _difference_table(self.sequences, mine, theirs)
            )
        gap = _measure_gap(mine, theirs)
        if not self._is_within_bound(gap):
            raise SamplerIsNotThePolicy(
                f"after the sync to policy version {version} the engine's log-probabilities are not the policy's: {self._describe_gap(gap)}"
                ". Some weights were not delivered, or the two compute different things.\n"
                + _difference_table(self.sequences, mine, theirs)
            )
        return gap

    def check_samples(
        self, sampled: Sequence[tuple[Sequence[int], Sequence[Completion]]], *, temperature: float, version: int, first: int = 0
    ) -> Gap:
        """On (prompt, completions) of each group, as they were sampled. Raises SamplerIsNotThePolicy.

        Every completion's version is looked at; one completion in each of a few groups is scored, beginning with group `first`.
        """
        stamps = {completion.policy_version for _, group in sampled for completion in group}
        if stamps - {version}:
            raise SamplerIsNotThePolicy(f"completions stamped {sorted(stamps - {version})} were returned for policy version {version}")
        chosen = [(list(sampled[i][0]), sampled[i][1][0]) for i in _spread_places(len(sampled), first) if sampled[i][1]]
        sequences = [[*prompt, *completion.tokens] for prompt, completion in chosen]
        mine = _only_sampled(chosen, self.policy_score(sequences, temperature=temperature or 1.0))
        theirs = [[p for p, was in zip(c.logprobs, c.sampled, strict=True) if was] for _, c in chosen]
        if not any(theirs):
            return Gap(0.0, 0.0)
        gap = _measure_gap(mine, theirs)
        if not self._is_within_bound(gap):
            raise SamplerIsNotThePolicy(
                f"completions sampled at temperature {temperature:g} from policy version {version} carry log-probabilities that are "
                f"not the policy's: {self._describe_gap(gap)}. {self._suspect_cause(chosen, sequences, theirs, temperature)}\n"
                + _difference_table(_only_sampled(chosen, sequences), mine, theirs)
            )
        return gap

    def _is_within_bound(self, gap: Gap) -> bool:
        """A gap that is not a number is for the loop to judge: it says what to do about a policy that broke."""
        return not (gap.worst > self.bound.worst or gap.mean > self.bound.mean or gap.high > self.bound.high)

    def _describe_gap(self, gap: Gap) -> str:
        if math.isfinite(self.bound.worst):
            allowed = f"where {self.bound.mean:g} and {self.bound.worst:g} are allowed"
            return f"they differ by {gap.mean:.1e} on average and {gap.worst:.1e} at worst, {allowed}"
        allowed = f"where {self.bound.mean:g} and {self.bound.high:g} are allowed"
        return f"they differ by {gap.mean:.1e} on average and, the worst in a hundred left out, by up to {gap.high:.1e}, {allowed}"

    def _suspect_cause(self, chosen: "_Chosen", sequences: list[list[int]], theirs: list[list[float]], temperature: float) -> str:
        if temperature not in (0.0, 1.0) and self._is_within_bound(
            _measure_gap(_only_sampled(chosen, self.policy_score(sequences)), theirs)
        ):
            return f"They are the policy's at temperature 1: the temperature {temperature:g} is missing on the engine's side."
        return "They were sampled from other weights, or at another temperature."


_Chosen = list[tuple[list[int], Completion]]


def fixed_sequences(prompts: Sequence[Sequence[int]], vocabulary: int) -> list[list[int]]:
    """The run's first prompts, and one sequence of tokens from all over the vocabulary, cut to what is cheap to score."""
    own = [list(prompt[-TOKENS:]) for prompt in prompts if len(prompt) > 1][: SEQUENCES - 1]
    length = max([8, *map(len, own)])
    return [*own, [(place * place * 7919 + 31 * place) % vocabulary for place in range(length)]]


def _paired_scores(mine: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> Iterator[tuple[float, float]]:
    for row, other in zip(mine, theirs, strict=True):
        yield from zip(row, other, strict=True)


def _measure_gap(mine: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> Gap:
    gaps = sorted(abs(a - b) for a, b in _paired_scores(mine, theirs))
    if any(map(math.isnan, gaps)):
        return Gap(math.nan, math.nan, math.nan)
    kept = gaps[: len(gaps) - max(1, len(gaps) // 100)]
    return Gap(gaps[-1], sum(gaps) / len(gaps), kept[-1] if kept else 0.0)


def _spread_places(count: int, first: int) -> list[int]:
    """A few places of `count`, evenly spread, shifted by `first` so that steps look at different ones."""
    some = min(count, SAMPLES)
    return [(first + place * count // some) % count for place in range(some)]


def _only_sampled(chosen: _Chosen, rows: Sequence[Sequence[float]]) -> list[list[float]]:
    """Of each row, aligned with prompt and completion, the entries of tokens that the policy chose."""
    return [
        [value for value, was in zip(row[len(prompt) :], completion.sampled, strict=True) if was]
        for (prompt, completion), row in zip(chosen, rows, strict=True)
    ]


def _difference_table(tokens: Sequence[Sequence[float]], mine: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> str:
    """The places where they differ most."""
    rows = [
        (abs(a - b), sequence, place, int(token), a, b)
        for sequence, (ids, row, other) in enumerate(zip(tokens, mine, theirs, strict=True))
        for place, (token, a, b) in enumerate(zip(ids, row, other, strict=True))
    ]
    rows.sort(key=lambda row: (-row[0], row[1], row[2]))
    lines = [f"{'sequence':>8} {'place':>6} {'token':>8} {'policy':>12} {'engine':>12} {'difference':>11}"]
    lines += [f"{s:>8} {place:>6} {token:>8} {a:>12.6f} {b:>12.6f} {gap:>11.1e}" for gap, s, place, token, a, b in rows[:ROWS]]
    return "\n".join(lines)
