"""`reckon verify FILE.jsonl`: is each answer right? One JSON verdict a row, in the order of the rows, as soon as it is known.

    reckon verify answers.jsonl                                  rows: {"gold": "1/2", "pred": "0.5"}
    reckon verify answers.jsonl --verifier my_rewards.py:score   any verifier or reward function
    generate | reckon verify -                                   rows: {"gold": "1/2", "response": "... \\boxed{0.5}"}

`pred` is an answer that was extracted already, `response` the whole text that a model wrote (it wins where a row has both).
`problem` and every other field are for the verifier. A verdict is {"id" if the row has one, "score": number or null, "status",
"detail", "seconds"}; a last line `RESULT {...}` has the count of each status, the rows, and the speed.

A pipe is read as it comes, in bounded memory: a row is answered without waiting for the next one. No GPU and no model; two
cores give more than 10,000 verdicts a second where a verdict itself costs nothing, so the verifier decides.
"""

import json
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import tyro

from verifiers.input_error import InputError
from verifiers.pool import VerifierPool
from verifiers.problem import Problem, make_problem
from verifiers.problem_file import answer_as_response, answer_text, parse_row
from verifiers.verdict import Status, Verdict

_ROWS_IN_FLIGHT = 1 << 14  # rows read but not yet printed: what a row that takes long may hold up
_LARGE = 1 << 20  # bytes of a file that deserves a progress bar


@dataclass(frozen=True)
class Config:
    """Judge the answers in a JSONL file: rows with `gold`, and `pred` (an answer) or `response` (a text with the answer in it)."""

    file: tyro.conf.Positional[str]
    """JSONL file, or - for standard input."""
    verifier: str = "math_answer"
    """A verifier's name, FILE.py:FUNCTION, or package.module:FUNCTION."""
    workers: int = 2
    """Processes."""
    deadline: float = 10.0
    """Seconds for one verdict; a row that takes longer has the status "timeout" and no score."""
    out: Path | None = None
    """Write the verdicts to this file, which appears when it is complete, instead of standard output."""


@dataclass(frozen=True, slots=True)
class _Row:
    """What a verdict's line needs of its row."""

    echo: dict[str, Any]
    """The row's id, if it has one."""
    end: int
    """Where the row ends in the file, in bytes."""


def run(config: Config) -> int:
    """Print the verdicts; the exit code is 0 whatever they are. Raises InputError for a row, after the verdicts on those before."""
    try:
        with ExitStack() as stack:
            file = _open(config.file)
            if config.file != "-":  # closing standard input would wait for the thread that reads it
                stack.enter_context(file)
            out = stack.enter_context(_output(config.out))
            pool = stack.enter_context(VerifierPool([config.verifier], workers=config.workers, deadline=config.deadline))
            show = stack.enter_context(_progress(_size(file, config)))
            result = _verify(file, config, pool, out, show)
        print("RESULT", json.dumps(result), flush=True)
    except BrokenPipeError:  # the reader (`head`) has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _verify(file: BinaryIO, config: Config, pool: VerifierPool, out: TextIO, show: Callable[[int, int], None]) -> dict[str, Any]:
    start = time.perf_counter()
    counts = dict.fromkeys(Status, 0)
    rows: deque[_Row] = deque()  # read, and not yet printed
    room = threading.Semaphore(_ROWS_IN_FLIGHT)
    early: dict[int, tuple[Verdict, float]] = {}  # verdicts that wait for one of an earlier row
    printed = 0
    for index, verdict, seconds in pool.stream(_items(file, config, rows, room)):
        early[index] = (verdict, seconds)
        while printed in early:
            ready, took = early.pop(printed)
            row = rows.popleft()
            line = {**row.echo, "score": ready.score, "status": ready.status, "detail": ready.detail, "seconds": round(took, 6)}
            out.write(json.dumps(line) + "\n")
            out.flush()
            room.release()
            counts[ready.status] += 1
            printed += 1
            show(row.end, printed)
    seconds = time.perf_counter() - start
    return {
        "rows": printed,
        "counts": {str(status): count for status, count in counts.items()},
        "seconds": round(seconds, 3),
        "verdicts_per_s": round(printed / seconds, 1),
    }


def _items(file: BinaryIO, config: Config, rows: deque[_Row], room: threading.Semaphore) -> Iterator[tuple[Problem, str]]:
    """The file's rows as problems and responses; what their verdicts' lines need goes to `rows`. Runs in the pool's thread."""
    end = 0
    for number, line in enumerate(file, 1):
        end += len(line)
        if not line.strip():
            continue
        where = f"{'standard input' if config.file == '-' else config.file}, line {number}"
        try:
            row = parse_row(line.decode("utf-8-sig" if number == 1 else "utf-8"), where)
        except UnicodeDecodeError as error:
            raise InputError(f"{where}: not UTF-8 text ({error.reason}); write one JSON object a line") from None
        try:
            item = _item(row, config.verifier)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        room.acquire()
        rows.append(_Row({"id": row["id"]} if "id" in row else {}, end))
        yield item


def _item(row: dict[str, Any], verifier: str) -> tuple[Problem, str]:
    missing = [] if "gold" in row else ["'gold'"]
    missing += [] if row.keys() & {"pred", "response"} else ["'pred' or 'response'"]
    if missing:
        raise InputError(f"no {' and no '.join(missing)} among its fields ({', '.join(row) or 'none'})")
    meta = {key: value for key, value in row.items() if key not in ("gold", "problem", "pred", "response")}
    asked = row.get("problem")
    problem = make_problem(asked if isinstance(asked, str) else "", answer_text(row["gold"], "gold"), verifier=verifier, meta=meta)
    if row.get("response") is not None:
        if not isinstance(row["response"], str):
            raise InputError(f"'response' is {row['response']!r:.60}; it should be a text")
        return problem, row["response"]
    pred = answer_text(row.get("pred"), "pred")
    return problem, answer_as_response(pred, verifier) if pred.strip() else ""


def _open(name: str) -> BinaryIO:
    if name == "-":
        return open(0, "rb", closefd=False)  # not sys.stdin.buffer: a thread blocked in that one aborts Python's exit
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}; give a JSONL file, or - for standard input") from None


@contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    partial = path.with_name(path.name + ".partial")  # stays, with the rows so far, if a row cannot be read
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = partial.open("w", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}; choose another --out") from None
    with file:
        yield file
    os.replace(partial, path)


def _size(file: BinaryIO, config: Config) -> int:
    """The bytes of a file whose progress is worth showing, and can be shown without disturbing the verdicts; else 0."""
    visible = sys.stderr.isatty() and (config.out is not None or not sys.stdout.isatty())
    if config.file == "-" or not visible:
        return 0
    size = os.fstat(file.fileno()).st_size
    return size if size > _LARGE else 0


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int, int], None]]:
    """A function to be told the bytes and rows done; it draws a bar with rate and time left on standard error."""
    if not total:
        yield lambda done, rows: None
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
