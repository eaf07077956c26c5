"""Options whose effect is in the set-up: rates, lengths, the optimiser, attention, what a chat template reads."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from recipes import grpo_math
from recipes.commands.cli import main
from recipes.setup.choices import Full, Lora
from recipes.setup.command_line import parse_options
from recipes.setup.options import optimizer_of, with_length
from rl.learning.model_loading import with_attention
from rl.runs.run_folder import read_lines
from verifiers.input_error import InputError

ROWS = [{"problem": f"What is {n}+{n}?", "answer": str(2 * n)} for n in range(10)]
SMALL = ["--problems-per-step", "4", "--completions-per-problem", "2", "--max-completion-length", "4", "--workers", "1", "--engine", "hf"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def config(*words: str) -> Any:
    return parse_options(grpo_math.Config, words, name="grpo-math")


@pytest.mark.parametrize(("tune", "given", "rate"), [(Lora(), None, 1e-5), (Full(), None, 1e-6), (Full(), 3e-4, 3e-4)])
def test_the_learning_rate_is_that_of_what_trains(tune: Any, given: float | None, rate: float, data: Path, model_folder: Path) -> None:
    assert grpo_math.resolve(grpo_math.Config(model=str(model_folder), data=str(data), tune=tune, lr=given)).lr == rate


@pytest.mark.parametrize(("epochs", "steps"), [(1, 3), (2, 5), (0.5, 2), (0.01, 1)])
def test_epochs_are_steps(epochs: float, steps: int) -> None:
    made = with_length(grpo_math.Config(epochs=epochs, problems_per_step=4), 10)
    assert (made.steps, made.epochs) == (steps, None)
    assert with_length(grpo_math.Config(steps=7), 10).steps == 7


def test_adamw_has_the_numbers_that_are_given() -> None:
    made = optimizer_of(config("--adam-beta1", "0.8", "--adam-beta2", "0.95", "--adam-eps", "1e-6", "--weight-decay", "0.1"))
    assert (made.betas, made.eps, made.weight_decay, made.max_grad_norm) == ((0.8, 0.95), 1e-6, 0.1, 1.0)
    defaults = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))]).defaults
    assert (optimizer_of(config()).betas, optimizer_of(config()).eps) == (defaults["betas"], defaults["eps"])


def test_attention_is_another_and_says_the_same(make_qwen2: Any) -> None:
    model, tokens = make_qwen2(), torch.arange(12)[None] % 20
    found = {}
    for name in ("sdpa", "eager"):
        assert with_attention(model, name) is model
        assert model.config._attn_implementation == name
        with torch.no_grad():
            found[name] = model(tokens).logits
    assert (found["sdpa"] - found["eager"]).abs().max() < 1e-5
    with pytest.raises(InputError, match=r"--attention flash_attention_2: .*; use another, or leave it out") as caught:
        with_attention(model, "flash_attention_2")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--steps", "200", "--epochs", "2"], "--steps and --epochs say the same thing twice"),
        (["--epochs", "0"], "--epochs must be a number above 0"),
        (["--adam-beta2", "1"], "--adam-beta2 must be from 0 to below 1"),
        (["--epochs-per-rollout", "0"], "--epochs-per-rollout must be at least 1"),
        (["--algorithm", "rloo", "--epochs-per-rollout", "2"], "--epochs-per-rollout 2: rloo has no probability ratio"),
        (["--template-arg", "a=1", "--no-chat-template"], "--template-arg would be ignored with --no-chat-template"),
        (["--template-arg", "a"], "--template-arg 'a' must be name=value, such as enable_thinking=false"),
        (["--template-arg", "enable_thinking=false"], "the template argument enable_thinking would be ignored"),
    ],
)
def test_what_cannot_be_is_one_line(
    words: list[str], said: str, data: Path, model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["grpo-math", "--model", str(model_folder), "--data", str(data), *SMALL, *words]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith(f"error: {said}")


def test_a_run_has_them_all(data: Path, model_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["--epochs", "0.5", "--epochs-per-rollout", "2", "--updates-per-rollout", "2", "--mask-truncated", "--attention", "eager"]
    assert main(["grpo-math", "--model", str(model_folder), "--data", str(data), "--run", str(run), *SMALL, *words]) == 0
    stored = json.loads((run / "config.json").read_text())["options"]
    assert (stored["steps"], stored["epochs"], stored["lr"]) == (2, None, 1e-5)
    rows = read_lines(run / "metrics.jsonl")[1:]
    assert len(rows) == 2
    cut = [row for row in rows if row["truncated_share"] == 1]
    assert cut, "at 4 tokens a random model is always cut"
    assert {row["effective_batch"] for row in cut} == {0}, "and what was cut does not train"
