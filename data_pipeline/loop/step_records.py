"""What a run says while it works, and what it writes down about each finished step.

`Watch` is the silent base; the command line has one for terminals and one for logs. A step's record (`steps/NAME.json`) is its completion
marker: counts in and out by reason, bytes, and the seconds it took, by the clock and of processors, added up over restarts. `funnel.json`
is those records in order, and like them it holds durations; no other file of a run does.
"""

import fcntl
import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_pipeline.documents.document import Doc
from verifiers.atomic_files import write_json
from verifiers.input_error import InputError


class Watch:
    """Hears of the progress of a run, and says nothing."""

    def begin(self, step: str, total: int = 0) -> None:
        """A step starts; `total` is 0 where nobody knows it."""

    def advance(self, done: int, *, size: int = 0, outcomes: Mapping[str, int] | None = None, share: float = 0.0) -> None:
        """So much is done since `begin`, of so many bytes, with these outcomes; `share` of all, where `begin` had no total."""

    def note(self, line: str) -> None:
        """Something worth a line of the log."""


SILENT = Watch()


def watched(docs: Iterable[Doc], counts: Counter[str], watch: Watch) -> Iterator[Doc]:
    """The documents, told to `watch` as they pass; `counts` has those kept and those dropped by reason."""
    size = 0
    for doc in docs:
        counts[doc.dropped or "kept"] += 1
        size += len(doc.text)
        watch.advance(counts.total(), size=size, outcomes=counts)
        yield doc


@dataclass(slots=True)
class Record:
    """One row of the funnel, filled while the step runs."""

    step: str
    unit: str = "pages"
    entered: int = 0
    kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    bytes_in: int = 0
    bytes_out: int = 0
    details: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    core_seconds: float = 0.0
    """Of this machine's processors, this process and its children together; what other machines did is not in it."""

    def row(self) -> dict[str, Any]:
        reasons = dict(sorted(self.dropped.items(), key=lambda item: (-item[1], item[0])))
        return {
            "step": self.step, "unit": self.unit, "in": self.entered, "out": self.kept, "dropped": reasons, "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out, "seconds": round(self.seconds, 3),
            "core_seconds": round(self.core_seconds, 3), **self.details,
        }  # fmt: skip


def read_json(path: Path) -> dict[str, Any]:
    """The object of a file; {} where there is none yet. Raises InputError for one that is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise InputError(f"{path}: damaged ({error}); delete it and run the step again") from error
    return found if isinstance(found, dict) else {}


def step_file(out: Path, step: str) -> Path:
    return out / "steps" / f"{step}.json"


def is_done(out: Path, step: str) -> bool:
    return step_file(out, step).is_file()


@contextmanager
def locked(path: Path, refusal: str) -> Iterator[None]:
    """One process at a time. Raises InputError with the refusal where another one holds the lock."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(refusal) from error
        yield


@contextmanager
def recorded(out: Path, step: str, *, unit: str = "pages") -> Iterator[Record]:
    """Runs a step; its record is written when it ends well. Seconds of attempts that ended in an exception are kept and added."""
    record, start, cores = Record(step, unit), time.perf_counter(), core_seconds()
    tries = step_file(out, f"{step}.tries")
    earlier = read_json(tries)
    ended_well = False
    try:
        yield record
        ended_well = True
    finally:
        seconds = earlier.get("seconds", 0.0) + time.perf_counter() - start
        spent = earlier.get("core_seconds", 0.0) + core_seconds() - cores
        if not ended_well:
            write_json(tries, {"seconds": seconds, "core_seconds": spent}, indent=1)
    record.seconds += seconds
    record.core_seconds += spent
    write_json(step_file(out, step), record.row(), indent=1)
    tries.unlink(missing_ok=True)


def core_seconds() -> float:
    """Of this process and all below it, those that have ended and those that stay for the next step."""
    spent = os.times()
    own = spent.user + spent.system + spent.children_user + spent.children_system
    return own + sum(_spent_by(child) for child in _children(os.getpid()))


def _spent_by(process: int) -> float:
    """Seconds of a process, of its ended children, and of those that run; 0 where the system does not say."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    ticks = sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
    return ticks / os.sysconf("SC_CLK_TCK") + sum(map(_spent_by, _children(process)))


def _children(process: int) -> list[int]:
    found: list[int] = []
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, thread.read_text(encoding="ascii").split())
    return found


def rows(out: Path) -> list[dict[str, Any]]:
    """The records so far, in the order of the pipeline."""
    found = [json.loads(path.read_text()) for path in (out / "steps").glob("*.json") if not path.name.endswith(".tries.json")]
    return sorted(found, key=lambda row: _rank(row["step"]))


def told_once(steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows for a reader: the corpus step drops what its stages drop, so that what a stage's row tells is left out of its row."""
    of_stages = Counter[str]()
    for step in steps:
        if step["step"] in CORPUS_STAGES:
            of_stages.update(step["dropped"])
    return [{**step, "dropped": dict(Counter(step["dropped"]) - of_stages)} if step["step"] == "corpus" else dict(step) for step in steps]


CORPUS_STAGES = ("language", "boilerplate", "quality", "decontaminate")
ORDER = ("extract", "duplicates", "round", *CORPUS_STAGES, "corpus", "problems")


def _rank(step: str) -> tuple[int, str]:
    name = step.split("-", 1)[0]
    return (ORDER.index(name) if name in ORDER else len(ORDER), step)


def round_folder(out: Path, number: int) -> Path:
    return out / f"round-{number:02d}"


def round_figures(out: Path) -> list[dict[str, Any]]:
    """What the finished rounds came to, in order."""
    return [read_json(path) for path in sorted(out.glob("round-*/figures.json"))]


def write_funnel(out: Path) -> None:
    write_json(out / "funnel.json", {"steps": rows(out)}, indent=1)
