"""How other graders of code were fooled, stopped or owned, each as a test; the numbers are those of the project's list of failures.

The same programs, and more, run against every form of tests in `test_python_tests.py`; here each hack stands under its name.
"""

import ast
import base64
import pickle
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.verifiers.hostile_programs import ATTACKS, FORMS, SERVED, problem
from verifiers.programs import output_tests, plain_data, program_tests, python_tests, served_functions
from verifiers.programs.output_tests import tally
from verifiers.programs.python_tests import verify
from verifiers.sandboxes import chosen_sandbox, fusion_sandbox, interpreter
from verifiers.sandboxes.local_sandbox import probe
from verifiers.verdict import Status

MISSING = probe("strict")
needs_sandbox = pytest.mark.skipif(bool(MISSING), reason=f"no strict sandbox on this machine: {MISSING}")
IN_PROCESS_HACKS = {
    "an object whose __eq__ is always true": "eq_true_object",
    "an int subclass with an __eq__ of its own": "int_subclass",
    "a walk over the frames to the list of results": "frame_walk",
    "a hunt through the garbage collector for the results": "gc_hunt",
    "os._exit(0) when called": "os_exit",
    "os._exit(0) at once": "os_exit_at_once",
    "sys.exit(0) before the asserts": "sys_exit_before_the_asserts",
    "a patched test runner": "driver_patched",
    "patched builtins and json": "builtins_patched",
    "an AssertionError that nobody catches": "assertion_patched",
    "a value that runs code when unpickled": "reduce_in_the_value",
}


@needs_sandbox
@pytest.mark.parametrize("name", IN_PROCESS_HACKS)
def test_hacks_that_earn_full_marks_where_program_and_checker_share_a_process(name: str):
    for form in SERVED:
        verdict = verify(FORMS[form], f"```python\n{ATTACKS[IN_PROCESS_HACKS[name]]}\n```")
        assert (verdict.score, verdict.status) == (0.0, Status.WRONG), (form, verdict)


@needs_sandbox
@pytest.mark.parametrize("wanted", ["", None])
@pytest.mark.parametrize(
    "program", ["import os\nos._exit(0)", "raise SystemExit(0)", "def f(): raise ValueError", "def f(:", "def f(): exit(0)", "pass"]
)
def test_25_an_exception_that_exits_with_0_is_not_the_empty_answer(program: str, wanted: str | None):
    empty = problem({"fn_name": "f", "inputs": [[]], "outputs": [wanted]})
    assert verify(empty, program).status == Status.WRONG
    assert verify(empty, f"def f(): return {wanted!r}").score == 1.0


@needs_sandbox
@pytest.mark.parametrize("program", ["raise SystemExit(0)", "import os\nos._exit(0)", "1 / 0"])
def test_25_a_program_that_fails_without_output_is_right_only_by_ending_well(program: str):
    """Expected output may be empty; then no output is right, but a program that raised has not passed."""
    verdict = verify(problem({"inputs": ["x"], "outputs": [""]}), program)
    assert verdict.score == (0.0 if program == "1 / 0" else 1.0)
    assert verify(problem({"inputs": ["x"], "outputs": ["1"]}), program).score == 0.0


def test_25_no_results_at_all_are_not_all_right():
    def complaints(*results: str) -> Generator[str, None, None]:
        yield from results

    for partial in (False, True):
        assert tally(complaints(), 3, partial=partial).score == 0.0
        assert tally(complaints(""), 3, partial=partial).status == Status.WRONG
        assert tally(complaints("", "", ""), 3, partial=partial).score == 1.0
        assert tally(complaints("", "", "", ""), 3, partial=partial).status == Status.WRONG


@needs_sandbox
@pytest.mark.parametrize(
    "meta", [{"inputs": [], "outputs": []}, {"fn_name": "f", "inputs": [], "outputs": []}, {"tests": []}, {"test_list": []}]
)
def test_25_no_tests_at_all_are_no_reward(meta: dict[str, Any]):
    assert verify(problem(meta), "def f(): return 1").status == Status.BAD_GOLD


@needs_sandbox
@pytest.mark.parametrize("form", FORMS)
def test_46_47_a_fraction_of_a_second_is_kept_and_cannot_be_caught(form: str):
    quick = problem({**FORMS[form].meta, "time_limit": 0.3}, str(FORMS[form].prompt))
    loop = "import time\nwhile True:\n    try: time.sleep(60)\n    except BaseException: pass"
    hang = "def square(n):\n" + "\n".join(f"    {line}" for line in loop.splitlines())
    begin = time.monotonic()
    verdict = verify(quick, loop if form == "stdin" else hang)
    assert verdict.status == Status.WRONG
    assert "not done after 0.3 s" in verdict.detail
    assert time.monotonic() - begin < 7.5  # the program would sleep for a minute, and all tests have 8 s
    right = "print(int(input()) ** 2)" if form == "stdin" else "def square(n): return n * n"
    assert verify(problem({**FORMS[form].meta, "time_limit": 2.5}, str(FORMS[form].prompt)), right).score == 1.0


@needs_sandbox
def test_50_one_sample_does_not_patch_the_grader_for_those_after_it():
    for form in FORMS:
        for patch in ("builtins_patched", "driver_patched", "assertion_patched"):
            verify(FORMS[form], ATTACKS[patch])
        right, wrong = (
            ("print(int(input()) ** 2)", "print(7)") if form == "stdin" else (f"def square(n): return {x}" for x in ("n * n", "7"))
        )
        assert verify(FORMS[form], right).score == 1.0
        assert verify(FORMS[form], wrong).score == 0.0


class Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_53_tests_are_never_unpickled(tmp_path: Path):
    """LiveCodeBench has its private tests as pickles, zipped and in base 64; open-instruct unpickled what was sent to it."""
    payload = pickle.dumps(Touch(tmp_path / "owned"))
    text = base64.b64encode(payload).decode()
    for value in (text, payload, payload.decode("latin-1")):
        for meta in ({"input_output": value}, {"inputs": value, "outputs": value}, {"tests": value}, {"private_test_cases": value}):
            assert verify(problem(meta), "print(1)").status == Status.BAD_GOLD
    assert not (tmp_path / "owned").exists()
    pickle.loads(payload)  # noqa: S301  # ours: it would have been seen
    assert (tmp_path / "owned").exists()


def test_49_52_nothing_of_the_policy_is_evaluated_on_our_side():
    """No eval, exec, compile or pickle in any module of the checker's side; what runs inside the sandbox is another matter."""
    modules = [python_tests, program_tests, output_tests, served_functions, fusion_sandbox, chosen_sandbox, interpreter, plain_data]
    for module in modules:
        tree = ast.parse(Path(str(module.__file__)).read_text())
        called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not called & {"eval", "exec", "compile", "__import__"}, module
        assert not imported & {"pickle", "marshal", "shelve", "subprocess"}, module
