"""Answers that a program prints: what counts is its last line, compared as a mathematical answer; whatever else it does is wrong."""

import pytest

from verifiers.input_error import InputError
from verifiers.problem import make_problem
from verifiers.programs.program_answer import verify
from verifiers.rewards.gold_answers import gold_response
from verifiers.rewards.load_reward import load
from verifiers.verdict import Status
from verifiers.worker_pool.gold_check import gold_judges

HALF = make_problem("What is a half?", "1/2")


def said(program: str) -> str:
    return f"I shall compute it; the answer is \\boxed{{7}}.\n```python\n{program}\n```\nSo it is \\boxed{{8}}."


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("print(0.5)", Status.RIGHT),
        ("from fractions import Fraction\nprint('first')\nprint(Fraction(2, 4))\nprint()", Status.RIGHT),
        ("print('x = 1/2')", Status.RIGHT),
        ("print(r'\\boxed{\\frac{1}{2}}')", Status.RIGHT),
        ("print(0.25)", Status.WRONG),
        ("print(0.5); raise SystemExit(3)", Status.WRONG),
        ("print(0.5)\n1 / 0", Status.WRONG),
        ("print(0.5", Status.WRONG),
        ("import time; print(0.5, flush=True); time.sleep(60)", Status.WRONG),
        ("pass", Status.NO_ANSWER),
        ("   ", Status.NO_ANSWER),
    ],
)
def test_the_last_line_is_the_answer(program: str, status: Status) -> None:
    assert verify(HALF, said(program), seconds=2.0).status is status


def test_what_stands_outside_the_program_counts_for_nothing() -> None:
    seven = make_problem("", "7")
    assert verify(seven, said("print(1)")).status is Status.WRONG
    assert verify(seven, "It is \\boxed{7}.").status is Status.NO_ANSWER
    assert verify(seven, "```text\n7\n```").status is Status.NO_ANSWER


def test_the_last_program_counts() -> None:
    assert verify(HALF, said("print(1)") + said("print(1/2)")).status is Status.RIGHT


def test_powers_are_read_as_python_writes_them() -> None:
    assert verify(make_problem("", "x^2+1"), said("print('x**2 + 1')")).status is Status.RIGHT


@pytest.mark.parametrize(
    ("gold", "program", "status"),
    [
        ("0.3", "print(0.1 + 0.2)", Status.RIGHT),
        ("7", "print(7.000000000000001)", Status.RIGHT),
        ("7", "print(7.00000001)", Status.WRONG),
        ("42", "print('{1} {42}')", Status.WRONG),
        ("42", "print('{41} or 42')", Status.WRONG),
        ("\\{1,2\\}", "print({1, 2})", Status.RIGHT),
        ("x^{10}", "print('x^{10}')", Status.RIGHT),
        ("42", "print('}{42')", Status.WRONG),
    ],
)
def test_the_whole_line_is_the_answer_and_a_float_is_rounded_as_arithmetic_rounds(gold: str, program: str, status: Status) -> None:
    assert verify(make_problem("", gold), said(program)).status is status


def test_a_program_reaches_nothing_of_ours(tmp_path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("1/2")
    assert verify(HALF, said(f"print(open({str(secret)!r}).read())")).status is Status.WRONG


def test_golds_pass_and_bare_ones_are_tried_on_the_inner_verifier() -> None:
    own = make_problem("", "1/2", verifier="program_answer")
    assert verify(own, gold_response(own)).status is Status.RIGHT
    assert gold_judges(["program_answer"]) == ["math_answer"]
    assert load("program_answer(seconds=1.0)")(HALF, said("print(0.5)")).status is Status.RIGHT


def test_seconds_must_be_some() -> None:
    with pytest.raises(InputError, match="seconds must be above 0"):
        verify(HALF, said("print(1)"), seconds=0)
