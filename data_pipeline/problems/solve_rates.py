"""How hard is a problem for a policy? Shares of samples solved, by problem id, as whoever has a policy measured them, and a choice by them.

The shares are read from a file, a run's rollouts or JSON Lines; nothing here measures them.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verifiers.input_error import InputError
from verifiers.problem import Problem, make_problem
from verifiers.rewards.problem_file import parse_row

_ID_FIELDS, _RATE_FIELDS = ("id", "problem_id", "problem"), ("solve_rate", "score", "reward")


@dataclass(frozen=True, slots=True)
class Difficulty:
    """Which problems a policy is to be trained on."""

    rates: Mapping[str, float]
    """Share of samples solved, by problem id."""
    least: float = 0.0
    most: float = 1.0

    def refuses(self, problem: Problem) -> str | None:
        """Why the problem is left out; None where it is kept, as one is that nobody has measured."""
        rate = self.rates.get(problem.id)
        if rate is None:
            return None
        return "too hard" if rate < self.least else "too easy" if rate > self.most else None

    def rated(self, problem: Problem) -> Problem:
        """The problem with its rate as `meta["solve_rate"]`, where there is one."""
        rate = self.rates.get(problem.id)
        if rate is None:
            return problem
        return make_problem(
            str(problem.prompt) if isinstance(problem.prompt, str) else problem.prompt, problem.answer, verifier=problem.verifier,
            meta={**problem.meta, "solve_rate": round(rate, 4)},
        )  # fmt: skip


def read_solve_rates(path: Path) -> dict[str, float]:
    """Problem id -> share solved: of a run of ours (its folder, its `rollouts/` or one Parquet file of it), or of JSON Lines.

    A line of JSON has an id and a `solve_rate` (`samples` weighs it), or is one sample with its `score`, 0 to 1; samples are averaged,
    those without a verdict left out. InputError for anything else.
    """
    sums: dict[str, tuple[float, float]] = {}
    try:
        for name, rate, weight in _rollout_rates(path) if path.is_dir() or path.suffix == ".parquet" else _line_rates(path):
            total, count = sums.get(name, (0.0, 0.0))
            sums[name] = (total + rate * weight, count + weight)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read as solve rates ({error}); give a run's folder, or JSON Lines with an id and a solve_rate"
        ) from None
    return {name: total / count for name, (total, count) in sums.items()}


def _line_rates(path: Path) -> Iterator[tuple[str, float, float]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _rate(parse_row(line, f"{path}, line {number}"), f"{path}, line {number}")


def _rollout_rates(path: Path) -> Iterator[tuple[str, float, float]]:
    """A sample each, from rollouts as `rollout/store.py` writes them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = [path] if path.is_file() else sorted(path.glob("*.parquet")) or sorted((path / "rollouts").glob("*.parquet"))
    if not files:
        raise InputError(f"{path} holds no rollouts (*.parquet); give the folder of a run, or JSON Lines with an id and a solve_rate")
    for file in files:
        try:
            rows = pq.read_table(file, columns=["problem_id", "score"]).to_pylist()
        except pa.ArrowInvalid as error:
            raise InputError(f"{file} holds no rollouts ({str(error).splitlines()[0][:80]}); give the folder of a run of ours") from None
        yield from ((row["problem_id"], min(1.0, max(0.0, row["score"])), 1.0) for row in rows if row["score"] is not None)


def _rate(row: Mapping[str, Any], where: str) -> tuple[str, float, float]:
    name = next((row[field] for field in _ID_FIELDS if isinstance(row.get(field), str)), None)
    rate = next((row[field] for field in _RATE_FIELDS if isinstance(row.get(field), int | float)), None)
    weight = row.get("samples", 1)
    if name is None or rate is None or not 0 <= rate <= 1 or not isinstance(weight, int | float) or not 0 < weight < 1e12:
        raise InputError(
            f"{where}: {json.dumps(row)[:80]} has no id with a solve_rate (or a sample's score) from 0 to 1; see read_solve_rates"
        )
    return name, float(rate), float(weight)
