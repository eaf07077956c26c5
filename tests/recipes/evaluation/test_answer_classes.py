"""Answers by what they mean."""

from recipes.evaluation.answer_classes import answered
from rl.evaluation.subsets import AnswerClass


def test_one_half_in_three_spellings_is_one_answer() -> None:
    said = answered([r"\boxed{1/2}", "so the answer is 0.5", r"\boxed{\frac{1}{2}}", r"\boxed{2}", "no idea"])
    assert said.place == (0, 0, 0, 1, None)
    assert len(said.answers) == 2
    assert said.classes([True, True, True, False, False]) == [AnswerClass(3, True), AnswerClass(1, False)]


def test_a_class_is_right_if_most_of_it_was_judged_so() -> None:
    """A verifier may want a format too, so that equal answers get different verdicts."""
    said = answered([r"\boxed{3}", r"\boxed{3.0}", r"\boxed{3}"])
    assert said.classes([True, False, True]) == [AnswerClass(3, True)]
    assert said.classes([True, False, False]) == [AnswerClass(3, False)]


def test_answers_that_nobody_can_read_are_compared_as_text() -> None:
    said = answered([r"\boxed{f(x}", r"\boxed{f(x}", r"\boxed{g(x}"])
    assert said.place == (0, 0, 1)
