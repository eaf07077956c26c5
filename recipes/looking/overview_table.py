"""Overviews of runs as text: facts by their names, and columns that line up."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from typing import Any

from recipes.looking.run_overview import Best, Overview


def facts(each: Overview) -> dict[str, str]:
    """What is said of every run."""
    steps = f"{each.step}/{each.steps}" if each.steps is not None else str(each.step)
    return {
        "method": each.method, "status": each.status, "step": steps, "best": _cell(each.best), "last": _cell(each.last),
        "time": _time(each.seconds),
    }  # fmt: skip


def as_json(each: Overview) -> dict[str, Any]:
    return dataclasses.asdict(each) | {"path": str(each.path), "options": dict(each.options)}


def shown(value: Any) -> str:
    """An option in a cell."""
    text = "-" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else text[:18] + "..." + text[-19:]


def problem_text(text: str) -> str:
    """A prompt for a line of a list: of messages, what the user said last."""
    if text.startswith("[{"):
        try:
            turns = json.loads(text)
            return next((str(turn["content"]) for turn in reversed(turns) if turn.get("role") == "user"), text)
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            return text
    return text


def aligned(rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, without what a terminal would obey."""
    cells = [["".join(letter if letter.isprintable() else " " for letter in cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n" for row in cells)


def _cell(best: Best | None) -> str:
    return str(best) if best else "-"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
