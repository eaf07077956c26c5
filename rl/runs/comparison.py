"""Runs of several methods beside each other: held-out accuracy against steps, sampled tokens and seconds.

Runs of one label are one method with several seeds. Everything is read from what the runs wrote; nothing is measured again here.
"""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rl.runs.report import is_number
from rl.runs.run_folder import read_lines
from verifiers.atomic_files import atomic_path, read_file
from verifiers.input_error import InputError

STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
"""Student's t for a two-sided 95 % interval with 1, 2, ... degrees of freedom."""
AXES = {"steps": "steps", "tokens": "sampled tokens", "seconds": "seconds"}


@dataclass(frozen=True)
class Point:
    """A held-out accuracy with its own interval, and what had been spent by then."""

    steps: int
    tokens: float
    seconds: float
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """One run of one method."""

    label: str
    run: Path
    points: tuple[Point, ...]
    spent: Point | None = None
    """Of a run that measured no accuracy: what it spent in all; its accuracy is nobody's word yet."""
    data: str | None = None
    """Changes with the problems that it trained on; None where the run does not say."""


def read_curve(run: Path, label: str | None = None) -> Curve:
    """What a run has to say. Raises InputError where there is no run, or none that has done a step."""
    config, rows = _config(run), read_lines(run / "metrics.jsonl")
    if len(rows) < 2:
        raise InputError(f"{run} has no finished step yet; there is nothing to compare")
    points, tokens, seconds = [], 0.0, 0.0
    for row in rows:
        tokens += _sampled(row, config["options"].get("completions_per_problem"))
        seconds += row["time/step"] if is_number(row.get("time/step")) else 0.0
        if all(is_number(row.get(f"eval/{name}")) for name in ("accuracy", "low", "high")):
            points.append(Point(row["step"], tokens, seconds, row["eval/accuracy"], row["eval/low"], row["eval/high"]))
    spent = None if points else Point(rows[-1]["step"], tokens, seconds, float("nan"), float("nan"), float("nan"))
    return Curve(label or method_of(config, run), run, tuple(points), spent, config.get("fingerprint"))


def _config(run: Path) -> dict[str, Any]:
    if not (run / "config.json").exists():
        raise InputError(f"{run}: no run is there (config.json is missing); give the folder that a command printed")
    try:
        config = json.loads(read_file(run / "config.json"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{run}/config.json cannot be read ({error}); restore it") from error
    if not isinstance(config, dict) or not isinstance(config.get("options"), dict):
        raise InputError(f"{run}/config.json holds no options; restore it")
    return config


def _sampled(row: Mapping[str, Any], group: Any) -> float:
    """Tokens that the policy sampled in a step, those of groups of so many completions that dynamic sampling replaced among them."""
    if not all(is_number(row.get(name)) for name in ("length", "completions")):
        return 0.0
    replaced = row["groups_replaced"] * group if is_number(group) and is_number(row.get("groups_replaced")) else 0.0
    return float(row["length"] * (row["completions"] + replaced))


def method_of(config: Mapping[str, Any], run: Path) -> str:
    """What to call a run that was given no name: its algorithm, with its critic and its rounds; else its folder."""
    algorithm = config["options"].get("algorithm")
    if not isinstance(algorithm, dict):
        return run.name
    critic = algorithm.get("critic")
    critic = critic.get("name") if isinstance(critic, dict) else None
    name = algorithm.get("name", "ppo" if critic else None)  # `reckon ppo` has one algorithm, which needs no name there
    if not isinstance(name, str):
        return run.name
    rounds = config["options"].get("rounds")  # of WARP, and of GRPO by a reward model that learns on
    return ", ".join([name, *([critic] if critic else []), *([f"{rounds} rounds"] if rounds else [])])


@dataclass(frozen=True)
class Summary:
    """One method's row of the table."""

    label: str
    seeds: int
    before: float
    after: float
    low: float
    high: float
    """95 %: over seeds (Student's t of their means) where there are several, else over problems (Wilson)."""
    steps: float
    tokens: float
    seconds: float


def summarised(curves: Sequence[Curve]) -> list[Summary]:
    """A row for each label, in the order in which they come. Every curve must have points."""
    rows = []
    for label in dict.fromkeys(curve.label for curve in curves):
        own = [curve.points for curve in curves if curve.label == label]
        last = [points[-1] for points in own]
        after = [point.accuracy for point in last]
        low, high = _interval(after) if len(after) > 1 else (last[0].low, last[0].high)
        mean = statistics.fmean
        rows.append(
            Summary(
                label, len(own), mean(points[0].accuracy for points in own), mean(after), low, high, mean(point.steps for point in last),
                mean(point.tokens for point in last), mean(point.seconds for point in last),
            )
        )  # fmt: skip
    return rows


def _interval(values: Sequence[float]) -> tuple[float, float]:
    """Of the mean of several seeds."""
    t = STUDENT[len(values) - 2] if len(values) - 2 < len(STUDENT) else 1.96
    half = t * statistics.stdev(values) / len(values) ** 0.5
    mean = statistics.fmean(values)
    return max(0.0, mean - half), min(1.0, mean + half)


def markdown(rows: Sequence[Summary]) -> str:
    """The table."""
    lines = ["| method | seeds | before | after | 95 % | steps | sampled tokens | seconds |", "|---|---|---|---|---|---|---|---|"]
    lines += [
        f"| {row.label} | {row.seeds} | {row.before:.1%} | {row.after:.1%} | {row.low:.1%} to {row.high:.1%} | {row.steps:,.0f} "
        f"| {row.tokens:,.0f} | {row.seconds:,.0f} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def draw(curves: Sequence[Curve], path: Path) -> None:
    """An SVG of three panels: a line a method, the mean of its seeds, each seed thin behind it."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    with mpl.rc_context({"svg.hashsalt": "comparison", "svg.fonttype": "none"}):  # the same bytes for the same numbers
        figure, panels = plt.subplots(1, len(AXES), figsize=(13, 4.2), sharey=True, layout="constrained")
        colours = [f"C{n}" for n in range(10)]
        for (name, title), axes in zip(AXES.items(), panels, strict=True):
            for n, label in enumerate(dict.fromkeys(curve.label for curve in curves)):
                _draw_label(axes, [curve for curve in curves if curve.label == label], name, colours[n % 10], label)
            axes.set_xlabel(title)
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)
        panels[0].set_ylim(0, 1)
        panels[0].set_ylabel("right of held-out problems")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})
        plt.close(figure)


def _draw_label(axes: Any, curves: Sequence[Curve], name: str, colour: str, label: str) -> None:
    shown = label.replace("$", r"\$")
    shown = f" {shown}" if shown.startswith("_") else shown  # matplotlib hides a label that begins with one
    same = len({len(curve.points) for curve in curves}) == 1
    for curve in curves:
        xs, ys = [getattr(point, name) for point in curve.points], [point.accuracy for point in curve.points]
        alone = len(curves) == 1
        axes.plot(xs, ys, color=colour, linewidth=1.8 if alone else 0.6, alpha=1 if alone else 0.4, label=shown if alone else None)
        axes.errorbar(
            xs[-1:], ys[-1:], _bars(curve.points[-1]), color=colour, marker="o", markersize=4, capsize=2, alpha=1 if alone else 0.4
        )
    if len(curves) > 1 and same:
        steps = list(zip(*(curve.points for curve in curves), strict=True))
        xs = [statistics.fmean(getattr(point, name) for point in each) for each in steps]
        axes.plot(xs, [statistics.fmean(point.accuracy for point in each) for each in steps], color=colour, linewidth=1.8, label=shown)
    elif len(curves) > 1:  # seeds that looked at themselves at other steps have no mean curve
        axes.plot([], [], color=colour, label=shown)


def _bars(point: Point) -> list[list[float]]:
    return [[max(0.0, point.accuracy - point.low)], [max(0.0, point.high - point.accuracy)]]
