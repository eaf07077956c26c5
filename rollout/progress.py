"""How far a long piece of work has come: what samples tells it, and a line about it is shown now and then, on a terminal or not."""

import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

_PAUSES = (8.0, 10.0, 20.0, 20.0)  # seconds between lines, and from then on
_LAST_PAUSE = 60.0


@dataclass
class Progress:
    """One piece of work, such as an evaluation. Told from one thread, read from any."""

    text: str
    total: int
    """Items, such as completions; 0 where nobody counts."""
    began: float = field(default_factory=time.monotonic)
    in_turns: bool = False
    """A completion takes several calls of an engine, so that a call says nothing of how far the whole is."""
    calls: int = 1
    """Calls of an engine that the whole takes, where several of like size follow each other."""
    tokens: int = 0
    _begun: int = 0
    _finished: int = 0
    _before: int = 0
    _ended: int = 0
    _share: float = 0.0

    @property
    def done(self) -> int:
        return max(self._finished, self._before + self._ended)

    def finished(self, count: int) -> None:
        """So many more items are there."""
        self._finished += count

    def begin_call(self) -> None:
        """By an engine that tells each step of a call of `generate`."""
        self._begun += 1
        self._before, self._ended, self._share = self._finished, 0, 0.0

    def sampled(self, tokens: int, ended: int, share: float) -> None:
        """By such an engine: so many more tokens, the call's completions that have ended, its share done of the longest it can take."""
        self.tokens += tokens
        if not self.in_turns:
            self._ended, self._share = ended, share

    @property
    def seconds_left(self) -> float | None:
        """An upper bound where the engine knows one, else in proportion; None before there is anything to go by."""
        calls_done = min(self._begun, self.calls) - 1
        share = (calls_done + self._share) / self.calls if self._share else self.done / self.total if self.total else 0.0
        return (time.monotonic() - self.began) * (1 - min(share, 1.0)) / share if share else None

    def __str__(self) -> str:
        left, seconds = self.seconds_left, time.monotonic() - self.began
        if not self.total:
            return f"{self.text} ({clock_time(seconds)} so far)"
        parts = [f"{self.text}: {self.done:,}/{self.total:,}"]
        if left is not None:
            parts.append(clock_time(left) + (" left at most" if self._share else " left"))
        if self.tokens and seconds > 0:
            parts.append(f"{self.tokens / seconds:,.0f} tokens/s")
        return ", ".join(parts)


def clock_time(seconds: float) -> str:
    """As 3:10, or 2:03:10."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


_in_progress: ContextVar[Progress | None] = ContextVar("progress", default=None)


def in_progress() -> Progress | None:
    """What is in progress in this thread; None where nobody watches."""
    return _in_progress.get()


def shown_progress() -> tuple[str, int, int, float] | None:
    """What is shown now, of whichever thread: its text, how much is done, tokens, the share of a call. None where nothing is."""
    progress = _screens[-1].progress
    return None if progress is None else (progress.text, progress.done, progress.tokens, progress._share)


class Screen:
    """Where progress is shown: lines on stderr, at a pace that fills no log. A live display takes its place while it is there."""

    def __init__(self, say: Callable[[str], None] | None = None, *, live: bool = False) -> None:
        """`live`: it draws `progress` by itself, so no lines are said."""
        self.say = say or (lambda text: print(text, file=sys.stderr, flush=True))
        self.live = live
        self.progress: Progress | None = None


_screens = [Screen()]


@contextmanager
def shown_on(screen: Screen) -> Iterator[None]:
    """Within, progress is shown there."""
    _screens.append(screen)
    try:
        yield
    finally:
        _screens.remove(screen)


@contextmanager
def watched(text: str, total: int = 0, *, after: float = 2.0) -> Iterator[Progress]:
    """`text` and how far it has come, from `after` seconds on. What samples within tells by itself; others call `finished`."""
    progress, screen, over = Progress(text, total), _screens[-1], threading.Event()

    def tick() -> None:
        for pause in itertools.chain([after], _PAUSES, itertools.repeat(_LAST_PAUSE)):
            if over.wait(pause):
                return
            screen.say(str(progress))

    before, screen.progress = screen.progress, progress
    if not screen.live:
        threading.Thread(target=tick, name="reckon-progress", daemon=True).start()
    token = _in_progress.set(progress)
    try:
        yield progress
    finally:
        _in_progress.reset(token)
        over.set()
        screen.progress = before
