"""Files and folders that are either whole or not there, whatever kills the process while they are written."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary neighbour to write (a file or a folder); on success it is synced to disk and takes the name `path`.

    An earlier file of that name is replaced; an earlier folder is removed just before. On an exception nothing changes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    _remove(temporary)
    try:
        yield temporary
        for written in [*temporary.rglob("*"), temporary] if temporary.is_dir() else [temporary]:
            _sync(written)
        if path.is_dir():
            shutil.rmtree(path)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        _remove(temporary)


def remove_leftovers(folder: Path) -> None:
    """Delete what processes that were killed left half-written in `folder`."""
    for leftover in folder.glob(".tmp-*"):
        _remove(leftover)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
