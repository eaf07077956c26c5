"""A run on disk: what lies where, and how it is continued.

    runs/<name>/  config.json  manifest.json  metrics.jsonl  rollouts/*.parquet  checkpoints/step-000120/  plots/*.png  report.html

Recipes add folders of their own: `final/` (the model as `from_pretrained` reads it), `warm_start/` (quickstart).

Every file is written under a temporary name and renamed. A process killed at any instant loses at most the step in flight:
steps between the last checkpoint and the kill are replayed from their rollouts.
"""

import errno
import json
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rl.policy import Policy
from rollout.store import RolloutStore
from verifiers.atomic import atomic_path, remove_leftovers
from verifiers.input_error import InputError


@dataclass(frozen=True)
class Position:
    """Where a run stands: completed steps, and how many problems of the stream they used up."""

    step: int = 0
    cursor: int = 0


def write_json(path: Path, value: Any) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def append_line(path: Path, value: Mapping[str, Any]) -> None:
    """One JSON line, on disk when this returns."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(value, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a JSONL file; a last line that a kill cut short is left out."""
    if not path.exists():
        return []
    lines = [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
    try:
        return [json.loads(line) for line in lines]
    except ValueError as error:
        raise InputError(f"{path} is damaged: a line is not JSON ({error}); restore it, or remove that line") from error


class RunFolder:
    """The files of one run. Make one with `create` or `open`."""

    def __init__(self, path: Path, *, keep_checkpoints: int = 2):
        self.path, self.keep_checkpoints = path, keep_checkpoints
        self.metrics_path = path / "metrics.jsonl"
        self.plots = path / "plots"
        self.rollouts = RolloutStore(path / "rollouts")
        self.checkpoints = path / "checkpoints"

    @classmethod
    def create(cls, path: Path, config: Mapping[str, Any], *, overwrite: bool = False, needed_bytes: int = 0) -> "RunFolder":
        """A new run. Raises InputError if the folder holds one already, or the disk is too full for `needed_bytes`."""
        cls.check_new(path, overwrite=overwrite, needed_bytes=needed_bytes)
        if path.exists():
            shutil.rmtree(path)
        with atomic_path(path) as folder:  # a run folder without its config could be neither resumed nor made again
            folder.mkdir()
            write_json(folder / "config.json", config)
        run = cls(path)
        run.write_manifest(status="running")
        return run

    @staticmethod
    def check_new(path: Path, *, overwrite: bool = False, needed_bytes: int = 0) -> None:
        """Raises InputError where `create` would, and creates nothing but the folder's parents."""
        if path.exists() and any(path.iterdir() if path.is_dir() else [path]):
            if not overwrite:
                raise InputError(f"the run folder {path} exists; continue it with --resume {path}, or choose another with --run")
            if not (path / "config.json").exists():
                raise InputError(f"--overwrite: {path} is not a run folder (it has no config.json), so it is not deleted")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"the run folder {path} cannot be made: {error.strerror}; choose another place with --run") from error
        free = shutil.disk_usage(path.parent).free
        if free < needed_bytes:
            raise InputError(
                f"no disk space for the run: {path} needs about {needed_bytes / 2**20:,.1f} MiB for its checkpoints and "
                f"{free / 2**20:,.1f} MiB are free; free some, or choose another place with --run"
            )

    @classmethod
    def open(cls, path: Path) -> tuple["RunFolder", dict[str, Any]]:
        """(an earlier run, its config). Raises InputError where there is none."""
        if not (path / "config.json").exists():
            raise InputError(f"{path} is not the folder of a run (config.json is missing); give the one that an earlier run printed")
        return cls(path), json.loads((path / "config.json").read_text(encoding="utf-8"))

    def write_manifest(self, *, status: str, **facts: Any) -> None:
        """What the run was made with and how it ended: status is "running", "interrupted" or "done"."""
        packages = {name: _version(name) for name in ("reckon-rl", "torch", "transformers", "peft", "trl", "numpy")}
        software = {"python": platform.python_version(), "platform": platform.platform(), "packages": packages}
        write_json(self.path / "manifest.json", {"status": status, "command": sys.argv, **software, **facts})

    # --- checkpoints ---

    def save(self, policy: Policy, position: Position) -> None:
        """A checkpoint, whole or not at all; older ones beyond `keep_checkpoints` go."""
        path = self.checkpoints / f"step-{position.step:06d}"
        try:
            with atomic_path(path) as folder:
                folder.mkdir()
                policy.save(folder)
                write_json(folder / "position.json", {"step": position.step, "cursor": position.cursor})
        except Exception as error:  # torch and safetensors have errors of their own for a full disk, some without its name
            if shutil.disk_usage(self.path).free > policy.checkpoint_bytes():
                raise
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        for old in self._saved()[: -self.keep_checkpoints]:
            shutil.rmtree(old)

    def restore(self, policy: Policy) -> Position | None:
        """Loads the newest checkpoint into `policy` and forgets what was logged after it; None where there is none yet.

        Rollouts after it stay: the loop replays them.
        """
        for folder in (self.path, self.checkpoints, self.rollouts.folder):
            remove_leftovers(folder)
        saved = self._saved()
        if not saved:
            self.metrics_path.unlink(missing_ok=True)
            return None
        policy.load(saved[-1])
        position = Position(**json.loads((saved[-1] / "position.json").read_text()))
        lines = [line for line in read_lines(self.metrics_path) if line["step"] <= position.step]
        with atomic_path(self.metrics_path) as temporary:
            temporary.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
        return position

    def _saved(self) -> list[Path]:
        return sorted(p for p in self.checkpoints.glob("step-*") if (p / "position.json").exists())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
