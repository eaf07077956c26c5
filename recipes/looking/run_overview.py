"""What a run's folder says of it at a glance: how it ended, how far it came, the best it was; and what its options are."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.setup.model_source import status_of
from rl.runs.comparison import method_of
from rl.runs.report import is_number
from rl.runs.run_folder import RunFolder, read_lines
from verifiers.input_error import InputError

UNSAID = ("run", "resume", "overwrite")
"""Options that two runs differ in without differing."""


@dataclass(frozen=True)
class Best:
    """A held-out accuracy with its interval, and the step at which it was measured."""

    accuracy: float
    low: float
    high: float
    step: int

    def __str__(self) -> str:
        return f"{self.accuracy:.1%} ({self.low:.1%} to {self.high:.1%}) at {self.step}"


@dataclass(frozen=True)
class Overview:
    """One run."""

    path: Path
    method: str
    status: str
    """As its manifest has it; "killed" where that says running and nobody is at it."""
    step: int
    """A round, of a run of rounds."""
    steps: int | None
    best: Best | None
    last: Best | None
    seconds: float
    options: Mapping[str, Any]
    """Flat: a group's settings stand as GROUP.NAME."""


def runs_under(places: Sequence[Path]) -> list[Path]:
    """The runs that these are or hold, at any depth but within each other. Raises InputError for a place that is not there."""
    found: list[Path] = []
    for place in places:
        if not place.is_dir():
            raise InputError(f"{place}: no such folder; give the folder of runs (`reckon runs FOLDER`)")
        found += _runs_in(place)
    return list(dict.fromkeys(found))


def _runs_in(place: Path) -> Iterator[Path]:
    if (place / "evaluation.json").is_file():  # its samples lie there as a run of `reckon sample`
        return
    if (place / "config.json").is_file() and (place / "manifest.json").is_file():  # a damaged one too
        yield place
        return
    for each in sorted(place.iterdir()):
        if each.is_dir() and not each.is_symlink() and not each.name.startswith("."):
            yield from _runs_in(each)


def overview(path: Path) -> Overview:
    """Raises InputError for a folder that is no run's, or is damaged."""
    run, config = RunFolder.open(path)
    options, rows = config.get("options"), read_lines(run.metrics_path)
    if not isinstance(options, dict):
        raise InputError(f"{path}/config.json holds no options; restore it")
    measured = [row for row in rows if all(is_number(row.get(f"eval/{name}")) for name in ("accuracy", "low", "high"))]
    points = [Best(row["eval/accuracy"], row["eval/low"], row["eval/high"], row["step"]) for row in measured]
    return Overview(
        path, method_of(config, path), status_now(run), rows[-1]["step"] if rows else 0,
        next((options[name] for name in ("rounds", "steps") if isinstance(options.get(name), int)), None),
        max(points, key=lambda point: point.accuracy, default=None), points[-1] if points else None,
        sum(row["time/step"] for row in rows if is_number(row.get("time/step"))), _flat(options),
    )  # fmt: skip


def status_now(run: RunFolder) -> str:
    """As its manifest has it; "killed" where that says running and nobody is at it."""
    said = status_of(run.path) or "?"
    if said != "running":
        return said
    try:
        run.check_free()
    except InputError:
        return said
    return "killed"


def _flat(options: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in options.items():
        found |= _flat(value, f"{above}{name}.") if isinstance(value, dict) else {above + name: value}
    return found


def differing(runs: Sequence[Overview]) -> list[str]:
    """Options that are not the same in all of these, in the order in which the first has them."""
    names = dict.fromkeys(name for run in runs for name in run.options if name not in UNSAID)
    missing = object()
    return [name for name in names if len({_key(run.options.get(name, missing)) for run in runs}) > 1]


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=lambda other: f"<{type(other).__name__}>")
