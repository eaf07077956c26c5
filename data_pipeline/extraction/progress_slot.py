"""Where a worker is in its archive, in a small file that it shares with the watcher: enough to go on from after any kill.

A snapshot says where the page begins, how long the part file is, what was counted. The clock beside it tells the watcher that a page is
being worked on, and since when.
"""

import json
import mmap
import os
import struct
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path

_HEAD = struct.Struct("<dQII")  # start of the page or 0, beats, length and checksum of the snapshot
_SIZE = 1 << 16


@dataclass(slots=True)
class Snapshot:
    """Where a worker is: enough to go on from there."""

    config: str = ""
    start: int = 0
    number: int = 0
    """Pages finished."""
    size: int = 0
    """Bytes of the part file that belong to them."""
    read: int = 0
    """Bytes of their bodies."""
    outcomes: dict[str, int] = field(default_factory=dict)
    records: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    begun: bool = False
    """Whether `start` is a page that was counted in `records` already."""
    through: bool = False
    """Whether there is no page left."""
    failure: str = ""
    """Why the archive cannot be read."""
    hopeless: bool = False
    """Whether it never will be."""
    disk: int = 0
    """The error number where it is the disk that fails, whose words are the failure."""


class Slot:
    """A snapshot and a clock in a shared file, written by the worker and read by the watcher."""

    def __init__(self, path: Path) -> None:
        with path.open("ab") as file:
            os.posix_fallocate(file.fileno(), 0, _SIZE)  # not sparse: on a full disk a write to the memory would kill the process
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _SIZE)
        self._beats = 0

    def begin(self, snapshot: Snapshot) -> None:
        self.save(snapshot)
        struct.pack_into("<d", self._memory, 0, time.monotonic())

    def save(self, snapshot: Snapshot) -> None:
        data = json.dumps({name: getattr(snapshot, name) for name in Snapshot.__slots__}).encode()
        assert len(data) < _SIZE - _HEAD.size
        self._beats += 1
        _HEAD.pack_into(self._memory, 0, 0.0, self._beats, len(data), zlib.crc32(data))
        self._memory[_HEAD.size : _HEAD.size + len(data)] = data

    def end(self) -> None:
        struct.pack_into("<d", self._memory, 0, 0.0)

    def clock(self) -> tuple[float, int]:
        """When the page began (0.0 between pages), and a number that grows with every page."""
        since, beats, _, _ = _HEAD.unpack_from(self._memory)
        return since, beats

    def load(self) -> Snapshot | None:
        """None where there is none, or only half of one."""
        _, _, length, check = _HEAD.unpack_from(self._memory)
        data = self._memory[_HEAD.size : _HEAD.size + length]
        if not length or zlib.crc32(data) != check:
            return None
        return Snapshot(**json.loads(data))

    def close(self) -> None:
        self._memory.close()
