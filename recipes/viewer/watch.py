"""`reckon watch RUN`: the page of `reckon view`, kept up to date while the run goes on.

    reckon watch runs/quickstart

Open the file that it names; it looks every three seconds whether there is something new. There is no server: this command writes the
folder's files anew, each whole or not at all, and ends when the run does.
"""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from verifiers.input_error import InputError

if TYPE_CHECKING:
    from recipes.viewer.page_files import PageFolder
    from recipes.viewer.run_data import Reader


MOST = 86_400
"""Seconds between two looks."""


@dataclass(frozen=True)
class Config:
    """The page of `reckon view`, kept up to date while the run goes on."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of runs."""
    out: Path | None = None
    """Folder of the page (default: view/ in the first run)."""
    every: float = 3.0
    """Seconds between two looks at the run."""
    patience: float = 3600.0
    """Stop, with exit code 1, when nothing new came for so many seconds while a run is said to be running."""
    tokenizer: str | None = None
    """Where token ids are read with, if the run does not tell: a folder, a run or a hub id."""


def run(config: Config) -> int:
    """Until no run is running. Raises InputError for what is no run."""
    from recipes.viewer.page_files import PageFolder
    from recipes.viewer.run_data import Reader
    from recipes.viewer.view import FOLDER, page_written

    if not config.runs:
        raise InputError("what is to be watched? give the folder of a run")
    if not (0 < config.every <= MOST and config.patience > 0):
        raise InputError(f"--every and --patience must be above 0, and --every at most {MOST:,}")
    page = PageFolder(config.out or config.runs[0] / FOLDER)
    reader = Reader(config.runs, page.put, config.tokenizer)
    reader.check()
    page.begin()
    seen, since = _marks(config.runs), time.monotonic()  # before anything is read: what comes meanwhile is read next time
    _update(page, reader, version := 1)
    page_written(page.end(", ".join(path.resolve().name for path in config.runs[:3])))
    while running := _running(config.runs):
        if time.monotonic() - since > config.patience:
            print(
                f"nothing new for {config.patience:g} s, though {running[0]} is said to be running; not watched any longer", file=sys.stderr
            )
            return 1
        time.sleep(config.every)
        if (now := _marks(config.runs)) != seen:
            seen, since, version = now, time.monotonic(), version + 1
            _update(page, reader, version)
    _update(page, reader, version + 1)  # what came with its end
    return 0


def _update(page: "PageFolder", reader: "Reader", version: int) -> None:
    reader.read()
    page.put("index", reader.index(live=True))
    page.put_live(f"reckon.news({version}, {json.dumps(_said(reader))})\n")


def _said(reader: "Reader") -> str:
    """In words, where the runs stand."""
    from recipes.looking.run_overview import overview

    found = []
    for run in reader.runs:
        try:
            seen = overview(run.path)
        except InputError:
            continue
        found.append(f"step {seen.step}{f' of {seen.steps}' if seen.steps is not None else ''}, {seen.status}")
    return "; ".join(found)


def _running(runs: tuple[Path, ...]) -> list[Path]:
    from recipes.looking.run_overview import status_now
    from rl.runs.run_folder import RunFolder

    return [path for path in runs if (path / "config.json").is_file() and status_now(RunFolder(path)) == "running"]


def _marks(runs: tuple[Path, ...]) -> list[tuple[int, int]]:
    """What changes when a run has done a step."""
    files = [path / name for path in runs for name in ("metrics.jsonl", "manifest.json")]
    return [(file.stat().st_mtime_ns, file.stat().st_size) if file.exists() else (0, 0) for file in files]
