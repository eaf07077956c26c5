"""The other end of a `task_process.py`: gives it files, hears how they go, and kills it where a file takes too much memory or says nothing.

Whoever holds it asks `heard` again and again; nothing here waits. Memory is what the process and its children hold beside mapped files,
what they share counted once (Linux; elsewhere it is not limited).
"""

import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from data_pipeline.tasks.file_work import FileWork
from verifiers.child_environment import child_environment
from verifiers.child_process import ChildProcess, how_it_ended

_GLANCE = 1.0
_ENDED = ("done", "refused", "full", "broken", "lost", "fatal")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may cost."""

    tries: int = 3
    """A file whose task broke so often (raised, crashed, said nothing, took too much memory) is set aside."""
    losses: int = 10
    """And one whose process or machine was lost so often under it."""
    back_off: float = 1.0
    """Seconds before the second try; twice as many before each further one."""
    megabytes: int = 2500
    """Memory of the processes that work on one file, what is mapped from files not counted; 0: not limited."""
    stall_seconds: float = 900.0
    """A file of which nothing was told for so long is stopped."""
    set_aside_too: bool = False
    """Whether files that were set aside are tried again."""


class Heard(NamedTuple):
    """One line of a process: `told` with counts, or how the file ended ("done", or why not)."""

    kind: str
    values: Mapping[str, Any]

    @property
    def ended(self) -> bool:
        return self.kind in _ENDED


class RunningTask:
    """A process that works on one file at a time."""

    def __init__(self, task: str, limits: Limits, *, folder: str | None = None) -> None:
        """`folder`: where it runs, if not here."""
        self._limits = limits
        environment = child_environment((entry or os.getcwd() for entry in sys.path), OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
        module = "data_pipeline.tasks.task_process"
        self._child = ChildProcess(lambda lifeline: [sys.executable, "-P", "-m", module, str(lifeline), task], env=environment, cwd=folder)
        self._outgoing = self._arrived = b""
        self._looked = self._moved = time.monotonic()
        self.busy = False

    @property
    def outlet(self) -> int:
        """Readable when there is something to hear."""
        return self._child.outlet

    @property
    def pid(self) -> int:
        return self._child.process.pid

    def give(self, work: FileWork) -> None:
        assert not self.busy
        self._outgoing += json.dumps(work.row()).encode() + b"\n"
        self._looked = self._moved = time.monotonic()
        self.busy = True

    def heard(self) -> list[Heard]:
        """What was said since. After "lost", "fatal" or a kill for a limit, the process is gone: `alive` says so."""
        self._send()
        said, gone = self._read()
        found = [Heard(row["kind"], row["values"]) for row in map(json.loads, said)]
        now = time.monotonic()
        if found:
            self._moved = now
        self.busy = self.busy and not any(heard.ended for heard in found)
        if gone:
            return [*found, *self._death()]
        if self.busy and now - self._looked > _GLANCE:
            self._looked = now
            if reason := self._over_a_limit(now):
                self.kill()
                found.append(Heard("broken", {"reason": reason}))
        return found

    @property
    def alive(self) -> bool:
        return self._child.process.returncode is None

    def kill(self) -> None:
        """The process and its children. What it was at is not reported."""
        self.busy = False
        if self.alive:
            self._child.kill_group()
            self._child.process.wait()

    def _send(self) -> None:
        while self._outgoing:
            try:
                sent = os.write(self._child.inlet, self._outgoing[: 1 << 16])
            except BlockingIOError:
                return
            except BrokenPipeError:  # how it ended is seen where it is read from
                self._outgoing = b""
                return
            self._outgoing = self._outgoing[sent:]

    def _read(self) -> tuple[list[bytes], bool]:
        """(lines, whether there will be no more)."""
        gone = False
        while True:
            try:
                piece = os.read(self._child.outlet, 1 << 16)
            except BlockingIOError:
                break
            if not piece:
                gone = True
                break
            self._arrived += piece
        *lines, self._arrived = self._arrived.split(b"\n")
        return lines, gone

    def _death(self) -> Iterable[Heard]:
        """A process that was killed from outside is nobody's fault, that of any other end the file's."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.process.pid, 9)
        code = self._child.process.wait()
        self._child.let_go()
        if self.busy:
            self.busy = False
            outside = code in (-9, -15)
            yield Heard("lost" if outside else "broken", {"reason": f"the process that worked on it ended by {how_it_ended(code)}"})

    def _over_a_limit(self, now: float) -> str:
        most = self._limits.megabytes * 1_000_000
        if most and _memory(self.pid, "statm") > most and (own := _memory(self.pid, "smaps_rollup")) > most:
            return f"it took {own / 1e6:,.0f} MB of memory; it may take {self._limits.megabytes:,}"
        if now - self._moved > self._limits.stall_seconds:
            return f"nothing was heard of it for {self._limits.stall_seconds:g} s"
        return ""


def _memory(pid: int, file: str) -> int:
    """Bytes that a process and its descendants hold: by `statm`, cheap, shared ones counted in each; by `smaps_rollup`, once."""
    total = 0
    with suppress(OSError, ValueError, IndexError):
        with open(f"/proc/{pid}/{file}", encoding="ascii") as lines:
            text = lines.read()
        if file == "statm":
            _, resident, mapped, *_ = map(int, text.split())
            total = (resident - mapped) * os.sysconf("SC_PAGESIZE")
        else:
            total = int((text.partition("Pss_Anon:")[2] or text.partition("Pss:")[2]).split()[0]) * 1024
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
            total += sum(_memory(int(child), file) for child in children.read().split())
    return total
