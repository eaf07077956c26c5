"""What a person sees of a run: its progress, and tables of the funnel and the rounds, from the run's files alone.

Progress is a live line on a terminal, a plain line now and then in a log: pages, pages a second, MB a second, kept, the commonest reasons
to drop, and the time left. It goes to stderr, so that a command's output can be piped. Speeds are over the whole step.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from data_pipeline.loop.step_records import Watch, round_figures, rows, told_once

EVERY = 15.0  # seconds between lines of a log
BLINK = 0.2  # seconds between changes of the live line
REASONS = 3


class Progress(Watch):
    """One line at a time. `live` rewrites it in place."""

    def __init__(self, stream: TextIO | None = None, live: bool | None = None) -> None:
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty() if live is None else live
        self._step, self._total = "", 0
        self._start = self._said = time.monotonic()
        self._open = False

    def begin(self, step: str, total: int = 0) -> None:
        self._close()
        self._step, self._total = step, total
        self._start = self._said = time.monotonic()
        self._write(f"{step}: {total:,} pages" if total else step)

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
        parts = [f"{self._step}: {done:,}" + (f" of {self._total:,}" if self._total else "") + " pages", f"{done / seconds:,.0f}/s"]
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
            parts.append(f"{_spoken_duration((1 - share) / share * seconds)} left")
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


def _spoken_duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def aligned_table(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns: the first and the last to the left, numbers between to the right."""
    widths = [max(len(row[column]) for row in [head, *body]) for column in range(len(head))]
    last = len(head) - 1

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if column in (0, last) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return [line(head), line(["-" * width for width in widths]), *map(line, body)]


def funnel_table(out: Path) -> list[str]:
    body = []
    for row in told_once(rows(out)):
        reasons = list(row["dropped"].items())
        shown = ", ".join(f"{reason.split(': ', 1)[-1]} {count:,}" for reason, count in reasons[:REASONS])
        more = f", {len(reasons) - REASONS} more reasons" if len(reasons) > REASONS else ""
        body.append([row["step"], f"{row['in']:,}", f"{row['out']:,}", f"{row['seconds']:.1f}", shown + more])
    return aligned_table(["step", "in", "out", "seconds", "dropped"], body)


def rounds_table(out: Path) -> list[str]:
    body = [
        [
            str(row["round"]), f"{row['positives']:,}", f"{row['negatives']:,}", f"{row['threshold']:.3f}", f"{row['collected']:,}",
            f"{row['collected_tokens']:,}", f"{row['overlap']:.1%}", str(row["domains"]), str(row["patterns_accepted"]),
        ]
        for row in round_figures(out)
    ]  # fmt: skip
    return aligned_table(["round", "positives", "negatives", "threshold", "collected", "tokens", "overlap", "domains", "patterns"], body)
