"""The bytes inside an archive file, whatever it is compressed with, without losing the rest of it to one damaged place.

gzip, lz4, zstd (with a dictionary in the first frame too) or nothing, told by the first bytes. Compressed archives are chains of
members, usually one a record; the stored offset of a member is what an index points to and a range request needs. When a member does not
decompress, what it gave so far is passed on, then comes a tear, and reading goes on at the next place in the file where a member can
be decompressed. The decoders of fastwarc are two times faster but end the file there and lose the positions of members, so Python's own
are used, with a bound on what one call may give.

An archive that is one single member has no offsets inside. There a position is counted in the decompressed bytes, and `start` takes such
a position too: it is told from a stored offset by no member beginning there.
"""

import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from data_pipeline.documents.stored_bytes import Source

BLOCK = 1 << 16
GZIP, LZ4, ZSTD = b"\x1f\x8b\x08", b"\x04\x22\x4d\x18", b"\x28\xb5\x2f\xfd"
_LONGEST_OUTPUT = 1 << 20
_ZSTD_WINDOW = 1 << 27
_ZSTD_SLICE = 2048
_LONGEST_DICTIONARY = 1 << 24
_PROBE = 4096  # bytes that show whether a member begins somewhere
"""Bytes given to the zstd decoder at a time: a block of 4 bytes may become 128 kB, and the decoder has no other bound."""


class Piece(NamedTuple):
    """Some decompressed bytes."""

    data: bytes
    offset: int | None
    """Stored offset of the member that begins here; None inside of one."""
    torn: bool = False
    """Bytes are missing before this piece."""


class _Decoder(NamedTuple):
    """One member's: `feed` gives output and whether the member has ended; `rest` the input behind its end."""

    feed: Callable[[bytes], tuple[bytes, bool]]
    rest: Callable[[], bytes]
    step: int


def _gzip() -> _Decoder:
    decoder = zlib.decompressobj(31)

    def feed(data: bytes) -> tuple[bytes, bool]:
        return decoder.decompress(decoder.unconsumed_tail + data, _LONGEST_OUTPUT), decoder.eof

    return _Decoder(feed, lambda: decoder.unused_data, BLOCK)


def _lz4() -> _Decoder:
    import lz4.frame

    decoder = lz4.frame.LZ4FrameDecompressor()

    def feed(data: bytes) -> tuple[bytes, bool]:
        return bytes(decoder.decompress(data, max_length=_LONGEST_OUTPUT)), bool(decoder.eof)

    return _Decoder(feed, lambda: bytes(decoder.unused_data or b""), BLOCK)


def _zstd(dictionary: bytes | None) -> Callable[[], _Decoder]:
    import zstandard

    shared = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
    decompressor = zstandard.ZstdDecompressor(dict_data=shared, max_window_size=_ZSTD_WINDOW)

    def make() -> _Decoder:
        decoder: Any = decompressor.decompressobj()
        return _Decoder(lambda data: (decoder.decompress(data), bool(decoder.eof)), lambda: bytes(decoder.unused_data), _ZSTD_SLICE)

    return make


def _damages() -> tuple[type[BaseException], ...]:
    import zstandard

    return (zlib.error, zstandard.ZstdError, RuntimeError, EOFError)  # lz4 raises RuntimeError


class ArchiveStream:
    """Pieces of an archive in order, by iteration. `start`: a stored offset, or a decompressed position (see above)."""

    def __init__(self, source: Source, outcomes: Counter[str], start: int = 0) -> None:
        self._source, self._outcomes, self._start = source, outcomes, start
        source.seek(0)
        head = _exactly(source, 8)
        self.magic = next((magic for magic in (GZIP, LZ4, ZSTD) if head.startswith(magic)), ZSTD if _is_skippable(head) else b"")
        self._dictionary = self._read_dictionary(head) if _is_skippable(head) else None
        self._make: Callable[[], _Decoder] = _gzip if self.magic == GZIP else _lz4 if self.magic == LZ4 else _zstd(self._dictionary)
        self.whole = False
        """Whether the archive is one member, so that positions count decompressed bytes."""
        if self.magic and start:
            source.seek(start)
            head = _exactly(source, 4)
            self.whole = not (head.startswith(self.magic) or _is_skippable(head))
        self._source.seek(0 if self.whole else start)

    def __iter__(self) -> Iterator[Piece]:
        if not self.magic:
            yield from self._plain()
            return
        skip = self._start if self.whole else 0
        for piece in self._members(0 if self.whole else self._start):
            if skip >= len(piece.data):
                skip -= len(piece.data)
            elif skip:
                yield Piece(piece.data[skip:], None, piece.torn)
                skip = 0
            else:
                yield piece

    def _plain(self) -> Iterator[Piece]:
        while block := self._source.read(BLOCK):
            yield Piece(block, None)

    def _members(self, position: int) -> Iterator[Piece]:
        """All members from a stored offset on; searches for the next one after a damaged one."""
        rest, torn, damages = b"", False, _damages()
        while True:
            rest = rest or self._source.read(BLOCK)
            while rest and len(rest) < 8 and (more := self._source.read(BLOCK)):
                rest += more
            if not rest:
                return
            if _is_skippable(rest) and self.magic == ZSTD:
                position += 8 + int.from_bytes(rest[4:8], "little")
                self._source.seek(position)
                rest = b""
                continue
            member, first, size = self._make(), True, 0
            try:
                while True:
                    data, ended = member.feed(rest[: member.step])
                    given, rest = min(len(rest), member.step), rest[member.step :]
                    size += given
                    if data:
                        yield Piece(data, position if first else None, torn and first)
                        first = False
                    if ended:
                        break
                    if not rest and len(data) < _LONGEST_OUTPUT and not (rest := self._source.read(BLOCK)):
                        self._outcomes["truncated archive"] += 1
                        return
                torn = False
                unused = member.rest()
                position += size - len(unused)
                rest = unused + rest
            except damages:
                if not torn:
                    self._outcomes["broken member"] += 1
                torn = True
                found = self._next_member(position + 1)
                if found is None:
                    return
                position, rest = found, b""
                self._source.seek(position)

    def _next_member(self, position: int) -> int | None:
        """The first place at or after `position` that begins like a member and decompresses for a while."""
        self._source.seek(position)
        window = b""
        while block := self._source.read(BLOCK):
            window += block
            at = window.find(self.magic)
            while at >= 0:
                if self._begins(position + at):
                    return position + at
                at = window.find(self.magic, at + 1)
            keep = len(self.magic) - 1
            position += len(window) - keep
            window = window[-keep:]
            self._source.seek(position + keep)
        return None

    def _begins(self, position: int) -> bool:
        self._source.seek(position)
        member = self._make()
        try:
            data, _ = member.feed(_exactly(self._source, min(member.step, _PROBE)))
        except _damages():
            return False
        return bool(data)

    def _read_dictionary(self, head: bytes) -> bytes | None:
        """The dictionary of a `.warc.zst`: the first frame, skippable, itself compressed or not."""
        length = int.from_bytes(head[4:8], "little")
        if length > _LONGEST_DICTIONARY:
            return None
        content = _exactly(self._source, length)
        if content.startswith(ZSTD):
            import zstandard

            try:
                content = zstandard.ZstdDecompressor().decompress(content, max_output_size=_LONGEST_DICTIONARY)
            except zstandard.ZstdError:
                return None
        return content or None


def _is_skippable(head: bytes) -> bool:
    return len(head) >= 4 and 0x50 <= head[0] <= 0x5F and head[1:4] == b"\x2a\x4d\x18"


def _exactly(source: Source, size: int) -> bytes:
    """`size` bytes, fewer only at the end."""
    found = b""
    while len(found) < size and (block := source.read(size - len(found))):
        found += block
    return found
