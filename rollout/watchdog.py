"""Nothing waits for ever: where no wait of a run has come on for long, it ends with who waits for whom, and what each process was doing.

Single waits have deadlines of their own where somebody else answers (a verdict, a server, an actor, a rank). This one is over all of them
and over what has none: an engine inside this process, a disk, a lock.
"""

import faulthandler
import os
import signal
import stat
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from rollout.interruption import fail
from rollout.progress import shown_progress

EXIT_CODE = 3
_GRACE = 30.0  # seconds that the main thread has to hear of it before the process is ended
_LONGEST = 1e9  # seconds; a timer refuses more than some hundred years
_SIGNAL_SECONDS = 2.0  # that a child has to write its stacks


class Stalled(Exception):
    """Nothing came on for longer than is allowed. Its text says what, for how long, and where the report lies."""


@contextmanager
def watchdog(
    doing: Callable[[], str], *, after: float, report: Path, facts: Callable[[], Sequence[str]] = tuple, grace: float = _GRACE
) -> Iterator[None]:
    """While the block runs, `Stalled` is raised in the main thread once nothing came on for `after` seconds (0: never).

    What comes on is what `doing` says, and the progress that is shown. `report`: a file for the stacks of all processes; `facts`: lines for
    it. A main thread that does not hear of it within `grace` seconds, because it is in foreign code, ends with the process: exit code 3.
    """
    over = threading.Event()

    def look() -> None:
        before, since = None, time.monotonic()
        while not over.wait(min(1.0, after / 10)):
            now = (doing(), shown_progress())
            if now != before:
                before, since = now, time.monotonic()
                # whoever holds the interpreter's lock for ever stops this thread too; this timer needs no lock
                faulthandler.dump_traceback_later(min(after + 2 * grace, _LONGEST), exit=True, file=2)
            elif time.monotonic() - since > after:
                _end(f"{now[0]} has not come on for {after:g} s", report, facts, over, grace)
                return

    if not after > 0:
        yield
        return
    looking = threading.Thread(target=look, name="reckon-watchdog", daemon=True)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join(_SIGNAL_SECONDS)  # else it could start the timer once more, and that would end a process long after its run
        faulthandler.cancel_dump_traceback_later()


def announce_stacks() -> None:
    """By a process that works for a run: SIGUSR1 makes it write the stacks of its threads where `stacks_of_children` looks."""
    if not hasattr(signal, "SIGUSR1"):
        return
    with suppress(OSError):
        _forget_the_dead(_folder())
        file = (_folder() / str(os.getpid())).open("w", encoding="utf-8")
        faulthandler.register(signal.SIGUSR1, file=file)
        _kept.append(file)


def _forget_the_dead(folder: Path) -> None:
    """Nobody else takes the files of ended processes away, and their numbers come again, with processes that announced nothing."""
    if Path("/proc/self").exists():
        for file in folder.iterdir():
            if not Path(f"/proc/{file.name}").exists():
                file.unlink(missing_ok=True)


_kept: list[object] = []  # faulthandler writes to a file descriptor, which must not be collected with its file


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"reckon-stacks-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    is_there = folder.lstat()  # a link that somebody else has put there may lead into a folder of ours
    if not stat.S_ISDIR(is_there.st_mode) or is_there.st_uid != os.getuid() or is_there.st_mode & 0o022:
        raise PermissionError(f"{folder} is somebody else's, or open to others")
    return folder


def _end(what: str, report: Path, facts: Callable[[], Sequence[str]], over: threading.Event, grace: float) -> None:
    text = _report(what, facts)
    error = f"{what}; the stacks of all processes are in {report}"
    try:
        report.write_text(text, encoding="utf-8")
    except OSError:  # a disk that does not answer may be the reason
        error = f"{what}\n{text}"
    fail(Stalled(error))
    os.kill(os.getpid(), signal.SIGTERM)
    if not over.wait(grace):
        print(f"error: {error}", file=sys.stderr, flush=True)
        os._exit(EXIT_CODE)


def _report(what: str, facts: Callable[[], Sequence[str]]) -> str:
    lines = [f"{datetime.now().isoformat(timespec='seconds')}  {what}", f"last shown: {_last_shown()}", ""]
    try:
        lines[-1:] = [*facts(), ""]
    except Exception as error:  # noqa: BLE001  # what the run knows is a help, and no reason to be silent
        lines[-1:] = [f"(its numbers cannot be read: {error!r})", ""]
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for number, frame in sys._current_frames().items():
        lines += [f"--- process {os.getpid()}, thread {names.get(number, number)}", *traceback.format_stack(frame)]
    for pid, told, stacks in stacks_of_children():
        lines += [f"--- process {pid}: {told}", stacks or "(its stacks are not known)"]
    return "\n".join(line.rstrip("\n") for line in lines) + "\n"


def _last_shown() -> str:
    progress = shown_progress()
    return "nothing" if progress is None else progress[0]


def stacks_of_children() -> Iterator[tuple[int, str, str]]:
    """Of every process below this one: its number, what it is and whether it runs, and its stacks where it announced them. Linux only."""
    for pid in _children(os.getpid()):
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
            yield pid, f"{_STATES.get(state, state)}; {words[:200]}", _stacks_of(pid)


_STATES = {"R": "running", "S": "sleeping", "D": "waiting for a disk", "T": "stopped", "Z": "dead"}


def _children(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text(encoding="ascii").split()):
                yield child
                yield from _children(child)


def _stacks_of(pid: int) -> str:
    """Empty where the process did not announce any, or does not answer: a signal that it has no ear for would end it."""
    with suppress(OSError):
        file = _folder() / str(pid)
        if not file.exists() or not _hears(pid):
            return ""
        before = file.stat().st_size
        os.kill(pid, signal.SIGUSR1)
        until = time.monotonic() + _SIGNAL_SECONDS
        while time.monotonic() < until:
            time.sleep(0.05)
            if (size := file.stat().st_size) > before:
                time.sleep(0.05)
                if file.stat().st_size == size:
                    break
        return file.read_text(encoding="utf-8", errors="replace")[before:]
    return ""


def _hears(pid: int) -> bool:
    """Whether the process has a handler for SIGUSR1."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (signal.SIGUSR1 - 1) & 1)
    return False
