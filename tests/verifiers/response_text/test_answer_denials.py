"""Prose that denies a number, names a step, takes an answer back, or offers two; and prose that gives one."""

import pytest

from verifiers.mathematics.equality.math_answer import verify
from verifiers.problem import make_problem


def is_right(gold: str, response: str) -> bool:
    return verify(make_problem("?", gold), response).score == 1


@pytest.mark.parametrize(
    "response",
    [
        "정답은 5가 아닙니다.",
        "उत्तर 5 नहीं है",
        "Cevap 5 değil.",
        "Odpowiedź nie jest 5",
        "Đáp án không phải là 5",
        "Jawabannya bukan 5",
        "الجواب ليس 5",
    ],
)
def test_a_number_denied_in_another_language_is_no_answer(response: str) -> None:
    assert not is_right("5", response)


@pytest.mark.parametrize(
    "response",
    [
        "I am stuck at step 5",
        "see equation (5)",
        "Sorry! Problem 5",
        "Chapter 5",
        "This is from AIME 5",
        "In question 5.",
        "the answer exceeds 5",
    ],
)
def test_the_number_of_a_step_or_problem_is_no_answer(response: str) -> None:
    assert not is_right("5", response)


@pytest.mark.parametrize(
    ("gold", "response"),
    [
        ("5", r"$\boxed{5}$ is wrong. The answer is 7."),
        ("5", r"\boxed{5} is incorrect; the correct answer is 7."),
        ("5", r"\boxed{5}\text{ or }6"),
        ("5", r"$\boxed{5}$ or $6$"),
        ("B", "I think it is B... no, C"),
        ("B", "A\nB"),
        ("A", "A\n\nAll others fail.\n\n(B)"),
    ],
)
def test_what_is_taken_back_or_one_of_two_is_no_answer(gold: str, response: str) -> None:
    assert not is_right(gold, response)


@pytest.mark.parametrize(
    ("gold", "response"),
    [
        ("7", r"$\boxed{5}$ is wrong. The answer is 7."),
        ("C", "I think it is B... no, C"),
        ("5 \\text{ or } 6", r"\boxed{5} or 6"),
        ("5", r"\boxed{5} or 5"),
        ("A", "A\n\nAll others fail.\n\nA"),
        ("C", "c"),
        ("C", "**(C)** 12"),
        ("3/4", "The answer is 3/4 of the cake."),
        ("18", "Final answer: Janet makes 18 dollars per day."),
        ("3,5", "The answers are 3 and 5."),
        ("5", "답은 5이다"),
        ("12", "We need 12 steps"),
    ],
)
def test_what_is_said_plainly_is_the_answer(gold: str, response: str) -> None:
    assert is_right(gold, response)
