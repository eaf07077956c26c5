"""Composed rewards by hand: scores, statuses, logged parts, and what happens when a part has no verdict."""

import pickle

import pytest

from verifiers.input_error import InputError
from verifiers.mathematics.equality import math_answer
from verifiers.problem import Problem, make_problem
from verifiers.response_text import exact, response_format
from verifiers.rewards.combined_rewards import gate, minimum, weighted_sum
from verifiers.rewards.load_reward import load
from verifiers.verdict import Status, StepScore, Verdict, Verifier

PROBLEM = make_problem("?", "1")
BOTH = "<think>a</think><answer>1.0</answer>"


def fixed(score: float | None, status: Status, detail: str = "", steps: tuple[StepScore, ...] = ()) -> Verifier:
    return lambda problem, response: Verdict(score, status, detail, steps=steps)


RIGHT, WRONG = fixed(1.0, Status.RIGHT, "yes"), fixed(0.0, Status.WRONG, "no")
CRASH = fixed(None, Status.CRASH, "boom")


def test_weighted_sum() -> None:
    verifier = weighted_sum([("math", RIGHT, 1.0), ("format", WRONG, 0.5), ("length", fixed(-2.0, Status.WRONG), 0.25)])
    verdict = verifier(PROBLEM, "")
    assert verdict.score == 1.0 * 1 + 0.5 * 0 + 0.25 * -2
    assert verdict.status is Status.RIGHT
    assert verdict.parts == {"math": 1.0, "format": 0.0, "length": -2.0}
    assert verdict.detail == "math: yes; format: no"


def test_the_first_part_decides_status_and_steps() -> None:
    steps = (StepScore(3, 0.5),)
    verdict = weighted_sum([("math", fixed(0.0, Status.NO_ANSWER, steps=steps), 1.0), ("format", RIGHT, 1.0)])(PROBLEM, "")
    assert (verdict.score, verdict.status, verdict.steps) == (1.0, Status.NO_ANSWER, steps)
    assert minimum([("format", RIGHT), ("math", WRONG)])(PROBLEM, "").status is Status.RIGHT


@pytest.mark.parametrize("compose", [lambda a, b: weighted_sum([("a", a, 1.0), ("b", b, 0.0)]), lambda a, b: minimum([("a", a), ("b", b)])])
def test_a_part_without_a_verdict_leaves_the_whole_without_one(compose) -> None:  # type: ignore[no-untyped-def]
    for verifier, detail in ((compose(RIGHT, CRASH), "b: boom"), (compose(CRASH, RIGHT), "a: boom")):
        verdict = verifier(PROBLEM, "")
        assert (verdict.score, verdict.status, verdict.detail) == (None, Status.CRASH, detail)


def test_minimum() -> None:
    verdict = minimum([("math", RIGHT), ("format", fixed(0.3, Status.WRONG))])(PROBLEM, "")
    assert (verdict.score, verdict.status) == (0.3, Status.RIGHT)
    assert verdict.parts == {"math": 1.0, "format": 0.3}


def test_gate() -> None:
    assert gate(RIGHT, fixed(0.7, Status.RIGHT))(PROBLEM, "").score == 0.7
    closed = gate(WRONG, RIGHT)(PROBLEM, "")
    assert (closed.score, closed.status, closed.parts) == (0.0, Status.WRONG, {"gate": 0.0})
    passed = gate(RIGHT, WRONG)(PROBLEM, "")
    assert (passed.score, passed.status, passed.parts) == (0.0, Status.WRONG, {"gate": 1.0, "score": 0.0})
    assert gate(fixed(0.5, Status.WRONG), RIGHT)(PROBLEM, "").score == 0.0
    assert gate(CRASH, RIGHT)(PROBLEM, "").detail == "gate: boom"
    assert gate(RIGHT, CRASH)(PROBLEM, "").detail == "score: boom"


def test_a_gate_can_make_being_refused_the_worst() -> None:
    costly = fixed(-1.0, Status.WRONG)
    assert gate(RIGHT, costly, refused=-1.5)(PROBLEM, "").score == -1.0
    closed = gate(WRONG, costly, refused=-1.5)(PROBLEM, "")
    assert (closed.score, closed.status) == (-1.5, Status.WRONG)
    with pytest.raises(ValueError, match="finite"):
        gate(RIGHT, RIGHT, refused=float("nan"))
    written = load("gate(response_format, length_cosine(exact), refused=-1)")
    assert (written(PROBLEM, "2").score, written(PROBLEM, "2").status) == (-1.0, Status.WRONG)
    passed = written(PROBLEM, "<think>a</think><answer>2</answer>")
    assert passed.score is not None
    assert -1 < passed.score < -0.9
    with pytest.raises(InputError, match="refuse"):
        load("gate(exact, exact, refusd=-1)")
    with pytest.raises(InputError, match="must be a number"):
        load("gate(exact, exact, refused=low)")


def test_a_closed_gate_does_not_run_the_verifier() -> None:
    def never(problem: Problem, response: str) -> Verdict:
        raise AssertionError

    assert gate(WRONG, never)(PROBLEM, "").score == 0.0


def test_real_verifiers_nested() -> None:
    inner = weighted_sum([("math", math_answer.verify, 1.0), ("exact", exact.verify, 0.5)])
    verifier = weighted_sum([("answer", gate(response_format.verify, inner), 2.0), ("format", response_format.verify, 0.1)])
    verdict = verifier(PROBLEM, BOTH)  # 1.0 is 1, but not the same string
    assert verdict.score == pytest.approx(2.0 * 1.0 + 0.1)
    assert verdict.status is Status.RIGHT
    assert verdict.parts == {
        "answer": 1.0, "answer/gate": 1.0, "answer/score": 1.0, "answer/score/math": 1.0, "answer/score/exact": 0.0, "format": 1.0,
    }  # fmt: skip
    assert verifier(PROBLEM, r"\boxed{1}").score == 0.0


def test_composed_verifiers_and_their_verdicts_can_be_sent_to_a_worker() -> None:
    verifier = gate(response_format.verify, weighted_sum([("math", math_answer.verify, 1.0)]))
    assert pickle.loads(pickle.dumps(verifier))(PROBLEM, BOTH).score == 1.0  # noqa: S301  # our own bytes
    assert dict(verifier(PROBLEM, BOTH).parts) == {"gate": 1.0, "score": 1.0, "score/math": 1.0}


@pytest.mark.parametrize("parts", [[], [("a", RIGHT, 1.0), ("a", WRONG, 1.0)], [("a", RIGHT, float("nan"))], [("a", RIGHT, float("inf"))]])
def test_refused_parts(parts: list[tuple[str, Verifier, float]]) -> None:
    with pytest.raises(ValueError, match=r"weights must be finite|different names"):
        weighted_sum(parts)
