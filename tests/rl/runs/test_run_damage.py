"""A run's folder as accidents leave it: two processes at once, damaged files, changed rewards, signals. One line each, nothing lost."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recipes import grpo_math
from recipes.commands.cli import main
from recipes.setup.options import from_json
from recipes.setup.resuming import resumed, stored_run
from recipes.setup.reward_code import changed, reward_code
from rl.runs.run_folder import Position, RunFolder, append_line, read_lines
from verifiers.child_environment import PACKAGE_ROOT
from verifiers.input_error import InputError
from verifiers.problem import make_problem

ROOT = Path(PACKAGE_ROOT)
SMALL = ["--steps", "2", "--problems-per-step", "2", "--completions-per-problem", "3", "--max-completion-length", "4", "--workers", "1"]
SMALL += ["--engine", "hf", "--checkpoint-every", "1"]
PROBLEMS = [(f"{a}+{b}=", str(a + b)) for a in range(4) for b in range(4)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "problems.jsonl"
    path.write_text("".join(json.dumps({"problem": p, "answer": a}) + "\n" for p, a in PROBLEMS))
    return path


@pytest.fixture(scope="module")
def finished(data: Path, model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run of two steps."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "mine.py").write_text("def odd(problem, response):\n    return len(response) % 2\n")
    arguments = ["grpo-math", "--model", model_folder, "--data", data, "--run", folder / "run", "--held-out", "3", *SMALL]
    assert main(list(map(str, [*arguments, "--reward", f"{folder}/mine.py:odd"]))) == 0
    return folder / "run"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def one_line(capsys: pytest.CaptureFixture[str], run: Path, *expected: str) -> None:
    capsys.readouterr()
    assert main(["grpo-math", "--resume", str(run)]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith("error: ")
    assert not any("Traceback" in line for line in said)
    for words in expected:
        assert words in said[-1], said[-1]


# --- two processes -------------------------------------------------------------------------------------------------------

HOLD = "import sys, time; from pathlib import Path; from rl.runs.run_folder import RunFolder\n"
HOLD += "run = RunFolder(Path(sys.argv[1])); run.lock(); print('held', flush=True); time.sleep(600)"


@pytest.fixture
def holder(run: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that writes the run."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(run)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_two_processes_on_one_run_folder_are_one_line(
    run: Path, holder: subprocess.Popen[str], data: Path, model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != ".lock"}
    one_line(capsys, run, "is being written by another process", str(holder.pid))
    arguments = ["grpo-math", "--model", model_folder, "--data", data, "--run", run, "--overwrite", *SMALL]
    assert main(list(map(str, arguments))) == 2
    assert "is being written by another process" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != ".lock"} == before
    assert main(["plot", str(run)]) == 0, "a run may be looked at while it is written"
    holder.kill()  # -9: the kernel gives the lock back
    holder.wait()
    assert main(["grpo-math", "--resume", str(run)]) == 0


def test_a_run_that_ended_is_free_for_others(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "run", {"options": {}}) as first:
        with pytest.raises(InputError, match="being written"):
            RunFolder(first.path).lock()
        with pytest.raises(InputError, match="being written"):
            RunFolder.create(first.path, {"options": {}}, overwrite=True)
        assert (first.path / "config.json").exists()
    with RunFolder.create(first.path, {"options": {"new": 1}}, overwrite=True) as second:
        assert json.loads((second.path / "config.json").read_text()) == {"options": {"new": 1}}


def test_a_folder_left_by_a_kill_before_its_config_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").write_text("1")
    (tmp_path / "run" / ".tmp-1-config.json").write_text('{"opt')
    RunFolder.create(tmp_path / "run", {"options": {}}).close()
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [".lock", "config.json", "manifest.json"]


def test_what_a_kill_left_half_written_anywhere_in_a_run_is_swept_away(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "run", {"options": {}}) as run:
        for folder in (run.path, run.checkpoints, run.rollouts.folder, run.plots):
            folder.mkdir(exist_ok=True)
            (folder / ".tmp-1-0-half").write_text("")
        assert run.restore() is None
    assert not list(tmp_path.rglob(".tmp-*"))


# --- damaged runs on --resume ----------------------------------------------------------------------------------------------


class Bomb:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def bomb(path: Path) -> None:
    path.write_bytes(pickle.dumps(Bomb(path.parent / "exploded")))


def foreign_adapter(path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"base_model.model.other.lora_A.weight": torch.zeros(2, 2)}, path)


def foreign_state(path: Path) -> None:
    import torch

    model = torch.nn.Linear(3, 4)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(3)).sum().backward()
    optimizer.step()
    torch.save({"optimizer": optimizer.state_dict(), "version": 1, "skipped": 0}, path)


def text(content: str) -> Callable[[Path], Any]:
    return lambda path: path.write_text(content)


def _replace(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


def resume(run: Path, policy: Any) -> None:
    """What the command reads of a run, in its order."""
    grpo_math.resolve(resumed(grpo_math.Config(resume=run)))
    with RunFolder.open(run)[0] as opened:
        opened.lock()
        opened.restore(policy)


TRAINER, ADAPTER = "checkpoints/step-000002/trainer.pt", "checkpoints/step-000002/model/adapter_model.safetensors"
POSITION = "checkpoints/step-000002/position.json"
DAMAGES: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "a config.json cut short": ("config.json", cut, "its config.json cannot be read"),
    "a config.json that is a list": ("config.json", text("[1]"), "its config.json cannot be read"),
    "a pipe for config.json": ("config.json", pipe, "not a regular file"),
    "an option of another type": ("config.json", lambda p: _replace(p, '"steps": 2', '"steps": "two"'), "steps must be a whole number"),
    "a foreign metrics.jsonl": ("metrics.jsonl", text('{"name": "x"}\n'), "metrics.jsonl is damaged: after 0 whole lines"),
    "a metrics.jsonl of bytes": ("metrics.jsonl", lambda p: p.write_bytes(b"\xff\xfe\n" * 9), "metrics.jsonl is damaged"),
    "a metrics.jsonl cut short": ("metrics.jsonl", cut, "it should hold each step once"),
    "a step twice in metrics.jsonl": ("metrics.jsonl", lambda p: p.write_text(p.read_text() + p.read_text()), "each step once"),
    "a pipe for metrics.jsonl": ("metrics.jsonl", pipe, "not a regular file"),
    "an empty position.json": (POSITION, text(""), "step-000002 is damaged"),
    "another position.json": (POSITION, text('{"step": 7, "cursor": 1}'), "another checkpoint's"),
    "no position.json": (POSITION, Path.unlink, "step-000002 is damaged"),
    "a folder for position.json": (POSITION, folder, "step-000002 is damaged"),
    "a pipe for .lock": (".lock", pipe, "is not a regular file"),
    "a link to a device for .lock": (".lock", lambda p: (p.unlink(), p.symlink_to("/dev/zero")), "is not a regular file"),
    "a position.json without a place": (POSITION, text('{"step": 2}'), "cursor"),
    "a trainer.pt cut short": (TRAINER, cut, "step-000002 is damaged"),
    "an empty trainer.pt": (TRAINER, text(""), "step-000002 is damaged"),
    "a pickle bomb for trainer.pt": (TRAINER, bomb, "step-000002 is damaged"),
    "another policy's trainer.pt": (TRAINER, foreign_state, "another policy's"),
    "a pipe for trainer.pt": (TRAINER, pipe, "trainer.pt is not a regular file"),
    "an adapter cut short": (ADAPTER, cut, "step-000002 is damaged"),
    "another policy's adapter": (ADAPTER, foreign_adapter, "the adapter is another policy's"),
    "no adapter": (ADAPTER, Path.unlink, "adapter_model.safetensors"),
}  # fmt: skip


@pytest.fixture
def policy(model_folder: Path) -> Any:
    """As the finished run's."""
    from rl.learning.adapters import Lora
    from rl.learning.model_loading import load_model
    from rl.learning.policy import Policy

    return Policy(load_model(str(model_folder)), lora=Lora(16, 32.0), device="cpu")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_on_resume_is_one_line(damage: str, run: Path, policy: Any) -> None:
    name, spoil, said = DAMAGES[damage]
    spoil(run / name)
    with pytest.raises(InputError) as caught:
        resume(run, policy)
    assert said in str(caught.value)
    assert str(run) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(run.rglob("exploded"))


def rewritten(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        from safetensors.torch import load_file, save_file

        save_file(change(load_file(path)), path, metadata={"format": "pt"})

    return spoil


FULL_DAMAGES: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "weights cut short": ("model.safetensors", cut),
    "weights under other names": ("model.safetensors", rewritten(lambda t: {f"other.{name}": value for name, value in t.items()})),
    "one tensor missing": ("model.safetensors", rewritten(lambda t: dict(list(t.items())[1:]))),
    "another shape": ("model.safetensors", rewritten(lambda t: t | {"model.norm.weight": t["model.norm.weight"][:-1].clone()})),
    "a config.json of nothing": ("config.json", text("{}")),
    "a pipe for config.json": ("config.json", pipe),
    "no weights": ("model.safetensors", Path.unlink),
}


@pytest.mark.parametrize("damage", FULL_DAMAGES)
def test_a_damaged_checkpoint_of_a_full_tuning_is_one_line(damage: str, make_qwen2: Callable[..., Any], tmp_path: Path) -> None:
    """Tensors that are missing in it would otherwise be random ones."""
    from rl.learning.policy import Policy

    name, spoil = FULL_DAMAGES[damage]
    policy = Policy(make_qwen2(), device="cpu")
    with RunFolder.create(tmp_path / "run", {"options": {}}) as run:
        append_line(run.metrics_path, {"step": 0})
        run.save(Position(), policy)
        assert run.restore(Policy(make_qwen2(), device="cpu")) == Position()
        spoil(run.checkpoints / "step-000000" / "model" / name)
        with pytest.raises(InputError, match=r"step-000000 is damaged: .*; restore it, or start a new run") as caught:
            run.restore(policy)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["a pipe for config.json", "a foreign metrics.jsonl", "a pickle bomb for trainer.pt"])
def test_a_damaged_run_ends_the_command_with_2(damage: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, spoil, said = DAMAGES[damage]
    spoil(run / name)
    one_line(capsys, run, said)


def test_a_whole_run_still_resumes(run: Path, policy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert RunFolder.open(run)[0].restore(policy) == Position(2, 4)
    shutil.rmtree(run / "checkpoints" / "step-000002")  # what the messages advise
    assert RunFolder.open(run)[0].restore(policy) == Position(1, 2)
    assert main(["grpo-math", "--resume", str(run)]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("kind", ["cut", "text", "another schema", "other problems", "other tokens", "a group short"])
def test_a_damaged_rollout_on_resume_is_one_line(kind: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = run / "rollouts" / "step-000002.parquet"
    shutil.rmtree(run / "checkpoints" / "step-000002")  # so that step 2 is replayed
    table = pq.read_table(path)
    rows = table.to_pylist()
    if kind == "cut":
        cut(path)
    elif kind == "text":
        path.write_text("not Parquet")
    elif kind == "another schema":
        pq.write_table(pa.table({"a": [1]}), path)
    else:
        for row in rows:
            row["problem_id"] = "0" * 16 if kind == "other problems" else row["problem_id"]
            row["tokens"] = [10**6] * len(row["tokens"]) if kind == "other tokens" else row["tokens"]
        rows = rows[1:] if kind == "a group short" else rows
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    one_line(capsys, run, str(path), "remove it")
    path.unlink()
    assert main(["grpo-math", "--resume", str(run)]) == 0, capsys.readouterr().err


def test_line_separators_inside_a_json_string_do_not_cut_a_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    odd = "a\u2028b\u2029c\x85d\x0be\x0cf"
    append_line(path, {"step": 1, "name": odd})
    append_line(path, {"step": 2})
    assert read_lines(path) == [{"step": 1, "name": odd}, {"step": 2}]


def test_a_pipe_in_a_model_folder_is_not_waited_for(model_folder: Path, data: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(model_folder, tmp_path / "model"))
    pipe(model / "config.json")
    with pytest.raises(InputError, match=r"config\.json is not a regular file"):
        grpo_math.load_chat(grpo_math.resolve(grpo_math.Config(model=str(model), data=str(data))))


def test_stored_options_must_fit_their_types(tmp_path: Path) -> None:
    good = {"steps": 3, "lr": 1, "reward": ["exact"], "kl_coef": 0.5, "eval_data": None, "run": "r", "tune": "full"}
    assert from_json(grpo_math.Config, good, tmp_path).reward == ("exact",)
    for name, bad in [("steps", 2.5), ("steps", True), ("lr", "1"), ("reward", "exact"), ("reward", [1]), ("tune", "half"), ("run", None)]:
        with pytest.raises(InputError, match=f"its config.json: {name} must be "):
            from_json(grpo_math.Config, {name: bad}, tmp_path)


# --- what changed since ------------------------------------------------------------------------------------------------------


def test_changed_reward_code_is_noticed_on_resume(run: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = finished.parent / "mine.py"
    before = mine.read_text()
    try:
        capsys.readouterr()
        assert main(["grpo-math", "--resume", str(run)]) == 0
        assert "changed since" not in capsys.readouterr().err
        mine.write_text(before.replace("% 2", "% 3"))
        assert main(["grpo-math", "--resume", str(run)]) == 0
        said = [line for line in capsys.readouterr().err.splitlines() if "changed since" in line]
        assert len(said) == 1
        assert "mine.py:odd" in said[0]
    finally:
        mine.write_text(before)


def test_rewards_are_marked_by_their_source_or_our_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "rewards_of_mine"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / "style.py").write_text("def f(problem, response):\n    return 1\n")
    (tmp_path / "a.py").write_text("def f(problem, response):\n    return 1\n")
    specs = ["gate(response_format, a.py:f)=0.5", "rewards_of_mine.style:f", "math_answer"]
    then = reward_code(specs)
    assert set(then) == {"response_format", "a.py:f", "rewards_of_mine.style:f", "math_answer"}
    assert changed(then, reward_code(specs)) == ""
    (tmp_path / "a.py").write_text("def f(problem, response):\n    return 2\n")
    assert "a.py:f" in changed(then, reward_code(specs))
    assert "style" not in changed(then, reward_code(specs))
    (package / "style.py").write_text("# another\n")
    assert "rewards_of_mine.style:f" in changed(then, reward_code(specs))
    assert "math_answer (reckon-rl 0.0 then" in changed(then | {"math_answer": "reckon-rl 0.0"}, then)


def test_held_out_problems_are_drawn_by_the_seed(data: Path, finished: Path, tmp_path: Path) -> None:
    def drawn(seed: int, file: Path = data) -> set[str]:
        train, held = grpo_math.load_data(grpo_math.Config(data=str(file), held_out=4, seed=seed))
        assert len(train) == len(PROBLEMS) - 4
        assert not {p.id for p in train} & {p.id for p in held}
        return {p.id for p in held}

    last = {make_problem(p, a).id for p, a in PROBLEMS[-4:]}
    assert drawn(0) == drawn(0)
    assert len({frozenset(drawn(seed)) for seed in range(8)}) > 4
    assert all(drawn(seed) != last for seed in range(8))
    shuffled = tmp_path / "shuffled.jsonl"
    shuffled.write_text("".join(sorted(data.read_text().splitlines(keepends=True), reverse=True)))
    assert drawn(3, shuffled) == drawn(3), "the order of the file says nothing"


def test_a_run_of_before_keeps_the_held_out_problems_that_it_had(run: Path, data: Path) -> None:
    config = grpo_math.Config(data=str(data), held_out=4, resume=run)
    by_seed = grpo_math.load_data(config)[1]
    assert by_seed == grpo_math.load_data(grpo_math.Config(data=str(data), held_out=4))[1]
    stored = stored_run(run)
    (run / "config.json").write_text(json.dumps({key: value for key, value in stored.items() if key != "held_out"}))
    assert [p.prompt for p in grpo_math.load_data(config)[1]] == [p for p, _ in PROBLEMS[-4:]]


def test_dtype_auto_is_stored_as_what_it_became(finished: Path) -> None:
    assert stored_run(finished)["options"]["dtype"] in ("fp32", "bf16")


# --- signals -----------------------------------------------------------------------------------------------------------------


def test_sigterm_ends_as_ctrl_c_does(model_folder: Path, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    small = [value if value != "2" else "4" for value in SMALL]
    small[small.index("--steps") + 1] = "100000"
    command = [sys.executable, "-m", "recipes.commands.cli", "grpo-math", "--model", model_folder, "--data", data, "--run", run, *small]
    with subprocess.Popen(map(str, command), cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 240
        while len(read_lines(run / "metrics.jsonl")) < 3:
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            assert time.monotonic() < until
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 143, said
    assert "interrupted in " in said
    assert f"continue with --resume {run}" in said
    assert "Traceback" not in said
    last = read_lines(run / "metrics.jsonl")[-1]["step"]
    assert (run / "checkpoints" / f"step-{last:06d}" / "position.json").exists()
    assert json.loads((run / "manifest.json").read_text())["status"] == "interrupted"
