"""What TRL, verl and OpenRLHF call an option is answered with what it is called here; every name of both sides is a real one."""

import dataclasses
import importlib
import inspect
from pathlib import Path

import pytest

from recipes import grpo_tools
from recipes.commands.cli import COMMANDS, main
from recipes.spelling.flat_options import flat_options
from recipes.spelling.foreign_names import OPENRLHF, TRAINER, TRL, TRL_ELSEWHERE, TRL_WRITTEN, VERL

ANSWERS = [*TRL.items(), *TRL_WRITTEN.items(), *TRL_ELSEWHERE.items(), *VERL.items(), *OPENRLHF.items()]


def option_names() -> set[str]:
    """Of all commands."""
    modules = [importlib.import_module(module) for module, _ in COMMANDS.values()]
    return {name for module in modules if hasattr(module, "Config") for name in flat_options(module.Config)}


def test_every_name_of_trl_is_a_field_of_its_configs_and_none_is_an_online_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    from trl import DPOConfig, GRPOConfig, ModelConfig, RewardConfig, ScriptArguments, SFTConfig
    from trl.experimental.cpo import CPOConfig
    from trl.experimental.gkd import GKDConfig

    kinds = (GRPOConfig, SFTConfig, DPOConfig, RewardConfig, CPOConfig, GKDConfig, ModelConfig, ScriptArguments)
    theirs = {field.name for kind in kinds for field in dataclasses.fields(kind)}
    assert TRL.keys() | TRL_WRITTEN.keys() <= theirs
    assert not TRL_ELSEWHERE.keys() & theirs
    assert not (TRL | TRL_ELSEWHERE | OPENRLHF).keys() & flat_options(grpo_tools.Config).keys()


def test_what_trainers_are_made_with_is_theirs() -> None:
    from trl import DPOTrainer, GRPOTrainer, SFTTrainer

    theirs = {name for trainer in (DPOTrainer, GRPOTrainer, SFTTrainer) for name in inspect.signature(trainer.__init__).parameters}
    assert TRAINER.keys() <= theirs
    assert not TRAINER.keys() & option_names()


def test_every_answer_is_an_option_of_ours() -> None:
    ours = option_names()
    assert [(name, option) for name, found in ANSWERS for option in found.options.split() if option not in ours] == []


def test_options_that_an_answer_mentions_exist() -> None:
    flags = {"--" + name.replace("_", "-") for name in option_names()}
    mentioned = {word.strip(",;:()") for _, found in ANSWERS for word in found.differs.split() if word.startswith("--")}
    assert mentioned <= flags


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--num-generations", "8"], "num_generations is TRL's name; here it is --completions-per-problem"),
        (["--num_generations=8"], "num_generations is TRL's name; here it is --completions-per-problem"),
        (["--beta", "0.04"], "beta is TRL's name; here it is --kl-coef"),
        (["--per_device_train_batch_size", "4"], "per_device_train_batch_size is TRL's name; here it is --tokens-per-micro-batch ("),
        (
            ["--vllm-mode", "server"],
            "vllm_mode is TRL's name; here it is --engine (an engine is chosen by name: vllm (colocate) or server)",
        ),
        (["actor_rollout_ref.rollout.n=8"], "actor_rollout_ref.rollout.n is verl's name; here it is --completions-per-problem"),
        (["+algorithm.adv_estimator=grpo"], "algorithm.adv_estimator is verl's name; here it is --algorithm ("),
        (["--data.train_batch_size", "32"], "data.train_batch_size is verl's name; here it is --problems-per-step"),
        (["--kl-loss-coef", "0.1"], "kl_loss_coef is verl's name; here it is --kl-coef"),
        (["--n_samples_per_prompt", "8"], "n_samples_per_prompt is OpenRLHF's name; here it is --completions-per-problem"),
        (["--eps-clip", "0.2"], "eps_clip is OpenRLHF's name; here it is --clip-low or --clip-high (here each side has its own)"),
        (["--max-tool-calling-iterations", "2"], "max_tool_calling_iterations is TRL's, and nothing here"),
    ],
)
def test_their_names_on_the_command_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["grpo-math", *arguments]) == 2
    found = capsys.readouterr().err
    assert found.startswith(f"error: {said}")
    assert found.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "argument", "said"),
    [
        ("dpo", "--loss-type", "loss_type is TRL's name; here it is --loss ("),
        ("grpo-math", "--loss-type", "loss_type is TRL's name; here it is --algorithm ("),
        ("orpo", "--loss-type", "loss_type is TRL's, and nothing here"),
        ("sft", "--per-device-train-batch-size", "per_device_train_batch_size is TRL's name; here it is --examples-per-step ("),
        ("rft", "--gradient-accumulation-steps", "gradient_accumulation_steps is TRL's name; here it is --examples-per-step ("),
        ("dpo", "--precompute-ref-log-probs", "precompute_ref_log_probs is TRL's name; here it is --reference-scores ("),
        ("sft", "--warmup-ratio", "warmup_ratio is TRL's name; here it is --warmup (in optimiser steps)"),
        ("dpo", "--max-prompt-length", "max_prompt_length is TRL's name; here it is --max-length ("),
        ("grpo-math", "--max-prompt-length", "max_prompt_length is TRL's name; here it is --skip-long-prompts ("),
        ("kto", "--simpo-gamma", "simpo_gamma is TRL's, and nothing here"),
    ],
)
def test_where_data_are_written_theirs_are_other_options(
    command: str, argument: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, argument, "1"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {said}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("num_generations: 8\n", "num_generations is TRL's name; here it is --completions-per-problem"),
        ("data:\n  train_batch_size: 8\n", "data.train_batch_size is verl's name; here it is --problems-per-step"),
        ("actor_rollout_ref:\n  rollout:\n    n: 8\n", "actor_rollout_ref.rollout.n is verl's name; here it is --completions-per-problem"),
    ],
)
def test_their_names_in_a_file(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(text)
    assert main(["grpo-math", "--config", str(tmp_path / "a.yaml")]) == 2
    assert f"a.yaml: {said}" in capsys.readouterr().err


def test_a_value_that_looks_like_theirs_is_a_value() -> None:
    from recipes.grpo_math import Config
    from recipes.setup.command_line import parse_options

    assert parse_options(Config, ["--engine-option", "a.b=1", "--system-prompt", "x.y=2"], name="x").engine.option == ("a.b=1",)
