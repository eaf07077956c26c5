"""The stories of whole papers: their stages, what they refuse, and (slow) that kill -9 changes nothing and a model gets better."""

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recipes import deepseek_math, deliberative_alignment, r1, r1_zero
from recipes.commands.cli import main
from recipes.selection.stored_responses import StoredResponse
from recipes.setup.command_line import guarded
from recipes.stages import sums_on_pages, two_languages
from recipes.stages.chain import Chain
from tests.kills import killed_when
from tests.progress_lines import without_progress
from verifiers.problem import Problem, make_problem
from verifiers.rewards.problem_file import read_problems, write_problems

STORIES = {"deepseek-math": deepseek_math, "r1-zero": r1_zero, "r1": r1, "deliberate": deliberative_alignment}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["deepseek-math"], "give --web (archives to mine) or --data"),
        (["deepseek-math", "--tiny", "--web", "a.warc.gz"], "--web would be ignored with --tiny"),
        (["deepseek-math", "--web", "a.warc.gz", "--model", "m"], "--eval-data missing"),
        (["deepseek-math", "--data", "d", "--web", "w"], "give --web (archives to mine) or --data"),
        (["deepseek-math", "--tiny", "--steps", "0"], "--steps must be at least 1, not 0"),
        (["deepseek-math", "--tiny", "--kl-coef", "-1"], "--kl-coef must be 0 or more, not -1.0"),
        (["r1-zero"], "--model and --data and --eval-data missing"),
        (["r1"], "--cold-start missing"),
        (["r1", "--tiny", "--student", "s"], "--student would be ignored with --tiny"),
        (["r1", "--cold-start", "./no.jsonl", "--model", "m"], "--cold-start: "),
        (["deliberate"], "--policy missing"),
        (["deliberate", "--policy", "./no.txt"], "--policy no.txt: there is no such file"),
        (["deliberate", "--tiny", "--judge", "exact"], "--policy and --judge would be ignored with --tiny"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_bad_option_is_one_line(words: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--run", str(tmp_path / "run")]) == 2
    said = without_progress(capsys.readouterr().err).strip()
    assert said.startswith(f"error: {line}"), said
    assert "\n" not in said
    assert not (tmp_path / "run").exists()


def names(story: Any, **options: Any) -> list[str]:
    return [stage.name for stage in story.stages(story.Config(**options))]


def test_the_stages_follow_the_options() -> None:
    whole = names(deepseek_math, tiny=True)
    assert whole == [
        "mine", "problems", "sft", "rft", "online-rft", "reward-models", "grpo", "grpo-ps", "iterative", "compare",
    ]  # fmt: skip
    assert names(deepseek_math, web=("a.warc.gz",)) == whole
    assert names(deepseek_math, data="d.jsonl") == whole[1:]
    assert set(deepseek_math.METHODS.values()) < set(whole)
    assert "base" in names(r1, tiny=True)
    assert {"base", "distil"}.isdisjoint(names(r1, cold_start="c.jsonl"))
    assert "distil" in names(r1, cold_start="c.jsonl", student="s")
    for story in STORIES.values():
        assert len(set(names(story, tiny=True))) == len(names(story, tiny=True))


def test_r1_zero_asks_by_the_papers_template(tmp_path: Path) -> None:
    chain = Chain(tmp_path, ("problems",))
    chain.place("problems").mkdir()
    r1_zero.write_templated(r1_zero.Config(tiny=True, limit=3), chain)
    train, held_out = (read_problems(Path(r1_zero.file(chain, name))) for name in ("train", "held_out"))
    assert len(train) == 3
    for problem in (*train, *held_out):
        assert str(problem.prompt).startswith("A conversation between User and Assistant. The user asks a question, and the Assistant")
        assert str(problem.prompt).endswith("=. Assistant:")
    assert {problem.prompt for problem in train}.isdisjoint(problem.prompt for problem in held_out)


def test_mined_solutions_and_a_data_sets_own_are_learnt_and_nothing_that_is_held_out(tmp_path: Path) -> None:
    data, held_out = tmp_path / "gsm.jsonl", tmp_path / "held_out.jsonl"
    rows = [{"question": f"What is {n} + 1?", "answer": f"One more: {n + 1}\n#### {n + 1}"} for n in range(4)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    held_out.write_text(json.dumps({"question": "What is 2 + 1?", "answer": "#### 3"}) + "\n")
    chain = Chain(tmp_path, ("problems",))
    chain.place("problems").mkdir()
    found = deepseek_math._problems(deepseek_math.Config(data=str(data), eval_data=str(held_out), model="m"), chain)
    assert (found["train"], found["held_out"], found["solutions"]) == (3, 1, 3)
    rows = [json.loads(line) for line in (chain.place("problems") / "solutions.jsonl").read_text().splitlines()]
    assert rows[0] == {"prompt": "What is 0 + 1?", "completion": "One more: 1\n#### 1"}
    assert "What is 2 + 1?" not in {row["prompt"] for row in rows}


@pytest.mark.parametrize(
    ("reward_by", "rewards"),
    [
        ("verifier", {"grpo": "math_answer", "grpo-ps": 'steps(arithmetic, math_answer, split="line")', "iterative": "math_answer"}),
        (
            "reward-model",
            {
                "grpo": 'reward_model("{models}/outcome", math_answer)',
                "grpo-ps": 'reward_model("{models}/process", math_answer, split="line")',
                "iterative": "math_answer",
            },
        ),
    ],
)
def test_who_rewards_is_asked_for(reward_by: Any, rewards: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = deepseek_math.Config(tiny=True, run=tmp_path, reward_by=reward_by)
    chain = Chain(tmp_path, tuple(stage.name for stage in deepseek_math.stages(config)))
    chain.place("problems").mkdir()
    write_problems(chain.place("problems") / "train.jsonl", [make_problem("1+1=", "2")])
    asked: dict[str, Any] = {}
    monkeypatch.setattr(deepseek_math, "learnt", lambda place, function, **options: asked.update(options))
    monkeypatch.setattr(deepseek_math, "_measured", lambda config, chain, name: {})
    for stage in deepseek_math.stages(config):
        if stage.name in rewards:
            stage.work(config, chain)
            assert asked.pop("reward") == (rewards[stage.name].format(models=chain.place("reward-models")),)
    assert asked["verifier_weight"] == (3.0 if reward_by == "verifier" else 0.0)
    assert asked["algorithm"].outcome_weight == (1.0 if reward_by == "verifier" else 0.0)  # that of grpo-ps


def test_what_complies_teaches_without_the_policys_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = make_problem("The policy. Do it.", "done", meta={"bare": "Do it."})

    def response(text: str, status: str = "right", finish: str = "stop") -> StoredResponse:
        return StoredResponse(problem, text, 3, finish, 1.0, status, False, (0, 0, 0), "m", 0, "", False)

    said = [
        response("no"),
        response("no"),
        response("yes", "wrong"),
        response("cut", finish="length"),
        response(""),
        *map(response, "abcd"),
    ]
    monkeypatch.setattr(deliberative_alignment, "store_files", lambda places: places)
    monkeypatch.setattr(deliberative_alignment, "stored_responses", lambda files: [(problem, said)])
    kept = list(deliberative_alignment._compliant(tmp_path))
    assert kept == [{"prompt": "Do it.", "completion": text} for text in ("no", "a", "b", "c")]


# --- whole stories, in small -----------------------------------------------------------------------------------------------------

SMALL = deepseek_math.Sizes(
    on_pages=240, held_out=20, problems=60, sft_steps=40, samples=8, labelled=30,
    steps=4, problems_per_step=8, completions_per_problem=4, checkpoint_every=1,
)  # fmt: skip
KILLED_AT = (
    "01-mine/run/round-01",
    "03-sft/run/checkpoints",
    "04-rft/samples/rollouts",
    "06-reward-models/steps.jsonl.rollouts",
    "07-grpo/run/checkpoints",
    "08-grpo-ps/run/checkpoints",
    "09-iterative/run/round-01/grpo/checkpoints",
    "09-iterative/run/round-02/reward_model",
)


def result(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    line = capsys.readouterr().out.splitlines()[-1]
    return {name: value for name, value in json.loads(line.removeprefix("RESULT ")).items() if not name.endswith("seconds")}


def numbers_of(run: Path) -> dict[str, Any]:
    return {path.parent.name: json.loads(path.read_text())["numbers"] for path in run.glob("*/stage.json")}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes of seconds, and an answer that a model as good as random gives often: an even number."""

    def write_even(path: Path, problems: Iterable[Problem]) -> None:
        write_problems(
            path, [replace(problem, answer=r"\d*[02468]", verifier="regex", meta={"gold_response": "2"}) for problem in problems]
        )

    monkeypatch.setattr(deepseek_math, "TINY", SMALL)
    monkeypatch.setattr(deepseek_math, "write_problems", write_even)


@pytest.mark.slow
@pytest.mark.timeout(1200)  # ten lives: some seconds each on a core of its own
def test_killed_at_any_stage_the_same_command_ends_the_same(small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    straight = deepseek_math.Config(tiny=True, run=tmp_path / "straight")
    assert guarded(lambda: deepseek_math.run(straight)) == 0
    figures, numbers = result(capsys), numbers_of(straight.run)
    killed = replace(straight, run=tmp_path / "killed")

    def live() -> None:
        os._exit(deepseek_math.run(killed))

    for until in KILLED_AT:
        before = {path: path.stat().st_mtime_ns for path in killed.run.glob("*/stage.json")}
        killed_when((killed.run / until).exists, live)
        assert {path: path.stat().st_mtime_ns for path in before} == before  # what is done is not done again
    assert guarded(lambda: deepseek_math.run(killed)) == 0
    assert result(capsys) == figures
    assert numbers_of(killed.run) == numbers
    assert (killed.run / "10-compare" / "comparison.svg").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r1-zero", "deliberate"])
def test_a_tiny_model_gets_better(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--tiny", "--run", str(tmp_path / "run")]) == 0
    found = result(capsys)
    assert found["ci95"][0] > found["before"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_way_on_from_the_tiny_start_leads_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deepseek-math", "--tiny", "--run", str(tmp_path / "run")]) == 0
    found = result(capsys)
    ways = {name: accuracy for name, (accuracy, *_) in found["held_out"].items() if name != "SFT"}
    assert len(ways) == 5
    assert min(ways.values()) > found["before"], ways


def test_the_tiny_worlds_are_apart(tmp_path: Path) -> None:
    train, held_out = two_languages.problems_of(0, count=500)
    assert {problem.id for problem in train}.isdisjoint(problem.id for problem in held_out)
    assert [problem.id for problem in held_out] == [problem.id for problem in sums_on_pages.held_out_problems(0)]
