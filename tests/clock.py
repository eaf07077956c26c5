"""Time that a busy machine does not stretch: processor seconds of this process, counted against a fixed piece of work.

A loaded core gives less in a processor second too (a shared core, a lower clock), so what a test takes is divided by how much longer
than on the idle machine of reference the fixed work takes, just before and just after. What the suite has heaped up until then is kept
out of it too: late in a suite one full garbage collection walks millions of its objects, a second that the measured code did not cause.
"""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_REFERENCE = 0.0075  # processor seconds of `_work` on an idle core of the machine on which the suite's bounds were set


@dataclass
class Spent:
    seconds: float = float("inf")


def stopwatch() -> Callable[[], float]:
    """Started now; called, it tells the processor seconds of this process since then, as an idle machine would have taken them."""
    before = _slowness()
    gc.freeze()
    begin = time.process_time()

    def took() -> float:
        seconds = time.process_time() - begin
        gc.unfreeze()
        return seconds / max(1.0, before, _slowness())

    return took


@contextmanager
def processor_time() -> Iterator[Spent]:
    """Yields what holds, after the block, the seconds that `stopwatch` tells of it."""
    spent = Spent()
    took = stopwatch()
    yield spent
    spent.seconds = took()


def _slowness() -> float:
    """How many times as long as on an idle machine the fixed work takes now: the longest of three."""
    return max(_work() for _ in range(3)) / _REFERENCE


def _work() -> float:
    begin = time.process_time()
    words: dict[str, int] = {}
    for number in range(25_000):
        word = f"{number % 997}"
        words[word] = words.get(word, 0) + len(word.split("9"))
    return time.process_time() - begin
