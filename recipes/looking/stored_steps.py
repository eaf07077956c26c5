"""What the policy said, as a run's folder has it: the files of rollouts and of answers to held-out problems, each as a table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rl.runs.run_folder import HELD_OUT
from rollout.store import SCHEMA, misfit, refuse_newer
from verifiers.input_error import InputError, first_line

TRAINING = ""
"""The name of what was trained on, among the names of held-out sets."""
NEEDED = ("step", "group", "problem_id", "problem", "answer", "response", "score", "status")


@dataclass(frozen=True)
class StoredStep:
    """One file."""

    path: Path
    part: str
    """TRAINING; else a set of held-out problems: "held-out" for the one without a name."""
    step: int
    """As the file is named: a step, or the number of a chunk of `reckon sample`."""


def stored_steps(run: Path) -> list[StoredStep]:
    """By part and step, the training's first. Raises InputError for a folder that is not there."""
    if not run.is_dir():
        raise InputError(f"{run}: no such folder; give the folder of a run")
    held_out = run / HELD_OUT
    named = sorted(place for place in held_out.iterdir() if place.is_dir()) if held_out.is_dir() else []
    parts = {TRAINING: run / "rollouts", "held-out": held_out, **{place.name: place for place in named}}
    return [
        StoredStep(path, part, int(path.stem.removeprefix("step-")))
        for part, folder in parts.items()
        for path in sorted(folder.glob("step-*.parquet"))
        if path.stem.removeprefix("step-").isdecimal()
    ]


def read_step(stored: StoredStep, columns: Sequence[str] = SCHEMA.names) -> Any:
    """A pyarrow table of the columns that it has. Raises InputError for a file that is damaged, something else or of a newer version."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(stored.path) as file:
            schema = file.schema_arrow
            refuse_newer(stored.path, schema.metadata)
            if missing := next((name for name in NEEDED if name not in schema.names), None):
                raise ValueError(f"it has no column {missing!r}")
            if said := misfit(schema, columns):
                raise ValueError(said)
            return file.read([name for name in columns if name in schema.names])
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{stored.path} cannot be read as rollouts ({first_line(error)[:160]}); remove it, or give another run") from None


def readable(steps: Sequence[StoredStep], columns: Sequence[str], complain: Any) -> Iterator[tuple[StoredStep, Any]]:
    """Each with its table; of a file that cannot be read, the reason goes to `complain`, and the others are still worth a look."""
    for each in steps:
        try:
            yield each, read_step(each, columns)
        except InputError as error:
            complain(str(error))
