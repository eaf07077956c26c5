"""Lean in processes of this machine: the Lean REPL (`lake env path/to/repl`), which reads and writes JSON objects.

A process imports a header once and keeps it under an environment's number; a body is a command in that environment, the audit
another one in the environment that the body made, so the two answers cannot be confused. Each answer must bring a number that is
new: a reply too many, or one that belongs to an earlier request, ends the process. So do the deadline, an answer that is no JSON,
too much of it, and a fixed number of proofs (environments are never freed).

A process is killed with its group, and dies with this process even if that is killed. Its address space is limited. Not covered:
it runs with the user's rights, so what keeps a proof from running code is `lean_screen.py` and nothing else.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from typing import Any

from verifiers.child_environment import PACKAGE_ROOT
from verifiers.child_process import ChildProcess, die_with, how_it_ended
from verifiers.input_error import InputError
from verifiers.proofs.lean_transport import LeanFailure, LeanTimeout, Reply, read_reply
from verifiers.resource_limits import set_limit

_LONGEST_REPLY = 16 << 20
_MAX_HEADERS = 8  # of one process; each import of Mathlib keeps memory
_FILE_SIZE = 64 << 20  # of any file that Lean writes, standard error among them
_LAUNCH = f"import sys; sys.path.insert(0, {PACKAGE_ROOT!r}); from verifiers.proofs.lean_repl import become; become(*sys.argv[1:])"


def become(lifeline: str, memory: str, *command: str) -> None:
    """Turn this process, which was started for it, into the REPL, under its limits; it ends when our end of the lifeline closes."""
    die_with(int(lifeline))
    for name, value in (("AS", int(memory)), ("FSIZE", _FILE_SIZE), ("CORE", 0)):
        set_limit(name, value)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


class LeanRepl:
    """Runs `command` in at most `processes` processes, each limited to `memory` bytes and replaced after `recycle_after` proofs.

    Raises InputError if the command is empty or has unmatched quotes. One that cannot be run fails at the first proof.
    """

    def __init__(self, command: str, *, processes: int = 1, memory: int = 16 << 30, recycle_after: int = 200) -> None:
        if sys.platform != "linux":
            raise InputError("the Lean REPL's process limits need Linux; use a Lean server (RECKON_LEAN_URL)")
        try:
            self._command = shlex.split(command)
        except ValueError as error:
            raise InputError(f"the command of the Lean REPL, {command!r}, cannot be split: {error}") from None
        if not self._command or min(processes, memory, recycle_after) < 1:
            raise InputError("the Lean REPL needs a command, and limits of at least 1")
        self._memory, self._recycle_after = memory, recycle_after
        self._free = threading.Semaphore(processes)
        self._lock = threading.Lock()
        self._idle: list[_Process] = []

    def close(self) -> None:
        """End the processes that wait. Those at work end with their proof."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.kill()

    def elaborate(self, header: str, body: str, audit: str, deadline: float) -> Reply:
        if not self._free.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise LeanTimeout("no Lean process became free in time")
        try:
            with self._lock:
                process = self._idle.pop() if self._idle else None
            if process is not None:
                with suppress(LeanFailure):  # it may have died of what came before: once more, in a new one
                    return self._ask(process, header, body, audit, deadline)
            return self._ask(_Process(self._command, self._memory), header, body, audit, deadline)
        finally:
            self._free.release()

    def _ask(self, process: "_Process", header: str, body: str, audit: str, deadline: float) -> Reply:
        fit = False
        try:
            reply = process.elaborate(header, body, audit, deadline)
            fit = process.served < self._recycle_after and len(process.headers) <= _MAX_HEADERS
            return reply
        finally:
            if fit:
                with self._lock:
                    self._idle.append(process)
            else:
                process.kill()


class _Process:
    """One REPL: its pipes, the environments of the headers that it has imported, and the last environment's number."""

    def __init__(self, command: list[str], memory: int) -> None:
        self.served = 0
        self.headers: dict[str, int] = {}
        self._newest = -1
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed by kill
        start = [sys.executable, "-I", "-S", "-c", _LAUNCH]
        try:
            self._child = ChildProcess(lambda lifeline: [*start, str(lifeline), str(memory), *command], stderr=self._stderr)
        except (OSError, ValueError) as error:  # no such program; a null byte in the command
            self._stderr.close()
            raise LeanFailure(f"the Lean REPL cannot be started: {error}") from None

    def elaborate(self, header: str, body: str, audit: str, deadline: float) -> Reply:
        self.served += 1
        environment = self._import(header, deadline) if header.strip() else None
        made, reply = self._command(body, environment, deadline)
        if any(message.severity == "error" for message in reply.messages):
            return reply  # the theorem was not declared: there is nothing to audit
        _, answer = self._command(audit, made, deadline)
        return Reply(reply.messages, reply.sorries + answer.sorries, answer.messages)

    def _import(self, header: str, deadline: float) -> int:
        if header not in self.headers:
            environment, reply = self._command(header, None, deadline)
            for message in reply.messages:
                if message.severity == "error":
                    raise LeanFailure(f"the imports fail: {message.text[:300]}")
            self.headers[header] = environment
        return self.headers[header]

    def _command(self, text: str, environment: int | None, deadline: float) -> tuple[int, Reply]:
        request = {"cmd": text} | ({} if environment is None else {"env": environment})
        response = self._exchange(json.dumps(request).encode() + b"\n\n", deadline)
        reply = read_reply(response)
        made = response.get("env")
        if type(made) is not int or made <= self._newest:
            raise LeanFailure(f"the REPL answers with environment {made!r:.40} after {self._newest}: not the answer to this request")
        self._newest = made
        return made, reply

    def _exchange(self, data: bytes, deadline: float) -> dict[str, Any]:
        """Send a request and read the JSON object up to the blank line that ends it."""
        if self._child.take_unasked().strip():
            raise LeanFailure("the REPL said something that it was not asked")
        text = b""
        try:
            while not text.strip():  # JSON has no line break within a text
                text = self._child.exchange(data, end=b"\n\n", until=deadline, longest=_LONGEST_REPLY)
                data = b""
            response = json.loads(text)
        except TimeoutError:
            raise LeanTimeout("Lean was not done in time") from None
        except EOFError:
            raise LeanFailure(self._how_it_ended()) from None
        except OverflowError as error:
            raise LeanFailure(f"the REPL's reply is {error}") from None
        except (ValueError, RecursionError):
            raise LeanFailure(f"the REPL's reply is not JSON: {text[:80]!r}") from None
        if not isinstance(response, dict):
            raise LeanFailure(f"the REPL's reply is {response!r:.80}, not an object")
        return response

    def _how_it_ended(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._child.process.wait(timeout=1.0)
        code = self._child.process.returncode
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - 300))
        last = self._stderr.read().decode(errors="replace").strip().rpartition("\n")[2]
        how = "closed its output" if code is None else how_it_ended(code)
        return f"the Lean REPL died: {how}" + (f" ({last})" if last else "")

    def kill(self) -> None:
        self._child.kill_group()
        self._child.process.wait()
        self._stderr.close()
