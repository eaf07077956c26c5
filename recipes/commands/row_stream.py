"""The rows of a JSONL file or a pipe as they come, and a progress bar over them: what the commands that read rows share.

One row at a time, so a pipe is answered without waiting for its end and a file of any size needs no memory. What a row means is
the command's business (`verifiers/rewards/problem_file.py` for problems).
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from rollout.progress import watched
from verifiers.input_error import InputError, near_place
from verifiers.rewards.problem_file import parse_row

_LARGE = 1 << 20  # bytes of a file that deserves a progress bar


class Row(NamedTuple):
    place: str
    """ "line 3": where it stands, for messages."""
    end: int
    """How much of the source is read with it: bytes of a file, rows of a data set."""
    fields: dict[str, Any]
    line: int = 0
    """The number of its line, from 1; 0 where it has none."""


def open_rows(name: str) -> BinaryIO:
    """The file, or standard input for "-". Raises InputError where it cannot be read."""
    if name == "-":
        return open(0, "rb", closefd=False)  # not sys.stdin.buffer: a thread blocked in that one aborts Python's exit
    try:
        return Path(name).open("rb")
    except OSError as error:
        near = near_place(Path(name)) if isinstance(error, FileNotFoundError) else None
        remedy = f"did you mean {near}?" if near else "give a JSONL file, or - for standard input"
        raise InputError(f"{name} cannot be read: {error.strerror}; {remedy}") from None


def rows_of(file: BinaryIO, name: str) -> Iterator[Row]:
    """The objects on a file's lines; blank lines are passed over. Raises InputError, with the line, for what is no JSON object."""
    end = 0
    source = "standard input" if name == "-" else name
    for number, line in enumerate(file, 1):
        end += len(line)
        if not line.strip():
            continue
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{source}, line {number}: not UTF-8 text ({error.reason}); write one JSON object a line") from None
        yield Row(f"line {number}", end, parse_row(text, f"{source}, line {number}"), number)


def opened_rows(name: str, stack: ExitStack) -> tuple[Iterator[Row], int]:
    """The rows of a file, or of standard input for "-", and its bytes if their progress is worth showing: 0 for a small one and a pipe."""
    file = open_rows(name)
    if name != "-":  # closing standard input would wait for the thread that reads it
        stack.enter_context(file)
    size = os.fstat(file.fileno()).st_size
    return rows_of(file, name), size if size > _LARGE else 0


@contextmanager
def progress(total: int, *, seen: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A function to be told how much of `total` and how many rows are done; it draws a bar with rate and time left on standard error.

    Where `total` is 0 or standard error is no terminal it says a line now and then, and nothing where the rows themselves are `seen`.
    """
    if not total or not sys.stderr.isatty():
        with nullcontext() if seen else watched("judging the rows") as line:

            def say(done: int, rows: int) -> None:
                if line:
                    line.text = f"judging the rows: {rows:,} done" + (f", {done / total:.0%}" if total else "")

            yield say
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[rows]:,} rows  {task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total, rows=0, rate=0.0)
        start = last = time.monotonic()

        def show(done: int, rows: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last > 0.1:
                last = now
                bar.update(task, completed=done, rows=rows, rate=rows / (now - start))

        yield show
