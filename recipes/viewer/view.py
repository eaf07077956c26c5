"""`reckon view`: runs, or data to be trained on, as a page that opens from disk.

    reckon view runs/quickstart                                curves, groups, rollouts, problems
    reckon view runs/grpo-0 runs/grpo-1 runs/grpo-2            beside each other; seeds of one experiment are one line with a band
    reckon view runs/quickstart --out quickstart.html          one file, to be mailed
    reckon view pairs.jsonl --model Qwen/Qwen2.5-1.5B          what of the data is trained on, and what is not

Nothing leaves the page, and no server runs. A folder's rollouts are read in slices, so that it opens as quickly for 200,000 as for 200.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from recipes.spelling.result_line import tell_result
from verifiers.input_error import InputError

if TYPE_CHECKING:
    from recipes.looking.stored_steps import StoredStep
    from recipes.viewer.page_files import PageFile, PageFolder

FOLDER = "view"
DATA = (".jsonl", ".json", ".parquet")


@dataclass(frozen=True)
class Config:
    """Runs, or data to be trained on, as a page that opens from disk: curves, rollouts, verdicts, tokens."""

    places: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of runs; or one file of data, with --model."""
    out: Path | None = None
    """Folder of the page, or a file NAME.html that holds all of it (default: view/ in the run, or beside the data)."""
    steps: str = ""
    """Read the rollouts of these steps only: "100-200", "10,20,30" or "every 10"."""
    explain: int = 0
    """Explain the verdicts of so many rollouts, the newest first. Runs the run's rewards, code of a user's own among them."""
    deadline: float = 10.0
    """Seconds for one explanation."""
    tokenizer: str | None = None
    """Where token ids are read with, if the run does not tell: a folder, a run or a hub id."""
    model: str = ""
    """Of data: the model it is for, whose tokenizer and chat template say what trains."""
    train_on: str = "auto"
    """Of data: which turns train, as `reckon sft` has it."""
    limit: int = 10_000
    """Of data: the first so many rows."""


def run(config: Config) -> int:
    """Writes the page and prints where it is. Raises InputError for what is neither a run nor data."""
    if not config.places:
        raise InputError("what is to be looked at? give the folder of a run (`reckon runs` lists them), or a JSONL file with --model")
    files = [place for place in config.places if place.is_file() or (place.suffix in DATA and not place.is_dir())]
    if files:
        from recipes.viewer.data_view import write_data_view

        _refuse(config, "steps", "explain", "tokenizer")
        if len(config.places) > 1:
            raise InputError("data is looked at one file at a time; give one of them")
        if config.limit < 1:
            raise InputError(f"--limit {config.limit} must be at least 1")
        if not config.model:
            raise InputError(f"--model is missing: {files[0]} is data, and the model's template says which of its tokens train")
        page = page_at(config.out or files[0].with_name(f"{files[0].name}.{FOLDER}"))
        page_written(write_data_view(files[0], config.model, page, train_on=config.train_on, limit=config.limit))
        return 0
    _refuse(config, "model", "train_on", "limit")
    page_written(write_run_view(config))
    return 0


def page_written(page: Path) -> None:
    """Where it is, for a reader and for --json."""
    from recipes.looking.explanation import print_anywhere

    print_anywhere()
    print(page, flush=True)
    tell_result({"page": str(page)}, only_json=True)


def write_run_view(config: Config) -> Path:
    """The file to open. Raises InputError for what is no run."""
    if not config.places:
        raise InputError("what is to be looked at? give the folder of a run (`reckon runs` lists them)")
    from recipes.looking.explained import Explanations, explaining
    from recipes.viewer.run_data import Reader

    if config.explain < 0:
        raise InputError(f"--explain {config.explain} must be 0 or more")
    page = page_at(config.out or config.places[0] / FOLDER)
    with explaining(config.explain, config.places[0], config.deadline) as explainer:
        wanted = Explanations(config.explain, explainer)
        reader = Reader(config.places, page.put, config.tokenizer, chosen_steps(config.steps), wanted)
        reader.check()
        page.begin()
        reader.read()
        page.put("index", reader.index())
    for run in reader.runs:
        if run.files and run.pieces is None:
            print(f"{run.path}: no tokenizer was found, so tokens are not shown; name one with --tokenizer", file=sys.stderr)
    return page.end(", ".join(path.resolve().name for path in config.places[:3]))


def page_at(place: Path) -> "PageFolder | PageFile":
    """One file where the name says so, else a folder."""
    from recipes.viewer.page_files import PageFile, PageFolder

    return PageFile(place) if place.suffix in (".html", ".htm") else PageFolder(place)


def chosen_steps(text: str) -> "Callable[[StoredStep], bool]":
    """What --steps means. Raises InputError for what means nothing."""
    words = text.split()
    try:
        if not words:
            return lambda stored: True
        if words[0] == "every" and len(words) == 2 and (every := int(words[1])) > 0:
            return lambda stored: stored.step % every == 0
        ranges = [[int(end) for end in part.split("-")] for part in "".join(words).split(",")]
        if all(len(ends) in (1, 2) and ends[0] <= ends[-1] for ends in ranges):
            return lambda stored: any(ends[0] <= stored.step <= ends[-1] for ends in ranges)
    except ValueError:
        pass
    raise InputError(f'--steps {text!r} must be like "100-200", "10,20,30" or "every 10"')


def _refuse(config: Config, *names: str) -> None:
    """Raises InputError for an option that would be ignored."""
    plain = Config(config.places)
    given = [name for name in names if getattr(config, name) != getattr(plain, name)]
    if given:
        what = "data" if "steps" in names else "runs"
        raise InputError(f"--{given[0].replace('_', '-')} would be ignored for {what}; leave it out")
