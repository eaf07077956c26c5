"""Some steps of a run, traced: `--profile N`. RUN/profile/ then holds the trace and a page that says where time and memory went.

The first step that a process takes is left out where there are more than N: it loads what is loaded late. While steps are traced the
device is waited for at the end of each phase, so that seconds are the phase's own, and every operator is noted, which costs a small model
a third of its speed; a step that is not traced runs as ever.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from rl.learning.learner import Learner
from rl.measuring.machine_limits import Limits, measured_limits
from rl.measuring.traced_work import PREFIX, Phase, read_by_phase
from rollout import phases
from verifiers.atomic_files import atomic_path

FOLDER = "profile"
TRACE, PAGE = "trace.json.gz", "profile.md"
OPERATORS = 12
LEAST = 5e-4
"""Of the time: a phase with less is no row."""
REST = "the rest of the step"


def tracing(learner: Learner, run: Path, *, steps: int, last: int) -> Callable[[int], AbstractContextManager[None]]:
    """What is opened around each step of a run to trace so many of them; nothing for 0. `last`: the run's last step."""
    if not steps:
        return lambda number: nullcontext()
    dtype = getattr(torch, learner.autocast) if learner.autocast else next(learner.model.parameters()).dtype
    return Profile(run / FOLDER, steps, last=last, device=learner.device, dtype=dtype).step


class Profile:
    """Hears of a run's steps; traces `steps` of them and writes what it saw into `folder`."""

    def __init__(self, folder: Path, steps: int, *, last: int, device: torch.device, dtype: torch.dtype):
        """`last`: the run's last step. `device`, `dtype`: of the policy's products."""
        self.folder, self.left, self.last = folder, steps, last
        self.device, self.dtype = device, dtype
        self._met = 0
        self._open = ExitStack()
        self._seen: Any = None
        self.traced: list[int] = []

    @contextmanager
    def step(self, number: int) -> Iterator[None]:
        """Around one step."""
        self._met += 1
        begins = self._seen is None and self.left > 0 and (self._met > 1 or self.last - number < self.left)
        if begins:
            self._begin()
        if self._seen is None:
            yield
            return
        try:
            with phases.heard_by(_Ranges(self.device)), phases.phase(REST):
                yield
            self.traced.append(number)
            self.left -= 1
        finally:
            if self.left == 0 or number >= self.last:
                self.close()

    def _begin(self) -> None:
        activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if self.device.type == "cuda" else [])
        self._seen = self._open.enter_context(profile(activities=activities, record_shapes=True, profile_memory=True))

    def close(self) -> None:
        """Write what was traced, be it less than was asked for."""
        if self._seen is None:
            return
        seen, self._seen, self.left = self._seen, None, 0
        self._open.close()
        if not self.traced:
            return
        found = read_by_phase(seen.profiler.kineto_results.events())
        page = page_of(found, measured_limits(self.device, self.dtype), self.traced, self._where())
        try:
            with atomic_path(self.folder) as temporary:
                temporary.mkdir()
                seen.export_chrome_trace(str(temporary / TRACE))
                (temporary / PAGE).write_text(page, encoding="utf-8")
        except OSError as error:  # such as a full disk: what was only looked at does not end what is learnt
            print(f"the trace of {FOLDER}/ could not be written ({error}); the run goes on", file=sys.stderr)
            return
        print(f"where time and memory went: {self.folder / PAGE}", file=sys.stderr)

    def _where(self) -> str:
        if self.device.type == "cuda":
            return f"{torch.cuda.get_device_name(self.device)}, {self.dtype}".replace("torch.", "")
        return f"CPU, {torch.get_num_threads()} threads, {self.dtype}".replace("torch.", "")


class _Ranges:
    """Phases as ranges of the trace."""

    def __init__(self, device: torch.device):
        self.device = device
        self._open: list[Any] = []

    def begin(self, phase: str) -> None:
        self._settle()
        self._open.append(record_function(PREFIX + phase))
        self._open[-1].__enter__()

    def end(self) -> None:
        self._settle()
        if self._open:
            self._open.pop().__exit__(None, None, None)

    def _settle(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def page_of(found: dict[str, Phase], limits: Limits, steps: list[int], where: str) -> str:
    """The page, in Markdown."""
    count, total = len(steps), sum(phase.seconds for phase in found.values())
    of_steps = f"step {steps[0]}" if count == 1 else f"steps {steps[0]} to {steps[-1]}"
    shown = sorted((item for item in found.items() if item[1].seconds >= LEAST * total), key=lambda item: -item[1].seconds)
    rows = [_row(name, phase, limits, count, total) for name, phase in shown]
    slow = sorted(
        ((own, operator, name) for name, phase in found.items() for operator, own in phase.operators.items()), reverse=True
    )[:OPERATORS]  # fmt: skip
    lines = [
        f"# Where the time and memory of {of_steps} went",
        "",
        f"{where}. Measured just now: matrix products {limits.flops / 1e9:,.0f} GFLOP/s, copies {limits.bytes / 1e9:,.1f} GB/s (read and",
        f"written). {total / count:,.2f} s a step while traced. `{TRACE}` beside this page opens in https://ui.perfetto.dev or chrome://tracing.",
        "",
        "| phase | s a step | share | GFLOP | GFLOP/s | of the limit | GB | GB/s | of the limit | most memory |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        "GFLOP: matrix products and attention. GB: what operators read and write if no cache helps; above the limit, one did. Most memory:",
        "tensors alive at once, over what was alive when tracing began. A phase near neither limit waits for something else: Python, many",
        "small operators, other processes.",
        "",
        "## Operators that took longest",
        "",
        "| operator | in phase | s a step | share |",
        "|---|---|---|---|",
        *(f"| `{operator}` | {name} | {own / count:.3f} | {own / total if total else 0:.1%} |" for own, operator, name in slow),
        "",
    ]
    return "\n".join(lines)


def _row(name: str, phase: Phase, limits: Limits, steps: int, total: float) -> str:
    seconds = phase.seconds or float("inf")
    rate, moved = phase.flops / seconds, phase.bytes / seconds
    return (
        f"| {name} | {phase.seconds / steps:.3f} | {phase.seconds / total if total else 0:.1%} | {phase.flops / steps / 1e9:,.1f} | "
        f"{rate / 1e9:,.1f} | {rate / limits.flops:.0%} | {phase.bytes / steps / 1e9:,.2f} | {moved / 1e9:,.1f} | "
        f"{moved / limits.bytes:.0%} | {phase.most / 2**20:,.0f} MiB |"
    )
