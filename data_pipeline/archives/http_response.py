"""The body of an HTTP response as a crawler stored it: transfer and content encodings undone, with a bound on the size.

Archives hold many responses whose header no longer describes their body (a crawler undid the chunks and kept the header), so an
encoding that the body does not have is passed over in silence where its first bytes show it, and counted where it breaks off.
"""

import io
import re
import zlib
from collections import Counter
from typing import Any, NamedTuple

from data_pipeline.archives.archive_records import parse_headers

_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? +(\d{3})\b")
_END = re.compile(rb"\r?\n\r?\n")
_CHUNK = re.compile(rb"\s{0,4}([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]{0,1000})?\r?\n")
_MEDIA = re.compile(rb"\s*([\w.+-]{1,100}/[\w.+-]{1,100})")
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_MOST_ENCODINGS = 3
_LONGEST_HEADERS = 1 << 18
_PIECE = 1 << 16  # bytes of a body that are decoded at once
_ZSTD_WINDOW = 1 << 27


class TooLarge(Exception):
    """A body is over the limit once decompressed."""


class Response(NamedTuple):
    status: int
    content_type: str
    charset: str
    body: bytes


def media_type(header: bytes) -> tuple[str, str]:
    """Media type in lower case and charset of a Content-Type header; "" for what it does not say."""
    media, charset = _MEDIA.match(header), _CHARSET.search(header[:1000])
    return (
        media[1].decode("latin-1").lower() if media else "",
        charset[1].decode("latin-1") if charset else "",
    )


def response(message: bytes, outcomes: Counter[str], limit: int) -> Response | None:
    """None for what is no HTTP response. Raises TooLarge."""
    status = _STATUS.match(message)
    if not status:
        return None
    end = _END.search(message, 0, _LONGEST_HEADERS)
    headers = parse_headers(message[: end.end() if end else len(message)])
    body = message[end.end() :] if end else b""
    if b"chunked" in headers.get(b"transfer-encoding", b"").lower():
        body = dechunked(body, outcomes)
    encodings = [name.strip() for name in headers.get(b"content-encoding", b"").lower().split(b",")][-_MOST_ENCODINGS:]
    for encoding in reversed(encodings):
        body = _decode(body, encoding, outcomes, limit)
    if len(body) > limit:
        raise TooLarge
    return Response(int(status[1]), *media_type(headers.get(b"content-type", b"")), body)


def dechunked(body: bytes, outcomes: Counter[str]) -> bytes:
    """What the chunks hold, up to the first that is broken. A body that does not begin with a chunk is taken as it is."""
    parts: list[bytes] = []
    at = 0
    while True:
        head = _CHUNK.match(body, at)
        if not head:
            if not parts:
                outcomes["not chunked"] += 1
                return body
            if body[at:].strip():
                outcomes["bad chunk"] += 1
                parts.append(body[at:])
            return b"".join(parts)
        size = int(head[1], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(body[head.end() : head.end() + size])
        at = head.end() + size
        if at > len(body):
            outcomes["bad chunk"] += 1
            return b"".join(parts)
        at += len(body[at : at + 2]) - len(body[at : at + 2].lstrip(b"\r\n"))


def _decode(body: bytes, encoding: bytes, outcomes: Counter[str], limit: int) -> bytes:
    if encoding in (b"gzip", b"x-gzip"):
        return _inflate(body, 31, outcomes, limit) if body.startswith(b"\x1f\x8b") else body
    if encoding == b"deflate":
        zlib_header = len(body) > 1 and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0
        looks_like_text = body.lstrip()[:1] == b"<"
        return body if looks_like_text else _inflate(body, 15 if zlib_header else -15, outcomes, limit)
    if encoding == b"br":
        return _brotli(body, outcomes, limit)
    if encoding in (b"zstd", b"x-zstd"):
        return _zstd(body, outcomes, limit) if body.startswith(b"\x28\xb5\x2f\xfd") else body
    if encoding not in (b"", b"identity", b"none", b"utf-8"):
        outcomes["unknown encoding"] += 1
    return body


def _inflate(body: bytes, bits: int, outcomes: Counter[str], limit: int) -> bytes:
    """A broken stream gives what came before."""
    decoder, left = zlib.decompressobj(bits), limit + 1
    parts: list[bytes] = []
    data = body
    while data and left > 0 and not decoder.eof:
        try:
            part = decoder.decompress(data, min(left, _PIECE))
        except zlib.error:
            break
        if not part and not decoder.unconsumed_tail:
            break
        parts.append(part)
        left -= len(part)
        data = decoder.unconsumed_tail
    if left <= 0:
        raise TooLarge
    if not decoder.eof:
        outcomes["bad encoding"] += 1
        return b"".join(parts) or (body if bits == -15 else b"")
    return b"".join(parts)


def _brotli(body: bytes, outcomes: Counter[str], limit: int) -> bytes:
    """Brotli has no magic bytes: a body that breaks off at once is taken as it is."""
    from fastwarc.stream_io import BrotliReader

    return _drain(BrotliReader(io.BytesIO(body)), body, outcomes, limit)


def _zstd(body: bytes, outcomes: Counter[str], limit: int) -> bytes:
    import zstandard

    return _drain(zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(body), body, outcomes, limit)


def _drain(reader: Any, body: bytes, outcomes: Counter[str], limit: int) -> bytes:
    import zstandard

    parts: list[bytes] = []
    left = limit + 1
    while left > 0:
        try:
            part = bytes(reader.read(min(left, _PIECE)))
        except (OSError, zstandard.ZstdError):
            outcomes["bad encoding"] += 1
            return b"".join(parts) or body
        if not part:
            return b"".join(parts)
        parts.append(part)
        left -= len(part)
    raise TooLarge
