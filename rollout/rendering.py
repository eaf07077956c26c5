"""A chat template is a program that came with the model: it is first run in a process that can be killed.

jinja's sandbox keeps it from files and from Python; nothing there keeps it from loops that never end, or from texts without bound.
"""

import contextlib
import os
import resource
import select
import signal
import time
import warnings
from collections.abc import Callable, Sequence

from verifiers.input_error import InputError
from verifiers.resource_limits import address_space, set_limit

SECONDS = 10  # of processor time, for one prompt; real templates take a thousandth
_WALL_SECONDS = 120.0  # without a word, on a machine that is busy with other things
_MEMORY = 2 << 30  # bytes beyond what this process has
_CHARACTERS = 50_000_000
_DONE, _TOO_LONG = b".", b"+"


def rendered_in_time(calls: Sequence[tuple[str, Callable[[], str]]]) -> None:
    """Raises InputError, with the name, for a call that does not return within its deadline or returns without bound.

    All run in one forked child, so this must come before the process has threads that hold locks, or once. What a call raises is not
    told: the caller hears it when it calls.
    """
    outlet, inlet = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of threads; the child takes none of their locks
        child = os.fork()
    if not child:
        _render_in_child(calls, inlet)
    os.close(inlet)
    done, last, until = 0, b"", time.monotonic() + _WALL_SECONDS
    try:
        while True:
            ready, _, _ = select.select([outlet], [], [], max(0.0, until - time.monotonic()))
            said = os.read(outlet, 4096) if ready else b""
            if not said:
                break
            done, last, until = done + len(said), said[-1:], time.monotonic() + _WALL_SECONDS
    finally:
        os.close(outlet)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if last == _TOO_LONG:
        raise InputError(f"{calls[done - 1][0]}: the model's chat template makes more than {_CHARACTERS:,} characters of it; {_REMEDY}")
    if done < len(calls):
        raise InputError(f"{calls[done][0]}: the model's chat template did not end within {SECONDS} s or took too much memory; {_REMEDY}")


_REMEDY = "mend the template in its tokenizer's folder, or do without it (--no-chat-template)"


def _render_in_child(calls: Sequence[tuple[str, Callable[[], str]]], inlet: int) -> None:
    """In the child, which ends here."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGXCPU):
            signal.signal(number, signal.SIG_DFL)
        set_limit("AS", address_space() + _MEMORY)
        set_limit("CORE", 0)
        for _, call in calls:
            used = resource.getrusage(resource.RUSAGE_SELF)
            set_limit("CPU", int(used.ru_utime + used.ru_stime) + 1 + SECONDS, for_good=False)
            length = 0
            try:
                length = len(call())
            except MemoryError:
                break
            except Exception:  # noqa: BLE001  # the caller hears it when it calls
                pass
            os.write(inlet, _TOO_LONG if length > _CHARACTERS else _DONE)
            if length > _CHARACTERS:
                break
    finally:
        os._exit(0)
