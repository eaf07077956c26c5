"""`--resume` with other settings: what cannot change the mathematics may change, everything else is refused by name."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from recipes.commands.cli import main
from rl.runs.run_folder import read_lines
from tests.kills import killed_when

SMALL = ["--problems-per-step", "2", "--completions-per-problem", "4", "--max-completion-length", "5", "--workers", "1", "--engine", "hf"]
SMALL += ["--lr", "1e-2", "--warmup", "2", "--lora-rank", "2"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "problems.jsonl"
    path.write_text("".join(json.dumps({"problem": f"{n}+{n + 1}=", "answer": str(2 * n + 1)}) + "\n" for n in range(6)))
    (path.parent / "mine.py").write_text("def varied(problem, response):\n    return len(set(response)) / 10\n")
    return path


@pytest.fixture(scope="module")
def begin(model_folder: Path, data: Path) -> Callable[..., int]:
    """(run, more words) -> a new run's exit code."""

    def start(run: Path, *more: str | Path) -> int:
        return main(
            [
                "grpo-math",
                *map(
                    str, ["--model", model_folder, "--data", data, "--run", run, *SMALL, "--reward", f"{data.parent}/mine.py:varied", *more]
                ),
            ]
        )

    return start


@pytest.fixture(scope="module")
def straight(begin: Callable[..., int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six steps in one life."""
    run = tmp_path_factory.mktemp("straight") / "run"
    assert begin(run, "--steps", "6") == 0
    return run


def resume(run: Path, *more: str | Path) -> int:
    return main(["grpo-math", "--resume", *map(str, [run, *more])])


def adapter(run: Path) -> dict[str, Any]:
    return dict(load_file(run / "final" / "adapter_model.safetensors"))


def learnt(run: Path) -> list[tuple[float, ...]]:
    return [tuple(row[name] for name in ("step", "reward", "loss", "grad_norm", "lr")) for row in read_lines(run / "metrics.jsonl")[1:]]


def numbers(run: Path) -> list[dict[str, Any]]:
    """All that does not depend on the machine."""
    rows = read_lines(run / "metrics.jsonl")
    return [{key: value for key, value in row.items() if not key.startswith(("time/", "speed/", "sync/"))} for row in rows]


def test_a_finished_run_goes_on_as_if_it_had_been_longer_from_the_start(begin: Callable[..., int], straight: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert begin(run, "--steps", "2") == 0
    assert resume(run, "--steps", "6") == 0
    assert learnt(run) == learnt(straight)
    assert all((tensor == adapter(straight)[name]).all() for name, tensor in adapter(run).items())
    config = json.loads((run / "config.json").read_text())
    assert config["options"]["steps"] == 6
    assert config["changes"] == [{"after_step": 2, "options": {"steps": [2, 6]}}]
    assert resume(run) == 0, "it is finished, and says so"
    assert json.loads((run / "config.json").read_text()) == config


def _live(start: Callable[..., int], arguments: list[str | Path]) -> None:
    os._exit(start(*arguments))


def test_killed_and_resumed_with_other_memory_settings_it_learns_the_same(
    begin: Callable[..., int], straight: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    killed_when(lambda: len(read_lines(run / "metrics.jsonl")) >= 4, _live, begin, [run, "--steps", "6", "--checkpoint-every", "2"])
    others = ["--tokens-per-micro-batch", "40", "--gradient-checkpointing", "--checkpoint-every", "1"]
    assert resume(run, *others, "--workers", "2", "--deadline", "20") == 0
    for ours, theirs in zip(learnt(run), learnt(straight), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-6)
    for name, tensor in adapter(run).items():
        assert (tensor - adapter(straight)[name]).abs().max() < 1e-5
    changed = json.loads((run / "config.json").read_text())["changes"][0]["options"]
    assert changed["tokens_per_micro_batch"] == [16384, 40]
    assert set(changed) == {"tokens_per_micro_batch", "gradient_checkpointing", "checkpoint_every", "workers", "deadline"}


@pytest.mark.slow
def test_several_passes_over_a_rollout_killed_and_resumed_are_the_same_to_the_last_bit(begin: Callable[..., int], tmp_path: Path) -> None:
    """Six updates a step: the last checkpoint's optimiser, the stored rollout and the old log-probabilities are all found again."""
    words = ["--steps", "6", "--epochs-per-rollout", "3", "--updates-per-rollout", "2", "--kl-coef", "0.1", "--checkpoint-every", "2"]
    assert begin(tmp_path / "whole", *words) == 0
    assert read_lines(tmp_path / "whole" / "metrics.jsonl")[-1]["updates"] == 6
    for rows in (2, 4, 6):  # before the first checkpoint, between two, beside one
        run = tmp_path / f"run-{rows}"
        killed_when(lambda run=run, rows=rows: len(read_lines(run / "metrics.jsonl")) >= rows, _live, begin, [run, *words])
        assert resume(run) == 0
        assert numbers(run) == numbers(tmp_path / "whole")
        assert all((tensor == adapter(tmp_path / "whole")[name]).all() for name, tensor in adapter(run).items())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--lr", "1"], ("--lr 0.01", "cannot change", "leave --lr out", "--model")),
        (["--lr", "1e-5"], ("--lr 0.01",)),  # the default, given: it is not what the run has
        (["--temperature", "0.5", "--seed", "3"], ("--seed 0 and --temperature 1.0",)),
        (["--lora-rank", "4"], ("--lora-rank 2",)),
        (["--reward", "math_answer"], ("goes on with --reward /",)),
        (["--no-chat-template"], ("--chat-template True",)),
        (["--run", "elsewhere"], ("goes on with --run",)),
        (["--steps", "3"], ("has done 6 steps already",)),
        (["--engine-memory", "0.5"], ("--engine-memory would be ignored with --engine hf",)),
        (["--server-url", "x"], ("--server-url would be ignored with --engine hf",)),
        (["--algorithm", "dapo"], ("goes on with --algorithm grpo",)),
        (["--workers", "0"], ("--workers must be at least 1",)),
    ],
)  # fmt: skip
def test_what_would_make_it_another_run_is_refused_by_name(
    given: list[str], expected: tuple[str, ...], straight: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (straight / "config.json").read_bytes()
    capsys.readouterr()
    assert resume(straight, *given) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    for words in expected:
        assert words in said
    assert (straight / "config.json").read_bytes() == before


def test_what_the_run_has_may_be_said_again(straight: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data.parent)
    before = (straight / "config.json").read_bytes()
    assert resume(straight, "--lr", "0.01", "--data", data.name, "--run", straight, "--reward", f"{data.parent}/mine.py:varied") == 0
    assert (straight / "config.json").read_bytes() == before


def test_a_cosine_goes_on_only_where_its_rates_are_those_of_the_longer_run(
    begin: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert begin(run, "--steps", "2", "--schedule", "cosine") == 0
    assert resume(run, "--steps", "3") == 0, "until now it was all warm-up, the same for any length"
    assert resume(run, "--steps", "5") == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "cosine was drawn over 3 steps, 3 of which are done" in said
    assert f"--model {run}" in said
