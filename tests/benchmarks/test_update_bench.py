"""The update benchmark's own arithmetic: what it makes up, what it compares, and its GPU part, tiny and on a CPU."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks.update.__main__ import main
from benchmarks.update.on_gpu import DENSE_BF16, METHODS, TUNES, Machine
from benchmarks.update.own_update import batch_of
from benchmarks.update.rollouts import Lengths, completion_tokens, read_rollouts, write_rollouts
from benchmarks.update.updates import UPDATES, ratios
from rl.objectives.policy_gradient import without_advantage

TAILS = Lengths(problems=4, completions=8, prompt=16, mean=40, largest=400, silent=2)


def test_made_up_lengths_have_a_heavy_tail_and_the_mean_that_was_asked_for(tmp_path: Path) -> None:
    steps = read_rollouts(write_rollouts(tmp_path, TAILS, 3))
    assert len(steps) == 3
    for groups in steps:
        lengths = torch.tensor([len(completion) for group in groups for completion in group["completions"]]).double()
        assert (len(lengths), lengths.max()) == (32, 400)
        assert abs(lengths.mean() - 40) < 1
        assert lengths.median() < 30
    assert completion_tokens(steps) == pytest.approx(3 * 32 * 40, rel=0.03)
    again = tmp_path / "again"
    again.mkdir()
    assert read_rollouts(write_rollouts(again, TAILS, 3)) == steps
    assert {len(c) for g in read_rollouts(write_rollouts(again, UPDATES["uniform"].lengths, 1))[0] for c in g["completions"]} == {256}


def test_silent_groups_teach_nothing_and_the_others_do(tmp_path: Path) -> None:
    groups = read_rollouts(write_rollouts(tmp_path, TAILS, 1))[0]
    batch = batch_of(groups)
    assert without_advantage(batch).tolist() == [True] * 16 + [False] * 16
    values = batch.columns["advantage"][batch.mask].unique()
    assert values.tolist() == pytest.approx([-0.9352, 0.0, 0.9352], abs=1e-3)  # (r - 1/2) / std of four ones and four zeros
    assert batch.prompt_length.tolist() == [16] * 32


def test_a_bar_takes_both_figures() -> None:
    def found(speed: float, memory: float) -> dict[str, object]:
        sides = {"reckon": {"tokens_a_second": speed, "peak_gb": memory}, "trl": {"tokens_a_second": 1.0, "peak_gb": 1.0}}
        return {**sides, **ratios(sides)}

    tails = UPDATES["tails"]
    assert tails.holds(found(3.0, 0.33))
    assert not tails.holds(found(2.9, 0.33))
    assert not tails.holds(found(3.0, 0.34))


def test_the_part_for_a_gpu_runs_anywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str], one_thread: None) -> None:
    options = ["--gpu", "--device", "cpu", "--shapes", "tiny", "--lengths", "24", "--tokens", "192", "--results"]
    assert main([*options, str(tmp_path)]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1].removeprefix("RESULT "))
    (file,) = tmp_path.iterdir()
    written = json.loads(file.read_text())
    assert written["hardware"]["name"]
    assert written["hardware"]["product_tflops_measured"] > 0
    assert written["rows"] == result["rows"]
    assert [(row["method"], row["tune"]) for row in written["rows"]] == [(method, tune) for method in METHODS for tune in TUNES]
    for row in written["rows"]:
        assert row["tokens_a_second"] == pytest.approx(row["tokens"] / row["seconds"], rel=0.01)
        assert sum(row["phases"].values()) == pytest.approx(1, abs=0.01)
        assert row["phases"]["forward"] > 0
        assert ("score" in row["phases"]) is (row["method"] in ("dpo", "ppo"))
        shared = {"sft": 1, "dpo": 2, "grpo": 8, "ppo": 8}[row["method"]]
        assert row["tokens_computed"] == row["tokens"] - (row["sequences"] - row["sequences"] // shared) * 3 * (shared > 1)
        assert row["of_measured_product_rate"] > 0
        assert row["model_flop_utilisation"] is None  # of a processor whose data sheet is not known


def test_a_known_gpu_is_held_against_its_data_sheet() -> None:
    assert Machine(torch.device("cuda"), "NVIDIA H100 80GB HBM3", 1.0).data_sheet == DENSE_BF16["H100"] == 989e12
    assert Machine(torch.device("cuda"), "NVIDIA L40S", 1.0).data_sheet == 362e12
    assert Machine(torch.device("cpu"), "AMD EPYC, 2 cores", 1.0).data_sheet is None
