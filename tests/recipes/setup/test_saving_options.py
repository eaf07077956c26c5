"""Ways to train with less memory as options of commands, online and offline: obeyed, refused in one line, kept in a resumed run."""

import importlib.util
import json
from pathlib import Path

import pytest

from recipes.commands.cli import main


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"{n} + 1?", "completion": str(n + 1)}) + "\n" for n in range(4)), encoding="utf-8")
    return file


def sft(model: Path, rows: Path, run: Path, *more: str) -> int:
    return main(["sft", "--model", str(model), "--data", str(rows), "--run", str(run), "--steps", "2", "--examples-per-step", "2", *more])


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()[1:]]


def test_options_of_memory_change_no_loss(model_folder: Path, rows: Path, tmp_path: Path) -> None:
    full = ("--tune", "full", "--lr", "1e-4")
    assert sft(model_folder, rows, tmp_path / "plain", *full) == 0
    assert sft(model_folder, rows, tmp_path / "again", *full, "--gradient-checkpointing", "--recompute", "all-but-attention") == 0
    assert sft(model_folder, rows, tmp_path / "within", *full, "--update-in-backward", "--offload-activations") == 0
    assert losses(tmp_path / "again") == pytest.approx(losses(tmp_path / "plain"), rel=1e-5)
    assert losses(tmp_path / "within")[0] == pytest.approx(losses(tmp_path / "plain")[0], rel=1e-5)
    stored = json.loads((tmp_path / "within" / "config.json").read_text())["options"]
    assert stored["savings"]["update_in_backward"] is True
    assert main(["sft", "--resume", str(tmp_path / "within"), "--steps", "3", "--recompute-every", "2"]) == 2


def test_an_adapters_kinds(model_folder: Path, rows: Path, tmp_path: Path) -> None:
    assert sft(model_folder, rows, tmp_path / "run", "--rslora", "--lora-plus", "16") == 0
    assert json.loads((tmp_path / "run" / "final" / "adapter_config.json").read_text())["use_rslora"] is True


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--recompute", "all-but-products"], "without --gradient-checkpointing"),
        (["--optimizer", "galore"], "use --tune full"),
        (["--update-in-backward"], "use --tune full"),
        (["--tune", "full", "--update-in-backward", "--max-grad-norm", "0.5"], "--max-grad-norm"),
        (["--tune", "full", "--rslora"], "--rslora would be ignored with --tune full"),
        (["--recompute-every", "0"], "--recompute-every must be at least 1"),
    ],
)
def test_what_cannot_be_is_one_line(
    model_folder: Path, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert sft(model_folder, rows, tmp_path / "run", *words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed")
def test_a_missing_package_is_said_before_anything_heavy(
    model_folder: Path, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sft(model_folder, rows, tmp_path / "run", "--optimizer", "adamw-8bit") == 2
    assert "pip install 'reckon-rl[bits]'" in capsys.readouterr().err
