r"""`reckon verify`: what a row may hold (its own verifier, meta, a gold that is a solution), and what is checked before any verdict."""

import json
from pathlib import Path
from typing import Any

import pytest

from recipes.commands.cli import main
from recipes.commands.verify import Config, run
from verifiers.input_error import InputError
from verifiers.rewards.load_reward import reads_golds
from verifiers.rewards.named_functions import own_names

SOLUTION = "We factor the left side and see that every root of it lies on the unit circle, as its coefficients are palindromic and real. "


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text("def score(problem, response): return 0.5\ndef none(problem, response): return None\n")
    monkeypatch.chdir(tmp_path)


def judged(capfd: pytest.CaptureFixture[str], *rows: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run(Config("rows.jsonl", **options))
    return [json.loads(line) for line in capfd.readouterr().out.splitlines() if line.startswith("{")]


def error(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["verify", *arguments]) == 2
    [line] = capfd.readouterr().err.splitlines()
    return line


def test_explain_explains_with_the_verdicts_own_parameters(capfd: pytest.CaptureFixture[str]) -> None:
    for verifier, status in (
        ("math_answer(tolerance=exact)", "wrong"),
        ("math_answer", "right"),
        ("math_answer(tolerance=exact)=2", "wrong"),
    ):
        run(Config(gold="1/3", pred="0.3333", verifier=(verifier,), explain=True))
        shown = capfd.readouterr().out
        assert shown.startswith(f"the question: {status}")
        assert "note" not in shown
        assert ("tolerance lets stand" in shown) is (status == "right")
    run(Config(gold="1/3", pred="0.3333", verifier=("length_cosine(math_answer(tolerance=exact))",), explain=True))
    shown = capfd.readouterr().out
    assert "math_answer step" in shown
    assert "tolerance lets stand" not in shown
    assert "alone says" not in shown


@pytest.mark.parametrize(
    ("verifier", "text"),
    [
        ("math_answer(tolerance=0.001)", "tolerance=0.001: write relative:0.001, rounded:4, digits or exact"),
        ("math_answer(tolerance=5)", "tolerance=5: write relative:0.001, rounded:4, digits or exact"),
        ("math_answer(tolerance=nearly)", "tolerance='nearly': expected"),
        ("gate(response_format, math_answer(tolerance=0.01))", "tolerance=0.01: write relative:0.01"),
        ("length_budget(alpha=0)", "alpha must be above 0"),
        ("length(unit=/no/such/tokenizer.json)", "no tokenizer.json is there"),
        ("judge(rubric_file=nowhere.txt, endpoint=http://127.0.0.1:9/v1, model=m)", "nowhere.txt cannot be read"),
        ("missing.py:score", "no file"),
        ("math_answr", "did you mean 'math_answer'"),
    ],
)
def test_verify_checks_rewards_and_their_values_before_a_row(capfd: pytest.CaptureFixture[str], verifier: str, text: str) -> None:
    Path("rows.jsonl").write_text('{"gold": "1", "pred": "1"}\n' * 3)
    assert text in error(capfd, "rows.jsonl", "--verifier", verifier)


def test_verify_exits_1_when_no_row_got_a_score(capfd: pytest.CaptureFixture[str]) -> None:
    Path("rows.jsonl").write_text('{"gold": "1", "pred": "1"}\n' * 3)
    assert main(["verify", "rows.jsonl", "--verifier", "mine.py:none"]) == 1
    assert "no row got a score" in capfd.readouterr().err
    assert main(["verify", "rows.jsonl", "--verifier", "mine.py:score"]) == 0
    Path("rows.jsonl").write_text('{"gold": "", "pred": "1"}\n{"gold": "1", "pred": "2"}\n')
    assert main(["verify", "rows.jsonl"]) == 0  # one is judged, and wrong


def test_a_rows_own_verifier_decides_and_is_overridden_aloud(capfd: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, Any]] = [
        {"gold": "1/2", "pred": "0.5"},
        {"gold": "1/2", "pred": "0.5", "verifier": "exact"},
        {"gold": r"\d+", "response": "77", "verifier": "regex"},
        {"response": "x" * 50, "verifier": "length"},
    ]
    assert [line["status"] for line in judged(capfd, *rows)] == ["right", "wrong", "right", "right"]
    assert [line["status"] for line in judged(capfd, *rows[:2], verifier=("math_answer",))] == ["right", "right"]
    run(Config("rows.jsonl", verifier=("math_answer",)))
    assert "note: line 2 names the verifier 'exact'; --verifier judges it instead" in capfd.readouterr().err
    with pytest.raises(InputError, match=r"line 1: 'verifier' is 'mine.py:score', which is none of ours .*--trust-data-verifiers"):
        judged(capfd, {"gold": "1", "pred": "1", "verifier": "mine.py:score"})
    capfd.readouterr()
    assert judged(capfd, {"gold": "1", "pred": "1", "verifier": "mine.py:score"}, trust_data_verifiers=True)[0]["score"] == 0.5


def test_a_rows_meta_reaches_the_verifier(capfd: pytest.CaptureFixture[str]) -> None:
    program = "```python\ndef double(n):\n    return 2 * n\n```"
    tests = {"meta": {"test_list": ["assert double(2) == 4"]}}
    lines = judged(capfd, tests | {"response": program}, tests | {"response": program.replace("2 *", "3 *")}, verifier=("python_tests",))
    assert [line["status"] for line in lines] == ["right", "wrong"]
    near, far = ({"gold": "1", "response": r"\boxed{1}" + " " * 500, "meta": {"budget": budget}} for budget in (9_000, 10))
    long, short = judged(capfd, near, far, verifier=("length_budget(alpha=0.01)",))
    assert (long["score"], short["score"]) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("gold", "pred", "status"),
    [
        (r"Therefore $x = \boxed{\frac{1}{2}}$.", "0.5", "right"),
        ("She has 2. #### 2", "2", "right"),
        ("185", "185\\", "right"),
        ("3", r"\boxed{3}", "right"),
        ("3", "a}3", "wrong"),
        (0.1 + 0.2, "0.3", "right"),
        (float("nan"), "1", "bad_gold"),
        (float("inf"), "1", "bad_gold"),
        ("NaN", "1", "bad_gold"),
        (SOLUTION + "Hence the answer is 12.", "12", "right"),
        (SOLUTION * 2, "12", "bad_gold"),
    ],
)
def test_a_gold_is_read_as_training_reads_it(capfd: pytest.CaptureFixture[str], gold: Any, pred: str, status: str) -> None:
    [line] = judged(capfd, {"gold": gold, "pred": pred})
    assert line["status"] == status
    if gold == SOLUTION * 2:
        assert "no answer can be read from the gold text 'We factor" in line["detail"]


def test_columns_lines_and_ids(capfd: pytest.CaptureFixture[str]) -> None:
    row = {"reward_model": {"ground_truth": "4"}, "output": r"\boxed{4}", "id": 7}
    lines = judged(capfd, row, row, gold_column="reward_model.ground_truth", response_column="output")
    assert [(line["line"], line["id"], line["status"]) for line in lines] == [(1, 7, "right"), (2, 7, "right")]
    with pytest.raises(InputError, match=r"line 1: no 'gold' and no 'pred' or 'response' .*--gold-column or --response-column"):
        judged(capfd, row)


def test_gold_is_asked_for_only_where_the_verifier_compares_with_it(capfd: pytest.CaptureFixture[str]) -> None:
    row = {"response": "<think>a</think><answer>b</answer>"}
    assert [line["status"] for line in judged(capfd, row, verifier=("response_format",))] == ["right"]
    assert judged(capfd, row, verifier=("length", "repetition=0.1"))[0]["status"] == "right"
    for verifier in ("math_answer", "exact", "gate(response_format, math_answer)", "length_cosine"):
        with pytest.raises(InputError, match="line 1: no 'gold'"):
            judged(capfd, row, verifier=(verifier,))
    assert judged(capfd, row, verifier=("mine.py:score",))[0]["score"] == 0.5
    run(Config("rows.jsonl", verifier=("mine.py:score",)))
    assert "note: line 1 has no 'gold'; the reward finds an empty answer" in capfd.readouterr().err
    assert {name for name in own_names() if reads_golds([name])} >= {"math_answer", "exact", "regex", "judge", "length_cosine"}


def test_a_weighted_rewards_detail_is_its_parts_own(capfd: pytest.CaptureFixture[str]) -> None:
    for verifier in ("math_answer=2", "gate(math_answer, math_answer)=2"):
        run(Config(gold=r"\frac12", pred=r"\frac24", verifier=(verifier,)))
        line = json.loads(capfd.readouterr().out.splitlines()[0])
        assert (line["score"], line["status"]) == (2.0, "right")
        assert "score:" not in line["detail"]
        assert r"'\frac24' equals '\frac12'" in line["detail"]


def test_the_list_of_verifiers_is_a_commands_output(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["verifiers"]) == 0
    shown = capfd.readouterr().out.splitlines()
    assert all(any(line.partition("(")[0] == name for line in shown) for name in own_names())
    assert "math_answer(percent=either, tolerance=rounded:4, units=convert, require_closed_form=true, open_thought=false)" in shown
    assert "    Is the final answer of a response the gold one?" in shown
    assert main(["verifiers", "length"]) == 0
    assert "soft overlong" in capfd.readouterr().out
    assert main(["verifiers", "nothing"]) == 2
