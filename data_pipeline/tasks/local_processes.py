"""Files worked on by processes of this machine, one a core.

Idle processes outlive a `run_all`, for the next one of the same task: a run asks for one after the other, and starting Python with what a
task imports takes longer than a small file. They are ended when another task begins, and with this process.
"""

import atexit
import os
import select
import sys
from collections import deque

from data_pipeline.tasks.attempts import Event
from data_pipeline.tasks.file_work import FileWork
from data_pipeline.tasks.running_task import Limits, RunningTask

_kept: dict[tuple[object, ...], deque[RunningTask]] = {}
"""Idle processes between two runs; those of one task at most."""


class LocalProcesses:
    """The body of `run_all` on one machine. A process is started when there is no idle one for a file."""

    several_machines = False

    def __init__(self, task: str, workers: int, limits: Limits) -> None:
        self._task, self._workers, self._limits = task, workers, limits
        self._like = (task, limits, os.getcwd(), *sys.path, *sorted(os.environ.items()))  # a store's address may be a variable
        self._idle = _kept.pop(self._like, deque())
        end_kept()
        self._busy: dict[int, RunningTask] = {}

    def room(self) -> int:
        return self._workers

    def start(self, attempt: int, work: FileWork) -> None:
        process = self._idle.popleft() if self._idle else RunningTask(self._task, self._limits)
        process.give(work)
        self._busy[attempt] = process

    def events(self, seconds: float) -> list[Event]:
        poll = select.poll()
        for process in self._busy.values():
            poll.register(process.outlet, select.POLLIN)
        poll.poll(1000 * seconds)
        found = []
        for attempt, process in list(self._busy.items()):
            for kind, values in process.heard():
                found.append(Event(attempt, kind, values))
            if not process.busy:
                del self._busy[attempt]
                if process.alive:
                    self._idle.append(process)
        return found

    def cancel(self, attempt: int) -> None:
        if process := self._busy.pop(attempt, None):
            process.kill()

    def close(self) -> None:
        for process in self._busy.values():
            process.kill()
        self._busy.clear()
        if self._idle:
            _kept.setdefault(self._like, deque()).extend(self._idle)  # of two runs at once, both keep theirs


def end_kept() -> None:
    """Ends the processes that wait for another run."""
    while _kept:
        for process in _kept.popitem()[1]:
            process.kill()


atexit.register(end_kept)
