"""Options of `reckon mine`: argparse with errors as one line, the nearest name for an unknown option, and fields as options."""

import argparse
import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from data_pipeline.loop.run_settings import SettingError, Settings, fields
from verifiers.input_error import InputError, did_you_mean


class Parser(argparse.ArgumentParser):
    """Raises InputError where argparse would print its usage and exit. Abbreviations are refused: they break when an option is added."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(prog=f"reckon mine {name}", description=text, allow_abbrev=False)

    def add_documents(self, inputs: str = "files or folders of documents", out: str = "a .jsonl, .jsonl.zst or .jsonl.gz file") -> None:
        """What is read and what is written, as most commands have it."""
        self.add_argument("inputs", nargs="+", help=inputs)
        self.add_argument("--out", required=True, type=Path, help=out)

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} ({self.prog} --help lists the options)")

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        spelled = [_with_dashes(argument) for argument in arguments]
        values, unknown = self.parse_known_intermixed_args(spelled)
        for argument in unknown:
            if argument.startswith("-"):
                options = [option for action in self._actions for option in action.option_strings]
                raise InputError(f"unknown option {argument}{did_you_mean(argument.split('=')[0], options)} ({self.prog} --help lists all)")
            raise InputError(f"unexpected argument {argument!r} ({self.prog} --help)")
        return values


def _with_dashes(argument: str) -> str:
    """`--seed_domains` as `--seed-domains`; values stay."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value


def add_fields(parser: argparse.ArgumentParser, names: Iterable[str] | None = None) -> None:
    """The settings as options; without a default, so that a configuration file's values are overridden only by what was given."""
    for name, entry in fields().items():
        if names is None or name in names:
            option = _option(name)
            shown = " ".join(entry.default) if isinstance(entry.default, tuple) else entry.default
            text = entry.metadata["help"] + ("" if shown == "" else f" (default: {_yes_or_no(shown)})")
            text = text.replace("%", "%%")
            if entry.type is bool:
                parser.add_argument(option, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text)
            elif isinstance(entry.type, type) and entry.type in (int, float, str):
                parser.add_argument(option, type=entry.type, default=argparse.SUPPRESS, help=text, metavar=entry.type.__name__.upper())
            else:
                parser.add_argument(option, nargs="+", default=argparse.SUPPRESS, help=text, metavar="NAME")


def _yes_or_no(value: object) -> object:
    return ("no", "yes")[value] if isinstance(value, bool) else value


def with_fields(base: Settings, values: argparse.Namespace) -> Settings:
    """`base` with the options that were given."""
    given: dict[str, Any] = {}
    for name in fields():
        if hasattr(values, name):
            value = getattr(values, name)
            given[name] = tuple(value) if isinstance(value, list) else value
    try:
        return dataclasses.replace(base, **given)
    except SettingError as error:
        raise InputError(error.spelled(_option)) from None


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
