"""A process of ours that does not outlive us: its pipes, its lifeline, and how it ended.

The parent keeps one end of a pipe, the lifeline, and the kernel kills the child's whole group when that end closes, however the parent
ends. A child has the user's rights: this is no sandbox.
"""

import fcntl
import os
import signal
import subprocess
import sys
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
