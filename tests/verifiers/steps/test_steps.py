"""`steps(...)`: scores beside the outcome, from rules and functions of one's own, through weights, gates and worker processes."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from verifiers.input_error import InputError
from verifiers.problem import Problem, make_problem
from verifiers.rewards.combined_rewards import gate, minimum, weighted_sum
from verifiers.rewards.load_reward import compose_rewards, functions_in, load, load_step_scorer, own_verifiers, rewards_in
from verifiers.rewards.reward_kinds import WrongReturnError
from verifiers.steps import steps
from verifiers.verdict import Status, StepScore, Undecided, Verdict, right, wrong
from verifiers.worker_pool.verifier_pool import VerifierPool

PROBLEM = make_problem("What is 7 + 8 + 11?", "26")
RESPONSE = "7 + 8 = 15\n\n15 + 11 = 27\n\nSo it is \\boxed{26}"

MINE = """
from verifiers.verdict import StepScore, Verdict
def score(problem, steps, scale=1.0): return [scale * len(step) for step in steps]
async def later(problem, steps): return [True for _ in steps]
def some(problem, steps): return [None, *[0.5] * (len(steps) - 1)]
def few(problem, steps): return [1.0] * (len(steps) - 1)
def text(problem, steps): return ["good"] * len(steps)
def one(problem, steps): return 1.0
def bad(problem, steps): return [float("nan")] * len(steps)
def alone(steps): return [1.0]
def cut(response): return [10, len(response)]
def by_hand(problem, response): return Verdict(1.0, "right", steps=(StepScore(4, 1.0), StepScore(10_000, 0.0)))
"""


@pytest.fixture
def mine(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(MINE)
    return str(tmp_path / "mine.py")


def test_the_outcome_decides_and_steps_stand_beside_it() -> None:
    verdict = load("steps(arithmetic)")(PROBLEM, RESPONSE)
    assert (verdict.score, verdict.status) == (1.0, Status.RIGHT)
    assert verdict.steps == (StepScore(12, 1.0), StepScore(26, 0.0))  # the last step states no equation
    assert dict(verdict.parts) == {"outcome": 1.0, "steps": 0.5}
    assert verdict.detail == "boxed: '26' equals '26'; the step up to character 26 scores 0"
    assert load("steps")(PROBLEM, RESPONSE) == verdict
    wrong_outcome = load("steps(arithmetic)")(make_problem("?", "27"), RESPONSE)
    assert (wrong_outcome.score, wrong_outcome.status, wrong_outcome.steps) == (0.0, Status.WRONG, verdict.steps)
    silent = load("steps")(PROBLEM, "")
    assert (silent.status, silent.steps, dict(silent.parts)) == (Status.NO_ANSWER, (), {"outcome": 0.0})


def test_how_it_is_written(mine: str) -> None:
    for spec, ends in (
        ("steps(arithmetic(no_equation=right))", (12, 26, 45)),
        ("steps(arithmetic(no_equation=right), split=line)", (12, 26, 45)),
        ('steps(arithmetic(no_equation=right), split="before:So")', (26, 45)),
        (f"steps({mine}:score, split={mine}:cut)", (10, 45)),
        (f"steps({mine}:some)", (26, 45)),
        (f"steps({mine}:later, exact)", (12, 26, 45)),
        (f"steps(scorer={mine}:score(scale=0.5), outcome=exact)", (12, 26, 45)),
    ):
        assert tuple(step.end for step in load(spec)(PROBLEM, RESPONSE).steps) == ends, spec
    assert load(f"steps({mine}:score(scale=0.5))")(PROBLEM, RESPONSE).steps[0] == StepScore(12, 6.0)
    assert load(f"steps({mine}:later, exact)")(PROBLEM, "\\boxed{26.0}").status is Status.WRONG


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("steps(arithmtic)", r"^nothing that scores steps is called 'arithmtic' \(did you mean 'arithmetic'\?\); there are arithmetic"),
        ("steps(math_answer)", r"^nothing that scores steps is called 'math_answer'.*; your own is FILE.py:FUNCTION$"),
        ("steps(arithmetic, splt=line)", r"^reward steps has no parameter 'splt'; did you mean 'split'\?$"),
        ("steps(arithmetic, split=lines)", r"^split is 'lines', .* did you mean line\?$"),
        ("steps(arithmetic, exact, exact)", r"^reward steps: 'exact' has no place; it takes 2 reward\(s\)"),
        ("steps(arithmetic, arithmetic)", r"^no verifier is called 'arithmetic'"),
        ("steps(MINE:alone)", r"mine.py:alone takes \(steps\); what scores steps takes \(problem, steps\)$"),
        ("steps(MINE:gone)", r"has no function 'gone'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line_when_it_is_loaded(spec: str, message: str, mine: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load(spec.replace("MINE", mine))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("few", r"mine.py:few returned 2 scores for 3 steps; expected one for each, None where it has none$"),
        ("text", r"mine.py:text returned 'good' \(str\) among its scores; expected finite numbers or None$"),
        ("bad", r"mine.py:bad returned nan \(float\) among its scores"),
        ("one", r"mine.py:one returned 1.0 \(float\); expected a list of one score for each step$"),
    ],
)
def test_scores_that_do_not_fit_are_one_line_that_names_the_function(name: str, message: str, mine: str) -> None:
    with pytest.raises(WrongReturnError, match=message):
        load(f"steps({mine}:{name})")(PROBLEM, RESPONSE)
    with VerifierPool([f"steps({mine}:{name})"], workers=1) as pool:
        [verdict] = pool.verify_many([(PROBLEM, RESPONSE)])
    assert verdict.status is Status.CRASH
    assert verdict.detail.startswith(f"{mine}:{name} returned")


def test_a_verdicts_own_step_outside_of_the_text_is_one_line_that_names_the_function(mine: str) -> None:
    with pytest.raises(WrongReturnError, match=r"mine.py:by_hand scored a step that ends at character 10000 of a response that has 45$"):
        load(f"{mine}:by_hand")(PROBLEM, RESPONSE)


def test_steps_go_through_a_worker(mine: str) -> None:
    with VerifierPool(["steps(arithmetic, split=line)=2.0", f"{mine}:score=0.1"][:1], workers=1) as pool:
        [verdict] = pool.verify_many([(PROBLEM, RESPONSE)])
    assert (verdict.score, verdict.steps) == (2.0, (StepScore(12, 1.0), StepScore(26, 0.0)))


def test_without_a_verdict_or_a_score_there_is_none() -> None:
    def undecided(problem: Problem, said: Sequence[str]) -> Sequence[float | None]:
        raise Undecided(Status.TIMEOUT, "too late")

    verdict = steps.verify(PROBLEM, RESPONSE, scorer=undecided)
    assert (verdict.score, verdict.status, verdict.detail, verdict.steps) == (None, Status.TIMEOUT, "steps: too late", ())
    lost = steps.verify(make_problem("?", ""), RESPONSE)
    assert (lost.status, lost.steps) == (Status.BAD_GOLD, ())


def stepped(score: float) -> object:
    return lambda problem, response: Verdict(score, Status.RIGHT if score else Status.WRONG, steps=(StepScore(1, score), StepScore(2, 0.5)))


def test_composition_keeps_the_steps_of_the_first_part_that_has_any() -> None:
    def accept(problem: Problem, response: str) -> Verdict:
        return right()

    def refuse(problem: Problem, response: str) -> Verdict:
        return wrong()

    ours, theirs = (StepScore(1, 1.0), StepScore(2, 0.5)), (StepScore(1, 0.0), StepScore(2, 0.5))
    for verifier, expected in (
        (weighted_sum([("a", accept, 1.0), ("b", stepped(1.0), 0.0), ("c", stepped(0.0), 1.0)]), ours),
        (weighted_sum([("b", stepped(0.0), 3.0), ("a", accept, 1.0)]), theirs),
        (minimum([("a", accept), ("b", stepped(1.0))]), ours),
        (gate(accept, stepped(0.0)), theirs),
        (gate(stepped(1.0), accept), ours),
        (gate(stepped(0.0), accept), theirs),
        (gate(refuse, stepped(1.0)), ()),
        (weighted_sum([("a", accept, 1.0)]), ()),
    ):
        assert verifier(PROBLEM, "ab").steps == expected
    written = compose_rewards(["math_answer", "steps(arithmetic)=0", "length=0.1"])(PROBLEM, RESPONSE)
    assert written.steps == (StepScore(12, 1.0), StepScore(26, 0.0))
    gated = load("gate(response_format, steps(arithmetic, split=line))")(PROBLEM, f"<think>\n{RESPONSE}</think><answer>26</answer>")
    assert [step.score for step in gated.steps] == [1.0, 0.0]


def test_what_a_spec_runs_is_known_without_importing_it() -> None:
    assert [reward.name for reward in rewards_in("steps(a.py:f)")] == ["steps", "math_answer"]
    assert [reward.name for reward in rewards_in("gate(response_format, steps(arithmetic, exact))")] == [
        "response_format",
        "steps",
        "exact",
    ]
    assert own_verifiers(["steps(a.py:f, exact)=0.5"]) == ["steps", "exact"]
    assert functions_in("steps(a.py:f(x=1), split=b.py:cut)=0.5") == ["steps", "math_answer", "a.py:f", "b.py:cut"]
    assert functions_in('steps(arithmetic, split="after:x")') == ["steps", "math_answer", "arithmetic"]
    assert functions_in("my.module:f") == ["my.module:f"]


def test_a_scorer_by_itself(mine: str) -> None:
    assert load_step_scorer(f"{mine}:some")(PROBLEM, ["a", "b"]) == [None, 0.5]
