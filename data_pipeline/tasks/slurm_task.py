"""One task of a Slurm array: `python -m data_pipeline.tasks.slurm_task WORKS.jsonl I N` works on every N-th file, beginning with the I-th.

By hand it does the same. Exit codes: 0 all of them are done, 1 some could not be finished (they are named), 2 the works cannot be read.
"""

import sys
from pathlib import Path

from data_pipeline.tasks.run_all import run_all
from data_pipeline.tasks.slurm_array import read_works
from verifiers.input_error import InputError


def main(arguments: list[str]) -> int:
    try:
        if len(arguments) != 3 or not all(value.isdecimal() for value in arguments[1:]) or not int(arguments[1]) < int(arguments[2]):
            raise InputError("usage: python -m data_pipeline.tasks.slurm_task WORKS.jsonl I N, with I from 0 to N - 1")
        task, limits, works = read_works(Path(arguments[0]))
        last = None
        for last in run_all(task, works[int(arguments[1]) :: int(arguments[2])], limits=limits):
            if last.work is not None:
                print(f"{last.finished} of {last.files}: {last.work.source}", flush=True)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    unfinished = {**last.failed, **last.aside} if last else {}
    for reason in unfinished.values():
        print(reason, file=sys.stderr)
    return int(bool(unfinished))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
