"""What a Python program hands over, as the commands take it: rows to problems or to a file beside the run, a model to a name."""

import filecmp
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.in_python.closures import verify_by
from recipes.setup.model_source import IN_MEMORY, ModelInMemory, find_model, in_memory
from recipes.setup.problem_set import Given
from recipes.setup.resuming import stored_run
from recipes.setup.starting_point import kept_start, write_model
from recipes.spelling.flat_options import built, choices_of, flat_options
from recipes.spelling.foreign_names import here, trainer_argument
from recipes.spelling.option_values import checked
from rl.runs.run_folder import read_lines
from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError, did_you_mean
from verifiers.problem import Problem
from verifiers.rewards.problem_file import problem_line, problems_of, row_reader

if TYPE_CHECKING:
    from rl.learning.policy import Policy
    from rollout.chat import Chat

Rows = Iterable[Mapping[str, Any]]
"""Dicts: a list, a `datasets.Dataset`, anything that is gone through once."""
Reward = str | Callable[..., Any] | Sequence[str] | Sequence[Callable[..., Any]]
"""A verifier's name or `file.py:function` (judged by worker processes, with a deadline), or functions of this program."""


@dataclass(frozen=True)
class Run:
    """What came of a training: the run's folder on the disk, and what was trained, in memory."""

    path: Path
    policy: "Policy"
    chat: "Chat"

    @property
    def model(self) -> Any:
        """The transformers or peft model."""
        return self.policy.model

    @property
    def tokenizer(self) -> Any:
        return self.chat.tokenizer

    @property
    def final(self) -> Path:
        """The model or adapter on the disk, as `from_pretrained` reads it."""
        return self.path / "final"

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The numbers of every step."""
        return read_lines(self.path / "metrics.jsonl")


@contextmanager
def named(model: Any, tokenizer: Any, resume: Path | None = None) -> Iterator[str]:
    """The model as `--model` has it: a place as it is, a Run by its folder, a loaded model by a name of its own.

    `resume`: a run that goes on with what it began with; it asks for a loaded model only where it has kept none and needs none but to learn
    on. Raises InputError for a model without its tokenizer, and for one with an adapter on it.
    """
    began = None if resume is None else str(stored_run(resume)["options"].get("model", ""))
    loaded = model is not None and not isinstance(model, Run | str | Path)
    if began is not None and resume and (kept_start(resume) or not began.startswith(IN_MEMORY)):
        if loaded:
            told = "is read from the disk; the model given is not looked at, and stays as it is"
            print(f"the model that {resume} began with {told}", file=sys.stderr)
        yield began
        return
    if began is not None and not loaded:
        raise InputError(f"--resume {resume}: it trains a model of a Python program; give that, as model= with its tokenizer=")
    if not loaded:
        if model is None:
            raise InputError("model is missing; give a hub id, a folder, a Run, or a transformers model with its tokenizer")
        if tokenizer is not None:
            raise InputError("tokenizer would be ignored: a folder, a hub id or a run has its own; leave it out")
        yield str(model.path if isinstance(model, Run) else model)
        return
    if tokenizer is None:
        raise InputError("tokenizer is missing; a model in memory does not say which is its own")
    _require_loaded(model, tokenizer)
    if getattr(model, "peft_config", None):
        raise InputError("this model has an adapter on it; save that with save_pretrained and give its folder, which goes on training it")
    with in_memory(model, tokenizer, began) as name:
        yield name


def on_disk(place: str, run: Path) -> str:
    """A place that lasts: of a model in memory that stands nowhere else, a folder beside the run. Raises InputError where another is."""
    source = find_model(place) if place.startswith(IN_MEMORY) else None
    if not isinstance(source, ModelInMemory):
        return place
    if source.place is None:
        from rl.learning.starting_model import stands_at

        folder = run.resolve().with_name(f"{run.resolve().name}-model")
        if folder.exists() and not stands_at(source.model, str(folder)):
            raise InputError(f"{folder} holds another model than the one given; choose another run=, or remove it")
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            write_model(folder, source.model, source.own_tokenizer)
        return str(folder)
    return source.place


def _require_loaded(model: Any, tokenizer: Any) -> None:
    if not (hasattr(model, "config") and hasattr(model, "parameters")):
        raise InputError(f"model is {type(model).__name__}; give a transformers model, a Run, or the place of one")
    if not hasattr(tokenizer, "chat_template"):
        raise InputError(f"tokenizer is {type(tokenizer).__name__}; give the model's transformers tokenizer")
    if any(parameter.is_meta for parameter in model.parameters()):
        raise InputError("this model has no weights (its parameters are on the meta device); load it with from_pretrained")


def folder_of(run: str | Path | None, method: str) -> Path:
    """Where a run goes: as it is given, or a folder of its own by the time of day."""
    return Path(run) if run is not None else Path("runs") / f"{method}-{time.strftime('%Y%m%d-%H%M%S')}"


def config_of(kind: Any, options: Mapping[str, Any], **own: Any) -> Any:
    """A command's Config: choices as objects (engine=VLLM(memory=0.5)), or as the command line has them (engine="vllm", engine_memory=0.5).

    Raises InputError for an option that it has not, with the nearest that it has, for one that what is chosen would
    ignore, and for a value that cannot be.
    """
    choices = choices_of(kind)
    refuse_unknown(kind, options)
    hints = {name: option.hint for name, option in flat_options(kind).items()}
    plain = {name: (name, value) for name, value in options.items() if name in hints and not is_dataclass(value)}
    given = {**own, **options, **checked(plain, hints)}
    objects = {name: value for name, value in given.items() if name in choices and (value is None or is_dataclass(value))}
    return replace(built(kind, {name: value for name, value in given.items() if name not in objects}, str), **objects)


def refuse_unknown(kind: Any, options: Iterable[str]) -> None:
    """Raises InputError for an option that a command's Config has not, with ours for one of TRL's or verl's, else the nearest."""
    known = flat_options(kind).keys() | choices_of(kind).keys()
    if unknown := next((name for name in options if name not in known), None):
        if theirs := here(unknown, known) or trainer_argument(unknown):
            raise InputError(re.sub(r"--([a-z][a-z-]*)", lambda found: found[1].replace("-", "_"), theirs))  # as Python writes them
        raise InputError(f"there is no option {unknown!r}" + (did_you_mean(unknown, known) or f"; there are {', '.join(sorted(known))}"))


def data_file(rows: Any, run: Path, what: str, *, overwrite: bool = False) -> str:
    """A place as it is; rows are written beside the run, so that it can be resumed, and says what it learnt from.

    Raises InputError for rows that JSON cannot hold, and, unless `overwrite`, where other rows are there: an earlier run's, or anybody's.
    """
    if isinstance(rows, str | Path):
        return str(rows)
    path = run.resolve().with_name(f"{run.resolve().name}-{what}.jsonl")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary, temporary.open("w", encoding="ascii") as file:
        for number, row in enumerate(rows):
            try:
                file.write((problem_line(row) if isinstance(row, Problem) else json.dumps(dict(row))) + "\n")
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"row {number} of {what} is nothing that JSON can hold ({error}); give dicts of text and numbers"
                ) from error
        file.close()
        if not overwrite and path.exists() and not (path.is_file() and filecmp.cmp(path, temporary, shallow=False)):
            raise InputError(
                f"{path} holds other rows than those given, and a run that learnt from them could not go on; choose another run=, or say "
                "overwrite=True"
            )
    return str(path)


def given_problems(problems: Any, reward: Reward | None, held_out: Any = ()) -> tuple[Given, dict[str, Any]]:
    """(the objects, the options that say the rest): functions judge where they are, names go to the worker pool."""
    functions = _functions(reward)
    if not (isinstance(problems, str | Path) or (problems := list(problems))):
        raise InputError("problems holds none; give at least one")
    taken, unseen = (_problems(rows, checked=not functions) for rows in (problems, held_out))
    if functions:
        return Given(taken, unseen, verify_by(functions)), {}
    names = () if reward is None else (reward,) if isinstance(reward, str) else tuple(map(str, reward))  # type: ignore[arg-type]
    return Given(taken, unseen), {"reward": names}


def _functions(reward: Reward | None) -> list[Callable[..., Any]]:
    if reward is None or isinstance(reward, str):
        return []
    given = [reward] if callable(reward) else list(reward)
    functions = [each for each in given if callable(each)]
    if functions and len(functions) < len(given):
        raise InputError("rewards are either all functions or all names: functions run in this program, names in worker processes")
    return functions


def _problems(rows: Any, *, checked: bool) -> list[Problem]:
    """Of problems, or of rows with a prompt and an answer; `checked`: the answer is what a verifier compares with, so it is needed."""
    if isinstance(rows, str | Path):
        from recipes.setup.problem_source import load_problems

        return load_problems(str(rows))
    listed = list(rows)
    if all(isinstance(row, Problem) for row in listed):
        return listed
    with_answers = [dict(row) for row in listed]
    if checked or all(map(has_answer, with_answers)):
        return list(problems_of(((f"row {number}", row) for number, row in enumerate(with_answers)), source="problems"))
    return [_prompt_alone(row, number) for number, row in enumerate(with_answers)]  # all of them: what differs may be what a closure reads


def _prompt_alone(row: dict[str, Any], number: int) -> Problem:
    try:
        found = row_reader(answered=False)(row)
    except InputError as error:
        raise InputError(f"problems, row {number}: {error}") from None
    assert isinstance(found, Problem)
    return found


def has_answer(row: Any) -> bool:
    """Whether a row, or a problem, has what a verifier compares with."""
    return isinstance(row, Problem) or any(name in row for name in ("answer", "gold", "solution"))
