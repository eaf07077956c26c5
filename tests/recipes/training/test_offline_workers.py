"""What trains on written data has the numbers of one process when it is cut over two, and goes on with another number of them."""

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from recipes.commands.cli import main
from rl.runs.run_folder import read_lines

SMALL = ["--lr", "1e-3", "--examples-per-step", "4", "--steps", "3", "--warmup", "0", "--schedule", "constant", "--held-out", "2"]
TUNE: dict[str, list[str]] = {
    "sft": ["--tune", "full"],
    "dpo": ["--lora-rank", "2"],
    "orpo": ["--tune", "full"],
    "kto": ["--lora-rank", "2"],
}


def row(command: str, number: int) -> dict[str, Any]:
    right, wrong = f"{number} and one make {number + 1}", f"{number}? " * (1 + number % 3)
    if command in ("dpo", "orpo"):
        return {"prompt": f"{number} + 1 =", "chosen": right, "rejected": wrong}
    good = number % 2 == 0 or command == "sft"
    return {"prompt": f"{number} + 1 =", "completion": right if good else wrong} | ({"label": good} if command == "kto" else {})


def train(command: str, model: Path, folder: Path, run: str, *more: str) -> int:
    data = folder / f"{command}.jsonl"
    data.write_text("".join(json.dumps(row(command, number)) + "\n" for number in range(14)))
    return main([command, "--model", str(model), "--data", str(data), "--run", str(folder / run), *SMALL, *TUNE[command], *more])


def numbers(run: Path) -> list[dict[str, float]]:
    """Without who wins where both sides have gained nothing but rounding."""
    rows = read_lines(run / "metrics.jsonl")
    tied = [abs(row.get("rewards/margins", 1.0)) < 1e-6 or abs(row.get("eval/rewards/margins", 1.0)) < 1e-6 for row in rows]
    left_out = ("time/", "speed/")
    return [
        {name: value for name, value in row.items() if not name.startswith(left_out) and not (even and name.endswith("accuracies"))}
        for row, even in zip(rows, tied, strict=True)
    ]


def assert_same(mine: Path, theirs: Path) -> None:
    rows = [numbers(mine), numbers(theirs)]
    assert len(rows[1]) == 4
    assert all(row["grad_norm"] > 0 for row in rows[1][1:])
    for one, other in zip(*rows, strict=True):
        assert one == pytest.approx(other, rel=1e-5, abs=1e-5)
    name = "model.safetensors" if (theirs / "final" / "model.safetensors").exists() else "adapter_model.safetensors"
    weights = [load_file(run / "final" / name) for run in (mine, theirs)]
    assert weights[0].keys() == weights[1].keys()
    assert all((weights[0][name] - weights[1][name]).abs().max() < 1e-5 for name in weights[0])


def as_one_process(command: str, model: Path, folder: Path, *more: str) -> None:
    assert train(command, model, folder, "alone") == 0
    assert train(command, model, folder, "cut", "--policy-workers", "2", *more) == 0
    assert_same(folder / "cut", folder / "alone")


def test_two_workers_make_the_preferences_of_one_process(model_folder: Path, tmp_path: Path) -> None:
    as_one_process("dpo", model_folder, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["sft", "orpo", "kto"])
def test_two_workers_train_as_one_process(command: str, model_folder: Path, tmp_path: Path) -> None:
    as_one_process(command, model_folder, tmp_path)


@pytest.mark.slow
def test_two_workers_that_share_layers_train_as_one_process(model_folder: Path, tmp_path: Path) -> None:
    as_one_process("kto", model_folder, tmp_path, "--tensor-parallel", "2")


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_workers(model_folder: Path, tmp_path: Path) -> None:
    assert train("dpo", model_folder, tmp_path, "alone", "--steps", "5") == 0
    assert train("dpo", model_folder, tmp_path, "cut", "--steps", "3", "--policy-workers", "2") == 0
    assert main(["dpo", "--resume", str(tmp_path / "cut"), "--steps", "5", "--policy-workers", "0"]) == 0
    mine, theirs = (read_lines(tmp_path / run / "metrics.jsonl") for run in ("cut", "alone"))
    assert [row["step"] for row in mine] == list(range(6))
    assert [row["loss"] for row in mine[1:]] == pytest.approx([row["loss"] for row in theirs[1:]], rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(
    ("command", "more", "said"),
    [
        ("dpo", ["--reference-model", "MODEL"], "another model's scores are made in one process; keep them with --reference-scores"),
        ("reward-model", [], "a value head lives in one process"),
        ("sft", ["--tensor-parallel", "3"], "workers compute a layer in groups of so many"),
    ],
)
def test_what_cannot_be_cut_is_refused(
    command: str, more: list[str], said: str, model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(model_folder) if word == "MODEL" else word for word in more]
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(row("sft" if command == "sft" else "dpo", number)) + "\n" for number in range(14)))
    words = [command, "--model", str(model_folder), "--data", str(data), "--run", str(tmp_path / "run"), "--policy-workers", "2"]
    assert main([*words, *given]) == 2
    assert said in capsys.readouterr().err
