"""Files worked on by a Slurm array: its script, for somebody to submit. Nothing here speaks to Slurm.

Task I of N takes every N-th file, by `slurm_task.py`, which does on its cores what a run on one machine does; given again it passes by what
is done. When the array is through, the command that wrote the script goes on.
"""

import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from data_pipeline.documents.stored_bytes import is_remote, local_path
from data_pipeline.tasks.file_work import FileWork
from data_pipeline.tasks.running_task import Limits
from verifiers.atomic_files import atomic_path
from verifiers.child_environment import child_environment
from verifiers.input_error import InputError

MOST = 1000
"""Tasks of an array, where nobody says how many: Slurm's own limit is a thousand unless an administrator raises it."""
WORKS, SCRIPT = ".slurm-works.jsonl", "slurm.sh"


class ToSubmit(InputError):
    """The work is somebody else's to start: says what to submit."""


def write_array(task: str, works: Sequence[FileWork], limits: Limits, tasks: int) -> Path:
    """The script, beside the outputs, or in the current folder where these go to a store. `tasks`: of the array, 0 for up to 1,000."""
    outs = {work.out for work in works}
    shared = next(iter(outs)) if len(outs) == 1 else ""
    folder = Path.cwd() if not shared or is_remote(shared) else local_path(shared).absolute()
    count = min(tasks or MOST, len(works))
    rows = [{"task": task, "limits": asdict(limits)}, *(work.row() for work in works)]
    with atomic_path(folder / WORKS) as path:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with atomic_path(folder / SCRIPT) as path:
        path.write_text(_script(folder, count, len(works), limits), encoding="utf-8")
    return folder / SCRIPT


def read_works(path: Path) -> tuple[str, Limits, list[FileWork]]:
    """What `write_array` wrote. Raises InputError for anything else."""
    try:
        first, *rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return str(first["task"]), Limits(**first["limits"]), [FileWork(**row) for row in rows]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is no list of works; give the command with --on slurm again") from error


def _script(folder: Path, count: int, files: int, limits: Limits) -> str:
    python, listed = shlex.quote(sys.executable), shlex.quote(str(folder / WORKS))
    path = child_environment()["PYTHONPATH"]
    lines = [
        "#!/bin/bash",
        "#SBATCH --job-name=reckon-mine",
        f"#SBATCH --array=0-{count - 1}",
        "#SBATCH --cpus-per-task=1",
        *([f"#SBATCH --mem-per-cpu={limits.megabytes}M"] if limits.megabytes else []),
        "#SBATCH --open-mode=append",
        f"#SBATCH --output={folder / '.slurm-%a.log'!s}",
        f"# {files} files: task I takes every {count}-th. A finished file is passed by, so that this may be submitted again.",
        f"cd {shlex.quote(os.getcwd())} || exit 1",
        f"export PYTHONPATH={shlex.quote(path)}",
        f'exec {python} -P -m data_pipeline.tasks.slurm_task {listed} "$SLURM_ARRAY_TASK_ID" {count}',
    ]
    return "\n".join(lines) + "\n"
