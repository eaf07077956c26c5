"""What a policy leaves on disk can be read again: generation defaults, the optimiser's counters, `final/`."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from recipes.commands.cli import main
from rl.learning.model_loading import load_model
from rl.learning.policy import Policy
from rl.objectives.batch import lay_out
from rl.objectives.supervised import sft

SMALL = ["--steps", "1", "--problems-per-step", "2", "--completions-per-problem", "2", "--max-completion-length", "4", "--workers", "1"]
SMALL += ["--engine", "hf", "--tune", "full"]


@pytest.fixture
def with_defaults(model_folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """defaults -> a copy of the tiny model whose generation_config.json holds them."""

    def make(defaults: dict[str, Any]) -> Path:
        folder = Path(shutil.copytree(model_folder, tmp_path / "model"))
        path = folder / "generation_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | defaults))
        return folder

    return make


def test_a_full_tuning_of_a_model_with_sampling_defaults_saves_them(with_defaults: Callable[..., Path], tmp_path: Path) -> None:
    """Loaded with a warning, `{"top_k": 20}` was refused at the first checkpoint."""
    model = with_defaults({"top_k": 20})
    data = tmp_path / "problems.jsonl"
    data.write_text("".join(json.dumps({"problem": f"{n}+1=", "answer": str(n + 1)}) + "\n" for n in range(4)))
    run = tmp_path / "run"
    assert main(list(map(str, ["grpo-math", "--model", model, "--data", data, "--run", run, *SMALL]))) == 0
    for folder in (run / "final", run / "checkpoints" / "step-000001" / "model"):
        saved = GenerationConfig.from_pretrained(folder)
        saved.validate(strict=True)
        assert (saved.top_k, saved.do_sample, saved.eos_token_id) == (20, True, 0)
    assert AutoModelForCausalLM.from_pretrained(run / "final")
    assert not list(run.rglob(".tmp-*"))
    assert main(["grpo-math", "--resume", str(run)]) == 0


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"temperature": 0.6, "top_p": 0.95, "do_sample": False}, {"temperature": 0.6, "top_p": 0.95, "do_sample": True}),
        ({"top_k": 9, "do_sample": True, "repetition_penalty": 1.05}, {"top_k": 9, "do_sample": True, "repetition_penalty": 1.05}),
        ({"length_penalty": 0.8, "early_stopping": True, "top_k": 5}, {"top_k": 5, "early_stopping": None}),
        ({"length_penalty": 0.8, "num_beams": 4, "top_k": 5}, {"length_penalty": 0.8, "num_beams": 4, "top_k": 5}),
        ({"output_scores": True, "min_p": 0.1}, {"min_p": 0.1, "do_sample": True}),
        ({"pad_token_id": -1, "typical_p": 0.9}, {"typical_p": 0.9, "eos_token_id": 0}),
        ({"eos_token_id": [0, 2]}, {"eos_token_id": [0, 2]}),
    ],
)  # fmt: skip
def test_of_generation_defaults_all_that_hold_together_are_saved(
    given: dict[str, Any], kept: dict[str, Any], with_defaults: Callable[..., Path], tmp_path: Path
) -> None:
    policy = Policy(load_model(str(with_defaults(given))), device="cpu")
    policy.save(tmp_path / "saved")
    saved = GenerationConfig.from_pretrained(tmp_path / "saved" / "model")
    saved.validate(strict=True)
    assert {name: getattr(saved, name) for name in kept} == kept


def learn(policy: Policy) -> None:
    tokens = torch.randint(24, (2, 6), generator=torch.Generator().manual_seed(1)).tolist()
    assert policy.update(lay_out(tokens, [[False] + [True] * 5] * 2, [1, 1]), sft(), lr=1e-3).updates == 1


def test_adamws_step_counters_stay_on_the_cpu_after_a_resume(make_qwen2: Callable[..., Any], tmp_path: Path) -> None:
    policy = Policy(make_qwen2(), device="cpu")
    learn(policy)
    policy.save(tmp_path)
    resumed = Policy(make_qwen2(), device="cpu")
    resumed.device = torch.device("meta")  # stands for a GPU: whatever is brought to the policy's device shows
    resumed.load(tmp_path)
    states = list(resumed.optimizer.state.values())
    assert states
    assert {state["step"].device.type for state in states} == {"cpu"}
    assert {state["step"].item() for state in states} == {1.0}
    assert all(state["exp_avg"].abs().sum() > 0 for state in states)


def test_final_is_there_whole_or_not_at_all(with_defaults: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = with_defaults({})
    data = tmp_path / "problems.jsonl"
    data.write_text("".join(json.dumps({"problem": f"{n}+1=", "answer": str(n + 1)}) + "\n" for n in range(4)))
    run = tmp_path / "run"
    save = Policy.save_model

    def killed(policy: Policy, folder: Path) -> None:
        save(policy, folder)
        if folder.name.endswith("final"):
            (folder / "model.safetensors").unlink()
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Policy, "save_model", killed)
        assert main(list(map(str, ["grpo-math", "--model", model, "--data", data, "--run", run, *SMALL]))) == 130
    assert not (run / "final").exists()
    assert main(["grpo-math", "--resume", str(run)]) == 0
    assert AutoModelForCausalLM.from_pretrained(run / "final")
