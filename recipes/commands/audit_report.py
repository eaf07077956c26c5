"""What an audit shows: findings on disk while they come in, a report for the terminal, and a picture."""

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from recipes.looking.explanation import printable

KINDS = {  # worst first
    "conflict": "the prompt of an earlier row, another answer",
    "gold_fails": "the gold answer is not judged right",
    "no_gold": "no gold answer",
    "leak": "the prompt marks the gold answer",
    "duplicate": "prompt and answer of an earlier row",
    "near_duplicate": "the prompt of an earlier row but for case, spaces and punctuation, an equal answer",
    "unparsed": "math_answer cannot read the gold answer, and compares it token by token",
}
_SHOWN = 5  # findings of a kind on the terminal
_VERIFIED, _FAILING = "#86bbd8", "#b5382a"


class FindingFiles:
    """Findings, counted and kept in one temporary file a kind: they may be as many as the rows.

    Two threads may add at once, as long as no two add the same kind.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first: dict[str, list[str]] = {kind: [] for kind in KINDS}
        """The first few of each kind, as text."""
        self._stack = ExitStack()
        self._files: dict[str, IO[str]] = {}

    def __enter__(self) -> "FindingFiles":
        for kind in KINDS:
            self._files[kind] = self._stack.enter_context(tempfile.TemporaryFile("w+", encoding="ascii"))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, kind: str, place: str, name: str, detail: str) -> None:
        """A finding in the row at `place` ("line 3"), whose id is `name` ("" for none)."""
        unit, number = place.split(" ")
        self._files[kind].write(json.dumps({unit: int(number), "id": name, "kind": kind, "detail": detail}) + "\n")
        self.counts[kind] += 1
        if len(self.first[kind]) < _SHOWN:
            self.first[kind].append(f"{place}{f' (id {name})' if name else ''}: {detail}")

    def write(self, path: Path) -> None:
        """All findings as JSON lines, the worst kind first."""
        with path.open("w", encoding="ascii") as target:
            for file in self._files.values():
                file.seek(0)
                shutil.copyfileobj(file, target)


def print_report(data: str, result: Mapping[str, Any], findings: FindingFiles) -> None:
    """Tables of answer types and lengths, then the first findings of each kind."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    judged = ", ".join(f"{name} ({count:,})" for name, count in result["verifiers"].items())
    console.print(printable(f"{data}: {result['rows']:,} rows in {result['seconds']:.1f} s; verified by {judged or 'nothing'}"), "\n")
    types = _make_table(Table, "answer type", ["rows", "verified", "failing"])
    for kind, count in result["types"].items():
        numbers = (count["verified"] + count["failing"], count["verified"], count["failing"])
        types.add_row(printable(kind), *(f"{n:,}" for n in numbers), style="red" if count["failing"] else None)
    console.print(types)
    console.print()
    names = ("min", "p50", "p90", "p99", "max")
    lengths = _make_table(Table, "", list(names))
    for title, key in (("characters of a prompt", "prompt_characters"), ("characters of an answer", "answer_characters"),
                       ("ms for a verdict", "verdict_ms")):  # fmt: skip
        if result[key]:
            lengths.add_row(title, *(f"{result[key][name]:,.4g}" if key == "verdict_ms" else f"{result[key][name]:,}" for name in names))
    console.print(lengths)
    console.print()
    for kind, meaning in KINDS.items():
        count = findings.counts[kind]
        if count:
            console.print(f"{count:,} {kind}: {meaning}", style="bold")
            for line in findings.first[kind]:
                console.print("  " + printable(f"{line:.300}"))
            if count > _SHOWN:
                console.print(f"  and {count - _SHOWN:,} more in {result['out']}/audit.jsonl")
    if not findings.counts:
        console.print("nothing found: every gold verifies and can be read, no prompt is repeated", style="green")
    console.print(f"\nfindings and picture in {result['out']}")


def _make_table(make: Any, first: str, columns: Sequence[str]) -> Any:
    table = make(box=None, pad_edge=False, header_style="dim")
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def draw(types: Mapping[str, Mapping[str, int]], prompt_lengths: Sequence[int]) -> Any:
    """A figure: bars of answer types, verified and failing, beside a histogram of prompt lengths."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, max(3.5, 0.28 * len(types) + 1.5)), layout="constrained")
    left, right = figure.subplots(1, 2)
    kinds = list(types)
    verified = [types[kind]["verified"] for kind in kinds]
    failing = [types[kind]["failing"] for kind in kinds]
    left.barh(range(len(kinds)), verified, color=_VERIFIED, label="verified")
    bars = left.barh(range(len(kinds)), failing, left=verified, color=_FAILING, label="failing")
    totals = [f"{good + bad:,}{f' ({bad:,} failing)' if bad else ''}" for good, bad in zip(verified, failing, strict=True)]
    left.bar_label(bars, totals, padding=3, fontsize=8)
    left.set_yticks(range(len(kinds)), [printable(kind) for kind in kinds], parse_math=False)
    left.set_ylim(max(len(kinds), 6) - 0.4, -0.6)  # downwards; a lone bar is no wall
    left.set_xlim(0, 1.2 * max([good + bad for good, bad in zip(verified, failing, strict=True)], default=1))
    left.set_title("Gold answers by type")
    left.set_xlabel("rows")
    figure.legend(loc="outside lower left", ncols=2, frameon=False)
    shown, clipped = _clip_lengths(prompt_lengths)
    right.hist(shown, bins=50, color="#33658a")
    right.set_title("Prompt length")
    right.set_xlabel(f"characters (the last bar: {clipped:,} longer ones too)" if clipped else "characters")
    right.set_ylabel("prompts")
    for axes in (left, right):
        axes.grid(alpha=0.25)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _clip_lengths(lengths: Sequence[int]) -> tuple[list[int], int]:
    """The lengths, those far beyond the 99th percentile cut, and how many these are: one long prompt must not hide the others."""
    if not lengths:
        return [], 0
    top = round(1.25 * sorted(lengths)[round(0.99 * (len(lengths) - 1))])
    return [min(length, top) for length in lengths], sum(length > top for length in lengths)
