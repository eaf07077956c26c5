"""`reckon diff A B`: what two runs differ in, and what came of it."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from recipes.spelling.result_line import plain_json


@dataclass(frozen=True)
class Config:
    """What two runs differ in, and what came of it."""

    first: Annotated[Path, tyro.conf.Positional]
    """Folder of a run."""
    second: Annotated[Path, tyro.conf.Positional]
    """Folder of another."""
    json: bool = False
    """One JSON object instead of a table."""


def run(config: Config) -> int:
    """Prints the table. Raises InputError where one is no run."""
    from recipes.looking.overview_table import aligned, as_json, facts, shown
    from recipes.looking.run_overview import differing, overview

    runs = [overview(path) for path in (config.first, config.second)]
    names = differing(runs)
    if config.json:
        options = {name: [each.options.get(name) for each in runs] for name in names}
        print(plain_json({"options": options, "runs": [as_json(each) for each in runs]}))
        return 0
    rows = [[name, *(shown(each.options.get(name)) for each in runs)] for name in names]
    said = [facts(each) for each in runs]
    print(aligned([["", *(str(each.path) for each in runs)], *([name, *(each[name] for each in said)] for name in said[0]), *rows]), end="")
    if not names:
        print("their options are the same", file=sys.stderr)
    return 0
