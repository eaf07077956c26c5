"""The real recipe, end to end through the command line, on real GSM8K rows with a tiny random model: plumbing, not learning."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from recipes.commands.cli import main
from recipes.grpo_math import Config
from recipes.setup.choices import GRPOPS
from recipes.setup.online import verifier_pool
from recipes.setup.options import Options
from recipes.setup.problem_set import with_good_golds
from rl.runs.run_folder import read_lines
from tests.progress_lines import without_progress
from verifiers.child_environment import PACKAGE_ROOT
from verifiers.input_error import InputError
from verifiers.problem import make_problem

ROOT = Path(PACKAGE_ROOT)
SMALL = ["--steps", "2", "--problems-per-step", "2", "--completions-per-problem", "3", "--max-completion-length", "6", "--workers", "1"]
SMALL += ["--engine", "hf"]  # whatever is installed


@pytest.fixture(scope="module")
def gsm8k(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve real rows in the data set's own form: question, and a solution that ends in ####."""
    rows = [json.loads(line) for line in (data_dir / "math" / "gsm8k_train.jsonl").read_text().splitlines()[:12]]
    path = tmp_path_factory.mktemp("gsm8k") / "train.jsonl"
    path.write_text("".join(json.dumps({"question": row["problem"], "answer": row["solution"]}) + "\n" for row in rows))
    return path


def grpo_math(*arguments: str | Path) -> int:
    return main(["grpo-math", *map(str, arguments)])


def test_lora_on_gsm8k_leaves_a_whole_run_on_disk(model_folder: Path, gsm8k: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert grpo_math("--model", model_folder, "--data", gsm8k, "--held-out", "2", "--run", run, "--kl-coef", "0.04", *SMALL) == 0
    config = json.loads((run / "config.json").read_text())["options"]
    assert (config["tune"]["name"], config["kl"]["coef"], config["steps"]) == ("lora", 0.04, 2)
    rows = read_lines(run / "metrics.jsonl")
    assert [row["step"] for row in rows] == [0, 1, 2]
    assert "eval/accuracy" in rows[0]
    assert "eval/accuracy" in rows[2]
    rollout = pq.read_table(run / "rollouts" / "step-000001.parquet").to_pylist()
    assert len(rollout) == 2 * 3
    assert all(len(row["tokens"]) == len(row["logprobs"]) <= 6 for row in rollout)
    assert {row["status"] for row in rollout} <= {"right", "wrong", "no_answer"}
    assert {row["policy_version"] for row in rollout} == {0}
    for name in ("accuracy", "reward", "length", "entropy", "kl", "groups"):
        assert (run / "plots" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((run / "manifest.json").read_text())["status"] == "done"
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoTokenizer

    assert AutoPeftModelForCausalLM.from_pretrained(run / "final")
    assert AutoTokenizer.from_pretrained(run / "final").chat_template


def test_full_with_dataset_columns_rewards_and_resume(model_folder: Path, gsm8k: Path, tmp_path: Path) -> None:
    from datasets import Dataset

    rows = [json.loads(line) for line in gsm8k.read_text().splitlines()]
    folder = tmp_path / "set"
    folder.mkdir()
    Dataset.from_list([{"q": row["question"], "a": row["answer"], "level": 1} for row in rows]).to_parquet(folder / "train.parquet")
    (tmp_path / "mine.py").write_text(
        "def brief(problem, response):\n    assert problem.meta['level'] == 1\n    return 1 / (1 + len(response))\n\n"
        "def trl_style(completions, answer, **kwargs):\n    return [float(len(c)) for c in completions]\n"
    )
    run = tmp_path / "run"
    arguments = ["--model", model_folder, "--data", folder, "--prompt-column", "q", "--answer-column", "a", "--run", run, "--tune", "full"]
    rewards = ["--reward", "math_answer", "--reward", f"{tmp_path}/mine.py:brief=0.5", "--reward", f"{tmp_path}/mine.py:trl_style=0.1"]
    assert grpo_math(*arguments, *rewards, *SMALL, "--algorithm", "dapo", "--updates-per-rollout", "2") == 0
    parts = {name for row in read_lines(run / "metrics.jsonl") for name in row if name.startswith("reward/")}
    assert parts == {"reward/math_answer", "reward/brief", "reward/trl_style"}
    weights = (run / "final" / "model.safetensors").read_bytes()
    assert grpo_math("--resume", run) == 0, "resuming a finished run does nothing, successfully"
    assert (run / "final" / "model.safetensors").read_bytes() == weights


def test_ctrl_c_ends_with_a_checkpoint_and_a_summary(model_folder: Path, gsm8k: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    small = [value if value != "2" else "4" for value in SMALL]
    command = [sys.executable, "-m", "recipes.commands.cli", "grpo-math", "--model", model_folder, "--data", gsm8k, "--run", run, *small]
    command[command.index("--steps") + 1] = "100000"
    with subprocess.Popen(map(str, command), cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        _wait_for(lambda: len(read_lines(run / "metrics.jsonl")) > 3, process)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "interrupted in the" in said
    assert "kept is all up to the end of step" in said
    assert f"continue with --resume {run}" in said
    assert "Traceback" not in said
    last = read_lines(run / "metrics.jsonl")[-1]["step"]
    assert (run / "checkpoints" / f"step-{last:06d}" / "position.json").exists()
    assert json.loads((run / "manifest.json").read_text())["status"] == "interrupted"


def _wait_for(condition: Any, process: subprocess.Popen[str], seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < until, "nothing happened in time"
        time.sleep(0.1)


def one_line_error(capsys: pytest.CaptureFixture[str], arguments: Sequence[str | Path], *expected: str) -> None:
    """Exit code 2, exactly one line, and it names what is expected."""
    assert main([str(argument) for argument in arguments]) == 2
    said = without_progress(capsys.readouterr().err)
    assert said.startswith("error: ")
    assert "\n" not in said, said
    for words in expected:
        assert words in said


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (["--problems-per-stp", "3"], ("--problems-per-stp", "did you mean --problems-per-step?")),
        (["--steps", "many"], ("--steps", "many")),
        (["--algorithm", "gpo"], ("--algorithm", "gpo")),
        (["--steps", "0"], ("--steps must be at least 1",)),
        (["--lr", "-1"], ("--lr must be a number above 0",)),
        (
            ["--algorithm", "rloo", "--clip-high", "0.3"],
            ("--clip-high would be ignored with --algorithm rloo;", "grpo or dr_grpo"),
        ),
        (["--ratio-cap", "3"], ("--ratio-cap would be ignored with --algorithm grpo;", "use --algorithm cispo")),
        (["--kl", "k2"], ("--kl would be ignored without --kl-coef",)),
        (
            ["--kl-coef", "0.1", "--ema-decay", "0.9"],
            ("--ema-decay would be ignored with --reference initial;", "ema"),
        ),
        (["--reference", "ema"], ("--reference would be ignored without --kl-coef",)),
        (["--kl-coef", "0", "--kl", "k2"], ("--kl would be ignored with --kl-coef 0",)),
        (
            ["--correction", "truncate", "--correction-low", "0.5"],
            ("--correction-low would be ignored", "use --correction mask"),
        ),
        (["--tune", "full", "--lora-rank", "4"], ("--lora-rank would be ignored with --tune full",)),
        (["--completions-per-problem", "1"], ("--completions-per-problem 1", "baseline is the group", "at least 2")),
        (["--algorithm", "maxrl", "--updates-per-rollout", "2"], ("maxrl has no probability ratio",)),
        (["--data", "nowhere.jsonl"], ("nowhere.jsonl",)),
        (["--data", "no/such-set"], ("no/such-set", "datasets", "give a .jsonl file")),
        (["--model", "nowhere"], ("there is no file or folder nowhere", "cannot read a model's config")),
        (["--reward", "nowhere.py:fn"], ("nowhere.py",)),
        (["--reward", "math_answr"], ("math_answr",)),
        (["--max-completion-length", "2000"], ("the model's context is 1024", "shorten")),
        (["--held-out", "12"], ("--held-out 12", "only 12 problems")),
        (["--track", "wandb"], ("wandb", "not installed")),
        (["--resume", "nowhere"], ("nowhere", "config.json is missing")),
        (["--split", "test"], ("--split would be ignored", "is a file")),
        (["--held-out", "2", "--eval-data", "x.jsonl"], ("--held-out would be ignored with --eval-data",)),
        (["--held-out", "-5"], ("--held-out must be 0 or more",)),
        (["--lora-rank", "0"], ("--lora-rank must be at least 1",)),
        (["--lora-targets", "nosuch"], ("nosuch",)),
        (["--temperature", "inf"], ("--temperature must be a number above 0, not inf",)),
        (["--clip-low", "nan"], ("--clip-low must be from 0 to below 1, not nan",)),
        (["--max-refills", "-1", "--algorithm", "dapo"], ("--max-refills must be 0 or more",)),
        (["--kl-coef", "-1"], ("--kl-coef must be 0 or more",)),
        (["--run", "/proc/nothing/run"], ("/proc/nothing/run", "cannot be made")),
        (["junk"], ("junk",)),
    ],
)
def test_bad_options(
    extra: list[str], expected: tuple[str, ...], model_folder: Path, gsm8k: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = [] if "--resume" in extra else ["--model", model_folder, "--data", gsm8k, "--run", tmp_path / "run", *SMALL]
    one_line_error(capsys, ["grpo-math", *base, *extra], *expected)
    assert not (tmp_path / "run").exists(), "nothing heavy was started"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ('{"question": "1+1?", "answer": "2"}\n{"question": \n', ("line 2", "JSON")),
        ('{"question": "1+1?"}\n', ("line 1", "question")),
        ('{"prompt": "1+1?", "answer": ""}\n{"prompt": "1+2?", "answer": "3"}\n', ("line 1", "no gold answer", "--skip-bad-gold")),
        ("", ("holds no problem",)),
    ],
)
def test_bad_data(rows: str, expected: tuple[str, ...], model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data.jsonl").write_text(rows)
    arguments = ["grpo-math", "--model", model_folder, "--data", tmp_path / "data.jsonl", "--run", tmp_path / "run", *SMALL]
    one_line_error(capsys, arguments, "data.jsonl", *expected)


def test_golds_that_their_verifier_rejects_are_listed_or_dropped(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = {"prompt": "2+2?", "answer": "4", "verifier": "math_answer"}
    strict = {"prompt": "3+3?", "answer": "six", "verifier": f"{tmp_path}/never.py:reward"}
    (tmp_path / "never.py").write_text("def reward(problem, response):\n    return False\n")
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (good, strict)))
    arguments = ["grpo-math", "--model", model_folder, "--data", tmp_path / "data.jsonl", "--run", tmp_path / "run", *SMALL]
    one_line_error(capsys, arguments, "line 2", "which is none of ours", "--trust-data-verifiers")
    arguments.append("--trust-data-verifiers")
    one_line_error(capsys, arguments, "1 of 2 gold answers are rejected", "'six'", "--skip-bad-gold")
    assert main([str(a) for a in [*arguments, "--skip-bad-gold"]]) == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["problems"] == 1


@pytest.mark.parametrize(
    "rewards",
    [["math_answer"], ["gate(response_format, math_answer)"], ["length_cosine"], ["response_format", "math_answer(percent=strict)=0.5"]],
)
def test_golds_are_tried_on_what_reads_answers_in_the_rewards(rewards: list[str]) -> None:
    config = Config(data="here", reward=tuple(rewards), workers=1)
    good, broken = make_problem("2+2?", "4"), make_problem("Half?", r"\frac{1")
    with pytest.raises(InputError, match=r"1 of 2 gold answers are rejected .*frac\{1.*--skip-bad-gold"):
        with_good_golds(config, [good, broken], [], None)
    assert with_good_golds(replace(config, skip_bad_gold=True), [good, broken], [broken], None) == ([good], [])


def test_a_gate_does_not_hide_bad_golds_or_a_missing_judge_from_the_command(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RECKON_JUDGE_ENDPOINT", raising=False)
    (tmp_path / "data.jsonl").write_text('{"prompt": "2+2?", "answer": "4"}\n{"prompt": "Half?", "answer": "\\\\frac{1"}\n')
    arguments = ["grpo-math", "--model", model_folder, "--data", tmp_path / "data.jsonl", "--run", tmp_path / "run", *SMALL]
    one_line_error(capsys, [*arguments, "--reward", "gate(response_format, math_answer)"], "1 of 2 gold answers are rejected")
    one_line_error(capsys, [*arguments, "--reward", "gate(response_format, judge)"], "no endpoint is named")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("reward", "expected"),
    [
        ("gate(response_format, minimum(math_answer, mine.py:broken))", "^mine.py:broken, which gate.* ZeroDivisionError"),
        ("gate(response_format, judge(endpoint='http://127.0.0.1:1/v1', model=m, timeout=1))", "127.0.0.1:1"),
    ],
)
def test_what_stands_behind_a_gate_is_tried_too(reward: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def broken(problem, response):\n    return 1 / 0\n")
    with pytest.raises(InputError, match=expected):
        verifier_pool(Options(reward=(reward,), workers=1), [make_problem("2+2?", "4")])


@pytest.mark.parametrize(
    ("reward", "expected"),
    [
        ("steps(mine.py:few)", r"^mine.py:few returned 3 scores for 4 steps; .* with the response 'Let me see\.\\n\\nFirst"),
        (
            "steps(arithmetic, split=mine.py:far)",
            r"^mine.py:far returned the end 109, outside of the response, which has 9 characters, on problem",
        ),
    ],
)
def test_steps_that_do_not_fit_are_found_before_anything_heavy(
    reward: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "def few(problem, steps):\n    return [1.0] * min(3, len(steps))\ndef far(response):\n    return [len(response) + 100]\n"
    )
    with pytest.raises(InputError, match=expected):
        verifier_pool(Options(reward=(reward,), workers=1), [make_problem("2+2?", "4")])


def test_process_supervision_without_steps_is_refused() -> None:
    problems, steps = [make_problem("2+2?", "4")], "steps(arithmetic)"
    with pytest.raises(
        InputError, match=r"^--algorithm grpo-ps learns from the scores of steps, and math_answer gives none; give --reward"
    ):
        verifier_pool(Options(algorithm=GRPOPS(), workers=1), problems)
    for algorithm, rewards in ((GRPOPS(outcome_weight=1.0), ()), (GRPOPS(), ("length=0.1", steps))):
        with verifier_pool(Options(algorithm=algorithm, reward=rewards, workers=1), problems):
            pass


def test_a_reward_may_rely_on_the_gate_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def inside(problem, response):\n    return len(response.split('<answer>')[1]) > 0\n")
    with verifier_pool(Options(reward=("gate(response_format, mine.py:inside)",), workers=1), [make_problem("2+2?", "4")]) as pool:
        assert pool.verify_many([(make_problem("2+2?", "4"), "<think>a</think><answer>4</answer>")])[0].score == 1.0


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def fn(problem, response):\n    return 'abc'\n", ("'abc'", "str")),
        ("def fn(problem, response):\n    return 1 / 0\n", ("ZeroDivisionError",)),
        ("def fn(problem, response)\n    return 1\n", ("mine.py:1",)),
        ("import no_such_module\n", ("no_such_module",)),
        ("def other(problem, response):\n    return 1\n", ("fn",)),
    ],
)
def test_bad_reward_functions(
    code: str, expected: tuple[str, ...], model_folder: Path, gsm8k: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(code)
    arguments = ["--model", model_folder, "--data", gsm8k, "--run", tmp_path / "run", "--reward", tmp_path / "mine.py:fn", *SMALL]
    one_line_error(capsys, ["grpo-math", *arguments], "mine.py", *expected)
    assert not (tmp_path / "run").exists()


def test_a_lora_run_is_a_function_of_its_seed(model_folder: Path, gsm8k: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def odd(problem, response):\n    return len(response) % 2\n")
    for name in ("a", "b"):
        arguments = ["--model", model_folder, "--data", gsm8k, "--run", tmp_path / name, "--reward", f"{tmp_path}/mine.py:odd", *SMALL]
        assert grpo_math(*arguments, "--lr", "1e-3", "--warmup", "0") == 0
    first, second = (
        [
            {k: v for k, v in row.items() if not k.startswith(("time/", "speed/", "sync/"))}
            for row in read_lines(tmp_path / name / "metrics.jsonl")
        ]
        for name in ("a", "b")
    )
    assert first == second
    assert first[1]["grad_norm"] > 0


def test_overwrite_keeps_the_old_run_until_the_new_one_can_begin(
    model_folder: Path, gsm8k: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    arguments: list[str | Path] = ["grpo-math", "--data", gsm8k, "--run", run, *SMALL]
    assert main([str(a) for a in [*arguments, "--model", model_folder]]) == 0
    capsys.readouterr()
    empty = tmp_path / "empty"
    empty.mkdir()
    for file in model_folder.iterdir():
        if file.name != "model.safetensors":
            (empty / file.name).write_bytes(file.read_bytes())
    one_line_error(capsys, [*arguments, "--model", empty, "--overwrite"], "cannot load a model", str(empty))
    assert (run / "final" / "adapter_model.safetensors").exists()


def test_a_chat_template_without_system_role(model_folder: Path, gsm8k: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for file in model_folder.iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    template = (model / "chat_template.jinja").read_text()
    refuse = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    (model / "chat_template.jinja").write_text(refuse + template)
    arguments = ["grpo-math", "--model", model, "--data", gsm8k, "--run", tmp_path / "run", *SMALL]
    one_line_error(capsys, arguments, "System role not supported", "--system-prompt ''")
    assert main([str(a) for a in [*arguments, "--system-prompt", ""]]) == 0


def test_a_reward_unfit_for_its_algorithm(model_folder: Path, gsm8k: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text("def negative(problem, response):\n    return -1.0 - len(response)\n")
    arguments = ["--model", model_folder, "--data", gsm8k, "--run", tmp_path / "run", "--reward", f"{tmp_path}/mine.py:negative", *SMALL]
    assert grpo_math(*arguments, "--algorithm", "maxrl") == 2
    assert "maxrl needs rewards >= 0" in capsys.readouterr().err.strip().splitlines()[-1]


def test_a_disk_that_fills_up_while_saving(
    model_folder: Path, gsm8k: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    from rl.learning.policy import Policy

    def save(self: Policy, folder: Path) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))  # type: ignore[attr-defined]
        raise RuntimeError("unexpected pos 64 vs 0")  # torch's own words for a full disk

    monkeypatch.setattr(Policy, "save", save)
    assert grpo_math("--model", model_folder, "--data", gsm8k, "--run", tmp_path / "run", *SMALL) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("error: no space left on the disk for")
    assert "--resume" in said


def test_a_run_that_diverges_ends_in_one_line(model_folder: Path, gsm8k: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text("def odd(problem, response):\n    return len(response) % 2\n")
    run = tmp_path / "run"
    arguments = ["--model", model_folder, "--data", gsm8k, "--run", run, "--reward", f"{tmp_path}/mine.py:odd", *SMALL]
    arguments[arguments.index("--steps") + 1] = "12"
    assert grpo_math(*arguments, "--lr", "1e30", "--warmup", "0", "--completions-per-problem", "6") == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("error: the run stopped: at step 2 the sampler's log-probabilities are not finite")
    assert "lower learning rate" in said
    assert json.loads((run / "manifest.json").read_text())["status"] == "diverged"
    assert (run / "plots" / "reward.png").exists()
    for line in (run / "metrics.jsonl").read_text().splitlines():
        assert "NaN" not in line


def test_an_engine_that_never_answers_is_named_and_the_run_goes_on_when_it_does(
    model_folder: Path, gsm8k: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rollout.engines.hf_engine import HFEngine

    generate, run, calls = HFEngine.generate, tmp_path / "run", []

    def hang_at_the_second(self: HFEngine, *given: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            time.sleep(30)
        return generate(self, *given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HFEngine, "generate", hang_at_the_second)
        arguments = ["--model", model_folder, "--data", gsm8k, "--run", run, "--stall-after", "0.1", "--checkpoint-every", "1", *SMALL]
        assert grpo_math(*arguments) == 3
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("error: the run stopped: the sampling of step 2 has not come on for 6 s; the stacks of all processes are in ")
    assert said.endswith(f"continue with --resume {run}")
    assert "hang_at_the_second" in (run / "stalled.txt").read_text()
    assert "step 1 was the last whole one: verdicts/" in (run / "stalled.txt").read_text()
    assert json.loads((run / "manifest.json").read_text())["status"] == "stalled"
    assert grpo_math("--resume", run, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["status"], told["step"], told["model"]) == ("done", 2, str(run / "final"))


def test_a_sampler_that_is_not_the_policy_is_named_even_before_the_first_step(
    model_folder: Path, gsm8k: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rollout.engines.hf_engine import HFEngine

    score = HFEngine.score
    monkeypatch.setattr(HFEngine, "score", lambda self, *a, **k: [[p - 1 for p in row] for row in score(self, *a, **k)])
    assert grpo_math("--model", model_folder, "--data", gsm8k, "--run", tmp_path / "run", *SMALL) == 2
    assert (
        "error: the run stopped: after the sync to policy version 0 the engine's log-probabilities are not the policy's"
        in capsys.readouterr().err
    )


def test_run_folders_and_disks(
    model_folder: Path, gsm8k: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    arguments: list[str | Path] = ["grpo-math", "--model", model_folder, "--data", gsm8k, "--run", run, *SMALL]
    run.mkdir()
    (run / "precious.txt").write_text("mine")
    one_line_error(capsys, arguments, "exists", "--resume", "--run")
    one_line_error(capsys, [*arguments, "--overwrite"], "is not a run folder", "not deleted")
    (run / "precious.txt").unlink()
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))  # type: ignore[attr-defined]
    one_line_error(capsys, arguments, "no disk space", "--run")


def test_a_model_folder_without_tokenizer(model_folder: Path, gsm8k: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors"):
        (bare / name).write_bytes((model_folder / name).read_bytes())
    one_line_error(capsys, ["grpo-math", "--model", bare, "--data", gsm8k, *SMALL], "cannot load a tokenizer", str(bare), "save_pretrained")


def test_resume_refuses_other_options_and_other_problems(
    model_folder: Path, gsm8k: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text(gsm8k.read_text())
    run = tmp_path / "run"
    assert grpo_math("--model", model_folder, "--data", data, "--run", run, *SMALL) == 0
    capsys.readouterr()
    one_line_error(capsys, ["grpo-math", "--resume", run, "--lr", "1"], "goes on with --lr 1e-05", "leave --lr out")
    data.write_text("".join(data.read_text().splitlines(keepends=True)[1:]))
    one_line_error(capsys, ["grpo-math", "--resume", run], "the problems changed", "12 then, 11 now")
    one_line_error(capsys, ["quickstart", "--resume", run], "options that this recipe does not")


def test_the_plan_says_what_would_happen(model_folder: Path, gsm8k: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["plan", "grpo-math", "--model", model_folder, "--data", gsm8k, "--algorithm", "dapo", "--kl-coef", "0.04", *SMALL]
    assert main([str(a) for a in arguments]) == 0
    text = capsys.readouterr().out
    for words in (
        "steps = 2",
        "1-0.2, 1+0.28",
        "0.04 (exp(ref - lp)",
        "2 problems x 3 completions = 6 sequences",
        "2 optimiser steps",
        "peak",
    ):
        assert words in text
    assert main(["plan", "quickstart"]) == 0
    text = capsys.readouterr().out
    for words in ("64 problems x 16 completions = 1,024 sequences", "8,000 problems", "all parameters train", "1.1 MiB"):
        assert words in text


@pytest.mark.parametrize(
    ("reward", "words"),
    [
        ("math_answer(tolerance=0.001)", "tolerance=0.001: write relative:0.001, rounded:4, digits or exact"),
        ("missing.py:score", "no file"),
        ("length(limit=10)", "cache must be from 1 to limit"),
    ],
)
def test_the_plan_checks_rewards_with_trainings_code(
    model_folder: Path, gsm8k: Path, capsys: pytest.CaptureFixture[str], reward: str, words: str
) -> None:
    one_line_error(capsys, ["plan", "grpo-math", "--model", model_folder, "--data", gsm8k, "--reward", reward, *SMALL], words)


def test_unknown_commands_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    one_line_error(capsys, ["grpo-mth"], "unknown command 'grpo-mth'", "did you mean grpo-math?")
    one_line_error(capsys, ["grpo"], "unknown command 'grpo'", "did you mean grpo-math?")  # TRL's, to which orpo is nearer
    one_line_error(capsys, ["merge"], "error: --out is missing")
    one_line_error(capsys, ["merge", "x", "--out", "y", "--how", "linear"], "error: --how is one of '", "'slerp'", ", not 'linear'")
    assert main(["merge", "x", "--out", "y", "--how", "linear"]) == 2
    assert "None" not in capsys.readouterr().err
    one_line_error(capsys, ["sft", "--lr", "fast"], "error: --lr must be a number, not 'fast'")
    one_line_error(capsys, ["sft", "--steps", "fast"], "error: --steps must be a whole number, not 'fast'")
    one_line_error(capsys, ["plan", "nothing"], "no recipe 'nothing'")
    one_line_error(capsys, ["plot", "nowhere"], "nowhere", "config.json is missing")
    assert main(["--help"]) == 0
    assert "quickstart" in capsys.readouterr().out


def test_another_verifiers_package_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "verifiers").mkdir()
    (tmp_path / "verifiers" / "__init__.py").write_text("")
    (tmp_path / "verifiers" / "input_error.py").write_text((ROOT / "verifiers" / "input_error.py").read_text())
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    code = "import sys; from recipes.commands.cli import main; sys.exit(main(['plot', 'x']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert "hides Reckon's own" in done.stderr
    assert "pip uninstall verifiers" in done.stderr


def test_repeated_rewards_of_every_recipe_add_up() -> None:
    from recipes import grpo_math as recipe
    from recipes import quickstart
    from recipes.setup.command_line import parse_options

    for config in (recipe.Config, quickstart.Config):
        assert parse_options(config, ["--reward", "math_answer", "--reward", "exact=0.2"], name="x").reward == ("math_answer", "exact=0.2")


def test_the_plan_for_programs_is_lines_and_bytes(model_folder: Path, gsm8k: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "grpo-math", "--model", str(model_folder), "--data", str(gsm8k), *SMALL, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert "steps = 2" in told["options"]
    memory = told["memory"]
    assert memory["peak"] >= memory["weights"] > 0
