"""When a client may ask: one circuit for all its connections, so that what a server refuses to one of them slows every other.

A server that answers 403, 429 or 503 is asking to be left alone for a while. From then on nobody of this client asks until the pause is
over: as long as the answer's Retry-After says, and at least 1, 2, 4, ... up to 64 seconds (with jitter between half and one and a half),
the more refusals in a row. How many may ask at once is halved with each pause and grows by one with every eight answers. Refusals of what
was asked before a pause began belong to that pause and start no further one. What a pause costs is bounded by `patience`: so long
without a single good answer, or a Retry-After beyond it, ends the run with one line.

`rate` bounds the bytes a second of all connections together: whoever has read waits until what was read is due.
"""

import email.utils
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from verifiers.input_error import InputError

LONGEST_PAUSE = 64.0
"""Seconds of the client's own back-off; a server may ask for more."""
_GROWS_AFTER = 8
_LOOK = 0.5  # seconds after which one that waits looks whether the run has ended


class Ended(Exception):
    """The run has ended meanwhile, by a failure elsewhere or by its user."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may do to a server."""

    connections: int = 4
    megabytes_a_second: float = 0.0
    """Of all connections together; 0: as fast as they come."""
    stall: float = 30.0
    """Seconds without a byte after which a connection is given up."""
    slowest: float = 20_000.0
    """Bytes a second that a request must come to, a minute beyond: what drips is given up too."""
    attempts: int = 6
    """Of one request that fails in ways that are its own (a short answer, a wrong range, a stall)."""
    patience: float = 900.0
    """Seconds without any good answer after which the run ends."""
    inside: tuple[str, ...] = ()
    """Hosts of this machine's network that a redirect may lead to; any other is refused."""

    def __post_init__(self) -> None:
        if not 1 <= self.connections <= 64:
            raise InputError(f"{self.connections} connections; a polite client has between 1 and 64")
        if min(self.megabytes_a_second, 0.0) < 0 or min(self.stall, self.slowest, self.patience) <= 0 or self.attempts < 1:
            raise InputError("limits of a client are positive numbers; a rate of 0 is none")


class Pace:
    """Shared by all connections of a client. Clock, draw and waiting can be replaced, for tests of hours."""

    def __init__(
        self,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[float, float], float] = random.uniform,
        pause: Callable[[threading.Condition, float], object] = threading.Condition.wait,
    ) -> None:
        self._limits, self._clock, self._draw, self._pause = limits, clock, draw, pause
        self._changed = threading.Condition()
        self._asking = 0
        self._allowed = limits.connections
        self._until = self._paused_at = 0.0
        self._refusals = self._answers = 0
        self._good_at = clock()
        self._due = 0.0
        self._ended = False
        self.paused = 0.0
        """Seconds of all pauses, as far as they have been set."""

    @contextmanager
    def turn(self) -> Iterator[float]:
        """Waits for a turn to ask, and yields when it came (of the clock). Raises Ended, and InputError when patience is over."""
        with self._changed:
            while self._asking >= self._allowed or self._clock() < self._until:
                self._look()
                left = self._until - self._clock()
                self._pause(self._changed, min(_LOOK, left) if left > 0 else _LOOK)
            self._look()
            self._asking += 1
        try:
            yield self._clock()
        finally:
            with self._changed:
                self._asking -= 1
                self._changed.notify_all()

    def refused(self, asked_at: float, retry_after: float, what: str) -> None:
        """A server has asked to be left alone, for so many seconds or for a while."""
        with self._changed:
            now = self._clock()
            if retry_after > self._limits.patience:
                raise InputError(f"{what} and asks for {retry_after:,.0f} s of rest; give the same command again after that")
            pause = retry_after
            if asked_at >= self._paused_at:
                self._refusals += 1
                self._answers = 0
                self._allowed = max(1, self._allowed // 2)
                own = min(LONGEST_PAUSE, 2.0 ** min(self._refusals - 1, 10))
                pause = max(retry_after, own * self._draw(0.5, 1.5))
                self._paused_at = now
            self.paused += max(0.0, now + pause - max(self._until, now))
            self._until = max(self._until, now + pause)
            if now - self._good_at > self._limits.patience:
                raise InputError(f"{what}, for {now - self._good_at:,.0f} s now; give the same command again later: it goes on")

    def good_since(self, when: float) -> bool:
        """Whether anybody of this client had a good answer since."""
        return self._good_at > when

    def silent(self) -> float:
        """Seconds since anybody of this client had a good answer (or since its beginning), while one is waited for; otherwise 0."""
        return self._clock() - self._good_at if self._asking or self._clock() < self._until else 0.0

    def answered(self) -> None:
        """Something good came."""
        with self._changed:
            self._good_at = self._clock()
            self._refusals = 0
            self._answers += 1
            if self._answers >= _GROWS_AFTER and self._allowed < self._limits.connections:
                self._allowed, self._answers = self._allowed + 1, 0
                self._changed.notify_all()

    def took(self, size: int) -> None:
        """So many bytes came; returns when they were due under the rate."""
        if not self._limits.megabytes_a_second:
            return
        with self._changed:
            self._due = max(self._due, self._clock()) + size / (self._limits.megabytes_a_second * 1e6)
            due = self._due
            while (left := due - self._clock()) > 0 and not self._ended:
                self._pause(self._changed, min(_LOOK, left))

    def rest(self, seconds: float) -> None:
        """Waits about so long on behalf of one connection, as after a stall. Raises Ended."""
        with self._changed:
            end = self._clock() + seconds * self._draw(0.5, 1.5)
            while (left := end - self._clock()) > 0:
                self._look()
                self._pause(self._changed, min(_LOOK, left))

    def end(self) -> None:
        """All that wait, or come to wait, are told that the run has ended."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _look(self) -> None:
        if self._ended:
            raise Ended


def retry_after(header: str, now: float) -> float:
    """Seconds that a Retry-After asks for, said in seconds or as a date; 0 for what is neither, or in the past. `now`: of `time.time`."""
    header = header.strip()[:100]
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return 0.0
