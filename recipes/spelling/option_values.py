"""Whether a value read from a file fits an option, and in words what that option can be."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from verifiers.input_error import InputError, did_you_mean

_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", Path: "a path"}


def flag_of(name: str) -> str:
    """An option as it is written on a command line."""
    return "--" + name.replace("_", "-")


def default_of(field: "dataclasses.Field[Any]") -> Any:
    """What an option is where nobody gives it."""
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default


def checked(values: Mapping[str, tuple[str, Any]], hints: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """A file's values as options hold them: paths as Path, lists as tuples. `values`: each with the name that the file has for it.

    Raises InputError, in one line with the place (none for a call's own arguments), for a value that cannot be.
    """
    where = f"{place}: " if place else ""
    for name, (written, value) in values.items():
        if not fits(restored(value, hints[name]), hints[name]):
            quoted = " (in quotes)" if isinstance(value, int | float) and "a text" in wanted(hints[name]) else ""
            raise InputError(f"{where}{written} must be {wanted(hints[name])}{quoted}, not {_shown(value)}{_nearest(value, hints[name])}")
    return {name: restored(value, hints[name]) for name, (_, value) in values.items()}


def takes_list(hint: Any) -> bool:
    """Whether an option may be given more than once."""
    return typing.get_origin(typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint) is tuple


def restored(value: Any, hint: Any) -> Any:
    """A value of JSON as an option holds it."""
    kinds = _kinds(hint)
    if isinstance(value, str) and Path in kinds:
        return Path(value)
    if isinstance(value, int) and not isinstance(value, bool) and float in kinds and int not in kinds:
        return float(value)
    return tuple(value) if isinstance(value, list) else value


def fits(value: Any, hint: Any) -> bool:
    """Whether an option of this type can have this value."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return fits(value, inner[0])
    if origin in (types.UnionType, typing.Union):
        return any(fits(value, each) for each in inner)
    if origin is Literal:
        return isinstance(value, str) and value in inner
    if origin is tuple:
        return isinstance(value, tuple) and all(fits(each, inner[0]) for each in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, hint) and not (hint is int and isinstance(value, bool))


def wanted(hint: Any) -> str:
    """What an option of this type must be, in words."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return wanted(inner[0])
    if origin in (types.UnionType, typing.Union):
        said = [wanted(each) for each in inner if each is not type(None)]
        return " or ".join(dict.fromkeys(said)) + (" (or null)" if type(None) in inner else "")
    if origin is Literal:
        return f"one of {', '.join(inner)}"
    if origin is tuple:
        return f"a list, each {wanted(inner[0])}"
    return _WORDS.get(hint, getattr(hint, "__name__", str(hint)))


def _kinds(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) is Annotated:
        return _kinds(typing.get_args(hint)[0])
    return typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)


def _shown(value: Any) -> str:
    words = {True: "true", False: "false", None: "null"}
    return words[value] if value is None or isinstance(value, bool) else "a group of names" if isinstance(value, dict) else f"{value!r:.60}"


def _nearest(value: Any, hint: Any) -> str:
    """The word that was meant, where an option takes words."""
    return did_you_mean(value, _words_of(hint)) if isinstance(value, str) else ""


def _words_of(hint: Any) -> list[str]:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return list(inner)
    return [word for each in inner for word in _words_of(each)] if origin is not None else []
