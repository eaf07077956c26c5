"""How what a program printed or returned is compared: numbers near and far, values that cannot be shown, keys that collide."""

from typing import Any

import pytest

from tests.hostile_programs import problem
from verifiers.python_tests import verify
from verifiers.sandbox import probe
from verifiers.stdin_tests import close, same_text
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
    assert not close(10**400, 1.0, 0.5)
    assert not close(float("inf"), 10**400, 0.5)
    assert not close(1_000_000_000, 1_000_000_007, 1e-6)
    assert close(7, 7.0000001, 1e-6)
