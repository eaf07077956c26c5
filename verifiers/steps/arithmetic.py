"""Scores steps by their arithmetic: 1 where every equation between numbers holds, 0 where any does not. By the mathematics verifier.

    --reward 'steps(arithmetic)'        --reward 'steps(arithmetic(no_equation=right), split=line)'

A rule sees neither whether a step follows nor whether it helps: `1 + 1 = 2` is right. Give the outcome a weight beside it
(`--algorithm grpo-ps --outcome-weight 1`), or take a judge. `equations.py` says what is read as an equation.
"""

from collections.abc import Sequence
from typing import Literal

from verifiers.mathematics.equality.math_answer import check as check_policy
from verifiers.mathematics.equality.math_answer import equivalent
from verifiers.problem import Problem
from verifiers.steps.equations import equations


def score_steps(
    problem: Problem, steps: Sequence[str], *, no_equation: Literal["skip", "right"] = "skip", tolerance: str = "rounded:4"
) -> list[float | None]:
    """1 or 0 for each step. One without an equation has no score, or with `no_equation="right"` counts as right.

    `tolerance` is `math_answer`'s: by default 10/3 = 3.333 holds and 10/3 = 3.33 does not.
    """
    unstated = None if no_equation == "skip" else 1.0
    found = [equations(step) for step in steps]
    return [float(all(_holds(*pair, tolerance) for pair in stated)) if stated else unstated for stated in found]


def check_steps(*, no_equation: str, tolerance: str) -> None:
    """Raises InputError for a tolerance that is none."""
    check_policy(percent="either", tolerance=tolerance, units="convert", require_closed_form=False, open_thought=False)


def _holds(left: str, right: str, tolerance: str) -> bool:
    return equivalent(left, right, tolerance=tolerance, require_closed_form=False) or equivalent(
        right, left, tolerance=tolerance, require_closed_form=False
    )
