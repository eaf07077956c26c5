"""`reckon plot RUN`: draw a run's plots and report.html again, while it runs or afterwards."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Config:
    """Draw a run's plots and report.html again, while it runs or afterwards."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of the run."""


def run(config: Config) -> int:
    """Writes the files and prints the report's path. Raises InputError where there is no run."""
    from rl.runs.html_report import write_report
    from rl.runs.run_folder import RunFolder

    folder, _ = RunFolder.open(config.run)
    print(write_report(folder))
    return 0
