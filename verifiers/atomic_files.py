"""Files and folders that are either whole or not there, whatever kills the process while they are written."""

import errno
import itertools
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_TRIES = 100
_count = itertools.count()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary neighbour to write (a file or a folder); on success it is synced to disk and takes the name `path`.

    An earlier file of that name is replaced; an earlier folder is moved away just before. On an exception nothing changes. Of
    several that write at once, in threads or processes, the last to finish is there in the end, and whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _neighbour(path)
    _remove(temporary)
    try:
        yield temporary
        for written in [*temporary.rglob("*"), temporary] if temporary.is_dir() else [temporary]:
            _sync(written)
        _give_name(temporary, path)
        _sync(path.parent)
    finally:
        _remove(temporary)


def read_file(path: Path) -> str:
    """The UTF-8 text of a regular file. Raises OSError for anything else: opening a pipe waits for a writer that may never come."""
    if not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file" if path.exists() else "no such file", str(path))
    return path.read_text(encoding="utf-8")


def write_json(path: Path, value: Any, *, indent: int = 2) -> None:
    """One JSON value in a file, which is whole or not there."""
    with atomic_path(path) as temporary:
        temporary.write_text(json_text(value, indent=indent) + "\n", encoding="utf-8")


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Letters as they are, but for half a surrogate pair: an undecodable file name has them, and they are no UTF-8. Then all is escaped."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return text if text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text) else json.dumps(value, indent=indent)


def remove_leftovers(folder: Path) -> None:
    """Delete what processes that were killed left half-written in `folder`."""
    for leftover in folder.glob(".tmp-*"):
        _remove(leftover)


def remove_abandoned(path: Path) -> None:
    """Delete what processes of this machine, ended since, left half-written of `path`: for places that no run of ours owns.

    Only where nobody of another machine writes the same file at the same time: it is the process's number that is looked up here.
    """
    name = re.compile(rf"\.tmp-(\d+)-\d+-{re.escape(path.name)}")
    for entry in path.parent.iterdir() if path.parent.is_dir() else ():
        if (found := name.fullmatch(entry.name)) and not _runs(int(found[1])):
            _remove(entry)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # somebody else's; no number of a process
        return True
    return True


def _neighbour(path: Path) -> Path:
    """A name beside `path` that no other writer uses."""
    return path.with_name(f".tmp-{os.getpid()}-{next(_count)}-{path.name}")


def _give_name(temporary: Path, path: Path) -> None:
    """Give what is written its name. Only a folder that is empty can be replaced by one, so an earlier one has to go first."""
    for _ in range(_TRIES):
        if path.is_dir() and not path.is_symlink():
            old = _neighbour(path)
            with suppress(FileNotFoundError):  # somebody else was faster
                path.rename(old)
            _remove(old)
        try:
            temporary.replace(path)
            return
        except OSError as error:  # meanwhile somebody else has put a folder there
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR):
                raise
    raise OSError(errno.EBUSY, "others keep putting a folder there", str(path))


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
