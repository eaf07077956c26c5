"""Policy workers under torchrun: its ranks are there already. Rank 0 is the driver and a worker at once; the others serve it.

torchrun itself watches over them: where one dies it ends all, and its summary names the one. Every rank is started with the same command
line; what the run is, rank 0 alone decides and tells.
"""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from torch import distributed

from rl.workers.messages import packed, unpacked
from rl.workers.policy_worker import Answer, Build, PolicyWorker, join_group
from rl.workers.workers import TIMEOUT, WorkerLost, result_of
from rollout.interruption import asked, uninterrupted
from verifiers.input_error import first_line

_END = b""
_WHERE = "torchrun's summary and the ranks' own output say more"


def ranks() -> int:
    """Of this torchrun; 0 where this process was not started by one."""
    return int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 0


class TorchrunWorkers:
    """All ranks, from the driver's side."""

    def __init__(self, build: Build, *, timeout: float = TIMEOUT):
        self.count, self.stamp = ranks(), (0, 0)
        self._number, self._lost = 0, ""
        with uninterrupted():
            self._group, self._worker = _begin(packed(build), asked, timeout)

    def call(self, name: str, *given: Any, **named: Any) -> Any:
        """See Workers. An interruption is heard between two passes, by all ranks at the same one, and raised when all have given up."""
        if self._worker is None:
            raise WorkerLost(self._lost or "the policy workers have been closed")
        self._number += 1
        try:
            with uninterrupted():
                _told(packed((self._number, name, given, named)), self._group)
                answers = _answered(self._worker.answer(self._number, name, given, named), self._group)
                self.stamp = answers[0].stamp
        except RuntimeError as error:  # of the group: a rank is gone
            self._worker, self._lost = None, f"a rank of this torchrun was lost ({first_line(error):.200}); {_WHERE}"
            raise WorkerLost(self._lost) from error
        return result_of(answers, _WHERE)

    def close(self) -> None:
        if self._worker is not None:
            with suppress(RuntimeError):
                _told(_END, self._group)
        self._worker = None


def serve() -> None:
    """The life of a rank that is not the driver."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the driver decides
    group, worker = _begin(None, lambda: False, TIMEOUT)
    while (message := _told(None, group)) != _END:
        number, name, given, named = unpacked(message)
        _answered(worker.answer(number, name, given, named), group)
    distributed.destroy_process_group()


def _begin(recipe: bytes | None, asked_to_stop: Callable[[], bool], timeout: float) -> tuple[Any, PolicyWorker]:
    """(the group that messages travel in, this rank's worker)."""
    device = join_group(int(os.environ["RANK"]), ranks(), "env://", timeout=timeout)
    group = distributed.new_group(backend="gloo")
    build: Build = unpacked(_told(recipe, group))
    return group, PolicyWorker(build, device, asked_to_stop)


def _told(message: bytes | None, group: Any) -> bytes:
    """Rank 0's message, on every rank."""
    told = [message]
    distributed.broadcast_object_list(told, src=0, group=group)
    assert told[0] is not None
    return told[0]


def _answered(answer: Answer, group: Any) -> list[Answer]:
    """What each rank answers, on rank 0; nothing on the others."""
    first = distributed.get_rank() == 0
    answers: list[Any] | None = [None] * distributed.get_world_size() if first else None
    distributed.gather_object(answer, answers, dst=0, group=group)
    return answers or []
