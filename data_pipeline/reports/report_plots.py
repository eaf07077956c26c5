"""The pictures of a mining run, each from rows that `run_report.py` read: a PNG a picture, nothing decided here."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from verifiers.atomic_files import atomic_path

BLUE, LIGHT, GREEN, RED, GREY = "#33658a", "#86bbd8", "#6a9f58", "#c8553d", "#cccccc"
SCORE_BINS = 40
MOST_BARS = 20


def funnel(steps: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """What each step kept, and of what it dropped the largest reasons."""
    figure, axes = _new_figure(height=1 + 0.6 * len(steps))
    for place, step in enumerate(steps):
        axes.barh(place, step["out"], color=BLUE)
        left = step["out"]
        for shade, (reason, count) in enumerate(list(step["dropped"].items())[:4]):
            axes.barh(place, count, left=left, color=RED, alpha=0.85 - 0.2 * shade)
            if count > 0.08 * max(1, steps[0]["in"]):
                axes.text(left + count / 2, place, label(reason.split(": ")[-1]), ha="center", va="center", fontsize=8, color="white")
            left += count
        axes.barh(place, max(0, step["in"] - left), left=left, color=GREY)
    axes.set_yticks(range(len(steps)), [label(f"{step['step']} ({step['unit']})") for step in steps])
    axes.invert_yaxis()
    axes.set_xlabel("kept (blue), dropped by reason (red)")
    return _save_figure(figure, path)


def label(name: Any) -> str:
    """A name for matplotlib to show as it is: not as a formula, which a pair of dollars would be, and without what no font has."""
    shown = "".join(character if character.isprintable() else "\ufffd" for character in str("" if name is None else name))
    return shown.replace("$", r"\$")


def families(counts: Mapping[str, int], path: Path) -> Path:
    """Formulas by the markup that they were found in."""
    names = sorted(counts, key=lambda name: (-counts[name], name))[:MOST_BARS]
    figure, axes = _new_figure(height=1 + 0.3 * len(names))
    axes.barh([label(name) for name in names], [counts[name] for name in names], color=BLUE)
    axes.invert_yaxis()
    axes.set_xlabel("formulas in the corpus, by where they were found")
    return _save_figure(figure, path)


def scores(rounds: Mapping[int, tuple[Sequence[int], Sequence[int]]], path: Path, noun: str) -> Path:
    """Scores of all pages and of the collected ones, a panel a round. `rounds`: number -> how many in each of `SCORE_BINS` bins.

    `noun`: what is looked for.
    """
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(len(rounds), 1, figsize=(7, 1 + 1.6 * len(rounds)), sharex=True, squeeze=False, layout="constrained")
    edges = np.linspace(0, 1, SCORE_BINS + 1)
    for axes, (number, (pages, collected)) in zip(panels[:, 0], rounds.items(), strict=True):
        axes.stairs(pages, edges, fill=True, color=GREY, label="all pages")
        axes.stairs(collected, edges, fill=True, color=BLUE, label="collected")
        axes.set_yscale("symlog")
        axes.set_ylabel(f"round {number}")
    panels[0, 0].legend(loc="upper center", fontsize=8)
    panels[-1, 0].set_xlabel(f"probability of {noun}")
    return _save_figure(figure, path)


def domains(rows: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """The domains with the most collected pages: collected, and the rest."""
    shown = sorted(rows, key=lambda row: (-row["collected"], row["host"] or ""))[:MOST_BARS]
    figure, axes = _new_figure(height=1 + 0.3 * len(shown))
    names = [label((row["host"] or "")[-45:]) for row in shown]
    axes.barh(names, [row["pages"] for row in shown], color=GREY, label="pages")
    axes.barh(names, [row["collected"] for row in shown], color=BLUE, label="collected")
    axes.invert_yaxis()
    axes.legend(fontsize=8)
    axes.set_xlabel("pages")
    return _save_figure(figure, path)


def rounds(figures: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """What each round collected, and how much of it was there before."""
    figure, axes = _new_figure(height=3)
    numbers = [row["round"] for row in figures]
    axes.bar(numbers, [row["collected"] for row in figures], color=LIGHT, width=0.6)
    axes.set_xticks(numbers)
    axes.set_xlabel("round")
    axes.set_ylabel("pages collected")
    overlap = axes.twinx()
    overlap.plot(numbers, [100 * row["overlap"] for row in figures], color=RED, marker="o")
    overlap.set_ylim(0, 105)
    overlap.set_ylabel("% already collected before", color=RED)
    return _save_figure(figure, path)


def calibration(rows: Sequence[Mapping[str, Any]], path: Path, noun: str) -> Path:
    """Share of what is looked for among documents of a score, on sources not trained on; the area of a point is its documents."""
    figure, axes = _new_figure(height=3)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    filled = [row for row in rows if row["documents"]]
    sizes = [20 + 200 * row["documents"] / sum(row["documents"] for row in filled) for row in filled]
    axes.scatter([row["mean_score"] for row in filled], [row["share_positive"] for row in filled], s=sizes, color=BLUE)
    axes.set_xlabel("score, on sources that training did not see")
    axes.set_ylabel(f"share that is {noun}")
    return _save_figure(figure, path)


def _new_figure(*, height: float) -> tuple[Any, Any]:
    from matplotlib import pyplot as plt

    return plt.subplots(figsize=(7, height), layout="constrained")


def _save_figure(figure: Any, path: Path) -> Path:
    from matplotlib import pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:  # without the date and version that PNGs would carry: the same run draws the same bytes
        figure.savefig(temporary, dpi=110, format="png", metadata={"Software": None})
    plt.close(figure)
    return path
