"""The parent's side of a worker process: its pipes, what it was sent and has not answered, and the clock of what it does now.

Writing never blocks and reading never stops, so responses of any size pass. When to give it what, and when to end it, is
decided in `dispatcher.py`; the child's side is `worker_main.py`.
"""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress

from verifiers.child_process import ChildProcess, how_it_ended
from verifiers.worker_pool.pool_messages import LONGEST_LINE, Item

AHEAD = 0.05  # seconds of work that a worker is given in advance
_PAGE = os.sysconf("SC_PAGE_SIZE")


class WorkerProcess(ChildProcess):
    """One worker process, started by the constructor, which raises OSError where that is impossible."""

    def __init__(self, setup: bytes, folder: str, environment: Mapping[str, str]) -> None:
        command = [sys.executable, "-P", "-m", "verifiers.worker_pool.worker_main"]
        super().__init__(lambda lifeline: [*command, str(lifeline)], cwd=folder, env=environment)
        self.ready = False
        self.loading = False
        self.failed = False
        self.closed = False
        """Whether it has closed its end of the pipe, or said what makes no sense: it is dead, or as good as."""
        self._garbled = False
        self.queue: deque[tuple[Item, int]] = deque()
        """Items not yet answered, each with the number of bytes written once it is sent completely."""
        self.served = 0
        self.pace = AHEAD
        """Seconds for one verdict, a moving average."""
        self.since = time.monotonic()
        """When it last began something: its start, a verdict, or the arrival of a new one's last byte."""
        self.weighed = 0
        """How many verdicts it had served when its memory was last looked at."""
        self.weighed_at = self.since
        self.light = 0
        """Bytes of resident memory when it had imported what it runs: what it grows from."""
        self.heavy = False
        self._outgoing: deque[memoryview] = deque()
        self._queued = self._written = 0
        self._partial = b""
        self.send(setup)

    @property
    def unsent(self) -> int:
        return self._queued - self._written

    @property
    def busy(self) -> bool:
        return not self.ready or bool(self.queue)

    @property
    def given(self) -> int:
        """How many items it was given so far: the number of the next one."""
        return self.served + len(self.queue)

    def resident(self) -> int:
        """Bytes of its resident memory now; 0 where the system has no /proc, or the process is gone."""
        try:
            with open(f"/proc/{self.process.pid}/statm", "rb") as file:
                return int(file.read().split()[1]) * _PAGE
        except (OSError, IndexError):
            return 0

    def send(self, data: bytes) -> None:
        self._outgoing.append(memoryview(data))
        self._queued += len(data)

    def give(self, item: Item, line: bytes) -> None:
        if not self.queue:
            self.since = time.monotonic()
        self.send(line)
        self.queue.append((item, self._queued))

    def write(self) -> None:
        """Write what the pipe takes now."""
        with suppress(BlockingIOError, BrokenPipeError):  # its death is seen where it is read from
            while self._outgoing:
                if len(self._outgoing) > 1 and len(self._outgoing[0]) < 4096:  # few system calls for many small items
                    self._outgoing = deque([memoryview(b"".join(self._outgoing))])
                count = os.write(self.inlet, self._outgoing[0])
                if self.queue and self._written < self.queue[0][1]:
                    self.since = time.monotonic()
                self._written += count
                self._outgoing[0] = self._outgoing[0][count:]
                if not self._outgoing[0]:
                    self._outgoing.popleft()

    def read(self) -> list[bytes]:
        """The complete lines that have arrived, of a few megabytes at a time. A line that does not end is none of a worker's."""
        pieces, size = [self._partial], len(self._partial)
        while not self.closed and size <= LONGEST_LINE:
            try:
                data = os.read(self.outlet, 1 << 18)
            except BlockingIOError:
                break
            pieces.append(data)
            size += len(data)
            self.closed = not data
        *lines, self._partial = b"".join(pieces).split(b"\n")
        if len(self._partial) > LONGEST_LINE:
            self._partial = b""
            self.distrust()
        return lines

    def distrust(self) -> None:
        """It said what is no answer to what it was asked: nothing more that it says can be believed."""
        self.closed = self._garbled = True

    def kill(self) -> str:
        """End the whole process group and say how the worker ended: by itself, if it was already dead."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=1.0 if self.closed and not self._garbled else 0.0)  # give the exit code of a dying one time to appear
        code = self.process.returncode
        self.kill_group()
        if self._garbled:
            return "it sent what answers nothing that it was asked (did a reward write to its pipe?)"
        if code is None:
            return "it closed its pipe to the parent"
        return how_it_ended(code) + (" (out of memory?)" if code == -signal.SIGKILL else "")
