"""A recipe's or tool's options from the words of its command line, and its errors as one line and an exit code.

What `reckon NAME` and `python -m recipes.NAME` share; which commands there are is `recipes/commands/cli.py`'s business. Options come from
a frozen dataclass by way of tyro, whose messages are said in a reader's words, and from the file that --config names, where the command
line does not give them. It decides what is refused before tyro sees it: names that are none, with the nearest that is one, and options
of truncated sampling.
"""

import dataclasses
import errno
import io
import itertools
import json
import os
import re
import select
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

from recipes.spelling.flat_options import built, choices_of, flat_options, flat_values, from_file, merged, names_of
from recipes.spelling.foreign_names import here, hydra_name
from recipes.spelling.help_page import HELP, HELP_ALL, dataclass_to_read, show_help
from recipes.spelling.option_values import flag_of, takes_list
from recipes.spelling.result_line import JSON, json_alone, result_line
from rollout.interruption import exit_code
from rollout.watchdog import EXIT_CODE, Stalled
from verifiers.input_error import InputError, did_you_mean

_PYTHONS = {"True": True, "False": False, "None": None}
_GIVEN = "_given_on_the_command_line"
TRUNCATION = ("--top-p", "--top-k", "--min-p")
WITHOUT_VALUE = {"--profile": "2"}
"""What an option means that is given alone."""
_PLAINER = (  # tyro's words -> a reader's
    (r"^Error parsing (--\S+): invalid literal for int\(\) with base 10: (.*)", r"\1 must be a whole number, not \2"),
    (r"^Error parsing (--\S+): could not convert string to float: (.*)", r"\1 must be a number, not \2"),
    (
        r"^Error parsing (--\S+): no type matching \{None\}\|INT could be instantiated from \[(.*?)\]\. .*",
        r"\1 must be a whole number, not \2",
    ),
    (r"^Error parsing (--\S+): no type matching \{None\}\|FLOAT could be instantiated from \[(.*?)\]\. .*", r"\1 must be a number, not \2"),
    (r"^Error parsing (--\S+): ", r"\1: "),
    (r"(?<=\W)'None', |, 'None'(?=[,)])", ""),  # "not given" is no value to type
    (r"^invalid choice (.*) for argument '(--\S+)'\. Expected one of \((.*)\)\.$", r"\2 is one of \3, not \1"),
    (r"^Missing value for argument '(.*)'\. Expected 1 values\.$", r"\1 is given without a value"),
    (r"^Unrecognized options: (.*)", r"unexpected argument \1; an option's name begins with --, and --help lists them"),
    (r"^Missing from reckon \S+: (--\S+) \S+ (.*?)\.? \(required\)$", r"\1 is missing: \2"),
    (r"^Missing from (reckon \S+): (?:[A-Z]+ )?(.*?)\.? \(required\)$", r"\1 is given nothing to work on: \2"),
)


def named_values(pairs: Sequence[str], option: str, example: str) -> dict[str, Any]:
    """`name=value` pairs of a repeatable option, values as JSON where they are JSON (or Python's True, False, None).

    Raises InputError for what is no such pair.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name.isidentifier() and equals):
            raise InputError(f"{option} {pair!r} must be name=value, such as {example}")
        try:
            found[name] = _PYTHONS[value] if value in _PYTHONS else json.loads(value)
        except ValueError:
            found[name] = value
    return found


def parse_options(config: Any, arguments: Sequence[str], *, name: str) -> Any:
    """A Config from the words of the command `name` and the file that --config names, of which the words win.

    Raises InputError in one line, with the nearest name for an unknown option.
    """
    import tyro

    command = f"reckon {name.replace('_', '-')}"
    if asked := [argument for argument in arguments if argument in (*HELP, HELP_ALL)]:
        show_help(config, command=command, everything=HELP_ALL in asked)
    if JSON in arguments and "json" not in flat_options(config):
        json_alone()
        arguments = [argument for argument in arguments if argument != JSON]
    given = _refuse_unknown(config, arguments)
    stored = _stored_options(config, arguments) if "config" in given else {}
    text = io.StringIO()
    try:
        with redirect_stderr(text), redirect_stdout(text):
            parsed = tyro.cli(dataclass_to_read(config, stored), args=list(_with_values(config, arguments)), prog=command)
    except SystemExit as error:
        raise InputError(_one_line(text.getvalue())) from error
    known = flat_options(config)
    unset = {name: stored.get(name) if option.default is dataclasses.MISSING else option.default for name, option in known.items()}
    given |= {name for name in known if getattr(parsed, name) != unset[name]}  # positional ones
    values = {name: getattr(parsed, name) for name in known if name in given}
    of_file = {name: f"--config {parsed.config}: {name}" for name in stored.keys() - given}
    found = merged(config, stored, values)
    grouped = frozenset().union(*(names_of(config, field) for field in choices_of(config)))
    resumes = found.get("resume") is not None  # whether a choice obeys a setting is for the run to say
    told = {name: value for name, value in found.items() if not (resumes and name in grouped)}
    options = built(config, told, lambda name: of_file.get(name, flag_of(name)))
    object.__setattr__(options, _GIVEN, found)
    return options


def given_options(options: Any) -> dict[str, Any]:
    """What the command line and its file gave, be it the default, by flat names; of options made in Python, what is not the default."""
    if (given := getattr(options, _GIVEN, None)) is not None:
        return dict(given)
    defaults = flat_options(type(options))
    unset = {name: [option.default, *option.defaults.values()] for name, option in defaults.items()}
    return {name: value for name, value in flat_values(options).items() if value not in unset[name]}


def _stored_options(config: Any, arguments: Sequence[str]) -> dict[str, Any]:
    """The options in the file that --config names, by flat names."""
    from recipes.spelling.config_file import read_config

    last = max(place for place, argument in enumerate(arguments) if argument.split("=", 1)[0] == "--config")
    value = arguments[last].partition("=")[2] or next(iter(arguments[last + 1 :]), "")
    if not value or value.startswith("--"):
        raise InputError("--config is given without a value")
    hints = {name: option.hint for name, option in flat_options(config).items()}
    values = {
        key: [each] if isinstance(each, str) and takes_list(hints.get(key)) else each for key, each in read_config(Path(value)).items()
    }
    return from_file(config, values, f"--config {Path(value)}")


def _refuse_unknown(config: Any, arguments: Sequence[str]) -> set[str]:
    """The names of the options that are given."""
    known = flat_options(config)
    options = {flag_of(name): name for name in known} | {"--config": "config"}
    options |= {f"--no-{flag_of(name)[2:]}": name for name, option in known.items() if option.hint in (bool, bool | None)}
    for argument in arguments:
        option = argument.split("=", 1)[0].replace("_", "-")
        if option in TRUNCATION:
            raise InputError(
                f"{option} is refused: it would sample from a truncated distribution while the loss sees the whole one, which biases the "
                "gradient; use --temperature, and leave it out"
            )
        theirs = option if argument.startswith("--") and option not in options else hydra_name(argument)
        if theirs and (said := here(theirs, options.values())):
            raise InputError(said)
        if argument.startswith("--") and option not in options:
            raise InputError(f"unknown option {argument.split('=', 1)[0]}{did_you_mean(option, options)} (--help lists all)")
    return {options[option] for argument in arguments if (option := argument.split("=", 1)[0].replace("_", "-")) in options}


def _with_values(config: Any, arguments: Sequence[str]) -> Iterator[str]:
    """`--dora` as `--dora True`, and `--no-dora` as `--dora False`: a flag that is neither where it was not given."""
    unset = {flag_of(name) for name, option in flat_options(config).items() if option.hint == bool | None}
    for argument, following in itertools.zip_longest(arguments, arguments[1:]):
        if argument in WITHOUT_VALUE and (following is None or following.startswith("-")):
            yield from (argument, WITHOUT_VALUE[argument])
            continue
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


def _nobody_reads() -> bool:
    """Whether whoever read our output went away, as `head` does. What is left of it goes nowhere then."""
    gone = [stream for stream in (sys.stdout, sys.stderr) if _is_broken(stream)]
    for stream in gone:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
    return bool(gone)


def _is_broken(stream: TextIO) -> bool:
    waiting = select.poll()
    try:
        waiting.register(stream.fileno(), 0)
    except (OSError, ValueError):  # a stream of Python's own
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in waiting.poll(0))


def guarded(run: Callable[[], int]) -> int:
    """Exit codes: 0 done, 2 the input was wrong (one line says what, where and the remedy), 3 a wait was past its deadline (`Stalled`),
    130 stopped by Ctrl-C, 143 by SIGTERM.

    Anything else keeps its traceback.
    """
    try:
        with result_line():
            code = run()
        sys.stdout.flush()
        return code
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Stalled as error:
        print(f"error: the run stopped: {error}", file=sys.stderr)
        return EXIT_CODE
    except KeyboardInterrupt as error:
        print(": ".join(["interrupted", *filter(None, [str(error)])]), file=sys.stderr)
        return exit_code()
    except BrokenPipeError:
        if not _nobody_reads():  # the pipe to a process of ours, which is an error
            raise
        return 0
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            print(f"error: {str(error.filename)[:60]!r}... is too long for a file's name; give a shorter one", file=sys.stderr)
            return 2
        if error.errno != errno.ENOSPC:
            raise
        place = f" for {error.filename}" if error.filename else ""
        print(f"error: no space left on the disk{place}; free some and continue the run with --resume", file=sys.stderr)
        return 2
