"""Was the length that the prompt asked for kept? L1's two rewards, which depend on another verifier's score s (0 or 1).

    mode=exact    score = s - alpha |budget - n|
    mode=max      score = s clip(alpha (budget - n) + delta, 0, 1), and s where s is below 0: no length makes a penalty smaller

Source: L1, arXiv:2503.04697, section 3: alpha = 0.0003 a token, delta = 0.5. n is in units of `length.py`, and so is alpha: a token is
about four characters of English, so with the default unit the default alpha is stricter than the paper's, and `unit` should be a
tokenizer to reproduce it. The budget is the problem's meta["budget"], else the parameter; the prompt must name the same number,
which is the data's business.
"""

from typing import Any, Literal

from verifiers.input_error import InputError
from verifiers.mathematics.equality import math_answer
from verifiers.problem import Problem, make_problem
from verifiers.response_text.length import measure
from verifiers.verdict import Verdict, Verifier, as_verdict, bad_gold, no_answer


def verify(
    problem: Problem,
    response: str,
    *,
    verifier: Verifier = math_answer.verify,
    budget: int = 8192,
    mode: Literal["exact", "max"] = "max",
    alpha: float = 0.0003,
    delta: float = 0.5,
    unit: str = "characters",
) -> Verdict:
    """The inner verifier's status and steps, with the score above; its own score is the part "score"."""
    if alpha <= 0 or not 0 <= delta <= 1:
        raise InputError(f"length_budget: alpha must be above 0 and delta from 0 to 1, not {alpha} and {delta}")
    wanted = problem.meta.get("budget", budget)
    if not isinstance(wanted, int | float) or isinstance(wanted, bool) or not 0 < wanted < 1e9:
        return bad_gold(f"the budget {wanted!r:.40} is no number above 0")
    inner = as_verdict(verifier(problem, response))
    if inner.score is None:
        return inner
    length = measure(response, unit)
    if mode == "exact":
        score = inner.score - alpha * abs(wanted - length)
    elif inner.score < 0:
        score = inner.score
    else:
        score = inner.score * min(1.0, max(0.0, alpha * (wanted - length) + delta))
    return Verdict(
        score, inner.status, f"{length} {unit} of {wanted}; {inner.detail}", {"score": inner.score, "length": float(length)}, inner.steps
    )


def check(*, verifier: Verifier, **parameters: Any) -> None:
    """Raises InputError for parameters that no response could be scored by. The inner verifier, which was loaded already, does not run."""
    verdict = verify(make_problem("", ""), "", verifier=lambda problem, response: no_answer(), **parameters)
    if not verdict.valid:
        raise InputError(f"length_budget: {verdict.detail}")
