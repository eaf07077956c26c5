"""Policy workers under torchrun: its ranks are there already. Rank 0 is the driver and a worker at once; the others serve it.

torchrun itself watches over processes that die, and its summary names the one; ranks watch over each other too (`signs_of_life.py`), so
that one that hangs, or is on another machine, is named as well. Every rank is started with the same command line; what the run is, rank 0
alone decides and tells.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from torch import distributed

from rl.workers.messages import packed, unpacked
from rl.workers.policy_worker import Answer, Build, PolicyWorker, join_group
from rl.workers.signs_of_life import BEAT, SignsOfLife
from rl.workers.workers import PATIENCE, TIMEOUT, WorkerLost, result_of
from rollout.interruption import asked, fail, take_over, uninterrupted
from verifiers.input_error import first_line

_END = b""
_WHERE = "torchrun's summary and the ranks' own output say more"
_GRACE = 5.0  # seconds


def ranks() -> int:
    """Of this torchrun; 0 where this process was not started by one."""
    return int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 0


class TorchrunWorkers:
    """All ranks, from the driver's side."""

    def __init__(self, build: Build, *, patience: float = PATIENCE, timeout: float = TIMEOUT):
        self.count, self.stamp = ranks(), (0, 0)
        self._number, self._lost, self._calling = 0, "", True
        self._worker: PolicyWorker | None = None
        with uninterrupted():
            self._rank = _Rank(asked, self._on_lost, patience, timeout)
            self._worker = self._rank.build(packed(build))
        self._calling = False

    def call(self, name: str, *given: Any, **named: Any) -> Any:
        """See Workers. An interruption is heard between two passes, by all ranks at the same one, and raised when all have given up."""
        if self._worker is None:
            raise WorkerLost(self._lost or "the policy workers have been closed")
        self._number += 1
        self._calling = True
        try:
            with uninterrupted():
                _told(packed((self._number, name, given, named)), self._rank.group)
                answers = self._rank.answer(self._worker, self._number, name, given, named)
                self.stamp = answers[0].stamp
        except RuntimeError as error:  # of the group: a rank is gone
            raise self._given_up(first_line(error)) from error
        finally:
            self._calling = False
        return result_of(answers, _WHERE)

    def _given_up(self, reason: str) -> WorkerLost:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun's, as soon as it sees what we have seen; the run ends all the same
            take_over()
        self._lost = f"{self._rank.life.why() or f'a rank of this torchrun was lost ({reason:.200})'}; {_WHERE}"
        self._worker = None
        return WorkerLost(self._lost)

    def _on_lost(self, said: str) -> None:
        """In the thread that watches. A collective that waits for a process that is gone raises; one that waits for a GPU may not."""
        fail(WorkerLost(f"{said}; {_WHERE}"))
        time.sleep(_GRACE)
        if self._calling:
            print(f"error: the run stopped: {said}; once that is mended, continue with --resume", file=sys.stderr, flush=True)
            os._exit(2)

    def close(self) -> None:
        self._rank.life.close()
        if self._worker is not None:
            with suppress(RuntimeError):
                _told(_END, self._rank.group)
        self._worker = None


def serve(*, patience: float = PATIENCE, timeout: float = TIMEOUT) -> None:
    """The life of a rank that is not the driver."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the driver decides
    rank = _Rank(lambda: False, _leave, patience, timeout)
    worker = rank.build(None)
    try:
        while (message := _told(None, rank.group)) != _END:
            number, name, given, named = unpacked(message)
            rank.answer(worker, number, name, given, named)
    except RuntimeError as error:  # of the group: a rank is gone
        if rank.life.why():
            time.sleep(2 * BEAT)  # which ends this process
        _leave(first_line(error))
    rank.life.close()
    distributed.destroy_process_group()


def _leave(said: str) -> None:
    """Ends this rank, which frees those that wait for it."""
    print(f"reckon: rank {os.environ['RANK']} ends: {said}", file=sys.stderr, flush=True)
    time.sleep(BEAT / 2)  # torchrun names the first that it sees end
    os._exit(1)


class _Rank:
    """What the driver and those that serve it have in common."""

    def __init__(self, asked_to_stop: Callable[[], bool], lost: Callable[[str], None], patience: float, timeout: float):
        number = int(os.environ["RANK"])
        self.device = join_group(number, ranks(), "env://", timeout=timeout)
        # between two calls ranks wait for the driver, which may sample for hours; signs of life say whether it is there
        self.group = distributed.new_group(backend="gloo", timeout=timedelta(days=365))
        self.life = SignsOfLife(number, ranks(), lost=lost, patience=patience, deadline=timeout)
        self.asked_to_stop = asked_to_stop

    def build(self, recipe: bytes | None) -> PolicyWorker:
        """As rank 0, which has the recipe, says."""
        return PolicyWorker(unpacked(_told(recipe, self.group)), self.device, self._next_turn)

    def _next_turn(self) -> bool:
        self.life.turns()
        return self.asked_to_stop()

    def answer(self, worker: PolicyWorker, number: int, name: str, given: Any, named: Any) -> list[Answer]:
        """What each rank answers, on rank 0; nothing on the others."""
        self.life.begins(number, name)
        found = _answered(worker.answer(number, name, given, named), self.group)
        self.life.ends()
        return found


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
