"""Right answers earn more the shorter they are, wrong ones lose less the longer they are: the cosine length reward.

    C(n, short, long) = long + (short - long) (1 + cos(pi n / limit)) / 2       short at n = 0, long at n = limit
    score = exceeded                          for n >= limit
            C(n, right_short, right_long)     where the inner verifier says right
            C(n, wrong_short, wrong_long)     where it does not

Source: arXiv:2502.03373, section 4. The defaults are smaller than the paper's (2, 1, -10, 0, -10): here all scores lie in [-1, 1].
n is in units of `length.py`.
"""

import math
from typing import Any

from verifiers.input_error import InputError
from verifiers.mathematics.equality import math_answer
from verifiers.problem import Problem, make_problem
from verifiers.response_text.length import measure
from verifiers.verdict import Status, Verdict, Verifier, as_verdict, no_answer


def verify(
    problem: Problem,
    response: str,
    *,
    verifier: Verifier = math_answer.verify,
    limit: int = 8192,
    unit: str = "characters",
    right_short: float = 1.0,
    right_long: float = 0.5,
    wrong_short: float = -1.0,
    wrong_long: float = -0.5,
    exceeded: float = -1.0,
) -> Verdict:
    """The inner verifier's status and steps, with the score above; its own score is the part "score"."""
    if limit < 1:
        raise InputError(f"length_cosine: limit must be at least 1, not {limit}")
    inner = as_verdict(verifier(problem, response))
    if inner.score is None:
        return inner
    length = measure(response, unit)
    short, long = (right_short, right_long) if inner.status is Status.RIGHT else (wrong_short, wrong_long)
    if length >= limit:
        score = exceeded
    else:
        score = long + (short - long) * (1 + math.cos(math.pi * length / limit)) / 2
    return Verdict(
        score, inner.status, f"{length} {unit} of {limit}; {inner.detail}", {"score": inner.score, "length": float(length)}, inner.steps
    )


def check(*, verifier: Verifier, **parameters: Any) -> None:
    """Raises InputError for parameters that no response could be scored by. The inner verifier, which was loaded already, does not run."""
    verify(make_problem("", ""), "", verifier=lambda problem, response: no_answer(), **parameters)
