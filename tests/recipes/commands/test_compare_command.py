"""`reckon compare` over real runs: one that measured itself, and one that is asked."""

import json
from pathlib import Path

import pytest

from recipes.commands.cli import main
from verifiers.rewards.problem_file import write_problems


@pytest.fixture(scope="module")
def runs(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from recipes.setup.arithmetic import make_problems

    folder = tmp_path_factory.mktemp("compared")
    problems = make_problems(6, seed=1, digits=1)
    write_problems(folder / "problems.jsonl", problems)
    rows = [{"prompt": problem.prompt, "completion": str(problem.answer)} for problem in problems]
    (folder / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    short = ["--model", str(model_folder), "--steps", "1"]
    online = [
        "--problems-per-step",
        "2",
        "--completions-per-problem",
        "2",
        "--max-completion-length",
        "4",
        "--engine",
        "hf",
        "--held-out",
        "2",
    ]
    assert main(["grpo-math", *short, *online, "--data", str(folder / "problems.jsonl"), "--run", str(folder / "grpo")]) == 0
    assert main(["sft", *short, "--data", str(folder / "examples.jsonl"), "--run", str(folder / "sft")]) == 0
    return folder


def test_a_table_and_a_picture_of_what_measured_itself_and_what_is_asked(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    given = [str(runs / "grpo"), f"fine-tuned={runs / 'sft'}", "--judge", str(runs / "problems.jsonl"), "--max-completion-length", "4"]
    assert main(["compare", *given, "--out", str(tmp_path)]) == 0
    table = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in table[2:]] == ["| grpo", "| fine-tuned"]
    assert (tmp_path / "comparison.md").read_text().splitlines() == table
    assert (tmp_path / "comparison.svg").read_text().startswith("<?xml")
    found = json.loads((tmp_path / "comparison.json").read_text())
    assert [len(each["points"]) for each in found["runs"]] == [2, 2]
    assert found["runs"][1]["points"][1]["seconds"] > 0


def test_a_run_that_measured_nothing_is_named(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(runs / "grpo"), str(runs / "sft"), "--out", str(tmp_path / "out")]) == 2
    assert f"{runs / 'sft'} measured no held-out accuracy; give --judge FILE" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(["compare", "--out", str(tmp_path / "out")]) == 2
