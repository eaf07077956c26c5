"""`reckon sample`: what is in the store, the same bytes whatever kills it, and what is refused."""

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file, save_file

from recipes.commands.cli import main
from rl.evaluation.subsets import pass_at_k
from verifiers.rewards.problem_file import read_problems

PROBLEMS, G = 7, 3


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [{"prompt": f"{a} + {a}?", "answer": str(2 * a), "meta": {"level": a}} for a in range(PROBLEMS)]
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "odd.py").write_text("def even(problem, response):\n    return len(response) % 2 == 0\n")
    return path


def words(model: Path, data: Path, run: Path, *more: str) -> list[str]:
    """A command line; the reward is a function of the response's length, so that a random model is now and then right."""
    common = ["--problems-per-chunk", "2", "--completions-per-problem", str(G), "--max-completion-length", "8", "--engine", "hf"]
    reward = ["--reward", f"{data.parent / 'odd.py'}:even", "--workers", "1"]
    return ["sample", "--model", str(model), "--data", str(data), "--run", str(run), *common, *reward, *more]


def chunks(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((run / "rollouts").iterdir())}


def rows_of(run: Path) -> list[dict[str, Any]]:
    return [row for path in sorted((run / "rollouts").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    capsys.readouterr()
    assert main(arguments) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if " so far)" not in line]
    assert len(said) == 1
    return said[0]


def live(arguments: list[str], end: signal.Signals, until: Path) -> int | None:
    """A life of the command in a process of its own, ended by a signal shortly after a file is there. Returns its exit code."""
    child = multiprocessing.get_context("fork").Process(target=lambda: os._exit(main(arguments)))
    child.start()
    began = time.monotonic()
    while not until.exists():
        assert time.monotonic() - began < 120
        time.sleep(0.002)
    assert child.pid
    os.kill(child.pid, end)
    child.join(60)
    return child.exitcode


def test_every_completion_is_stored_with_its_verdict(
    model_folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(model_folder, data, tmp_path / "run")) == 0
    shown = capsys.readouterr().out
    rows, problems = rows_of(tmp_path / "run"), read_problems(data)
    assert [row["problem_id"] for row in rows] == [problem.id for problem in problems for _ in range(G)]
    assert [(row["step"], row["group"]) for row in rows[::G]] == [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1), (4, 0)]
    assert all(row["score"] == float(len(row["response"]) % 2 == 0) for row in rows)
    assert all(len(row["tokens"]) == len(row["logprobs"]) <= 8 for row in rows)
    assert {(row["model"], row["templated"], row["temperature"], row["policy_version"]) for row in rows} == {
        (str(model_folder), True, 1.0, 0)
    }
    assert len({row["response"] for row in rows}) > PROBLEMS  # not the same draw every time
    assert all(json.loads(row["problem_row"])["meta"]["level"] in range(PROBLEMS) for row in rows)
    right = [sum(row["status"] == "right" for row in rows if row["problem_id"] == problem.id) for problem in problems]
    assert f"{sum(right)} of {PROBLEMS * G} responses right" in shown
    assert f"pass@2: {sum(pass_at_k(G, each, 2) for each in right) / PROBLEMS:.1%}" in shown
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["status"] == "done"


def test_killed_at_any_chunk_it_goes_on_to_the_same_bytes(model_folder: Path, data: Path, tmp_path: Path) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    small = ["--problems-per-chunk", "1"]
    assert live(words(model_folder, data, whole, *small), signal.SIGCONT, whole) == 0  # not disturbed
    assert len(chunks(whole)) == PROBLEMS
    arguments = words(model_folder, data, run, *small)
    for step in (1, 2, 3):
        assert live(arguments, signal.SIGKILL, run / "rollouts" / f"step-{step:06d}.parquet") == -signal.SIGKILL
        arguments = ["sample", "--resume", str(run)]
    (run / "rollouts" / ".tmp-1-0-step-000006.parquet").write_bytes(b"half a chunk")
    assert live(arguments, signal.SIGCONT, run) == 0
    assert chunks(run) == chunks(whole)
    assert live(["sample", "--resume", str(run)], signal.SIGCONT, run) == 0  # done already: nothing changes
    assert chunks(run) == chunks(whole)


def test_asked_to_stop_it_says_what_is_kept(model_folder: Path, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = words(model_folder, data, run, "--problems-per-chunk", "1")
    assert live(arguments, signal.SIGTERM, run / "rollouts" / "step-000001.parquet") == 143
    assert json.loads((run / "manifest.json").read_text())["status"] == "interrupted"
    assert len(chunks(run)) < PROBLEMS


def test_the_seed_and_the_chunks_decide(model_folder: Path, data: Path, tmp_path: Path) -> None:
    runs = {name: tmp_path / name for name in ("one", "again", "other")}
    for name, run in runs.items():
        assert main(words(model_folder, data, run, "--seed", "1" if name == "other" else "0", "--limit", "3")) == 0
    assert chunks(runs["one"]) == chunks(runs["again"])
    assert [row["tokens"] for row in rows_of(runs["one"])] != [row["tokens"] for row in rows_of(runs["other"])]


def test_greedy_is_what_the_model_finds_likeliest(model_folder: Path, data: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    assert main(words(model_folder, data, tmp_path / "run", "--temperature", "0", "--completions-per-problem", "1", "--limit", "2")) == 0
    model = AutoModelForCausalLM.from_pretrained(model_folder)
    for row in rows_of(tmp_path / "run"):
        logits = model(torch.tensor([row["prompt"] + row["tokens"]])).logits[0, len(row["prompt"]) - 1 : -1]
        assert logits.argmax(-1).tolist() == row["tokens"]


def test_bad_input_is_one_line_before_the_model_is_loaded(
    model_folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert "--temperature 0 says the same" in refused(capsys, words(model_folder, data, run, "--temperature", "0"))
    assert "--completions-per-problem must be at least 1" in refused(
        capsys, words(model_folder, data, run, "--completions-per-problem", "0")
    )
    assert "--model is missing" in refused(capsys, ["sample", "--data", str(data)])
    assert "--data is missing" in refused(capsys, ["sample", "--model", str(model_folder)])
    assert "cannot be read" in refused(capsys, words(model_folder, tmp_path / "nothing.jsonl", run))
    assert "--engines would be ignored" in refused(capsys, words(model_folder, data, run, "--engines", "2"))
    assert not run.exists()
    run.mkdir()
    (run / "mine").write_text("")
    assert "exists; continue it with --resume" in refused(capsys, words(model_folder, data, run))


def test_a_store_that_is_not_this_runs_is_refused(
    model_folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(words(model_folder, data, run, "--limit", "4")) == 0
    resume = ["sample", "--resume", str(run)]
    first, second = (run / "rollouts" / f"step-00000{n}.parquet" for n in (1, 2))
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    assert "is damaged or another run's" in refused(capsys, resume)
    first.write_bytes(kept[:-9])
    assert "is damaged or another run's" in refused(capsys, resume)
    first.unlink()
    assert main(resume) == 0
    assert first.read_bytes() == kept
    data.write_text(data.read_text().replace("0 + 0?", "0 + 0 ?"))
    assert "the problems changed since the run began" in refused(capsys, resume)


def test_a_model_whose_weights_are_no_numbers_is_told(
    model_folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in model_folder.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    weights = load_file(broken / "model.safetensors")
    name = next(name for name in weights if name.endswith("norm.weight"))
    save_file(weights | {name: weights[name] * float("nan")}, broken / "model.safetensors", metadata={"format": "pt"})
    said = refused(capsys, words(broken, data, tmp_path / "run"))
    assert "log-probabilities are not finite" in said
    assert not list((tmp_path / "run" / "rollouts").glob("*.parquet"))
