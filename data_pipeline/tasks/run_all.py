"""Many files, one task: `run_all`, on the processes of this machine, on Ray, or as a Slurm array.

Each file is one attempt of the task after the other until one ends well. What stands in its way is told apart: an input that is not as it
should be is not tried again; a full disk is, after a while; a task that breaks is, and after some tries the file is set aside with the
reason, for this run and later ones; a process or a machine that was lost under it is nobody's fault, and costs the file nothing until it
happens often. Where nothing is left to start, a file that takes far longer than others is begun a second time, if the body is of several
machines, and the first to end counts.

Attempts are bounded in number, waits by time. What is finished is on disk with its marker, so that a run that was killed goes on with the
rest. Left out: the order of files among each other, of which nothing may depend.
"""

import heapq
import itertools
import os
import statistics
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_pipeline.documents.places import make_folder
from data_pipeline.tasks.attempts import Body, Event
from data_pipeline.tasks.file_work import FileWork, forget_failure, set_aside, state_of
from data_pipeline.tasks.local_processes import LocalProcesses
from data_pipeline.tasks.running_task import Limits
from data_pipeline.tasks.slurm_array import ToSubmit, write_array
from verifiers.input_error import InputError

_GLANCE, _YIELD = 0.25, 0.5
_FAR_LONGER = 3.0
_LONGEST_BACK_OFF = 60.0
_NOT_FINAL = ("broken", "full", "lost")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    counts: Mapping[str, Any]
    """Sums over the files that this run has worked on, by name: what those that ended counted, and what the others have told last."""
    finished: int
    """Files whose marker is there, those of earlier runs counted."""
    files: int
    seconds: float
    failed: Mapping[str, str]
    """Key and reason of files that this run could not finish; a later one tries them again."""
    aside: Mapping[str, str]
    """Key and reason of files that no run tries again unless asked."""
    retries: int
    """Attempts beyond the first of a file."""
    work: FileWork | None = None
    """The file that has just ended, well or not; None in between."""
    ended: Mapping[str, Any] | None = None
    """Its counts, where it ended well."""


@dataclass(slots=True)
class _File:
    work: FileWork
    broken: int = 0
    lost: int = 0
    attempts: dict[int, float] = field(default_factory=dict)
    """Under way, and since when; 0.0 while they wait for a processor."""
    told: Mapping[str, Any] = field(default_factory=dict)


def run_all(
    task: str,
    works: Sequence[FileWork],
    *,
    on: str = "",
    workers: int = 0,
    limits: Limits = Limits(),  # noqa: B008
) -> Generator[Progress, None, None]:
    """Run the task on every file that is not done; yields about twice a second, after each file, and at the end.

    task: "module:function". on: "" processes of this machine; "ray" or "ray://HOST:PORT" Ray tasks; "slurm" or "slurm://N" writes the
    script of an array of N tasks and raises `ToSubmit`, unless all is done. workers: processes of this machine, 0 for one a core. Raises
    InputError where the task cannot be started, or where every try of a file found the disk full.
    """
    state = state_of(works)
    open_ = [*state.open, *(work for work, _ in state.aside)] if limits.set_aside_too else state.open
    aside = {} if limits.set_aside_too else {work.key: reason for work, reason in state.aside}
    if not open_:
        yield Progress({}, len(state.done), len(works), 0.0, {}, aside, 0)
        return
    for work in {work.out: work for work in open_}.values():
        make_folder(work.out)
    if (kind := on.partition("://"))[0] == "slurm":
        raise _to_submit(task, open_, limits, kind[2], len(works))
    body = _body(task, on, min(workers or len(os.sched_getaffinity(0)), len(open_)), limits)
    try:
        yield from _Schedule(body, open_, limits, len(state.done), len(works), aside).run()
    finally:
        body.close()


def _to_submit(task: str, open_: list[FileWork], limits: Limits, tasks: str, files: int) -> InputError:
    if tasks and (not tasks.isdecimal() or int(tasks) < 1):
        raise InputError(f"--on slurm://{tasks}: should be slurm, or slurm://N with the number of the array's tasks")
    script = write_array(task, open_, limits, int(tasks or 0))
    return ToSubmit(f"{len(open_):,} of {files:,} files are to be worked on: sbatch {script}; when it is through, give this command again")


def _body(task: str, on: str, workers: int, limits: Limits) -> Body:
    if not on:
        return LocalProcesses(task, workers, limits)
    kind, _, address = on.partition("://")
    if kind != "ray":
        raise InputError(f"--on {on}: should be ray, ray://HOST:PORT or slurm; leave it out for this machine")
    try:
        from data_pipeline.tasks.ray_tasks import RayTasks
    except ImportError as error:
        raise InputError(f"--on {on}: needs Ray, on every node: pip install 'reckon-rl[ray]' ({error})") from error
    return RayTasks(task, address, limits)


class _Schedule:
    def __init__(self, body: Body, works: list[FileWork], limits: Limits, done: int, files: int, aside: dict[str, str]) -> None:
        self._body, self._limits = body, limits
        self._done, self._files, self._aside = done, files, aside
        self._failed: dict[str, str] = {}
        self._place = itertools.count()
        self._waiting = [(0.0, next(self._place), _File(work)) for work in works]  # a heap: when it may start, its place, itself
        self._running: dict[int, _File] = {}
        self._took: list[float] = []
        self._sums: dict[str, Any] = {}
        self._attempts, self._retries = 0, 0
        self._began = self._yielded = time.monotonic()

    def run(self) -> Iterator[Progress]:
        while self._waiting or self._running:
            self._start_what_may()
            for event in self._body.events(_GLANCE):
                if event.attempt in self._running and (ended := self._take(event)):
                    yield self._progress(*ended)
            self._start_again_what_lags()
            if time.monotonic() - self._yielded > _YIELD:
                yield self._progress()
        yield self._progress()

    def _start_what_may(self) -> None:
        while self._waiting and len(self._running) < self._body.room() and self._waiting[0][0] <= time.monotonic():
            self._start(heapq.heappop(self._waiting)[2])

    def _start(self, file: _File) -> None:
        self._attempts += 1
        self._running[self._attempts] = file
        file.attempts[self._attempts] = time.monotonic() if not self._body.several_machines else 0.0
        self._body.start(self._attempts, file.work)

    def _take(self, event: Event) -> tuple[FileWork, Mapping[str, Any] | None] | None:
        """What the event means; the file with its counts where it is through with it."""
        file = self._running[event.attempt]
        if event.kind == "began":
            file.attempts[event.attempt] = time.monotonic()
            return None
        if event.kind == "told":
            file.told = event.values
            file.attempts[event.attempt] = file.attempts[event.attempt] or time.monotonic()
            return None
        if event.kind == "fatal":
            raise InputError(str(event.values["reason"]))
        began = file.attempts.pop(event.attempt)
        del self._running[event.attempt]
        if event.kind == "done":
            self._took.append(time.monotonic() - began if began else 0.0)
            self._end_others(file)
            if file.work.key in self._aside or self._limits.set_aside_too:
                forget_failure(file.work)
            self._done += 1
            self._sums = sums(self._sums, event.values)
            return file.work, event.values
        return self._after_a_failure(file, event)

    def _after_a_failure(self, file: _File, event: Event) -> tuple[FileWork, None] | None:
        reason = str(event.values["reason"])
        file.broken += event.kind in ("broken", "full")
        file.lost += event.kind == "lost"
        if file.attempts and event.kind in _NOT_FINAL:  # the other one goes on
            return None
        if event.kind in _NOT_FINAL and file.broken < self._limits.tries and file.lost < self._limits.losses:
            wait = min(_LONGEST_BACK_OFF, self._limits.back_off * 2.0 ** (file.broken + file.lost - 1))
            self._retries += 1
            heapq.heappush(self._waiting, (time.monotonic() + wait, next(self._place), file))
            return None
        self._end_others(file)
        file.told = {}
        if event.kind in ("broken", "lost"):
            tries = file.broken + file.lost
            reason = f"{file.work.source}: {reason}; set aside after {tries} {'try' if tries == 1 else 'tries'}"
            self._aside[file.work.key] = reason
            set_aside(file.work, reason, tries)
        elif event.kind == "full":  # the others would find the same
            raise InputError(reason)
        else:
            self._failed[file.work.key] = reason
        return file.work, None

    def _end_others(self, file: _File) -> None:
        for attempt in file.attempts:
            self._body.cancel(attempt)
            del self._running[attempt]
        file.attempts.clear()

    def _start_again_what_lags(self) -> None:
        if self._waiting or not self._body.several_machines or len(self._took) < 3:
            return
        longest = _FAR_LONGER * max(statistics.median(self._took), 1.0)
        now = time.monotonic()
        for file in list(self._running.values()):
            begun = list(file.attempts.values())
            if len(begun) == 1 and begun[0] and now - begun[0] > longest and len(self._running) < self._body.room():
                self._retries += 1
                self._start(file)

    def _progress(self, work: FileWork | None = None, ended: Mapping[str, Any] | None = None) -> Progress:
        self._yielded = time.monotonic()
        counts = self._sums
        for file in {id(file): file for file in self._running.values()}.values():
            counts = sums(counts, file.told)
        seconds = self._yielded - self._began
        return Progress(
            counts, self._done, self._files, seconds, dict(self._failed), dict(self._aside), self._retries, work, ended
        )  # fmt: skip


def sums(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of both added up by name, inside mappings too; what is no number is left out."""
    total = dict(one)
    for name, value in other.items():
        if isinstance(value, Mapping):
            before = total.get(name)
            total[name] = sums(before if isinstance(before, Mapping) else {}, value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            total[name] = total.get(name, 0) + value
    return total
