"""The front of a merge: what policies between the start and the merged one earn, against how far they went; the single ones beside.

WARP's last stage (arXiv:2406.16768, section 3.3) has no training: each eta from 0 to 1 is a policy, and whoever uses them chooses. Each is
sampled into a store of its own (`reckon sample`), so that a front that was stopped goes on where it was, and can be looked at. Written as
front.json and front.png.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.policies.merged_policies import Average, merge_policies
from recipes.setup.model_source import find_model, status_of
from recipes.setup.problem_set import resolve_dtype
from recipes.training import sample
from recipes.training.rounds import Rounds
from rollout.progress import watched
from verifiers.atomic_files import atomic_path, read_file, remove_leftovers, write_json
from verifiers.input_error import InputError, first_line

if TYPE_CHECKING:
    from rl.learning.policy import Policy

FRONT = "front"


@dataclass(frozen=True)
class Point:
    """A policy to be measured."""

    name: str
    """Of its folder: eta-0.5, run-1."""
    model: str
    """Where its weights lie, or what is to be interpolated to."""
    eta: float | None = None
    """Where it lies between the start and `model`; None for a policy that was trained."""


def measured_front(rounds: Rounds, number: int, points: Sequence[Point], start: str, sampling: sample.Config) -> list[dict[str, Any]]:
    """Every point of a round, found or measured: reward and KL to `start` of what it samples as `sampling` says. Written and drawn."""
    place = rounds.place(number)
    remove_leftovers(place / FRONT)
    if (place / "front.json").exists():
        return _read_front(place / "front.json")
    for point in points:
        _sample(rounds, number, point, start, sampling)
    from rl.loop.drift import drift

    reference = _reference(start, sampling)
    found = []
    with watched(f"measuring the KL of {len(points)} policies to {start}"):
        for point in points:
            numbers = drift(place / FRONT / point.name / "rollouts", reference)
            found.append({"name": point.name, "eta": point.eta, **numbers.as_json()})
    draw_front(place / "front.png", found)
    write_json(place / "front.json", found, indent=1)
    return found


def _read_front(path: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(read_file(path))
        if not (isinstance(found, list) and all(isinstance(point, dict) for point in found)):
            raise ValueError("it holds no list of points")
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({first_line(error)}); delete it, and the front is measured again") from error
    return found


def _sample(rounds: Rounds, number: int, point: Point, start: str, sampling: sample.Config) -> None:
    place = rounds.place(number) / FRONT
    model, written = point.model, place / f"{point.name}-model"
    if point.eta == 0:
        model = start
    elif point.eta not in (None, 1) and status_of(place / point.name) != "done":
        if not written.exists():
            merge_policies(written, [point.model], Average(), start=start, eta=float(point.eta or 0), dtype="fp32")
        model = str(written.resolve())
    rounds.sampled(number, replace(sampling, model=model), f"{FRONT}/{point.name}")
    shutil.rmtree(written, ignore_errors=True)


def _reference(start: str, sampling: sample.Config) -> "Policy":
    from rl.learning.policy import Policy

    dtype = resolve_dtype(sampling)
    return Policy(find_model(start).load_model(dtype, lora=True), dtype=dtype)


def draw_front(path: Path, points: Sequence[dict[str, Any]]) -> None:
    """Reward against KL: the interpolations as a line, the policies that were trained beside it, with standard errors."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    line = sorted((point for point in points if point["eta"] is not None), key=lambda point: point["eta"])
    single = [point for point in points if point["eta"] is None]
    for group, style, label in ((line, "o-", "from the start to the merged policy"), (single, "s", "policies that were trained")):
        if group:
            axes.errorbar(
                [point["kl"] for point in group], [point["reward"] for point in group], [point["reward_error"] for point in group],
                [point["kl_error"] for point in group], style, capsize=2, label=label, color="#33658a" if group is line else "#b5382a",
            )  # fmt: skip
    for point in line:
        axes.annotate(f" {point['eta']:g}", (point["kl"], point["reward"]), fontsize=8, va="top")
    axes.set_xlabel("KL(policy || start), nats a completion")
    axes.set_ylabel("reward")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
    plt.close(figure)
