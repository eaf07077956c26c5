"""Problems from the rows that people have, and what is said of rows that are none."""

import json
from pathlib import Path
from typing import Any

import pytest

from verifiers.input_error import InputError
from verifiers.problem import make_problem
from verifiers.response_text.final_answer import extract_answer, tidy
from verifiers.rewards.gold_answers import answer_as_response, gold_response
from verifiers.rewards.problem_file import read_problems, write_problems
from verifiers.sandboxes.local_sandbox import probe
from verifiers.verdict import Status
from verifiers.worker_pool.gold_check import audit_golds, try_gold
from verifiers.worker_pool.verifier_pool import VerifierPool


def written(path: Path, *rows: Any) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "problems.jsonl"


CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}]
GSM8K = "48/2 = <<48/2=24>>24 clips.\n48+24 = 72 clips.\n#### 72"
MATH = r"We have \boxed{1} for now, and $\boxed{\left\{x : \frac{1}{2}\right\}}$ in the end."


@pytest.mark.parametrize(
    ("row", "prompt", "answer", "meta"),
    [
        ({"prompt": "2 + 2?", "answer": "4", "level": 1}, "2 + 2?", "4", {"level": 1}),
        ({"question": "How many?", "answer": GSM8K}, "How many?", "72", {"solution": GSM8K}),
        ({"problem": "Which?", "solution": MATH, "level": 5}, "Which?", r"\left\{x : \frac{1}{2}\right\}", {"solution": MATH, "level": 5}),
        ({"problem": "Which?", "solution": MATH, "answer": "7"}, "Which?", "7", {"solution": MATH}),
        ({"problem": "2?", "gold": 4.5, "id": 9}, "2?", "4.5", {"id": 9}),
        ({"prompt": CHAT, "answer": " 4 ", "meta": {"a": 1}, "b": 2}, tuple(CHAT), "4", {"a": 1, "b": 2}),
        ({"prompt": "p", "answer": " #### 4", "verifier": "exact"}, "p", " #### 4", {}),
        ({"prompt": "p", "answer": r"\boxed 5"}, "p", "5", {"solution": r"\boxed 5"}),
    ],
)
def test_recognised_rows(path: Path, row: dict[str, Any], prompt: Any, answer: str, meta: dict[str, Any]) -> None:
    [problem] = read_problems(written(path, row))
    assert (problem.prompt, problem.answer, dict(problem.meta)) == (prompt, answer, meta)
    assert problem.verifier == row.get("verifier", "math_answer")


def test_named_fields_limits_and_duplicates(path: Path) -> None:
    rows = [{"q": f"{n % 5}?", "a": str(n % 5), "n": n} for n in range(10)]
    problems = read_problems(written(path, *rows, ""), prompt_field="q", answer_field="a", verifier="exact")
    assert [(p.prompt, p.answer, p.verifier, p.meta["n"]) for p in problems] == [(f"{n}?", str(n), "exact", n) for n in range(5)]
    assert problems.duplicates == 5
    assert len(read_problems(path, prompt_field="q", answer_field="a", limit=3)) == 3


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ("{'a': 1}", "line 2: not JSON"),
        ("[", "one JSON array"),
        ([1], "line 2: a JSON array, not an object"),
        ("3", "line 2: a JSON number, not an object"),
        (
            {"text": "?", "answer": "1"},
            r"line 2: no 'prompt' or 'question' or 'problem' among its fields \(text, answer\); .*--prompt-column",
        ),
        ({"prompt": "?", "result": "1"}, r"line 2: no 'answer' or .* among its fields \(prompt, result\); .*--answer-column"),
        ({"prompt": "", "answer": "1"}, "line 2: 'prompt' is ''"),
        ({"prompt": [{"role": "user"}], "answer": "1"}, "line 2: 'prompt' is .*; a prompt is a text"),
        ({"prompt": "?", "answer": ["1"]}, r"line 2: 'answer' is \['1'\] \(list\)"),
        ({"prompt": "?", "answer": True}, r"line 2: 'answer' is True \(bool\)"),
        ({"prompt": "?", "answer": "1", "verifier": 3}, "line 2: 'verifier' is 3"),
    ],
)
def test_rows_that_are_no_problems(path: Path, row: Any, text: str) -> None:
    with pytest.raises(InputError, match=text) as caught:
        read_problems(written(path, {"prompt": "?", "answer": "1"}, row))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(path: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_problems(path)
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_problems(tmp_path)
    with pytest.raises(InputError, match="holds no problem"):
        read_problems(written(path, "", ""))
    path.write_bytes(b"PAR1\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8 text"):
        read_problems(path)


def test_rows_without_a_gold_answer_are_counted_or_skipped(path: Path) -> None:
    good = {"problem": "?", "gold": "1"}
    bad = [{"problem": f"{n}?", "gold": " "} for n in range(6)]
    written(path, good, {"problem": "?", "gold": None}, {"problem": "?", "solution": "no box"}, *bad)
    with pytest.raises(InputError, match=r"8 of 9 rows have no gold answer: line 2 \('gold' is empty\), line 3 \(.*no \\boxed.*and 3 more"):
        read_problems(path)
    problems = read_problems(path, skip_bad_gold=True)
    assert len(problems) == 1
    assert problems.bad_gold == 8


def test_what_is_written_is_read_back(path: Path) -> None:
    problems = [
        make_problem("Ünïcode \ud800?", r"\boxed{x} #### 3", verifier="exact", meta={"level": [1, None]}),
        make_problem(CHAT, " 4", meta={"solution": "s"}),  # type: ignore[arg-type]
    ]
    path.write_text("old")
    write_problems(path, problems)
    assert read_problems(path) == problems
    with pytest.raises(TypeError):
        write_problems(path, [make_problem("?", "1", meta={"no": object()})])
    assert read_problems(path) == problems
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


SQUARE = "def square(n):\n    text = '#### 7 \\\\boxed{8}'\n    return n * n\n"
CALLS = {"fn_name": "square", "inputs": [[3]], "outputs": [9]}
CODE_ROWS: dict[str, dict[str, Any]] = {
    "HumanEval": {
        "prompt": 'def square(n):\n    """Squared."""\n', "canonical_solution": "    return n * n\n", "entry_point": "square",
        "test": "def check(candidate):\n    assert candidate(3) == 9",
    },
    "MBPP": {"prompt": "Write square(n).", "code": SQUARE, "test_list": ["assert square(3) == 9"]},
    "APPS": {"question": "Write square(n).", "solutions": json.dumps([SQUARE, "wrong"]), "input_output": json.dumps(CALLS)},
    "fenced": {"problem": "Write square(n).", "solutions": [f"It is\n```python\n{SQUARE}```\nso."], **CALLS},
    "ours": {"prompt": "Write square(n).", "answer": SQUARE, "verifier": "python_tests", "meta": CALLS},
    "given": {"prompt": "Write square(n).", "answer": "-", "verifier": "python_tests", "meta": {**CALLS, "gold_response": SQUARE}},
    "fences inside": {"prompt": "Write square(n).", "code": 'x = """\n```\n"""\n' + SQUARE, **CALLS},
    "other language": {
        "prompt": "Square.", "answer": "print(int(input()) ** 2)", "verifier": "program_tests",
        "meta": {"language": "python", "inputs": ["3"], "outputs": ["9"]},
    },
}  # fmt: skip


@pytest.mark.skipif(bool(probe("strict")), reason="no strict sandbox on this machine")
@pytest.mark.parametrize("form", CODE_ROWS)
def test_reference_programs_pass_their_own_tests(path: Path, form: str) -> None:
    [problem] = read_problems(written(path, CODE_ROWS[form]), verifier="python_tests")
    write_problems(path, [problem])
    assert read_problems(path) == [problem]
    with VerifierPool(workers=1) as pool:
        assert try_gold(pool, problem).status is Status.RIGHT
        assert audit_golds([problem], pool) == []


def test_code_without_a_reference_program_is_a_problem_and_its_audit_says_so(path: Path) -> None:
    [problem] = read_problems(written(path, {"prompt": "Write square(n).", **CALLS}), verifier="python_tests")
    assert (problem.answer, gold_response(problem)) == ("", "")
    with VerifierPool(workers=1) as pool:
        [(_, verdict)] = audit_golds([problem], pool)
    assert verdict.status is Status.NO_ANSWER
    with pytest.raises(InputError, match="no 'reference' among its fields"):
        read_problems(path, verifier="python_tests", answer_field="reference")


@pytest.mark.parametrize(
    ("verifier", "response"),
    [
        ("math_answer(percent=strict)", r"\boxed{4}"),
        ("length_cosine", r"\boxed{4}"),
        ("length_cosine(exact)", "4"),
        ("mine.py:math_answer", "4"),
    ],
)
def test_a_gold_is_boxed_where_math_answer_will_look_at_it(verifier: str, response: str) -> None:
    assert gold_response(make_problem("?", "4", verifier=verifier)) == response


def test_a_gold_response_may_be_given_for_any_verifier() -> None:
    assert gold_response(make_problem("?", "^a+$", verifier="exact", meta={"gold_response": "aaa"})) == "aaa"
    assert gold_response(make_problem("?", "4", meta={"gold_response": "It is 4."})) == "It is 4."


def test_golds_that_their_own_verifier_rejects_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "picky.py").write_text("def short(problem, response): return len(response) < 4\n")
    monkeypatch.chdir(tmp_path)
    problems = [
        make_problem("a", r"\frac{1}{2}"),
        make_problem("b", "12345", verifier="picky.py:short"),
        make_problem("c", "123", verifier="picky.py:short"),
        make_problem("d", "word for word", verifier="exact"),
    ]
    assert gold_response(problems[0]) == r"\boxed{\frac{1}{2}}"
    assert gold_response(problems[3]) == "word for word"
    with VerifierPool(workers=1) as pool:
        [(problem, verdict)] = audit_golds(problems, pool)
    assert problem is problems[1]
    assert verdict.status is Status.WRONG


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("She has 2. #### 2", "2"),
        ("She has 2.\n   #### 1,200", "1,200"),
        ("a #### 3\nb\n\t####-4 ", "-4"),
        ("first #### 3 then #### 5", "5"),
        ("##### a heading", "##### a heading"),
        (72.60000000000001, "72.6"),
        (0.1 + 0.2, "0.3"),
        (1.1 * 1.1, "1.21"),
        (0.5, "0.5"),
        (72.0, "72.0"),
        ("72.60000000000001", "72.60000000000001"),
    ],
)
def test_gsm8k_golds_in_one_line_and_golds_with_float_noise(path: Path, answer: Any, gold: str) -> None:
    [problem] = read_problems(written(path, {"question": "q", "answer": answer}))
    assert problem.answer == gold


@pytest.mark.parametrize("answer", ["NaN", "Infinity", "-Infinity"])
def test_nan_and_infinity_are_no_golds(path: Path, answer: str) -> None:
    path.write_text('{"question": "q", "answer": ' + answer + '}\n{"question": "r", "answer": 1}\n')
    with pytest.raises(InputError, match=r"1 of 2 rows have no gold answer: line 1 \('answer' is -?(nan|inf), which is no answer\)"):
        read_problems(path)
    assert read_problems(path, skip_bad_gold=True).bad_gold == 1


@pytest.mark.parametrize("pred", ["185\\", "a}b", "{", r"\boxed{3}", "5", r"\frac{1}{2}", "1 < x}"])
def test_an_answer_reaches_math_answer_as_it_stands(pred: str) -> None:
    found = extract_answer(answer_as_response(pred, "math_answer", as_it_stands=True))
    assert found is not None
    assert found.text in (tidy(pred), "3")
