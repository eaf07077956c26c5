"""What is said of steps that teach nothing: counts by hand, the commonest reason, a remedy."""

from collections.abc import Sequence

import pytest

from recipes.setup.online import _second_look
from recipes.setup.options import Options
from rl.loop.silence import Silence, refused_by_a_gate
from rollout.engine import Completion
from rollout.player import Group
from verifiers.problem import Problem, make_problem
from verifiers.rewards.load_reward import compose_rewards
from verifiers.verdict import Status, StepScore, Verdict, right, wrong

PROBLEM = make_problem("1+1", "2")
GATED = "gate(response_format, math_answer)"


def group(verdicts: Sequence[Verdict], responses: Sequence[str] | None = None, *, cut: int = 0) -> Group:
    """Of which the first `cut` reached the length limit."""
    finishes = ["length"] * cut + ["stop"] * (len(verdicts) - cut)
    completions = tuple(Completion([1], [0.0], [True], finish, 0) for finish in finishes)  # type: ignore[arg-type]
    return Group(PROBLEM, [1], completions, tuple(responses or [""] * len(verdicts)), tuple(verdicts))


def after_three(groups: Sequence[Group], silence: Silence | None = None) -> str:
    silence = silence or Silence()
    lines = [silence.note(groups, taught=False) for _ in range(3)]
    assert lines[:2] == ["", ""]
    return lines[2]


def test_answers_without_a_step_that_has_a_score_are_said_where_only_those_teach() -> None:
    bare, scored = group([wrong()] * 4), group([Verdict(0.0, Status.WRONG, steps=(StepScore(1, 0.5),))] * 4)
    assert "none of 12 answers has a step with a score, from which alone grpo-ps learns" in after_three([bare], Silence(by_steps=True))
    assert "all 12 answers were wrong" in after_three([bare])
    assert "all 24 answers were wrong" in after_three([bare, scored], Silence(by_steps=True))


def test_answers_that_were_right_but_refused_by_the_gate_are_counted() -> None:
    """Of four answers a step three are right by the reward behind the gate, which refuses them all for their layout."""
    responses = [r"\boxed{2}", r"so \boxed{2}", "the answer is 2", r"\boxed{3}"]
    judge = compose_rewards([GATED])
    verdicts = [judge(PROBLEM, response) for response in responses]
    silence = Silence(_second_look(Options(reward=(GATED,), workers=1)))
    said = after_three([group(verdicts, responses)], silence)
    assert said.startswith(
        "No group had a signal in the last 3 steps, so nothing was learnt: 9 of 12 answers were right but refused by the gate "
        "(most often: gate: no <think>); ask for what it wants in --system-prompt"
    )


def test_answers_that_the_gate_refused_and_that_were_wrong_too() -> None:
    verdicts = [compose_rewards([GATED])(PROBLEM, "3")] * 4
    assert "12 of 12 answers were refused by the gate (most often: gate: no <think>)" in after_three([group(verdicts, ["3"] * 4)])


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([group([wrong()] * 4)] * 4, "all 48 answers were wrong; the problems are too hard"),
        ([group([wrong(), Verdict(0.0, Status.NO_ANSWER)] * 2)], "all 12 answers were wrong, 6 of them without a final answer"),
        ([group([wrong()] * 4, cut=4)], "all 12 answers were cut at the length limit, and none was right; give them room"),
        ([group([wrong()] * 4, cut=3)], "9 of 12 answers were cut at the length limit"),
        ([group([right()] * 4)], "all 12 answers were right; the problems are too easy"),
        ([group([right()] * 2), group([wrong()] * 2)], "in 3 groups all answers were right, in 3 all were wrong; sample more"),
        ([group([Verdict(None, Status.CRASH)] * 3 + [wrong()])], "9 of 12 answers got no verdict (9 crash); read `status`"),
        ([group([Verdict(1.0, Status.RIGHT), Verdict(1.0, Status.WRONG)])], "3 of 6 answers were right, and yet the reward gives all"),
    ],
)
def test_the_reason_is_given_in_counts(groups: list[Group], expected: str) -> None:
    said = after_three(groups)
    assert expected in said
    assert "\n" not in said


def test_a_step_that_taught_begins_the_count_anew() -> None:
    silence, dull = Silence(), [group([wrong()] * 2)]
    said = [silence.note(dull, taught=taught) for taught in (False, False, True, False, False)]
    assert said == [""] * 5
    assert "all 6 answers" in silence.note(dull, taught=False)
    assert [bool(silence.note(dull, taught=False)) for _ in range(20)] == [False] * 19 + [True], "and then not at every third step"


def test_a_refusal_is_known_by_its_parts() -> None:
    for specs in ([GATED], [GATED, "repetition=0.1"]):
        judge = compose_rewards(specs)
        assert refused_by_a_gate(judge(PROBLEM, "2"))
        assert not refused_by_a_gate(judge(PROBLEM, "<think>so</think><answer>2</answer>"))
        assert not refused_by_a_gate(judge(PROBLEM, "<think>so</think><answer>3</answer>"))
    assert not refused_by_a_gate(wrong())


@pytest.mark.parametrize(
    ("rewards", "has"), [((), False), (("math_answer",), False), ((GATED,), True), ((f"{GATED}=2", "length=0.1"), True)]
)
def test_a_second_look_needs_a_gate(rewards: tuple[str, ...], has: bool) -> None:
    assert (_second_look(Options(reward=rewards)) is not None) is has


def test_a_second_look_judges_by_what_is_behind_every_gate() -> None:
    look = _second_look(Options(reward=("gate(response_format, gate(repetition, math_answer))",), workers=1))
    assert look is not None
    pairs: list[tuple[Problem, str]] = [(PROBLEM, r"\boxed{2}"), (PROBLEM, r"\boxed{3}")]
    assert look(pairs) == 1


def test_answers_that_were_cut_and_masked_are_the_reason_whatever_their_rewards() -> None:
    cut = [group([right(), wrong()], cut=2)]
    assert after_three(cut, Silence(mask_truncated=True)).endswith(
        "6 of 6 answers were cut at the length limit, which --mask-truncated keeps from training; give them room with "
        "--max-completion-length, or leave --mask-truncated out"
    )
    assert "--mask-truncated" not in after_three(cut)
