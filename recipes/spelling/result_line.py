"""What a command has found, for programs: the last line `RESULT {json}`, or with `--json` that object alone on standard output.

A command says it with `tell_result` wherever it ends; only a command line prints it, so that the same code called from Python is silent,
and a command that carries out others says its own.
"""

import itertools
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

JSON = "--json"
_STDOUT, _STDERR = 1, 2
_NUMBERS = ("loss", "reward", "accuracy", "length")


@dataclass
class _CommandLine:
    out: TextIO
    alone: bool = False
    """Standard output is for the object, and everything else goes to standard error."""
    told: Mapping[str, Any] | None = None
    shown: bool = True
    """Without --json too."""
    turned: int | None = None
    """A copy of standard output's file descriptor, while the descriptor itself goes where standard error does."""


_current: ContextVar[_CommandLine | None] = ContextVar("command_line", default=None)


@contextmanager
def result_line() -> Iterator[None]:
    """Prints, after a block that ended well, what it told last. Within another such block it does nothing."""
    if _current.get() is not None:
        yield
        return
    state = _CommandLine(sys.stdout)
    mark = _current.set(state)
    try:
        yield
    finally:
        _current.reset(mark)
        if state.alone:
            sys.stdout.flush()
            sys.stdout = state.out
        if state.turned is not None:
            os.dup2(state.turned, _STDOUT)
            os.close(state.turned)
    if state.told is not None and (state.alone or state.shown):
        told = plain_json(state.told, encoding=getattr(state.out, "encoding", None) or "utf-8")
        print(f"{'' if state.alone else 'RESULT '}{told}", file=state.out, flush=True)


def json_alone() -> None:
    """From here on the command line prints its result's object only; the rest goes to standard error, what child processes print too."""
    if (state := _current.get()) is not None and not state.alone:
        state.alone, sys.stdout = True, sys.stderr
        with suppress(OSError, ValueError):  # a stream of Python's own, or a closed one
            if state.out.fileno() == _STDOUT:
                state.out.flush()
                state.turned = os.dup(_STDOUT)
                os.dup2(sys.__stderr__.fileno() if sys.__stderr__ else _STDERR, _STDOUT)


def plain_json(value: Any, *, encoding: str = "ascii") -> str:
    """In one line that any reader of JSON takes: null for a number that is not finite, letters escaped that the encoding lacks."""
    text = json.dumps(value := _finite(value), ensure_ascii=False, allow_nan=False)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:  # half a surrogate pair out of the name of a file, too
        return json.dumps(value, allow_nan=False)
    return text


def compact_json(value: Any) -> str:
    """Without spaces, all letters as they are; null for a number that is not finite, which a browser would not read."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def tell_result(facts: Mapping[str, Any], *, only_json: bool = False) -> None:
    """What the command has found, as JSON can hold it. `only_json`: its text says the same, so no RESULT line follows that."""
    if (state := _current.get()) is not None:
        state.told, state.shown = dict(facts), not only_json


def tell_run(run: Path) -> None:
    """Of a run that ended: where it is, how far it came, its first and last numbers, and where what it learnt lies."""
    if _current.get() is None:
        return
    from rl.runs.run_folder import read_lines

    rows, manifest = read_lines(run / "metrics.jsonl"), json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    measured = [name for name in dict.fromkeys(itertools.chain(*rows)) if name in _NUMBERS or name.startswith("eval/")]
    facts: dict[str, Any] = {"run": str(run), "status": manifest.get("status"), "step": rows[-1].get("step", 0) if rows else 0}
    for name in measured:
        values = [row[name] for row in rows if row.get(name) is not None] or [None]  # null in every step: nothing that was finite
        facts[name] = values[-1]
        if name.startswith("eval/") and len(values) > 1:
            facts[f"{name}/first"] = values[0]
    if (run / "final").is_dir():
        facts["model"] = str(run / "final")
    tell_result(facts)
