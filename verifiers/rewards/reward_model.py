"""What a reward model says of a response, as a reward: `reward_model(PLACE)`, alone, in a sum, or behind a gate.

    --reward 'reward_model(runs/reward_model)'                        its score; what is right, `math_answer` says
    --reward math_answer --reward 'reward_model(runs/prm)=0.5'        mixed
    --reward 'gate(response_format, reward_model(runs/prm, exact, aggregate=mean))'
    --reward 'reward_model("http://localhost:8000/pooling")'          a model that a server holds

The model is scored where it is held, once for a whole batch, before the verdict is asked for; what it said comes with the problem
(`SCORES` in its `meta`) and is only read here. So this module needs no model, and runs where no model is in another way: without
a verdict. The score is the model's, the status the verifier's (OUTCOME, default `math_answer`), so that accuracy in the log is
a fact about answers, whatever the model thinks of them; of a problem without a gold answer the model's own: better than even.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from verifiers.input_error import InputError
from verifiers.mathematics.equality import math_answer
from verifiers.problem import Problem
from verifiers.verdict import Status, StepScore, Verdict, Verifier, as_verdict

SCORES = "reward_models"
"""Of a problem's `meta`: key -> what a model said of the response."""
Aggregate = Literal["min", "last", "mean", "product"]
Scale = Literal["auto", "raw", "probability"]

_AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "min": min,
    "last": lambda scores: scores[-1],
    "mean": lambda scores: math.fsum(scores) / len(scores),
    "product": math.prod,
}


def key_of(model: str, split: str) -> str:
    """What tells scores apart that come with one problem."""
    return f"{model} {split}"


def said(scores: Sequence[float], *, ends: Sequence[int] = (), probability: bool) -> dict[str, Any]:
    """What comes with the problem: logits, one, or one for each step's end in characters; `probability`: whether it means σ of them."""
    return {"scores": list(scores), "ends": list(ends), "probability": probability}


def unsaid(status: Status, detail: str) -> dict[str, Any]:
    """The same where the model said nothing, and why."""
    return {"status": status.value, "detail": detail}


def verify(
    problem: Problem,
    response: str,
    *,
    model: str = "",
    outcome: Verifier = math_answer.verify,
    aggregate: Aggregate = "min",
    scale: Scale = "auto",
    split: str = "blank",
    timeout: float = 60.0,
) -> Verdict:
    """The model's score of the response; of a process reward model the `aggregate` of its steps' scores, which come along.

    `scale`: the model's own number (raw), σ of it (probability), or what its training makes it (auto): raw of one that learnt from pairs.
    `split`: how a process reward model's steps are cut, as in `steps`. `timeout`: seconds for what a server is asked.
    """
    judged = as_verdict(outcome(problem, response)) if problem.answer else None
    if judged is not None and judged.score is None:
        return judged
    found = problem.meta.get(SCORES, {}).get(key_of(model, split))
    if found is None:
        why = "no model is held here; the commands that train and sample hold it"
        return Verdict(None, Status.CRASH, f"reward_model({model}): {why}")
    if "status" in found:
        return Verdict(None, Status(found["status"]), f"reward_model({model}): {found['detail']}")
    probable = found["probability"] if scale == "auto" else scale == "probability"
    scores = [_probability(score) if probable else float(score) for score in found["scores"]]
    if not scores:
        return Verdict(None, Status.CRASH, f"reward_model({model}): the response has no step to score")
    score = _AGGREGATES[aggregate](scores) if found["ends"] else scores[0]
    steps = tuple(StepScore(end, each) for end, each in zip(found["ends"], scores, strict=True)) if found["ends"] else ()
    if judged is None:
        return Verdict(score, Status.RIGHT if score > (0.5 if probable else 0.0) else Status.WRONG, "", {"model": score}, steps)
    assert judged.score is not None
    return Verdict(score, judged.status, judged.detail, {"model": score, "outcome": judged.score}, steps)


def _probability(score: float) -> float:
    return 1 / (1 + math.exp(-score)) if score > 0 else 1 - 1 / (1 + math.exp(score))


def check(*, model: str, outcome: Verifier, aggregate: str, scale: str, split: str, timeout: float) -> None:
    """Raises InputError where no model is named."""
    if not model:
        raise InputError("reward reward_model names no model; write reward_model(PLACE), a folder, a hub id or an http address")
    if not timeout > 0:
        raise InputError(f"reward reward_model: timeout must be above 0 seconds, not {timeout:g}")
