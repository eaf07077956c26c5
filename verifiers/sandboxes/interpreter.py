"""A Python interpreter for a policy that uses tools: code in, what it printed out, and its variables, imports and files are kept.

    with Session() as session:
        session.run("import math\\nr = 2")
        session.run("math.pi * r**2").output        # '12.566370614359172\\n'

The process is one of `local_sandbox.py`, isolated as any program there, for as long as the session lasts. Output is what a prompt would
show: both streams in the order of writing, the value of a last expression, a traceback. Code that takes longer than its deadline is
interrupted, and the session goes on with what it had; where the interrupt has no effect within a second, the session is killed. It
also ends by using too much memory, by exiting the process, and by forging a reply; after that, every answer says so.

Output and `ended` are the program's own words, as everything that comes out of a sandbox: they are for the policy to read, and no
reward may be taken from them. Not covered: standard input (it is empty), and figures or other rich output.
"""

import json
import secrets
import sysconfig
import time
from dataclasses import dataclass
from types import TracebackType

from verifiers.input_error import InputError
from verifiers.sandboxes.chosen_sandbox import local_sandbox
from verifiers.sandboxes.local_sandbox import Sandbox
from verifiers.sandboxes.running_program import Limits, Outcome

SESSION = "verifiers.sandboxes.in_sandbox_session"
_INSIST = 1.0  # seconds between the interrupt and the kill
_LIBRARY = sysconfig.get_path("stdlib")  # a path of the host's, which tracebacks have
_LIFE = 3600.0
_OUTPUT = 8_000
_STATUS = {"ok": Outcome.OK, "error": Outcome.RUNTIME_ERROR, "timeout": Outcome.TIMEOUT}


@dataclass(frozen=True, slots=True)
class CellResult:
    """What came of one piece of code. `status` is ok, runtime_error (an exception), timeout, or why the session ended."""

    output: str
    status: Outcome
    alive: bool
    """Whether the session goes on."""
    seconds: float


def interpreter_sandbox() -> Sandbox:
    """Where sessions run. Raises InputError if there is no sandbox on this machine."""
    return local_sandbox("an interpreter for tools must be on this machine", preload=(SESSION,))


class Session:
    """An interpreter with a state. For one thread; any number of sessions may run at once, each in a process of its own.

    `sandbox` is by default the one that RECKON_SANDBOX names; one of your own must have it in memory: `Sandbox(preload=[SESSION])`.
    `lifetime` is in seconds; `memory`, in bytes, is of all its processes together. Raises InputError where there is no sandbox, or one that
    cannot hold a session.
    """

    def __init__(
        self, *, sandbox: Sandbox | None = None, memory: int = 1 << 30, lifetime: float = _LIFE, max_output: int = _OUTPUT
    ) -> None:
        sandbox = sandbox or interpreter_sandbox()
        if SESSION not in sandbox.preloaded:
            raise InputError("this sandbox cannot hold a session; make it as Sandbox(preload=[SESSION]), or leave sandbox= out")
        self._max_output = max_output
        self._program = sandbox.start("", entry=SESSION, limits=Limits(wall=lifetime, memory=memory, output=1 << 16))
        self._ended = ""
        self._outcome = Outcome.OK
        self._closed = False

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def run(self, code: str, deadline: float = 10.0) -> CellResult:
        """Run code for at most `deadline` seconds, and a second more if it does not heed the interrupt. Never raises for what it does."""
        begin = time.monotonic()
        if self._ended:
            return CellResult(self._ended, self._outcome, alive=False, seconds=0.0)
        nonce = secrets.token_hex(16)
        self._program.write(json.dumps({"nonce": nonce, "code": code, "seconds": max(0.001, deadline)}).encode() + b"\n")
        try:
            line = self._program.read_line(until=begin + deadline + _INSIST)
        except TimeoutError:
            return self._end(begin, Outcome.TIMEOUT, f"not done after {deadline:g} s, and it did not heed the interrupt")
        if line is None:
            return self._end(begin)
        status = _status(line, nonce)
        if status is None:
            return self._end(begin, Outcome.RUNTIME_ERROR, "something else than the interpreter answered")
        note = f"[stopped: not done after {deadline:g} s]\n" if status is Outcome.TIMEOUT else ""
        return CellResult(self._shorten(self._program.take_errors()) + note, status, alive=True, seconds=time.monotonic() - begin)

    def close(self) -> None:
        """End the interpreter and all its processes. Closing twice is harmless."""
        if not self._closed:
            self._closed = True
            self._program.stop()
            self._program.finish()
        self._ended = self._ended or "[the session is closed]\n"

    def _end(self, begin: float, status: Outcome | None = None, why: str = "") -> CellResult:
        """The last answer of a session: what it printed, and why there is no more."""
        self._program.stop()
        output = self._shorten(self._program.take_errors())
        run = self._program.finish()
        self._closed = True
        if status is None:
            status, why = run.status, run.detail or "the process exited"
            if status is Outcome.OK:
                status = Outcome.RUNTIME_ERROR
            output += self._shorten(run.stderr.encode())
        self._outcome, self._ended = status, f"[the session has ended: {why}]\n"
        return CellResult(output + self._ended, status, alive=False, seconds=time.monotonic() - begin)

    def _shorten(self, output: bytes) -> str:
        text = output.decode("utf-8", "replace").replace(_LIBRARY, "<library>")
        if len(text) <= self._max_output:
            return text
        half = self._max_output // 2
        return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[len(text) - half :]}"


def _status(line: bytes, nonce: str) -> Outcome | None:
    """How the code ended, from the interpreter's reply; None for any other line."""
    try:
        reply = json.loads(line)
        return _STATUS[reply["ended"]] if secrets.compare_digest(reply["nonce"].encode(), nonce.encode()) else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
