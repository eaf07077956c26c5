"""Which functions of a page are problems, and why others are none."""

import pytest

from data_pipeline.documents.document import Doc, Origin
from data_pipeline.subjects.code_exercises import code_problems
from verifiers.problem import Problem

GCD = '''import math

def gcd(a, b):
    """The greatest number that divides both.

    >>> gcd(12, 8)
    4
    >>> gcd(7, 3)
    1
    >>> gcd(0, 5)
    5
    >>> gcd(-6, 4)
    2
    """
    return math.gcd(a, b)

print(gcd(1, 2))
'''


def found(code: str) -> list[Problem | str]:
    return list(code_problems(Doc("0" * 16, "https://a.example/x", f"# Page\n\n```python\n{code}\n```\n", Origin("a.warc", 7))))


def test_a_function_with_examples():
    (problem,) = found(GCD)
    assert isinstance(problem, Problem)
    assert problem.verifier == "python_tests"
    assert problem.meta["fn_name"] == "gcd"
    assert problem.meta["inputs"] == [[12, 8], [7, 3], [0, 5], [-6, 4]]
    assert problem.meta["outputs"] == [4, 1, 5, 2]
    assert "import math\n\ndef gcd(a, b):" in str(problem.prompt)
    assert "gcd(7, 3)" in str(problem.prompt)
    assert "gcd(0, 5)" not in str(problem.prompt)
    assert "math.gcd" not in str(problem.prompt)
    assert "print" not in problem.answer


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (GCD.replace("    return math.gcd(a, b)\n", ""), "no solution"),
        (GCD.replace("return math.gcd(a, b)", "raise NotImplementedError"), "no solution"),
        (GCD.replace("return math.gcd(a, b)", "..."), "no solution"),
        (GCD.replace(">>> gcd(0, 5)", ">>> gcd(a=0, b=5)").replace(">>> gcd(7, 3)", ">>> gcd(x, 3)"), "too few examples"),
        (GCD.replace(">>> gcd(0, 5)\n    5", ">>> gcd(0, 5)\n    <object>").replace(">>> gcd(7", ">>> lcm(7"), "too few examples"),
        (GCD.replace("(12, 8)", "((1,), 8)").replace("gcd(7, 3)\n    1", "gcd(7, 3)\n    {1, 2}"), "too few examples"),
        (GCD.replace("The greatest number that divides both.\n\n    >>>", ">>>"), "says nothing"),
        (GCD.replace("    4\n", "    1\n").replace("    5\n", "    1\n").replace("    2\n", "    1\n"), "one answer to all examples"),
        (GCD.replace(">>> gcd(0, 5)", ">>>gcd(0, 5)"), "examples cannot be read"),
    ],
)
def test_what_is_none(code: str, why: str):
    assert found(code) == [why]


NONE = (
    "def gcd(a, b:\n    >>> gcd(1, 2)",
    "(" * 5000 + "def f >>>",
    "def f(): pass",
    "x = '>>> def '\0",
    ">>> gcd(12, 8)\n4",
)


@pytest.mark.parametrize("code", NONE)
def test_what_is_no_candidate(code: str):
    assert found(code) == []
