"""The fork-server behind `local_sandbox.py`, started by it and by nothing else: a warm interpreter that forks once for each program, under
limits of memory, time and output.

    server      becomes nobody, makes namespaces; for each program reads its three streams and its limits from the control socket,
                forks, waits with a deadline, kills, and sends one report: how the program ended and what it used. It sees no
                output and knows no tests
    program     process 1 of its namespace: limits, Landlock, seccomp, then the code, in this interpreter or in a fresh one, or a
                command

The text of the program comes in a file of its own that the server does not read: no program finds its predecessor's in memory.
A byte on the control socket while a program runs means that nobody wants its result any more, and it is killed. Everything
after the fork runs in a process that the program will own, so nothing of value is in it: no answers, no descriptors, no
environment.
"""

import atexit
import builtins
import contextlib
import fcntl
import gc
import importlib
import json
import os
import platform
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
import types
from collections.abc import Callable
from typing import Any, NoReturn

from verifiers.resource_limits import address_space, set_limit
from verifiers.sandboxes import landlock, namespaces, process_tree, system_call_filter

_SAMPLE = 0.05  # seconds between looks at the memory of all processes of a program
_STACK = 64 << 20
_PYTHON = ("-s", "-P", "-S", "-X", "utf8")
_EXITS = "import builtins, sys; builtins.exit = builtins.quit = sys.exit; "  # as `site` has it, which is left out
_FRESH = (
    f"{_EXITS}sys.argv[:] = ['main.py']; __file__ = 'main.py'; del builtins, sys; "
    "exec(compile(open(__file__, 'rb').read(), __file__, 'exec'))"
)
_PATH = "/usr/local/bin:/usr/bin:/bin"


def main(control: int, setup: dict[str, Any]) -> None:
    """Serve one program after the other until the parent closes the control socket."""
    link = socket.socket(fileno=control)
    try:
        for name in setup["preload"]:
            importlib.import_module(name)
        host = _Host(setup)
        if setup["level"] == "strict":
            host.go_under()
    except (OSError, ImportError) as error:
        _send_report(link, {"error": str(error)})
        return
    _send_report(link, {})
    gc.collect()
    gc.freeze()
    while True:
        message, streams, _, _ = socket.recv_fds(link, 1, 4)
        if not message:
            return
        if message != b"!":  # a stop that came too late
            continue
        request = _read_request(link)
        if request is None:
            return
        try:
            report = host.see_through(link, request, streams)
        except OSError as error:
            report = {"error": str(error)}
        _send_report(link, report)


class _Host:
    """What all programs of a server share: the level of isolation and what may be read."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self._level = setup["level"]
        self._proc = namespaces.open_proc()
        self._executable = os.path.realpath(sys.executable)
        self._paths = list(setup["paths"])
        self._mapped = address_space()
        self._trees = ["/"]
        if self._level in ("strict", "landlock") and not landlock.version():
            raise OSError("Landlock is absent or turned off in this kernel")
        if self._level != "rlimits" and not system_call_filter.supported():
            raise OSError(f"no system call filter for {platform.machine()}")
        if self._level == "strict":
            namespaces.enter_new_root(setup["paths"])
        else:
            self._trees = [*namespaces.readable_trees(setup["paths"]), *(f"/dev/{name}" for name in ("null", "zero", "random", "urandom"))]
        namespaces.become_nobody()
        if not os.access(self._executable, os.R_OK | os.X_OK):
            raise OSError(f"the user nobody cannot read {self._executable}: start as another user than root")
        signals_open = self._level == "landlock" and landlock.version() < landlock.SIGNALS_SINCE
        self._filter = (
            system_call_filter.Filter(system_call_filter.build_filter()) if system_call_filter.supported() and not signals_open else None
        )
        self._fork: Callable[[], int] = os.fork
        if self._level != "strict":
            namespaces.adopt_orphans()
        sys.path[:] = [*sys.path[1:], *setup["paths"]]  # the first entry was ours

    def go_under(self) -> None:
        """Go on as process 1 of new namespaces, with which all programs end; the process that was started waits for it."""
        namespaces.isolate(self._proc)
        server = os.fork()
        if server:
            os.waitpid(server, 0)
            os._exit(0)
        namespaces.die_with_parent()
        self._fork = namespaces.PidNamespaces(self._proc).fork

    def see_through(self, link: socket.socket, request: dict[str, Any], streams: list[int]) -> dict[str, Any]:
        """Run one program to its end, whatever that takes. Returns the report."""
        limits = request["limits"]
        strict = self._level == "strict"
        folder = "/tmp" if strict else tempfile.mkdtemp(prefix="reckon-sandbox-")
        others = 2 if strict else process_tree.count_threads()
        trouble, tell = os.pipe2(os.O_CLOEXEC)
        begin = time.monotonic()
        program = self._fork()
        if program == 0:
            self._become(request, streams, folder, tell, others)  # does not return
        for descriptor in (*streams, tell):
            os.close(descriptor)
        try:
            reason = self._watch(program, link, begin + limits["wall"], limits["memory"])
            wall = time.monotonic() - begin
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(program, signal.SIGKILL)
            _, status, usage = os.wait4(program, 0)
            if not strict:
                _kill_descendants(self._proc)
                shutil.rmtree(folder, ignore_errors=True)
        told = os.read(trouble, 4096).decode(errors="replace")
        os.close(trouble)
        code = os.waitstatus_to_exitcode(status)
        if told:
            return {"error": told}
        cpu = usage.ru_utime + usage.ru_stime
        return {"code": code, "killed": reason, "wall": wall, "cpu": cpu, "rss": usage.ru_maxrss * 1024}

    def _watch(self, program: int, link: socket.socket, deadline: float, memory: int) -> str:
        """Wait for the program's end. Returns "" if it ended by itself, or why it must be killed."""
        process = os.pidfd_open(program)
        poll = select.poll()
        poll.register(process, select.POLLIN)
        poll.register(link, select.POLLIN)
        try:
            while True:
                left = deadline - time.monotonic()
                if left <= 0:
                    return "wall"
                events = dict(poll.poll(1000 * min(left, _SAMPLE)))
                if process in events:
                    return ""
                if events:
                    return "gone"
                if process_tree.resident(self._proc) > memory:
                    return "memory"
        finally:
            os.close(process)

    def _become(self, request: dict[str, Any], streams: list[int], folder: str, tell: int, others: int) -> NoReturn:
        """The program's process: lock the doors, then run it. Does not return."""
        code = 1
        limits, command = request["limits"], request["command"]
        alone = command or request["fresh"]  # in a process image of its own
        try:
            os.setsid()
            text = fcntl.fcntl(streams[3], fcntl.F_DUPFD_CLOEXEC, 64)  # out of the way of what comes next
            for target, descriptor in enumerate(streams[:3]):
                os.dup2(descriptor, target)
            os.dup2(tell, 3, inheritable=False)
            os.dup2(text, 4, inheritable=False)
            os.closerange(5, 1 << 20)
            if self._level == "strict":
                stdin = _read_all(0) if request["whole_stdin"] else b""
                namespaces.private_tmp(limits["file_size"] + len(stdin))
                if stdin:
                    namespaces.present_stdin(stdin)
                del stdin  # its memory is not the program's
            os.chdir(folder)
            _set_limits(limits, others, self._mapped + (command["spare_memory"] if command else 0))
            namespaces.drop_privileges()
            if alone:
                _write_executable(4, command["file"] if command else "main.py")
            else:
                source = _read_all(4).decode("utf-8", "surrogatepass")
                os.close(4)
            if self._level != "rlimits":
                landlock.restrict(self._trees, [folder, "/dev/null"])
                (self._filter or system_call_filter.Filter(system_call_filter.build_filter(only_signal=os.getpid()))).install()
            if alone:
                argv = command["argv"] if command else [self._executable, *_PYTHON, "-c", _FRESH]
                os.execve(argv[0], argv, self._environment(command, folder))
        except BaseException as error:  # noqa: BLE001  # told to the supervisor: nothing has run yet
            os.write(3, f"{type(error).__name__}: {error}".encode(errors="replace")[:4000] or b"?")
            os._exit(1)
        os.close(3)
        try:
            code = _run_python(source, request["entry"])
        finally:
            os._exit(code)

    def _environment(self, command: dict[str, Any] | None, folder: str) -> dict[str, str]:
        if command:
            return {"PATH": _PATH, "HOME": folder, "TMPDIR": folder}
        return {"PYTHONHASHSEED": "0"} | ({"PYTHONPATH": ":".join(self._paths)} if self._paths else {})


def _read_all(descriptor: int) -> bytes:
    with open(descriptor, "rb", closefd=False) as file:
        return file.read()


def _write_executable(descriptor: int, name: str) -> None:
    """What a descriptor holds, as a file in this folder that may be executed."""
    with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o700), "wb") as file:
        file.write(_read_all(descriptor))


def _send_report(link: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(ConnectionError):  # the parent has gone, and the next read will say so
        link.sendall(json.dumps(message).encode() + b"\n")


def _read_request(link: socket.socket) -> dict[str, Any] | None:
    """The program and its limits: JSON after its length in eight bytes. None if the other side has gone."""
    data = bytearray()
    size = None
    while size is None or len(data) < size:
        piece = link.recv(min(1 << 16, 8 - len(data) if size is None else size - len(data)))
        if not piece:
            return None
        data += piece
        if size is None and len(data) >= 8:
            size = int.from_bytes(data[:8], "big")
            del data[:8]
    return dict(json.loads(data.decode("utf-8", "surrogatepass")))


def _set_limits(limits: dict[str, Any], others: int, mapped: int) -> None:
    """The kernel's own limits, which children inherit and nobody here can raise again.

    `others` threads of this user and `mapped` bytes of this interpreter are there before the program is.
    """
    wanted = {
        "CPU": int(limits["cpu"]) + 1, "AS": limits["memory"] + mapped, "NPROC": limits["processes"] + others,
        "FSIZE": limits["file_size"], "NOFILE": limits["open_files"], "CORE": 0, "STACK": _STACK, "MEMLOCK": 0, "MSGQUEUE": 0,
        "SIGPENDING": 256,
    }  # fmt: skip
    for name, value in wanted.items():
        set_limit(name, value)


def _save_source(source: str) -> None:
    with open("main.py", "w", encoding="utf-8", errors="surrogatepass") as file:
        file.write(source)


def _run_python(source: str, entry: str) -> int:
    """Run the program, or the `main` of a module, as if this interpreter had been started with it. Returns its exit code."""
    os.environ.clear()
    gc.enable()
    sys.argv = ["main.py"]
    vars(builtins).update(exit=sys.exit, quit=sys.exit)  # what `site` would have added
    for name in [name for name in sys.modules if name.split(".")[0] == "verifiers"]:
        if not entry:
            del sys.modules[name]
    code = 0
    try:
        if entry:
            sys.modules[entry].main()
        else:
            module = types.ModuleType("__main__")
            sys.modules["__main__"] = module
            vars(module).update(__file__="main.py", __builtins__=__builtins__)
            exec(compile(source.removeprefix("\ufeff"), "main.py", "exec"), vars(module))  # noqa: S102  # what all these locks are for
    except SystemExit as end:
        code = _exit_code(end)
    except BaseException as error:  # noqa: BLE001  # the program's: printed, as Python does
        code = 1
        _print_error(error, source)
    return _finish_interpreter(code)


def _exit_code(end: SystemExit) -> int:
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code & 0xFF
    print(end.code, file=sys.stderr)
    return 1


def _print_error(error: BaseException, source: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        _save_source(source)  # so that the traceback can quote it
    trace = error.__traceback__
    error.__traceback__ = trace.tb_next if trace else None  # the first frame is ours
    sys.excepthook(type(error), error, error.__traceback__)


def _finish_interpreter(code: int) -> int:
    """What an interpreter does at its end, short of tearing itself down."""
    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            code = code or 120
    return code


def _kill_descendants(proc: int) -> None:
    """End what escaped its parent, as often as it takes: without a pid namespace nothing else does."""
    while True:
        for pid in list(process_tree.descendants(proc)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.001)
