"""How far a policy has gone from where it began, and what it earns there: KL(policy || start) over its own samples, beside the reward.

Of stored completions: what the sampler said of its tokens, which is the policy (the canary has seen to it), against the start's own pass.
An estimate for a completion is the sum over its sampled tokens of k3 = exp(d) - d - 1, d = start - policy: unbiased, never below 0, and of
less variance than the plain difference, which is beside it. Nats a completion, at the temperature of sampling.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from rl.learning.learner import Learner
from rl.objectives.batch import by_row, lay_out
from rl.objectives.policy_gradient import k1, k3
from rollout.progress import in_progress
from verifiers.input_error import InputError

ROWS = 256


@dataclass(frozen=True)
class Drift:
    """Means over problems, each with its standard error."""

    reward: float
    reward_error: float
    accuracy: float
    kl: float
    kl_error: float
    kl_difference: float
    """The same KL by the plain difference of log-probabilities: unbiased too, and noisier."""
    length: float
    completions: int

    def as_json(self) -> dict[str, float]:
        return {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(self).items()}


def drift(store: Path, start: Learner) -> Drift:
    """Of every completion with a verdict in a store's folder. Raises InputError where there is none."""
    rows = _rows(store)
    if not rows:
        raise InputError(f"{store} holds no completion with a verdict, so nothing can be said of its policy; sample it again")
    found = [values for at in range(0, len(rows), ROWS) for values in _kl_of(rows[at : at + ROWS], start)]
    kl, kl_error = _over_problems(rows, [low for low, _ in found])
    reward, reward_error = _over_problems(rows, [row["score"] for row in rows])
    return Drift(
        reward, reward_error, sum(row["status"] == "right" for row in rows) / len(rows), kl, kl_error,
        _over_problems(rows, [plain for _, plain in found])[0], sum(sum(row["sampled"]) for row in rows) / len(rows), len(rows),
    )  # fmt: skip


def _rows(store: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    columns = ["problem_id", "prompt", "tokens", "logprobs", "sampled", "score", "status", "temperature"]
    rows = [row for file in sorted(store.glob("step-*.parquet")) for row in pq.read_table(file, columns=columns).to_pylist()]
    return [row for row in rows if row["score"] is not None]


def _kl_of(rows: Sequence[dict[str, Any]], start: Learner) -> list[tuple[float, float]]:
    """(by k3, by the difference) of each completion."""
    batch = lay_out(
        [[*row["prompt"], *row["tokens"]] for row in rows],
        [[*[False] * len(row["prompt"]), *row["sampled"]] for row in rows],
        [len(row["prompt"]) for row in rows],
        temperature=rows[0]["temperature"] or 1.0,
    )
    said = torch.tensor([logp for row in rows for logp in [*[0.0] * len(row["prompt"]), *row["logprobs"]]], dtype=torch.float64)
    asked = start.score(batch).double()
    if progress := in_progress():
        progress.finished(len(rows))
    low, plain = (by_row(estimator(said, asked), batch).tolist() for estimator in (k3, k1))
    return list(zip(low, plain, strict=True))


def _over_problems(rows: Sequence[dict[str, Any]], values: Sequence[float]) -> tuple[float, float]:
    """(mean, its standard error), completions of one problem counted as one draw."""
    groups: dict[str, list[float]] = {}
    for row, value in zip(rows, values, strict=True):
        groups.setdefault(row["problem_id"], []).append(value)
    means = [sum(group) / len(group) for group in groups.values()]
    mean = sum(means) / len(means)
    spread = sum((each - mean) ** 2 for each in means) / max(1, len(means) - 1)
    return mean, math.sqrt(spread / len(means))
