"""The one exception that means "the user gave us something wrong", and what its text may offer: the nearest name, the nearest folder.

The command line prints its text as one line and exits with 2; everything else is a defect and keeps its traceback.
"""

import itertools
import os
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a message is written by few processes, and a verdict is to be had at once
    from pathlib import Path

_HUB_ID = r"[A-Za-z0-9][\w.-]{0,95}(?:/[A-Za-z0-9][\w.-]{0,95})?"
_NEAR = 0.7  # of two names that one may be a slip of the pen for the other: --modle and --model, not --port and --out
_SHORTEST_BEGINNING = 3
_MOST_NEIGHBOURS = 10_000


class InputError(ValueError):
    """What is wrong, where, and what to do about it, in one line."""


def first_line(error: BaseException) -> str:
    """Of what an exception says; its type's name where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The name that this one is likely meant to be; None where nothing is near."""
    import difflib

    names = {other.strip("-"): other for other in known}  # dashes that all have make none alike
    bare = name.strip("-")
    if close := difflib.get_close_matches(bare, names, 1, _NEAR):
        return names[close[0]]
    begun = [other for other in names if other.startswith(bare)] if len(bare) >= _SHORTEST_BEGINNING else []
    return names[begun[0]] if len(begun) == 1 else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """ "; did you mean X?", to go behind a message, or "" where nothing is near."""
    near = nearest(name, known)
    return f"; did you mean {near}?" if near else ""


def missing_place(name: str, *, tried: bool = False) -> str | None:
    """Says that a file or folder is missing where `name` can mean nothing else; None where it exists, or may be an id of the hub.

    A path is what has the form of one (./x, /x, ~/x, x/, a/b/c), and a/b where a folder `a` is here. `tried`: the hub does not have it
    either, so that anything else is a path too.
    """
    from pathlib import Path

    path = Path(name).expanduser()
    if not name or path.exists():
        return None
    is_path = (
        name.startswith((".", "/", "~"))
        or re.fullmatch(_HUB_ID, name, re.ASCII) is None
        or (path.parent != Path() and path.parent.is_dir())
    )
    if not (is_path or tried):
        return None
    gone = path
    while gone.parent != gone and not gone.parent.exists():  # the first part of it that is not there
        gone = gone.parent
    near = near_place(gone)
    where = "" if gone == path else f" (there is no {gone})"
    return f"there is no file or folder {name}{where}" + (f"; did you mean {near}?" if near else "")


def near_place(path: "Path") -> str | None:
    """What lies beside a missing path under nearly its name."""
    import difflib

    try:
        with os.scandir(path.parent) as entries:
            names = [entry.name for entry in itertools.islice(entries, _MOST_NEIGHBOURS)]
    except OSError:
        return None
    close = difflib.get_close_matches(path.name, names, 1, _NEAR)
    return str(path.parent / close[0]) if close else None
