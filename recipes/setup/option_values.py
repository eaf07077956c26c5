"""Whether a value read from a file fits an option, and in words what that option can be."""

import types
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

from recipes.setup.foreign_names import dotted, here
from verifiers.input_error import InputError, did_you_mean

_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", Path: "a path"}


def checked(values: dict[str, Any], hints: dict[str, Any], place: str) -> dict[str, Any]:
    """The values as options hold them: paths as Path, lists as tuples.

    Raises InputError, in one line with the place, for a name or a value that cannot be.
    """
    for name, value in values.items():
        if name not in hints:
            if said := next(filter(None, (here(path, hints) for path in dotted(name, value))), None):
                raise InputError(f"{place}: {said}")
            raise InputError(f"{place}: there is no option {name}{did_you_mean(name, hints)} (--help lists all)")
        if not fits(restored(value, hints[name]), hints[name]):
            quoted = " (in quotes)" if isinstance(value, int | float) and "a text" in wanted(hints[name]) else ""
            raise InputError(f"{place}: {name} must be {wanted(hints[name])}{quoted}, not {_shown(value)}")
    return {name: restored(value, hints[name]) for name, value in values.items()}


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
