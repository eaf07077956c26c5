"""The comparison as a picture: each method's mean over seeds with Student's interval, every seed as a small point beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from verifiers.atomic_files import atomic_path


def draw(rows: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Writes an SVG. `rows`: each method's `seeds` (accuracies) and their `mean` and `ci95`; the first is the start."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    with mpl.rc_context({"svg.hashsalt": "compare", "svg.fonttype": "none"}):  # the same bytes for the same numbers; text as text
        figure, axes = plt.subplots(figsize=(7.2, 0.6 + 0.32 * len(rows)), layout="constrained")
        for place, row in enumerate(rows.values()):
            colour = "#8a8a8a" if place == 0 else "#1f4e8c"
            if "ci95" in row:
                axes.plot([100 * end for end in row["ci95"]], [place, place], color=colour, linewidth=2, alpha=0.35)
            axes.plot([100 * each for each in row["seeds"]], [place] * len(row["seeds"]), ".", color=colour, markersize=4, alpha=0.6)
            axes.plot([100 * row["mean"]], [place], "o", color=colour, markersize=6)
            if place == 0:
                axes.axvline(100 * row["mean"], color=colour, linewidth=0.8, linestyle=":")
        axes.set_yticks(range(len(rows)), list(rows))
        axes.invert_yaxis()
        axes.set_xlabel("right of samples on held-out problems, %", fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", alpha=0.25)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})
        plt.close(figure)
