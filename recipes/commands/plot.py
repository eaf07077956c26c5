"""`reckon plot RUN`: draw the plots of runs again, while they go on or afterwards: PNG, SVG, and the numbers as CSV."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from recipes.spelling.result_line import tell_result
from verifiers.input_error import InputError


@dataclass(frozen=True)
class Config:
    """Draw the plots of runs again, while they go on or afterwards: each as PNG, SVG, and the numbers in it as CSV."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of runs."""


def run(config: Config) -> int:
    """Writes the files into plots/ of each run and prints the paths of the pictures. Raises InputError where there is no run."""
    from recipes.looking.explanation import print_anywhere
    from rl.runs.report import plot_run
    from rl.runs.run_folder import RunFolder

    if not config.runs:
        raise InputError("what is to be drawn? give the folder of a run")
    print_anywhere()
    folders = [RunFolder.open(path)[0] for path in config.runs]
    pictures: list[str] = []
    for folder in folders:
        for path in plot_run(folder.metrics_path, folder.plots):
            pictures.append(str(path))
            print(path)
    tell_result({"pictures": pictures}, only_json=True)
    return 0
