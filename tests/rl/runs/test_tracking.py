"""A run at a tracker: the names that it is given, and that a resumed run is the same run there."""

import os
from pathlib import Path

import pytest

from recipes import grpo_math
from recipes.setup.choices import TensorBoard, Trackio, WandB
from recipes.setup.command_line import parse_options
from recipes.setup.online import service_of
from rl.runs.tracking import Service, Tracker
from verifiers.input_error import InputError


def live(folder: Path, service: Service, *steps: int) -> None:
    """One life of a run."""
    tracker = Tracker(folder / "metrics.jsonl", steps=9, name="grpo", tracker=service, config={"lr": 0.1})
    tracker.console.quiet = True
    with tracker:
        for step in steps:
            tracker.step(step, {"reward": step / 10})


def test_tensorboard_goes_on_under_the_name_that_was_given(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    live(tmp_path, Service("tensorboard", "mine"), 1, 2)
    live(tmp_path, Service("tensorboard", "mine"), 3)
    events = EventAccumulator(str(tmp_path / "tensorboard" / "mine"))
    events.Reload()
    assert [(e.step, round(e.value, 3)) for e in events.Scalars("reward")] == [(1, 0.1), (2, 0.2), (3, 0.3)]


def test_wandb_knows_a_resumed_run_by_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    lives = []
    for run in ("a", "a", "b"):
        (tmp_path / run).mkdir(exist_ok=True)
        live(tmp_path / run, Service("wandb", project="p"), len(lives) + 1)
        written = {name for name in os.listdir(tmp_path / run / "wandb") if name.startswith("offline-run-")}
        lives.append({name.rsplit("-", 1)[1] for name in written})
    assert len(lives[0]) == 1
    assert lives[1] == lives[0]
    assert lives[2] != lives[0]


@pytest.mark.parametrize(
    ("words", "track", "service"),
    [
        ([], None, None),
        (["--track", "tensorboard"], TensorBoard(), Service("tensorboard")),
        (["--track", "wandb", "--project", "p", "--run-name", "n"], WandB(project="p", run_name="n"), Service("wandb", "n", "p")),
        (["--track", "trackio", "--project", "p"], Trackio(project="p"), Service("trackio", None, "p")),
    ],
)
def test_the_options_say_which_and_under_which_names(words: list[str], track: object, service: Service | None) -> None:
    config = parse_options(grpo_math.Config, words, name="x")
    assert config.track == track
    assert service_of(config) == service


def test_a_project_is_none_of_tensorboards() -> None:
    with pytest.raises(InputError, match=r"--project would be ignored with --track tensorboard; .* use --track wandb or trackio"):
        parse_options(grpo_math.Config, ["--track", "tensorboard", "--project", "p"], name="x")
