"""A process of ours that does not outlive us: its pipes, its lifeline, and how it ended.

The parent keeps one end of a pipe, the lifeline, and the kernel kills the child's whole group when that end closes, however the parent
ends. A child has the user's rights: this is no sandbox.
"""

import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any


class ChildProcess:
    """A process in a group of its own, with pipes that never block. Raises what `subprocess.Popen` raises.

    `command` is given the number of the descriptor that the child hands to `die_with`.
    """

    def __init__(self, command: Callable[[int], Sequence[str]], **options: Any) -> None:
        lifeline, self._lifeline = os.pipe()
        try:
            self.process = subprocess.Popen(
                command(lifeline),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # a group to kill, and no Ctrl-C from the terminal
                pass_fds=(lifeline,),
                **options,
            )
        except BaseException:
            os.close(self._lifeline)
            raise
        finally:
            os.close(lifeline)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.inlet, self.outlet = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self.inlet, False)
        os.set_blocking(self.outlet, False)
        self._arrived = bytearray()

    def exchange(self, data: bytes, *, end: bytes, until: float, longest: int) -> bytes:
        """Send `data` and wait for what comes up to `end`. Raises TimeoutError, EOFError (there will be no more) and OverflowError."""
        outgoing, searched = memoryview(data), 0
        while (found := self._arrived.find(end, searched)) < 0:
            searched = max(0, len(self._arrived) - len(end) + 1)
            if len(self._arrived) > longest:
                raise OverflowError(f"longer than {longest} bytes")
            poll = select.poll()
            poll.register(self.outlet, select.POLLIN)
            if outgoing:
                poll.register(self.inlet, select.POLLOUT)
            left = until - time.monotonic()
            events = dict(poll.poll(1000 * left) if left > 0 else [])
            if not events:
                raise TimeoutError
            if self.inlet in events:
                try:
                    outgoing = outgoing[os.write(self.inlet, outgoing[: 1 << 16]) :]
                except BrokenPipeError:
                    outgoing = memoryview(b"")  # how it ended is seen where it is read from
            if self.outlet in events:
                piece = os.read(self.outlet, 1 << 16)
                if not piece:
                    raise EOFError
                self._arrived += piece
        answer = bytes(self._arrived[:found])
        del self._arrived[: found + len(end)]
        return answer

    def take_unasked(self) -> bytes:
        """What it has said meanwhile, of which the end counts when the next answer does not come."""
        data = bytes(self._arrived)
        self._arrived.clear()
        with suppress(BlockingIOError):
            data += os.read(self.outlet, 1 << 16)
        return data

    def kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.let_go()

    def let_go(self) -> None:
        """Close our ends of its pipes. A forked child must, or the process would outlive the parent that it belongs to."""
        os.close(self._lifeline)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()


def die_with(lifeline: int) -> None:
    """Have the kernel kill this process group when the last write end of the pipe `lifeline` closes, whatever runs then.

    PR_SET_PDEATHSIG would not do: it fires when the *thread* that started the process ends. Where a pipe cannot signal (not
    Linux), a child still ends when it next reads its input.
    """
    if sys.platform == "linux":
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
        with suppress(BlockingIOError):
            if os.read(lifeline, 1) == b"":  # it closed before the signal was arranged
                os._exit(0)


def how_it_ended(code: int) -> str:
    """A process's exit code in words."""
    names = {member.value: member.name for member in signal.Signals}
    return f"signal {names.get(-code, -code)}" if code < 0 else f"exit code {code}"
