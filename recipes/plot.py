"""`reckon plot RUN`: draw a run's plots again, while it runs or afterwards."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Config:
    """Draw a run's plots again, while it runs or afterwards."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of the run."""


def run(config: Config) -> int:
    """Writes the PNG files and prints their paths. Raises InputError where there is no run."""
    from rl.report import plot_run
    from rl.run_folder import RunFolder

    folder, _ = RunFolder.open(config.run)
    for path in plot_run(folder.metrics_path, folder.plots):
        print(path)
    return 0
