"""Where a run's numbers go: metrics.jsonl always, a live table or plain lines, and a tracker from accelerate where one is asked for.

Keys that begin with "time/", "speed/" or "sync/" depend on the machine; all others are equal, to the last bit, in a resumed run.
"""

import importlib.util
import math
import secrets
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rl.runs.run_folder import append_line
from rollout import phases
from rollout.progress import Screen, shown_on
from verifiers.atomic_files import atomic_path, read_file
from verifiers.input_error import InputError

TrackerName = Literal["tensorboard", "wandb", "trackio"]
SHOWN = {  # key in metrics.jsonl -> (name on screen, format)
    "reward": ("reward", "{:.3f}"),
    "accuracy": ("accuracy", "{:.1%}"),
    "eval/accuracy": ("held-out", "{:.1%}"),
    "length": ("length", "{:.1f}"),
    "entropy": ("entropy", "{:.3f}"),
    "groups_dead": ("dead groups", "{:.0%}"),
    "truncated_share": ("truncated", "{:.1%}"),
    "kl_reference": ("KL ref", "{:.4f}"),
    "teacher_kl": ("KL teacher", "{:.4f}"),
    "sampler_kl": ("KL sampler", "{:.1e}"),
    "clipped_share": ("clipped", "{:.1%}"),
    "critic/explained": ("critic explains", "{:.0%}"),
    "grad_norm": ("grad norm", "{:.3f}"),
    "lr": ("lr", "{:.1e}"),
}
SHOWN_OFFLINE = {  # of a run that samples nothing
    "loss": ("loss", "{:.4f}"),
    "eval/loss": ("held-out", "{:.4f}"),
    "eval/accuracy": ("judged right", "{:.1%}"),
    "eval/auc": ("AUC", "{:.3f}"),
    "rewards/accuracies": ("chosen wins", "{:.1%}"),
    "rewards/margins": ("margin", "{:.3f}"),
    "grad_norm": ("grad norm", "{:.3f}"),
    "lr": ("lr", "{:.1e}"),
}
SHOWN_OF_LABELS = {"rewards/accuracies": ("told right", "{:.1%}")}  # of single answers or steps, where nothing is chosen


class Service(NamedTuple):
    """A tracker that is told the numbers too, and under which names. What is None is named by the run."""

    tracker: TrackerName
    run_name: str | None = None
    project: str | None = None


class Clock:
    """Seconds by phase: `clock("sample")` ends the phase before and begins this one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._phase = ""
        self._since = time.monotonic()

    def __call__(self, phase: str) -> None:
        now = time.monotonic()
        if self._phase:
            phases.end()
            self.seconds[self._phase] = self.seconds.get(self._phase, 0.0) + now - self._since
        self._phase, self._since = phase, now
        if phase:
            phases.begin(phase)

    def stop(self) -> dict[str, float]:
        self("")
        return self.seconds


class Tracker:
    """A context manager that shows and stores every step's numbers."""

    def __init__(
        self, metrics_path: Path, *, steps: int, name: str = "run", tracker: Service | None = None, config: Any = None,
        shown: Mapping[str, tuple[str, str]] = SHOWN,
    ):  # fmt: skip
        """`shown`: key in metrics.jsonl -> its name on screen, and its format."""
        self.metrics_path, self.steps, self.name, self.shown = metrics_path, steps, name, shown
        self.console = Console(file=sys.stderr, highlight=False)
        self.live = Live(get_renderable=self._live_view, console=self.console, refresh_per_second=4) if self.console.is_terminal else None
        self.screen = Screen(self.say, live=self.live is not None)
        self._open = ExitStack()
        self._step = 0
        self.external = _start_external(tracker, name, metrics_path.parent, config or {}) if tracker else None
        self._begun: tuple[float, int] | None = None
        self._shown: dict[str, Any] = {}

    def __enter__(self) -> "Tracker":
        if self.live:
            self.live.start()
        self._open.enter_context(shown_on(self.screen))
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()
        if self.live:
            self.live.stop()
        if self.external:
            self.external.finish()

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        """Store the numbers of one completed step (null for those that are not finite), then show them."""
        finite = {key: value if math.isfinite(value) else None for key, value in metrics.items()}  # JSON has no nan
        append_line(self.metrics_path, {"step": step, **finite})
        if self.external:
            self.external.log({key: value for key, value in finite.items() if value is not None}, step=step)
        self._begun = self._begun or (time.monotonic(), step)
        self._shown.update(metrics)
        self._step = step
        if self.live:
            self.live.refresh()
        else:
            found = {key: value for key, value in metrics.items() if step or key.startswith("eval/")}
            cells = [f"{label} {form.format(found[key])}" for key, (label, form) in self.shown.items() if found.get(key) is not None]
            self.console.print(f"{self.name} {step}/{self.steps}  " + "  ".join(cells) + f"  {self._describe_pace(step)}", soft_wrap=True)

    def say(self, text: str) -> None:
        """A line for the reader, above the live table."""
        self.console.print(text, soft_wrap=True, markup=False)

    def _describe_pace(self, step: int) -> str:
        since, first = self._begun or (time.monotonic(), step)
        if step == first:
            return ""
        rate = (time.monotonic() - since) / (step - first)
        left = int(rate * (self.steps - step))
        return f"{rate:.2f} s/step, {left // 60}:{left % 60:02d} left"

    def _live_view(self) -> Group:
        """What the live display shows, asked anew at each refresh."""
        progress = self.screen.progress
        rows: list[Any] = [self._number_table(self._step)] if self._begun else []
        return Group(*rows, *([Text(str(progress))] if progress else []))

    def _number_table(self, step: int) -> Group:
        table = Table(box=None, padding=(0, 2), show_header=False)
        cells = [(label, form.format(self._shown[key])) for key, (label, form) in self.shown.items() if self._shown.get(key) is not None]
        for start in range(0, len(cells), 4):
            table.add_row(*(f"[dim]{label}[/dim] [bold]{value}[/bold]" for label, value in cells[start : start + 4]))
        bar = Padding(ProgressBar(self.steps, step, width=60), 0)  # a bare bar does not end its line
        return Group(f"{self.name}  step {step}/{self.steps}  {self._describe_pace(step)}", bar, table)


def check_tracker(tracker: TrackerName | None) -> None:
    """Raises InputError, before anything heavy starts, if the tracker's package is missing."""
    if tracker and importlib.util.find_spec(tracker) is None:
        raise InputError(f"--track {tracker}: the package {tracker} is not installed; pip install {tracker}, or leave --track out")


def _start_external(service: Service, name: str, folder: Path, config: Any) -> Any:
    """accelerate's trackers: one interface to services that change theirs. A run that is resumed is the same run there: it keeps its id."""
    from accelerate import PartialState, tracking

    PartialState()  # they ask it which process is the main one
    project, run_name = service.project or name, service.run_name
    if service.tracker == "tensorboard":
        external: Any = tracking.TensorBoardTracker(run_name or name, folder / "tensorboard")
    elif service.tracker == "wandb":
        external = tracking.WandBTracker(project, name=run_name or folder.name, id=_kept_id(folder), resume="allow", dir=folder)
    else:  # it knows a run by its name
        external = tracking.TrackioTracker(project, name=run_name or f"{folder.name}-{_kept_id(folder)}", resume="allow")
    external.start()
    external.store_init_configuration({k: v if isinstance(v, int | float | str | bool) else str(v) for k, v in config.items()})
    return external


def _kept_id(folder: Path) -> str:
    """Of the run, at whatever service: made once, and kept in its folder."""
    path = folder / "tracker_id"
    if not path.is_file():
        with atomic_path(path) as temporary:
            temporary.write_text(secrets.token_hex(4), encoding="utf-8")
    return read_file(path)
