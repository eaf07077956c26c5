"""Ctrl-C and SIGTERM: heard at once wherever the run is, except where something is being changed or written.

The signal becomes an exception in the main thread (`Interrupted`), in the middle of sampling, evaluation or an update, whatever the
engine: a wait for a server or an actor ends too. `uninterrupted` holds it back over what must not be half done: an optimiser's step,
a checkpoint. `raise_if_interrupted` raises it where an exception might have been swallowed (Python drops those of a finaliser), and in
other threads.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_REPEATED = 1.0  # seconds within which a second signal is the same wish: a terminal and a parent process may both pass it on


class Interrupted(KeyboardInterrupt):
    """The run was asked to stop. Its text says what was going on and what is kept."""


@dataclass
class _State:
    installed: bool = False
    asked: float | None = None
    """When, by the monotonic clock."""
    seen: bool = False
    """Whoever owns the run has caught it and is putting things in order."""
    whole: int = 0
    number: int = signal.SIGINT
    """Which signal it was."""
    failure: Exception | None = None
    """What somebody who watches has seen, for the main thread to raise."""


_state = _State()


@contextmanager
def interruptible() -> Iterator[None]:
    """From here on SIGINT and SIGTERM raise Interrupted. Within another such block, or outside of the main thread, it does nothing."""
    if _state.installed or threading.current_thread() is not threading.main_thread():
        yield
        return
    _state.installed, _state.asked, _state.seen, _state.whole, _state.number = True, None, False, 0, signal.SIGINT
    _state.failure = None
    before = {number: signal.signal(number, _handle_signal) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _state.installed, _state.asked = False, None


def _handle_signal(number: int, frame: Any) -> None:
    if _state.failure is not None:  # somebody who watches has woken this thread
        if _state.seen or _state.whole:
            return
        failure, _state.failure = _state.failure, None
        raise failure
    now = time.monotonic()
    if _state.asked is None:
        _state.asked, _state.number = now, number
        if not _state.whole:
            raise Interrupted
    elif now - _state.asked > _REPEATED:  # asked again: at once, whatever is half done
        raise Interrupted


@contextmanager
def uninterrupted() -> Iterator[None]:
    """What is within is done to its end; a signal that came meanwhile raises after it. (A second signal does not wait.)"""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _state.whole += 1
    try:
        yield
    finally:
        _state.whole -= 1
    if not _state.whole:
        raise_if_interrupted()


def raise_if_interrupted() -> None:
    """Raises Interrupted if the run was asked to stop and nobody has dealt with it; in any other thread than the main one, always then."""
    if _state.failure is not None and threading.current_thread() is threading.main_thread() and not (_state.seen or _state.whole):
        failure, _state.failure = _state.failure, None
        raise failure
    if _state.asked is None:
        return
    if threading.current_thread() is not threading.main_thread() or not (_state.seen or _state.whole):
        raise Interrupted


def asked() -> bool:
    """Whether the run was asked to stop and nobody has dealt with it yet: for whoever must end something before it raises."""
    return _state.asked is not None and not _state.seen


def fail(error: Exception) -> None:
    """For a thread that watches over something: the main thread raises `error` where it would hear of a signal."""
    _state.failure = error


def exit_code() -> int:
    """As a shell names a command that the signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + _state.number


def take_over() -> None:
    """Whoever caught Interrupted takes over: nothing here raises it any more, so that what is left can be put in order."""
    _state.seen = True


@contextmanager
def stage(doing: str, kept: str) -> Iterator[None]:
    """Says what an interruption within it interrupted, and what is kept."""
    try:
        yield
    except KeyboardInterrupt as error:
        if str(error):
            raise
        raise Interrupted(f"{doing}; {kept}") from None
