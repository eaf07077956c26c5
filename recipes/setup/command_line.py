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
import re
import sys
import typing
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Annotated, Any

from recipes.setup.foreign_names import here, hydra_name
from recipes.setup.option_values import checked
from rollout.interruption import exit_code
from verifiers.input_error import InputError, did_you_mean

_FLAGS = (bool, "bool", bool | None, "bool | None")
_PYTHONS = {"True": True, "False": False, "None": None}
_GIVEN = "_given_on_the_command_line"
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


def flag_of(name: str) -> str:
    """An option as it is written on a command line."""
    return "--" + name.replace("_", "-")


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
    if any(argument in ("-h", "--help") for argument in arguments):
        return tyro.cli(_with_config(config, {}), args=list(arguments), prog=command)
    given = _refuse_unknown(config, arguments)
    stored = _stored_options(config, arguments) if "config" in given else {}
    said = io.StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(said):
            parsed = tyro.cli(_with_config(config, stored), args=list(_with_values(config, arguments)), prog=command)
    except SystemExit as error:
        raise InputError(_one_line(said.getvalue())) from error
    values = {field.name: getattr(parsed, field.name) for field in dataclasses.fields(config)}
    given |= {field.name for field in dataclasses.fields(config) if values[field.name] != default_of(field)}  # positional ones
    options = config(**values | {key: value for key, value in stored.items() if key not in given})
    object.__setattr__(options, _GIVEN, frozenset(given - {"config"}))
    return options


def given_options(options: Any) -> frozenset[str]:
    """Fields that the command line named, be it with their default value; of options made in Python, those that are not their defaults."""
    changed = {field.name for field in dataclasses.fields(options) if getattr(options, field.name) != default_of(field)}
    return frozenset(changed | getattr(options, _GIVEN, frozenset()))


def default_of(field: "dataclasses.Field[Any]") -> Any:
    """What an option is where nobody gives it."""
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default


def _with_config(config: Any, stored: dict[str, Any]) -> Any:
    """The dataclass with an option --config; what it requires, and the file holds, is no longer required on the command line."""
    import tyro

    about = "YAML, TOML or JSON file of options, or an earlier run's config.json. Options of the command line win over the file's."
    hints = typing.get_type_hints(config, include_extras=True)
    held = [field.name for field in dataclasses.fields(config) if field.name in stored and default_of(field) is dataclasses.MISSING]
    fields: list[Any] = [(name, hints[name], dataclasses.field(default=stored[name], kw_only=True)) for name in held]
    fields.append(("config", Annotated[Path | None, tyro.conf.arg(help=about)], dataclasses.field(default=None, kw_only=True)))
    return dataclasses.make_dataclass(config.__name__, fields, bases=(config,), namespace={"__doc__": config.__doc__}, frozen=True)


def _stored_options(config: Any, arguments: Sequence[str]) -> dict[str, Any]:
    """The options in the file that --config names."""
    from recipes.setup.config_file import read_config

    last = max(place for place, argument in enumerate(arguments) if argument.split("=", 1)[0] == "--config")
    value = arguments[last].partition("=")[2] or next(iter(arguments[last + 1 :]), "")
    if not value or value.startswith("--"):
        raise InputError("--config is given without a value")
    path = Path(value)
    return checked(read_config(path), typing.get_type_hints(config, include_extras=True), f"--config {path}")


def _refuse_unknown(config: Any, arguments: Sequence[str]) -> set[str]:
    """The names of the options that are given."""
    options = {flag_of(field.name): field.name for field in dataclasses.fields(config)} | {"--config": "config"}
    options |= {f"--no-{flag_of(field.name)[2:]}": field.name for field in dataclasses.fields(config) if field.type in _FLAGS}
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
    unset = {flag_of(field.name) for field in dataclasses.fields(config) if field.type in (bool | None, "bool | None")}
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


def guarded(run: Callable[[], int]) -> int:
    """Exit codes: 0 done, 2 the input was wrong (one line says what, where and the remedy), 130 stopped by Ctrl-C, 143 by SIGTERM.

    Anything else keeps its traceback.
    """
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
