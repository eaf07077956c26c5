"""Runs Python code that means harm, and reports how it ended, what it printed and what it used. Linux; no root, no daemon.

    level       what holds the program
    strict      own user, pid, network, IPC, host name and mount namespaces (a root with the interpreter and the system's libraries
                only, read-only; no /proc; an empty /tmp of limited size), Landlock, seccomp, limits, no_new_privs
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
import os
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from types import TracebackType
from typing import Any, Literal

from verifiers.child_environment import PACKAGE_ROOT
from verifiers.input_error import InputError
from verifiers.sandboxes.running_program import Command, Limits, Program, Run

Level = Literal["strict", "landlock", "rlimits"]
LEVELS: tuple[Level, ...] = ("strict", "landlock", "rlimits")
_WALLS: tuple[Level, ...] = ("strict", "landlock")  # what may be recommended: `rlimits` holds nothing
WARM_MODULES = (
    "bisect", "collections", "copy", "functools", "heapq", "itertools", "json", "math", "operator", "random", "re", "string", "typing",
)  # fmt: skip
_LACKS = {
    "landlock": "files can be seen to exist, and processes share the host's pid and network namespaces",
    "rlimits": "the network, files of this user and other processes are NOT protected",
}
_BOOT = "import sys; sys.path.insert(0, {root!r}); from verifiers.sandboxes import fork_server; fork_server.main({control}, {setup!r})"


class _Programs:
    """Programs at one level of isolation, of which nobody has tried yet whether it is to be had, and the servers that start them."""

    def __init__(self, level: Level, paths: Sequence[str] = (), preload: Sequence[str] = ()) -> None:
        self.level: Level = level
        self._setup = {"level": level, "paths": [os.path.abspath(path) for path in paths], "preload": list(preload)}
        self.preloaded = tuple(preload)
        self._lock = threading.Lock()
        self._idle: list[_Server] = []
        self._closed = False

    def missing(self) -> str:
        """What keeps this level from working here; "" if nothing does: found out by trying."""
        try:
            run = self.run("print(6 * 7)")
        except OSError as error:
            return str(error)
        return "" if run.stdout == b"42\n" else run.detail or run.stderr[-300:]

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
        settings = asdict(limits) | {"cpu": limits.cpu_seconds}
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
        streams = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
        return Program(server.control, limits, streams, self.level, partial(self._take_back, server))

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

    def _take_back(self, server: "_Server", fit: bool) -> None:
        with self._lock:
            if fit and not self._closed:
                self._idle.append(server)
                return
        server.end()


class Sandbox(_Programs):
    """Runs programs at one level of isolation. Any number of threads may use it: there are as many servers as programs at once.

    `paths` are folders that programs may read and import from (with `-S`, site-packages is not one of them); `preload` are modules
    that the warm interpreter has imported already. Raises InputError, saying what is missing and which level works, if the level
    is not to be had here. The servers end with `close()`, the `with` block, or this process.
    """

    def __init__(self, level: Level = "strict", *, paths: Sequence[str] = (), preload: Sequence[str] = WARM_MODULES) -> None:
        if level not in LEVELS:
            hint = "strict, which is what one gets, does the same" if str(level) == "bwrap" else f"the levels are {', '.join(LEVELS)}"
            raise InputError(f"there is no isolation level {level!r}; {hint}")
        super().__init__(level, paths, preload)
        if missing := self.missing():
            others = [other for other in _WALLS if other != level and not probe(other)]
            remedy = (
                f"level={others[0]!r} works here" if others else "a server that speaks SandboxFusion would do: RECKON_SANDBOX=http://..."
            )
            lacks = f", but {_LACKS[others[0]]}" if others and others[0] in _LACKS else ""
            raise InputError(f"no {level} sandbox on this machine: {missing}; {remedy}{lacks}")
        if level in _LACKS:
            print(f"sandbox level {level}: {_LACKS[level]}", file=sys.stderr)

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


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
    programs = _Programs(level)
    try:
        return programs.missing()
    finally:
        programs.close()
