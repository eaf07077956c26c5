"""Sampling weights over domains as a file: what `reckon mix` writes and `reckon sft --mixture` reads, and what anybody may write by hand.

    {"weights": {"algebra": 0.7, "news": 0.3}}
    {"weights": {...}, "schedule": [{"from": 0.0, "weights": {...}}, {"from": 0.5, "weights": {...}}]}

Weights need not sum to 1; a weight of 0 leaves a domain out. With a schedule, `weights` is its average, and training goes by the schedule:
`from` is a share of the steps. Other keys are kept by whoever wrote them and mean nothing here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from verifiers.atomic_files import write_json
from verifiers.input_error import InputError

MOST = 1e12
"""A weight that sums of weights can hold."""


@dataclass(frozen=True)
class Phase:
    """Weights from some share of the run on."""

    begin: float
    weights: Mapping[str, float]


@dataclass(frozen=True)
class Mixture:
    weights: Mapping[str, float]
    schedule: tuple[Phase, ...] = field(default=())

    @property
    def phases(self) -> tuple[Phase, ...]:
        return self.schedule or (Phase(0.0, self.weights),)

    def begins(self, steps: int) -> Mapping[int, Phase]:
        """The phases by the step at which they begin; of those that fall on one, in a run of few steps, the last."""
        return {round(phase.begin * steps): phase for phase in self.phases}


def read_mixture(path: Path) -> Mixture:
    """Raises InputError for a file that is missing or no mixture."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"mixture {path}: cannot be read ({error.strerror or error}); `reckon mix` writes one") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"mixture {path}: not JSON ({str(error)[:80]}); `reckon mix` writes one") from error
    if not isinstance(found, dict) or "weights" not in found:
        raise InputError(f'mixture {path}: should be {{"weights": {{"a domain": 0.5, ...}}}}')
    weights = _weights(found["weights"], f"mixture {path}")
    schedule = found.get("schedule") or []
    if not isinstance(schedule, list) or not all(isinstance(row, dict) and {"from", "weights"} <= row.keys() for row in schedule):
        raise InputError(f'mixture {path}: its schedule should be a list of {{"from": 0.0, "weights": {{...}}}}')
    phases = tuple(Phase(_share(row["from"], path), _weights(row["weights"], f"mixture {path}, schedule")) for row in schedule)
    if phases and (phases[0].begin != 0 or any(a.begin >= b.begin for a, b in pairwise(phases))):
        raise InputError(f"mixture {path}: its schedule should begin at 0 and rise")
    if any(phase.weights.keys() != weights.keys() for phase in phases):
        raise InputError(f"mixture {path}: every phase of the schedule should have the domains of `weights`")
    return Mixture(weights, phases)


def write_mixture(path: Path, mixture: Mixture, facts: Mapping[str, Any]) -> None:
    """`facts`: what whoever made it wants to be known beside it."""
    phases = [{"from": phase.begin, "weights": dict(phase.weights)} for phase in mixture.schedule]
    write_json(path, {"weights": dict(mixture.weights), **({"schedule": phases} if phases else {}), **facts}, indent=1)


def _weights(found: object, where: str) -> dict[str, float]:
    if not isinstance(found, dict) or not found:
        raise InputError(f"{where}: weights should be an object of a domain to a number")
    for name, weight in found.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= MOST:
            raise InputError(f"{where}: the weight of {name!r} should be a number from 0 to {MOST:g}, not {weight!r:.40}")
    if not sum(found.values()) > 0:
        raise InputError(f"{where}: some weight should be above 0")
    return {name: float(weight) for name, weight in found.items()}


def _share(value: object, path: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise InputError(f"mixture {path}: `from` is a share of the steps, from 0 to below 1, not {value!r:.40}")
    return float(value)


def normalised(names: Sequence[str], weights: Mapping[str, float]) -> list[float]:
    """Of these domains, in their order, to a sum of 1."""
    whole = sum(weights[name] for name in names)
    return [weights[name] / whole for name in names]
