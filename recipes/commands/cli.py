"""The `reckon` command: one name a recipe or tool, each imported only when it is called."""

import dataclasses
import errno
import importlib
import io
import itertools
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from rollout.interruption import exit_code
from verifiers.input_error import InputError, nearest

_FLAGS = (bool, "bool", bool | None, "bool | None")
TRUNCATION = ("--top-p", "--top-k", "--min-p")
_PLAINER = (  # tyro's words -> a reader's
    (r"^Error parsing (--\S+): invalid literal for int\(\) with base 10: (.*)", r"\1 must be a whole number, not \2"),
    (r"^Error parsing (--\S+): could not convert string to float: (.*)", r"\1 must be a number, not \2"),
    (r"^Error parsing (--\S+): ", r"\1: "),
    (r"^invalid choice (.*) for argument '(--\S+)'\. Expected one of \((.*)\)\.$", r"\2 is one of \3, not \1"),
    (r"^Missing value for argument '(.*)'\. Expected 1 values\.$", r"\1 is given without a value"),
    (r"^Unrecognized options: (.*)", r"unexpected argument \1; an option's name begins with --, and --help lists them"),
    (r"^Missing from (reckon \S+): (?:[A-Z]+ )?(.*?)\.? \(required\)$", r"\1 is given nothing to work on: \2"),
)

COMMANDS = {  # name -> (module with a `Config` dataclass and `run(config) -> exit code`, what it does)
    "quickstart": ("recipes.quickstart", "GRPO teaches a tiny model arithmetic, on any machine, in minutes"),
    "grpo-math": ("recipes.grpo_math", "GRPO and its relatives on your model and your problems"),
    "grpo-tools": ("recipes.grpo_tools", "the same where the policy may run programs, or talk with an environment of yours"),
    "plan": ("recipes.commands.plan", "what a recipe would do: options, loss, tokens, memory; without running it"),
    "verify": ("recipes.commands.verify", "one verdict for each row of a JSONL file or a pipe"),
    "verifiers": ("recipes.commands.verifier_list", "the verifiers and their parameters, a line each"),
    "audit": ("recipes.commands.audit", "golds that fail, conflicts, duplicates, leaks and answer types of a data set"),
    "plot": ("recipes.commands.plot", "draw the plots of a run again"),
    "mine": (
        "data_pipeline.commands.mine_command",
        "mathematics out of web archives: extract, classify, by domain, in rounds; to a corpus and to problems",
    ),
}


def usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  reckon {name.ljust(width)}  {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(["Reckon: reinforcement learning of reasoning.", "", *lines, "", "reckon COMMAND --help lists a command's options."])


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 2 the input was wrong (one line says what, where and the remedy), 130 stopped by Ctrl-C, 143 by SIGTERM."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: _dispatch(arguments))


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    name, rest = arguments[0], arguments[1:]
    _check_verifiers_is_ours()
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # ours are enough; transformers would draw one a tensor
    return call(module_of(name), rest)


def module_of(name: str) -> Any:
    """The module of a command. Raises InputError with the nearest name."""
    known = name.replace("_", "-")
    if known not in COMMANDS:
        near = nearest(known, COMMANDS)
        hint = f"did you mean {near}?" if near else f"there are {', '.join(COMMANDS)}"
        raise InputError(f"unknown command {name!r}; {hint}")
    return importlib.import_module(COMMANDS[known][0])


def call(module: Any, arguments: Sequence[str]) -> int:
    """Parse the arguments into the module's Config and run it; a module with a `command` parses them itself."""
    if hasattr(module, "command"):
        return int(module.command(arguments))
    return int(module.run(parse(module.Config, arguments, name=module.__name__.rsplit(".", 1)[-1])))


def guarded(run: Callable[[], int]) -> int:
    """Errors of the user's as one line and exit code 2; anything else keeps its traceback."""
    try:
        return run()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print(": ".join(["interrupted", *filter(None, [str(error)])]), file=sys.stderr)
        return exit_code()
    except BrokenPipeError:
        return 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        place = f" for {error.filename}" if error.filename else ""
        print(f"error: no space left on the disk{place}; free some and continue the run with --resume", file=sys.stderr)
        return 2


def parse(config: Any, arguments: Sequence[str], *, name: str) -> Any:
    """A Config from the command line. Raises InputError in one line, with the nearest name for an unknown option."""
    import tyro

    if any(argument in ("-h", "--help") for argument in arguments):
        return tyro.cli(config, args=list(arguments), prog=f"reckon {name.replace('_', '-')}")
    _refuse_unknown(config, arguments)
    arguments = list(_with_values(config, arguments))
    said = io.StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(said):
            return tyro.cli(config, args=list(arguments), prog=f"reckon {name}")
    except SystemExit as error:
        raise InputError(_one_line(said.getvalue())) from error


def _refuse_unknown(config: Any, arguments: Sequence[str]) -> None:
    options = {"--" + field.name.replace("_", "-"): field for field in dataclasses.fields(config)}
    for negated in [f"--no-{option[2:]}" for option, field in options.items() if field.type in _FLAGS]:
        options[negated] = options[f"--{negated[5:]}"]
    for argument in arguments:
        option = argument.split("=", 1)[0].replace("_", "-")
        if option in TRUNCATION:
            raise InputError(
                f"{option} is refused: it would sample from a truncated distribution while the loss sees the whole one, which biases the "
                "gradient; use --temperature, and leave it out"
            )
        if argument.startswith("--") and option not in options:
            near = nearest(option, options)
            raise InputError(f"unknown option {argument.split('=', 1)[0]}{f'; did you mean {near}?' if near else ''} (--help lists all)")


def _with_values(config: Any, arguments: Sequence[str]) -> Iterator[str]:
    """`--dora` as `--dora True`, and `--no-dora` as `--dora False`: a flag that is neither where it was not given."""
    unset = {"--" + field.name.replace("_", "-") for field in dataclasses.fields(config) if field.type in (bool | None, "bool | None")}
    for argument, following in itertools.zip_longest(arguments, arguments[1:]):
        option = "--" + argument.removeprefix("--").removeprefix("no-").replace("_", "-")
        if option not in unset:
            yield argument
        elif argument.startswith("--no-"):
            yield from (option, "False")
        else:
            yield from (argument, "True") if following is None or following.startswith("-") else (argument,)


def _one_line(text: str) -> str:
    """tyro's boxed message without the box, its title, the option's help and the pointer to --help, and without Python's words."""
    rows = [re.sub("[─-]{3,}.*", "", line.strip("│╭╮╰╯─ ")).strip() for line in text.splitlines()]
    kept = [line for line in rows if line]
    end = next((place for place, line in enumerate(kept) if line.startswith(("Argument helptext", "For full helptext"))), len(kept))
    said = " ".join(kept[1:end])
    for pattern, plain in _PLAINER:
        said = re.sub(pattern, plain, said)
    return said or "the command line could not be read; see --help"


def _check_verifiers_is_ours() -> None:
    import verifiers

    here = Path(__file__).resolve().parents[2] / "verifiers"
    found = [Path(place).resolve() for place in verifiers.__path__]
    if here not in found:
        raise InputError(f"the package `verifiers` in {found[0]} hides Reckon's own; uninstall it: pip uninstall verifiers")


if __name__ == "__main__":
    sys.exit(main())
