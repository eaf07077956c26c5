"""What a verdict may hold, what a reward may be, and data of another type than documented: each refused where it enters."""

import math
import os
import resource
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from verifiers.input_error import InputError
from verifiers.mathematics.equality import math_answer
from verifiers.problem import Problem, make_problem
from verifiers.programs import program_tests, python_tests
from verifiers.proofs import metamath_proof
from verifiers.rewards import length_budget
from verifiers.trl_reward import trl_reward
from verifiers.verdict import Status, StepScore, Verdict, as_verdict
from verifiers.worker_pool.pool_messages import LONGEST_LINE
from verifiers.worker_pool.verifier_pool import VerifierPool
from verifiers.worker_pool.worker_main import LONGEST_DETAIL

REWARDS = r'''
import os
from verifiers.verdict import Status, StepScore, Verdict

def detail(problem, response):
    """As many characters as the response says."""
    return Verdict(1.0, Status.RIGHT, "x" * int(response))

def parts(problem, response):
    return Verdict(1.0, Status.RIGHT, "", {str(number): 1.0 for number in range(int(response))})

def steps(problem, response):
    return Verdict(1.0, Status.RIGHT, "", {}, tuple(StepScore(0, 1.0) for number in range(int(response))))

def endless(problem, response):
    """A line without an end on the pipe of the verdicts."""
    if response == "endless":
        block = b"x" * (1 << 16)
        for _ in range(1 << 14):
            for descriptor in range(3, 20):
                try:
                    os.write(descriptor, block)
                except OSError:
                    pass
    return 0.5

def broken(problem, response):
    value = float(response)
    if problem.answer == "part":
        return Verdict(1.0, Status.RIGHT, "", {"length": value})
    return Verdict(1.0, Status.RIGHT, "", {}, (StepScore(1, value),))
'''
ONE = make_problem("1?", "1")


@pytest.fixture
def _rewards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bound_rewards.py").write_text(REWARDS)
    monkeypatch.chdir(tmp_path)


def peak() -> int:
    """Bytes that this process has ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


# What reaches the parent ----------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_rewards")
def test_a_detail_of_200_mb_is_cut_before_it_reaches_the_parent() -> None:
    before = peak()
    with VerifierPool(["bound_rewards.py:detail"], workers=1) as pool:
        short, long, huge = pool.verify_many([(ONE, "5"), (ONE, str(LONGEST_DETAIL + 7)), (ONE, "200000000")])
    assert short.detail == "x" * 5
    assert long.detail == "x" * LONGEST_DETAIL + " ... (7 more characters)"
    assert huge.score == 1.0
    assert huge.detail.endswith(f"... ({200_000_000 - LONGEST_DETAIL} more characters)")
    assert peak() - before < 100 << 20


@pytest.mark.usefixtures("_rewards")
def test_parts_without_end_are_no_verdict_and_said() -> None:
    with VerifierPool(["bound_rewards.py:parts"], workers=1, deadline=100) as pool:
        few, many, again = pool.verify_many([(ONE, "3"), (ONE, "600000"), (ONE, "2")])
    assert (dict(few.parts), dict(again.parts)) == ({"0": 1.0, "1": 1.0, "2": 1.0}, {"0": 1.0, "1": 1.0})
    assert (many.score, many.status) == (None, Status.CRASH)
    assert "1000 parts at the most, not 600000" in many.detail
    with VerifierPool(["bound_rewards.py:steps"], workers=1, deadline=100) as pool:
        few, many, again = pool.verify_many([(ONE, "3"), (ONE, "900000"), (ONE, "2")])
    assert (len(few.steps), len(again.steps)) == (3, 2)
    assert (many.score, many.status, many.detail) == (None, Status.CRASH, "its parts and steps are too many")


@pytest.mark.usefixtures("_rewards")
def test_a_line_without_end_on_the_pipe_of_verdicts_is_bounded() -> None:
    before = peak()
    with VerifierPool(["bound_rewards.py:endless"], workers=1, deadline=60) as pool:
        first, endless, last = pool.verify_many([(ONE, "a"), (ONE, "endless"), (ONE, "b")])
    assert (first.score, last.score) == (0.5, 0.5)
    assert endless.status is Status.CRASH
    assert "answers nothing that it was asked" in endless.detail
    assert peak() - before < 12 * LONGEST_LINE


# What is a number -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400, np.float32("inf"), "0.5", None])
def test_parts_and_steps_that_are_no_finite_numbers_are_no_verdicts(value: Any) -> None:
    with pytest.raises(ValueError, match="the part 'length' must be a finite number"):
        Verdict(1.0, Status.RIGHT, "", MappingProxyType({"length": value}))
    with pytest.raises(ValueError, match="the step that ends at 3 must be a finite number"):
        Verdict(1.0, Status.RIGHT, "", steps=(StepScore(3, value),))


@pytest.mark.parametrize("value", [10**400, 10**5000, -(10**400), math.nan, "1"], ids=["400", "5000", "-400", "nan", "text"])
def test_a_score_that_no_float_holds_is_refused_in_words(value: Any) -> None:
    with pytest.raises(TypeError, match=r"returned .* \((int|float|str)\); expected a finite number"):
        as_verdict(value)
    with pytest.raises(ValueError, match="score must be a finite number"):
        Verdict(10**400, Status.RIGHT)


@pytest.mark.usefixtures("_rewards")
@pytest.mark.parametrize("where", ["part", "step"])
def test_a_reward_with_nan_in_its_parts_or_steps_gives_no_verdict(where: str) -> None:
    problem = make_problem("?", where)
    with VerifierPool(["bound_rewards.py:broken"], workers=1) as pool:
        verdicts = pool.verify_many([(problem, "0.5"), (problem, "nan"), (problem, "-inf"), (problem, "0")])
    assert [verdict.score for verdict in verdicts] == [1.0, None, None, 1.0]
    assert {verdict.status for verdict in verdicts[1:3]} == {Status.CRASH}
    assert "must be a finite number" in verdicts[1].detail


# Functions as rewards -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "score"),
    [(True, 1.0), (False, 0.0), (0.25, 0.25), (3, 3.0), (np.float64(0.5), 0.5), (None, None), (Verdict(0.0, Status.WRONG), 0.0)],
)
def test_trl_reward_takes_a_function_that_returns_what_a_reward_may(value: Any, score: float | None) -> None:
    reward = trl_reward(lambda problem, response: value)
    assert reward(["a"], answer=["1"]) == [score]


def test_trl_reward_takes_coroutines_and_names_what_is_no_reward() -> None:
    async def later(problem: Problem, response: str) -> float:
        return float(len(response))

    def wrong(problem: Problem, response: str) -> str:
        return "right"

    assert trl_reward(later)(["abc"], answer=["1"]) == [3.0]
    with pytest.raises(TypeError, match=r"wrong returned 'right' \(str\); expected a finite number, bool, Verdict or None"):
        trl_reward(wrong)(["abc"], answer=["1"])


@pytest.mark.usefixtures("_rewards")
def test_a_pool_takes_functions_that_its_workers_can_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(os.getcwd())
    import bound_rewards  # type: ignore[import-not-found]

    with VerifierPool(math_answer.verify, workers=1) as pool:
        assert [v.score for v in pool.verify_many([(ONE, r"\boxed{1}"), (ONE, r"\boxed{2}")])] == [1.0, 0.0]
    with VerifierPool([bound_rewards.detail, "math_answer=0.5"], workers=1) as pool:
        [verdict] = pool.verify_many([(make_problem("?", "1"), "1")])
    assert verdict.score == 1.5


def test_a_function_that_no_worker_can_import_is_told_what_to_give() -> None:
    def inner(problem: Problem, response: str) -> float:
        return 1.0

    for function in (inner, lambda problem, response: 1.0):
        with pytest.raises(InputError, match=r"cannot be found by another process: .* 'FILE\.py:FUNCTION'"):
            VerifierPool(function)
    for nonsense in (3, [3], {"a": 1}):
        with pytest.raises(InputError, match=r"give names such as 'math_answer'|a reward is a name"):
            VerifierPool(nonsense)  # type: ignore[arg-type]


# Data of another type than documented ---------------------------------------------------------------------------------------------------

PAIRS = {"inputs": ["1\n"], "outputs": ["1\n"]}
BAD_TESTS: list[dict[str, Any]] = [
    {"test_list": "assert"},
    {"test_list": {"a": "assert f(1) == 1"}},
    {"test_list": ["assert f(1) == 1", 3]},
    {"test_list": ["assert f(1) == 1"], "test_imports": "import math"},
    {"test_list": ["assert f(1) == 1"], "test_setup_code": ["x = 1"]},
    {"test_list": ["assert f(1) == 1"], "entry_point": ["f"]},
    {"test": ["def check(candidate): pass"], "entry_point": "f"},
    {"test": "def check(candidate): pass", "entry_point": ["f"]},
    {"test": "def check(candidate): pass", "entry_point": "f(x)"},
    {"inputs": "12", "outputs": "12"},
    {"inputs": [["a", {}]], "outputs": ["1"]},
    {"inputs": [[1]], "outputs": [1], "fn_name": ["f"]},
    {"tests": "12"},
    {"tests": {"input": "1", "output": "1"}},
    {"tests": ["12"]},
    {"input_output": [1, 2]},
    {"input_output": "[1, 2]"},
    {**PAIRS, "memory_limit": 10**30},
    {**PAIRS, "memory_limit": "1024"},
    {**PAIRS, "memory_limit": True},
    {**PAIRS, "memory_limit": math.nan},
    {**PAIRS, "time_limit": math.inf},
    {**PAIRS, "time_limit": 10**400},
    {**PAIRS, "time_limit": -1},
    {**PAIRS, "total_limit": [8]},
    {**PAIRS, "tolerance": "1e-6"},
    {**PAIRS, "partial": "false"},
    {"inputs": ["1\n"] * 3000, "outputs": ["1\n"] * 3000},
]


@pytest.mark.parametrize("meta", BAD_TESTS, ids=lambda meta: str(meta)[:60])
def test_tests_of_another_type_than_documented_are_a_bad_gold(meta: dict[str, Any]) -> None:
    """A string of six letters was six right tests."""
    verdict = python_tests.verify(make_problem("?", "-", meta=meta), "```python\ndef f(x):\n    return x\nprint(input())\n```")
    assert (verdict.score, verdict.status) == (None, Status.BAD_GOLD), verdict
    if "inputs" in meta or "tests" in meta or "input_output" in meta:
        there = program_tests.verify(make_problem("?", "-", meta={"language": "python", **meta}), "```python\nprint(input())\n```")
        assert there.status is Status.BAD_GOLD, there


def test_too_many_tests_are_told_with_the_number_that_fits() -> None:
    meta = {"inputs": ["1\n"] * 3000, "outputs": ["1\n"] * 3000}
    verdict = python_tests.verify(make_problem("?", "-", meta=meta), "print(input())")
    assert "3000 tests cannot run in the total_limit of 8 s; it holds 1600 at the most" in verdict.detail


@pytest.mark.parametrize("budget", ["100", True, [100], None, math.nan, math.inf, 10**400, -1])
def test_a_budget_of_another_type_is_a_bad_gold(budget: Any) -> None:
    assert length_budget.verify(make_problem("?", "1", meta={"budget": budget}), r"\boxed{1}").status is Status.BAD_GOLD


@pytest.mark.parametrize(
    "extra",
    [
        {"theorem": ["id"]},
        {"theorem": "id", "dummies_distinct": "no"},
        {"statement": "|- x", "hypotheses": "ab"},
        {"statement": "|- x", "disjoint": "xy"},
    ],
)
def test_metamath_data_of_another_type_are_a_bad_gold(tmp_path: Path, extra: dict[str, Any]) -> None:
    (tmp_path / "a.mm").write_text("$c |- wff $. $v x $. wx $f wff x $. id $a |- x $.\n")
    verdict = metamath_proof.verify(make_problem("?", "-", meta={"database": str(tmp_path / "a.mm"), **extra}), "$= wx id $.")
    assert verdict.status is Status.BAD_GOLD, verdict


# Tests that no program, or any, would pass ----------------------------------------------------------------------------------------------

CHECK = "def check(candidate):\n    assert candidate(1) == 1\n"
IDLE_TESTS: list[dict[str, Any]] = [
    {"test_list": ["f(1) == 1"]},  # the assert was forgotten, and any program passed
    {"test_list": ["assert f(1) == 1", "f"]},
    {"test_list": ["assert f(1) == 1", "f(2)"]},
    {"test": "def check(candidate):\n    candidate(1) == 1\n", "entry_point": "f"},
    {"test": "assert f(1) == 1", "entry_point": "f"},  # and none passed these
    {"test": CHECK, "entry_point": "class"},
    {"test": "import no_such_module\n" + CHECK, "entry_point": "f"},
    {"test": "LIMIT = 1 // 0\n" + CHECK, "entry_point": "f"},
    {"test_list": ["assert 1 == 2 and f(1) == 1"]},
    {"inputs": [[1]], "outputs": [1], "fn_name": "f(x)"},
    {"inputs": [[1]], "outputs": [1], "fn_name": "lambda"},
    {**PAIRS, "fn_name": 0},
    {**PAIRS, "test_list": 0},
    {**PAIRS, "test_list": {}},
    {**PAIRS, "partial": 1},
]


@pytest.mark.parametrize("meta", IDLE_TESTS, ids=lambda meta: str(meta)[:60])
def test_tests_that_do_not_depend_on_the_program_are_a_bad_gold(meta: dict[str, Any]) -> None:
    for program in ("def f(x):\n    return x\nprint(input())", "pass"):
        verdict = python_tests.verify(make_problem("?", "-", meta=meta), f"```python\n{program}\n```")
        assert verdict.status is Status.BAD_GOLD, verdict


@pytest.mark.parametrize(
    "meta",
    [
        {"test_list": ["import math\nassert math.isclose(f(1), 1)", "try:\n    f(1)\nexcept ValueError:\n    raise AssertionError"]},
        {"test_list": ["same(f(1), 1)"], "test_setup_code": "def same(a, b):\n    assert a == b"},
        {"test": "METADATA = {}\n" + CHECK, "entry_point": "f"},
    ],
)
def test_tests_in_other_words_than_assert_are_still_tests(meta: dict[str, Any]) -> None:
    good = python_tests.verify(make_problem("?", "-", meta=meta), "```python\ndef f(x):\n    return x\n```")
    assert good.status is Status.RIGHT, good
    bad = python_tests.verify(make_problem("?", "-", meta=meta), "```python\ndef f(x):\n    return 1 / 0\n```")
    assert bad.status is Status.WRONG, bad


@pytest.mark.parametrize("path", ["a\0b.mm", "\ud800.mm", "x" * 5000, "/dev"])
def test_a_database_that_no_file_can_be_is_a_bad_gold(path: str) -> None:
    for meta in ({"database": path, "theorem": "t"}, {"database": path, "statement": "|- x"}):
        assert metamath_proof.verify(make_problem("?", "-", meta=meta), "$= a $.").status is Status.BAD_GOLD


# What a run could not write ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [-1, 1 << 31, 10**400, 0.5, "3", None])
def test_a_step_that_ends_at_no_character_is_no_verdict(end: Any) -> None:
    with pytest.raises(ValueError, match="ends at a character"):
        Verdict(1.0, Status.RIGHT, "", {}, (StepScore(end, 1.0),))
    assert Verdict(1.0, Status.RIGHT, "", {}, (StepScore(np.int64(3), 1.0),)).valid


@pytest.mark.parametrize("parts", [dict.fromkeys(map(str, range(1001)), 1.0), {"n" * 201: 1.0}, {1: 1.0}, {None: 1.0}])
def test_parts_that_are_no_columns_are_no_verdict(parts: Any) -> None:
    with pytest.raises(ValueError, match="part"):
        Verdict(1.0, Status.RIGHT, "", parts)


def test_a_part_with_half_a_character_in_its_name_can_be_stored(tmp_path: Path) -> None:
    from rollout.engine import Completion
    from rollout.player import Group
    from rollout.store import RolloutStore

    verdict = Verdict(1.0, Status.RIGHT, "\ud800", {"a\udfff": 0.5}, (StepScore(2, 1.0),))
    group = Group(ONE, [1], (Completion([2], [-0.5], [True], "stop", 0),), ("\ud800",), (verdict,))
    store = RolloutStore(tmp_path)
    store.write(1, [group], cursor=1)
    found = store.read(1, {ONE.id: ONE})
    assert found is not None
    assert dict(found[0][0].verdicts[0].parts) == {"a?": 0.5}
