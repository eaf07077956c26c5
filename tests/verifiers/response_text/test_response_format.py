"""R1's layout: which responses have it, and what is said of those that do not."""

import pytest

from verifiers.problem import make_problem
from verifiers.response_text.response_format import verify
from verifiers.rewards.load_reward import load
from verifiers.verdict import Status

PROBLEM = make_problem("?", "1")


@pytest.mark.parametrize("response", ["<think>a</think><answer>1</answer>", " <think>\na\n</think>\n\n<answer> 1 </answer>\n"])
def test_right_layout(response: str) -> None:
    verdict = verify(PROBLEM, response)
    assert (verdict.score, verdict.status) == (1.0, Status.RIGHT)


@pytest.mark.parametrize(
    ("response", "fault"),
    [
        ("", "no <think>"),
        ("<answer>1</answer>", "no <think>"),
        ("<think>a<answer>1</answer>", "no </think>"),
        ("<think>a</think>1", "no <answer>"),
        ("<think>a</think><answer>1", "no </answer>"),
        ("<think>a</think><answer>1</answer><answer>2</answer>", "<answer> 2 times"),
        ("<think>a<think>b</think><answer>1</answer>", "<think> 2 times"),
        ("<think>I write <answer>1</answer></think><answer>1</answer>", "<answer> 2 times"),
        ("<answer>1</answer><think>a</think>", "order"),
        ("</think><think>a<answer>1</answer>", "order"),
        ("<think>a<answer></think>1</answer>", "order"),
        ("<think>a</think></answer>1<answer>", "order"),
        ("Hi <think>a</think><answer>1</answer>", "before <think>: 'Hi'"),
        ("<think>a</think> so <answer>1</answer>", "between </think> and <answer>: 'so'"),
        ("<think>a</think><answer>1</answer> bye", "after </answer>: 'bye'"),
        ("<think> </think><answer>1</answer>", "the thought is empty"),
        ("<think>a</think><answer>\n</answer>", "the answer is empty"),
        ("<THINK>a</THINK><answer>1</answer>", "no <think>"),
    ],
)
def test_wrong_layout_is_named(response: str, fault: str) -> None:
    verdict = verify(PROBLEM, response)
    assert (verdict.score, verdict.status) == (0.0, Status.WRONG)
    assert fault in verdict.detail


def test_prefilled_think() -> None:
    prefilled = load("response_format(think_prefilled=true)")
    assert prefilled(PROBLEM, "a</think><answer>1</answer>").score == 1.0
    assert "the thought is empty" in prefilled(PROBLEM, "</think><answer>1</answer>").detail
    assert verify(PROBLEM, "a</think><answer>1</answer>").score == 0.0


@pytest.mark.parametrize("response", ["<think>a</think><answer>1</answer>", "<think>\na\n</think>\n<answer>1</answer>"])
def test_think_prefilled_takes_an_opening_that_was_put_back(response: str) -> None:
    """A run's responses begin with what the prompt gave; a second opening is the policy's own and is refused."""
    prefilled = load("response_format(think_prefilled=true)")
    assert prefilled(PROBLEM, response).score == 1.0
    assert "<think> 2 times" in prefilled(PROBLEM, "<think>" + response).detail
    assert "<think> 2 times" in prefilled(PROBLEM, "so " + response).detail
