"""Several data sets, weights, difficulty and named evaluation sets, from the command line to the store of a run."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from recipes import grpo_math
from recipes.commands.cli import main
from recipes.setup.command_line import parse_options
from recipes.setup.options import to_json
from recipes.setup.problem_mixture import Part, by_set, parts_of, sets_of, stream_of
from recipes.setup.resuming import resumed
from rl.runs.run_folder import read_lines
from verifiers.input_error import InputError

SMALL = ["--problems-per-step", "4", "--completions-per-problem", "2", "--max-completion-length", "3", "--workers", "1", "--engine", "hf"]


def write(name: str, numbers: range, **more: Any) -> None:
    rows = [{"problem": f"What is {n}+{n}?", "answer": str(2 * n), **{key: value(n) for key, value in more.items()}} for n in numbers]
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write("a.jsonl", range(8), solve_rate=lambda n: n / 8)
    write("b.jsonl", range(6, 12))
    write("hard.jsonl", range(20, 23))
    write("easy.jsonl", range(7, 9))


def config(*words: str) -> Any:
    return parse_options(grpo_math.Config, words, name="grpo-math")


def prompts(problems: Any) -> set[int]:
    return {int(problem.answer) // 2 for problem in problems}


def test_weights_and_paths_are_read() -> None:
    Path("c=1.jsonl").write_text("")
    assert parts_of(("a.jsonl=0.7", "b.jsonl=3e-1")) == [Part("a.jsonl", 0.7), Part("b.jsonl", 0.3)]
    assert parts_of("a.jsonl") == [Part("a.jsonl", None)]
    assert parts_of(("c=1.jsonl", "hub/name")) == [Part("c=1.jsonl", None), Part("hub/name", None)]
    assert sets_of(("hard=x=1.jsonl",)) == {"hard": "x=1.jsonl"}


@pytest.mark.parametrize("words", [("a.jsonl=0.1234567", "b.jsonl=0.30000000000000004"), ("a.jsonl=1e-7", "b.jsonl=2.50")])
def test_weights_are_kept_to_their_last_digit_and_a_run_goes_on_with_them(words: tuple[str, str]) -> None:
    asked = ["--model", ".", "--data", words[0], "--data", words[1], "--eval", "hard=hard.jsonl"]
    begun = grpo_math.resolve(config(*asked))
    assert [part.weight for part in parts_of(begun.data)] == [part.weight for part in parts_of(words)]
    run = Path("run")
    run.mkdir()
    (run / "config.json").write_text(json.dumps({"options": to_json(begun)}))
    again = grpo_math.resolve(resumed(config(*asked, "--resume", "run")))
    assert (again.data, again.eval) == (begun.data, begun.eval)
    with pytest.raises(InputError, match="--data"):
        resumed(config(*asked[:2], "--data", "a.jsonl=0.123456", "--data", words[1], "--resume", "run"))
    with pytest.raises(InputError, match="--eval"):
        resumed(config("--eval", "easy=hard.jsonl", "--resume", "run"))


def test_two_files_are_as_one_and_evaluation_sets_are_kept_out() -> None:
    found = config(
        "--data", "a.jsonl", "--data", "b.jsonl", "--eval", "easy=easy.jsonl", "--eval", "both=hard.jsonl", "--eval", "h=hard.jsonl"
    )
    problems, held_out = grpo_math.load_data(found)
    assert prompts(problems) == {*range(12)} - {7, 8}
    assert len(problems) == 10, "each once"
    assert {name: prompts(part) for name, part in by_set(held_out).items()} == {"easy": {7, 8}, "both": {20, 21, 22}, "h": {20, 21, 22}}
    assert stream_of(problems, parts_of(found.data), order="shuffled", seed=0) is None


def test_a_mixture_draws_from_what_is_left_of_each_part() -> None:
    given = ("a.jsonl=0.2", "b.jsonl=0.8")
    problems, _ = grpo_math.load_data(grpo_math.Config(data=given))
    stream = stream_of(problems, parts_of(given), order="shuffled", seed=0)
    assert stream is not None
    drawn = [int(problems[stream[position]].answer) // 2 for position in range(2000)]
    assert {*drawn} == {*range(12)}
    assert abs(sum(n < 8 for n in drawn) / 2000 - 0.2) < 0.04  # 0 to 7 are a's, four standard errors


def test_easy_problems_come_first() -> None:
    problems, _ = grpo_math.load_data(grpo_math.Config(data=("a.jsonl",)))
    stream = stream_of(problems, parts_of("a.jsonl"), order="easy-first", seed=0)
    assert stream is not None
    assert [int(problems[stream[position]].answer) // 2 for position in range(8)] == [7, 6, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "a.jsonl=0.5", "--data", "b.jsonl"], "--data b.jsonl has no weight and others have one; write b.jsonl=0.5"),
        (["--data", "a.jsonl=0", "--data", "b.jsonl=1"], "--data a.jsonl=0: a weight must be a number above 0"),
        (["--data", "a.jsonl=nan"], "--data a.jsonl=nan: a weight must be a number above 0"),
        (["--data", "a.jsonl", "--data", "a.jsonl"], "--data names the same data set twice"),
        (["--data", "a.jsonl", "--eval", "hard.jsonl"], "--eval 'hard.jsonl' must be NAME=FILE"),
        (["--data", "a.jsonl", "--eval", "x=hard.jsonl", "--eval", "x=easy.jsonl"], "--eval x is given twice"),
        (["--data", "a.jsonl", "--eval", "x=nowhere.jsonl"], "nowhere.jsonl"),
        (["--data", "a.jsonl=1", "--data", "b.jsonl=2", "--order", "easy-first"], "--order easy-first would be ignored with weights"),
        (["--data", "b.jsonl", "--order", "easy-first"], "--order easy-first: 6 of 6 problems have no solve_rate"),
        (["--data", "a.jsonl=1", "--data", "easy.jsonl=1", "--eval", "x=easy.jsonl"], "easy.jsonl: none of its problems is left"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(words: list[str], said: str, model_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["grpo-math", "--model", str(model_folder), *SMALL, *words]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("error: ")
    assert said in line


def test_a_run_of_a_mixture_measures_each_set_and_resumes(model_folder: Path) -> None:
    words = ["--data", "a.jsonl=1", "--data", "b.jsonl=3", "--eval", "hard=hard.jsonl", "--held-out", "1", "--run", "run", "--steps", "1"]
    assert main(["grpo-math", "--model", str(model_folder), *SMALL, *words]) == 0
    row = read_lines(Path("run/metrics.jsonl"))[0]
    assert (row["eval/hard/total"], row["eval/total"]) == (3, 1)
    stored = json.loads(Path("run/config.json").read_text())["options"]
    assert stored["data"] == [f"{Path.cwd()}/a.jsonl=1", f"{Path.cwd()}/b.jsonl=3"]
    assert main(["grpo-math", "--resume", "run", "--steps", "2", "--data", "a.jsonl=1", "--data", "b.jsonl=3"]) == 0
    assert len(pq.read_table("run/rollouts/step-000002.parquet")) == 8
