"""How what a program printed or returned is compared: numbers near and far, values that cannot be shown, keys that collide."""

from typing import Any

import pytest

from tests.verifiers.hostile_programs import problem
from verifiers.programs.output_tests import nearly_equal, same_text
from verifiers.programs.python_tests import verify
from verifiers.sandboxes.local_sandbox import probe
from verifiers.verdict import Status

MISSING = probe("strict")
needs_sandbox = pytest.mark.skipif(bool(MISSING), reason=f"no strict sandbox on this machine: {MISSING}")


@pytest.mark.parametrize(
    ("got", "wanted", "same"),
    [
        ("9" * 400, "1" * 400, False),
        ("inf", "1" * 400, False),
        ("1e400", "1" * 400, False),
        ("1e400", "inf", False),
        ("nan", "nan", True),  # the very same word
        ("1_000.5", "1000.5", False),
        ("1_000", "1000", False),
        ("1000000000", "1000000007", False),
        ("007", "7", True),
        ("+7", "7", True),
        ("-0", "0", True),
        ("-7", "7", False),
        ("9" * 5000, "9" * 5000, True),
        ("9" * 5000, "09" + "9" * 4999, True),
        ("0.33333333", "0.33333334", True),
        ("2.0000000001", "2", True),
        ("0.3", "0.4", False),
        ("\u0663.5", "3.5", False),
        ("answer 1.0000000001", "answer 1", True),
    ],
)
def test_a_tolerance_is_for_finite_numbers_of_which_one_is_no_integer(got: str, wanted: str, same: bool):
    assert same_text(got, wanted, 1e-6) is same
    assert same_text(wanted, got, 1e-6) is same


def test_values_beyond_every_float_are_not_close():
    assert not nearly_equal(10**400, 1.0, 0.5)
    assert not nearly_equal(float("inf"), 10**400, 0.5)
    assert not nearly_equal(1_000_000_000, 1_000_000_007, 1e-6)
    assert nearly_equal(7, 7.0000001, 1e-6)


def outcome(value: str, wanted: object, **options: Any) -> tuple[float | None, Status]:
    verdict = verify(problem({"fn_name": "f", "inputs": [[]], "outputs": [wanted]}, **options), f"def f(): return {value}")
    return verdict.score, verdict.status


WRONG, RIGHT = (0.0, Status.WRONG), (1.0, Status.RIGHT)


@needs_sandbox
@pytest.mark.parametrize("value", ["10**5000", "[10**5000]", "{10**5000: 1}", "{(10**5000,): 1}", "{1: {10**5000}}"])
def test_an_integer_too_long_to_show_is_wrong_and_no_error(value: str):
    for wanted in (1, [1], {"1": 1}):
        assert outcome(value, wanted) == WRONG
        assert outcome(value, wanted, tolerance=1e-6) == WRONG


@needs_sandbox
def test_a_number_beyond_every_float_is_wrong_with_a_tolerance():
    assert outcome("10**400", 1.5, tolerance=1e-6) == WRONG
    assert outcome("float('inf')", 10**400, tolerance=1e-6) == WRONG
    assert outcome("10**400", 10**400, tolerance=1e-6) == RIGHT
    assert outcome("1000000000", 1000000007, tolerance=1e-6) == WRONG


@needs_sandbox
def test_an_expected_value_too_long_to_show_is_no_error():
    assert outcome("1", 10**5000) == WRONG
    assert outcome("1", {"1": 10**5000}) == WRONG


@needs_sandbox
def test_keys_that_are_spelt_alike_are_not_one():
    assert outcome("{1: 99, '1': 2}", {"1": 2}) == WRONG
    assert outcome("{'1': 2, 1: 2}", {"1": 2}) == WRONG
    assert outcome("{1: 2}", {"1": 2}) == RIGHT
