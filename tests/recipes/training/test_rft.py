"""`reckon rft`: what a round samples, keeps, trains on and from, that kill -9 changes nothing, and what is refused."""

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from recipes.commands.cli import main
from rl.runs.run_folder import read_lines
from tests.kills import killed_when
from tests.progress_lines import without_progress

PROBLEMS, G = 6, 4
ROUNDS = ["--rounds", "2", "--eval-data"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Problems of which one is held out too; the reward is a function of the response alone, so that a random model is right at times."""
    folder = tmp_path_factory.mktemp("data")
    rows = [json.dumps({"prompt": f"{a} + {a}?", "answer": str(2 * a), "meta": {"level": a}}) + "\n" for a in range(PROBLEMS + 1)]
    (folder / "problems.jsonl").write_text("".join(rows))
    (folder / "held_out.jsonl").write_text(rows[-1] + json.dumps({"prompt": "7 - 7?", "answer": "0"}) + "\n")
    (folder / "odd.py").write_text("def even(problem, response):\n    return len(response) % 2 == 0\n")
    return folder / "problems.jsonl"


def words(model: Path | str, data: Path, run: Path, *more: str) -> list[str]:
    sampling = ["--completions-per-problem", str(G), "--max-completion-length", "6", "--engine", "hf", "--problems-per-chunk", "3"]
    reward = ["--reward", f"{data.parent / 'odd.py'}:even", "--workers", "1"]
    training = ["--steps", "2", "--examples-per-step", "4", "--lr", "1e-2", "--warmup", "0", "--lora-rank", "2"]
    selection = ["--keep-truncated", "--per-problem", "2"]
    return ["rft", *map(str, ["--model", model, "--data", data, "--run", run, *sampling, *reward, *training, *selection, *more])]


def held_out(data: Path) -> str:
    return str(data.parent / "held_out.jsonl")


@pytest.fixture(scope="module")
def straight(model_folder: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rounds in one life, each from the base."""
    run = tmp_path_factory.mktemp("straight") / "run"
    assert main(words(model_folder, data, run, *ROUNDS, held_out(data))) == 0
    return run


def test_a_plan_says_what_a_round_samples_and_learns_and_writes_nothing(
    model_folder: Path, data: Path, straight: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = words(model_folder, data, tmp_path / "run", "--rounds", "3", "--eval-data", held_out(data))[1:]
    assert main(["plan", "rft", *asked, "--epochs", "1"]) == 2, "--steps is there"
    place = asked.index("--steps")
    without_steps = asked[:place] + asked[place + 2 :]
    capsys.readouterr()
    assert main(["plan", "rft", *without_steps]) == 0
    said = capsys.readouterr().out
    assert not (tmp_path / "run").exists()
    for line in (
        "loss = Σ_n w · [ -lp ]",
        f"{PROBLEMS} problems",
        "2 held out",
        f"3 rounds of {PROBLEMS} problems x {G} completions = {PROBLEMS * G} sequences, at most {PROBLEMS * G * 6} sampled tokens",
        f"the first trains on at most {2 * PROBLEMS} examples, the last on {6 * PROBLEMS}: "
        f"{-(-2 * PROBLEMS // 4)} to {-(-6 * PROBLEMS // 4)} steps of 4 sequences at most",
        "memory of sampling (estimate)",
        "memory of training (estimate)",
        "adapter = Lora(rank=2",
    ):
        assert line in said, line
    assert main(["plan", "rft", *words(model_folder, data, straight)[1:]]) == 0, "a run that is there is none of a plan's business"
    assert main(["plan", "rft", *asked, "--lora-targets", "nosuch"]) == 2


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def responses(samples: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return [row for path in sorted((samples / "rollouts").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def options_of(part: Path) -> dict[str, Any]:
    return dict(json.loads((part / "config.json").read_text())["options"])


def weights(folder: Path) -> dict[str, Any]:
    return dict(load_file(folder / "adapter_model.safetensors"))


def same(one: Path, other: Path) -> bool:
    left, right = weights(one), weights(other)
    return left.keys() == right.keys() and all((left[name] == right[name]).all() for name in left)


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    capsys.readouterr()
    assert main(arguments) == 2
    said = without_progress(capsys.readouterr().err).splitlines()
    return said[-1]


def test_a_round_trains_on_the_right_answers_of_what_the_last_one_learnt(straight: Path, model_folder: Path) -> None:
    first, second = straight / "round-01", straight / "round-02"
    assert {row["model"] for row in responses(first / "samples")} == {str(model_folder)}
    assert {row["model"] for row in responses(second / "samples")} == {str(first / "sft" / "final")}
    assert options_of(second / "sft")["model"] == str(model_folder)  # from the base
    for place, stores in ((first, [first]), (second, [first, second])):
        right = {(row["problem_id"], row["response"]) for each in stores for row in responses(each / "samples") if row["status"] == "right"}
        rows = rows_of(place / "examples.jsonl")
        assert {(row["problem_id"], row["completion"][0]["content"]) for row in rows} <= right
        kept = [row["problem_id"] for row in rows]
        assert kept
        assert max(kept.count(name) for name in kept) <= 2
    assert same(straight / "final", second / "sft" / "final")
    assert not same(straight / "final", first / "sft" / "final")


def test_the_numbers_are_those_of_the_parts(straight: Path) -> None:
    rows = read_lines(straight / "metrics.jsonl")
    assert [row["step"] for row in rows] == [0, 1, 2]
    for row in rows:
        place = straight / f"round-{row['step']:02d}"
        greedy = responses(place / "evaluation")
        assert len(greedy) == row["eval/total"] == 2
        assert row["eval/accuracy"] == sum(each["status"] == "right" for each in greedy) / 2
        if row["step"]:
            sampled = responses(place / "samples")
            assert row["responses"] == len(sampled) == PROBLEMS * G  # without the one that is held out
            assert row["accuracy"] == sum(each["status"] == "right" for each in sampled) / len(sampled)
            assert row["examples"] == len(rows_of(place / "examples.jsonl"))
    assert json.loads((straight / "manifest.json").read_text())["status"] == "done"


def test_its_parts_are_what_the_commands_make(straight: Path, data: Path, model_folder: Path, tmp_path: Path) -> None:
    """One round by hand: `reckon sample`, `reckon data sft`, `reckon sft`."""
    sampling = words(model_folder, data, tmp_path / "samples")[7:17]
    problems = str(straight / "problems.jsonl")
    assert main(["sample", "--model", str(model_folder), "--data", problems, "--run", str(tmp_path / "samples"), *sampling]) == 0
    keep = ["--keep-truncated", "--per-problem", "2"]
    assert main(["data", "sft", str(tmp_path / "samples"), "--out", str(tmp_path / "examples.jsonl"), *keep]) == 0
    assert rows_of(tmp_path / "examples.jsonl") == rows_of(straight / "round-01" / "examples.jsonl")
    training = ["--steps", "2", "--examples-per-step", "4", "--lr", "1e-2", "--warmup", "0", "--lora-rank", "2"]
    place = ["--data", str(tmp_path / "examples.jsonl"), "--run", str(tmp_path / "sft"), "--model", str(model_folder)]
    assert main(["sft", *place, *training]) == 0
    assert same(tmp_path / "sft" / "final", straight / "round-01" / "sft" / "final")


def test_from_the_last_round_on_the_latest_answers(model_folder: Path, data: Path, straight: Path, tmp_path: Path) -> None:
    """Expert iteration; a run of one round goes on to a second, which is what two rounds in one life would be."""
    whole, run, more = tmp_path / "whole", tmp_path / "run", ["--start", "last", "--examples", "latest"]
    assert main(words(model_folder, data, whole, "--rounds", "2", *more)) == 0
    assert main(words(model_folder, data, run, *more)) == 0
    assert same(run / "final", whole / "round-01" / "sft" / "final")
    assert main(["rft", "--resume", str(run), "--rounds", "2"]) == 0
    assert same(run / "final", whole / "final")
    assert options_of(run)["rounds"] == 2
    second = whole / "round-02"
    assert options_of(second / "sft")["model"].endswith("round-01/sft")
    right = {row["response"] for row in responses(second / "samples") if row["status"] == "right"}
    assert {row["completion"][0]["content"] for row in rows_of(second / "examples.jsonl")} <= right
    assert json.loads((whole / "final" / "adapter_config.json").read_text())["base_model_name_or_path"] == str(model_folder)


def _live(arguments: list[str]) -> None:
    os._exit(main(arguments))


@pytest.mark.slow
def test_killed_in_every_part_it_goes_on_to_the_same_bits(straight: Path, model_folder: Path, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = words(model_folder, data, run, *ROUNDS, held_out(data), "--checkpoint-every", "1")
    first, second = run / "round-01", run / "round-02"
    for until in (
        run / "config.json",
        run / "round-00" / "evaluation" / "rollouts",
        first / "samples" / "rollouts" / "step-000001.parquet",
        first / "sft" / "checkpoints" / "step-000001",
        second / "examples.jsonl",
        second / "sft" / "config.json",
    ):
        killed_when(until.exists, _live, arguments)
        arguments = ["rft", "--resume", str(run)]
    assert main(arguments) == 0
    assert same(run / "final", straight / "final")
    assert read_lines(run / "metrics.jsonl") == read_lines(straight / "metrics.jsonl")
    assert main(arguments) == 0  # done already
    assert same(run / "final", straight / "final")


def test_asked_to_stop_it_says_what_goes_on(model_folder: Path, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    life = multiprocessing.get_context("fork").Process(target=_live, args=(words(model_folder, data, run),))
    life.start()
    while not (run / "round-01" / "samples" / "config.json").exists():
        assert life.is_alive()
        time.sleep(0.005)
    assert life.pid
    os.kill(life.pid, signal.SIGTERM)
    life.join(60)
    assert life.exitcode == 143
    last = capfd.readouterr().err.splitlines()[-1]
    assert "round 1, " in last
    assert last.endswith(f"continue with --resume {run}")
    assert json.loads((run / "manifest.json").read_text())["status"] == "interrupted"


def test_an_empty_selection_is_said_with_its_counts(
    model_folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, words(model_folder, data, tmp_path / "run", "--min-score", "2"))
    assert said.startswith("error: round 1: nothing is selected: 0 examples of 28 responses to 7 problems; left out: ")
    assert "below --min-score" in said


def test_bad_input_is_one_line_before_anything_is_written(
    model_folder: Path, data: Path, tmp_path: Path, straight: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert "--rounds must be at least 1" in refused(capsys, words(model_folder, data, run, "--rounds", "0"))
    assert "--per-problem must be at least 1" in refused(capsys, words(model_folder, data, run, "--per-problem", "0"))
    assert "say the same thing twice" in refused(capsys, words(model_folder, data, run, "--epochs", "2"))
    assert "--temperature 0 says the same" in refused(capsys, words(model_folder, data, run, "--temperature", "0"))
    assert "every problem is also in --eval-data" in refused(capsys, words(model_folder, data, run, "--eval-data", str(data)))
    assert "unknown option --held-out" in refused(capsys, words(model_folder, data, run, "--held-out", "2"))
    assert not run.exists()
    assert "exists; continue it with --resume" in refused(capsys, words(model_folder, data, straight))
    resume = ["rft", "--resume", str(straight)]
    assert "the steps of a round cannot change" in refused(capsys, [*resume, "--steps", "3"])
    assert "it has done 2 rounds already" in refused(capsys, [*resume, "--rounds", "1"])
    assert "--lr 0.01, which cannot change" in refused(capsys, [*resume, "--lr", "1e-3"])
