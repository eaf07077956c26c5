"""The recipe benchmark's own arithmetic: greedy answers in padded batches, costs out of run folders, and what it says is missing."""

import itertools
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from benchmarks.recipe import chains, methods
from benchmarks.recipe.additions import HELD_OUT, write_problems
from benchmarks.recipe.held_out import greedy
from benchmarks.recipe.pace import Run, completed, side_by_side
from benchmarks.recipe.picture import draw
from benchmarks.recipe.table import failures, markdown
from benchmarks.recipe.worlds import World
from rollout.chat import Chat
from verifiers.problem import make_problem
from verifiers.rewards.load_reward import load
from verifiers.rewards.problem_file import read_problems
from verifiers.verdict import StepScore


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(
        name="w", model="m", train=tmp_path / "t", held_out=tmp_path / "h", system="", max_tokens=8, seed=3, tune=("--tune", "full"),
        sampling=("--engine", "hf"), store=("--limit", "5"), online=("--steps", "2"), own={"dpo": ("--beta", "0.3")},
    )  # fmt: skip


def test_held_out_problems_are_apart(tmp_path: Path) -> None:
    train, held_out = (read_problems(file) for file in write_problems(tmp_path))
    assert len(train) == len(held_out) == HELD_OUT == 200
    assert not {problem.id for problem in train} & {problem.id for problem in held_out}
    for problem in (*train, *held_out):
        a, b = map(int, str(problem.prompt).removeprefix("What is ").removesuffix("?").split(" + "))
        assert int(problem.answer) == a + b


def test_answers_in_a_padded_batch_are_those_alone(make_llama: Callable[..., Any], tokenizer: Any) -> None:
    model = make_llama().eval()
    chat = Chat(tokenizer)
    problems = [make_problem(text, "0") for text in ("1+2=", "12+345=", "9-8=", "123456+7=")]
    found = greedy(model, chat, problems, 6)
    for problem, answer in zip(problems, found, strict=True):
        tokens = torch.tensor([chat.render(problem)])
        told: list[int] = []
        while len(told) < 6 and (not told or told[-1] not in chat.stop_ids):
            told.append(int(model(input_ids=torch.cat([tokens, torch.tensor([told], dtype=torch.long)], 1)).logits[0, -1].argmax()))
        assert answer == tokenizer.decode(told, skip_special_tokens=True)


def test_a_pace_is_that_of_the_steps(tmp_path: Path) -> None:
    """Two programs at once: one sleeps in its steps, the other computes."""
    runs = {}
    for name, step in (("sleeps", "time.sleep(0.3)"), ("works", "while time.process_time() < until: pass")):
        (tmp_path / name).mkdir()
        log = tmp_path / name / "log.jsonl"
        write = f"print(n, file=open({str(log)!r}, 'a'))"
        code = f"import time\nfor n in range(4):\n    until = time.process_time() + 0.3\n    {step}\n    {write}"
        runs[name] = Run([sys.executable, "-c", code], log)
    side_by_side(list(runs.values()))
    assert runs["sleeps"].pace()["seconds_a_step"] >= 0.2
    assert runs["sleeps"].pace()["processor_seconds_a_step"] < 0.1
    assert 0.2 <= runs["works"].pace()["processor_seconds_a_step"] <= 0.5


def test_a_program_that_fails_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="failed with 3"):
        completed([sys.executable, "-c", "raise SystemExit(3)"], tmp_path / "log")
    used = completed([sys.executable, "-c", "import time; held = b'x' * 80_000_000; time.sleep(1)"], tmp_path / "log")
    assert 80e6 < used.peak_bytes < 160e6


def test_a_method_without_a_command_is_missing(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(methods.COMMANDS, "grpo-math")
    with pytest.raises(methods.Missing, match="no command reckon grpo-math"):
        methods.trained("GRPO", world, tmp_path)


def test_a_method_that_stops_is_missing_with_its_reason(world: World, tmp_path: Path) -> None:
    with pytest.raises(methods.Missing, match=r"failed with 2.*--model"):
        methods.trained("GRPO", replace(world, model="./nowhere"), tmp_path)


def test_costs_are_counted_from_what_a_run_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    for place, lengths in ((run / "rollouts", [3, 4]), (run / "round-2" / "rollouts", [5])):
        place.mkdir(parents=True)
        pq.write_table(pa.table({"tokens": [list(range(length)) for length in lengths]}), place / "step-000001.parquet")
    (run / "metrics.jsonl").write_text("\n".join(json.dumps(row) for row in ({"step": 0}, {"trained_tokens": 7}, {"trained_tokens": 4})))
    monkeypatch.setattr(methods, "RECKON", (sys.executable, "-c", "pass"))
    spent = methods.called(("plan",), run)
    assert (spent.sampled_tokens, spent.trained_tokens) == (12, 11)
    assert (spent + spent).trained_tokens == 22


def test_commands_have_the_worlds_options(world: World, tmp_path: Path) -> None:
    ((words, run),) = methods.METHODS["DPO"](world, tmp_path, tmp_path / "run")
    assert run == tmp_path / "run"
    assert " ".join(words) == f"dpo --model m --tune full --seed 3 --run {run} --overwrite --beta 0.3 --data {tmp_path / 'pairs.jsonl'}"


def test_what_does_not_beat_its_start_fails_the_bar() -> None:
    start = {"accuracy": 0.5, "ci95": [0.4, 0.6]}
    results: dict[str, dict[str, Any]] = {
        "a": {"start": start, "SFT": start | {"accuracy": 0.6}, "DPO": start, "GRPO": {"missing": "no such command"}}
    }
    assert failures(results, ["SFT", "DPO", "GRPO"]) == ["DPO, a: no better than its start", "GRPO, a: no such command"]
    assert "| GRPO | missing |" in markdown(results)
    assert "| SFT | 60.0% (40% to 60%) |" in markdown(results)


def test_the_picture_names_what_it_shows(tmp_path: Path) -> None:
    start = {"accuracy": 0.5, "ci95": [0.4, 0.6]}
    results: dict[str, dict[str, Any]] = {"a": {"start": start, "SFT": start}, "b": {"start": start, "SFT": {"missing": "why"}}}
    draw(results, tmp_path / "plot.svg")
    first = (tmp_path / "plot.svg").read_bytes()
    assert all(f">{name}<".encode() in first for name in ("a", "b", "SFT", "GRPO"))
    draw(results, tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").read_bytes() == first


def test_chains_are_all_sums_apart_and_their_steps_are_scored_by_themselves() -> None:
    train, held_out = chains.make_problems(3)
    assert len(train) + len(held_out) == len({problem.id for problem in (*train, *held_out)}) == 6**4
    assert [problem.id for problem in chains.make_problems(4)[1]] != [problem.id for problem in held_out]
    problem = make_problem("4+2+5+3=", "14")
    assert chains.worked_solution(problem) == "4+2+5+3=6+5+3\n6+5+3=11+3\n11+3=14\n<answer>14</answer>"
    hasty = chains.worked_solution(problem, hasty_at=1, slip=1)
    assert hasty == "4+2+5+3=6+5+3\n6+5+3=15\n<answer>15</answer>"
    for response, scores in (
        (chains.worked_solution(problem), [1, 1, 1, 1]),
        (hasty, [1, 0, 0]),
        ("4+2+5+3=14\n<answer>14</answer>", [1, 1]),
        ("4+2+5+3=7+5+3\n7+5+3=12+3\n12+3=15\n<answer>14</answer>", [0, 1, 1, 1]),  # from a slip on, the rest is judged by itself
        ("4+2+5+3=6+5+3\n5+6+3=14\n", [1, 0]),
        ("4+2+5+3=5+2+4+3\n", [0]),  # nothing was added
        ("2+2=4\njunk", [0, 0]),
    ):
        steps = [line + "\n" for line in response.split("\n") if line]
        assert chains.score(problem, steps) == scores
        assert tuple(load(chains.REWARD)(problem, response).steps) == tuple(
            StepScore(end, score) for end, score in zip(itertools.accumulate(map(len, splitted(response))), scores, strict=True)
        )


def splitted(response: str) -> list[str]:
    return [line for line in response.splitlines(keepends=True) if line.strip()]
