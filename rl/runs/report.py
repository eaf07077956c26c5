"""A run as pictures: one a question, from metrics.jsonl alone, so that any run can be drawn at any time.

Each is a PNG, the same as SVG, and the numbers that were drawn as CSV, to be drawn otherwise.
"""

import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rl.runs.run_folder import read_lines
from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError

Rows = Sequence[dict[str, Any]]


class _Drawn(list[dict[str, Any]]):
    """The rows of a run, which note what of them a plot asks for."""

    def __init__(self, rows: Rows):
        super().__init__(rows)
        self.keys: dict[str, None] = {}


def plot_run(metrics_path: Path, folder: Path) -> list[Path]:
    """Write the plots of a run, each as NAME.png, NAME.svg and NAME.csv; the PNGs. Raises InputError where nothing was logged yet."""
    rows = read_lines(metrics_path)
    if not rows:
        raise InputError(f"{metrics_path} holds no finished step yet; nothing to plot")
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "reckon"  # the same run gives the same bytes
    from matplotlib import pyplot as plt

    written = []
    for name, draw in _plots_of(rows).items():
        figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
        draw(axes, drawn := _Drawn(rows))
        axes.set_xlabel(axes.get_xlabel() or "step")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            figure.legend(loc="outside lower center", ncols=3, frameon=False)
        for kind, settings in _KINDS.items():
            with atomic_path(folder / f"{name}.{kind}") as temporary:
                figure.savefig(temporary, format=kind, **settings)
        with atomic_path(folder / f"{name}.csv") as temporary:
            temporary.write_text(_as_csv(drawn), encoding="utf-8", errors="replace", newline="")
        plt.close(figure)
        written.append(folder / f"{name}.png")
    return written


def _series_of(rows: Rows, *keys: str) -> list[list[float]]:
    """[steps, key 1, key 2, ...] over the rows that hold a number for all the keys (JSON's null is what was not finite)."""
    if isinstance(rows, _Drawn):
        rows.keys |= dict.fromkeys(keys)
    held = [row for row in rows if all(is_number(row.get(key)) for key in keys)]
    return [[row["step"] for row in held], *([row[key] for row in held] for key in keys)]


def _as_csv(drawn: _Drawn) -> str:
    """A line for each step that has any of the numbers that were drawn."""
    keys = [key for key in drawn.keys if any(is_number(row.get(key)) for row in drawn)]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["step", *keys])
    for row in drawn:
        if any(is_number(row.get(key)) for key in keys):
            table.writerow([row["step"], *(row[key] if is_number(row.get(key)) else "" for key in keys)])
    return text.getvalue()


def is_number(value: Any) -> bool:
    """A finite number that a float can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < sys.float_info.max


def _plots_of(rows: Rows) -> dict[str, Any]:
    holds = {"preferences": "rewards/chosen", "judgement": "eval/auc", "reliability": "eval/ece", "critic": "critic/value"}
    plots = _OFFLINE_PLOTS if is_offline(rows) else _PLOTS
    return {name: draw for name, draw in plots.items() if name not in holds or any(holds[name] in row for row in rows)}


def is_offline(rows: Rows) -> bool:
    """Whether a run samples nothing: it has a loss, and no reward."""
    return any("loss" in row and "reward" not in row for row in rows)


_KINDS: dict[str, dict[str, Any]] = {"png": {"dpi": 120}, "svg": {"metadata": {"Date": None}}}
_SET_COLOURS = ("#b5382a", "#2c7a3f", "#6a4c93", "#c98a1b", "#222222", "#1b7f8c")


def evaluated_sets(rows: Rows) -> dict[str, str]:
    """Keys of the accuracies on problems that are only looked at -> the names of their sets; "" for that without a name, which is first."""
    found = {key for row in rows for key in row if key.startswith("eval/") and key.endswith("/accuracy")}
    keys = sorted(found, key=lambda key: (key != "eval/accuracy", key))
    return {key: key.removeprefix("eval/").removesuffix("accuracy").removesuffix("/") for key in keys}


def _plain_label(name: str) -> str:
    """A name for matplotlib to show as it is: not as a formula, which a pair of dollars would be, and without what no font has."""
    shown = "".join(character if character.isprintable() else "\ufffd" for character in name[:60]).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown  # it would leave out a label with an underscore in front


def _draw_accuracy(axes: Any, rows: Rows) -> None:
    steps, value, low, high = _series_of(rows, "accuracy", "accuracy_low", "accuracy_high")
    axes.plot(steps, value, color="#7a9cc6", linewidth=1, label="sampled, training problems")
    axes.fill_between(steps, low, high, color="#7a9cc6", alpha=0.2, linewidth=0)
    for number, (key, name) in enumerate(evaluated_sets(rows).items()):
        steps, value, low, high = _series_of(rows, key, *(key.removesuffix("accuracy") + end for end in ("low", "high")))
        if not steps:
            continue
        bars = [(v, a, b) for v, a, b in zip(value, low, high, strict=True)]
        errors = [[max(0.0, v - a) for v, a, _ in bars], [max(0.0, b - v) for v, _, b in bars]]  # by rounding a little below 0
        label = _plain_label(f"greedy, {name or 'held-out'} (95 % interval)")
        axes.errorbar(steps, value, errors, color=_SET_COLOURS[number % len(_SET_COLOURS)], marker="o", capsize=3, label=label)
    axes.set_ylim(0, 1)
    axes.set_title("Accuracy")


def _draw_reward(axes: Any, rows: Rows) -> None:
    steps, mean, spread = _series_of(rows, "reward", "reward_std")
    axes.plot(steps, mean, color="#33658a", label="mean reward")
    low, high = ([m + sign * s for m, s in zip(mean, spread, strict=True)] for sign in (-1, 1))
    axes.fill_between(steps, low, high, color="#33658a", alpha=0.12, linewidth=0, label="± 1 standard deviation")
    for key in sorted({key for row in rows for key in row if key.startswith("reward/")}):
        axes.plot(*_series_of(rows, key), linewidth=1, label=_plain_label(key.removeprefix("reward/")))
    axes.set_title("Reward")


def _draw_length(axes: Any, rows: Rows) -> None:
    axes.plot(*_series_of(rows, "length"), color="#33658a", label="mean")
    axes.plot(*_series_of(rows, "length_max"), color="#33658a", linewidth=0.8, linestyle=":", label="longest")
    axes.set_title("Completion length (tokens)")
    axes.set_ylim(bottom=0)


def _draw_entropy(axes: Any, rows: Rows) -> None:
    axes.plot(*_series_of(rows, "entropy"), color="#33658a", label="all sampled tokens (-log p)")
    axes.plot(*_series_of(rows, "entropy_trained"), color="#86bbd8", linewidth=1, label="trained tokens (exact)")
    axes.set_title("Entropy (nats per token)")
    axes.set_ylim(bottom=0)


def _draw_kl(axes: Any, rows: Rows) -> None:
    for key, label, colour in (("kl_reference", "to the reference", "#33658a"), ("sampler_kl", "sampler to trainer", "#b5382a")):
        steps, values = _series_of(rows, key)
        shown = [(step, value) for step, value in zip(steps, values, strict=True) if value > 0]  # 0 where no reference is used
        if shown:
            axes.plot(*zip(*shown, strict=True), color=colour, label=label)
    axes.set_yscale("log")
    axes.set_ylim(1e-14, 10)
    axes.set_title("KL (nats per token)")


def _draw_groups(axes: Any, rows: Rows) -> None:
    keys = {"groups_mixed": "mixed: these teach", "groups_all_right": "all right", "groups_all_wrong": "all wrong",
            "groups_equal": "equal scores", "groups_no_verdict": "no verdict"}  # fmt: skip
    steps, *shares = _series_of(rows, *keys)
    axes.stackplot(steps, shares, labels=keys.values(), colors=["#86bbd8", "#9fc490", "#e0a899", "#cccccc", "#222222"])
    axes.set_ylim(0, 1)
    axes.margins(x=0)
    axes.set_title("Groups: those that teach, and the dead ones")


def _draw_critic(axes: Any, rows: Rows) -> None:
    axes.plot(*_series_of(rows, "critic/explained"), color="#2c7a3f", label="share of the returns' variance explained beforehand")
    axes.plot(*_series_of(rows, "critic/value"), color="#33658a", linewidth=1, label="mean value")
    axes.plot(*_series_of(rows, "critic/return"), color="#86bbd8", linewidth=1, label="mean return")
    axes.axhline(0, color="#222222", linewidth=0.5)
    axes.set_ylim(-1, 1.2)
    axes.set_title("Critic")


def _draw_loss(axes: Any, rows: Rows) -> None:
    axes.plot(*_series_of(rows, "loss"), color="#7a9cc6", linewidth=1, label="of each step")
    steps, values = _series_of(rows, "eval/loss")
    if steps:
        axes.plot(steps, values, color="#b5382a", marker="o", label="held out")
    axes.set_title("Loss")


def _draw_gradient(axes: Any, rows: Rows) -> None:
    axes.plot(*_series_of(rows, "grad_norm"), color="#33658a", label="norm of the gradient, before it is clipped")
    axes.set_ylim(bottom=0)
    axes.set_title("Gradient")


def _draw_preferences(axes: Any, rows: Rows) -> None:
    for key, colour in (("rewards/chosen", "#2c7a3f"), ("rewards/rejected", "#b5382a"), ("rewards/margins", "#33658a")):
        steps, values = _series_of(rows, key)
        if steps:
            axes.plot(steps, values, color=colour, label=key)
    axes.set_title("Rewards")


def _draw_judgement(axes: Any, rows: Rows) -> None:
    for key, label, colour in (("eval/accuracy", "judged right", "#b5382a"), ("eval/auc", "area under the curve", "#33658a")):
        steps, values = _series_of(rows, key)
        axes.plot(steps, values, color=colour, marker="o", label=label)
    axes.set_ylim(0, 1)
    axes.set_title("Judging what is held out")


def _draw_reliability(axes: Any, rows: Rows) -> None:
    """Of the last evaluation: what it says against what is so, by bins; the larger a dot, the more is in it."""
    row = [row for row in rows if is_number(row.get("eval/ece"))][-1]
    keys = [[f"eval/reliability/{number}/{key}" for key in ("predicted", "right", "count")] for number in range(10)]
    if isinstance(rows, _Drawn):
        rows.keys |= dict.fromkeys(key for three in keys for key in three)
    bins = [[row.get(key) for key in three] for three in keys]
    held = [each for each in bins if all(map(is_number, each))]
    total = sum(count for _, _, count in held) or 1
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle=":", label="calibrated")
    axes.plot([says for says, _, _ in held], [is_so for _, is_so, _ in held], color="#33658a", linewidth=1)
    axes.scatter([says for says, _, _ in held], [is_so for _, is_so, _ in held], [20 + 300 * count / total for _, _, count in held],
                 color="#33658a", label="held out, by bins")  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("probability that the model says")
    axes.set_title(f"Reliability at step {row['step']} (ECE {row['eval/ece']:.3f})")


_OFFLINE_PLOTS = {
    "loss": _draw_loss,
    "gradient": _draw_gradient,
    "preferences": _draw_preferences,
    "judgement": _draw_judgement,
    "reliability": _draw_reliability,
}
_PLOTS = {
    "accuracy": _draw_accuracy,
    "reward": _draw_reward,
    "length": _draw_length,
    "entropy": _draw_entropy,
    "kl": _draw_kl,
    "groups": _draw_groups,
    "critic": _draw_critic,
}
