"""A process that works on one file after the other: `python -m data_pipeline.tasks.task_process LIFELINE MODULE:FUNCTION`, started by
`running_task.py`.

It imports the task once, in one thread, and is killed with all its children when whoever started it is gone. In: a line of JSON a file.
Out: lines of JSON, what the task tells (a few a second at most) and how the file ended: `done` with its counts, or why not, by kind. The
marker is written here, behind the task's outputs.
"""

import errno
import importlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from data_pipeline.documents.stored_bytes import is_remote
from data_pipeline.tasks.file_work import FileWork, Tell, write_marker
from verifiers.child_process import die_with
from verifiers.input_error import InputError, first_line
from verifiers.protocol_streams import take_streams, write_all

Task = Callable[[FileWork, Tell], Mapping[str, Any]]
_TELL = 0.2
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


def found_task(name: str) -> Task:
    """The function that `module:function` names. Raises ImportError or AttributeError."""
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found  # type: ignore[no-any-return]


class _Told:
    """What the task tells, passed on a few times a second."""

    def __init__(self, replies: int) -> None:
        self._replies, self._last = replies, 0.0

    def __call__(self, counts: Mapping[str, Any]) -> None:
        if (now := time.monotonic()) - self._last >= _TELL:
            self._last = now
            _say(self._replies, "told", counts)


def outcome(task: Task, work: FileWork, tell: Tell) -> tuple[str, Mapping[str, Any]]:
    """How the work ended: ("done", counts), or what stood in its way.

    "refused": the input or its place is not as it should be, and another try would not help; "full": the disk; "broken": anything else.
    """
    try:
        counts = task(work, tell)
        _commit(work, counts)
        return "done", counts
    except InputError as error:
        return "refused", {"reason": first_line(error)}
    except OSError as error:
        if error.errno in _DISK:
            return "full", {"reason": f"{work.out}: {error.strerror}; what is done so far is kept"}
        return "broken", {"reason": f"{type(error).__name__}: {first_line(error)}"}
    except MemoryError:
        return "broken", {"reason": "it needs more memory than it may have"}
    except Exception as error:  # noqa: BLE001  # the boundary: whatever goes wrong with one file costs that file
        return "broken", {"reason": f"{type(error).__name__}: {first_line(error)[:500]}"}


def _commit(work: FileWork, counts: Mapping[str, Any]) -> None:
    """The marker. A store's client starts threads, from among which nobody can fork any more: it speaks in a child while there are none."""
    if not is_remote(work.out) or threading.active_count() > 1:
        write_marker(work, counts)
        return
    child = os.fork()
    if child == 0:
        code = 1
        try:
            write_marker(work, counts)
            code = 0
        except InputError as error:
            print(error, file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        raise InputError(f"{work.place('.json')}: could not be written; what is done so far is kept")


def _say(replies: int, kind: str, values: Mapping[str, Any]) -> None:
    write_all(replies, json.dumps({"kind": kind, "values": dict(values)}).encode() + b"\n")


def main(arguments: list[str]) -> int:
    lifeline, name = arguments
    die_with(int(lifeline))
    requests, replies = take_streams()
    try:
        task = found_task(name)
    except (ImportError, AttributeError, InputError) as error:
        _say(replies, "fatal", {"reason": f"{name} cannot be started: {first_line(error)}"})
        return 1
    for line in requests:
        kind, values = outcome(task, FileWork(**json.loads(line)), _Told(replies))
        sys.stderr.flush()
        _say(replies, kind, values)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
