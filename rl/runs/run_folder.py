"""A run on disk: what lies where, and how it is continued.

    runs/<name>/  config.json  manifest.json  metrics.jsonl  rollouts/*.parquet  tokens/*.parquet  held_out/*.parquet
                  checkpoints/step-000120/  plots/

`tokens` holds what training saw of every token, `held_out` what the policy said to problems that are only looked at: a file for each step.
Recipes add folders of their own: `final/` (the model as `from_pretrained` reads it), `warm_start/` (quickstart).

Every file is written under a temporary name and renamed. A process killed at any instant loses at most the step in flight:
steps between the last checkpoint and the kill are replayed from their rollouts. One process at a time writes a run: it holds the
lock on `.lock`, which the kernel gives back when the process ends.
"""

import errno
import fcntl
import json
import os
import platform
import shutil
import stat
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from rollout.store import RolloutStore
from rollout.token_store import TokenStore
from verifiers.atomic_files import atomic_path, json_text, read_file, remove_leftovers, write_json
from verifiers.input_error import InputError, first_line

LOCK = ".lock"
HELD_OUT = "held_out"


@runtime_checkable
class Kept(Protocol):
    """What a checkpoint holds: a policy, its reference, a critic, each with files of its own names."""

    def save(self, folder: Path) -> None:
        """All that a bit-exact continuation needs."""

    def load(self, folder: Path) -> None:
        """What `save` wrote, into one that was built the same way. Raises an exception of any kind where it is another's."""

    def checkpoint_bytes(self) -> int:
        """About what `save` writes."""


@dataclass(frozen=True)
class Position:
    """Where a run stands: completed steps, and how many problems of the stream they used up."""

    step: int = 0
    cursor: int = 0


def append_line(path: Path, value: Mapping[str, Any]) -> None:
    """One JSON line, on disk when this returns."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json_text(value) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics.jsonl, each with its `step`; a last line that a kill cut short is left out. Raises InputError for others."""
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = []
    try:
        *whole, _ = read_file(path).split("\n")  # not splitlines, which also cuts at U+2028 and its like, inside a JSON string
        for line in whole:
            row = json.loads(line)
            if not isinstance(row, dict) or not isinstance(row.get("step"), int):
                raise ValueError("not the numbers of a step")
            rows.append(row)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: after {len(rows)} whole lines, {error}; restore it, or start a new run") from error
    return rows


class RunFolder:
    """The files of one run. Make one with `create` or `open`."""

    def __init__(self, path: Path, *, keep_checkpoints: int = 2):
        self.path, self.keep_checkpoints = path, keep_checkpoints
        self.metrics_path = path / "metrics.jsonl"
        self.plots = path / "plots"
        self.rollouts = RolloutStore(path / "rollouts")
        self.tokens = TokenStore(path / "tokens")
        self.checkpoints = path / "checkpoints"
        self._release: Callable[[], Any] = lambda: None

    @classmethod
    def create(cls, path: Path, config: Mapping[str, Any], *, overwrite: bool = False, needed_bytes: int = 0) -> "RunFolder":
        """A new run, locked. Raises InputError if the folder holds one already, or the disk is too full for `needed_bytes`."""
        cls.check_new(path, overwrite=overwrite, needed_bytes=needed_bytes)
        path.mkdir(exist_ok=True)
        run = cls(path)
        run.lock()
        cls.check_new(path, overwrite=overwrite, needed_bytes=needed_bytes)  # another may have made it just before
        for old in sorted(path.iterdir(), key=lambda entry: entry.name == "config.json"):  # last: until then it is an earlier run
            if old.name != LOCK:
                shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
        write_json(path / "config.json", config)  # with it the run exists; a folder without can be made again
        run.write_manifest(status="running")
        return run

    def held_out(self, name: str = "") -> RolloutStore:
        """What the policy said to a set of problems that are only looked at; "": to the one without a name."""
        return RolloutStore(self.path / HELD_OUT / name)

    def lock(self) -> None:
        """Keep other processes off this run until `close` or the end of this one, whatever ends it. Raises InputError if one is at it."""
        try:
            file = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o644)
        except OSError as error:
            raise InputError(f"the run folder {self.path} cannot be written: {error.strerror}; choose another place with --run") from error
        release = weakref.finalize(self, os.close, file)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            release()
            raise InputError(f"{self.path / LOCK} is not a regular file; remove it")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel's: it ends with the process, by kill -9 too
        except BlockingIOError as error:
            owner = os.pread(file, 20, 0).decode("ascii", "replace")
            release()
            raise InputError(
                f"the run {self.path} is being written by another process{f' ({owner})' if owner.isdigit() else ''}; "
                "wait for it or end it, or choose another folder with --run"
            ) from error
        except OSError:  # a file system without locks
            release()
            return
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        self._release = release

    def check_free(self) -> None:
        """Raises InputError where `lock` would; the lock is not kept."""
        if (self.path / "config.json").exists():
            self.lock()
            self.close()

    def close(self) -> None:
        """Let other processes at the run."""
        self._release()

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @staticmethod
    def check_new(path: Path, *, overwrite: bool = False, needed_bytes: int = 0) -> None:
        """Raises InputError where `create` would, and creates nothing but the folder's parents."""
        names = os.listdir(path) if path.is_dir() else [path.name] if path.exists() else []
        if any(name != LOCK and not name.startswith(".tmp-") for name in names):
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
        config = _read_object(path / "config.json")
        return cls(path), config

    def write_manifest(self, *, status: str, **facts: Any) -> None:
        """What the run was made with and how it ended: status is "running", "interrupted" or "done"."""
        packages = {name: _package_version(name) for name in ("reckon-rl", "torch", "transformers", "peft", "trl", "numpy")}
        software = {"python": platform.python_version(), "platform": platform.platform(), "packages": packages}
        known = {"status": status, "command": sys.argv, **software, "hardware": _hardware()}
        write_json(self.path / "manifest.json", known | facts)

    # --- checkpoints ---

    def save(self, position: Position, *kept: Kept) -> None:
        """A checkpoint, whole or not at all; older ones beyond `keep_checkpoints` go."""
        path = self.checkpoints / _checkpoint_name(position.step)
        try:
            with atomic_path(path) as folder:
                folder.mkdir()
                for part in kept:
                    part.save(folder)
                write_json(folder / "position.json", {"step": position.step, "cursor": position.cursor})
        except Exception as error:  # torch and safetensors have errors of their own for a full disk, some without its name
            if shutil.disk_usage(self.path).free > sum(part.checkpoint_bytes() for part in kept):
                raise
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        for old in self._saved_checkpoints()[: -self.keep_checkpoints]:
            shutil.rmtree(old)

    def restore(self, *kept: Kept) -> Position | None:
        """Loads the newest checkpoint into what it was made of and forgets what was logged after it; None where there is none yet.

        Rollouts after it stay: the loop replays them.
        """
        looked_at = [self.path / HELD_OUT, *(place for place in (self.path / HELD_OUT).glob("[!.]*") if place.is_dir())]
        for folder in (self.path, self.checkpoints, self.rollouts.folder, self.tokens.folder, self.plots, *looked_at):
            remove_leftovers(folder)
        saved = self._saved_checkpoints()
        if not saved:
            self.metrics_path.unlink(missing_ok=True)
            return None
        position = self._load_newest(kept, saved)
        lines = [line for line in read_lines(self.metrics_path) if line["step"] <= position.step]
        if [line["step"] for line in lines] != list(range(position.step + 1)):
            raise InputError(
                f"{self.metrics_path} is damaged: up to step {position.step}, where the checkpoint stands, it should hold each step once; "
                "restore it, or start a new run"
            )
        with atomic_path(self.metrics_path) as temporary:
            temporary.write_text("".join(json_text(line) + "\n" for line in lines), encoding="utf-8")
        return position

    def _load_newest(self, kept: Sequence[Kept], saved: list[Path]) -> Position:
        """The newest checkpoint's. Raises InputError for a damaged one, whatever it holds."""
        newest = saved[-1]
        remedy = f"remove that folder to go on from {saved[-2].name}" if len(saved) > 1 else "restore it, or start a new run"
        try:
            for entry in newest.rglob("*"):
                if not (entry.is_file() or entry.is_dir()):
                    raise ValueError(f"{entry.name} is not a regular file")  # opening a pipe would wait for ever
            where = _read_object(newest / "position.json")
            position = Position(where["step"], where["cursor"])
            if not all(isinstance(n, int) and n >= 0 for n in (position.step, position.cursor)) or newest.name != _checkpoint_name(
                position.step
            ):
                raise ValueError("position.json is another checkpoint's")
            for part in kept:
                part.load(newest)
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # pickle, zip, safetensors, transformers and peft have each their own for a file that is not theirs
            what = first_line(error)
            if "weights_only" in str(error):  # torch's own words go on with how to run what it refused
                what = "trainer.pt holds something else than tensors and numbers, which is not read"
            raise InputError(f"the checkpoint {newest} is damaged: {what}; {remedy}") from error
        return position

    def _saved_checkpoints(self) -> list[Path]:
        """Each was whole when it got its name: one that lacks something now is damaged, and not to be passed over in silence."""
        return sorted(self.checkpoints.glob("step-*"))


def _checkpoint_name(step: int) -> str:
    return f"step-{step:06d}"


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(read_file(path))
        if not isinstance(value, dict):
            raise ValueError("it holds no object")
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {error}; restore it") from error
    return value


def _hardware() -> dict[str, Any]:
    """The processor and how many of its cores this process may use; the GPU, where it computes on one."""
    cpu = platform.processor()
    with suppress(OSError, StopIteration, IndexError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        cpu = next(line for line in lines if line.startswith("model name")).split(":", 1)[1].strip()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_initialized() else ""  # asking would begin to use it
    return {"gpu": gpu, "cpu": cpu, "cores": cores}


def _package_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
