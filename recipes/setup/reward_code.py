"""Which code a run's rewards are, as short marks for its config.json: a reward that changes within a run must not go unnoticed."""

import hashlib
import importlib.metadata
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path

from verifiers.input_error import InputError
from verifiers.rewards.load_reward import functions_in


def reward_code(specs: Iterable[str]) -> dict[str, str]:
    """Each function that the rewards run -> a hash of its file, or Reckon's version for one of ours. Nothing is imported."""
    marks: dict[str, str] = {}
    for spec in dict.fromkeys(specs):
        with suppress(InputError):  # loading it says what is wrong
            marks |= {name: _code_mark(name) for name in functions_in(spec)}
    return marks


def changed(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """One line about rewards whose code is not what it was; empty if it is."""
    names = [name for name, mark in now.items() if then.get(name, mark) != mark]
    if not names:
        return ""
    listed = ", ".join(f"{name} ({then[name]} then, {now[name]} now)" if ":" not in name else name for name in names)
    return (
        f"the code of {listed} changed since this run began: it goes on with what is there now, and what was scored before stays as it "
        "was; its curves are of two rewards"
    )


def _code_mark(name: str) -> str:
    place, colon, _ = name.rpartition(":")
    if not colon:
        with suppress(importlib.metadata.PackageNotFoundError):
            return f"reckon-rl {importlib.metadata.version('reckon-rl')}"
        return "reckon-rl"
    file = Path(place).expanduser() if place.endswith(".py") else _module_file(place)
    try:
        return hashlib.blake2b(file.read_bytes(), digest_size=8).hexdigest() if file else ""
    except OSError:
        return ""


def _module_file(name: str) -> Path | None:
    """The source of a module, found as an import would but without running its packages."""
    where: list[str] | None = [*sys.path, os.getcwd()]
    origin = None
    for part in name.split("."):
        found = PathFinder.find_spec(part, where)
        if found is None:
            return None
        origin, where = found.origin, list(found.submodule_search_locations or [])
    return Path(origin) if origin and Path(origin).is_file() else None
