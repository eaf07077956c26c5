"""The small parts of a run: schedule, seeds, intervals, the rollout store, the report."""

import json
import math
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rl.evaluation.accuracy import Accuracy, evaluation_metrics
from rl.learning.schedule import Schedule
from rl.loop.seeds import Shuffled, derive_seed, reseed
from rl.runs.report import plot_run
from rl.runs.run_folder import RunFolder, append_line
from rollout.engine import Completion
from rollout.player import Group
from rollout.store import RolloutStore
from verifiers.atomic_files import atomic_path
from verifiers.problem import make_problem
from verifiers.verdict import Status, StepScore, Verdict, right


def test_warm_up_then_constant_or_cosine() -> None:
    constant = Schedule(1.0, steps=10, warmup=4)
    assert [constant(step) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    cosine = Schedule(1.0, steps=12, warmup=2, shape="cosine", floor=0.1)
    assert cosine(1) == 1.0
    assert cosine(6) == pytest.approx(0.1 + 0.9 * 0.5)  # half way
    assert cosine(11) == pytest.approx(0.1)


def test_epochs_are_permutations_and_positions_do_not_depend_on_history() -> None:
    stream = Shuffled(7, seed=3)
    epochs = [[stream[epoch * 7 + i] for i in range(7)] for epoch in range(3)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert epochs[0] != epochs[1]
    assert Shuffled(7, seed=3)[17] == epochs[2][3]


def test_seeds_depend_on_every_part_of_the_place() -> None:
    import torch

    assert len({derive_seed(s, "a", i) for s in range(3) for i in range(3)} | {derive_seed(0, "b", 0)}) == 10
    reseed(1, "x", 2)
    drawn = (random.random(), torch.rand(1).item())
    reseed(1, "x", 2)
    assert (random.random(), torch.rand(1).item()) == drawn


@pytest.mark.parametrize(("right_", "total", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (490, 500, 0.9636, 0.9891)])
def test_wilson_interval(right_: int, total: int, low: float, high: float) -> None:
    """Numbers from published tables and R's prop.test(correct = FALSE)."""
    assert Accuracy(right_, total).interval == pytest.approx((low, high), abs=1e-4)


def group(score: float | None = 1.0, response: str = "r") -> Group:
    status = Status.TIMEOUT if score is None else Status.RIGHT
    completions = (Completion([1, 2], [-0.1, -math.pi], [True, False], "stop", 3), Completion([4], [-1e-9], [True], "length", 3))
    verdicts = (Verdict(score, status, "why", {"a": 0.1}, (StepScore(3, 0.5),)), right())
    return Group(make_problem("p", "a"), [7, 8], completions, (response, "s"), verdicts)


@pytest.mark.parametrize("total", range(1, 60))
def test_an_interval_holds_its_own_value(total: int) -> None:
    """By rounding, that of 0 of 3 began a little above 0, and the report's error bars were negative."""
    for right_ in range(total + 1):
        low, high = Accuracy(right_, total).interval
        assert 0 <= low <= right_ / total <= high <= 1


def test_rollouts_come_back_to_the_bit(tmp_path: Path) -> None:
    store = RolloutStore(tmp_path)
    groups, replaced = [group(), group(None)], [group(1 / 3)]
    store.write(4, groups, cursor=9, replaced=replaced)
    problems = {groups[0].problem.id: groups[0].problem}
    assert store.read(4, problems) == (groups, replaced, 9)
    assert store.read(5, problems) is None


def test_a_lone_surrogate_does_not_stop_the_store(tmp_path: Path) -> None:
    store = RolloutStore(tmp_path)
    store.write(1, [group(response="\ud800x")], cursor=0)
    found = store.read(1, {group().problem.id: group().problem})
    assert found
    assert found[0][0].responses[0] == "?x"


def test_an_atomic_write_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("new, half")
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        fail()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_plot_is_a_picture_twice_and_its_numbers(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run<b>", {"options": {}})
    append_line(run.metrics_path, {"step": 0, "eval/accuracy": 0.25, "eval/low": 0.1, "eval/high": 0.5})
    append_line(run.metrics_path, {"step": 1, **NUMBERS, "reward/=1+1": 0.125, "sampler_kl": None})
    plots = plot_run(run.metrics_path, run.plots)
    assert [path.name for path in plots] == [f"{name}.png" for name in ("accuracy", "reward", "length", "entropy", "kl", "groups")]
    assert {path.name for path in run.plots.iterdir()} == {f"{path.stem}.{kind}" for path in plots for kind in ("png", "svg", "csv")}
    assert (run.plots / "accuracy.csv").read_text().splitlines() == [
        "step,accuracy,accuracy_low,accuracy_high,eval/accuracy,eval/low,eval/high", "0,,,,0.25,0.1,0.5", "1,0.5,0.4,0.6,,,",
    ]  # fmt: skip
    assert (run.plots / "reward.csv").read_text().splitlines() == ["step,reward,reward_std,reward/=1+1", "1,0.5,0.1,0.125"]
    assert (run.plots / "kl.csv").read_text() == "step\n", "what was not finite is no number"
    before = {path.name: path.read_bytes() for path in run.plots.iterdir()}
    plot_run(run.metrics_path, run.plots)
    assert before == {path.name: path.read_bytes() for path in run.plots.iterdir()}
    assert json.loads((run.path / "manifest.json").read_text())["status"] == "running"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_threads_that_write_one_path_do_not_collide(tmp_path: Path, kind: str) -> None:
    """Each writes 30 times; what is there in the end is one thread's, and whole."""
    path, together = tmp_path / "it", threading.Barrier(4)

    def write(thread: int) -> None:
        together.wait()
        for _ in range(30):
            with atomic_path(path) as temporary:
                if kind == "folder":
                    temporary.mkdir()
                for part in range(3):
                    target = temporary / str(part) if kind == "folder" else temporary
                    with target.open("a") as file:
                        file.write(f"{thread}" * 1000)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(4)))
    found = [part.read_text() for part in sorted(path.iterdir())] if kind == "folder" else [path.read_text()]
    assert len(found) == (3 if kind == "folder" else 1)
    assert "".join(found) in {str(thread) * 3000 for thread in range(4)}
    assert [p.name for p in tmp_path.iterdir()] == ["it"]


def test_a_link_to_a_folder_is_replaced_and_its_target_kept(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to("kept")
    with atomic_path(tmp_path / "link") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link").read_text() == "new"
    assert (tmp_path / "kept").is_dir()


NUMBERS = {"reward": 0.5, "reward_std": 0.1, "accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6, "length": 2, "length_max": 3,
           "entropy": 1.0, "entropy_trained": 1.0, "sampler_kl": 1e-9, "groups_mixed": 1.0, "groups_all_right": 0.0,
           "groups_all_wrong": 0.0, "groups_equal": 0.0, "groups_no_verdict": 0.0}  # fmt: skip
NAMES = [r"$\frac{$", "a$b$c", "$", r"\$x$", "_hidden", "two\nlines", "\x00", "\ud800", "^_{", "x" * 500]


def test_plots_survive_names_that_are_no_formulas(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", {"options": {"reward": NAMES}})
    for step in (1, 2):
        append_line(run.metrics_path, {"step": step, **NUMBERS, **{f"reward/{name}": 0.5 for name in NAMES}})
    assert len(plot_run(run.metrics_path, run.plots)) == 6


def test_every_evaluation_set_is_drawn_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.axes import Axes

    drawn: dict[str, list[float]] = {}

    def errorbar(axes: Axes, steps: list[int], value: list[float], errors: Any, **style: Any) -> None:
        drawn[style["label"]] = value

    monkeypatch.setattr(Axes, "errorbar", errorbar)
    run = RunFolder.create(tmp_path / "run", {"options": {}})
    run.rollouts.write(1, [group()], cursor=1)
    for step, solved in enumerate((1, 3)):
        sets = {"": Accuracy(solved, 4, 0), "hard": Accuracy(solved, 8, 0), r"$\frac{$": Accuracy(4 - solved, 4, 0)}
        append_line(run.metrics_path, {"step": step, **NUMBERS, **evaluation_metrics(sets)})
    plot_run(run.metrics_path, run.plots)
    assert list(drawn.values()) == [[0.25, 0.75], [0.75, 0.25], [0.125, 0.375]]
    assert [label for label in drawn if "hard" in label or "held-out" in label] == [
        "greedy, held-out (95 % interval)", "greedy, hard (95 % interval)"
    ]  # fmt: skip
    assert "eval/hard/accuracy,eval/hard/low,eval/hard/high" in (run.plots / "accuracy.csv").read_text()


@pytest.mark.parametrize("which", ["all", "one"])
def test_plots_survive_nulls_and_what_is_no_number(which: str, tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", {"options": {}})
    run.rollouts.write(1, [group()], cursor=1)
    for step, value in enumerate([None, "text", [1], True, float("nan"), float("inf")], 1):
        numbers = NUMBERS | (dict.fromkeys(NUMBERS, value) if which == "all" else {"reward": value})
        append_line(run.metrics_path, {"step": step, **numbers, "eval/accuracy": value, "eval/low": 0.0, "eval/high": 1.0})
    assert len(plot_run(run.metrics_path, run.plots)) == 6
