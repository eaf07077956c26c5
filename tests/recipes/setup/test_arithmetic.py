"""The quickstart's world against arithmetic itself."""

import re
from typing import Any

import pytest

from recipes.setup import arithmetic
from verifiers.input_error import InputError
from verifiers.mathematics.equality.math_answer import verify
from verifiers.problem import make_problem
from verifiers.verdict import Status


@pytest.mark.parametrize(
    ("prompt", "answer", "steps"),
    [
        ("57+68=", "125", "7+8=15 5+6+1=12"),
        ("20+31=", "51", "0+1=1 2+3=5"),
        ("52-17=", "35", "12-7=5 5-1-1=3"),
        ("15-43=", "-28", "43-15 13-5=8 4-1-1=2"),
        ("100-001=", "99", "10-1=9 10-0-1=9 1-0-1=0"),
    ],
)
def test_worked_solutions_by_hand(prompt: str, answer: str, steps: str) -> None:
    assert arithmetic.worked_solution(make_problem(prompt, answer)) == f"<think>{steps}</think><answer>{answer}</answer>"


@pytest.mark.parametrize("digits", [1, 2, 3])
def test_every_step_is_true_and_both_judges_agree(digits: int) -> None:
    for problem in arithmetic.make_problems(100 if digits > 1 else 60, seed=1, digits=digits):
        solution = arithmetic.worked_solution(problem)
        for left, right in re.findall(r"([0-9+-]+)=(\d+)", solution):
            terms = [int(term) for term in re.findall(r"[+-]?\d+", left)]
            assert sum(terms) == int(right), solution
        assert arithmetic.judge(problem, problem.answer)
        assert verify(problem, solution).status is Status.RIGHT
        wrong = str(int(problem.answer) + 1)
        assert not arithmetic.judge(problem, wrong)
        assert verify(problem, f"<answer>{wrong}</answer>").status is Status.WRONG


def test_problems_are_different_and_held_out_ones_stay_out() -> None:
    held_out = arithmetic.make_problems(50, seed=1)
    train = arithmetic.make_problems(200, seed=2, exclude=frozenset(p.id for p in held_out))
    assert len({p.id for p in [*held_out, *train]}) == 250
    with pytest.raises(InputError, match="different problems of 1 digits"):
        arithmetic.make_problems(10_000, seed=1, digits=1)


def test_the_tokenizer_gives_text_back(tokenizer: Any) -> None:
    text = "<think>43-15 13-5=8 4-1-1=2</think><answer>-28</answer>"
    tokens = tokenizer.encode(text, add_special_tokens=False)
    assert tokenizer.decode(tokens) == text
    assert len(tokens) == len(re.sub(r"<[^>]+>", "T", text)), "a token for each character and each tag"
