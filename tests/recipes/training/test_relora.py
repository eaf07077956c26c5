"""`--relora-every` from its words to a model on disk: killed across restarts it ends the same, and other commands load what it learnt."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig

from recipes.commands.cli import main
from recipes.setup.model_source import find_model
from rl.interpolation.merged_adapters import fixed_sequences, logits
from rl.interpolation.restarts import Restarting
from rl.learning.adapters import Lora
from rl.measuring.planned_step import BareLearner
from rl.runs.run_folder import read_lines

WORDS = ["--steps", "10", "--relora-every", "3", "--relora-warmup", "2", "--checkpoint-every", "2", "--warmup", "0"]
FEW = ["--examples-per-step", "4", "--lr", "1e-2"]


@pytest.fixture(scope="module")
def begin(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., int]:
    data = tmp_path_factory.mktemp("data") / "rows.jsonl"
    data.write_text("".join(json.dumps({"prompt": f"{n}+1=", "completion": str(n + 1)}) + "\n" for n in range(16)))
    return lambda run, *more: main(["sft", *map(str, ["--model", model_folder, "--data", data, "--run", run, *FEW, *more])])


@pytest.fixture(scope="module")
def straight(begin: Callable[..., int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("straight") / "run"
    assert begin(run, *WORDS) == 0
    return run


def _learnt(run: Path) -> dict[str, Any]:
    named = {path.name: load_file(path) for place in (run / "final", run / "bases" / "step-000009") for path in place.glob("*.safetensors")}
    return {f"{file}/{name}": tensor for file, tensors in named.items() for name, tensor in tensors.items()}


def _numbers(run: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if not k.startswith(("time/", "speed/"))} for row in read_lines(run / "metrics.jsonl")]


def _end_at(event: str) -> None:
    """Of this process, as kill -9 ends it."""
    restart, save = Restarting.restart, Restarting.save

    def restarted(self: Restarting, step: int) -> None:
        restart(self, step)
        if event == f"restart {step}":
            os._exit(9)

    def saved(self: Restarting, folder: Path) -> None:
        save(self, folder)
        if event == f"base {self.base}":  # it is written, and the checkpoint has no name yet
            os._exit(9)

    Restarting.restart, Restarting.save = restarted, saved  # type: ignore[method-assign]


@pytest.mark.parametrize("event", ["restart 3", "base step-000003", "restart 9", "base step-000009"])
def test_killed_at_a_restart_it_is_the_same_to_the_last_bit(event: str, begin: Callable[..., int], straight: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    if (child := os.fork()) == 0:
        _end_at(event)
        begin(run, *WORDS)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert main(["sft", "--resume", str(run)]) == 0
    assert _numbers(run) == _numbers(straight)
    found, wanted = _learnt(run), _learnt(straight)
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())


def test_bases_that_no_checkpoint_stands_on_are_gone(straight: Path) -> None:
    assert sorted(path.name for path in straight.glob("bases/*")) == ["step-000006", "step-000009"]
    rates = [row["lr"] for row in read_lines(straight / "metrics.jsonl")[1:]]
    assert rates[3] < rates[2] / 1.5 < rates[4]


def test_what_it_learnt_is_loaded_and_merged_wherever_the_run_lies(straight: Path, tmp_path: Path, model_folder: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(straight, moved)
    assert main(["merge", str(straight), "--out", str(tmp_path / "plain")]) == 0
    source = find_model(str(straight))
    assert Path(source.base) == straight / "bases" / "step-000009"
    wanted = logits(source.load_model(), sequences := fixed_sequences(source.load_shape().vocab_size))
    assert torch.allclose(logits(find_model(str(tmp_path / "plain")).load_model(), sequences), wanted, atol=1e-4)
    assert (logits(find_model(str(model_folder)).load_model(), sequences) - wanted).abs().max() > 1e-1
    straight.rename(away := straight.with_name("away"))
    try:
        assert Path(find_model(str(moved)).base) == moved / "bases" / "step-000009"
    finally:
        away.rename(straight)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--relora-every", "3", "--tune", "full"], "--relora-every 3 merges an adapter, and --tune full has none"),
        (["--relora-every", "3", "--policy-workers", "2"], "which --policy-workers cuts"),
        (["--relora-every", "3", "--dora"], "merging a DoRA"),
        (["--relora-every", "3", "--relora-warmup", "4"], "is longer than --relora-every 3"),
        (["--relora-warmup", "4"], "--relora-warmup would be ignored without --relora-every"),
    ],
)
def test_what_it_cannot_go_with_is_refused(
    words: list[str], said: str, begin: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert begin(tmp_path / "run", *words) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_an_adapter_that_goes_on_restarts_on_a_base_in_float32(
    straight: Path, begin: Callable[..., int], model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, words = tmp_path / "run", ["--steps", "3", "--relora-every", "2", "--dtype", "bf16"]
    assert begin(run, *words, "--model", straight) == 0
    own = {
        name
        for file in (run / "bases" / "step-000002").glob("*.safetensors")
        for name, t in load_file(file).items()
        if t.element_size() == 4
    }
    assert own == {name for file in model_folder.glob("*.safetensors") for name in load_file(file)}
    assert main(["sft", "--resume", str(run), "--relora-every", "3"]) == 2
    assert "--relora-every 2, which cannot change within a run" in capsys.readouterr().err


def test_a_plan_counts_the_base_as_wide_as_it_is_merged_into(model_folder: Path) -> None:
    shape = AutoConfig.from_pretrained(model_folder)
    narrow, wide = (BareLearner(shape, Lora(rank=2), bf16=True, device="cpu", wide_base=wide) for wide in (False, True))
    frozen = [[p.element_size() for p in bare.model.parameters() if not p.requires_grad] for bare in (narrow, wide)]
    assert [set(sizes) for sizes in frozen] == [{2}, {4}]


def test_a_loss_that_is_measured_against_the_base_needs_its_scores(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "pairs.jsonl"
    data.write_text("".join(json.dumps({"prompt": f"{n}+1=", "chosen": str(n + 1), "rejected": "no"}) + "\n" for n in range(8)))
    words: list[Any] = [
        "dpo",
        "--model",
        model_folder,
        "--data",
        data,
        "--run",
        tmp_path / "run",
        *FEW,
        "--steps",
        "4",
        "--relora-every",
        "2",
    ]
    assert main(list(map(str, words))) == 2
    assert "changes the base, which dpo is measured against" in capsys.readouterr().err
    assert main(list(map(str, [*words, "--reference-scores", tmp_path / "scores.jsonl"]))) == 0
    assert (tmp_path / "run" / "bases" / "step-000004").is_dir()
