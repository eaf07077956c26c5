"""The processes of a program that runs, from outside: who they are, and how much memory they hold together.

Read from the /proc of the server, where no program can write, and where a program's pid namespace hides nothing. A child belongs to
the thread that forked it, so every thread is asked for its children; one whose parent has ended is the child of process 1 of its
namespace or, without one, of the server itself, and so still a descendant. Each process is read as soon as it is found: what forks
and ends without pause has no time to be in neither place.
"""

import contextlib
import functools
import os
import re
from collections.abc import Iterator

_SIZE = re.compile(rb"^Rss(Anon|Shmem):\s+(\d+)", re.MULTILINE)
_SHARED = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) [r-][w-][x-]s ([0-9a-f]+) (\S+) (\d+) +/dev/zero \(deleted\)")


def count_threads() -> int:
    """Threads of this user now: without a user namespace, the limit of processes counts them all."""
    own = os.getuid()
    total = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if entry.stat().st_uid == own:
                    total += len(os.listdir(f"/proc/{entry.name}/task"))
    return total


def descendants(proc: int) -> Iterator[str]:
    """The descendants of this process. Their numbers are those of the /proc that the descriptor `proc` is."""
    return (pid for pid, _ in _walk(proc))


def _walk(proc: int) -> Iterator[tuple[str, list[str]]]:
    """Each descendant with its threads, the first of which may have ended."""
    own = os.readlink("self", dir_fd=proc)
    if not _lists_children(proc, own):
        yield from ((pid, _threads(proc, pid)) for pid in _by_parents(proc, own))
        return
    seen = {own}
    waiting = _children(proc, own, _threads(proc, own))
    while waiting:
        pid = waiting.pop()
        if pid not in seen:
            seen.add(pid)
            threads = _threads(proc, pid)
            yield pid, threads
            waiting += _children(proc, pid, threads)


def resident(proc: int) -> int:
    """Bytes that the descendants of this process hold: in memory of their own or shared with others, but not with a file on disk.

    Memory shared by a mapping without a name stays there while anybody maps it, whoever touched it, and may show as resident in
    nobody; where there is more than one process, each such mapping counts in full, once, unless what is resident counts more.
    """
    private = shared = 0
    found = []
    for pid, threads in _walk(proc):
        found.append((pid, threads))
        own, common = _resident(proc, pid, threads)
        private, shared = private + own, shared + common
    if len(found) < 2:  # the limit of its address space holds for it
        return private + shared
    mapped: dict[bytes, int] = {}
    for pid, threads in found:
        for inode, end in _shared_mappings(proc, pid, threads):
            mapped[inode] = max(end, mapped.get(inode, 0))
    return private + max(shared, sum(mapped.values()))


def _read_proc(proc: int, path: str) -> bytes:
    """A file of /proc; empty if its process has ended."""
    pieces = []
    with contextlib.suppress(OSError):
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
        try:
            while piece := os.read(file, 1 << 16):
                pieces.append(piece)
        finally:
            os.close(file)
    return b"".join(pieces)


def _threads(proc: int, pid: str) -> list[str]:
    with contextlib.suppress(OSError):
        folder = os.open(f"{pid}/task", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=proc)
        try:
            return os.listdir(folder)
        finally:
            os.close(folder)
    return []


def _children(proc: int, pid: str, threads: list[str]) -> list[str]:
    return [child.decode() for thread in threads for child in _read_proc(proc, f"{pid}/task/{thread}/children").split()]


@functools.cache
def _lists_children(proc: int, own: str) -> bool:
    """Whether this kernel was built to list a thread's children."""
    try:
        os.stat(f"{own}/task/{own}/children", dir_fd=proc)
    except FileNotFoundError:
        return False
    return True


def _by_parents(proc: int, own: str) -> Iterator[str]:
    """The descendants of a process, by looking at who every process's parent is."""
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=proc)
    try:
        pids = [name for name in os.listdir(folder) if name.isdigit()]
    finally:
        os.close(folder)
    children: dict[str, list[str]] = {}
    for pid in pids:
        fields = _read_proc(proc, f"{pid}/stat").rpartition(b")")[2].split()  # after the name, which may hold anything
        if len(fields) > 1:
            children.setdefault(fields[1].decode(), []).append(pid)
    waiting = children.get(own, [])
    while waiting:
        yield (pid := waiting.pop())
        waiting += children.get(pid, [])


def _resident(proc: int, pid: str, threads: list[str]) -> tuple[int, int]:
    """Bytes of memory of its own, and of memory shared with others. Of a process whose first thread has ended, another one tells."""
    for thread in threads:
        if sizes := dict(_SIZE.findall(_read_proc(proc, f"{pid}/task/{thread}/status"))):
            return int(sizes.get(b"Anon", 0)) << 10, int(sizes.get(b"Shmem", 0)) << 10
    return 0, 0


def _shared_mappings(proc: int, pid: str, threads: list[str]) -> Iterator[tuple[bytes, int]]:
    """(its device and inode, bytes from its beginning) of each mapping without a name that children may share."""
    for thread in threads:
        if maps := _read_proc(proc, f"{pid}/task/{thread}/maps"):
            for begin, end, offset, device, inode in _SHARED.findall(maps):
                yield device + b" " + inode, int(offset, 16) + int(end, 16) - int(begin, 16)
            return
