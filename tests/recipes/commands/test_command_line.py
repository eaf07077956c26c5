"""What a newcomer's slips of the pen and first waits are told: one line each, in a reader's words, and never silence."""

import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recipes import grpo_math
from recipes.commands.cli import main
from recipes.setup.command_line import parse_options
from verifiers.child_environment import PACKAGE_ROOT

ROWS = [{"gold": "1/2", "pred": "0.5"}, {"gold": "3", "response": "the answer is 4"}]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a command that ends with exit code 2."""
    assert main(list(arguments)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err.strip()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify", "rows.jsonl", "--workers", "x"], "--workers must be a whole number, not 'x'"),
        (["audit", "rows.jsonl", "--workers", "1.5"], "--workers must be a whole number, not '1.5'"),
        (["verify", "rows.jsonl", "--deadline", "soon"], "--deadline must be a number, not 'soon'"),
        (["grpo-math", "--algorithm", "gpro"], "--algorithm is one of 'grpo', 'dr_grpo', "),
        (["grpo-math", "--reward"], "--reward is given without a value"),
        (["verify", "rows.jsonl", "more.jsonl"], "unexpected argument more.jsonl; "),
        (["audit"], "reckon audit is given nothing to work on: JSONL file"),
    ],
)
def test_a_value_that_cannot_be_read_is_said_in_plain_words(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, *arguments)
    assert line.startswith(f"error: {said}")
    assert not any(words in line for words in ("helptext", "literal", "Error parsing", "Value error"))


@pytest.mark.parametrize("command", ["verify", "audit"])
@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("--workers", "0", "at least 1, not 0"),
        ("--workers", "-2", "at least 1, not -2"),
        ("--deadline", "nan", "a number above 0, not nan"),
    ],
)
def test_numbers_that_cannot_be_name_their_option(
    command: str, option: str, value: str, rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(capsys, command, "rows.jsonl", option, value) == f"error: {option} must be {rule}"


@pytest.mark.parametrize("link", [False, True])
def test_verify_does_not_write_over_what_it_judges(link: bool, capsys: pytest.CaptureFixture[str]) -> None:
    before = Path("rows.jsonl").read_bytes()
    if link:
        Path("other.jsonl").hardlink_to("rows.jsonl")
    out = "other.jsonl" if link else "./rows.jsonl"
    assert "is the file that is judged" in refused(capsys, "verify", "rows.jsonl", "--out", out)
    assert Path("rows.jsonl").read_bytes() == before


@pytest.mark.parametrize("arguments", [["verify", "row.jsonl"], ["audit", "row.jsonl"], ["verify", "./rows.json"]])
def test_a_missing_file_is_told_with_the_one_that_may_be_meant(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, *arguments).endswith("No such file or directory; did you mean rows.jsonl?")


def statuses(text: str) -> list[tuple[Any, str]]:
    rows = [json.loads(line) for line in text.splitlines() if not line.startswith("RESULT")]
    return [(row.get("line"), row["status"]) for row in rows]


def test_verify_reads_compressed_files_and_tables_as_training_does(capfd: pytest.CaptureFixture[str]) -> None:
    Path("rows.jsonl.gz").write_bytes(gzip.compress(b"\n" + Path("rows.jsonl").read_bytes()))
    assert main(["verify", "rows.jsonl.gz"]) == 0
    assert statuses(capfd.readouterr().out) == [(2, "right"), (3, "wrong")]
    Path("rows.csv").write_text("gold,response\n1/2,so 0.5\n3,so 4\n")
    assert main(["verify", "rows.csv"]) == 0
    assert statuses(capfd.readouterr().out) == [(None, "right"), (None, "wrong")]
    Path("rows.jsonl.gz").write_bytes(gzip.compress(b"{}")[:-5])
    assert main(["verify", "rows.jsonl.gz"]) == 2
    assert "give a whole JSONL file" in capfd.readouterr().err


def test_a_file_without_rows_is_no_success(capfd: pytest.CaptureFixture[str]) -> None:
    Path("empty.jsonl").write_text("\n\n")
    assert main(["verify", "empty.jsonl"]) == 1
    assert "no row got a score; there is none" in capfd.readouterr().err


def test_a_rows_mistyped_verifier_is_told_the_near_one(capfd: pytest.CaptureFixture[str]) -> None:
    Path("rows.jsonl").write_text('{"gold": "1", "pred": "1", "verifier": "exct"}\n')
    assert main(["verify", "rows.jsonl"]) == 2
    assert "'verifier' is 'exct', which is none of ours; did you mean 'exact'?" in capfd.readouterr().err


def test_a_composed_detail_names_each_part_once_and_no_silent_one(capfd: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text("def brief(problem, response):\n    return 1.0\n")
    specs = ["--verifier", "gate(response_format, math_answer)", "--verifier", "mine.py:brief=0.1"]
    assert main(["verify", "rows.jsonl", *specs]) == 0
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines() if not line.startswith("RESULT")]
    assert [row["detail"] for row in rows] == ["gate: no <think>"] * 2


@pytest.mark.parametrize(
    ("arguments", "dora"),
    [
        (["--dora"], True), (["--dora", "--tune", "lora"], True), (["--no-dora"], False), (["--dora", "True"], True),
        (["--dora=False"], False), (["--tune", "lora"], None),
    ],
)  # fmt: skip
def test_a_flag_that_may_be_unset_is_written_like_any_other(arguments: list[str], dora: bool | None) -> None:
    assert parse_options(grpo_math.Config, ["--model", "m", *arguments], name="grpo-math").tune.dora is dora


def test_plan_lists_its_recipes_without_loading_torch() -> None:
    code = (
        "import sys; from recipes.commands.cli import main; main(['plan']); main(['plan', 'foo']);"
        "assert not {'torch', 'transformers'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


SLOW = "import time\ntime.sleep(4)\n\ndef score(problem, response):\n    return 1.0\n"  # an import that takes its time


@pytest.mark.parametrize("model", ["./modl", "/no/model", "models/mine/final"])
def test_a_mistyped_model_folder_is_told_before_anything_is_loaded(model: str) -> None:
    Path("model").mkdir()
    code = (
        f"import sys; from recipes.commands.cli import main; assert main(['grpo-math', '--model', {model!r}, '--data', 'rows.jsonl']) == 2;"
        "assert not {'torch', 'transformers'} & {*sys.modules}"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stderr.startswith(f"error: --model: there is no file or folder {model}")


def test_checks_before_a_run_are_not_silent(model_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("slow.py").write_text(SLOW)
    Path("problems.jsonl").write_text('{"problem": "1+1?", "answer": "2"}\n')
    options = ["--model", str(model_folder), "--data", "problems.jsonl", "--reward", "slow.py:score", "--max-completion-length", "64"]
    assert main(["plan", "grpo-math", *options]) == 0
    assert "checking the options, the data and the rewards (0:0" in capfd.readouterr().err


def test_a_long_verification_is_not_silent_off_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    Path("slow.py").write_text("import time\n\ndef score(problem, response):\n    time.sleep(3)\n    return 1.0\n")
    assert main(["verify", "rows.jsonl", "--verifier", "slow.py:score", "--workers", "1", "--out", "verdicts.jsonl"]) == 0
    assert "judging the rows" in capfd.readouterr().err


def test_the_warm_start_is_not_silent_and_can_be_interrupted() -> None:
    options = [
        "--run",
        "run",
        "--problems",
        "200",
        "--held-out",
        "4",
        "--hidden",
        "256",
        "--layers",
        "4",
    ]  # hundreds of steps, no short ones
    command = [sys.executable, "-m", "recipes.commands.cli", "quickstart", *options]
    path = os.pathsep.join([PACKAGE_ROOT, os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}) as process:
        assert process.stderr is not None
        said = next((line for line in process.stderr if line.startswith("warm start")), "")
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        code = process.wait(120)
    assert said.startswith("warm start: learning from written solutions (0:0")
    assert "interrupted: the warm start; nothing was learnt yet; --resume run begins it again" in rest
    assert code == 130
