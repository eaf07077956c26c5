"""Runs Python code that means harm, and reports how it ended, what it printed and what it used. Linux; no root, no daemon.

    level       what holds the program
    strict      own user, pid, network, IPC, host name and mount namespaces (a root with the interpreter and the system's libraries
                only, read-only; no /proc; an empty /tmp of limited size), Landlock, seccomp, limits, no_new_privs
    bwrap       the same namespaces and root, made by the program `bwrap` (bubblewrap), which may be setuid where users may make
                no namespaces; seccomp, limits. No Landlock, and every program starts an interpreter of its own
    landlock    no namespaces: Landlock, seccomp, limits. The program sees that files exist, and the host's process ids
    rlimits     limits of memory, time and size alone: it can read what this user can, write there, and call out

`strict` is what one gets; a weaker level is used only when it is asked for by name, and says on standard error what is missing.
A program starts with no environment, no descriptors but its three streams, in its own session, as a user without capabilities;
started as root, the server becomes the user nobody first. The wall clock is kept from outside and ends in a kill of process 1
of the pid namespace, which takes every process of the program along.

Warm programs run in a fork of an interpreter that has started already, fresh ones in an interpreter of their own. A `Command`
runs something else than Python, such as a compiler or what it made, behind the same locks.

Not covered, at any level: flaws of the kernel itself, side channels (timing, caches, how busy the machine is), the CPU's and
disk's bandwidth, and memory in total: each process has its limit, and the sum of what all hold is looked at every 50 ms, so many
processes together may exceed it for that long. Memory that processes share counts once for each that has it resident, and where
there are several processes at least at its full size. /tmp counts as memory of the machine, up to `file_size`. A warm program can
inspect the interpreter that it shares code, but no data of value, with. Programs that follow each other in one server share the
addresses of that interpreter and, with nothing in them to share, its user, network, IPC and host name namespaces; the pid and
mount namespaces are each program's own. At `landlock`, whether a path exists, its size and owner (`stat`) are visible, and on a
kernel before 6.12 a program cannot signal its own children. The exit code, like the output, is the program's own word: it says
nothing about who is right.
"""

import json
import math
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, Literal

from verifiers.input_error import InputError
from verifiers.package_root import PACKAGE_ROOT

Level = Literal["strict", "bwrap", "landlock", "rlimits"]
LEVELS: tuple[Level, ...] = ("strict", "bwrap", "landlock", "rlimits")
WARM_MODULES = (
    "bisect", "collections", "copy", "functools", "heapq", "itertools", "json", "math", "operator", "random", "re", "string", "typing",
)  # fmt: skip
_LACKS = {
    "bwrap": "there is no Landlock inside, and each program starts an interpreter of its own",
    "landlock": "files can be seen to exist, and processes share the host's pid and network namespaces",
    "rlimits": "the network, files of this user and other processes are NOT protected",
}
_GRACE = 5.0  # seconds past the deadline after which the supervisor itself is given up
_STDERR_KEPT = 16_384
_FULL_PIPE = 32  # reads after which the largest pipe that a user may have is empty
_BOOT = "import sys; sys.path.insert(0, {root!r}); from verifiers.sandboxes import fork_server; fork_server.main({control}, {setup!r})"


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


@dataclass(frozen=True, slots=True)
class Run:
    """What a program did. `detail` says why it ended, where `status` is not ok."""

    status: Outcome
    stdout: bytes
    stderr: str
    detail: str
    wall: float
    cpu: float
    """At the level bwrap, this and `peak_rss` are those of bwrap itself."""
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
    """A program that runs: its streams and, in the end, its report. Made by `Sandbox.start`, ended by `finish`; for one thread."""

    def __init__(self, sandbox: "Sandbox", server: "_Server", limits: Limits, streams: dict[str, int]) -> None:
        self._sandbox, self._server, self._limits = sandbox, server, limits
        self._link, self._streams = server.control, streams
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
            self._pump(until)
            searched = min(searched, len(self._out))

    def take_errors(self) -> bytes:
        """What has come on standard error since the last time, its middle left out where it is long; it is in no report any more."""
        for _ in range(_FULL_PIPE):  # what is there now: another process of the program may write on without end
            if not self._drain("stderr"):
                break
        text = self._errors()
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
            self._pump()
        for name in list(self._streams):
            self._shut(name)
        self._sandbox._take_back(self._server, fit=self._reply.endswith(b"\n"))
        return self._report()

    def _pump(self, until: float = math.inf) -> None:
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
            self._shut("stdin")
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
            self._shut(name)
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

    def _shut(self, name: str) -> None:
        descriptor = self._streams.pop(name, None)
        if descriptor is not None:
            os.close(descriptor)

    def _errors(self) -> bytes:
        err = bytes(self._err)
        if self._err_dropped:
            return err[:_STDERR_KEPT] + b"\n... %d bytes left out ...\n" % self._err_dropped + err[_STDERR_KEPT:]
        return err

    def _report(self) -> Run:
        text = self._errors().decode(errors="replace")
        try:
            reply: dict[str, Any] = json.loads(self._reply)
        except ValueError:
            reply = {"error": "the sandbox server died"}
        status, detail = _outcome(reply, self._excess, text, self._limits, self._sandbox.level)
        used = (reply.get("wall", 0.0), reply.get("cpu", 0.0), reply.get("rss", 0))
        return Run(status, bytes(self._out[self._taken :]), text, detail, *used, self._sandbox.level, reply.get("code"))


def _outcome(reply: dict[str, Any], excess: bool, stderr: str, limits: Limits, level: Level) -> tuple[Outcome, str]:
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
    busy = reply["wall" if level == "bwrap" else "cpu"]  # bwrap does not pass on what its children used
    if code in (-signal.SIGKILL, -signal.SIGXCPU) and busy >= _cpu(limits):
        return Outcome.TIMEOUT, f"more than {_cpu(limits)} s of CPU"
    if code == -signal.SIGKILL:
        return Outcome.MEMORY, "killed by the kernel"
    if code and last.startswith("MemoryError"):
        return Outcome.MEMORY, f"more than {limits.memory >> 20} MB"
    if code:
        names = {member.value: member.name for member in signal.Signals}
        return Outcome.RUNTIME_ERROR, last[:300] or (f"signal {names.get(-code, -code)}" if code < 0 else f"exit code {code}")
    return Outcome.OK, ""


def _cpu(limits: Limits) -> int:
    return math.ceil(limits.wall if limits.cpu is None else limits.cpu)


class Sandbox:
    """Runs programs at one level of isolation. Any number of threads may use it: there are as many servers as programs at once.

    `paths` are folders that programs may read and import from (with `-S`, site-packages is not one of them); `preload` are modules
    that the warm interpreter has imported already. Raises InputError, saying what is missing and which level works, if the level
    is not to be had here. The servers end with `close()`, the `with` block, or this process.
    """

    def __init__(self, level: Level = "strict", *, paths: Sequence[str] = (), preload: Sequence[str] = WARM_MODULES) -> None:
        if level not in LEVELS:
            raise InputError(f"there is no isolation level {level!r}; the levels are {', '.join(LEVELS)}")
        self.level: Level = level
        self._setup = {"level": level, "paths": [os.path.abspath(path) for path in paths], "preload": list(preload)}
        self._lock = threading.Lock()
        self._idle: list[_Server] = []
        self._closed = False
        missing = self._missing()
        if missing:
            weaker = [other for other in LEVELS[LEVELS.index(level) + 1 :] if not probe(other)]
            remedy = f"level={weaker[0]!r} works here, but {_LACKS[weaker[0]]}" if weaker else "no weaker level works either"
            raise InputError(f"no {level} sandbox on this machine: {missing}; {remedy}")
        if level != "strict":
            print(f"sandbox level {level}: {_LACKS[level]}", file=sys.stderr)

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the servers; one whose program still runs ends with that program. Closing twice is harmless."""
        with self._lock:
            self._closed = True
            servers, self._idle = self._idle, []
        for server in servers:
            server.end()

    def run(
        self, source: str | bytes, stdin: bytes = b"", *, limits: Limits | None = None, fresh: bool = False, command: Command | None = None
    ) -> Run:
        """Run a program to its end."""
        program = self.start(source, limits=limits, fresh=fresh, command=command, whole_stdin=True)
        program.write(stdin, close=True)
        return program.finish()

    def start(
        self,
        source: str | bytes,
        *,
        limits: Limits | None = None,
        fresh: bool = False,
        whole_stdin: bool = False,
        entry: str = "",
        command: Command | None = None,
    ) -> Program:
        """Start a program. With `entry`, a preloaded module whose `main()` runs instead of `source`.

        `whole_stdin` says that all input is written and closed before output is awaited; at `strict` it is then in /dev/stdin too.
        """
        limits = limits or Limits()
        settings = asdict(limits) | {"cpu": _cpu(limits)}
        request = {"fresh": fresh, "entry": entry, "limits": settings, "command": command and asdict(command), "whole_stdin": whole_stdin}
        data = json.dumps(request).encode()
        opened: list[int] = []
        try:
            for _ in range(3):
                opened += os.pipe()
            opened.append(_memory_file(source if isinstance(source, bytes) else source.encode("utf-8", "surrogatepass")))
            their_in, stdin, stdout, their_out, stderr, their_err, text = opened
            server = self._lease([their_in, their_out, their_err, text])
        except BaseException:
            for descriptor in opened:
                os.close(descriptor)
            raise
        for descriptor in (their_in, their_out, their_err, text):
            os.close(descriptor)
        with suppress(OSError):  # a server that died is found when its report does not come
            server.control.sendall(len(data).to_bytes(8, "big") + data)
        return Program(self, server, limits, {"stdin": stdin, "stdout": stdout, "stderr": stderr})

    def _lease(self, descriptors: list[int]) -> "_Server":
        """A server that has taken the descriptors: one that waits, or a new one."""
        while True:
            with self._lock:
                if self._closed:
                    raise RuntimeError("the sandbox is closed")
                server = self._idle.pop() if self._idle else None
            new = server is None
            server = server or _Server(self._setup)
            try:
                socket.send_fds(server.control, [b"!"], descriptors)
                return server
            except OSError:
                server.end()  # it died meanwhile
                if new:
                    raise

    def _take_back(self, server: "_Server", *, fit: bool) -> None:
        with self._lock:
            if fit and not self._closed:
                self._idle.append(server)
                return
        server.end()

    def _missing(self) -> str:
        """What keeps this level from working here; "" if nothing does: found out by trying."""
        try:
            run = self.run("print(6 * 7)")
        except OSError as error:
            return str(error)
        return "" if run.stdout == b"42\n" else run.detail or run.stderr[-300:]


def _memory_file(data: bytes) -> int:
    """A descriptor of a file without a name that holds `data`, to be read from its start."""
    file = os.memfd_create("program")
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
        os.lseek(file, 0, os.SEEK_SET)
    except BaseException:
        os.close(file)
        raise
    return file


class _Server:
    """The fork-server's process."""

    def __init__(self, setup: dict[str, Any]) -> None:
        if sys.platform != "linux":
            raise InputError("the sandbox needs Linux")
        self.control, theirs = socket.socketpair()
        boot = _BOOT.format(root=PACKAGE_ROOT, control=theirs.fileno(), setup=setup)
        # as -I does, but with hashes fixed: whether a program that prints a set is right must not depend on the server
        command = [os.path.realpath(sys.executable), "-s", "-P", "-S", "-X", "utf8", "-c", boot]
        quiet = subprocess.DEVNULL
        options: dict[str, Any] = {"env": {"PYTHONHASHSEED": "0"}, "pass_fds": [theirs.fileno()], "start_new_session": True}
        try:
            self._process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, **options)
        except BaseException:
            self.control.close()
            raise
        finally:
            theirs.close()
        self._finalizer = weakref.finalize(self, _end_server, self.control, self._process)
        answer = self.control.recv(1 << 16)
        error = json.loads(answer).get("error", "") if answer else "the sandbox server died as it started"
        if error:
            self.end()
            raise OSError(error)

    def end(self) -> None:
        self._finalizer()


def _end_server(control: socket.socket, process: subprocess.Popen[bytes]) -> None:
    control.close()
    try:
        process.wait(timeout=2.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def probe(level: Level) -> str:
    """What keeps a level from working on this machine, in one line; "" if it works."""
    sandbox = object.__new__(Sandbox)
    sandbox.level = level
    sandbox._setup = {"level": level, "paths": [], "preload": []}
    sandbox._lock, sandbox._idle, sandbox._closed = threading.Lock(), [], False
    try:
        return sandbox._missing()
    finally:
        sandbox.close()
