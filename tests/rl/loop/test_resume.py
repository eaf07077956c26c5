"""A run that is killed with SIGKILL at any instant, and resumed, gives the numbers of a run that was left alone, to the last bit."""

import json
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import reasoning_gym  # noqa: F401  # with all else that a life needs, imported once here and not in every life
import torch
from safetensors.numpy import load_file
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM  # noqa: F401

from recipes.setup.arithmetic import make_model, make_problems, make_tokenizer
from rl.evaluation.accuracy import evaluate, evaluation_metrics
from rl.learning.policy import Policy
from rl.learning.reference import MovingAverage
from rl.learning.schedule import Schedule
from rl.loop.train import Loop, train
from rl.objectives.algorithms import named
from rl.objectives.policy_gradient import KL
from rl.runs.run_folder import RunFolder, read_lines
from rl.runs.tracking import Tracker
from rollout.chat import Chat
from rollout.engine import Sampling
from rollout.engines.hf_engine import HFEngine
from rollout.player import Player
from verifiers.verdict import Verdict, right, wrong

STEPS = 30


def train_until(path: Path, stop_after: int | None = None, ahead: int = 0) -> None:
    """One life of a run: made or resumed, in this process. The reward is a pure function of the response."""
    torch.set_num_threads(1)
    chat = Chat(make_tokenizer())
    problems = make_problems(12, seed=3, digits=1)

    def verify(pairs: Iterable[tuple[Any, str]]) -> list[Verdict]:
        return [right() if sum(map(ord, response)) % 3 == 0 else wrong() for _, response in pairs]

    run = RunFolder.open(path)[0] if path.exists() else RunFolder.create(path, {"options": {}})
    torch.manual_seed(0)
    model = make_model(len(chat.tokenizer), hidden=16, layers=1)
    policy = Policy(model, tokens_per_micro_batch=128)
    player = Player(HFEngine(pad_id=chat.pad_id, copy=bool(ahead)), chat, Sampling(6, 4, stop_ids=chat.stop_ids), verify)
    loop = Loop(steps=STEPS, problems_per_step=3, lr=Schedule(1e-3, STEPS, 4, "cosine"), updates_per_rollout=2,
                checkpoint_every=4, eval_every=7, seed=5, ahead=ahead)  # fmt: skip
    lives = iter(range(10_000))
    tracker = Tracker(run.metrics_path, steps=STEPS)
    tracker.console.quiet = True
    with tracker:
        train(
            loop=loop, policy=policy, player=player, problems=problems, algorithm=named("grpo", max_completion_length=6, kl=KL(0.01)),
            run=run, tracker=tracker, reference=MovingAverage(policy),
            evaluate=lambda step: evaluation_metrics({"": evaluate(problems, player)[0]}),
            should_stop=lambda: stop_after is not None and next(lives) >= stop_after,
        )  # fmt: skip


def live(path: Path, *, stop_after: int | None = None, kill_after: float | None = None, ahead: int = 0) -> bool:
    """One life in a process of its own; True if it came to its end, False if it was killed after so many seconds.

    Forked, because importing torch anew would take longer than the run; this process itself never computes, so it has no
    threads whose locks a fork could inherit.
    """
    child = multiprocessing.get_context("fork").Process(target=train_until, args=(path, stop_after, ahead))
    child.start()
    child.join(120 if kill_after is None else kill_after)
    if child.is_alive():
        assert child.pid
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        assert kill_after is not None, "a life that nobody disturbs ends within two minutes"
        return False
    assert child.exitcode == 0
    return True


def metrics(path: Path) -> list[dict[str, Any]]:
    """What must be equal to the last bit: everything but times."""
    rows = read_lines(path / "metrics.jsonl")
    return [{key: value for key, value in row.items() if not key.startswith(("time/", "speed/", "sync/"))} for row in rows]


def rollouts(path: Path) -> list[Any]:
    return [pq.read_table(file, use_threads=False).to_pylist() for file in sorted((path / "rollouts").glob("*.parquet"))]


def final_weights(path: Path) -> dict[str, bytes]:
    tensors = load_file(path / "checkpoints" / f"step-{STEPS:06d}" / "model" / "model.safetensors")
    return {name: tensor.tobytes() for name, tensor in tensors.items()}


def assert_same(path: Path, undisturbed: Path) -> None:
    assert metrics(path) == metrics(undisturbed)
    assert rollouts(path) == rollouts(undisturbed)
    assert final_weights(path) == final_weights(undisturbed)
    assert not list(path.rglob(".tmp-*")), "half-written files of killed processes are swept away"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("undisturbed") / "run"
    assert live(path)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, undisturbed: Path) -> float:
    """Seconds of a life that nobody disturbs, the second of two."""
    began = time.monotonic()
    assert live(tmp_path_factory.mktemp("timed") / "run")
    return time.monotonic() - began


@pytest.mark.parametrize("chain", range(4))
def test_kill_9_at_20_random_instants(chain: int, undisturbed: Path, whole: float, tmp_path: Path) -> None:
    """Four runs, each killed five times at random instants and resumed each time: 20 kills."""
    path = tmp_path / "run"
    rng = random.Random(chain)
    kills = 0
    while kills < 5:
        if live(path, kill_after=rng.uniform(0.05, 1) * whole / 2.5):  # it came to its end first: the next kills fall on a new run
            assert_same(path, undisturbed)
            path = path.with_name(path.name + "-next")
        else:
            kills += 1
    assert live(path)
    assert_same(path, undisturbed)


def test_sampling_one_step_ahead_survives_kills_and_stops_too(undisturbed: Path, tmp_path: Path) -> None:
    alone, path = tmp_path / "alone", tmp_path / "run"
    began = time.monotonic()
    assert live(alone, ahead=1)
    whole = time.monotonic() - began
    rng = random.Random(9)
    for _ in range(4):
        if live(path, kill_after=rng.uniform(0.1, 0.5) * whole, ahead=1):
            break
    live(path, stop_after=2, ahead=1)
    live(path, ahead=1)
    assert_same(path, alone)
    rows = metrics(alone)
    assert rows[1]["staleness"] == 0, "the first rollout is nobody's successor"
    assert [row["staleness"] for row in rows[2:]] == [row["updates"] for row in rows[1:-1]], "as old as the updates of one step"
    assert sum(row["staleness"] for row in rows[2:]) > 40
    assert final_weights(alone) != final_weights(undisturbed)


def test_stopped_and_resumed_is_the_same_run(undisturbed: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    for stop in (1, 7, None):
        assert live(path, stop_after=stop)
    assert_same(path, undisturbed)


def test_steps_since_the_checkpoint_are_replayed_not_sampled(undisturbed: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    assert live(path, stop_after=10)
    newest = max((path / "checkpoints").iterdir())
    assert newest.name == "step-000010"
    newest.rename(newest.with_name(f".tmp-1-0-{newest.name}"))  # as if killed before that checkpoint was whole: step 8 is the newest
    before = {file.name: file.stat().st_mtime_ns for file in (path / "rollouts").iterdir()}
    assert live(path)
    after = {file.name: file.stat().st_mtime_ns for file in (path / "rollouts").iterdir()}
    assert {name: after[name] for name in before} == before, "stored rollouts are read, not written again"
    assert metrics(path) == metrics(undisturbed)


def test_a_torn_last_line_is_never_read(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2, "rew')
    assert read_lines(path) == [{"step": 1}]


def test_old_checkpoints_go_and_the_newest_are_whole(undisturbed: Path) -> None:
    names = sorted(p.name for p in (undisturbed / "checkpoints").iterdir())
    assert names == ["step-000028", "step-000030"]
    for name in names:
        assert json.loads((undisturbed / "checkpoints" / name / "position.json").read_text())["step"] == int(name[-6:])
