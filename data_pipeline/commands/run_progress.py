"""Progress of a run: a live line on a terminal, a plain line now and then in a log.

Pages, pages a second, MB a second, kept, the commonest reasons to drop, and the time left. Written to stderr, so that a command's output
can be piped. Speeds are over the whole step.
"""

import sys
import time
from collections.abc import Mapping
from typing import TextIO

from data_pipeline.loop.step_records import Watch

EVERY = 15.0  # seconds between lines of a log
BLINK = 0.2  # seconds between changes of the live line
REASONS = 3


class Progress(Watch):
    """One line at a time. `live` rewrites it in place."""

    def __init__(self, stream: TextIO | None = None, live: bool | None = None) -> None:
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty() if live is None else live
        self._step, self._total, self._unit = "", 0, "pages"
        self._start = self._said = time.monotonic()
        self._open = False

    def begin(self, step: str, total: int = 0, unit: str = "pages") -> None:
        self._close()
        self._step, self._total, self._unit = step, total, unit
        self._start = self._said = time.monotonic()
        self._write(f"{step}: {total:,} {unit}" if total else step)

    def advance(self, done: int, *, size: int = 0, outcomes: Mapping[str, int] | None = None, share: float = 0.0) -> None:
        now = time.monotonic()
        if now - self._said < (BLINK if self.live else EVERY):
            return
        self._said = now
        self._write(self.line(done, size, outcomes or {}, now - self._start, share))

    def note(self, line: str) -> None:
        self._close()
        print(line, file=self.stream, flush=True)

    def line(self, done: int, size: int, outcomes: Mapping[str, int], seconds: float, share: float = 0.0) -> str:
        """What is shown after `seconds` of a step."""
        seconds = max(seconds, 1e-3)
        parts = [f"{self._step}: {done:,}" + (f" of {self._total:,}" if self._total else "") + f" {self._unit}", f"{done / seconds:,.0f}/s"]
        if size:
            parts.append(f"{size / seconds / 1e6:,.1f} MB/s")
        if outcomes:
            kept = outcomes.get("kept", 0)
            reasons = sorted(
                ((count, reason) for reason, count in outcomes.items() if reason != "kept"), key=lambda item: (-item[0], item[1])
            )
            parts.append(f"kept {kept:,}")
            parts += [f"{reason} {count:,}" for count, reason in reasons[:REASONS]]
        share = done / self._total if self._total else share
        if 0 < share < 1:
            parts.append(f"{_duration((1 - share) / share * seconds)} left")
        return " | ".join(parts)

    def _write(self, line: str) -> None:
        if not self.live:
            print(line, file=self.stream, flush=True)
            return
        from rich.console import Console

        width = Console(file=self.stream).width
        self.stream.write("\r\x1b[2K" + line[: max(20, width - 1)])
        self.stream.flush()
        self._open = True

    def _close(self) -> None:
        if self._open:
            self.stream.write("\r\x1b[2K")
            self._open = False


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
