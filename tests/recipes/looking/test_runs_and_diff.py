"""`reckon runs` and `reckon diff`: what they say is what the folders hold."""

import json
from pathlib import Path
from typing import Any

import pytest

from recipes.commands.cli import main
from rl.runs.run_folder import RunFolder, append_line


def make_run(path: Path, *, lr: float, accuracies: list[float], status: str | None = "done", **more: Any) -> RunFolder:
    options = {"algorithm": {"name": "grpo", "clip_low": 0.2}, "lr": lr, "steps": 10, "run": str(path), **more}
    run = RunFolder.create(path, {"options": options})
    for step, accuracy in enumerate(accuracies):
        append_line(
            run.metrics_path,
            {"step": step, "time/step": 2.0, "eval/accuracy": accuracy, "eval/low": accuracy - 0.1, "eval/high": accuracy + 0.1},
        )
    if status:
        run.write_manifest(status=status)
    run.close()
    return run


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main([*words]) == 0
    return capsys.readouterr().out


def test_runs_are_found_at_any_depth_with_their_best(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path / "a", lr=1e-5, accuracies=[0.1, 0.6, 0.5])
    make_run(tmp_path / "deeper" / "b", lr=1e-4, accuracies=[0.2], seed=3)
    make_run(tmp_path / "eval" / "samples", lr=1e-3, accuracies=[0.3])
    (tmp_path / "eval" / "evaluation.json").write_text("{}")
    out = said(capsys, "runs", str(tmp_path))
    first, second = (line for line in out.splitlines() if str(tmp_path) in line)
    assert "60.0% (50.0% to 70.0%) at 1" in first
    assert "50.0% (40.0% to 60.0%) at 2" in first
    assert "2/10" in first
    assert "done" in first
    assert second.split()[-2:] == ["0.0001", "3"]
    assert out.splitlines()[0].split()[-2:] == ["lr", "seed"]  # what is the same, and the folder, is no column
    found = [json.loads(line) for line in said(capsys, "runs", str(tmp_path), "--json").splitlines()]
    assert [each["best"]["accuracy"] for each in found] == [0.6, 0.2]
    assert found[1]["options"]["algorithm.clip_low"] == 0.2


def test_of_many_differences_some_are_named_and_the_others_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, other in (("a", 1), ("b", 2)):
        make_run(tmp_path / name, lr=1e-5, accuracies=[0.1], **{f"option_{n}": other for n in range(30)})
    capsys.readouterr()
    assert main(["runs", str(tmp_path)]) == 0
    said, named = capsys.readouterr().err, ", ".join(f"option_{n}" for n in range(6, 18))
    assert said == f"they differ in 24 more options: {named}, and 12 others; `reckon diff` shows those of two runs\n"


def test_of_a_run_of_rounds_the_rounds_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path / "a", lr=1e-5, accuracies=[0.1, 0.2, 0.3], rounds=3)  # of 10 steps each
    assert " 2/3 " in said(capsys, "runs", str(tmp_path))


def test_a_run_that_nobody_is_at_any_more_was_killed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "a", lr=1e-5, accuracies=[0.1], status=None)
    assert " killed " in said(capsys, "runs", str(tmp_path))
    run.lock()
    assert " running " in said(capsys, "runs", str(tmp_path))
    run.close()


def test_a_damaged_run_is_named_and_the_others_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path / "a", lr=1e-5, accuracies=[0.1])
    make_run(tmp_path / "b", lr=1e-5, accuracies=[0.1])
    (tmp_path / "a" / "config.json").write_text("[")
    assert main(["runs", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert "config.json is damaged" in shown.err
    assert str(tmp_path / "b") in shown.out
    for words in (["runs", str(tmp_path / "none")], ["runs", str(tmp_path / "b" / "plots")]):
        assert main(words) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_diff_shows_what_differs_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path / "a", lr=1e-5, accuracies=[0.1, 0.4], reward=["math_answer"])
    make_run(tmp_path / "b", lr=1e-4, accuracies=[0.1, 0.7], reward=["math_answer", "length\x1b[31m"])
    lines = {line.split("  ")[0]: line for line in said(capsys, "diff", str(tmp_path / "a"), str(tmp_path / "b")).splitlines()}
    assert set(lines) == {"", "method", "status", "step", "best", "last", "time", "lr", "reward"}
    assert "40.0%" in lines["best"]
    assert "70.0%" in lines["best"]
    assert "\x1b" not in lines["reward"]
    found = json.loads(said(capsys, "diff", str(tmp_path / "a"), str(tmp_path / "b"), "--json"))
    assert found["options"]["lr"] == [1e-5, 1e-4]
    assert main(["diff", str(tmp_path / "a"), str(tmp_path)]) == 2
