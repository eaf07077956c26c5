"""Tables of a run for the terminal: the funnel and the rounds, from the run's files alone."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_pipeline.loop.step_records import rows, told_once

REASONS = 3


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
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
    return table(["step", "in", "out", "seconds", "dropped"], body)


def round_figures(out: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(out.glob("round-*/figures.json"))]


def rounds_table(out: Path) -> list[str]:
    body = [
        [
            str(row["round"]), f"{row['positives']:,}", f"{row['negatives']:,}", f"{row['threshold']:.3f}", f"{row['collected']:,}",
            f"{row['collected_tokens']:,}", f"{row['overlap']:.1%}", str(row["domains"]), str(row["patterns_accepted"]),
        ]
        for row in round_figures(out)
    ]  # fmt: skip
    return table(["round", "positives", "negatives", "threshold", "collected", "tokens", "overlap", "domains", "patterns"], body)
