"""The recipe with tools, end to end with a tiny random model (plumbing, not learning), its mistakes in one line, and OpenEnv."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from recipes.commands.cli import main
from rl.runs.run_folder import read_lines
from rollout.tools.environment import Reply
from rollout.tools.openenv_environment import OpenEnvEnvironment, shown
from tests.progress_lines import without_progress
from verifiers.problem import make_problem

SMALL = ["--steps", "2", "--problems-per-step", "2", "--completions-per-problem", "3", "--max-completion-length", "160", "--workers", "1",
         "--system-prompt", ""]  # fmt: skip
MINE = """
from rollout.tools.environment import Reply

class Counter:
    scores = True
    stop_texts = tuple("0123456789abcdefghijklmnopqrstuvwxyz")

    def reset(self, problem):
        self.turns = 0

    def step(self, text):
        self.turns += 1
        return Reply("<ok>", reward=float(len(text)), done=self.turns > 2)

class NoStep:
    def reset(self, problem):
        return None
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"{n} + {n} = ?", "answer": str(2 * n)}) + "\n" for n in range(1, 9)))
    (tmp_path / "mine.py").write_text(MINE)
    return path


def test_an_environment_of_the_users_scores_a_run_that_resumes(model_folder: Path, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = [
        "grpo-tools",
        "--model",
        model_folder,
        "--data",
        data,
        "--environment",
        f"{tmp_path}/mine.py:Counter",
        "--run",
        run,
        *SMALL,
    ]
    assert main([*map(str, arguments), "--max-turns", "3"]) == 0
    rows = pq.read_table(run / "rollouts" / "step-000001.parquet").to_pylist()
    assert len(rows) == 6
    assert any(not all(row["sampled"]) for row in rows)
    for row in rows:
        assert all(own or p == 0.0 for p, own in zip(row["logprobs"], row["sampled"], strict=True))
        assert "<ok>" not in row["response"]
        assert row["score"] > 0
    metrics = read_lines(run / "metrics.jsonl")[-1]
    assert 0 < metrics["tools/replies"] <= 3
    assert 0 < metrics["tools/token_share"] < 1
    assert metrics["time/tools"] > 0
    assert main(["grpo-tools", "--resume", str(run)]) == 0


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (["--environment", "nowhere.py:Class"], "an environment is FILE.py:CLASS"),
        (["--environment", "HERE/mine.py:Countr"], "defines no 'Countr'"),
        (["--environment", "HERE/mine.py:NoStep"], "has no step"),
        (["--environment", "mine"], "write FILE.py:CLASS"),
        (["--environment", "HERE/mine.py:Counter", "--style", "tags"], "--style would be ignored"),
        (["--environment", "HERE/mine.py:Counter", "--reward", "math_answer"], "--reward would be ignored"),
        (["--openenv-action", "text"], "--openenv-action would be ignored"),
        (["--max-turns", "0"], "--max-turns must be at least 1"),
        (["--tool-seconds", "0"], "--tool-seconds must be a number above 0"),
        (["--environment", "openenv:localhost"], "openenv:http://"),
    ],
)
def test_mistakes_are_one_line(extra: list[str], expected: str, model_folder: Path, data: Path, tmp_path: Path, capsys: Any) -> None:
    extra = [value.replace("HERE", str(tmp_path)) for value in extra]
    assert main(["grpo-tools", "--model", str(model_folder), "--data", str(data), "--run", str(tmp_path / "run"), *extra]) == 2
    said = without_progress(capsys.readouterr().err)
    assert said.startswith("error: ")
    assert "\n" not in said
    assert expected in said


class Inner:
    """As an OpenEnv environment in this process: the reward and the end are in the observation."""

    def __init__(self) -> None:
        self.closed = 0

    def reset(self, seed: int = 0) -> Any:
        return SimpleNamespace(observation={"message": f"seed {seed}", "done": False}, reward=None, done=False)

    def step(self, action: dict[str, str]) -> Any:
        return SimpleNamespace(observation={"echo": action["message"], "turn": 1, "left": 2}, reward=True, done=True)

    def close(self) -> None:
        self.closed += 1


def test_an_openenv_result_becomes_a_reply() -> None:
    environment = OpenEnvEnvironment(Inner, lambda text: {"message": text})
    assert environment.reset(make_problem("a", "b", meta={"reset": {"seed": 5}})) == "seed 5"
    assert environment.step("hey") == Reply('{"echo": "hey", "turn": 1, "left": 2}', done=True, reward=1.0)
    environment.close()
    assert environment.inner.closed == 1
    assert shown("text") == "text"


def test_a_real_openenv_environment_plays() -> None:
    """With the package's own types; a server is not started here."""
    pytest.importorskip("openenv.core", reason="the package openenv is not installed")
    from openenv.core.env_server.interfaces import Environment
    from openenv.core.env_server.types import Action, Observation, State

    class Said(Action):
        message: str

    class Heard(Observation):
        text: str

    class Parrot(Environment):
        def reset(self, seed: Any = None, episode_id: Any = None, **_: Any) -> Heard:
            return Heard(text="say something")

        def step(self, action: Said, timeout_s: Any = None, **_: Any) -> Heard:
            return Heard(text=action.message, reward=0.5, done=action.message == "bye")

        @property
        def state(self) -> State:
            return State()

    environment = OpenEnvEnvironment(Parrot, lambda text: Said(message=text))
    assert environment.reset(make_problem("a", "b")) == "say something"
    assert environment.step("hello") == Reply("hello", reward=0.5)
    assert environment.step("bye") == Reply("bye", reward=0.5, done=True)
    environment.close()
