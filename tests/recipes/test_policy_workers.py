"""A run whose policy is cut over two processes is the run of one process: the same numbers, the same end, and its own deaths."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from recipes.commands.cli import main
from rl.runs.run_folder import read_lines
from verifiers.child_environment import PACKAGE_ROOT

SMALL = ["--steps", "2", "--problems-per-step", "2", "--completions-per-problem", "3", "--max-completion-length", "6", "--workers", "1"]
SMALL += ["--engine", "hf", "--tune", "full", "--lr", "1e-3", "--kl-coef", "0.04", "--updates-per-rollout", "2", "--checkpoint-every", "1"]
TIMES = ("time/", "speed/", "sync/")


@pytest.fixture(scope="module")
def arguments(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Of a run with rewards that differ within every group: where none do, the step's gradient is 0 but for rounding, which AdamW scales up
    to a whole step."""
    folder = tmp_path_factory.mktemp("problems")
    (folder / "problems.jsonl").write_text("".join(json.dumps({"prompt": f"{n} + 1 =", "answer": str(n + 1)}) + "\n" for n in range(12)))
    (folder / "mine.py").write_text("def brief(problem, response):\n    return sum(map(ord, response)) % 97 / 97\n")
    return ["--model", str(model_folder), "--data", str(folder / "problems.jsonl"), "--reward", f"{folder}/mine.py:brief", *SMALL]


def grpo_math(*arguments: str | Path) -> int:
    return main(["grpo-math", *map(str, arguments)])


def numbers(run: Path) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if not name.startswith(TIMES)} for row in read_lines(run / "metrics.jsonl")]


def assert_same_run(mine: Path, theirs: Path) -> None:
    rows = numbers(theirs)
    assert len(rows) == 3
    assert all(row["grad_norm"] > 0 and row["groups_dead"] == 0 for row in rows[1:])
    for one, other in zip(numbers(mine), rows, strict=True):
        assert one == pytest.approx(other, rel=1e-5, abs=1e-5)


@pytest.fixture(scope="module")
def alone(arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("alone") / "run"
    assert grpo_math(*arguments, "--run", run) == 0
    return run


def test_two_workers_make_the_run_of_one_process(arguments: list[str], alone: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert grpo_math(*arguments, "--run", run, "--policy-workers", "2") == 0
    assert_same_run(run, alone)
    from safetensors.torch import load_file

    mine, theirs = (load_file(folder / "final" / "model.safetensors") for folder in (run, alone))
    assert mine.keys() == theirs.keys()
    assert all((mine[name] - theirs[name]).abs().max() < 1e-5 for name in theirs)


def test_a_killed_worker_is_named_and_the_run_goes_on(
    arguments: list[str], alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its second step; what goes on is one process."""
    from rl.workers.local_workers import LocalWorkers

    call, killed = LocalWorkers.call, []

    def kills(self: LocalWorkers, name: str, *given: object, **named: object) -> object:
        if name == "update" and self.stamp[0] == 2:
            os.kill(self.pids[1], signal.SIGKILL)
            killed.append(time.monotonic())
        return call(self, name, *given, **named)

    monkeypatch.setattr(LocalWorkers, "call", kills)
    run = tmp_path / "run"
    assert grpo_math(*arguments, "--run", run, "--policy-workers", "2") == 2
    assert time.monotonic() - killed[0] < 30
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "policy worker 1 died (exit code -9, SIGKILL)" in last
    assert f"continue with --resume {run}" in last
    assert "worker-1.log" in last
    assert json.loads((run / "manifest.json").read_text())["status"] == "stopped"
    assert grpo_math("--resume", run, "--policy-workers", "0") == 0
    assert_same_run(run, alone)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--algorithm", "ppo"], "a critic lives in the policy's own process"),
        (["--tensor-parallel", "4"], "--tensor-parallel 4 --policy-workers 2: workers compute a layer in groups of so many"),
        (["--policy-workers", "-1"], "--policy-workers must be 0 or more"),
    ],
)
def test_what_cannot_be_cut_is_refused(arguments: list[str], given: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    plain = [word for word in arguments if word not in ("--kl-coef", "0.04")]
    assert grpo_math(*plain, "--policy-workers", "2", *given) == 2
    assert said in capsys.readouterr().err


def test_more_workers_than_gpus_are_refused(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert grpo_math(*arguments, "--policy-workers", "2") == 2
    assert "this machine has 1 GPUs" in capsys.readouterr().err


@pytest.mark.slow
def test_two_workers_that_share_layers_make_the_run_of_one_process(arguments: list[str], alone: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert grpo_math(*arguments, "--run", run, "--policy-workers", "2", "--tensor-parallel", "2") == 0
    assert_same_run(run, alone)


def under_torchrun(*arguments: str | Path) -> subprocess.Popen[str]:
    # without the --, torchrun takes --run for an abbreviation of one of its own options
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--", "recipes.commands.cli"]
    settings = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    return subprocess.Popen(
        [*command, "grpo-math", *map(str, arguments)], cwd=PACKAGE_ROOT, env=settings, stderr=subprocess.PIPE, text=True, stdout=sys.stderr
    )


@pytest.mark.slow
def test_torchrun_makes_the_run_of_one_process(arguments: list[str], alone: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with under_torchrun(*arguments, "--run", run, "--policy-workers", "2") as started:
        said = started.communicate(timeout=280)[1]
    assert started.returncode == 0, said[-3000:]
    assert_same_run(run, alone)
    with under_torchrun(*arguments, "--run", run, "--overwrite") as started:
        said = started.communicate(timeout=280)[1]
    assert started.returncode != 0
    assert "torchrun has started 2 processes; give --policy-workers 2" in said


@pytest.mark.slow
@pytest.mark.parametrize("fate", [signal.SIGKILL, signal.SIGSTOP])
def test_a_rank_of_torchrun_that_dies_or_hangs_is_named_and_the_run_goes_on(
    arguments: list[str], tmp_path: Path, fate: signal.Signals
) -> None:
    run = tmp_path / "run"
    longer = ["300" if before == "--steps" else word for before, word in pairwise(["", *arguments])]
    with under_torchrun(*longer, "--run", run, "--policy-workers", "2") as started:
        until = time.monotonic() + 240
        while len(read_lines(run / "metrics.jsonl") if (run / "metrics.jsonl").exists() else []) < 2 and time.monotonic() < until:
            time.sleep(0.1)
        lost = rank_of(started.pid, 1)
        os.kill(lost, fate)
        began = time.monotonic()
        said = started.communicate(timeout=120)[1]
        assert time.monotonic() - began < 30
    assert started.returncode != 0
    assert f"(pid: {lost})" in said  # torchrun's summary
    assert f"continue with --resume {run}" in said
    if fate == signal.SIGSTOP:
        assert f"policy worker 1 (process {lost} of this machine) gave no sign for 20 s" in said
    steps = len(read_lines(run / "metrics.jsonl")) + 1
    assert grpo_math("--resume", run, "--policy-workers", "0", "--steps", steps) == 0
    assert [row["step"] for row in read_lines(run / "metrics.jsonl")] == list(range(steps + 1))


def rank_of(launcher: int, rank: int) -> int:
    """The process that torchrun started as this rank."""
    children = [int(child) for child in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()]
    return next(child for child in children if f"\0RANK={rank}\0" in Path(f"/proc/{child}/environ").read_text())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_ray_holds_workers_and_engines_side_by_side(arguments: list[str], tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed: pip install 'reckon-rl[ray]'")
    runs = [tmp_path / "alone", tmp_path / "cut"]
    ray = ["--engine", "ray", "--ray-engine", "hf", "--engines", "2"]
    plain = [word for word in arguments if word not in ("--engine", "hf")]
    for run, workers in zip(runs, ("0", "2"), strict=True):
        assert grpo_math(*plain, *ray, "--run", run, "--policy-workers", workers) == 0
    assert_same_run(runs[1], runs[0])
