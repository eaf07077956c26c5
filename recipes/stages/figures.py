"""What a chain ends with: its stages beside each other, as a table and a picture of held-out accuracies with their intervals."""

import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recipes.selection.stored_responses import store_files, stored_responses
from verifiers.atomic_files import atomic_path
from verifiers.rewards.load_reward import load

MEASURE = "right of held-out problems"
Row = Mapping[str, Any]
"""`accuracy`, `low`, `high` as fractions, and what else the table shows."""


def shares_of(store: Path, rewards: Mapping[str, str]) -> dict[str, float]:
    """What verifiers of the text alone say of the responses of a store, each the mean of its scores. They judge in this process."""
    responses = [response for _, group in stored_responses(store_files([store])) for response in group]
    judges = {name: load(reward) for name, reward in rewards.items()}
    scores = {name: [judge(response.problem, response.text).score or 0.0 for response in responses] for name, judge in judges.items()}
    return {name: round(statistics.fmean(found), 4) for name, found in scores.items()}


def write_comparison(rows: Mapping[str, Row], folder: Path, *, columns: Sequence[str] = (), measure: str = MEASURE) -> None:
    """`comparison.md` and `comparison.svg`, and the table for the reader's eyes. `columns`: further numbers that the table shows."""
    table = markdown(rows, columns, measure)
    with atomic_path(folder / "comparison.md") as temporary:
        temporary.write_text(table, encoding="utf-8")
    draw(rows, folder / "comparison.svg", measure)
    print(table, end="", file=sys.stderr)


def markdown(rows: Mapping[str, Row], columns: Sequence[str] = (), measure: str = MEASURE) -> str:
    """A line for each method."""
    heads = ["", measure, "95 %", *columns]
    lines = [heads, ["---"] * len(heads)]
    for name, row in rows.items():
        said = [_said(row.get(column)) for column in columns]
        lines.append([name, f"{row['accuracy']:.1%}", f"{row['low']:.1%} to {row['high']:.1%}", *said])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _said(value: Any) -> str:
    return "" if value is None else f"{value:.1%}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def draw(rows: Mapping[str, Row], path: Path, measure: str = MEASURE) -> None:
    """An SVG: a line for each method, its accuracy a point, its interval a bar."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    with mpl.rc_context({"svg.hashsalt": "chain", "svg.fonttype": "none"}):  # the same bytes for the same numbers; text as text
        figure, axes = plt.subplots(figsize=(6.4, 0.8 + 0.34 * len(rows)), layout="constrained")
        for place, row in enumerate(rows.values()):
            axes.plot([100 * row["low"], 100 * row["high"]], [place, place], color="#1f4e8c", linewidth=2, alpha=0.5)
            axes.plot([100 * row["accuracy"]], [place], "o", color="#1f4e8c", markersize=5)
        axes.set_yticks(range(len(rows)), list(rows))
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.set_xlabel(f"{measure}, %")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", alpha=0.25)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})
        plt.close(figure)
