"""`--quantization nf4` from the command line: runs that end, go on and are evaluated, and what is refused in one line."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from recipes.commands.cli import main
from rl.runs.run_folder import read_lines

here = importlib.util.find_spec("bitsandbytes") is not None
installed = pytest.mark.skipif(not here, reason="bitsandbytes is not installed")
NF4 = ("--quantization", "nf4")
ON = ("--workers", "1", "--problems-per-step", "2", "--completions-per-problem", "2", "--max-completion-length", "12", "--lr", "1e-2")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"{n} + 1?", "completion": str(n + 1)}) + "\n" for n in range(4)), encoding="utf-8")
    return file


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    file = tmp_path / "problems.jsonl"
    lines = [json.dumps({"prompt": f"{n} + 1?", "answer": str(n + 1), "verifier": "math_answer"}) + "\n" for n in range(4)]
    file.write_text("".join(lines), encoding="utf-8")
    return file


def sft(model: Path, rows: Path, run: Path, *more: str) -> int:
    words = ["--model", model, "--data", rows, "--run", run, "--examples-per-step", "2", "--lr", "1e-2", "--schedule", "constant", *more]
    return main(["sft", *map(str, words)])


def grpo(model: Path, problems: Path, run: Path, *more: str) -> int:
    return main(["grpo-math", *map(str, ["--model", model, "--data", problems, "--run", run, *ON, "--engine", "hf", *more])])


def adapter(run: Path) -> dict[str, Any]:
    return dict(load_file(run / "final" / "adapter_model.safetensors"))


@installed
def test_it_goes_on_to_the_same_adapter_and_is_planned_with_less(
    model_folder: Path, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    assert sft(model_folder, rows, straight, *NF4, "--steps", "4") == 0
    assert "base of 4 bits" in capsys.readouterr().err
    assert sft(model_folder, rows, broken, *NF4, "--steps", "2", "--checkpoint-every", "2") == 0
    assert main(["sft", "--resume", str(broken), "--steps", "4"]) == 0
    expected, found = adapter(straight), adapter(broken)
    assert all(found[name].equal(tensor) for name, tensor in expected.items())
    assert not list((straight / "final").glob("model*"))
    capsys.readouterr()
    plans = []
    for more in ((), NF4):
        assert main(["plan", "sft", *map(str, ["--model", model_folder, "--data", rows, "--run", tmp_path / "none", *more])]) == 0
        plans.append(capsys.readouterr().out)
    assert "in 4 bits" in plans[1]
    assert "in 4 bits" not in plans[0]
    assert main(["sft", "--resume", str(broken), "--steps", "5", "--tune", "full"]) == 2


@installed
def test_what_is_sampled_is_what_trains_and_the_adapter_goes_on(
    model_folder: Path, problems: Path, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The canary compares them at the start, and `drift` in each step."""
    run = tmp_path / "run"
    code = tmp_path / "brief.py"
    code.write_text("def brief(problem, response):\n    return 1 / (1 + len(response))\n", encoding="utf-8")
    more = ("--steps", "2", "--reward", f"{code}:brief", "--kl-coef", "0.1")
    assert grpo(model_folder, problems, run, *NF4, *more) == 0
    drift = [value for row in read_lines(run / "metrics.jsonl") for name, value in row.items() if "drift" in name or "mismatch" in name]
    assert all(abs(value) < 1e-3 for value in drift if value is not None)
    assert sft(run / "final", rows, tmp_path / "further", *NF4, "--steps", "1") == 0
    assert json.loads((tmp_path / "further" / "config.json").read_text())["options"]["tune"]["quantization"] == "nf4"
    capsys.readouterr()
    assert main(["merge", str(run / "final"), "--out", str(tmp_path / "whole")]) == 0
    assert "learnt on a base of 4 bits" in capsys.readouterr().err
    words = ["--data", problems, "--max-completion-length", "8", "--engine", "hf", "--workers", "1", "--completions-per-problem", "1"]
    assert main(["eval", *map(str, ["--model", run / "final", *words, "--run", tmp_path / "eval"])]) == 0
    assert "learnt on a base of 4 bits" in capsys.readouterr().err


@installed
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--tune", "full"), "--quantization would be ignored with --tune full"),
        (("--policy-workers", "2"), "--policy-workers cuts"),
        (("--ahead", "1"), "samples from a copy"),
        (("--engine", "server", "--server-url", "http://127.0.0.1:1"), "use --engine hf"),
    ],
)
def test_what_cannot_be_is_one_line(
    model_folder: Path, problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert grpo(model_folder, problems, tmp_path / "run", *NF4, "--steps", "1", *words) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@installed
def test_merged_bases_and_rounds_are_refused(
    model_folder: Path, rows: Path, problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sft(model_folder, rows, tmp_path / "first", "--steps", "1") == 0
    assert sft(tmp_path / "first", rows, tmp_path / "second", *NF4, "--steps", "1", "--from-adapter", "merge") == 2
    assert "reckon merge" in capsys.readouterr().err
    assert sft(model_folder, rows, tmp_path / "restarts", *NF4, "--steps", "4", "--relora-every", "2") == 2
    assert "--relora-every merges" in capsys.readouterr().err
    words = ["--model", model_folder, "--data", problems, "--run", tmp_path / "rounds", "--max-completion-length", "8", *NF4]
    assert main(["rft", *map(str, words)]) == 2
    assert "commands of rounds" in capsys.readouterr().err


@pytest.mark.skipif(here, reason="bitsandbytes is installed")
def test_a_missing_package_is_said_before_anything_heavy(
    model_folder: Path, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sft(model_folder, rows, tmp_path / "run", *NF4, "--steps", "1") == 2
    assert "pip install 'reckon-rl[bits]'" in capsys.readouterr().err
