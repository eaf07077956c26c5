"""Which problems a model is asked, under which names, how it is spoken to, and what of them it may have been trained on."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.setup.command_line import given_options
from recipes.setup.model_source import is_run
from recipes.setup.options import absolute, from_json
from recipes.setup.problem_mixture import parts_of
from recipes.setup.resuming import stored_run
from verifiers.input_error import InputError

if TYPE_CHECKING:
    from verifiers.problem import Problem

SPEECH = ("system_prompt", "prefill", "chat_template", "template_arg", "max_completion_length", "reward")
HELD_OUT = "held-out"


def run_of(model: str) -> Path | None:
    """The run that a model comes from: its folder, a checkpoint, its `final/`; None for any other model."""
    place = Path(model).expanduser()
    if not place.is_dir():
        return None
    return next((near for near in (place.resolve(), *place.resolve().parents[:3]) if is_run(near)), None)


def as_its_run(config: Any) -> Any:
    """The options with a run's own way of speaking and judging, where they say nothing else: its figures are then the run's."""
    run = run_of(config.model)
    if run is None:
        return config
    stored, given = {"system_prompt": ""} | stored_run(run)["options"], given_options(config)  # the quickstart has no such option
    own = {name: stored[name] for name in SPEECH if stored.get(name) is not None and name not in given}
    return replace(config, **{name: tuple(value) if isinstance(value, list) else value for name, value in own.items()})


def named_places(given: Sequence[str]) -> dict[str, str]:
    """The places of --data by name, a file's own where none is given. Raises InputError for a name given twice."""
    found: dict[str, str] = {}
    for each in given:
        name, equals, place = each.partition("=")
        named = bool(equals and place) and name.replace("-", "_").isidentifier() and not Path(each).exists()
        name, place = (name, place) if named else (Path(each).name.partition(".")[0] or each, each)
        if name in found:
            raise InputError(f"--data: two sets are called {name}; name one of them, such as --data other={place}")
        found[name] = absolute(place)
    return found


def held_out_of(run: Path) -> "dict[str, list[Problem]]":
    """The problems that a run was measured by, by its names for them. Raises InputError where it does not say."""
    from recipes import grpo_math, ppo_math
    from recipes.setup.problem_mixture import by_set

    stored = stored_run(run)["options"]
    for recipe in (ppo_math, grpo_math):
        try:
            config = from_json(recipe.Config, stored, run)
        except InputError:
            continue
        held_out = grpo_math.load_data(replace(config, run=run, resume=run))[1] if config.data else []
        if held_out:
            return {name or HELD_OUT: problems for name, problems in by_set(held_out).items()}
    raise InputError(f"--data is missing, and {run} names no held-out problems of its own; give files of problems or a data set's name")


def training_files(run: Path | None, given: Sequence[str]) -> list[str]:
    """What a contamination check reads: the files that are given, else those that a run trained on and that are still there."""
    if given or run is None:
        return list(given)
    data = stored_run(run)["options"].get("data") or ()
    return [part.place for part in parts_of(data if isinstance(data, str) else tuple(data)) if Path(part.place).is_file()]


def contaminated(problems: "Sequence[Problem]", files: Sequence[str], *, kept_out: bool = False) -> "Mapping[str, str]":
    """Problem id -> where its words stand in the training data: ten of its words in a row, a shorter one whole.

    `kept_out`: the run drew these problems out of the files or left them out there, so rows that are one of them did not train.
    A problem of one or two words (`57+68=`) would stand in any text by chance: it counts where it is a paragraph.
    Raises InputError for a file that cannot be read.
    """
    from data_pipeline.cleaning.benchmark_index import Benchmarks

    index = Benchmarks([(problem.id, number, _text_of(problem)) for number, problem in enumerate(problems)])
    whole: defaultdict[str, list[str]] = defaultdict(list)
    for problem in problems:
        whole[_spaced(_text_of(problem))].append(problem.id)
    found: dict[str, str] = {}
    for place, asked, text in _training_texts(files):
        if kept_out and _spaced(asked) in whole:
            continue
        for hit in index.hits(text):
            found.setdefault(hit.benchmark, place)
        for paragraph in text.split("\n\n"):
            for problem_id in whole.get(_spaced(paragraph), ()):
                found.setdefault(problem_id, place)
    return found


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _text_of(problem: "Problem") -> str:
    return problem.prompt if isinstance(problem.prompt, str) else "\n\n".join(str(turn.get("content", "")) for turn in problem.prompt)


def _training_texts(files: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """(where, what is asked there, all that is said there) of each row."""
    from data_pipeline.cleaning.benchmark_index import CHAT_FIELDS, PROBLEM_FIELDS, row_text
    from recipes.setup.problem_source import load_rows

    for file in files:
        for place, row in load_rows(file):
            asked = next((text for field in PROBLEM_FIELDS if (text := row_text(row, [field]))), "")
            yield f"{file}, {place}", asked, row_text(row, (*PROBLEM_FIELDS, *CHAT_FIELDS, "completion", "chosen", "response"))
