"""A chain of stages, each done once: what the stories share that tell of a whole paper.

    runs/deepseek_math/  config.json  manifest.json  01-mine/{..., stage.json}  02-problems/{..., stage.json}  03-sft/...

A stage is a function that leaves what it makes in a folder of its own and returns its numbers. These are written last, as `stage.json`:
with it the stage is done. The same command, given again, passes over what is done and goes on with the first stage that is not, and in
there each part goes on by its own means (`learnt`, `sampled`, `made`): a chain killed at any instant does nothing twice that was written,
and ends with the figures of one that was not. An option that differs from the chain's own is refused by its name. What a stage does, and
out of what, is the story's.
"""

import gc
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.in_python import sampling
from recipes.setup.options import absolute, check_numbers, to_json
from recipes.setup.resuming import refuse_changes
from recipes.spelling.result_line import tell_result
from rollout.interruption import Interrupted, interruptible
from verifiers.atomic_files import atomic_path, remove_leftovers
from verifiers.input_error import InputError

if TYPE_CHECKING:  # torch
    from rl.evaluation.accuracy import Accuracy

MARKER = "stage.json"
PLACES = ("model", "data", "eval_data", "cold_start", "general", "student")
"""Options of stories that name places."""


@dataclass(frozen=True)
class Stage:
    """One link of a chain."""

    name: str
    does: str
    """In words."""
    work: Callable[[Any, "Chain"], Mapping[str, Any]]
    """(options, chain) -> numbers that JSON holds; everything else it makes lies in `chain.place(name)`."""


@dataclass(frozen=True)
class Chain:
    """A chain on disk."""

    path: Path
    names: tuple[str, ...]
    """Of its stages, in order."""

    def place(self, name: str) -> Path:
        """The folder of a stage."""
        return self.path / f"{self.names.index(name) + 1:02d}-{name}"

    def done(self, name: str) -> bool:
        return (self.place(name) / MARKER).exists()

    def numbers(self, name: str) -> dict[str, Any]:
        """What a stage returned that is done."""
        found: dict[str, Any] = json.loads((self.place(name) / MARKER).read_text(encoding="utf-8"))["numbers"]
        return found

    def spent(self) -> dict[str, float]:
        """Seconds of all stages, each in the life that ended it: by the clock, and of the processor."""
        markers = [json.loads((self.place(name) / MARKER).read_text(encoding="utf-8")) for name in self.names]
        return {kind: round(sum(marker[kind] for marker in markers), 1) for kind in ("seconds", "processor_seconds")}

    def next(self) -> str | None:
        """The first stage that is not done; None where all are. Raises InputError where one after it is: it was made from another."""
        todo = [name for name in self.names if not self.done(name)]
        if not todo:
            return None
        after = [name for name in self.names[self.names.index(todo[0]) :] if self.done(name)]
        if after:
            raise InputError(
                f"{self.path}: the stage {todo[0]} is not done and {after[0]}, which follows from it, is; remove "
                f"{' and '.join(self.place(name).name for name in after)} too, or restore {self.place(todo[0]).name}"
            )
        return todo[0]

    def lines(self, stages: Sequence[Stage]) -> list[str]:
        """Every stage and where it stands."""
        following, width = self.next(), max(map(len, self.names))
        state = {name: "next" if name == following else "done" if self.done(name) else "" for name in self.names}
        return [f"{number:2}  {stage.name:{width}}  {state[stage.name]:4}  {stage.does}" for number, stage in enumerate(stages, 1)]


# --- what a stage is made of -----------------------------------------------------------------------------------------------------


def learnt(place: Path, function: Callable[..., Any], **options: Any) -> str:
    """The run that a function of `reckon` leaves (`reckon.sft`, `reckon.grpo`, ...): found whole, gone on with, or begun."""
    if not (place / "final").is_dir():
        function(**options, **{"resume" if _begun(place) else "run": place})
        _release()
    return str(place)


def sampled(place: Path, **options: Any) -> "Accuracy":
    """What `reckon.sample` leaves: found whole, gone on with, or begun; how many of the responses are right."""
    from recipes.selection.problem_difficulty import solved_in

    if not (_begun(place) and json.loads((place / "manifest.json").read_text(encoding="utf-8"))["status"] == "done"):
        sampling.sample(**options, **{"resume" if _begun(place) else "run": place})
        _release()
    return solved_in(place)


def measured(place: Path, **options: Any) -> "Accuracy":
    """Greedy accuracy, by what `sampled` leaves."""
    return sampled(place, **{"problems_per_chunk": 500, **options, "temperature": 0.0, "completions_per_problem": 1})


def made(path: Path, make: Callable[[Path], Any]) -> str:
    """A file that is there whole, or is made: `make` is given its place, and writes it whole or not at all."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
    return str(path)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """JSON Lines, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="ascii")


def numbers_of(found: "Accuracy") -> dict[str, Any]:
    """An accuracy with its 95 % interval, as numbers of a stage."""
    low, high = found.interval
    return {"accuracy": round(found.value, 4), "low": round(low, 4), "high": round(high, 4), "answered": found.total}


def _begun(place: Path) -> bool:
    return (place / "config.json").exists()


def _release() -> None:
    """The memory of a part's model, which the next one's needs."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


# --- a chain's life --------------------------------------------------------------------------------------------------------------


def run_chain(options: Any, stages: Sequence[Stage], *, result: Callable[[Chain], Mapping[str, Any]]) -> int:
    """Every stage that is not done, in order; then `result` of the whole as the RESULT line. Returns the exit code.

    Raises InputError for options that are not those that the chain began with.
    """
    places = {name: absolute(getattr(options, name)) for name in PLACES if hasattr(options, name)}
    options = replace(options, run=options.run.resolve(), **places)
    check_numbers(options)
    chain = Chain(options.run, tuple(stage.name for stage in stages))
    with interruptible(), ExitStack() as opened:
        folder = opened.enter_context(_opened(options))
        print("\n".join(chain.lines(stages)), file=sys.stderr)
        folder.write_manifest(status="running")
        for number, stage in enumerate(stages, 1):
            if not chain.done(stage.name):
                print(f"\n== stage {number} of {len(stages)}, {stage.name}: {stage.does}", file=sys.stderr)
                with _told(options.run, stage.name):
                    _do(options, chain, stage)
        told = {**result(chain), **chain.spent()}
        folder.write_manifest(status="done", result=told)
    tell_result(told)
    return 0


def _do(options: Any, chain: Chain, stage: Stage) -> None:
    place, began, used = chain.place(stage.name), time.monotonic(), _processor_seconds()
    place.mkdir(exist_ok=True)
    remove_leftovers(place)
    numbers = stage.work(options, chain)
    said = ", ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in numbers.items())
    spent = {"seconds": round(time.monotonic() - began, 1), "processor_seconds": round(_processor_seconds() - used, 1)}
    marker = {"stage": stage.name, "numbers": dict(numbers), **spent}
    with atomic_path(place / MARKER) as temporary:
        temporary.write_text(json.dumps(marker, indent=1) + "\n", encoding="utf-8")
    print(f"== {stage.name}: {said} ({spent['seconds']:.0f} s, {spent['processor_seconds']:.0f} of the processor)", file=sys.stderr)


def _processor_seconds() -> float:
    """Of this process and of those that it has seen to their end."""
    return sum(os.times()[:4])


def _opened(options: Any) -> Any:
    """The folder, locked: a new one, or the one that is gone on with."""
    from rl.runs.run_folder import RunFolder

    if options.overwrite or not (options.run / "config.json").exists():
        return RunFolder.create(options.run, {"options": to_json(options)}, overwrite=options.overwrite)
    refuse_changes(options, options.run)
    folder, _ = RunFolder.open(options.run)
    folder.lock()
    return folder


@contextmanager
def _told(run: Path, name: str) -> Iterator[None]:
    """What a part of a stage says, said of the chain: the same command goes on."""
    again = "give the same command again, without --overwrite"

    def said(error: BaseException) -> str:
        return re.sub(rf"(continue )?(with )?--resume {re.escape(str(run))}/[^\s;,:]+", again, str(error))

    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(f"stage {name}; {again}, and it goes on: {said(error) or 'what is written is kept'}") from None
    except InputError as error:
        raise InputError(f"stage {name}: {said(error)}") from error
