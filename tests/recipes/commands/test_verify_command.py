"""`reckon verify`: the verdicts of rows, in order and at once, and what it says of rows that are none."""

import json
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from recipes.commands.cli import main
from recipes.commands.verify import Config, run
from recipes.looking import explanation
from verifiers.input_error import InputError
from verifiers.rewards.load_reward import own_verifiers

REWARD = """
import time
def score(problem, response):
    if response == "sleep":
        time.sleep(1000)
    return response == problem.answer and problem.meta.get("level", 1)
"""
PROGRAM = "import sys, tyro; from recipes.commands.verify import Config, run; sys.exit(run(tyro.cli(Config)))"

Lines = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def _rewards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "reward.py").write_text(REWARD)
    monkeypatch.chdir(tmp_path)


def written(*rows: Any) -> str:
    Path("rows.jsonl").write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return "rows.jsonl"


def verdicts(text: str) -> tuple[Lines, dict[str, Any]]:
    *lines, last = text.splitlines()
    mark, _, result = last.partition(" ")
    assert mark == "RESULT"
    return [json.loads(line) for line in lines], json.loads(result)


def test_pred_response_and_what_has_no_answer(capfd: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"id": "a", "gold": "1/2", "pred": "0.5"},
        {"gold": 72, "response": r"so it is \boxed{72}", "pred": "ignored", "problem": "?"},
        {"gold": "5", "pred": 6, "id": 3},
        {"gold": "5", "pred": None},
        {"gold": "5", "response": ""},
        {"gold": "", "pred": "1"},
    ]
    assert run(Config(written(*rows))) == 0
    lines, result = verdicts(capfd.readouterr().out)
    assert [line["status"] for line in lines] == ["right", "right", "wrong", "no_answer", "no_answer", "bad_gold"]
    assert [line["score"] for line in lines] == [1.0, 1.0, 0.0, 0.0, 0.0, None]
    assert [line.get("id") for line in lines] == ["a", None, 3, None, None, None]
    assert all(line.keys() - {"id"} == {"line", "score", "status", "detail", "seconds"} for line in lines)
    assert [line["line"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert result["rows"] == 6
    assert result["counts"] == {"right": 2, "wrong": 1, "no_answer": 2, "timeout": 0, "crash": 0, "bad_gold": 1}
    assert result["seconds"] > 0
    assert result["verdicts_per_s"] > 0
    assert 0 < result["p50_seconds"] <= result["p99_seconds"] <= result["max_seconds"] < result["seconds"]
    assert result["replaced_workers"] == 0


def test_own_reward_keeps_the_order_past_a_timeout(capfd: pytest.CaptureFixture[str]) -> None:
    rows = [{"gold": str(n), "pred": str(n), "id": n, "level": n + 1} for n in range(500)]
    rows[7]["pred"] = "sleep"
    run(Config(written(*rows), verifier=("reward.py:score",), deadline=1.0))
    lines, result = verdicts(capfd.readouterr().out)
    assert [line["id"] for line in lines] == list(range(500))
    assert [line["score"] for line in lines] == [None if n == 7 else 1.0 if n == 0 else n + 1.0 for n in range(500)]
    assert (lines[7]["status"], result["counts"]["right"], result["counts"]["timeout"]) == ("timeout", 499, 1)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ("not json", r"rows.jsonl, line 3: not JSON"),
        ({"gold": "1"}, r"line 3: no 'pred' or 'response' among its fields \(gold\)"),
        ({"answer": "1"}, r"line 3: no 'gold' and no 'pred' or 'response' among its fields \(answer\)"),
        ({"gold": ["1"], "pred": "1"}, r"line 3: 'gold' is \['1'\]"),
        ({"gold": "1", "response": 4}, "line 3: 'response' is 4"),
    ],
)
def test_a_bad_row_comes_after_the_verdicts_before_it(capfd: pytest.CaptureFixture[str], row: Any, text: str) -> None:
    good = {"gold": "1", "pred": "1"}
    with pytest.raises(InputError, match=text):
        run(Config(written(good, good, row, good), workers=1))
    assert [json.loads(line)["status"] for line in capfd.readouterr().out.splitlines()] == ["right", "right"]


def test_files_and_verifiers_that_are_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"missing.jsonl cannot be read: No such file"):
        run(Config("missing.jsonl"))
    with pytest.raises(InputError, match=r"reward.py has no function 'scored'; did you mean 'score'"):
        run(Config(written({"gold": "1", "pred": "1"}), verifier=("reward.py:scored",)))
    assert capfd.readouterr().out == ""


def test_one_question_needs_no_file(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(Config(gold="1/2", pred="0.5")) == 0
    lines, result = verdicts(capfd.readouterr().out)
    assert [line["status"] for line in lines] == ["right"]
    assert result["rows"] == 1
    assert main(["verify", "--gold", "None", "--pred", "-3"]) == 0  # words and numbers that an option parser could take for its own
    assert verdicts(capfd.readouterr().out)[0][0]["status"] == "wrong"


@pytest.mark.parametrize("arguments", [[], ["--gold", "1"], ["--pred", "1"], ["rows.jsonl", "--gold", "1", "--pred", "1"]])
def test_a_file_or_a_question_but_not_both(capfd: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(["verify", *arguments]) == 2
    assert capfd.readouterr().err == "error: give a JSONL file (or - for standard input), or one question as --gold ANSWER --pred ANSWER\n"


def test_several_rewards_are_weighed_and_their_parts_shown(capfd: pytest.CaptureFixture[str]) -> None:
    run(Config(gold="1/2", pred="0.5", verifier=("math_answer=2", "exact=0.25")))
    [line], _ = verdicts(capfd.readouterr().out)
    assert (line["score"], line["parts"]) == (2.0, {"math_answer": 1.0, "exact": 0.0})
    assert "steps" not in line


def test_scores_of_steps_are_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({"gold": "7", "response": "1 + 2 = 3\n\n3 + 4 = 8\n\n\\boxed{7}"}) + "\n")
    run(Config(file=str(tmp_path / "rows.jsonl"), verifier=("steps(arithmetic)",)))
    [line], _ = verdicts(capfd.readouterr().out)
    assert (line["score"], line["steps"]) == (1.0, [{"end": 11, "score": 1.0}, {"end": 22, "score": 0.0}])


@pytest.fixture
def _explained_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if `exact` could explain itself, and did it badly."""
    Path("told.py").write_text(
        "from verifiers.verdict import wrong\n"
        "def explain(problem, response):\n"
        "    return wrong(f'extracted: {response!r}\\nstep: string\\x1b[31m')\n"
    )
    monkeypatch.setattr(explanation, "explaining", lambda name: "told.py:explain" if name == "exact" else None)


@pytest.mark.usefixtures("_explained_exact")
def test_an_explanation_is_a_block_for_a_reader(capfd: pytest.CaptureFixture[str]) -> None:
    rows = [{"gold": "7", "pred": "8", "id": "q1"}, {"gold": "7", "pred": "7"}]
    run(Config(written(*rows), verifier=("exact",), explain=True))
    blocks = capfd.readouterr().out.split("\n\n")
    assert blocks[0].splitlines() == [
        "line 1 (id q1): wrong, score 0", "  gold text  '7'", "  extracted  '8'", "  step       string\N{REPLACEMENT CHARACTER}[31m",
    ]  # fmt: skip
    assert blocks[1].splitlines()[0] == "line 2: right, score 1"
    assert blocks[1].splitlines()[-1] == "  note       exact alone says wrong"
    assert blocks[2].startswith("RESULT {")


@pytest.mark.usefixtures("_explained_exact")
def test_explanations_of_composed_rewards_name_their_parts_and_go_to_a_file_as_lines(capfd: pytest.CaptureFixture[str]) -> None:
    run(Config(written({"gold": "7", "pred": "7"}), verifier=("reward.py:score", "exact=0.5"), explain=True, out=Path("out.jsonl")))
    line = json.loads(Path("out.jsonl").read_text())
    assert line["score"] == 1.5
    assert line["explanation"] == [
        "gold text: '7'", "detail: exact: whole response: '7' equals the gold answer",
            "exact extracted: '7'", "exact step: string\x1b[31m",
        "note: exact alone says wrong", "part score: 1", "part exact: 1",
    ]  # fmt: skip
    assert len(capfd.readouterr().out.splitlines()) == 1


def test_a_reward_that_cannot_explain_is_explained_by_its_detail(capfd: pytest.CaptureFixture[str]) -> None:
    run(Config(gold="7", pred="sleep", verifier=("reward.py:score",), explain=True, deadline=0.5))
    shown = capfd.readouterr().out.splitlines()
    assert shown[0] == "the question: timeout"
    assert shown[2].split()[0] == "detail"


def test_math_answer_explains_itself(capfd: pytest.CaptureFixture[str]) -> None:
    run(Config(gold="1/2", pred="0.5", explain=True))
    keys = [line.split()[0] for line in capfd.readouterr().out.splitlines() if line.startswith("  ")]
    assert {"extracted", "step", "reason"} <= set(keys)


@pytest.mark.parametrize(
    ("specs", "own"),
    [
        (["math_answer"], ["math_answer"]),
        (["mine.py:exact=0.5", "math_answer=1.0", "exact"], ["math_answer", "exact"]),
        (["package.math_answer:verify", "./exact/mine.py:f"], []),
        (["gate(response_format,math_answer)"], ["response_format", "math_answer"]),
        (["math_answer(tolerance=exact)=0.5"], ["math_answer"]),
        (["length_cosine"], ["length_cosine", "math_answer"]),
        (["length_budget(unit=words)=2"], ["length_budget", "math_answer"]),
        (["length_cosine(exact)", "length_budget(verifier=judge)"], ["length_cosine", "exact", "length_budget", "judge"]),
        (["gate(language(target=en), minimum(length_cosine, mine.py:f(regex)))"], ["language", "length_cosine", "math_answer", "regex"]),
        (["judge(rubric='Is it exact, or a regex?')"], ["judge"]),
        (["no( spec", "exact"], ["exact"]),
    ],
)
def test_our_verifiers_are_found_in_specs(specs: list[str], own: list[str]) -> None:
    assert own_verifiers(specs) == own


def test_out_appears_when_it_is_complete(capfd: pytest.CaptureFixture[str]) -> None:
    good, out = {"gold": "1", "pred": "1"}, Path("new/verdicts.jsonl")
    with pytest.raises(InputError):
        run(Config(written(good, "junk"), out=out))
    assert not out.exists()
    assert run(Config(written(good, good), out=out)) == 0
    assert len(out.read_text().splitlines()) == 2
    assert verdicts(capfd.readouterr().out)[1]["rows"] == 2
    assert list(out.parent.iterdir()) == [out]


def command(*arguments: str) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_a_pipe_is_answered_row_by_row() -> None:
    with command("-") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for n in range(3):
            process.stdin.write(json.dumps({"id": n, "gold": "1", "pred": str(n)}) + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == n  # before the next row is there
        out, err = process.communicate()
    assert verdicts(out)[1]["counts"]["right"] == 1
    assert (process.returncode, err) == (0, "")


def test_a_reader_that_leaves_is_no_error_even_while_the_pipe_is_silent() -> None:
    row = json.dumps({"gold": "1", "pred": "1"}) + "\n"
    with command("-") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(row)
        process.stdin.flush()
        assert process.stdout.readline()
        process.stdout.close()
        process.stdin.write(row)
        process.stdin.flush()
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
        process.stdin.close()


def test_a_terminal_sees_progress_and_the_verdicts_stay_clean() -> None:
    rows = [{"gold": str(n), "pred": str(n), "response": "x" * 400} for n in range(4000)]
    ours, theirs = pty.openpty()
    arguments = [sys.executable, "-c", PROGRAM, written(*rows), "--verifier", "reward.py:score"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=theirs, text=True, env={**os.environ, "TERM": "xterm"}) as process:
        os.close(theirs)
        assert process.stdout is not None
        seen: list[bytes] = []
        screen = threading.Thread(target=lambda: seen.extend(iter(lambda: _read(ours), b"")))
        screen.start()
        lines, _ = verdicts(process.stdout.read())
    screen.join()
    os.close(ours)
    assert len(lines) == 4000
    assert b"rows" in b"".join(seen)
    assert b"/s" in b"".join(seen)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end is closed
        return b""


def test_what_ascii_cannot_show_is_escaped() -> None:
    arguments = ["--gold", "é", "--pred", "é", "--verifier", "exact", "--explain"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert r"'\xe9'" in done.stdout


def test_a_folder_is_no_out(capsys: pytest.CaptureFixture[str]) -> None:
    Path("there").mkdir()
    assert main(["verify", written({"gold": "1", "pred": "1"}), "--out", "there"]) == 2
    assert "there is a folder" in capsys.readouterr().err
    assert [path.name for path in Path().iterdir() if "partial" in path.name] == []


@pytest.mark.parametrize("deadline", ["nan", "inf", "0"])
def test_a_deadline_is_a_number_of_seconds(deadline: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--gold", "1", "--pred", "1", "--deadline", deadline]) == 2
    assert f"--deadline must be a number above 0, not {float(deadline)}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("verifier", "said"),
    [("length(limit=1000)", "cache"), ("judge", "no endpoint"), ("lean_proof", "no Lean"), ("language(least=5)", "least")],
)
def test_a_verifier_that_can_judge_nothing_is_one_line(
    verifier: str, said: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RECKON_JUDGE_ENDPOINT", "RECKON_LEAN_REPL", "RECKON_LEAN_URL", "RECKON_LEAN_REPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert main(["verify", written({"gold": "1", "pred": "1"}), "--verifier", verifier]) == 2
    out, error = capfd.readouterr()
    assert out == ""
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("verifier", ["length_cosine", "length_budget(alpha=0.01)=0.5", "gate(length(limit=4096), length_cosine)"])
def test_a_length_reward_judges_math_answers_unless_told_otherwise(verifier: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(Config(gold="1/2", pred="0.5", verifier=(verifier,))) == 0
    [line], _ = verdicts(capfd.readouterr().out)
    assert line["status"] == "right", line["detail"]
    assert line["score"] > 0
