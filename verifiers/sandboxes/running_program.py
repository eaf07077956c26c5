"""A program that runs behind a sandbox's walls, as seen from outside: what it may use, its three streams, and how it ended.

Who starts it, and what the walls are, is `local_sandbox.py`'s business; the other end of `link` is `fork_server.py`, whose one report on a
program is JSON on a line. Nothing here waits longer than the program's limits allow, and a little.
"""

import json
import math
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from verifiers.child_process import how_it_ended
from verifiers.input_error import InputError

_GRACE = 5.0  # seconds past the deadline after which the supervisor itself is given up
_STDERR_KEPT = 16_384
_FULL_PIPE = 32  # reads after which the largest pipe that a user may have is empty


class Outcome(StrEnum):
    """How a program ended. The last is ours, not the program's."""

    OK = "ok"
    RUNTIME_ERROR = "runtime_error"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT_LIMIT = "output_limit"
    SANDBOX_ERROR = "sandbox_error"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use. Sizes are in bytes, times in seconds."""

    wall: float = 10.0
    cpu: float | None = None
    """Of each process; None is as much as `wall`. The kernel counts whole seconds, rounded up here."""
    memory: int = 1 << 30
    """Address space of each process beyond a bare interpreter's, and resident memory of all together."""
    processes: int = 32
    """Threads count too."""
    file_size: int = 64 << 20
    """The largest file; at `strict`, all of /tmp."""
    open_files: int = 64
    output: int = 4 << 20
    """Of standard output. Of standard error the beginning and the end are kept."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.wall) and min(self.wall, self.memory, self.processes, self.file_size, self.output) > 0):
            raise InputError(f"every limit of a sandbox must be above 0 and finite, not {self}")

    @property
    def cpu_seconds(self) -> int:
        return math.ceil(self.wall if self.cpu is None else self.cpu)


@dataclass(frozen=True, slots=True)
class Run:
    """What a program did. `detail` says why it ended, where `status` is not ok."""

    status: Outcome
    stdout: bytes
    stderr: str
    detail: str
    wall: float
    cpu: float
    peak_rss: int
    """Of its largest process, in bytes."""
    level: str
    """Of isolation; "http" for a server elsewhere."""
    exit_code: int | None = field(default=None)
    """Negative for a signal. The program's own word: `os._exit(0)` gives 0."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to start instead of a Python program, in the folder where that would run."""

    argv: tuple[str, ...]
    file: str
    """The name under which the source lies in that folder; it may be executed."""
    spare_memory: int = 0
    """Address space beyond the limit of memory, for what a runtime reserves and does not use."""


class Program:
    """A program that runs: its streams and, in the end, its report. Made by `Sandbox.start`, ended by `finish`; for one thread.

    `give_back` is told once, at the end, whether the server at the other end of `link` may run another one.
    """

    def __init__(self, link: socket.socket, limits: Limits, streams: dict[str, int], level: str, give_back: Callable[[bool], None]) -> None:
        self._link, self._limits, self._streams = link, limits, streams
        self._level, self._give_back = level, give_back
        self._outgoing = memoryview(b"")
        self._close_stdin = False
        self._out, self._err, self._reply = bytearray(), bytearray(), bytearray()
        self._err_dropped = 0
        self._taken = 0
        self._excess = False
        self._ended = False
        self._give_up = time.monotonic() + limits.wall + _GRACE
        for descriptor in streams.values():
            os.set_blocking(descriptor, False)

    def write(self, data: bytes, *, close: bool = False) -> None:
        """Send more standard input, and with `close` its end, as the program takes it while something is read or awaited."""
        self._outgoing = memoryview(bytes(self._outgoing) + data)
        self._close_stdin = close

    def read_line(self, until: float = math.inf) -> bytes | None:
        """The next line of standard output without its end; None if the program ends, or is ended, before it is complete.

        Raises TimeoutError if it is not there at the time `until` of `time.monotonic`; the program runs on.
        """
        searched = self._taken
        while True:
            end = self._out.find(b"\n", searched)
            if end >= 0:
                line = bytes(self._out[self._taken : end])
                self._taken = end + 1
                if self._taken > 1 << 16:
                    del self._out[: self._taken]
                    self._taken = 0
                return line
            searched = len(self._out)
            if self._ended:
                return None
            if time.monotonic() >= until:
                raise TimeoutError
            self._wait_and_take(until)
            searched = min(searched, len(self._out))

    def take_errors(self) -> bytes:
        """What has come on standard error since the last time, its middle left out where it is long; it is in no report any more."""
        for _ in range(_FULL_PIPE):  # what is there now: another process of the program may write on without end
            if not self._drain("stderr"):
                break
        text = self._kept_errors()
        self._err.clear()
        self._err_dropped = 0
        return text

    def stop(self) -> None:
        """Kill the program; `finish` says how it ended."""
        with suppress(OSError):
            self._link.send(b"k")

    def finish(self) -> Run:
        """Wait for the end, which the limits guarantee, and report. Standard output that `read_line` took is not repeated."""
        while not self._ended:
            self._wait_and_take()
        for name in list(self._streams):
            self._close_stream(name)
        self._give_back(self._reply.endswith(b"\n"))
        return self._report()

    def _wait_and_take(self, until: float = math.inf) -> None:
        """Wait for something to happen, until a time, and take it in."""
        poll = select.poll()
        names = {self._link.fileno(): "link"}
        poll.register(self._link, select.POLLIN)
        for name, descriptor in self._streams.items():
            if name != "stdin" or self._outgoing or self._close_stdin:
                poll.register(descriptor, select.POLLOUT if name == "stdin" else select.POLLIN)
                names[descriptor] = name
        left = min(self._give_up, until) - time.monotonic()
        events = poll.poll(1000 * left) if left > 0 else []
        if not events and time.monotonic() >= self._give_up:
            self._ended = True
        for descriptor, _ in events:
            match names[descriptor]:
                case "link":
                    self._receive()
                case "stdin":
                    self._feed()
                case name:
                    self._drain(name)

    def _receive(self) -> None:
        data = b""
        with suppress(ConnectionError):
            data = self._link.recv(1 << 16)
        self._reply += data
        if not data or data.endswith(b"\n"):
            self._ended = True
            for name in ("stdout", "stderr"):  # all writers are dead: what is in the pipes is all there will be
                while self._drain(name):
                    pass

    def _feed(self) -> None:
        try:
            if self._outgoing:
                self._outgoing = self._outgoing[os.write(self._streams["stdin"], self._outgoing[: 1 << 16]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._outgoing, self._close_stdin = memoryview(b""), True
        if not self._outgoing and self._close_stdin:
            self._close_stream("stdin")
            self._close_stdin = False

    def _drain(self, name: str) -> bool:
        """Read once from a stream. Returns whether there may be more."""
        if name not in self._streams:
            return False
        try:
            data = os.read(self._streams[name], 1 << 16)
        except BlockingIOError:
            return False
        if not data:
            self._close_stream(name)
        elif name == "stderr":
            self._err += data
            if len(self._err) > 4 * _STDERR_KEPT:
                self._err_dropped += len(self._err) - 2 * _STDERR_KEPT
                del self._err[_STDERR_KEPT:-_STDERR_KEPT]
        elif not self._excess:
            self._out += data
            if len(self._out) - self._taken > self._limits.output:
                self._excess = True
                del self._out[self._taken + self._limits.output :]
                self.stop()
        return bool(data)

    def _close_stream(self, name: str) -> None:
        descriptor = self._streams.pop(name, None)
        if descriptor is not None:
            os.close(descriptor)

    def _kept_errors(self) -> bytes:
        err = bytes(self._err)
        if self._err_dropped:
            return err[:_STDERR_KEPT] + b"\n... %d bytes left out ...\n" % self._err_dropped + err[_STDERR_KEPT:]
        return err

    def _report(self) -> Run:
        text = self._kept_errors().decode(errors="replace")
        try:
            reply: dict[str, Any] = json.loads(self._reply)
        except ValueError:
            reply = {"error": "the sandbox server died"}
        status, detail = _outcome_of(reply, self._excess, text, self._limits)
        used = (reply.get("wall", 0.0), reply.get("cpu", 0.0), reply.get("rss", 0))
        return Run(status, bytes(self._out[self._taken :]), text, detail, *used, self._level, reply.get("code"))


def _outcome_of(reply: dict[str, Any], excess: bool, stderr: str, limits: Limits) -> tuple[Outcome, str]:
    """How a program ended, from its supervisor's report."""
    if "error" in reply:
        return Outcome.SANDBOX_ERROR, str(reply["error"]) or stderr.strip()[-300:] or "the program was not started"
    if excess:
        return Outcome.OUTPUT_LIMIT, f"more than {limits.output} bytes of output"
    last = stderr.rstrip().rpartition("\n")[2]
    code = reply["code"]
    match reply["killed"]:
        case "wall":
            return Outcome.TIMEOUT, f"not done after {limits.wall:g} s"
        case "memory":
            return Outcome.MEMORY, f"more than {limits.memory >> 20} MB in all its processes"
        case "gone":
            return Outcome.RUNTIME_ERROR, "stopped"
    if code in (-signal.SIGKILL, -signal.SIGXCPU) and reply["cpu"] >= limits.cpu_seconds:
        return Outcome.TIMEOUT, f"more than {limits.cpu_seconds} s of CPU"
    if code == -signal.SIGKILL:
        return Outcome.MEMORY, "killed by the kernel"
    if code and last.startswith("MemoryError"):
        return Outcome.MEMORY, f"more than {limits.memory >> 20} MB"
    if code:
        return Outcome.RUNTIME_ERROR, last[:300] or how_it_ended(code)
    return Outcome.OK, ""
