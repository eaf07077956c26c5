"""What the main thread is doing, in one word, told to whoever listens: nobody, but while a step is traced.

Phases lie within each other; the innermost counts. Other threads are not heard.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable


@runtime_checkable
class Listener(Protocol):
    def begin(self, phase: str) -> None: ...

    def end(self) -> None: ...


_listener: Listener | None = None


def begin(phase: str) -> None:
    if _listener and threading.current_thread() is threading.main_thread():
        _listener.begin(phase)


def end() -> None:
    """Of the innermost."""
    if _listener and threading.current_thread() is threading.main_thread():
        _listener.end()


@contextmanager
def phase(name: str) -> Iterator[None]:
    begin(name)
    try:
        yield
    finally:
        end()


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    global _listener
    before, _listener = _listener, listener
    try:
        yield
    finally:
        _listener = before
