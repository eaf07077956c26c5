"""The check before a run: does a reward work at all, and is every gold answer, given as the response, judged right?"""

from collections.abc import Iterable, Sequence

from verifiers.input_error import InputError
from verifiers.problem import Problem
from verifiers.rewards.gold_answers import gold_response
from verifiers.rewards.load_reward import rewards_in
from verifiers.verdict import Status, Verdict, as_verdict
from verifiers.worker_pool.verifier_pool import VerifierPool


def try_gold(pool: VerifierPool, problem: Problem) -> Verdict:
    """The verdict on the problem's own gold answer as the response.

    Raises InputError, quoting what the reward returned or raised, if it fails or takes longer than the deadline. A reward that declines a
    problem (returns None) does not fail.
    """
    [verdict] = pool.verify_many([(problem, gold_response(problem))])
    if verdict.status is Status.CRASH and not verdict.detail.endswith(as_verdict(None).detail):
        raise InputError(f"{verdict.detail}, on problem {problem.id} with its gold answer {problem.answer!r:.80} as the response")
    if verdict.status is Status.TIMEOUT:
        raise InputError(f"{verdict.detail} on problem {problem.id} with its gold answer; make it faster or raise the deadline")
    return verdict


def audit_golds(problems: Sequence[Problem], pool: VerifierPool) -> list[tuple[Problem, Verdict]]:
    """The problems whose gold answer, given as the response, is not judged right, each with that verdict."""
    verdicts = pool.verify_many([(problem, gold_response(problem)) for problem in problems])
    return [(problem, verdict) for problem, verdict in zip(problems, verdicts, strict=True) if verdict.status is not Status.RIGHT]


def gold_judges(rewards: Iterable[str]) -> list[str]:
    """Of the rewards that these run, those that a bare gold answer must satisfy, as texts to load: `math_answer` and `exact`.

    They may stand behind a gate or inside a length reward, which a gold that is no more than an answer could not satisfy.
    """
    inside = [reward for text in rewards for reward in rewards_in(text)]
    return list(dict.fromkeys(str(reward) for reward in inside if reward.name in ("math_answer", "exact")))
