"""One archive's records to pages: which records are pages, and what a page's body, media type and charset are.

What an archive holds is told by its first bytes, not by its name. A page whose body is over the limit comes as `Oversized`, so that it too
has an outcome; a record that is no page is counted under "skipped: ...". Left out: revisit records are not followed to what they repeat.
"""

from collections import Counter
from collections.abc import Iterator

from data_pipeline.archives.archive_records import Record, Rewind, arc_records, begins_arc, begins_warc, warc_records
from data_pipeline.archives.compressed_members import ArchiveStream
from data_pipeline.archives.http_response import TooLarge, media_type, response
from data_pipeline.archives.record_buffer import Reader
from data_pipeline.documents.document import Origin, Page
from data_pipeline.documents.stored_bytes import Source
from verifiers.input_error import InputError


class NoArchive(InputError):
    """A file that is there and can be read, but holds no records: no later attempt will find any."""


class Oversized(Page):
    """A page over the limit, without its body: so that it too has an outcome under its address."""

    __slots__ = ()


LARGEST = 10_000_000
"""Bytes of a page, stored or decompressed; larger ones are counted as "too large"."""
_WANTED = frozenset(("response", "resource", "conversion"))
_HEAD, _SHOWN = 8192, 20
"""Bytes in which the first record must begin, and how many of them a complaint shows."""


def pages_of(source: str, stored: Source, outcomes: Counter[str], *, position: int, limit: int = LARGEST) -> Iterator[Page]:
    """The pages of part of an archive, cut out by its index; `position` is where it begins there."""
    try:
        for page in archive_pages(source, stored, 0, outcomes, limit, sure=True):
            yield type(page)(page.url, page.body, page.content_type, page.charset, Origin(source, position, page.origin.date))
    except Rewind:
        return


def archive_pages(source: str, stored: Source, start: int, outcomes: Counter[str], limit: int, *, sure: bool = False) -> Iterator[Page]:
    """The pages of an archive from a position on; `sure`: it is one, whatever its first bytes say. Raises NoArchive, Rewind."""
    stream = ArchiveStream(stored, outcomes, start)
    reader = Reader(iter(stream), _begins_record, start)
    if reader.ended():
        if start == 0 and not sure and not outcomes["truncated archive"] + outcomes["broken member"]:
            raise NoArchive(f"{source}: is empty, no WARC, WET or ARC file")
        return
    head = reader.peek(_HEAD).lstrip(b"\r\n")
    if not (sure or start or begins_warc(head) or begins_arc(head) or b"\nWARC/1." in head or _is_named_archive(source)):
        raise NoArchive(f"{source}: is no WARC, WET or ARC file; it begins with {head[:_SHOWN]!r}")
    if begins_arc(head) or (source.lower().removesuffix(".gz").endswith(".arc") and not begins_warc(head)):
        reader.begins = begins_arc
        records = arc_records(reader, outcomes, limit)
    else:
        reader.begins = begins_warc
        records = warc_records(reader, outcomes, _WANTED, limit)
    for record in records:
        page = _page(record, source, outcomes, limit)
        if page is not None:
            outcomes["pages"] += not isinstance(page, Oversized)
            yield page


def _begins_record(data: bytes) -> bool:
    return begins_warc(data) or begins_arc(data)


def _is_named_archive(source: str) -> bool:
    name = source.rsplit("/", 1)[-1].lower()
    return any(part in name for part in (".warc", ".wet", ".arc"))


def _page(record: Record, source: str, outcomes: Counter[str], limit: int) -> Page | None:
    origin = Origin(source, record.offset, record.date)
    if record.content is None:
        return Oversized(record.url, b"", "", "", origin)
    media, charset = media_type(record.content_type.encode())
    if record.kind == "conversion":
        return Page(record.url, record.content, media, charset or "utf-8", origin)
    if record.kind == "response":
        try:
            answer = response(record.content, outcomes, limit)
        except TooLarge:
            outcomes["too large"] += 1
            return Oversized(record.url, b"", "", "", origin)
        if answer is None:
            outcomes["skipped: not http"] += 1
            return None
        if not 200 <= answer.status < 300:
            outcomes["skipped: status"] += 1
            return None
        return Page(record.url, answer.body, _served_as(answer.content_type, record.payload), answer.charset, origin)
    return Page(record.url, record.content, _served_as(media, record.payload), charset, origin)


def _served_as(said: str, identified: str) -> str:
    """The media type of a page: what the crawler saw in its bytes goes before what the server said, unless it saw no more than text."""
    seen, _ = media_type(identified.encode())
    if not seen or seen.endswith("/octet-stream") or (seen == "text/plain" and said):
        return said
    return seen
