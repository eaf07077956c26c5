"""Lines in compressed files of which some can be read without decoding the others: zstd frames that end at the ends of lines.

A frame holds about a megabyte of text, so that a page among a million costs the decoding of its own frame, and the file is some 2 %
larger than one long frame. Any zstd reader reads the frames as one text; nothing but their places makes them special.

A place is two numbers, (frame, line), and means something in anybody's files too:

* .zst: the byte offset of a frame, and how many line ends lie in it before the line. A line may go on into later frames;
* no compression: the byte offset of the line, and 0;
* .gz: 0, and the line counted from 0: reading one decodes all before it. The same holds for a .zst of one frame.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import zstandard

from verifiers.input_error import InputError

FRAME = 1 << 20
"""Bytes of text from which a frame is full."""
_CHUNK = 1 << 20
_BLOCK = 1 << 17
BROKEN = (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError)
"""What reading a file that is cut short or damaged raises."""

Place = tuple[int, int]


def framed(lines: Iterable[bytes], *, level: int = 3, size: int = FRAME) -> Iterator[bytes]:
    """The compressed frames of lines that have their ends: a frame is closed by the line that fills it. The same lines, the same bytes."""
    compressor = zstandard.ZstdCompressor(level=level, write_checksum=True)
    gathered: list[bytes] = []
    filled = frames = 0
    for line in lines:
        gathered.append(line)
        filled += len(line)
        if filled >= size:
            yield compressor.compress(b"".join(gathered))
            gathered, filled, frames = [], 0, frames + 1
    if gathered or not frames:  # a file without a frame is no zstd file
        yield compressor.compress(b"".join(gathered))


def placed_lines(path: Path) -> Iterator[tuple[Place, bytes]]:
    """Every line without its end, with its place. InputError where the file is damaged."""
    lines = 0
    try:
        for place, line in _plain_lines(path) if _is_plain(path) else _split(_chunks(path, 0)):
            lines += 1
            yield place, line
    except BROKEN as error:
        raise InputError(f"{path}:{lines + 1}: the file is truncated or broken here ({error}); make it again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def lines_at(path: Path, places: Iterable[Place]) -> Iterator[bytes]:
    """The lines at these places, which ascend; a frame is decoded once, up to the last line asked of it. InputError as above.

    A place is asked for when the line before it has been given, so that there may be any number.
    """
    try:
        for frame, group in groupby(places, key=itemgetter(0)):
            yield from _lines_of(path, frame, (line for _, line in group))
    except BROKEN as error:
        raise InputError(f"{path}: the file is truncated or broken ({error}); make it again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def zstd_chunks(path: Path, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """(byte offset of the frame, text) of all frames from `start` on.

    The library's own reader ends silently in the middle of a frame, and stops after the first one.
    """
    with path.open("rb") as stream:
        stream.seek(start)
        frame, began, read = None, start, start
        while block := stream.read(_BLOCK):
            read += len(block)
            while block:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                yield began, frame.decompress(block)
                block = frame.unused_data if frame.eof else b""
                if frame.eof:
                    frame, began = None, read - len(block)
        if frame:
            raise EOFError("it ends in the middle of a frame")


def _lines_of(path: Path, frame: int, wanted: Iterator[int]) -> Iterator[bytes]:
    """The wanted lines of one frame."""
    if _is_plain(path):
        with path.open("rb") as stream:
            stream.seek(frame)
            line = stream.readline().removesuffix(b"\n")
        yield from (line for _ in wanted)
        return
    number = next(wanted)
    for place, line in _split(_chunks(path, frame)):
        while place == (frame, number):
            yield line
            following = next(wanted, None)
            if following is None:
                return
            number = following
        if place > (frame, number):
            break
    raise InputError(f"{path}: no line {number} in the frame at byte {frame}; the file is not the one that was read before")


def _is_plain(path: Path) -> bool:
    return not path.name.endswith((".zst", ".gz"))


def _plain_lines(path: Path) -> Iterator[tuple[Place, bytes]]:
    offset = 0
    with path.open("rb") as stream:
        for line in stream:
            yield (offset, 0), line.removesuffix(b"\n")
            offset += len(line)


def _chunks(path: Path, start: int) -> Iterator[tuple[int, bytes]]:
    if path.name.endswith(".zst"):
        yield from zstd_chunks(path, start)
        return
    with gzip.open(path) as stream:
        while chunk := stream.read(_CHUNK):
            yield 0, chunk


def _split(chunks: Iterator[tuple[int, bytes]]) -> Iterator[tuple[Place, bytes]]:
    """Lines and their places; the parts of a line are joined once, so that a line of a gigabyte stays linear."""
    pending: list[bytes] = []
    frame, number = -1, 0
    place = (0, 0)
    for where, chunk in chunks:
        if where != frame:
            frame, number = where, 0
            place = place if any(pending) else (frame, 0)
        first, *rest = chunk.split(b"\n")
        pending.append(first)
        for part in rest:
            yield place, b"".join(pending)
            number += 1
            place, pending = (frame, number), [part]
    if any(pending):
        yield place, b"".join(pending)
