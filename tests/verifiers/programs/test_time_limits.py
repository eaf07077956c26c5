"""The time limit is that of one test, whatever the form of the tests; the total limit is that of all."""

import time

import pytest

from tests.verifiers.hostile_programs import problem
from verifiers.programs.python_tests import verify
from verifiers.sandboxes.local_sandbox import probe

MISSING = probe("strict")
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"no strict sandbox on this machine: {MISSING}")

CALLS = {"fn_name": "f", "inputs": [[1], [2], [3], [4]], "outputs": [1, 2, 3, 4]}
ASSERTS = {"test_list": [f"assert f({n}) == {n}" for n in (1, 2, 3, 4)]}
CHECK = {"test": "def check(candidate):\n    for n in (1, 2, 3, 4): assert candidate(n) == n\n", "entry_point": "f"}
SLOW = "import time\ndef f(x):\n    time.sleep(0.4)\n    return x"
STUCK = "def f(x):\n    while x == 2: pass\n    return x"


@pytest.mark.parametrize("meta", [CALLS, ASSERTS])
def test_each_test_has_the_time_of_one(meta: dict[str, object]):
    verdict = verify(problem({**meta, "time_limit": 1, "total_limit": 30}), SLOW)
    assert verdict.score == 1.0, verdict


@pytest.mark.parametrize("meta", [CALLS, ASSERTS])
def test_a_test_that_takes_longer_is_ended_then_and_not_at_the_end_of_all(meta: dict[str, object]):
    start = time.monotonic()
    verdict = verify(problem({**meta, "time_limit": 1, "total_limit": 30, "partial": True}), STUCK)
    assert time.monotonic() - start < 10
    assert verdict.score == 0.25
    assert "test 2: Lost: timeout: not done after 1 s" in verdict.detail.replace("; test 2: timeout", "; test 2: Lost: timeout")


def test_the_total_limit_holds_for_all():
    for meta in (CALLS, ASSERTS):
        verdict = verify(problem({**meta, "time_limit": 1, "total_limit": 1}), SLOW)
        assert verdict.score == 0.0
        assert "timeout" in verdict.detail


def test_check_is_one_test():
    assert verify(problem({**CHECK, "time_limit": 1, "total_limit": 30}), SLOW).score == 0.0
    assert verify(problem({**CHECK, "time_limit": 5, "total_limit": 30}), SLOW).score == 1.0


def test_loading_has_the_time_of_a_test_and_takes_none_from_the_first():
    source = "import time\ntime.sleep(0.7)\ndef f(x):\n    time.sleep(0.5)\n    return x"
    one = {"fn_name": "f", "inputs": [[1]], "outputs": [1], "time_limit": 1, "total_limit": 30}
    assert verify(problem(one), source).score == 1.0
    assert verify(problem(one), "while True: pass").detail == "test 1: timeout: not done after 1 s"
