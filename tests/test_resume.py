"""A run that is killed with SIGKILL at any instant, and resumed, gives the numbers of a run that was left alone, to the last bit."""

import json
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rl.run_folder import RunFolder, read_lines
from verifiers.verdict import Verdict, right, wrong

STEPS = 30


def train_until(path: Path, model: Any, *, algorithm: str = "grpo", updates: int = 2, stop_after: int | None = None) -> None:
    """One life of a run: made or resumed, in this process. The reward is a pure function of the response."""
    import torch

    from recipes.arithmetic import make_problems, make_tokenizer
    from rl.algorithms import named
    from rl.evaluate import evaluate
    from rl.losses import KL
    from rl.policy import Policy
    from rl.schedule import Schedule
    from rl.tracking import Tracker
    from rl.train import Loop, train
    from rollout.chat import Chat
    from rollout.engine import Sampling
    from rollout.hf_engine import HFEngine

    torch.set_num_threads(1)
    chat = Chat(make_tokenizer())
    problems = make_problems(12, seed=3, digits=1)

    def verify(pairs: Sequence[tuple[Any, str]]) -> list[Verdict]:
        return [right() if sum(map(ord, response)) % 3 == 0 else wrong() for _, response in pairs]

    run = RunFolder.open(path)[0] if path.exists() else RunFolder.create(path, {"options": {}})
    policy = Policy(model, reference="ema", tokens_per_micro_batch=128)
    engine = HFEngine(pad_id=chat.pad_id)
    loop = Loop(steps=STEPS, problems_per_step=3, lr=Schedule(1e-3, STEPS, 4, "cosine"), updates_per_rollout=updates,
                checkpoint_every=4, eval_every=7, seed=5)  # fmt: skip
    lives = iter(range(10_000))
    tracker = Tracker(run.metrics_path, steps=STEPS)
    tracker.console.quiet = True
    with tracker:
        train(
            loop=loop, policy=policy, engine=engine, chat=chat, sampling=Sampling(6, 4, stop_ids=chat.stop_ids), problems=problems,
            verify=verify, algorithm=named(algorithm, max_completion_length=6, kl=KL(0.01)), run=run, tracker=tracker,
            evaluate=lambda: evaluate(problems, engine=engine, chat=chat, max_tokens=6, verify=verify)[0],
            should_stop=lambda: stop_after is not None and next(lives) >= stop_after,
        )  # fmt: skip


def metrics(path: Path) -> list[dict[str, Any]]:
    """What must be equal to the last bit: everything but times."""
    rows = read_lines(path / "metrics.jsonl")
    return [{key: value for key, value in row.items() if not key.startswith(("time/", "speed/"))} for row in rows]


def rollouts(path: Path) -> list[Any]:
    return [pq.read_table(file).to_pylist() for file in sorted((path / "rollouts").glob("*.parquet"))]


def final_weights(path: Path) -> dict[str, bytes]:
    from safetensors.torch import load_file

    tensors = load_file(path / "checkpoints" / f"step-{STEPS:06d}" / "model" / "model.safetensors")
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, make_arithmetic_model: Callable[[], Any]) -> Path:
    path = tmp_path_factory.mktemp("undisturbed") / "run"
    train_until(path, make_arithmetic_model())
    return path


@pytest.fixture(scope="module")
def make_arithmetic_model(one_thread: None) -> Callable[[], Any]:
    def make() -> Any:
        import torch

        from recipes.arithmetic import make_model, make_tokenizer

        torch.manual_seed(0)
        return make_model(len(make_tokenizer()), hidden=16, layers=1)

    return make


@pytest.mark.parametrize("chain", range(4))
def test_kill_9_at_20_random_instants(chain: int, undisturbed: Path, make_arithmetic_model: Callable[[], Any], tmp_path: Path) -> None:
    """Four runs, each killed five times at random instants of its life and resumed each time: 20 kills."""
    path = tmp_path / "run"
    rng = random.Random(chain)
    began = time.monotonic()
    train_until(tmp_path / "timed", make_arithmetic_model())
    whole = time.monotonic() - began
    context = multiprocessing.get_context("fork")
    kills = 0
    while kills < 5:
        model = make_arithmetic_model()
        child = context.Process(target=train_until, args=(path, model))
        child.start()
        child.join(rng.uniform(0, whole / 3))
        if not child.is_alive():
            break  # the run ended before its fifth kill: nothing left to disturb
        assert child.pid
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        kills += 1
    train_until(path, make_arithmetic_model())
    assert kills >= 3
    assert metrics(path) == metrics(undisturbed)
    assert rollouts(path) == rollouts(undisturbed)
    assert final_weights(path) == final_weights(undisturbed)
    assert not list(path.rglob(".tmp-*")), "half-written files of killed processes are swept away"


def test_stopped_and_resumed_is_the_same_run(undisturbed: Path, make_arithmetic_model: Callable[[], Any], tmp_path: Path) -> None:
    path = tmp_path / "run"
    for stop in (1, 7, None):
        train_until(path, make_arithmetic_model(), stop_after=stop)
    assert metrics(path) == metrics(undisturbed)
    assert final_weights(path) == final_weights(undisturbed)


def test_steps_since_the_checkpoint_are_replayed_not_sampled(make_arithmetic_model: Callable[[], Any], tmp_path: Path) -> None:
    path = tmp_path / "run"
    train_until(path, make_arithmetic_model(), stop_after=10)
    newest = max((path / "checkpoints").iterdir())
    assert newest.name == "step-000010"
    before = {file.name: file.stat().st_mtime_ns for file in (path / "rollouts").iterdir()}
    for part in newest.iterdir():  # as if killed before the checkpoint of step 10 was whole: step 8 is the newest
        if part.name == "position.json":
            part.unlink()
    train_until(path, make_arithmetic_model(), stop_after=4)
    after = {file.name: file.stat().st_mtime_ns for file in (path / "rollouts").iterdir()}
    assert {name: after[name] for name in before} == before, "stored rollouts are read, not written again"
    assert len(after) > len(before)


def test_a_torn_last_line_is_never_read(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2, "rew')
    assert read_lines(path) == [{"step": 1}]


def test_old_checkpoints_go_and_the_newest_are_whole(undisturbed: Path) -> None:
    names = sorted(p.name for p in (undisturbed / "checkpoints").iterdir())
    assert names == ["step-000028", "step-000030"]
    for name in names:
        assert json.loads((undisturbed / "checkpoints" / name / "position.json").read_text())["step"] == int(name[-6:])
