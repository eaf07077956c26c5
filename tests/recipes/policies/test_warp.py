"""`reckon warp`: what a round trains from where, what it merges, the front's points, that kill -9 changes nothing, and what is refused."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from recipes.commands.cli import main
from recipes.policies.front import measured_front
from recipes.training import sample
from recipes.training.rounds import Rounds
from rl.runs.run_folder import read_lines
from tests.kills import killed_when
from tests.progress_lines import without_progress
from tests.recipes.policies.test_merged_policies import slerped
from verifiers.input_error import InputError

TOLERANCE = {"atol": 1e-6, "rtol": 1e-5}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "problems.jsonl").write_text(
        "".join(json.dumps({"prompt": f"{a} + {a}?", "answer": str(2 * a), "meta": {"level": a}}) + "\n" for a in range(6))
    )
    (folder / "held_out.jsonl").write_text(json.dumps({"prompt": "7 - 7?", "answer": "0"}) + "\n")
    (folder / "mine.py").write_text("def varied(problem, response):\n    return len(set(response)) / 10\n")
    return folder / "problems.jsonl"


def words(model: Path | str, data: Path, run: Path, *more: str | Path) -> list[str]:
    sizes = ["--steps", "1", "--problems-per-step", "2", "--completions-per-problem", "4", "--max-completion-length", "4", "--engine", "hf"]
    training = ["--lr", "1e-2", "--warmup", "0", "--lora-rank", "2", "--workers", "1", "--reward", f"{data.parent / 'mine.py'}:varied"]
    return ["warp", *map(str, ["--model", model, "--data", data, "--run", run, *sizes, *training, *more])]


@pytest.fixture(scope="module")
def straight(model_folder: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rounds of two adapters in one life, with a front of two points."""
    run = tmp_path_factory.mktemp("straight") / "run"
    assert main(words(model_folder, data, run, "--rounds", "2", "--front", "0", "0.5", "--front-problems", "2")) == 0
    return run


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor.double() for name, tensor in load_file(folder / "model.safetensors").items()}


def plain(place: Path, tmp_path: Path) -> dict[str, torch.Tensor]:
    assert main(["merge", str(place), "--out", str(tmp_path / "plain" / place.name)]) == 0
    return weights(tmp_path / "plain" / place.name)


def options_of(part: Path) -> dict[str, Any]:
    return dict(json.loads((part / "config.json").read_text())["options"])


def test_a_round_trains_alike_policies_from_where_the_last_one_ended(straight: Path, model_folder: Path) -> None:
    seeds = set()
    for number, start in ((1, model_folder), (2, straight / "round-01" / "next")):
        for policy in (1, 2):
            options = options_of(straight / f"round-{number:02d}" / f"run-{policy}")
            assert options["model"] == str(start)
            assert options["kl"] == {"coef": 0.04, "estimator": "k3", "reference": {"name": "ema", "decay": 0.99}}
            assert options["data"] == [str(straight / "problems.jsonl")]
            seeds.add(options["seed"])
    assert len(seeds) == 4


@pytest.mark.parametrize("number", [1, 2])
def test_a_round_merges_by_slerp_and_goes_part_of_the_way(number: int, straight: Path, model_folder: Path, tmp_path: Path) -> None:
    place = straight / f"round-{number:02d}"
    start = weights(model_folder if number == 1 else straight / "round-01" / "next")
    policies = [plain(place / f"run-{policy}", tmp_path) for policy in (1, 2)]
    assert any((policies[0][name] != policies[1][name]).any() for name in start)
    merged = slerped(policies, start, "tensor", 0.5)
    torch.testing.assert_close(weights(place / "final"), merged, **TOLERANCE)
    torch.testing.assert_close(weights(place / "next"), {n: start[n] + 0.3 * (merged[n] - start[n]) for n in start}, **TOLERANCE)
    if number == 2:
        torch.testing.assert_close(weights(straight / "final"), merged, **TOLERANCE)


def test_the_front_is_measured_on_samples_of_each_point(straight: Path, model_folder: Path) -> None:
    import pyarrow.parquet as pq

    place = straight / "round-02"
    found = {point["name"]: point for point in json.loads((place / "front.json").read_text())}
    assert list(found) == ["eta-0", "eta-0.5", "run-1", "run-2"]
    assert found["eta-0"]["kl"] == pytest.approx(0, abs=1e-6)
    assert found["run-1"]["kl"] > 0.001
    for name, point in found.items():
        rows = pq.read_table(place / "front" / name / "rollouts").to_pylist()
        assert len(rows) == point["completions"] == 8  # two problems, four completions
        assert sum(row["score"] for row in rows) / 8 == pytest.approx(point["reward"], abs=1e-6)
        assert {row["problem_id"] for row in rows} == {
            row["problem_id"] for row in pq.read_table(place / "front/eta-0/rollouts").to_pylist()
        }
    assert found["eta-0"]["eta"] == 0
    assert found["run-1"]["eta"] is None
    assert (place / "front.png").stat().st_size > 1000
    assert not list(place.glob("front/*-model"))
    assert not list(straight.rglob(".tmp-*"))


@pytest.mark.slow
def test_a_run_goes_on_to_more_rounds(straight: Path, model_folder: Path, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main(words(model_folder, data, run, "--rounds", "1", "--front")) == 0
    assert not (run / "round-01" / "front.json").exists()
    torch.testing.assert_close(weights(run / "final"), weights(straight / "round-01" / "final"), atol=0, rtol=0)
    assert main(["warp", "--resume", str(run), "--rounds", "2"]) == 0
    torch.testing.assert_close(weights(run / "final"), weights(straight / "final"), atol=0, rtol=0)


@pytest.mark.slow
def test_all_parameters_held_out_problems_and_three_policies(model_folder: Path, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    more = ["--rounds", "1", "--policies", "3", "--tune", "full", "--angle", "layer", "--eval-data", data.parent / "held_out.jsonl"]
    arguments = words(model_folder, data, run, *more, "--front", "1")
    rank = arguments.index("--lora-rank")
    arguments = [*arguments[:rank], *arguments[rank + 2 :]]
    assert main(arguments) == 0
    rows = read_lines(run / "metrics.jsonl")
    assert [row["step"] for row in rows] == [0, 1]
    assert all(row["eval/total"] == 1 for row in rows)
    front = json.loads((run / "round-01" / "front.json").read_text())
    assert [point["name"] for point in front] == ["eta-1", "run-1", "run-2", "run-3"]
    assert {point["completions"] for point in front} == {4}, "of the one held-out problem"


def test_a_plan_counts_the_steps_of_all_policies_and_writes_nothing(
    model_folder: Path, data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = words(model_folder, data, tmp_path / "run", "--rounds", "3", "--policies", "4", "--front", "0", "1", "--front-problems", "2")
    capsys.readouterr()
    assert main(["plan", *asked]) == 0
    said = capsys.readouterr().out
    assert not (tmp_path / "run").exists()
    for line in (
        "3 rounds x 4 policies x 1 steps = 12 steps",
        "merged by slerp, an angle for each tensor; the next round begins 0.3 of the way from the start to that",
        "the front: 6 policies, up to 2 problems x 4 completions of each",
        "token_loss + 0.04",
    ):
        assert line in said, line
    assert main(["plan", *asked, "--eta", "0"]) == 2


def _live(arguments: list[str]) -> None:
    os._exit(main(arguments))


@pytest.mark.slow
def test_killed_in_every_part_it_goes_on_to_the_same_bits(straight: Path, model_folder: Path, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = words(model_folder, data, run, "--rounds", "2", "--front", "0", "0.5", "--front-problems", "2")
    first, second = run / "round-01", run / "round-02"
    for until in (
        run / "config.json",
        first / "run-1" / "rollouts" / "step-000001.parquet",
        first / "run-2" / "config.json",
        first / "final",
        second / "run-1",
        second / "next",
        second / "front" / "eta-0.5-model",
        second / "front" / "run-1" / "rollouts",
    ):
        killed_when(until.exists, _live, arguments)
        arguments = ["warp", "--resume", str(run)]
    assert main(arguments) == 0
    torch.testing.assert_close(weights(run / "final"), weights(straight / "final"), atol=0, rtol=0)
    assert (run / "round-02" / "front.json").read_text() == (straight / "round-02" / "front.json").read_text()
    assert not list(run.rglob(".tmp-*"))


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    capsys.readouterr()
    assert main(arguments) == 2
    return without_progress(capsys.readouterr().err).splitlines()[-1]


def test_bad_input_is_one_line_before_anything_is_written(
    model_folder: Path, data: Path, straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"

    def said(*more: str) -> str:
        return refused(capsys, words(model_folder, data, run, *more))

    assert "--eta must be above 0" in said("--eta", "0")
    assert "--front 1.5: a point lies from 0" in said("--front", "1.5")
    assert "--policies must be at least 1" in said("--policies", "0")
    assert "--rounds must be at least 1" in said("--rounds", "0")
    assert "--eval would be ignored" in said("--eval", f"a={data}")
    assert "weights in --data and --order are not kept" in said("--order", "easy-first")
    assert "needs at least 9; sample more, or lower --k 9" in said("--algorithm", "pass-at-k", "--k", "9")
    assert "--model is missing" in refused(capsys, ["warp", "--data", str(data)])
    assert not run.exists()
    resume = ["warp", "--resume", str(straight)]
    assert "--eta 0.3, which cannot change" in refused(capsys, [*resume, "--eta", "0.5"])
    assert "it has done 2 rounds already" in refused(capsys, [*resume, "--rounds", "1"])


@pytest.mark.parametrize("damage", ["{", "[1]", "[" * 100_000, '{"eta": 0}'])
def test_a_damaged_front_is_one_line(damage: str, tmp_path: Path) -> None:
    rounds = Rounds(SimpleNamespace(path=tmp_path))  # type: ignore[arg-type]  # its place is all that is asked
    rounds.place(1).mkdir(parents=True)
    (rounds.place(1) / "front.json").write_text(damage)
    with pytest.raises(InputError, match=r"front\.json is damaged \(.*\); delete it, and the front is measured again"):
        measured_front(rounds, 1, (), "model", sample.Config())


@pytest.mark.slow
def test_from_python_a_model_in_memory_stays_as_it_is(model_folder: Path, data: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    import reckon

    model, tokenizer = AutoModelForCausalLM.from_pretrained(model_folder), AutoTokenizer.from_pretrained(model_folder)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    run = reckon.warp(
        model=model, tokenizer=tokenizer, problems=rows, run=tmp_path / "run", rounds=1, steps=1, problems_per_step=2, front=(),
        completions_per_problem=4, max_completion_length=4, engine=reckon.HF(), tune=reckon.Full(), lr=1e-2, warmup=0, workers=1,
        reward=[f"{data.parent / 'mine.py'}:varied"],
    )  # fmt: skip
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert any(not torch.equal(value.cpu(), before[name]) for name, value in run.model.state_dict().items())
    assert (run.final / "model.safetensors").is_file()
