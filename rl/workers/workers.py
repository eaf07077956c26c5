"""Calls to all ranks of a policy at once, and what becomes of a rank that does not answer: the protocol of both transports."""

import signal
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from rl.workers.policy_worker import Answer
from verifiers.input_error import InputError

PATIENCE = 20.0
"""Seconds without a sign of life after which a worker counts as lost. Workers give one every two."""
TIMEOUT = 3600.0
"""Seconds that one call may take."""


class WorkerLost(InputError):
    """A worker died, fell silent or failed alone; the message says which. The others have been ended: they would wait for it for ever."""


@runtime_checkable
class Workers(Protocol):
    """N ranks somewhere."""

    count: int
    stamp: tuple[int, int]
    """As the last answers had it: the policy's version and how many steps in a row it skipped."""

    def call(self, name: str, *given: Any, **named: Any) -> Any:
        """What rank 0 answers, once all have. Raises what they raised; WorkerLost; Interrupted, when all have given up the call."""

    def close(self) -> None:
        """End them. Nothing can be called afterwards."""


def result_of(answers: list[Answer], where: str) -> Any:
    """Rank 0's value. Raises what all raised; WorkerLost where some did: the ranks are no longer alike."""
    raised = [(rank, answer.value) for rank, answer in enumerate(answers) if answer.kind == "raised"]
    if len(raised) == len(answers):
        raise raised[0][1]
    if raised:
        raise failed_alone(*raised[0], where)
    return answers[0].value


def first_failure(answers: Mapping[int, Answer]) -> tuple[int, Exception] | None:
    """(rank, error) of the first rank that raised, of those that have answered."""
    return next(((rank, answers[rank].value) for rank in sorted(answers) if answers[rank].kind == "raised"), None)


def failed_alone(rank: int, error: Exception, where: str) -> WorkerLost:
    return WorkerLost(
        f"policy worker {rank} failed alone: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}; {where}"
    )


def ended_how(exit_code: int | None) -> str:
    """In words."""
    if exit_code is None:
        return "exit code unknown"
    if exit_code < 0:
        return f"exit code {exit_code}, {signal.Signals(-exit_code).name}"
    return f"exit code {exit_code}"
