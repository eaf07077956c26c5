"""What tests of the room `tasks` have done to files in worker processes: tasks are found by name there."""

import errno
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_pipeline.documents.places import whole
from data_pipeline.tasks.file_work import FileWork, Tell
from verifiers.input_error import InputError

_sessions = 0


def letters(work: FileWork, tell: Tell) -> Mapping[str, Any]:
    """The source's text in capitals; a text that begins with a command does it. Every call leaves a line in `work.options["log"]`."""
    global _sessions
    _sessions += 1
    text = Path(work.source).read_text()
    tries = _tried(work)
    command, _, rest = text.strip().partition(" ")
    tell({"letters": 1, "kinds": {"vowels": 0}})
    if command == "raise":
        raise KeyError(rest)
    if command == "refuse":
        raise InputError(f"{work.source}: {rest}")
    if command == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if command == "signal":
        os.kill(os.getpid(), getattr(signal, rest))
    if command == "eat":
        held = b"x" * int(float(rest) * 1e6)
        time.sleep(30)
        return {"held": len(held)}
    if command == "hang":
        time.sleep(60)
    if command == "sleep":
        time.sleep(float(rest))
    if command == "lag" and tries == 1:  # as on a slow node: only the first time
        time.sleep(60)
    if command == "first" and tries == 1:
        os.kill(os.getpid(), getattr(signal, rest))
    with whole(work.place(".txt")) as path:
        path.write_text(text.upper())
    return {"letters": len(text), "kinds": {"vowels": sum(text.count(letter) for letter in "aeiou")}}


def _tried(work: FileWork) -> int:
    log = Path(work.options["log"])
    with log.open("a") as file:
        file.write(f"{work.key} {os.getpid()} {_sessions}\n")
    return sum(line.startswith(f"{work.key} ") for line in log.read_text().splitlines())
