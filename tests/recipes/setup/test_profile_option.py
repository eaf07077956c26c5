"""`--profile`: a command's steps traced, with their phases, on the command line and off."""

import errno
import json
from pathlib import Path

import pytest
import torch

from recipes.commands.cli import main
from rl.measuring import profile

SMALL = ["--steps", "2", "--workers", "1", "--engine", "hf", "--problems-per-step", "2", "--completions-per-problem", "2"]


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    file = tmp_path / "problems.jsonl"
    rows = [{"prompt": f"What is {n} + 1?", "answer": str(n + 1), "verifier": "math_answer"} for n in range(4)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def phases_in(run: Path) -> set[str]:
    rows = [line.split("|")[1].strip() for line in (run / "profile" / "profile.md").read_text().splitlines() if line.startswith("| ")]
    return set(rows)


def test_an_online_step_by_phase(model_folder: Path, problems: Path, tmp_path: Path) -> None:
    (tmp_path / "chance.py").write_text("def length(problem, response):\n    return float(len(response) % 2)\n")
    words = ["grpo-math", "--model", str(model_folder), "--data", str(problems), "--run", str(tmp_path / "run"), *SMALL]
    words += ["--max-completion-length", "6", "--reward", f"{tmp_path / 'chance.py'}:length", "--kl-coef", "0.04"]
    assert main([*words, "--profile", "1"]) == 0
    assert {"sample", "verify", "score", "forward", "backward", "optimiser"} <= phases_in(tmp_path / "run")
    assert "of step 2 went" in (tmp_path / "run" / "profile" / "profile.md").read_text()


def test_an_offline_step_and_the_option_without_a_number(model_folder: Path, tmp_path: Path) -> None:
    rows = [{"prompt": f"What is {n} + 1?", "completion": str(n + 1)} for n in range(6)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    words = ["sft", "--model", str(model_folder), "--data", str(tmp_path / "rows.jsonl"), "--steps", "2", "--examples-per-step", "2"]
    assert main([*words, "--run", str(tmp_path / "plain")]) == 0
    assert not (tmp_path / "plain" / "profile").exists()
    assert main([*words, "--profile", "--run", str(tmp_path / "run")]) == 0
    assert {"forward", "backward", "optimiser"} <= phases_in(tmp_path / "run")
    assert "of steps 1 to 2 went" in (tmp_path / "run" / "profile" / "profile.md").read_text()
    rows_of = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("plain", "run")]
    losses = [[json.loads(line).get("loss") for line in lines] for lines in rows_of]
    assert losses[0] == losses[1], "a trace changes no number"


def test_policies_over_processes_are_not_traced(model_folder: Path, problems: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["grpo-math", "--model", str(model_folder), "--data", str(problems), *SMALL, "--profile", "--policy-workers", "2"]
    assert main(words) == 2
    assert "--profile sees one process" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--profile", "--policy-workers", "2"], "--profile sees one process"),
        (["--tune", "full", "--update-in-backward", "--max-grad-norm", "1.0"], "--update-in-backward and --max-grad-norm"),
    ],
)
def test_what_offline_training_would_ignore_is_refused_be_it_the_default(
    words: list[str], said: str, model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data.jsonl").write_text('{"prompt": "1 + 1?", "completion": "2"}\n')
    assert main(["plan", "sft", "--model", str(model_folder), "--data", str(tmp_path / "data.jsonl"), *words]) == 2
    assert said in capsys.readouterr().err


def test_a_trace_that_cannot_be_written_does_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(profile, "atomic_path", full)
    traced = profile.Profile(tmp_path / "profile", 1, last=1, device=torch.device("cpu"), dtype=torch.float32)
    with traced.step(1):
        torch.ones(4).sum()
    assert "No space left on device" in capsys.readouterr().err
    assert not (tmp_path / "profile").exists()
