"""`reckon audit`: what it finds in rows that were made to be wrong, and what it says and draws of them."""

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from recipes.commands.answer_types import answer_type
from recipes.commands.audit import Config, run
from recipes.commands.audit_report import KINDS, draw
from recipes.commands.census import Census, given_away, normalised, quantiles
from recipes.commands.cli import main
from tests.clock import stopwatch
from verifiers.child_environment import PACKAGE_ROOT
from verifiers.input_error import InputError
from verifiers.problem import make_problem

ROOT = Path(PACKAGE_ROOT)
ROWS: list[dict[str, Any]] = [
    {"problem": "What is one half of $1$?", "answer": "1/2", "id": "a"},  # line 1
    {"problem": "What is one half of $1$?", "answer": "1/2"},  # a duplicate
    {"problem": "what is one half  of 1", "answer": "0.5"},  # a near duplicate
    {"problem": "What is one half of \\(1\\)?", "answer": "2", "id": "d"},  # in conflict with line 1
    {"problem": "Sum?", "answer": "\\frac{1"},  # its box does not close
    {"problem": "Product?", "answer": ""},
    {"problem": "Hint: it is \\boxed{ 17 }. What is it?", "answer": "17"},
    {"problem": "Total?", "answer": "3 + )"},
    {"problem": "Which?", "answer": "(B)"},
]

FOUND = [("conflict", 4), ("gold_fails", 5), ("no_gold", 6), ("leak", 7), ("duplicate", 2), ("near_duplicate", 3), ("unparsed", 5),
         ("unparsed", 8)]  # fmt: skip


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(*rows: Any, name: str = "data.jsonl") -> str:
    Path(name).write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return name


def result_of(text: str) -> dict[str, Any]:
    mark, _, result = text.splitlines()[-1].partition(" ")
    assert mark == "RESULT"
    found: dict[str, Any] = json.loads(result)
    return found


def findings(folder: str = "audits/data") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(folder) / "audit.jsonl").read_text().splitlines()]


def test_each_kind_of_fault_is_found_in_its_row_and_the_worst_comes_first(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(Config(written(*ROWS))) == 0
    found = findings()
    assert [(finding["kind"], finding["line"]) for finding in found] == FOUND
    assert list(dict.fromkeys(kind for kind, _ in FOUND)) == list(KINDS)
    conflict, failing = found[:2]
    assert conflict["id"] == "d"
    assert conflict["detail"] == "the prompt of line 1, whose answer is '1/2'; here '2'"
    assert failing["detail"].startswith("no_answer: ") or failing["detail"].startswith("wrong: ")
    shown = capfd.readouterr().out
    result = result_of(shown)
    assert result["rows"] == 9
    assert result["findings"] == {
        "conflict": 1,
        "gold_fails": 1,
        "no_gold": 1,
        "leak": 1,
        "duplicate": 1,
        "near_duplicate": 1,
        "unparsed": 2,
    }
    assert result["types"]["fraction"] == {"verified": 2, "failing": 0}
    assert result["types"]["unparsed"] == {"verified": 1, "failing": 1}
    assert sum(sum(count.values()) for count in result["types"].values()) == 8  # all but the row without a gold answer
    assert result == json.loads(Path("audits/data/audit.json").read_text())
    assert "1 conflict: " in shown
    assert "line 4 (id d): the prompt of line 1" in shown


@pytest.mark.parametrize(
    ("rows", "code"),
    [(ROWS[:3], 0), ([ROWS[0], ROWS[3]], 1), ([ROWS[4]], 1), ([ROWS[5], ROWS[6]], 0)],
    ids=["repeats", "conflict", "gold fails", "no gold and a leak"],
)
def test_strict_fails_for_bad_golds_and_conflicts_and_nothing_else(rows: list[dict[str, Any]], code: int) -> None:
    assert run(Config(written(*rows), strict=True)) == code


def test_the_picture_shows_the_numbers(capfd: pytest.CaptureFixture[str]) -> None:
    from matplotlib import image

    run(Config(written(*ROWS), out=Path("here")))
    pixels = image.imread("here/audit.png")
    assert pixels.shape[0] > 200
    assert pixels.shape[1] > 600
    assert len({tuple(pixel) for pixel in pixels.reshape(-1, pixels.shape[2])[::97].tolist()}) > 3
    lengths = [3, 5, 5, 900]
    bars, histogram = draw({"integer": {"verified": 5, "failing": 2}, "te$xt": {"verified": 1, "failing": 0}}, lengths).axes
    verified, failing = bars.containers[:2]
    assert [bar.get_width() for bar in verified] == [5, 1]
    assert [(bar.get_x(), bar.get_width()) for bar in failing] == [(5, 2), (1, 0)]
    assert sum(bar.get_height() for bar in histogram.patches) == 4


def test_an_audit_of_nothing_but_bad_rows_still_draws(capfd: pytest.CaptureFixture[str]) -> None:
    run(Config(written(ROWS[5])))
    assert result_of(capfd.readouterr().out)["types"] == {}
    assert Path("audits/data/audit.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (["not json"], r"line 1: not JSON"),
        ([ROWS[0], {"text": "x", "answer": "1"}], r"data.jsonl, line 2: no 'prompt' .* say which one it is with --prompt-column"),
        ([{**ROWS[0], "verifier": "evil.py:run"}], r"line 1: 'verifier' is 'evil.py:run', which is none of ours"),
        ([], r"data.jsonl holds no problem"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_folder(capfd: pytest.CaptureFixture[str], rows: list[Any], text: str) -> None:
    data = written(*rows)
    with pytest.raises(InputError, match=text):
        run(Config(data))
    assert main(["audit", data]) == 2
    assert capfd.readouterr().err.count("\n") == 1
    assert not Path("audits").exists()


def test_places_that_cannot_be_read_or_written() -> None:
    with pytest.raises(InputError, match=r"gone.jsonl cannot be read: No such file"):
        run(Config("gone.jsonl"))
    with pytest.raises(InputError, match=r"data.jsonl.* cannot be written: .*; choose another --out"):
        run(Config(written(ROWS[0]), out=Path("data.jsonl/inside")))
    with pytest.raises(InputError, match=r"^/proc/nowhere cannot be written: .*; choose another --out"):
        run(Config(written(ROWS[0]), out=Path("/proc/nowhere")))


def test_a_pipe_is_audited_and_the_exit_code_is_for_scripts() -> None:
    rows = "".join(json.dumps(row) + "\n" for row in ROWS)
    command = [sys.executable, "-m", "recipes.commands.cli", "audit", "-", "--strict"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, input=rows, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert [(finding["kind"], finding["line"]) for finding in findings("audits/standard-input")] == FOUND


def test_own_rewards_judge_all_rows_and_one_that_hangs_is_a_finding(capfd: pytest.CaptureFixture[str]) -> None:
    Path("reward.py").write_text(
        "import time\ndef score(problem, response):\n    time.sleep(1000 * (response == 'slow'))\n    return response == 'good'\n"
    )
    data = written(*({"problem": f"{answer}?", "answer": answer} for answer in ("good", "bad", "slow")))
    run(Config(data, verifier=("reward.py:score",), deadline=1.0))
    result = result_of(capfd.readouterr().out)
    assert result["types"] == {"score": {"verified": 1, "failing": 2}}
    assert {(finding["line"], finding["detail"].partition(":")[0]) for finding in findings()} == {(2, "wrong"), (3, "timeout")}


def test_a_row_names_its_verifier_and_two_programs_for_one_prompt_are_no_conflict(capfd: pytest.CaptureFixture[str]) -> None:
    row = {"prompt": "Sort.", "answer": "def f(x): return sorted(x)", "verifier": "exact"}
    rows = [row, {**row, "answer": "other"}]
    run(Config(written(*rows)))
    assert [finding["kind"] for finding in findings()] == ["conflict"]
    assert result_of(capfd.readouterr().out)["types"] == {"exact": {"verified": 2, "failing": 0}}
    census = Census()
    programs = [make_problem("Sort.", answer, verifier="python_tests") for answer in ("f = sorted", "f = list.sort")]
    first, second = (census.add(f"line {n}", "", program) for n, program in enumerate(programs))
    assert first is None
    assert second is not None
    assert (second.same, second.exact) == (True, False)


def test_a_data_set_is_audited_by_row(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    import datasets

    asked: list[Any] = []

    def load(*arguments: Any, **named: Any) -> list[dict[str, Any]]:
        asked.append((arguments, named))
        return ROWS

    monkeypatch.setattr(datasets, "load_dataset", load)
    run(Config("someone/sums", subset="main", split="test"))
    assert asked == [(("someone/sums", "main"), {"split": "test"})]
    assert [(finding["kind"], finding["row"] + 1) for finding in findings("audits/someone-sums-main-test")] == FOUND


def test_what_data_says_does_not_reach_the_terminal_as_commands(capfd: pytest.CaptureFixture[str]) -> None:
    row = {"problem": "\x1b[2J?", "answer": "\x1b]0;owned\x07\\frac{1", "id": "[red]\x1b[31m\n"}
    run(Config(written(row, row)))
    shown = capfd.readouterr().out
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "[red]" in shown


TYPES = {
    "integer": ["72", "-3", "10,000", "twelve", "2^{10}"], "decimal": ["0.5"], "fraction": ["1/2", r"\frac{3}{4}", r"2\frac12"],
    "percent": [r"50\%"], "quantity": ["5 cm", r"90^\circ", r"\$5"], "constant": [r"\sqrt2", r"\pi", "3+4i"],
    "expression": ["x+1", r"\frac{a}{b}"], "tuple": ["(1,2)", "(1,2,3)"], "interval": ["[1,2)", r"(-\infty,2)", r"(1,2)\cup(3,4)"],
    "set": [r"\{1,2\}", "no solution"], "list": ["1,2"], "equation": ["x=5", "x^2+y^2=1"], "inequality": ["x>2", r"0\le x<1"],
    "congruence": [r"x\equiv 3 \pmod 7"], "matrix": [r"\begin{pmatrix}1\\2\end{pmatrix}"], "ratio": ["1:2"],
    "choice": ["A", "(B)", r"\text{(C)}"], "text": ["Evelyn", r"\text{even}", "both of them"], "unparsed": [r"\frac{1", "x^", "3 + )"],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "answer"), [(kind, answer) for kind, answers in TYPES.items() for answer in answers])
def test_types_of_answers(kind: str, answer: str) -> None:
    assert answer_type(make_problem("", answer)) == kind


def test_the_type_of_what_is_no_math_answer_is_its_verifier() -> None:
    assert answer_type(make_problem("", "print(1)", verifier="python_tests")) == "python_tests"
    assert answer_type(make_problem("", "1", verifier="mine.py:score")) == "score"


@pytest.mark.parametrize(
    ("left", "right"),
    [("Find $x$.", "find x"), ("Solve: x = 1", "Solve x=1"), ("A  B\nC", "a b c"), ("\\(2+2\\)", "$2 + 2$"), ("“Stop!”", "stop")],
)
def test_prompts_that_are_near_duplicates(left: str, right: str) -> None:
    assert normalised(left) == normalised(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [("5! = ?", "5 = ?"), ("x - 1", "x + 1"), ("1.5", "15"), ("2**3", "2*3"), ("f'(x)", "f(x)"), ("1 2", "12"), ("-3", "3"), ("x^2", "x2")],
)
def test_prompts_that_are_not(left: str, right: str) -> None:
    assert normalised(left) != normalised(right)


@pytest.mark.parametrize(
    ("prompt", "answer", "leak"),
    [
        ("so \\boxed{7}", "7", True),
        ("so \\boxed{ \\frac 12 }", "\\frac12", True),
        ("<answer> 7 </answer>", "7", True),
        ("steps\n#### 7\nAgain?", "7", True),
        ("put it in \\boxed{}; 7 apples", "7", False),
        ("so \\boxed{77}", "7", False),
        ("#### 72", "7", False),
    ],
)
def test_answers_that_the_prompt_gives_away(prompt: str, answer: str, leak: bool) -> None:
    assert (given_away(make_problem(prompt, answer)) is not None) is leak
    assert (given_away(make_problem([{"role": "user", "content": prompt}], answer)) is not None) is leak


def test_a_hostile_prompt_is_read_in_linear_time() -> None:
    took = stopwatch()
    for piece in ("." * 300_000 + "x", "$" * 300_000, "\\" * 300_000, "( " * 150_000, "ab!" * 100_000, " " * 300_000, "####\n" * 60_000):
        normalised(piece)
        given_away(make_problem(piece, "1"))
    assert took() < 10  # quadratic: minutes


def test_quantiles_by_hand() -> None:
    assert quantiles(list(range(101))[::-1]) == {"min": 0, "p50": 50, "p90": 90, "p99": 99, "max": 100}
    assert quantiles([7]) == dict.fromkeys(("min", "p50", "p90", "p99", "max"), 7)
    assert quantiles([]) == {}


def test_a_row_costs_a_few_hundred_bytes_however_long_it_is() -> None:
    census = Census()
    tracemalloc.start()
    try:
        for n in range(2000):
            census.add(f"line {n}", "", make_problem(f"{n} " + "x" * 1000, str(n) * 100))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept / 2000 < 400


def test_the_two_rows_of_math_without_a_gold_answer(data_dir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(Config(str(data_dir / "math" / "math_train.jsonl"), out=Path("math")))
    result = result_of(capfd.readouterr().out)
    assert result["rows"] == 7500
    assert result["findings"]["no_gold"] == 2
    assert {finding["line"] for finding in findings("math") if finding["kind"] == "no_gold"} == {
        number
        for number, line in enumerate((data_dir / "math" / "math_train.jsonl").read_text().splitlines(), 1)
        if not json.loads(line)["gold"].strip()
    }
    assert result["types"]["integer"]["verified"] > 4000


def test_what_ascii_cannot_show_is_escaped_in_the_report() -> None:
    command = [sys.executable, "-m", "recipes.commands.cli", "audit", written({"problem": "é?", "answer": "3é + )"})]
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert r"3\xe9 + )" in done.stdout


@pytest.mark.parametrize("by_row", [True, False])
def test_a_service_that_is_missing_is_one_line_and_no_gold_is_blamed(
    by_row: bool, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RECKON_LEAN_REPL", "RECKON_LEAN_URL", "RECKON_LEAN_REPLAY"):
        monkeypatch.delenv(name, raising=False)
    rows = [ROWS[0], {"problem": "Prove it.", "answer": "by simp", "statement": "theorem t : True := by"}]
    data = written(*(row | {"verifier": "lean_proof"} if by_row and "statement" in row else row for row in rows))
    assert main(["audit", data, *([] if by_row else ["--verifier", "lean_proof"])]) == 2
    out, error = capfd.readouterr()
    assert "RESULT" not in out
    assert "no Lean to ask" in error
    assert ("line 2" in error) is by_row
    assert error.count("\n") == 1
    assert not Path("audits").exists()


@pytest.mark.parametrize("verifier", ["gate(response_format, math_answer)", "length_cosine(limit=4)=0.5", "length_cosine(exact)"])
def test_of_a_composed_reward_the_verifier_that_reads_answers_judges_the_golds(verifier: str, capfd: pytest.CaptureFixture[str]) -> None:
    rows = [{"problem": "One half?", "answer": "1/2"}, {"problem": "Long?", "answer": "123456789"}]
    assert run(Config(written(*rows), verifier=(verifier, "response_format"), strict=True)) == 0
    assert result_of(capfd.readouterr().out)["findings"]["gold_fails"] == 0


def test_a_gold_fails_behind_a_gate_too(capfd: pytest.CaptureFixture[str]) -> None:
    run(Config(written(ROWS[0], ROWS[4]), verifier=("gate(response_format, math_answer)",)))
    assert next((finding["kind"], finding["line"]) for finding in findings()) == ("gold_fails", 2)
    assert result_of(capfd.readouterr().out)["findings"]["gold_fails"] == 1
