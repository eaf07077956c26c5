"""One file, one task: what is to be done with one input file, and the marker that says that it was.

A task is a function of a module, by name: `function(work, tell) -> counts`. It writes its outputs whole, named by `work.key`, under
`work.out`; the process that runs it then writes the marker `KEY.json`, which holds the input, the configuration and the counts. A file
whose marker has this configuration is done, whoever did it. A file whose task failed too often leaves `KEY.failed.json` with the reason,
and is passed by as long as that has this configuration.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from data_pipeline.documents.places import Damaged, join, names, read_json, remove, write_json
from data_pipeline.documents.stored_bytes import is_remote

Tell = Callable[[Mapping[str, Any]], None]
"""Tells the progress of one file: counts so far, by name; what is told replaces what was told before."""
FAILED = ".failed.json"
_AT_A_TIME = 16


@dataclass(frozen=True, slots=True)
class FileWork:
    """One input file, and what decides its outputs."""

    key: str
    """Stem of the outputs' names."""
    source: str
    """Path or address of the input file."""
    out: str
    """Folder or fsspec place of the outputs."""
    config: str
    """Hash of everything that decides the outputs."""
    options: Mapping[str, Any]
    """JSON values, for the task."""

    def place(self, ending: str) -> str:
        """Of an output."""
        return join(self.out, self.key + ending)

    def row(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def counts_of(work: FileWork) -> Mapping[str, Any] | None:
    """What the marker says; None where there is none, one of another configuration, or one that nobody can read."""
    return _of_this_config(work, work.place(".json"))


def write_marker(work: FileWork, counts: Mapping[str, Any]) -> None:
    """No time in it: the same work gives the same bytes."""
    write_json(work.place(".json"), {"source": work.source, "config": work.config, **counts})


def failure_of(work: FileWork) -> str | None:
    """Why the file was set aside; None where it was not, or under another configuration."""
    found = _of_this_config(work, work.place(FAILED))
    return None if found is None else str(found.get("reason", ""))


def set_aside(work: FileWork, reason: str, tries: int) -> None:
    """Nobody tries the file again, unless asked."""
    row = {"source": work.source, "config": work.config, "reason": reason, "tries": tries}
    write_json(work.place(FAILED), row)


def forget_failure(work: FileWork) -> None:
    remove(work.place(FAILED))


class State(NamedTuple):
    """What there is to do."""

    open: list[FileWork]
    done: list[FileWork]
    aside: list[tuple[FileWork, str]]
    """With the reason."""


def state_of(works: Iterable[FileWork]) -> State:
    """Each output folder is listed once, and only the markers that are there are read; those of a store some at a time."""
    given = list(works)
    there = {out: set(names(out)) for out in dict.fromkeys(work.out for work in given)}
    said = [work for work in given if there[work.out] & {f"{work.key}.json", work.key + FAILED}]
    if any(is_remote(out) for out in there):
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            found = list(pool.map(_said, said))
    else:
        found = [_said(work) for work in said]
    state = State([], [], [])
    known = {id(work): answer for work, answer in zip(said, found, strict=True)}
    for work in given:
        done, reason = known.get(id(work), (False, None))
        if done:
            state.done.append(work)
        elif reason is not None:
            state.aside.append((work, reason))
        else:
            state.open.append(work)
    return state


def _said(work: FileWork) -> tuple[bool, str | None]:
    """(whether it is done, why it was set aside)."""
    return (True, None) if counts_of(work) is not None else (False, failure_of(work))


def _of_this_config(work: FileWork, place: str) -> dict[str, Any] | None:
    try:
        found = read_json(place)
    except Damaged:  # the work is done again
        return None
    return found if isinstance(found, dict) and found.get("config") == work.config else None
