"""`reckon compare RUN...`: runs of several methods beside each other, as one table and one picture.

    reckon compare runs/grpo runs/ppo --out comparison
    reckon compare grpo=runs/grpo-0 grpo=runs/grpo-1 ppo=runs/ppo-0 ppo=runs/ppo-1 sft=runs/sft --judge test.jsonl

Accuracy against steps, sampled tokens and seconds; runs of one name are seeds of one method. A run that measured no accuracy of its own
(sft, dpo, ...) is asked with `--judge`: its start and what it learnt then answer those problems, greedily.
"""

import dataclasses
import math
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from recipes.setup.resuming import stored_run
from recipes.spelling.result_line import tell_result
from verifiers.atomic_files import atomic_path, write_json
from verifiers.input_error import InputError

if TYPE_CHECKING:
    from rl.runs.comparison import Curve, Summary


@dataclass(frozen=True)
class Config:
    """Runs of several methods beside each other: accuracy against steps, tokens and seconds."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Folders of runs, or NAME=FOLDER; runs of one name are seeds of one method."""
    out: Path = Path("comparison")
    """Folder for comparison.json, comparison.md, comparison.svg, and what --judge sampled."""
    judge: str | None = None
    """JSONL file of problems that the start and the result of every run answer which measured no accuracy of its own."""
    max_completion_length: int = 1024
    """Tokens of an answer at most, with --judge."""


def run(config: Config) -> int:
    """Writes the files and prints the table. Raises InputError for what cannot be compared."""
    from rl.runs.comparison import draw, markdown, read_curve, summarised

    if not config.runs:
        raise InputError("no run is given; reckon compare RUN... takes the folders of runs")
    curves = [read_curve(Path(place).resolve(), label) for label, place in map(_named, config.runs)]
    silent = [curve for curve in curves if not curve.points]
    if silent and config.judge is None:
        raise InputError(
            f"{silent[0].run} measured no held-out accuracy{f' (nor did {len(silent) - 1} more)' if len(silent) > 1 else ''}; "
            "give --judge FILE with problems to ask it"
        )
    if len({curve.data for curve in curves if curve.data}) > 1:
        print("these runs trained on different problems: what differs between them is not the method alone", file=sys.stderr)
    if config.judge is not None:
        curves = [curve if curve.points else _judged(config, curve, n) for n, curve in enumerate(curves)]
    rows = summarised(curves)
    config.out.mkdir(parents=True, exist_ok=True)
    table = markdown(rows)
    _write(config.out / "comparison.md", table)
    write_json(config.out / "comparison.json", _as_json(rows, curves), indent=1)
    draw(curves, config.out / "comparison.svg")
    print(table, end="")
    tell_result(_as_json(rows, curves), only_json=True)
    print(f"{config.out / 'comparison.svg'}, .md, .json", file=sys.stderr)
    return 0


def _named(given: str) -> tuple[str | None, str]:
    """(name, folder) of NAME=FOLDER; a folder that is there may have an equals sign in its name."""
    name, sign, place = given.partition("=")
    return (name, place) if sign and name and not Path(given).exists() else (None, given)


def _judged(config: Config, curve: "Curve", number: int) -> "Curve":
    """With the accuracy of what the run began as, and of what it left."""
    from rl.runs.comparison import Point

    spent = curve.spent
    assert spent is not None
    options = stored_run(curve.run)["options"]
    start = str(options.get("model") or "")
    if not start:
        raise InputError(f"{curve.run} does not say which model it began with; leave it out, or give a run that measured its accuracy")
    points = []
    for name, place in (("start", start), ("final", str(curve.run))):
        found = _asked(config, options, place, config.out / "judged" / f"{number}-{name}")
        low, high = found.interval
        so_far = spent if name == "final" else Point(0, 0.0, 0.0, math.nan, math.nan, math.nan)
        points.append(replace(so_far, accuracy=found.value, low=low, high=high))
    return replace(curve, points=tuple(points), spent=None)


def _asked(config: Config, options: dict[str, Any], model: str, folder: Path) -> Any:
    """Greedy accuracy of a model on the problems, spoken to as a run of these options spoke; what it said is kept in `folder`."""
    from recipes.training import sample
    from rl.evaluation.accuracy import accuracy

    own = {name: options[name] for name in ("system_prompt", "prefill", "chat_template") if options.get(name) is not None}
    own["template_arg"] = tuple(options.get("template_arg") or ())
    asked = sample.Config(
        model=model, data=str(config.judge), run=folder, temperature=0.0, completions_per_problem=1, overwrite=True,
        max_completion_length=config.max_completion_length, **own,
    )  # fmt: skip
    groups: list[Any] = []
    with redirect_stdout(sys.stderr):  # what is printed here is the table
        sample.sample(sample.resolve(asked), hand_over=groups.extend)
    return accuracy(groups)


def _as_json(rows: "list[Summary]", curves: "list[Curve]") -> dict[str, Any]:
    return {
        "methods": [dataclasses.asdict(row) for row in rows],
        "runs": [
            {"label": curve.label, "run": str(curve.run), "points": [dataclasses.asdict(point) for point in curve.points]}
            for curve in curves
        ],
    }


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
