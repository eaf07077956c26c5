"""A command killed in the middle: `kill -9` at a moment that a test names, in a process of its own."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from typing import Any


def killed_when(reached: Callable[[], bool], live: Callable[..., Any], *arguments: Any) -> None:
    """Starts `live(*arguments)`, which ends its process itself, and kills it as soon as `reached()`; it must not have ended before."""
    life = multiprocessing.get_context("fork").Process(target=live, args=arguments)
    life.start()
    until = time.monotonic() + 120
    while not reached() and time.monotonic() < until and life.is_alive():
        time.sleep(0.005)
    assert life.is_alive(), "it ended before it could be killed"
    assert time.monotonic() < until, "what it was to be killed at did not come"
    assert life.pid
    os.kill(life.pid, signal.SIGKILL)
    life.join()
