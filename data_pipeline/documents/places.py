"""Places: where a step's files lie, a folder of this machine or any address that fsspec knows (`s3://`, `gs://`, `memory://`).

A rename commits a file on a local disk, and an object store has none: there a finished object is put whole, in one call, and nobody sees
half of it. So a file is written here to a local path and becomes the place when it is whole (`whole`); what says that several files belong
together and are all there is a marker, written after them (`data_pipeline/tasks/file_work.py`). `http(s)://` can be read and not written.

Every call to a remote store is tried again after 1, 2 and 4 seconds and given up after `DEADLINE`, by name. InputError where a place cannot
be reached or its file system is not installed; OSError of a local disk passes through. Left out: credentials, which fsspec takes from the
environment, and stores in which a put is not whole (sftp): write locally there.
"""

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from data_pipeline.documents.stored_bytes import is_remote, local_path, open_source
from verifiers.atomic_files import atomic_path
from verifiers.atomic_files import write_json as write_json_file
from verifiers.input_error import InputError

DEADLINE = 600.0
"""Seconds that one call to a store may take, a put of a file included."""
_WAITS = (1.0, 2.0, 4.0)
_WEB = ("http://", "https://")
_CHUNK = 1 << 20
_Found = TypeVar("_Found")


class Damaged(InputError):
    """A file that is there and holds something else than it should."""


def join(place: str, *names: str) -> str:
    """The place of that name inside another one."""
    return str(local_path(place).joinpath(*names)) if not is_remote(place) else "/".join([place.rstrip("/"), *names])


def exists(place: str) -> bool:
    if not is_remote(place):
        return local_path(place).exists()
    if place.startswith(_WEB):
        try:
            _from_web(place, 1)
        except InputError:
            return False
        return True
    return bool(_asked(place, "looking for", lambda system, path: system.exists(path)))


def names(place: str) -> list[str]:
    """Names of what lies directly in a folder, in order; none where there is no such folder."""
    if not is_remote(place):
        return sorted(os.listdir(local_path(place))) if local_path(place).is_dir() else []
    if place.startswith(_WEB):
        raise InputError(f"{place}: what lies below a web address cannot be listed")

    def listed(system: Any, path: str) -> list[str]:
        system.invalidate_cache(path)  # others write there
        try:
            return [str(found).rstrip("/").rsplit("/", 1)[-1] for found in system.ls(path, detail=False)]
        except FileNotFoundError:
            return []

    return sorted(_asked(place, "listing", listed))


def read_json(place: str) -> Any:
    """The value of a file; None where there is none. Raises Damaged for what is no JSON."""
    data = _bytes_of(place)
    try:
        return None if data is None else json.loads(data)
    except ValueError as error:
        raise Damaged(f"{place}: damaged ({error}); delete it and run the step again") from error


def write_json(place: str, value: Any, *, indent: int = 1) -> None:
    """One JSON value at a place, whole or not at all."""
    if not is_remote(place):
        write_json_file(local_path(place), value, indent=indent)
        return
    with whole(place) as path:
        write_json_file(path, value, indent=indent)


def remove(place: str) -> None:
    """Of a file; nothing where there is none."""
    if not is_remote(place):
        local_path(place).unlink(missing_ok=True)
        return

    def gone(system: Any, path: str) -> None:
        if system.exists(path):
            system.rm_file(path)

    _asked(place, "removing", gone)


@contextmanager
def whole(place: str) -> Iterator[Path]:
    """A local path to write a file at, which becomes the place when the block ends well; nothing changes where it does not."""
    if not is_remote(place):
        with atomic_path(local_path(place)) as path:
            yield path
        return
    if place.startswith(_WEB):
        raise InputError(f"{place}: a web address can be read and not written")
    with tempfile.TemporaryDirectory(prefix="reckon-") as folder:
        path = Path(folder) / place.rsplit("/", 1)[-1]
        yield path
        _asked(place, "writing", lambda system, there: _put(system, path, there))


@contextmanager
def local(place: str) -> Iterator[Path]:
    """A local path to read a file at: its own, or a copy's that goes with the block. FileNotFoundError where there is none."""
    if not is_remote(place):
        yield local_path(place)
        return
    with tempfile.TemporaryDirectory(prefix="reckon-") as folder:
        path = Path(folder) / place.rsplit("/", 1)[-1]
        if place.startswith(_WEB):
            _copy_from_web(place, path)
        else:
            _asked(place, "reading", lambda system, there: _get(system, there, path))
        yield path


def make_folder(place: str) -> None:
    """A local folder; stores make theirs as files come."""
    if not is_remote(place):
        local_path(place).mkdir(parents=True, exist_ok=True)


def _put(system: Any, path: Path, there: str) -> None:
    parent = there.rsplit("/", 1)[0]
    if type(system).__name__ == "MemoryFileSystem":  # the one store here whose folders must be there
        system.makedirs(parent, exist_ok=True)
    system.put_file(str(path), there)


def _get(system: Any, there: str, path: Path) -> None:
    system.get_file(there, str(path))


def _bytes_of(place: str) -> bytes | None:
    if not is_remote(place):
        try:
            return local_path(place).read_bytes()
        except FileNotFoundError:
            return None
    if place.startswith(_WEB):
        return _from_web(place, -1) if exists(place) else None

    def read(system: Any, path: str) -> bytes | None:
        system.invalidate_cache(path.rsplit("/", 1)[0])
        try:
            return bytes(system.cat_file(path))
        except FileNotFoundError:
            return None

    return _asked(place, "reading", read)


def _from_web(place: str, size: int) -> bytes:
    source = open_source(place)
    try:
        found = bytearray()
        while (size < 0 or len(found) < size) and (chunk := source.read(_CHUNK if size < 0 else size - len(found))):
            found += chunk
        return bytes(found)
    finally:
        source.close()


def _copy_from_web(place: str, path: Path) -> None:
    source = open_source(place)
    try:
        with path.open("wb") as file:
            while chunk := source.read(_CHUNK):
                file.write(chunk)
    finally:
        source.close()


def _asked(place: str, doing: str, call: Callable[[Any, str], _Found]) -> _Found:
    """What a store answers, after some attempts."""
    reason = ""
    for wait in (0.0, *_WAITS):
        time.sleep(wait)
        try:
            return _in_time(f"{doing} {place}", lambda: call(*_system(place)))
        except (FileNotFoundError, PermissionError) as error:
            if isinstance(error, FileNotFoundError) and doing == "reading":
                raise
            raise InputError(f"{place}: {str(error) or type(error).__name__}; check the address and the credentials") from error
        except (OSError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
    raise InputError(f"{place}: {doing} it failed {len(_WAITS) + 1} times, last: {reason}; what is done so far is kept")


def _system(place: str) -> tuple[Any, str]:
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(place)
    except (ImportError, ValueError) as error:
        raise InputError(f"{place}: {error}") from error
    return system, str(path)


def _in_time(name: str, call: Callable[[], _Found]) -> _Found:
    """What `call` gives; TimeoutError with its name after `DEADLINE`: file systems have limits of their own, or none."""
    answer: list[_Found] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            answer.append(call())
        except BaseException as error:  # noqa: BLE001  # raised where it was asked
            failure.append(error)

    thread = threading.Thread(target=run, daemon=True, name=name)
    thread.start()
    thread.join(DEADLINE)
    if thread.is_alive():
        raise TimeoutError(f"{name} took longer than {DEADLINE:g} s")
    if failure:
        raise failure[0]
    return answer[0]
