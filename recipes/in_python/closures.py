"""Rewards that are Python objects of the calling program: closures, methods, lambdas. They run where they are, in its own threads.

What a worker pool gives is not to be had here: no deadline can be enforced on code of one's own process, and a crash of the interpreter is
a crash of the run. A reward that others should not be hurt by belongs into a file (`--reward my_file.py:fn`), which the pool runs.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from verifiers.input_error import InputError, first_line
from verifiers.problem import Problem
from verifiers.rewards.reward_kinds import WrongReturnError, as_verifier
from verifiers.verdict import Status, Verdict, Verifier

Verify = Callable[[Iterable[tuple[Problem, str]]], list[Verdict]]


def verify_by(rewards: Callable[..., Any] | Sequence[Callable[..., Any]], *, threads: int = 1) -> Verify:
    """(problem, response) pairs to verdicts, by one reward or the sum of several; the first decides what counts as right.

    A reward takes `(problem, response)` or TRL's `(completions, **columns)` and returns a number, a bool or a Verdict. What it raises is a
    verdict without a score, which does not train; what it returns that is no reward raises InputError. `threads` above 1 for rewards that
    wait (for a server); they must then be safe to call from several threads.
    """
    verifier = _summed([as_verifier(reward, _name_of(reward)) for reward in ([rewards] if callable(rewards) else rewards)])

    def judge(pair: tuple[Problem, str]) -> Verdict:
        try:
            return verifier(*pair)
        except (WrongReturnError, InputError) as error:
            raise InputError(str(error)) from error
        except Exception as error:  # noqa: BLE001  # the user's own code: whatever it raises is a verdict, as in the pool
            return Verdict(None, Status.CRASH, f"{type(error).__name__}: {first_line(error)}")

    def verify(pairs: Iterable[tuple[Problem, str]]) -> list[Verdict]:
        if threads == 1:
            return [judge(pair) for pair in pairs]
        with ThreadPoolExecutor(threads, "reckon-reward") as pool:
            return list(pool.map(judge, pairs))

    return verify


def _name_of(reward: Callable[..., Any]) -> str:
    return str(getattr(reward, "__name__", type(reward).__name__))


def _summed(verifiers: Sequence[Verifier]) -> Verifier:
    from verifiers.rewards.combined_rewards import weighted_sum

    if not verifiers:
        raise InputError("an empty list of rewards judges nothing; give one")
    return verifiers[0] if len(verifiers) == 1 else weighted_sum([(verifier.__name__, verifier, 1.0) for verifier in verifiers])
