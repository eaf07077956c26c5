"""Options as the library that reads and explains them (tyro) wants them: flat to be read, in groups to be explained.

It decides how an option is said: its value in one word, its default once, the choices that obey it, and which are left to `--help-all`.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from recipes.spelling.flat_options import FlatOption, flat_options
from recipes.spelling.option_groups import FEW, GROUPS, group_of, rare
from recipes.spelling.option_values import flag_of

HELP, HELP_ALL = ("-h", "--help"), "--help-all"
_CONFIG = "YAML, TOML or JSON file of options, or an earlier run's config.json. Options of the command line win over the file's."
_JSON = "Standard output gets the result alone, as one JSON object; all else goes to standard error."
_VALUES = {int: "INT", float: "FLOAT", str: "TEXT", Path: "PATH", bool: "True|False"}


def dataclass_to_read(config: Any, stored: Mapping[str, Any]) -> Any:
    """Every option under its flat name, and --config. What a file holds (`stored`) is not required any more."""
    fields = [_field(name, option, stored) for name, option in flat_options(config).items()]
    return _made(config.__name__, [*fields, _config_field()], config.__doc__)


def show_help(config: Any, *, command: str, everything: bool) -> None:
    """Prints the help of `command` and ends in SystemExit: many options in their groups, the rare ones only with `everything`."""
    import tyro

    options = flat_options(config)
    left_out = frozenset() if everything else rare(options)
    if len(options) <= FEW:
        fields = [_field(name, option, {}) for name, option in options.items()]
        page = _made(config.__name__, [*fields, *_everywhere(options)], config.__doc__)
    else:
        page = tyro.conf.OmitArgPrefixes[_in_groups(config, {name: option for name, option in options.items() if name not in left_out})]
    try:
        tyro.cli(page, args=["--help"], prog=command)
    finally:
        if left_out:
            print(f"{len(left_out)} more options: {command} {HELP_ALL}")


def _in_groups(config: Any, options: Mapping[str, FlatOption]) -> Any:
    """A dataclass of dataclasses, one a group: tyro draws a box for each."""
    import tyro

    groups: dict[str, list[Any]] = {group: [] for group in GROUPS}
    positional = []
    for name, option in options.items():
        (positional if _is_positional(option.hint) else groups[group_of(name)]).append(_field(name, option, {}))
    groups["run"] += _everywhere(options)
    nested = [
        (f"{group}_options", Annotated[_made(group, fields, None), tyro.conf.arg(name=group)], dataclasses.field(kw_only=True))
        for group, fields in groups.items()
        if fields
    ]
    return _made(config.__name__, [*positional, *nested], config.__doc__)


def _made(name: str, fields: Sequence[Any], doc: str | None) -> Any:
    return dataclasses.make_dataclass(name, fields, namespace={"__doc__": doc or " "}, frozen=True)


def _field(name: str, option: FlatOption, stored: Mapping[str, Any]) -> Any:
    import tyro

    default = stored.get(name, option.default) if option.default is dataclasses.MISSING else option.default
    kept = {} if default is dataclasses.MISSING else {"default": default}
    told = tyro.conf.arg(help=_help_of(option), help_behavior_hint=_default_hint(option), metavar=_value_of(option.hint))
    return name, Annotated[option.hint, told], dataclasses.field(kw_only=not _is_positional(option.hint), **kept)


def _everywhere(options: Mapping[str, FlatOption]) -> list[Any]:
    """What every command has beside its own options."""
    import tyro

    alone = Annotated[bool, tyro.conf.arg(help=_JSON, help_behavior_hint=""), tyro.conf.FlagCreatePairsOff]
    own = [] if "json" in options else [("json", alone, dataclasses.field(default=False, kw_only=True))]
    return [_config_field(), *own]


def _config_field() -> Any:
    import tyro

    told = tyro.conf.arg(help=_CONFIG, help_behavior_hint="", metavar="PATH")
    return "config", Annotated[Path | None, told], dataclasses.field(default=None, kw_only=True)


def _is_positional(hint: Any) -> bool:
    import tyro

    markers = typing.get_args(hint)[1:] if typing.get_origin(hint) is Annotated else ()
    return any(marker is typing.get_args(tyro.conf.Positional[int])[1] for marker in markers)


def _help_of(option: FlatOption) -> str:
    """With the choices that obey it."""
    obeyed: dict[str, list[str]] = {}
    for where, word in option.groups:
        obeyed.setdefault(where, []).append(word)
    return option.doc + "".join(f" With {flag_of(where)} {', '.join(words)}." for where, words in obeyed.items() if where)


def _default_hint(option: FlatOption) -> str | None:
    """The default, said once: a setting's may differ from choice to choice; none where the text says it or there is none."""
    if option.default is dataclasses.MISSING and not option.groups:
        return None  # required, which tyro says
    defaults = {word: value for word, value in option.defaults.items() if value not in (None, (), dataclasses.MISSING)}
    if not option.groups:
        defaults = {"": option.default} if option.default not in (None, (), "") else {}
    if not defaults or "(default" in option.doc:
        return ""
    words: dict[Any, list[str]] = {}
    for word, value in defaults.items():
        words.setdefault(value, []).append(word)
    first, *others = sorted(words, key=lambda value: -len(words[value]))
    return f"(default: {_said(first)}{''.join(f'; {_said(value)} with ' + ', '.join(words[value]) for value in others)})"


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(_said, value)) if isinstance(value, tuple) else str(value)


def _value_of(hint: Any) -> str | None:
    """What stands for the value, without the None that it is while it is not given; None for what tyro says by itself (a flag's none)."""
    bare = typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint
    if bare is bool:
        return None
    kinds = [each for each in (typing.get_args(bare) if _is_union(bare) else (bare,)) if each is not type(None)]
    words: list[str] = []
    for kind in kinds:
        each = typing.get_args(kind)[0] if typing.get_origin(kind) is tuple else kind
        words += typing.get_args(each) if typing.get_origin(each) is Literal else [_VALUES.get(each, "TEXT")]
    return f"{{{'|'.join(words)}}}" if len(words) > 1 or "|" in words[0] else words[0]


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (types.UnionType, typing.Union)
