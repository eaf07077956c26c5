"""Records out of a WARC or ARC file (versions 1): their header and content, whatever the header says about the length.

A record's length is believed only if another record, or the end, follows it. Where it does not, the content is cut at the record that
begins inside it, or goes on to the next one, and "wrong length" is counted. A record that breaks off is a "truncated record", and kept
where nearly all of it is there. What is no record is skipped to the next line that begins
one. Contents over the limit are skipped without being held. Nothing is raised for what is wrong in a file; all of it is counted.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from data_pipeline.archives.record_buffer import LONGEST_LINE, Reader

LONGEST_HEADER = 1 << 16
_ARC_FIELDS = rb"[a-z][a-z0-9.+-]{0,15}:[^\r\n]{1,8000} [0-9a-fA-F.:]{2,45} \d{8,20} [^\s]{1,200}(?: [^\r\n]{1,1000})? -?\w{1,15}\r?\n"
_WARC_NEXT = re.compile(rb"\n(?P<record>WARC/[01]\.\d)")
_ARC_NEXT = re.compile(rb"\n(?P<record>" + _ARC_FIELDS + rb")")
_ARC_LINE = re.compile(_ARC_FIELDS)
_END_OF_HEADER, _END_OF_LINE = re.compile(rb"\n\r?\n"), re.compile(rb"\n")
_WARC_MARK = re.compile(rb"WARC/[01]\.\d")


class Record(NamedTuple):
    kind: str
    """WARC-Type, or "response" in an ARC file."""
    url: str
    date: str
    content_type: str
    """Of the record, not of what was fetched."""
    content: bytes | None
    """None where it is over the limit."""
    offset: int
    payload: str = ""
    """The media type that the crawler saw in the payload itself (WARC-Identified-Payload-Type); "" where it did not look."""


class Rewind(Exception):
    """A length that lies ran over other records to the end; they begin at `position`."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


def begins_warc(data: bytes) -> bool:
    return _WARC_MARK.match(data) is not None


def begins_arc(data: bytes) -> bool:
    return data.startswith(b"filedesc:") or _ARC_LINE.match(data[:LONGEST_LINE]) is not None


def warc_records(reader: Reader, outcomes: Counter[str], wanted: frozenset[str], limit: int) -> Iterator[Record]:
    """The records of wanted types; the others are counted as "skipped: TYPE"."""
    while not _at_end(reader):
        offset = reader.position()
        if not begins_warc(reader.peek(10)):
            outcomes["no record header"] += 1
            reader.skip_to(_WARC_NEXT)
            continue
        block = reader.until(_END_OF_HEADER, LONGEST_HEADER)
        if block is None:
            outcomes["truncated record" if len(reader.peek(LONGEST_HEADER)) < LONGEST_HEADER else "header too long"] += 1
            reader.take(4)
            reader.skip_to(_WARC_NEXT)
            continue
        headers = parse_headers(block)
        kind = headers.get(b"warc-type", b"").decode("latin-1").strip().lower()[:20]
        length = _length(headers.get(b"content-length", b""))
        if length is None:
            outcomes["bad length"] += 1
            reader.push_back(b"\n")
            reader.skip_to(_WARC_NEXT)
            continue
        content = _content(reader, length, limit, _WARC_NEXT, outcomes)
        if content is None and length <= limit:
            continue
        if kind not in wanted:
            outcomes[f"skipped: {kind if kind in _KINDS else 'other'}"] += 1
            continue
        url = _header_text(headers.get(b"warc-target-uri", b"")).strip("<> ")
        date = _header_text(headers.get(b"warc-date", b""))[:40]
        payload = _header_text(headers.get(b"warc-identified-payload-type", b""))
        yield Record(kind, url, date, _header_text(headers.get(b"content-type", b"")), content, offset, payload)


_NEARLY_ALL = 0.9
"""A record that breaks off is kept from this share of its length on: the end of a page is its least part."""
_MARK = 16  # bytes in which WARC/1.0 stands, with a line break or two before it
_PASSED = 1 << 20  # bytes that are passed over at once
_KINDS = frozenset(("warcinfo", "response", "resource", "request", "metadata", "revisit", "conversion", "continuation"))


def arc_records(reader: Reader, outcomes: Counter[str], limit: int) -> Iterator[Record]:
    while not _at_end(reader):
        offset = reader.position()
        line = reader.until(_END_OF_LINE, LONGEST_HEADER)
        fields = _arc_fields(line) if line else None
        if line is None or fields is None:
            outcomes["no record header"] += 1
            reader.take(1)
            reader.skip_to(_ARC_NEXT)
            continue
        url, date, length, media = fields
        if length is None:
            outcomes["bad length"] += 1
            reader.push_back(b"\n")
            reader.skip_to(_ARC_NEXT)
            continue
        content = _content(reader, length, limit, _ARC_NEXT, outcomes)
        if content is None and length <= limit:
            continue
        if url.startswith("filedesc:"):
            outcomes["skipped: warcinfo"] += 1
            continue
        yield Record("response", url, date, media, content, offset)


def parse_headers(block: bytes) -> dict[bytes, bytes]:
    """Names in lower case; of several of a name the first; folded lines joined; the first line left out."""
    found: dict[bytes, bytes] = {}
    name = b""
    for line in block.split(b"\n")[1:]:
        if line[:1] in (b" ", b"\t") and name:
            found[name] += b" " + line.strip()
            continue
        key, colon, value = line.partition(b":")
        if colon:
            name = key.strip().lower()
            found.setdefault(name, value.strip())
    return found


def _at_end(reader: Reader) -> bool:
    reader.skip_blank()
    return reader.ended()


def _content(reader: Reader, length: int, limit: int, following: re.Pattern[bytes], outcomes: Counter[str]) -> bytes | None:
    """A record's content, corrected where the length lies; None, and counted, for what is lost."""
    if length > limit:
        _skip(reader, length, following, outcomes)
        return None
    content = reader.take(length)
    short = len(content) < length
    if not short and _is_followed(reader):
        return content
    inside = following.search(content)
    if inside:
        outcomes["wrong length"] += 1
        reader.push_back(content[inside.start("record") :])
        return content[: inside.start()].rstrip(b"\r\n")
    if not short:
        outcomes["wrong length"] += 1
        return content + _rest(reader, following, limit - length)
    if reader.at_member():
        outcomes["wrong length"] += 1
        return content.rstrip(b"\r\n")
    outcomes["truncated record"] += 1
    return content if len(content) >= _NEARLY_ALL * length else None


def _is_followed(reader: Reader) -> bool:
    """Whether another record, the end or a tear comes next."""
    ahead = reader.peek(LONGEST_LINE if reader.begins is begins_arc else _MARK).lstrip(b"\r\n")
    return not ahead or reader.begins(ahead)


def _rest(reader: Reader, following: re.Pattern[bytes], limit: int) -> bytes:
    """What belongs to a content that is longer than its header says."""
    found = reader.until(following, limit)
    if found is None:
        rest = reader.take(max(limit, 0))
        if reader.at_break() or reader.ended():
            return rest.rstrip(b"\r\n")
        reader.push_back(rest)
        return b""
    record = following.search(found)
    assert record is not None
    reader.push_back(found[record.start("record") :])
    return found[: record.start()].rstrip(b"\r\n")


def _skip(reader: Reader, length: int, following: re.Pattern[bytes], outcomes: Counter[str]) -> None:
    """Passes over a content that is too large to hold. Raises Rewind where its length was a lie that swallowed other records."""
    outcomes["too large"] += 1
    left, tail, swallowed = length, b"", None
    while left:
        position = reader.position()
        part = reader.take(min(left, _PASSED))
        if swallowed is None and (found := following.search(tail + part)):
            swallowed = position - len(tail) + found.start("record")
        tail = part[-LONGEST_LINE:] if reader.begins is begins_arc else part[-_MARK:]
        left -= len(part)
        if not part:
            break
    if swallowed is not None and not reader.at_break() and (left or not _is_followed(reader)):
        raise Rewind(swallowed)


def _length(value: bytes) -> int | None:
    return int(value) if value.isdigit() and len(value) < 19 else None


def _arc_fields(line: bytes) -> tuple[str, str, int | None, str] | None:
    """URL (which may hold spaces), date, length (None if it is none) and media type, of version 1 or 2; None for another line."""
    for count in (4, 9):
        fields = line.strip().rsplit(b" ", count)
        if len(fields) == count + 1 and fields[2].isdigit() and 8 <= len(fields[2]) <= 20 and _SCHEME.match(fields[0]):
            return _header_text(fields[0]), _iso(fields[2].decode()), _length(fields[-1]), _header_text(fields[3])
    return None


_SCHEME = re.compile(rb"[a-z][a-z0-9.+-]{0,15}:")


def _iso(digits: str) -> str:
    padded = digits.ljust(14, "0")
    return f"{padded[:4]}-{padded[4:6]}-{padded[6:8]}T{padded[8:10]}:{padded[10:12]}:{padded[12:14]}Z"


def _header_text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
