"""`reckon runs`: the runs of a folder, a line each.

reckon runs                      those under runs/
reckon runs experiments --json
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from recipes.spelling.result_line import plain_json
from verifiers.input_error import InputError

if TYPE_CHECKING:
    from recipes.looking.run_overview import Overview

WIDEST = 6
"""Columns of options beside a list: more are counted."""
NAMED = 12
"""Of those so many are named: runs of two recipes differ in a hundred."""


@dataclass(frozen=True)
class Config:
    """The runs of a folder, a line each: status, steps, best held-out accuracy with its interval, and what they differ in."""

    folders: Annotated[tuple[Path, ...], tyro.conf.Positional] = (Path("runs"),)
    """Folders of runs, or runs."""
    json: bool = False
    """One JSON object a run instead of a table."""


def run(config: Config) -> int:
    """Prints the table. Raises InputError where there is no run."""
    from recipes.looking.overview_table import aligned, as_json, facts, shown
    from recipes.looking.run_overview import differing, overview, runs_under

    found: list[Overview] = []
    for path in runs_under(config.folders):
        try:
            found.append(overview(path))
        except InputError as error:  # the others are still worth a look
            print(f"{path}: {error}", file=sys.stderr)
    if not found:
        raise InputError(f"no run under {', '.join(map(str, config.folders))}; give the folder that holds them: reckon runs FOLDER")
    if config.json:
        for each in found:
            print(plain_json(as_json(each)))
        return 0
    names = differing(found) if len(found) > 1 else []
    rows = [[str(each.path), *facts(each).values(), *(shown(each.options.get(name)) for name in names[:WIDEST])] for each in found]
    print(aligned([["run", *facts(found[0]), *names[:WIDEST]], *rows]), end="")
    if len(names) > WIDEST:
        more, rest = names[WIDEST : WIDEST + NAMED], len(names) - WIDEST - NAMED
        ending = f", and {rest} others; `reckon diff` shows those of two runs" if rest > 0 else ""
        print(f"they differ in {len(names) - WIDEST} more options: {', '.join(more)}{ending}", file=sys.stderr)
    return 0
