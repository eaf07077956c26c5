"""Each step of a response with a score of its own, for process supervision, beside the outcome by another reward.

    --reward 'steps(arithmetic)'                          by rule: are the equations of the step right?
    --reward 'steps(my_steps.py:score, split=line)'       by your function: (problem, steps) -> a number, or None, for each
    --reward 'steps(judge(model=my-judge), exact)'        by a language model; the outcome by `exact` in place of `math_answer`

Score and status are the outcome's: what counts as right is not decided by steps. `--algorithm grpo-ps` learns from the steps, any other
leaves them alone. `step_text.py` says how a response is cut. A step whose score is None is left out. Where a score cannot be had (a judge
that is down) there is no verdict at all, as everywhere: a step is never wrong because we failed. Left out: weights of single steps.
"""

import math
from collections.abc import Sequence

from verifiers.mathematics.equality import math_answer
from verifiers.problem import Problem
from verifiers.rewards.reward_kinds import as_step_scorer
from verifiers.steps import arithmetic
from verifiers.steps.step_text import splitter, texts
from verifiers.verdict import StepScore, StepScorer, Undecided, Verdict, Verifier, as_verdict


def verify(
    problem: Problem,
    response: str,
    *,
    scorer: StepScorer = arithmetic.score_steps,
    outcome: Verifier = math_answer.verify,
    split: str = "blank",
) -> Verdict:
    """The outcome's verdict, with `steps`. Logged as "outcome" and, where any step has a score, "steps", their mean.

    Raises InputError for a `split` that is none, WrongReturnError for scores that are not one for each step.
    """
    judged = as_verdict(outcome(problem, response))
    if judged.score is None:
        return judged
    try:
        steps = scored_steps(problem, response, scorer, split=split)
    except Undecided as failure:
        return Verdict(None, failure.status, f"steps: {failure}")
    parts = {"outcome": judged.score, **{f"outcome/{name}": part for name, part in judged.parts.items()}}
    if steps:
        parts["steps"] = math.fsum(step.score for step in steps) / len(steps)
    return Verdict(judged.score, judged.status, _detail(judged.detail, steps), parts, tuple(steps))


def scored_steps(problem: Problem, response: str, scorer: StepScorer, *, split: str = "blank") -> list[StepScore]:
    """The steps of a response that have a score, in order. Raises what the scorer does."""
    ends = splitter(split)(response)
    if not ends:
        return []
    scores = as_step_scorer(scorer, getattr(scorer, "__name__", repr(scorer)))(problem, texts(response, ends))
    return [StepScore(end, score) for end, score in zip(ends, scores, strict=True) if score is not None]


def _detail(said: str, steps: Sequence[StepScore]) -> str:
    """What the outcome's verdict says, and the first of the steps that score least, if they differ."""
    scores = [step.score for step in steps]
    if len(set(scores)) < 2:
        return said
    least = min(scores)
    return f"{said}; the step up to character {steps[scores.index(least)].end} scores {least:g}"


def check(*, scorer: StepScorer, outcome: Verifier, split: str) -> None:
    """Raises InputError for a `split` that is none."""
    splitter(split)
