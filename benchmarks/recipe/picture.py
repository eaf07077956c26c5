"""The comparison as a picture: held-out accuracy of each method with its 95 % interval, a panel for each world."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.recipe.methods import METHODS
from verifiers.atomic_files import atomic_path

Results = Mapping[str, Mapping[str, Any]]


def draw(results: Results, path: Path) -> None:
    """Writes an SVG. A method that is missing has an empty line."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    mpl.rcParams |= {"svg.hashsalt": "recipe", "svg.fonttype": "none"}  # the same bytes for the same numbers; text as text
    names = ["start", *METHODS]
    figure, panels = plt.subplots(
        1, len(results), figsize=(2.2 + 2.4 * len(results), 3.2), sharey=True, layout="constrained", squeeze=False
    )
    for axes, (world, found) in zip(panels[0], results.items(), strict=True):
        for place, name in enumerate(names):
            _mark(axes, found.get(name, {}), place, "#8a8a8a" if name == "start" else "#1f4e8c")
        axes.axvline(100 * found["start"]["accuracy"], color="#8a8a8a", linewidth=0.8, linestyle=":")
        axes.set_title(world, fontsize=10)
        axes.set_xlim(0, 100)
        axes.set_xlabel("right of held-out problems, %", fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", alpha=0.25)
    panels[0][0].set_yticks(range(len(names)), names)
    panels[0][0].invert_yaxis()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    plt.close(figure)


def _mark(axes: Any, row: Mapping[str, Any], place: int, colour: str) -> None:
    if "accuracy" in row:
        low, high = row["ci95"]
        axes.plot([100 * low, 100 * high], [place, place], color=colour, linewidth=2, alpha=0.5)
        axes.plot([100 * row["accuracy"]], [place], "o", color=colour, markersize=5)
