"""Verifiers made of verifiers: weighted sums, gates, minima. The result is a verifier like any other, and logs its parts by name.

Two rules hold for all of them. The status is the first part's (for a gate, see there): accuracy is then a fact about the primary
verifier, whatever else the score holds. And a part without a verdict leaves the whole without one, with that part's status and,
named, its detail: a sum over the parts that happened to work would be a different reward from response to response. Steps (process
supervision) are those of the first part that scores any, as they are: weights are of the outcomes.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

from verifiers.problem import Problem
from verifiers.verdict import Status, Verdict, Verifier, as_verdict

_Named = tuple[str, Verdict]


def weighted_sum(parts: Sequence[tuple[str, Verifier, float]]) -> Verifier:
    """score = sum of weight * score over (name, verifier, weight). The first is the primary one: status is its own."""
    weights = [weight for _, _, weight in parts]
    if not all(math.isfinite(weight) for weight in weights):
        raise ValueError(f"weights must be finite numbers, not {weights}")
    named = _with_names([(name, verifier) for name, verifier, _ in parts])
    return partial(_verify_all, named, partial(_dot, tuple(weights)))


def minimum(parts: Sequence[tuple[str, Verifier]]) -> Verifier:
    """score = the smallest score. The first is the primary one: status is its own."""
    return partial(_verify_all, _with_names(parts), min)


def gate(gatekeeper: Verifier, verifier: Verifier, *, refused: float = 0.0) -> Verifier:
    """The verifier's score where the gatekeeper is right, else `refused`; the verifier then does not run.

    A verifier whose score can be below `refused` pays for being refused: a response that it would score -1 earns more with the
    gatekeeper's no. Give `refused` its lowest score (`length_cosine`: -1), or less.

    The status is that of the last that ran: a response that the gatekeeper refuses has the gatekeeper's status, any other the
    verifier's, so that "right" means right by both. Logged as "gate" and "score".
    """
    if not math.isfinite(refused):
        raise ValueError(f"refused must be a finite number, not {refused}")
    return partial(_verify_gated, gatekeeper, verifier, refused)


def _verify_gated(gatekeeper: Verifier, verifier: Verifier, refused: float, problem: Problem, response: str) -> Verdict:
    first = as_verdict(gatekeeper(problem, response))
    if first.score is None:
        return _without_verdict("gate", first)
    gate_part = _scores([("gate", first)])
    if first.status is not Status.RIGHT:
        return Verdict(refused, first.status, f"gate: {first.detail or 'refused'}", gate_part, first.steps)
    second = as_verdict(verifier(problem, response))
    if second.score is None:
        return _without_verdict("score", second)
    parts = gate_part | _scores([("score", second)])
    return Verdict(second.score, second.status, _details([("gate", first), ("", second)]), parts, second.steps or first.steps)


def _verify_all(
    parts: tuple[tuple[str, Verifier], ...], score: Callable[[Sequence[float]], float], problem: Problem, response: str
) -> Verdict:
    verdicts: list[_Named] = []
    scores: list[float] = []
    for name, verifier in parts:
        verdict = as_verdict(verifier(problem, response))
        if verdict.score is None:
            return _without_verdict(name, verdict)
        verdicts.append((name, verdict))
        scores.append(verdict.score)
    primary = verdicts[0][1]
    detail = primary.detail if len(verdicts) == 1 else _details(verdicts)  # of a part with a weight alone its own
    steps = next((verdict.steps for _, verdict in verdicts if verdict.steps), ())
    return Verdict(score(scores), primary.status, detail, _scores(verdicts), steps)


def _dot(weights: tuple[float, ...], scores: Sequence[float]) -> float:
    return math.fsum(weight * score for weight, score in zip(weights, scores, strict=True))


def _with_names(parts: Sequence[tuple[str, Verifier]]) -> tuple[tuple[str, Verifier], ...]:
    names = [name for name, _ in parts]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"a composed verifier needs one part or more, with different names, not {names}")
    return tuple(parts)


def _without_verdict(name: str, verdict: Verdict) -> Verdict:
    return Verdict(None, verdict.status, f"{name}: {verdict.detail}")


def _details(verdicts: Sequence[_Named]) -> str:
    """What each says, by name; nothing of those that say nothing, and no name before a detail that begins with it."""
    said = [(f"{name}: " if name else "", verdict.detail) for name, verdict in verdicts if verdict.detail]
    return "; ".join(detail if detail.startswith(name) else name + detail for name, detail in said)


def _scores(verdicts: Sequence[_Named]) -> dict[str, float]:
    """The unweighted scores by name, and those of a part's own parts as "name/part"."""
    scores: dict[str, float] = {}
    for name, verdict in verdicts:
        if verdict.score is not None:
            scores[name] = verdict.score
        scores |= {f"{name}/{inner}": score for inner, score in verdict.parts.items()}
    return scores
