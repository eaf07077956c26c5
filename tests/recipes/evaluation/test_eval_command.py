"""`reckon eval`: its figures are those of what was sampled, of a run its own, and what is refused."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from recipes.commands.cli import main
from recipes.evaluation.asked_problems import as_its_run, contaminated
from recipes.evaluation.eval_command import Config
from rl.evaluation.subsets import pass_at_k
from rl.runs.run_folder import RunFolder
from verifiers.input_error import InputError
from verifiers.problem import make_problem

PROBLEMS = 8


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [{"prompt": f"{a} + {a}?", "answer": str(2 * a), "meta": {"level": a % 2}} for a in range(PROBLEMS)]
    path = tmp_path / "sums.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "odd.py").write_text(
        "def even(problem, response):\n    return len(response) % 2 == 0\n\ndef brief(problem, response):\n    return -len(response)\n"
    )
    return path


def words(model: Path, data: Path, run: Path, *more: str) -> list[str]:
    """A function of the response's length judges, so that a random model is now and then right."""
    common = ["--model", str(model), "--data", str(data), "--run", str(run), "--max-completion-length", "6", "--engine", "hf"]
    return ["eval", *common, "--reward", f"{data.parent / 'odd.py'}:even", "--workers", "1", *more]


def evaluation(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "evaluation.json").read_text())
    return found


def stored(run: Path) -> list[dict[str, Any]]:
    files = sorted((run / "samples" / "rollouts").glob("*.parquet"))
    return [row for path in files for row in pq.read_table(path).to_pylist()]


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    capsys.readouterr()
    assert main(arguments) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if " so far)" not in line]
    assert len(said) == 1
    return said[0]


def test_figures_of_several_samples_are_those_of_the_store(model_folder: Path, data: Path, tmp_path: Path, capsys: Any) -> None:
    run, n = tmp_path / "eval", 4
    several = ["--completions-per-problem", str(n), "--temperature", "1", "--by", "level", "--rank-by", f"{data.parent / 'odd.py'}:brief"]
    assert main(words(model_folder, data, run, *several)) == 0
    rows = stored(run)
    right = [sum(row["status"] == "right" for row in rows[place : place + n]) for place in range(0, len(rows), n)]
    assert len(right) == PROBLEMS
    assert 0 < sum(right) < PROBLEMS * n
    found = evaluation(run)["sets"]["sums"]
    for k in (1, 2, 4):
        assert found["of_k"][f"pass@{k}"]["value"] == pytest.approx(sum(pass_at_k(n, each, k) for each in right) / PROBLEMS)
    assert found["accuracy"]["value"] == pytest.approx(sum(right) / (PROBLEMS * n))
    best = []
    for place in range(0, len(rows), n):
        group = rows[place : place + n]
        shortest = [row["status"] == "right" for row in group if len(row["response"]) == min(len(each["response"]) for each in group)]
        best.append(sum(shortest) / len(shortest))
    assert found["of_k"]["best@4"]["value"] == pytest.approx(sum(best) / PROBLEMS)
    assert sum(part["samples"] for part in found["parts"].values()) == PROBLEMS * n
    assert set(found["parts"]) == {"level=0", "level=1"}
    result = json.loads(capsys.readouterr().out.rpartition("RESULT ")[2])
    assert result["sums"]["pass@2"][0] == pytest.approx(found["of_k"]["pass@2"]["value"], abs=1e-4)


def test_two_evaluations_are_compared_problem_by_problem(
    model_folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(model_folder, data, tmp_path / "one")) == 0
    assert main(words(model_folder, data, tmp_path / "two", "--against", str(tmp_path / "one"))) == 0
    found = evaluation(tmp_path / "two")["sets"]["sums"]["against"]
    assert (found["value"], found["p"], found["test"], found["problems"]) == (0.0, 1.0, "exact McNemar", PROBLEMS)
    several = ["--completions-per-problem", "2", "--temperature", "1", "--against", str(tmp_path / "one")]
    assert main(words(model_folder, data, tmp_path / "three", *several)) == 0
    assert evaluation(tmp_path / "three")["sets"]["sums"]["against"]["test"] == "paired bootstrap"
    assert "no evaluation is there" in refused(capsys, words(model_folder, data, tmp_path / "four", "--against", str(tmp_path)))


def test_an_evaluation_that_was_cut_off_goes_on_and_another_is_refused(
    model_folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, small = tmp_path / "eval", ("--problems-per-chunk", "2")
    assert main(words(model_folder, data, run, *small)) == 0
    whole, kept = evaluation(run), stored(run)
    assert "holds an evaluation" in refused(capsys, words(model_folder, data, run, *small))
    (run / "evaluation.json").unlink()  # as a kill before the last write leaves it
    sorted((run / "samples" / "rollouts").glob("*.parquet"))[-1].unlink()
    assert "other options (max_completion_length" in refused(
        capsys, [*words(model_folder, data, run, *small), "--max-completion-length", "5"]
    )
    assert main(words(model_folder, data, run, *small)) == 0
    assert evaluation(run) == whole
    assert stored(run) == kept
    assert main([*words(model_folder, data, run, *small, "--overwrite"), "--max-completion-length", "5"]) == 0
    assert all(len(row["tokens"]) <= 5 for row in stored(run))


def test_a_runs_own_figures_come_out_of_its_checkpoints(model_folder: Path, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train = ["grpo-math", "--model", str(model_folder), "--data", str(data), "--held-out", "4", "--run", str(run), "--engine", "hf"]
    how = ["--steps", "2", "--problems-per-step", "2", "--completions-per-problem", "4", "--max-completion-length", "6", "--lr", "0.01"]
    reward = ["--reward", f"{data.parent / 'odd.py'}:even", "--workers", "1", "--system-prompt", "", "--warmup", "0"]
    assert main([*train, *how, *reward, "--checkpoint-every", "1", "--eval-every", "1"]) == 0
    logged = {row["step"]: row["eval/accuracy"] for row in map(json.loads, (run / "metrics.jsonl").read_text().splitlines())}
    for place, step in ((run, 2), (run / "checkpoints" / "step-000001", 1)):
        out = tmp_path / f"eval-{step}"
        assert main(["eval", "--model", str(place), "--engine", "hf", "--run", str(out), "--workers", "1"]) == 0
        found = evaluation(out)
        assert found["sets"]["held-out"]["accuracy"]["value"] == logged[step]
        assert found["options"]["system_prompt"] == ""
        assert found["options"]["max_completion_length"] == 6
        assert found["contamination"] == {"files": [str(data)], "problems": {}}, "the rows that were held out did not train"


def test_a_quickstart_is_spoken_to_without_a_system_prompt(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "run", {"options": {"max_completion_length": 40}}).close()
    found = as_its_run(Config(model=str(tmp_path / "run")))
    assert (found.system_prompt, found.max_completion_length) == ("", 40)
    assert as_its_run(Config(model=str(tmp_path / "run"), system_prompt="Be brief.")).system_prompt == "Be brief."


def test_problems_that_were_trained_on_are_counted(model_folder: Path, data: Path, tmp_path: Path) -> None:
    trained = tmp_path / "trained.jsonl"
    trained.write_text(
        json.dumps({"prompt": "Solve: 3 + 3 ?", "completion": "6"}) + "\n" + json.dumps({"prompt": "apples and pears"}) + "\n"
    )
    (tmp_path / "long.jsonl").write_text(json.dumps({"prompt": "What do apples and pears cost?", "answer": "4"}) + "\n")
    assert main(words(model_folder, tmp_path / "long.jsonl", tmp_path / "a", "--trained-on", str(trained))) == 0
    assert evaluation(tmp_path / "a")["contamination"]["problems"] == {}
    trained.write_text(json.dumps({"messages": [{"role": "user", "content": "Tell me: what do apples and pears cost?"}]}) + "\n")
    assert main(words(model_folder, tmp_path / "long.jsonl", tmp_path / "b", "--trained-on", str(trained))) == 0
    (place,) = evaluation(tmp_path / "b")["contamination"]["problems"].values()
    assert place == f"{trained}, line 1"


def test_a_row_that_was_held_out_did_not_train_and_one_that_quotes_it_did(tmp_path: Path) -> None:
    problem, trained = make_problem("What do apples and pears cost?", "4"), tmp_path / "trained.jsonl"
    rows = [{"question": problem.prompt, "answer": "4"}, {"question": f"Tell me: {problem.prompt}", "answer": "4"}]
    trained.write_text(json.dumps(rows[0]) + "\n")
    assert contaminated([problem], [str(trained)]) == {problem.id: f"{trained}, line 1"}
    assert contaminated([problem], [str(trained)], kept_out=True) == {}
    trained.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert contaminated([problem], [str(trained)], kept_out=True) == {problem.id: f"{trained}, line 2"}


def test_problems_of_a_word_or_two_were_trained_on_where_they_are_a_paragraph(tmp_path: Path) -> None:
    problems, trained = [make_problem("57+68=", "125"), make_problem("1+2=", "3")], tmp_path / "trained.jsonl"
    trained.write_text(
        json.dumps({"prompt": "Is 1+2= 4?"}) + "\n" + json.dumps({"messages": [{"role": "user", "content": " 57+68= "}]}) + "\n"
    )
    assert contaminated(problems, [str(trained)]) == {problems[0].id: f"{trained}, line 2"}


def test_what_is_missing_is_one_line(model_folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "eval"
    assert "--model is missing" in refused(capsys, ["eval", "--data", str(data), "--run", str(run)])
    assert "--data is missing" in refused(capsys, ["eval", "--model", str(model_folder), "--run", str(run)])
    twice = words(model_folder, data, run, "--data", f"sums={data.parent / 'odd.py'}")
    assert "two sets are called sums" in refused(capsys, twice)
    assert "--completions-per-problem 1" in refused(capsys, words(model_folder, data, run, "--completions-per-problem", "2"))
    assert "no_such_reward" in refused(capsys, words(model_folder, data, run, "--rank-by", "no_such_reward"))
    assert not run.exists()


def _asked(model: Path, data: Path, run: Path, *more: str) -> list[str]:
    return [
        *("eval", "--model", str(model), "--data", str(data), "--run", str(run), "--max-completion-length", "12", "--engine", "hf"),
        *("--workers", "1", *more),
    ]


def test_each_way_of_reasoning_has_its_prompt_and_its_judge(model_folder: Path, data: Path, tmp_path: Path) -> None:
    for way, said, judge in (("cot", "boxed", []), ("pot", "Python program", ["program_answer"]), ("tools", "its output follows", [])):
        run = tmp_path / way
        assert main(_asked(model_folder, data, run, "--reasoning", way, "--limit", "2")) == 0
        options = json.loads((run / "samples" / "config.json").read_text())["options"]
        assert said in options["system_prompt"]
        assert options["reward"] == judge
        assert evaluation(run)["options"]["reasoning"] == way
    own = ("--reasoning", "pot", "--system-prompt", "Compute.", "--reward", "program_answer(seconds=1.0)", "--limit", "1")
    assert main(_asked(model_folder, data, tmp_path / "own", *own)) == 0
    options = json.loads((tmp_path / "own" / "samples" / "config.json").read_text())["options"]
    assert (options["system_prompt"], options["reward"]) == ("Compute.", ["program_answer(seconds=1.0)"])


def test_tools_run_while_an_evaluated_model_thinks(model_folder: Path, data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    from rollout.engines.hf_engine import HFEngine
    from rollout.tools.tool_use import ToolEngine

    seen: list[str] = []
    play = ToolEngine.play
    monkeypatch.setattr(ToolEngine, "play", lambda self, *a, **k: seen.append(type(self.engine).__name__) or play(self, *a, **k))
    assert main(_asked(model_folder, data, tmp_path / "run", "--reasoning", "tools", "--limit", "1")) == 0
    assert seen == [HFEngine.__name__]


def test_the_harness_is_given_the_same_prompts_and_the_same_judge(model_folder: Path, data: Path, tmp_path: Path, capsys: Any) -> None:
    import importlib.util

    import yaml

    from recipes.evaluation.lm_eval_task import MODULE, process_results

    class Loader(yaml.SafeLoader):
        """As the harness's: `!function` names what is imported."""

    Loader.add_constructor("!function", lambda loader, node: node.value)
    task = tmp_path / "task"
    assert main(words(model_folder, data, tmp_path / "eval", "--lm-eval", str(task))) == 0
    assert f"--include_path {task} --tasks reckon_sums" in capsys.readouterr().out
    assert not (tmp_path / "eval").exists(), "nothing was sampled"
    read = yaml.load((task / "reckon_sums.yaml").read_text(), Loader)  # a SafeLoader with one more word
    assert read["process_results"] == "reckon_judge.process_results"
    assert read["generation_kwargs"]["max_gen_toks"] == 6
    rows = [json.loads(line) for line in Path(read["dataset_kwargs"]["data_files"]["test"]).read_text().splitlines()]
    assert main(words(model_folder, data, tmp_path / "eval")) == 0
    own = stored(tmp_path / "eval")
    assert len(rows) == len(own) == PROBLEMS
    for row, mine in zip(rows, own, strict=True):
        assert process_results(row, [mine["response"]]) == {"accuracy": float(mine["status"] == "right"), "no_verdict": 0.0}
    spec = importlib.util.spec_from_file_location(MODULE, task / f"{MODULE}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.process_results is process_results
    assert "there already" in refused(capsys, words(model_folder, data, tmp_path / "eval", "--lm-eval", str(task)))
    nowhere = data / "task"
    assert "cannot be made" in refused(capsys, words(model_folder, data, tmp_path / "eval", "--lm-eval", str(nowhere)))
    sampled = ["--completions-per-problem", "2", "--temperature", "1"]
    assert "one greedy response" in refused(capsys, words(model_folder, data, tmp_path / "eval", "--lm-eval", "other", *sampled))


def test_two_sets_are_not_one_task_of_the_harness(tmp_path: Path) -> None:
    from recipes.evaluation.lm_eval_task import write_task

    chat: Any = SimpleNamespace(stop_ids=())
    with pytest.raises(InputError, match="reckon_a_b"):
        write_task(tmp_path / "task", {"a-b": [], "a_b": []}, chat, reward=(), max_tokens=8, deadline=1.0)
    assert not (tmp_path / "task").exists()
