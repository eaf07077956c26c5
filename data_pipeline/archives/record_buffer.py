"""Bytes and lines out of an archive's pieces, with their position and a way back.

A read stops short where a record cannot go on: at the end, at a tear, and at a member that begins another record. So a record with a
wrong length costs nothing but itself.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator

from data_pipeline.archives.compressed_members import Piece

LONGEST_LINE = 10_000
"""Bytes of the line with which a record begins, at most."""
_BEGINNING = 4096  # bytes that show whether a member begins a record


class Reader:
    """`begins` tells whether bytes are the beginning of a record; `position` is that of the first byte."""

    def __init__(self, pieces: Iterator[Piece], begins: Callable[[bytes], bool], position: int) -> None:
        self._pieces, self.begins = pieces, begins
        self._ahead: deque[Piece] = deque()
        self._buffer, self._at = b"", 0
        self._start = position
        """Position of the buffer's first byte: stored in a plain archive, decompressed in others."""
        self._member: int | None = None
        """Stored offset of the member of which the buffer's first byte is the first."""

    def position(self) -> int:
        """Of the next byte: the stored offset where there is one (plain archive, first byte of a member), else decompressed."""
        return self._member if self._member is not None and self._at == 0 else self._start + self._at

    def more(self) -> bool:
        """One more piece into the buffer. False at the end and, unless all of the buffer is read, where a record cannot go on."""
        empty = self._at >= len(self._buffer)
        if not empty and self.at_break():
            return False
        if not self._ahead and not self._fetch():
            return False
        piece = self._ahead.popleft()
        self._start += self._at
        if empty:
            self._buffer, self._member = piece.data, piece.offset
        else:
            self._member = self._member if self._at == 0 else None
            self._buffer = self._buffer[self._at :] + piece.data
        self._at = 0
        return True

    def at_break(self) -> bool:
        """Whether the bytes after the buffer belong to something else: a tear or another member's record."""
        return bool(self._ahead or self._fetch()) and (self._ahead[0].torn or self.at_member())

    def at_member(self) -> bool:
        """Whether an undamaged member that begins a record comes after the buffer."""
        if not self._ahead and not self._fetch():
            return False
        piece = self._ahead[0]
        return piece.offset is not None and self.begins(piece.data)

    def ended(self) -> bool:
        """Whether nothing is left at all; brings the next piece otherwise."""
        while self._at >= len(self._buffer):
            if not self.more():
                return True
        return False

    def peek(self, size: int) -> bytes:
        """The next bytes, fewer where a record cannot go on."""
        while len(self._buffer) - self._at < size and self._at < len(self._buffer) and self.more():
            pass
        return self._buffer[self._at : self._at + size]

    def take(self, size: int) -> bytes:
        """The next bytes, fewer where a record cannot go on."""
        parts = [self._buffer[self._at : self._at + size]]
        self._at += len(parts[0])
        left = size - len(parts[0])
        while left > 0 and not self.at_break() and self._ahead:
            self.more()
            part = self._buffer[:left]
            self._at = len(part)
            left -= len(part)
            parts.append(part)
        return b"".join(parts) if len(parts) > 1 else parts[0]

    def push_back(self, data: bytes) -> None:
        """Undo the last `take` for its last bytes."""
        if len(data) <= self._at:
            self._at -= len(data)
            return
        self._start += self._at - len(data)
        self._buffer, self._at, self._member = data + self._buffer[self._at :], 0, None

    def until(self, end: re.Pattern[bytes], limit: int) -> bytes | None:
        """What comes up to the end of the first match. None, and nothing read, where there is none within `limit` bytes."""
        searched = 0
        while True:
            found = end.search(self._buffer, self._at + searched)
            if found:
                return self.take(found.end() - self._at)
            length = len(self._buffer) - self._at
            if length >= limit:
                return None
            searched = max(0, length - 8)
            if length == 0 or not self.more():
                return None

    def skip_blank(self) -> None:
        while not self.ended() and self._buffer[self._at] in b"\r\n":
            self._at += 1

    def skip_to(self, beginning: re.Pattern[bytes]) -> None:
        """To the next match, which must be behind a line break or at the beginning of a member that begins a record; or to the end."""
        while True:
            found = beginning.search(self._buffer, self._at)
            if found:
                self._at = found.start("record")
                return
            keep = b"" if self.at_break() else self._buffer[max(self._at, len(self._buffer) - LONGEST_LINE) :]
            self._at = len(self._buffer)
            if not self.more():
                return
            if keep:
                self.push_back(keep)
            if self.begins(self._buffer[self._at :][:_BEGINNING]):
                return

    def _fetch(self) -> bool:
        piece = next(self._pieces, None)
        if piece is None:
            return False
        self._ahead.append(piece)
        return True
