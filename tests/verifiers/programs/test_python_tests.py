"""Programs that pass their tests are right, and those that try to be called right are wrong."""

import ast
import gzip
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.verifiers.hostile_programs import ATTACKS, CHECK, FORMS, PROMPT, SERVED, STDIN_ATTACKS, problem
from verifiers.input_error import InputError
from verifiers.problem import make_problem
from verifiers.programs import program_tests, python_tests
from verifiers.programs.judging_sandbox import judging_sandbox
from verifiers.programs.plain_data import NotPlainError, decode, encode
from verifiers.programs.python_tests import extract_program, verify
from verifiers.sandboxes.interpreter import Session
from verifiers.sandboxes.local_sandbox import Level, probe
from verifiers.verdict import Status
from verifiers.worker_pool.verifier_pool import VerifierPool

MISSING = probe("strict")
needs_sandbox = pytest.mark.skipif(bool(MISSING), reason=f"no strict sandbox on this machine: {MISSING}")


@needs_sandbox
@pytest.mark.parametrize("form", FORMS)
def test_right_programs_are_right(form: str):
    program = (
        "n = int(input())\nprint('noise') if 0 else None\nprint(n * n)"
        if form == "stdin"
        else "def square(n):\n    print('noise')\n    return n * n"
    )
    assert verify(FORMS[form], program).score == 1.0
    assert verify(FORMS[form], f"I think:\n```python\nraise ValueError\n```\nNo:\n```python\n{program}\n```\nDone.").score == 1.0


@pytest.mark.parametrize("language", ["cpp", "C++", "javascript", "js"])
def test_a_row_in_another_language_names_the_verifier_for_it(language: str):
    meta = {"language": language, "inputs": ["3"], "outputs": ["9"]}
    verdict = verify(make_problem("?", "-", meta=meta), "int main() {}")
    assert verdict.status is Status.BAD_GOLD
    assert "program_tests" in verdict.detail


@pytest.mark.parametrize("language", ["python", "Python3", "en", 7])
def test_a_row_in_python_or_in_english_is_read(language: object):
    meta = {"language": language, "inputs": ["3"], "outputs": ["9"]}
    assert verify(make_problem("?", "-", meta=meta), "").status is Status.NO_ANSWER


@pytest.mark.parametrize("level", ["landlock", "rlimits"])
def test_every_level_judges_alike(level: Level, monkeypatch: pytest.MonkeyPatch):
    if missing := probe(level):
        pytest.skip(missing)
    monkeypatch.setenv("RECKON_SANDBOX", level)
    for form in SERVED:
        assert verify(FORMS[form], "def square(n): return n * n").score == 1.0
        for name in ("wrong_answer", "os_exit", "frame_walk", "forged_record_with_the_nonce", "sys_exit_before_the_asserts"):
            assert verify(FORMS[form], ATTACKS[name]).status == Status.WRONG
    assert verify(FORMS["stdin"], "print(int(input()) ** 2)").score == 1.0
    assert verify(FORMS["stdin"], STDIN_ATTACKS["right_then_crash"]).score == 0.0
    with Session() as session:
        session.run("x = 6")
        assert session.run("x * 7").output == "42\n"
        assert session.run("while True: pass", deadline=0.2).alive
        assert session.run("x").output == "6\n"
    if shutil.which("g++"):
        meta = {"language": "cpp", "inputs": ["3"], "outputs": ["9"]}
        source = "#include <iostream>\nint main() { int n; std::cin >> n; std::cout << n * n; }"
        assert program_tests.verify(make_problem("?", "-", verifier="program_tests", meta=meta), source).score == 1.0


@needs_sandbox
@pytest.mark.parametrize("form", SERVED)
@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_earn_nothing(name: str, form: str):
    quick = problem({**FORMS[form].meta, "time_limit": 0.7}, str(FORMS[form].prompt))
    verdict = verify(quick, f"```python\n{ATTACKS[name]}\n```")
    assert (verdict.score, verdict.status) == (0.0, Status.WRONG), verdict


@needs_sandbox
@pytest.mark.parametrize("name", STDIN_ATTACKS)
def test_attacks_on_standard_output_earn_nothing(name: str):
    quick = problem({**FORMS["stdin"].meta, "time_limit": 0.7})
    verdict = verify(quick, f"```python\n{STDIN_ATTACKS[name]}\n```")
    assert (verdict.score, verdict.status) == (0.0, Status.WRONG), verdict


HUNT = """
import ctypes, gc
first, second = {first!r}[::-1].encode(), {second!r}[::-1].encode()
{plant}
found = 0
objects = gc.get_objects()
objects += [value for o in objects if type(o) is dict for value in list(o.values())]
for page in {{id(o) & ~4095 for o in objects}}:
    data = ctypes.string_at(page, 4096)
    place = data.find(first)
    while place >= 0:
        found += data[place + len(first) :].startswith(second)
        place = data.find(first, place + 1)
print(found > 0)
"""


@needs_sandbox
def test_a_program_does_not_find_its_predecessor():
    """A sibling's right program must not be there to be copied, in the memory that programs of one server start from."""
    first, second = os.urandom(6).hex(), os.urandom(6).hex()
    mark = first + second
    for form in FORMS.values():
        verify(form, f"x = '{mark}'\n# {mark}\ndef square(n): return n * n")
    sandbox = judging_sandbox()
    servers = len(sandbox._idle)
    for _ in range(servers):
        assert sandbox.run(HUNT.format(first=first[::-1], second=second[::-1], plant="")).stdout == b"False\n"
        sandbox._idle.insert(0, sandbox._idle.pop())
    assert sandbox.run(HUNT.format(first=first[::-1], second=second[::-1], plant="x = first + second")).stdout == b"True\n"


@needs_sandbox
def test_human_eval_references(data_dir: Path):
    """All 164, by what is served from one sandbox and checked in another."""
    with gzip.open(data_dir / "verifier" / "code" / "HumanEval.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    wrong = {}
    for row in rows:
        item = problem(row, row["prompt"])
        if (verdict := verify(item, row["canonical_solution"])).score != 1.0:
            wrong[row["task_id"]] = verdict
    assert len(rows) == 164
    assert wrong == {}
    whole = f"```python\n{rows[0]['prompt']}{rows[0]['canonical_solution']}```"
    assert verify(problem(rows[0], rows[0]["prompt"]), whole).score == 1.0


@needs_sandbox
def test_mbpp_references(data_dir: Path):
    rows = json.loads((data_dir / "verifier" / "code" / "mbpp_prime.json").read_text())[::8]
    rows += [row for row in json.loads((data_dir / "verifier" / "code" / "mbpp_prime.json").read_text()) if row["task_id"] in (126, 596)]
    verdicts = {row["task_id"]: verify(problem(row), f"```python\n{row['code']}\n```") for row in rows}
    unlike = {task: verdict for task, verdict in verdicts.items() if verdict.score != 1.0 and "not plain data" not in verdict.detail}
    assert unlike == {}


@needs_sandbox
def test_partial_credit_when_asked_for():
    program = "def square(n): return n * n if n > 0 else 0"
    for form in ("assert", "call"):
        verdict = verify(problem({**FORMS[form].meta, "partial": True}), program)
        assert (verdict.score, verdict.status) == (pytest.approx(2 / 3), Status.WRONG)
        assert verify(FORMS[form], program).score == 0.0
    stdin = problem({**FORMS["stdin"].meta, "partial": True})
    assert verify(stdin, "n = int(input()); print(n * n if n > 0 else 0)").score == pytest.approx(2 / 3)
    assert (
        verify(problem({**FORMS["call"].meta, "partial": True}), "import os\ndef square(n):\n    return 4 if n == 2 else os._exit(0)").score
        == 1 / 3
    )


@needs_sandbox
def test_values_are_compared_by_exact_type():
    def score(value: str, wanted: object, **options: Any) -> float | None:
        return verify(problem({"fn_name": "f", "inputs": [[]], "outputs": [wanted]}, **options), f"def f(): return {value}").score

    assert score("(1, [2, 3])", [1, [2, 3]]) == 1.0
    assert score("1", True) == 0.0
    assert score("True", 1) == 0.0
    assert score("1.0", 1) == 1.0
    assert score("{1: 'a'}", {"1": "a"}) == 1.0
    assert score("'1'", 1) == 0.0
    assert score("None", None) == 1.0
    assert score("0.1 + 0.2", 0.3) == 0.0
    assert score("0.1 + 0.2", 0.3, tolerance=1e-9) == 1.0
    assert score("10 ** 5000", 10**5000) == 1.0
    assert score("[1, 2]", [1, 2, 3]) == 0.0


@needs_sandbox
def test_output_is_compared_line_by_line():
    def score(printed: str, wanted: str, **options: Any) -> float | None:
        return verify(problem({"inputs": [""], "outputs": [wanted]}, **options), f"import sys; sys.stdout.write({printed!r})").score

    assert score("1 2 \n3\n\n", "1 2\n3") == 1.0
    assert score("12\n3", "1 2\n3") == 0.0
    assert score("1\n2", "1 2") == 0.0
    assert score("0.3333", "0.3334", tolerance=1e-3) == 1.0
    assert score("0.3333 x", "0.3334", tolerance=1e-3) == 0.0
    assert score("nan", "0.3334", tolerance=1e-3) == 0.0


@needs_sandbox
def test_forms_of_data_sets():
    apps = problem({"input_output": json.dumps({"inputs": ["1\n2\n", ["3", "4"]], "outputs": ["3\n", ["7"]]})})
    assert verify(apps, "print(int(input()) + int(input()))").score == 1.0
    method = problem({"input_output": {"fn_name": "add", "inputs": [[1, 2]], "outputs": [3]}})
    assert verify(method, "class Solution:\n    def add(self, a, b): return a + b").score == 1.0
    rows = problem({"tests": [{"input": "5", "output": "5"}]})
    assert verify(rows, "print(input())").score == 1.0
    raises = problem(
        {"test_list": ["try:\n    f()\n    assert False, 'no error'\nexcept ValueError as error:\n    assert str(error) == 'why'"]}
    )
    assert verify(raises, "def f(): raise ValueError('why')").score == 1.0
    assert verify(raises, "def f(): raise KeyError('why')").score == 0.0
    swallows = problem({"test_list": ["try: assert f() == 1\nexcept BaseException: pass"]})
    assert verify(swallows, "import os\ndef f(): os._exit(0)").score == 0.0
    maps = problem({"test_list": ["assert all(map(f, [1, 2, 3]))"]})
    assert verify(maps, "def f(n): raise StopIteration").score == 0.0


@pytest.mark.parametrize(
    "meta",
    [{}, {"inputs": ["1"]}, {"inputs": ["1"], "outputs": []}, {"inputs": [], "outputs": []}, {"test_list": ["assert ("]},
     {"test": "def check(", "entry_point": "f"}, {"input_output": "{"}, {"fn_name": "f", "inputs": [1], "outputs": [1]},
     {"inputs": [5], "outputs": ["x"]}, {"test_list": ["assert True"]}, {"input_output": 5}],
)  # fmt: skip
def test_tests_that_cannot_run_are_a_bad_gold(meta: dict[str, Any]):
    assert verify(problem(meta), "print(1)").status == Status.BAD_GOLD


@needs_sandbox
def test_tests_that_ask_for_what_does_not_travel_are_a_bad_gold():
    for test in ("assert f(lambda: 1) == 1", "assert f(object()) is None", "assert f(iter([1])) == 1"):
        verdict = verify(problem({"test_list": [test]}), "def f(x): return 1")
        assert verdict.status == Status.BAD_GOLD, verdict
    assert (
        verify(problem({"test_list": ["assert f() == 1"], "test_imports": ["import no_such"]}), "def f(): return 1").status
        == Status.BAD_GOLD
    )


@needs_sandbox
def test_arguments_that_do_not_travel_are_a_bad_gold():
    for argument in (object(), iter([]), print):
        verdict = verify(problem({"fn_name": "f", "inputs": [[argument]], "outputs": [1]}), "def f(x): return 1")
        assert verdict.status == Status.BAD_GOLD, verdict
    assert (
        verify(problem({"test_list": ["assert f(" + "(" * 300 + "1" + ")" * 300 + ") == 1"]}), "def f(x): return 1").status
        == Status.BAD_GOLD
    )


@needs_sandbox
def test_a_task_in_words_with_human_evals_tests():
    meta = {"test": CHECK, "entry_point": "square"}
    for prompt in ("Write a function square(n).", "Square!", "square", "def square(n):\n", PROMPT):
        assert verify(problem(meta, prompt), "def square(n): return n * n").score == 1.0
    for prompt in ("def square(n):\n", PROMPT):
        assert verify(problem(meta, prompt), "    return n * n\n").score == 1.0


@needs_sandbox
def test_in_a_pool_of_workers():
    with VerifierPool(workers=2) as pool:
        verdicts = pool.verify_many([(FORMS["check"], f"    return n * n + {n % 2}\n") for n in range(8)])
    assert [verdict.score for verdict in verdicts] == [1.0, 0.0] * 4


def test_no_program_is_no_answer():
    assert verify(FORMS["stdin"], " \n").status == Status.NO_ANSWER
    assert verify(FORMS["stdin"], "```python\n\n```").status == Status.NO_ANSWER


@needs_sandbox
@pytest.mark.parametrize("response", ["\ud800", "print('\ud800')", "\0", "x" * 100_000, "(" * 5000, "# coding: nonsense\nprint(1)"])
def test_strange_responses_are_wrong(response: str):
    for form in FORMS.values():
        assert verify(form, response).status == Status.WRONG


def test_the_last_python_block_is_the_program():
    assert extract_program("```py\na\n```\n```python\nb\n```\n```\nc\n```") == "b\n"
    assert extract_program("```\na\n```\ntext\n```text\nx\n```") == "a\n"
    assert extract_program("~~~~python\n    a\n```\n~~~~") == "    a\n```\n"
    assert extract_program("no block") == "no block"
    assert extract_program("```python\nunfinished") == "```python\nunfinished"


@needs_sandbox
def test_a_level_that_is_not_to_be_had_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RECKON_SANDBOX", "lax")
    with pytest.raises(InputError, match="no isolation level 'lax'"):
        verify(FORMS["stdin"], "print(1)")


def test_plain_data_survives_the_way():
    value = [None, True, -1, 1 << 70, 0.1, float("inf"), "\ud800π", (1, (2,)), {1, 2}, frozenset({3}), {"a": {(1, 2): b"\0"}}, 1j]
    there = decode(json.loads(json.dumps(encode(value))))
    assert there == value
    assert [type(item) for item in there] == [type(item) for item in value]
    assert encode(float("nan")) == {"float": "nan"}
    for strange in (object(), type("I", (int,), {})(1), iter([]), int, len):
        with pytest.raises(NotPlainError):
            encode(strange)
    for forged in ({"int": 5}, {"nope": 1}, {"set": [[1]]}, {}, {"a": 1, "b": 2}):
        with pytest.raises((ValueError, TypeError, KeyError)):
            decode(forged)


def test_nothing_of_the_policy_runs_in_this_process():
    """The verifier parses, and never evaluates or unpickles."""
    tree = ast.parse(Path(python_tests.__file__).read_text())
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & {"eval", "exec", "compile", "__import__"}
    assert "pickle" not in Path(python_tests.__file__).read_text()


@needs_sandbox
@pytest.mark.parametrize("name", ["select", "queue", "array", "test"])
@pytest.mark.parametrize(
    "use",
    ["assert {}([3, 1], 1) == 3", "assert list(map({}, [[3, 1]], [1])) == [3]", "import math\nassert {}([3, 1], math.gcd(2, 3)) == 3"],
)
def test_a_function_named_like_a_module_is_the_programs_own(name: str, use: str):
    asked = problem({"test_list": [use.format(name)]})
    assert verify(asked, f"def {name}(items, k): return items[0] if k else 0").score == 1.0
    assert verify(asked, f"def {name}(items, k): return 4").score == 0.0


@needs_sandbox
def test_a_module_that_the_asserts_only_look_into_stays_one():
    asked = problem({"test_list": ["assert math.isclose(f(2), math.sqrt(2))", "assert string.digits[f(4) == 2] == '1'"]})
    assert verify(asked, "import math\ndef f(x): return math.sqrt(x)").score == 1.0
