"""Stages on top of each other: a run that begins where another ended, by going on with its adapter or by merging it first."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from recipes.commands.cli import main
from recipes.setup.choices import Lora as LoraOptions
from recipes.setup.model_source import ModelSource, find_model
from recipes.setup.starting_point import lora_of
from recipes.training.sft import Config as SftConfig
from rl.runs.run_folder import read_lines
from tests.progress_lines import without_progress
from verifiers.input_error import InputError

SMALL = ["--problems-per-step", "2", "--completions-per-problem", "4", "--max-completion-length", "5", "--workers", "1", "--engine", "hf"]
SMALL += ["--lr", "1e-2", "--warmup", "1"]
Stage = Callable[..., Path]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rows = [{"problem": f"{n}+{n + 1}=", "answer": str(2 * n + 1)} for n in range(6)]
    (folder / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "mine.py").write_text("def varied(problem, response):\n    return len(set(response)) / 10\n")
    return folder


@pytest.fixture(scope="module")
def words(data: Path) -> Callable[..., list[str]]:
    """(model, run, more words) -> the words of a stage."""

    def make(model: Path, run: Path, *more: str | Path) -> list[str]:
        reward = ["--reward", f"{data}/mine.py:varied"]
        return list(map(str, ["grpo-math", "--model", model, "--data", data / "problems.jsonl", "--run", run, *SMALL, *reward, *more]))

    return make


@pytest.fixture(scope="module")
def first(words: Callable[..., list[str]], model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps that trained an adapter of rank 2."""
    run = tmp_path_factory.mktemp("first") / "run"
    assert main(words(model_folder, run, "--steps", "2", "--lora-rank", "2")) == 0
    return run


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_file(folder / "adapter_model.safetensors"))


def settings(folder: Path) -> Any:
    return json.loads((folder / "adapter_config.json").read_text())


def adapted_logits(folder: Path) -> torch.Tensor:
    """By peft's own loader."""
    from peft import AutoPeftModelForCausalLM

    return logits(AutoPeftModelForCausalLM.from_pretrained(folder))


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.arange(3, 43)[None]).logits


def learnt(run: Path) -> list[tuple[float, ...]]:
    return [tuple(row[name] for name in ("step", "reward", "loss", "grad_norm")) for row in read_lines(run / "metrics.jsonl")[1:]]


def test_an_adapter_goes_on_and_its_kl_is_to_what_it_began_as(
    first: Path, model_folder: Path, words: Callable[..., list[str]], tmp_path: Path
) -> None:
    source = Path(shutil.copytree(first, tmp_path / "first"))
    run = tmp_path / "run"
    assert main(words(source, run, "--steps", "2", "--kl-coef", "0.1", "--checkpoint-every", "1")) == 0
    began = tensors(first / "final")
    assert all(torch.equal(tensor, began[name]) for name, tensor in tensors(run / "start").items())
    assert settings(run / "final")["r"] == 2
    assert settings(run / "final")["base_model_name_or_path"] == str(model_folder)
    rows = read_lines(run / "metrics.jsonl")
    assert abs(rows[1]["kl_reference"]) < 1e-6, "measured against the adapter as it began, not against the base"
    assert rows[2]["kl_reference"] > 1e-6
    assert any(not torch.equal(tensor, began[name]) for name, tensor in tensors(run / "final").items())
    whole = tmp_path / "whole"
    assert main(words(source, whole, "--steps", "3", "--kl-coef", "0.1")) == 0
    shutil.rmtree(source)
    assert main(["grpo-math", "--resume", str(run), "--steps", "3"]) == 0, "the run keeps what it began with"
    assert learnt(run) == learnt(whole)
    assert find_model(str(run)).adapters == (str(run / "final"),)


def test_an_adapter_is_merged_and_a_fresh_one_put_on_top(
    first: Path, model_folder: Path, words: Callable[..., list[str]], tmp_path: Path
) -> None:
    source = Path(shutil.copytree(first, tmp_path / "first"))
    run = tmp_path / "run"
    more = ["--from-adapter", "merge", "--lora-rank", "3", "--kl-coef", "0.1"]
    assert main(words(source, run, "--steps", "1", *more)) == 0
    base = logits(AutoModelForCausalLM.from_pretrained(run / "base"))
    assert (base - adapted_logits(first / "final")).abs().max() < 1e-4
    assert (base - logits(AutoModelForCausalLM.from_pretrained(model_folder))).abs().max() > 1e-3
    assert settings(run / "final")["r"] == 3
    assert settings(run / "final")["base_model_name_or_path"] == str(run / "base")
    assert AutoTokenizer.from_pretrained(run / "base").chat_template
    whole = tmp_path / "whole"
    assert main(words(source, whole, "--steps", "2", *more)) == 0
    shutil.rmtree(source)
    assert main(["grpo-math", "--resume", str(run), "--steps", "2"]) == 0
    assert learnt(run) == learnt(whole)
    adapted_logits(run / "final")
    moved = run.rename(tmp_path / "moved")
    assert find_model(str(moved)).base == str(moved / "base"), "a run that is moved keeps its base"
    assert main(["merge", str(moved), "--out", str(tmp_path / "plain")]) == 0


def test_all_parameters_are_trained_from_a_merged_adapter(first: Path, words: Callable[..., list[str]], tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main(words(first / "final", run, "--steps", "1", "--tune", "full")) == 0
    assert (run / "final" / "model.safetensors").exists()
    assert (logits(AutoModelForCausalLM.from_pretrained(run / "base")) - adapted_logits(first / "final")).abs().max() < 1e-4
    assert find_model(str(run)).adapters == ()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--lora-rank", "4"], ("--lora-rank 4 (it has 2)", "--from-adapter merge")),
        (["--dora", "--lora-targets", "q_proj"], ("--dora True (it has False)", "--lora-targets q_proj (it has ")),
        (["--tune", "full", "--from-adapter", "continue"], ("--tune full trains all weights",)),
        (["--tune", "full", "--lora-rank", "2"], ("--lora-rank would be ignored with --tune full",)),
    ],
)  # fmt: skip
def test_options_that_the_adapter_does_not_have_are_one_line(
    more: list[str],
    expected: tuple[str, ...],
    first: Path,
    words: Callable[..., list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(words(first, tmp_path / "run", *more)) == 2
    said = without_progress(capsys.readouterr().err)
    assert "\n" not in said
    for text in expected:
        assert text in said
    assert not (tmp_path / "run").exists()


def test_an_adapter_that_does_not_fit_its_base_is_one_line_before_any_weights_are_read(
    first: Path, words: Callable[..., list[str]], make_vllm_qwen2: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, adapter = tmp_path / "other", Path(shutil.copytree(first / "final", tmp_path / "adapter"))
    make_vllm_qwen2().save_pretrained(other)
    (other / "model.safetensors").write_bytes(b"never read")
    (adapter / "adapter_config.json").write_text(json.dumps(settings(adapter) | {"base_model_name_or_path": str(other)}))
    assert main(words(adapter, tmp_path / "run", "--steps", "1")) == 2
    said = without_progress(capsys.readouterr().err)
    assert "does not fit the model under it" in said
    assert "\n" not in said


def test_a_run_is_not_deleted_to_be_begun_from(
    first: Path, words: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(first, tmp_path / "run"))
    assert main(words(run, run, "--steps", "1", "--overwrite")) == 2
    assert "--overwrite would delete the run" in without_progress(capsys.readouterr().err)
    assert (run / "final" / "adapter_model.safetensors").exists()


@pytest.mark.parametrize(("said", "targets"), [("q_proj", ("q_proj",)), ("q_proj,v_proj", ("q_proj", "v_proj")), (None, "all-linear")])
def test_one_target_is_a_name_as_several_are(said: str | None, targets: str | tuple[str, ...], model_folder: Path) -> None:
    place = str(model_folder)
    lora = lora_of(SftConfig(tune=LoraOptions(targets=said)), ModelSource(place, place, place))
    assert lora is not None
    assert lora.target_modules == targets


def test_what_an_adapter_is_on_may_be_said_in_other_words(first: Path) -> None:
    source = find_model(str(first))
    everywhere = "k_proj,q_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"
    for said in ("all-linear", everywhere):
        assert lora_of(SftConfig(tune=LoraOptions(targets=said)), source) == lora_of(SftConfig(), source)
    for said in ("q_proj", everywhere.replace("q_proj", "lm_head")):
        with pytest.raises(InputError):
            lora_of(SftConfig(tune=LoraOptions(targets=said)), source)


@pytest.mark.parametrize("command", ["sft", "dpo", "grpo-math"])
@pytest.mark.parametrize(
    ("targets", "line"),
    [
        ("nosuch", "--lora-targets nosuch: the model has no such module; it has down_proj, "),
        ("lm_head", "--lora-targets: lm_head shares its weights with another module"),
        ("input_layernorm", "--lora-targets: Target module Qwen2RMSNorm"),
    ],
)
def test_targets_that_cannot_be_are_one_line_before_any_weights_are_read(
    command: str, targets: str, line: str, model_folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Path(shutil.copytree(model_folder, tmp_path / "model"))
    (model / "model.safetensors").write_bytes(b"never read")
    rows = {"sft": {"prompt": "1+1=", "completion": "2"}, "dpo": {"prompt": "1+1=", "chosen": "2", "rejected": "3"}}
    written = tmp_path / "rows.jsonl"
    written.write_text(json.dumps(rows.get(command, {"problem": "1+1=", "answer": "2"})) + "\n")
    words = ["--model", model, "--data", written, "--run", tmp_path / "run", "--lora-targets", targets]
    assert main([command, *map(str, words)]) == 2
    said = without_progress(capsys.readouterr().err)
    assert said.startswith(f"error: {line}")
    assert "\n" not in said
