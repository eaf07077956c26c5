"""Pathologies planted into real runs of the quickstart's model: each is named, with its cause; a run without one hears nothing."""

import re
from pathlib import Path
from typing import Any

import pytest

from recipes.commands.cli import main

SMALL = [
    *("--engine", "hf", "--seed", "1", "--problems", "400", "--held-out", "20", "--problems-per-step", "8"),
    *("--completions-per-problem", "8", "--workers", "1", "--warm-start", "0.3", "--eval-every", "0"),
]


def said_by(run: Path, capsys: pytest.CaptureFixture[str], *more: str) -> list[str]:
    """The alarms of a run, without their step."""
    main(["quickstart", *SMALL, "--run", str(run), *more])
    return [line.partition(": ")[2] for line in capsys.readouterr().err.splitlines() if re.match(r"step \d+: ", line)]


@pytest.mark.slow
def test_a_healthy_run_hears_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said_by(tmp_path / "run", capsys, "--steps", "14", "--kl-coef", "0.001") == []


@pytest.mark.slow
def test_a_reward_for_length_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text("def longer(problem, response):\n    return len(response) / 40\n")
    said = said_by(tmp_path / "run", capsys, "--steps", "30", "--reward", f"{tmp_path / 'mine.py'}:longer")
    assert any(re.match(r"the reward rose from .* while accuracy went from .*responses grew from", line) for line in said), said


@pytest.mark.slow
def test_a_learning_rate_a_hundred_times_too_high_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = said_by(tmp_path / "run", capsys, "--steps", "20", "--lr", "0.03", "--updates-per-rollout", "2")
    assert any("lower --lr" in line for line in said), said


@pytest.mark.slow
def test_a_broken_reference_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    from rl.learning.reference import FrozenCopy

    score = FrozenCopy.score
    monkeypatch.setattr(FrozenCopy, "score", lambda self, batch: score(self, batch) - 1.0)
    said = said_by(tmp_path / "run", capsys, "--steps", "1", "--kl-coef", "0.01")
    assert any(line.startswith("at the first step the KL to the reference was") for line in said), said
