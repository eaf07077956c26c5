"""`reckon mine`: the pipeline from the command line. Exit codes: 0 done, 2 the input was wrong or the disk is full (one line), 130 stopped.

Each command is a function with a parser of its own; this module dispatches and answers for unknown names and options. A run that was
stopped goes on when the same command is given again.
"""

import errno
import importlib
import sys
from collections.abc import Sequence

from verifiers.input_error import InputError, did_you_mean

COMMANDS = {  # name -> (module:function from arguments to an exit code, what it does)
    "demo": ("data_pipeline.commands.run_command:demo", "two rounds on a small made-up web, in under a minute"),
    "run": ("data_pipeline.commands.run_command:run", "the whole loop: CONFIG.toml or INPUTS... --seed ... --out DIR"),
    "plan": ("data_pipeline.commands.plan_command:plan", "pages, bytes, core-hours and dollars before a run: INDEX or ARCHIVES..."),
    "fetch": (
        "data_pipeline.commands.fetch_command:fetch",
        "pages of Common Crawl, by its index: INDEX... --hosts NAMES --out DIR",
    ),
    "extract": ("data_pipeline.commands.extract_command:extract", "pages to text with LaTeX: IN... --out FILE.jsonl"),
    "train": ("data_pipeline.commands.classifier_commands:train", "a classifier: POSITIVES... --negatives FILES --out MODEL.bin"),
    "score": (
        "data_pipeline.commands.classifier_commands:score",
        "documents with their probability of mathematics: IN... --model MODEL.bin --out FILE",
    ),
    "dedup": ("data_pipeline.commands.step_commands:dedup_files", "without duplicates: IN... --out FILE"),
    "decontaminate": (
        "data_pipeline.commands.step_commands:decontaminate_files",
        "without the words of benchmarks: IN... --benchmarks FILES --out FILE",
    ),
    "problems": ("data_pipeline.commands.step_commands:problems", "question-answer pairs with verified answers: IN... --out FILE.jsonl"),
    "stats": ("data_pipeline.commands.inspection_commands:stats", "what a run or a file of documents holds: DIR or FILE, --json"),
    "report": ("data_pipeline.commands.inspection_commands:report", "report.html and its plots again, from the files of a run: DIR"),
    "inspect": (
        "data_pipeline.commands.inspection_commands:inspect",
        "what every stage made of a document: ID or URL or LINE --in DIR or FILE",
    ),
}
FULL = (errno.ENOSPC, errno.EDQUOT)
DISK = (*FULL, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EFBIG, errno.ENAMETOOLONG)
"""What is wrong with a place that the user named, and not with the program."""

EXTRA = frozenset(("fastwarc", "fsspec", "lz4", "resiliparse", "selectolax", "xxhash", "zstandard"))
"""What the extra `data` installs."""


def usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  reckon mine {name.ljust(width)}  {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(["Mine mathematics from the web.", "", *lines, "", "reckon mine COMMAND --help lists a command's options."])


def command_names() -> list[str]:
    return list(COMMANDS)


def command(arguments: Sequence[str]) -> int:
    """Run one command. Raises InputError for what the user, or the machine's disk, got wrong."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        raise InputError(f"unknown command {name!r}{did_you_mean(name, COMMANDS) or '; there are ' + ', '.join(COMMANDS)}")
    try:
        module, _, function = COMMANDS[name][0].partition(":")
        return int(getattr(importlib.import_module(module), function)(list(arguments[1:])))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in EXTRA:
            raise
        raise InputError(f"the package {error.name} is missing; mining needs: pip install 'reckon-rl[data]'") from error
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except OSError as error:
        if error.errno not in DISK:
            raise
        place = f"{error.filename}: " if error.filename else ""
        remedy = "; free some, then give the same command again: it goes on" if error.errno in FULL else ""
        raise InputError(f"{place}{error.strerror}{remedy}") from error


def main(arguments: Sequence[str]) -> int:
    """As `python -m data_pipeline.commands.mine_command`."""
    try:
        return command(arguments)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
