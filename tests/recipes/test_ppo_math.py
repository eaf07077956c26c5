"""PPO through the command line with each of its critics: plumbing on a tiny random model, and what cannot be."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from recipes.commands.cli import main
from recipes.ppo_math import Config
from recipes.setup.command_line import parse_options
from recipes.setup.online import algorithm_of
from rl.runs.run_folder import read_lines
from verifiers.input_error import InputError
from verifiers.rewards.problem_file import write_problems

SMALL = [
    "--steps",
    "2",
    "--problems-per-step",
    "2",
    "--completions-per-problem",
    "2",
    "--max-completion-length",
    "5",
    "--workers",
    "1",
    "--engine",
    "hf",
]
SMALL += ["--lr", "1e-3", "--warmup", "0"]
CRITICS = {
    "trunk": ["--critic", "trunk"],
    "adapter": ["--critic", "adapter", "--critic-rank", "4"],
    "separate": ["--critic", "separate"],
    "trunk, full": ["--critic", "trunk", "--tune", "full"],
    "separate, full": ["--critic", "separate", "--tune", "full", "--truncation", "bootstrap", "--kl-coef", "0.1", "--kl-in", "reward"],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from recipes.setup.arithmetic import make_problems

    path = tmp_path_factory.mktemp("sums") / "problems.jsonl"
    write_problems(path, make_problems(8, seed=1, digits=1))
    return path


def ppo(*arguments: Any) -> int:
    return main(["ppo", *map(str, arguments)])


@pytest.mark.parametrize("critic", list(CRITICS))
def test_a_run_with_each_critic_and_the_same_in_two_lives(critic: str, model_folder: Path, data: Path, tmp_path: Path) -> None:
    given = ["--model", model_folder, "--data", data, *SMALL, *CRITICS[critic]]
    assert ppo(*given, "--run", tmp_path / "whole") == 0
    rows = read_lines(tmp_path / "whole" / "metrics.jsonl")
    assert [row["step"] for row in rows] == [0, 1, 2]
    assert all("critic/value" in row for row in rows[1:])
    assert ("critic/loss" in rows[1]) == ("trunk" not in critic)
    assert ("value_loss" in rows[1]) == ("trunk" in critic)
    assert (tmp_path / "whole" / "plots" / "critic.png").is_file()
    assert (tmp_path / "whole" / "critic" / "value_head.safetensors").is_file()
    assert ppo(*given, "--run", tmp_path / "twice", "--steps", "1") == 0
    assert ppo("--resume", tmp_path / "twice", "--steps", "2") == 0
    assert _numbers(read_lines(tmp_path / "twice" / "metrics.jsonl")[2]) == _numbers(rows[2])


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    """What does not depend on the clock, or on how often a run looks at itself."""
    return {name: value for name, value in row.items() if not name.startswith(("time/", "speed/", "eval/")) and "seconds" not in name}


def test_a_critic_begins_with_the_head_that_lies_beside_its_model(model_folder: Path, data: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    shutil.copytree(model_folder, tmp_path / "critic")
    width = json.loads((model_folder / "config.json").read_text())["hidden_size"]
    save_file({"weight": torch.ones(1, width)}, tmp_path / "critic" / "value_head.safetensors")
    given = ["--model", model_folder, "--data", data, *SMALL, "--critic", "separate", "--critic-model", tmp_path / "critic"]
    assert ppo(*given, "--run", tmp_path / "run") == 0
    assert read_lines(tmp_path / "run" / "metrics.jsonl")[1]["critic/value"] != 0
    save_file({"weight": torch.ones(1, 3)}, tmp_path / "critic" / "value_head.safetensors")
    assert ppo(*given, "--run", tmp_path / "other") == 2


def test_in_the_warm_up_the_policy_stays(model_folder: Path, data: Path, tmp_path: Path) -> None:
    assert ppo("--model", model_folder, "--data", data, *SMALL, "--critic-warmup", "1", "--run", tmp_path / "run") == 0
    rows = read_lines(tmp_path / "run" / "metrics.jsonl")
    assert [row["updates"] for row in rows[1:]] == [0, 1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--critic", "adapter", "--tune", "full"], "--critic adapter stands on the frozen base of --tune lora"),
        (["--critic-warmup", "2"], "--critic-warmup 2: with --steps 2 the policy would never learn"),
        (["--kl-in", "reward"], "--kl-in reward would be ignored without --kl-coef"),
        (["--kl-in", "reward", "--kl-coef", "0.1", "--kl", "k2"], "--kl k2 would be ignored with --kl-in reward"),
        (["--critic", "trunk", "--critic-rank", "4"], "--critic-rank would be ignored with --critic trunk"),
        (["--critic", "separate", "--critic-coef", "1"], "--critic-coef would be ignored with --critic separate"),
        (["--lam", "1.5"], "--lam must be from 0 to 1"),
        (["--process-weight", "0", "--outcome-weight", "0"], "--process-weight 0 and --outcome-weight 0: nothing is left to learn from"),
        (["--dual-clip", "0.5"], "--dual-clip must be 0 (off) or above 1"),
        (["--length-adaptive", "0.05", "--lam", "0.9"], "--lam 0.9 would be ignored with --length-adaptive"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(
    given: list[str], said: str, model_folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ppo("--model", model_folder, "--data", data, *SMALL, *given, "--run", tmp_path / "run") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert said in error
    assert not (tmp_path / "run").exists()


def test_a_critic_with_a_method_that_has_none_is_refused() -> None:
    from recipes.grpo_math import Config as Grpo

    with pytest.raises(InputError, match="--critic would be ignored with --algorithm grpo"):
        parse_options(Grpo, ["--critic", "trunk"], name="grpo-math")


def test_the_trunks_loss_is_a_part_of_the_objective() -> None:
    trunk, separate = (algorithm_of(parse_options(Config, ["--critic", name], name="ppo")).objective for name in ("trunk", "separate"))
    assert (trunk.terms, separate.terms) == (("logp", "value"), ("logp",))
    assert trunk.idle is None
    assert separate.idle is not None
