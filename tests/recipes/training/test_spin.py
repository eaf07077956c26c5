"""`reckon spin`: what is set against what, from which model and against which reference, kill -9, and what is refused."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from recipes.commands.cli import main
from rl.runs.run_folder import read_lines
from tests.kills import killed_when
from tests.progress_lines import without_progress

ROWS = 6


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def row(number: int) -> dict[str, Any]:
    """Written in two ways."""
    question, answer = f"{number}+1=", str(number + 1)
    if number % 2:
        return {"prompt": question, "completion": answer}
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "rows.jsonl", *map(row, range(ROWS)), row(1))


def words(model: Path, data: Path, run: Path, *more: str) -> list[str]:
    sampling = ["--max-completion-length", "6", "--engine", "hf", "--problems-per-chunk", "3", "--workers", "1", "--keep-truncated"]
    training = ["--steps", "2", "--examples-per-step", "4", "--lr", "1e-2", "--warmup", "0", "--schedule", "constant", "--lora-rank", "2"]
    return ["spin", *map(str, ["--model", model, "--data", data, "--run", run, *sampling, *training, *more])]


@pytest.fixture(scope="module")
def straight(model_folder: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("straight") / "run"
    assert main(words(model_folder, data, run, "--rounds", "2")) == 0
    return run


def test_a_plan_says_what_a_round_samples_and_learns(model_folder: Path, data: Path, tmp_path: Path, capsys: Any) -> None:
    assert main(["plan", *words(model_folder, data, tmp_path / "run", "--tune", "full")[:-4], "--tune", "full"]) == 0
    said = capsys.readouterr().out
    for line in (
        "-logσ(0.1 x)",
        f"1 round of {ROWS} problems x 1 completion = {ROWS} sequences, at most {ROWS * 6} sampled tokens",
        f"the first trains on at most {ROWS} pairs: 2 steps of 8 sequences",
        "adapter = none: all parameters train",
        "reference",
    ):
        assert line in said, said
    assert not (tmp_path / "run").exists()


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def responses(samples: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return [row for path in sorted((samples / "rollouts").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def same(one: Path, other: Path) -> bool:
    left, right = (load_file(folder / "adapter_model.safetensors") for folder in (one, other))
    return left.keys() == right.keys() and all((left[name] == right[name]).all() for name in left)


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    capsys.readouterr()
    assert main(arguments) == 2
    return without_progress(capsys.readouterr().err).splitlines()[-1]


def test_the_datas_answers_are_preferred_to_the_models_own(straight: Path, model_folder: Path) -> None:
    for number, model in ((1, model_folder), (2, straight / "round-01" / "dpo" / "final")):
        sampled = responses(straight / f"round-{number:02d}" / "samples")
        assert {each["model"] for each in sampled} == {str(model)}
        said = {json.loads(each["problem"])[0]["content"] if each["problem"].startswith("[") else each["problem"]: each["response"]
                for each in sampled}  # fmt: skip
        pairs = rows_of(straight / f"round-{number:02d}" / "pairs.jsonl")
        assert len(pairs) == len(said) == ROWS  # the row that is there twice was left out
        for pair in pairs:
            question = pair["prompt"][0]["content"]
            assert pair["chosen"] == [{"role": "assistant", "content": str(int(question[0]) + 1)}]
            assert pair["rejected"] == [{"role": "assistant", "content": said[question]}]
    assert same(straight / "final", straight / "round-02" / "dpo" / "final")


def test_each_round_is_measured_against_the_model_that_it_begins_with(straight: Path) -> None:
    for number in (1, 2):
        first, second = read_lines(straight / f"round-{number:02d}" / "dpo" / "metrics.jsonl")[1:]
        assert first["loss"] == pytest.approx(0.693147, abs=1e-5)
        assert first["rewards/margins"] == pytest.approx(0.0, abs=1e-5)
        assert abs(second["rewards/margins"]) > 1e-3
    options = json.loads((straight / "round-02" / "dpo" / "config.json").read_text())["options"]
    assert (options["loss"], options["beta"]) == ("sigmoid", 0.1)
    assert options["model"] == str(straight / "round-01" / "dpo")


def test_what_the_data_say_already_is_left_out_and_counted(model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The model's own greedy answers, but for one row, as the data."""
    questions = [f"{number}+1=" for number in range(3)]
    problems = write(tmp_path / "problems.jsonl", *({"prompt": question, "answer": "0"} for question in questions))
    sampling = ["--system-prompt", "", "--temperature", "0", "--completions-per-problem", "1", "--max-completion-length", "6"]
    place = ["--model", str(model_folder), "--data", str(problems), "--run", str(tmp_path / "samples"), "--engine", "hf"]
    assert main(["sample", *place, *sampling, "--workers", "1"]) == 0
    greedy = [each["response"] for each in responses(tmp_path / "samples")]
    written = [{"prompt": question, "completion": answer} for question, answer in zip(questions, greedy, strict=True)]
    data = write(tmp_path / "rows.jsonl", *written[:2], written[2] | {"completion": "3"})
    capsys.readouterr()
    assert main(words(model_folder, data, tmp_path / "run", "--temperature", "0")) == 0
    said = capsys.readouterr()
    assert "1 pairs of 3 responses to 3 problems; left out: 2 that say what the data say" in said.err
    assert "66.7% of 3 sampled responses say what the data say, 1 pairs" in said.out
    assert "responses right" not in said.out  # nobody judged them
    data = write(tmp_path / "rows.jsonl", *written)
    said = refused(capsys, words(model_folder, data, tmp_path / "none", "--temperature", "0"))
    assert said.startswith("error: round 1: nothing is left to learn from: 0 pairs of 3 responses to 3 problems; left out: 3 that say")


def _live(arguments: list[str]) -> None:
    os._exit(main(arguments))


@pytest.mark.slow
def test_killed_it_goes_on_to_the_same_bits(straight: Path, model_folder: Path, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = words(model_folder, data, run, "--rounds", "2", "--checkpoint-every", "1")
    for until in (run / "round-01" / "dpo" / "checkpoints" / "step-000001", run / "round-02" / "dpo" / "checkpoints" / "step-000001"):
        killed_when(until.exists, _live, arguments)
        arguments = ["spin", "--resume", str(run)]
    assert main(arguments) == 0
    assert same(run / "final", straight / "final")
    assert read_lines(run / "metrics.jsonl") == read_lines(straight / "metrics.jsonl")


def test_bad_input_is_one_line_before_anything_is_written(
    model_folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, odd = tmp_path / "run", tmp_path / "odd.jsonl"
    assert "--beta must be a number above 0" in refused(capsys, words(model_folder, data, run, "--beta", "0"))
    assert "unknown option --reward" in refused(capsys, words(model_folder, data, run, "--reward", "math_answer"))
    write(odd, row(1), {"text": "no question"})
    assert "line 2: it is a text without a prompt" in refused(capsys, words(model_folder, odd, run))
    write(odd, {"messages": [*row(0)["messages"], {"role": "user", "content": "and then?"}]})
    assert "ends with the user's turn" in refused(capsys, words(model_folder, odd, run))
    assert not run.exists()
