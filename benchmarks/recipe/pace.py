"""Programs that run at the same time, each on a core of its own, and how long their steps take.

Every program appends a line to a log of its own before the first step and after each. Wall seconds are what one waits; seconds of
processor time are what the program needs, and do not depend on what else the machine does.
"""

import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from benchmarks.parts import ROOT

LOOKS_EVERY = 0.05
QUIET = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


@dataclass
class Run:
    """A program and where it logs its steps."""

    command: Sequence[str]
    log: Path
    marks: list[tuple[float, float]] = field(default_factory=list)
    """(wall, processor) seconds at each line of the log."""
    peak_bytes: int = 0
    """Most resident memory."""

    def start(self, core: int) -> None:
        self.output = self.log.parent.with_suffix(".log").open("wb")
        pinned = ["taskset", "--cpu-list", str(core), *self.command]
        self.process = subprocess.Popen(pinned, env=os.environ | QUIET, stdout=self.output, stderr=subprocess.STDOUT, cwd=ROOT)

    def look(self) -> bool:
        """Whether it still runs; notes the steps it has done."""
        running = self.process.poll() is None
        self.peak_bytes = max(self.peak_bytes, _peak_so_far(self.process.pid))
        with suppress(OSError, IndexError):
            done = self.log.read_bytes().count(b"\n")
            spent = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
            processor = (int(spent[11]) + int(spent[12])) / os.sysconf("SC_CLK_TCK")
            while len(self.marks) < done:
                self.marks.append((time.monotonic(), processor))
        return running

    def pace(self) -> dict[str, float]:
        """Medians over the steps."""
        if self.process.returncode:
            raise RuntimeError(f"{self.command[:4]} failed with {self.process.returncode}; see {self.output.name}")
        wall, processor = zip(*self.marks, strict=True)
        steps = {"seconds_a_step": wall, "processor_seconds_a_step": processor}
        return {name: round(statistics.median(b - a for a, b in pairwise(x)), 2) for name, x in steps.items()}


def side_by_side(runs: Sequence[Run]) -> None:
    """Run them all to their end, at once."""
    cores = sorted(os.sched_getaffinity(0))
    for number, run in enumerate(runs):
        run.start(cores[number % len(cores)])
    try:
        while sum(run.look() for run in runs):  # all of them, which `any` would not
            time.sleep(LOOKS_EVERY)
    finally:
        for run in runs:
            run.process.kill()
            run.process.wait()
            run.output.close()


@dataclass(frozen=True)
class Used:
    """What a program took, with the programs that it started and waited for."""

    seconds: float
    processor_seconds: float
    peak_bytes: int
    """Most resident memory."""


def completed(command: Sequence[str], log: Path) -> Used:
    """Run a program to its end. Raises RuntimeError, which names the log, if it fails."""
    began, peak = time.monotonic(), 0
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=os.environ | QUIET, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT)
        while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
            peak = max(peak, _peak_so_far(process.pid))
            time.sleep(LOOKS_EVERY)
    _, status, used = ended
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[2:5])} failed with {process.returncode}; see {log}")
    return Used(time.monotonic() - began, used.ru_utime + used.ru_stime, peak)


def _peak_so_far(process: int) -> int:
    """Bytes. Not `ru_maxrss`, which begins with the resident memory of the program that started this one."""
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
    return 0
