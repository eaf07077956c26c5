"""Where the final answer of a response is found, by hand; and that no response makes the search slow."""

import pytest

from tests.clock import stopwatch
from verifiers.response_text.final_answer import Answer, boxed, extract_answer, hashes, last_number, phrase, tagged


@pytest.mark.parametrize(
    ("response", "text", "place"),
    [
        (r"so \boxed{12}.", "12", "boxed"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}", "boxed"),
        (r"\fbox{7} is it", "7", "boxed"),
        (r"\boxed 7$", "7", "boxed"),
        (r"first \boxed{1}, no: \boxed{2}", "2", "boxed"),
        (r"\boxed{8} The final answer is 7", "8", "boxed"),
        (r"\boxed{x = \boxed{5}}", "5", "boxed"),
        (r"$\boxed{1}$ and $\boxed{-2}$.", "1, -2", "boxed"),
        (r"\boxed{2}, \boxed{3}, \boxed{5}", "2, 3, 5", "boxed"),
        (r"\boxed{2} boys, \boxed{3}", "3", "boxed"),
        (r"Answer \( 9 \)", " 9 ".strip(), "last_formula"),
        ("so it is $x+1$.", "x+1", "last_formula"),
        ("so it is $x+1$ for 3 of them", "3", "last_number"),
        ("first $5 then $7 left", "$7", "last_number"),
        ("Final answer: the largest $n$ is 34.", "34", "phrase"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}", "boxed"),
        (r"\boxed{3} and then \boxed{4 with no end", "3", "boxed"),
        (r"stray { brace \boxed{3}", "3", "boxed"),
        (r"\boxed{} The answer is 5.", "5", "phrase"),
        ("<answer> 42 </answer>", "42", "tagged"),
        ("<answer>1</answer> wait <answer>2</answer>", "2", "tagged"),
        ("<think>4</think><answer>42", "42", "tagged"),
        (r"<think>\boxed{1}</think> The answer is 2.", "2", "phrase"),
        ("16 - 3 = 13\n#### 13", "13", "hashes"),
        ("#### 1\n#### 2\nbye 3", "2", "hashes"),
        ("The final answer is $x=3.5$. I hope it is correct.", "x=3.5", "phrase"),
        ("The answer is 3.5. Then 4.", "3.5", "phrase"),
        ("**Answer:** 72", "72", "phrase"),
        ("Final Answer: **72**", "72", "phrase"),
        ("the answer is 1. No, the answer is 2", "2", "phrase"),
        ("The answer is $18. She saved $5.", "$18", "phrase"),
        ("She has 5 and then 10-7 is 3 left", "3", "last_number"),
        ("it is -7", "-7", "last_number"),
        ("A: 3,000", "3,000", "last_number"),
        ("A: 1/2", "1/2", "last_number"),
        ("it was 45%", "45%", "last_number"),
        ("A: -1.5 billion", "-1.5 billion", "last_number"),
        ("there are 12.", "12", "last_number"),
    ],
)
def test_place(response: str, text: str, place: str) -> None:
    assert extract_answer(response) == Answer(text, place)


@pytest.mark.parametrize("response", ["", "no digits here", "<answer>  </answer>", r"\boxed{}", r"\boxed{1</think>"])
def test_nothing_to_find(response: str) -> None:
    assert extract_answer(response) is None


def test_policy_is_the_order_of_extractors() -> None:
    response = r"\boxed{1} <answer>2</answer>"
    assert extract_answer(response) == Answer("1", "boxed")
    assert extract_answer(response, (tagged, boxed)) == Answer("2", "tagged")
    assert extract_answer("the answer is 3", (boxed, tagged)) is None


def test_extractors_alone() -> None:
    assert boxed("no box") is None
    assert tagged("no tag") is None
    assert hashes("no hash") is None
    assert phrase("nothing") is None
    assert last_number("1 " * 10 + "x" * 3000) is None  # only the end of a response is searched


HOSTILE = [
    "answer ( " * 11_200,
    r"\boxed{1}" * 20_000,
    r"\boxed{" * 20_000,
    "{" * 100_000,
    r"\boxed{" + "{" * 60_000,
    r"\boxed{" + "}" * 60_000,
    r"\boxed{" + "\\" * 100_000,
    "1 " * 50_000,
    "1,111" * 20_000,
    "-" * 100_000,
    "####" * 25_000,
    "<answer>" * 12_500,
    "</think>" * 12_500,
    "answer" + " " * 100_000,
    "answer is " * 10_000,
    "the answer is: $" * 6_000,
]


@pytest.mark.parametrize("response", HOSTILE, ids=lambda text: text[:16])
def test_hostile_responses_are_searched_in_linear_time(response: str) -> None:
    def seconds() -> float:
        took = stopwatch()
        extract_answer(response)
        return took()

    assert min(seconds() for _ in range(3)) < 0.05
