"""`reckon sft`, `dpo` and `grpo-math` on one adapter: each begins with what the one before learnt, and is measured from there."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from recipes.commands.cli import main
from recipes.setup.model_source import find_model
from rl.runs.run_folder import read_lines

LORA = ["--lr", "1e-2", "--warmup", "0"]
OFFLINE = [*LORA, "--steps", "4", "--examples-per-step", "4", "--schedule", "constant"]
ONLINE = [*LORA, "--steps", "2", "--problems-per-step", "2", "--completions-per-problem", "4", "--max-completion-length", "5"]
ONLINE += ["--workers", "1", "--engine", "hf", "--kl-coef", "0.1"]


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def stage(command: str, model: Path, data: Path, run: Path, *more: str | Path) -> Path:
    assert main([command, *map(str, ["--model", model, "--data", data, "--run", run, *more])]) == 0
    return run


@pytest.fixture(scope="module")
def stages(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The runs of the three stages, in order."""
    folder = tmp_path_factory.mktemp("chain")
    written = write(folder / "sft.jsonl", *({"prompt": f"{n}+1=", "completion": str(n + 1)} for n in range(8)))
    pairs = write(folder / "pairs.jsonl", *({"prompt": f"{n}+1=", "chosen": str(n + 1), "rejected": f"{n}?"} for n in range(8)))
    problems = write(folder / "problems.jsonl", *({"problem": f"{n}+1=", "answer": str(n + 1)} for n in range(6)))
    (folder / "mine.py").write_text("def varied(problem, response):\n    return len(set(response)) / 10\n")
    first = stage("sft", model_folder, written, folder / "sft", *OFFLINE, "--lora-rank", "2")
    second = stage("dpo", first, pairs, folder / "dpo", *OFFLINE)
    third = stage("grpo-math", second, problems, folder / "grpo", *ONLINE, "--reward", f"{folder}/mine.py:varied")
    return [first, second, third]


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_file(folder / "adapter_model.safetensors"))


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.arange(3, 43)[None]).logits


def test_each_stage_begins_with_what_the_one_before_learnt(stages: list[Path], model_folder: Path) -> None:
    for before, after in itertools.pairwise(stages):
        learnt, begun, grown = (tensors(folder) for folder in (before / "final", after / "start", after / "final"))
        assert learnt.keys() == begun.keys() == grown.keys()
        assert all(torch.equal(tensor, begun[name]) for name, tensor in learnt.items())
        assert any(not torch.equal(tensor, grown[name]) for name, tensor in learnt.items())
    for run in stages:
        settings = json.loads((run / "final" / "adapter_config.json").read_text())
        assert (settings["r"], settings["base_model_name_or_path"]) == (2, str(model_folder)), "one adapter, on the first base"
        assert find_model(str(run)).adapters == (str(run / "final"),)


def test_each_stage_is_measured_from_where_it_began(stages: list[Path]) -> None:
    """Against the base itself, the first losses would show what the stages before have learnt."""
    _, preferences, online = (read_lines(run / "metrics.jsonl") for run in stages)
    assert preferences[1]["loss"] == pytest.approx(math.log(2), abs=1e-5), "no pair is preferred more than by the reference"
    assert abs(online[1]["kl_reference"]) < 1e-6
    assert online[2]["kl_reference"] > 1e-6


def test_the_end_of_the_chain_is_one_plain_model(stages: list[Path], tmp_path: Path) -> None:
    from peft import AutoPeftModelForCausalLM

    assert main(["merge", str(stages[-1]), "--out", str(tmp_path / "plain")]) == 0
    wanted = logits(AutoPeftModelForCausalLM.from_pretrained(stages[-1] / "final"))
    assert (logits(AutoModelForCausalLM.from_pretrained(tmp_path / "plain")) - wanted).abs().max() < 1e-4
