"""Pages out of archives: WARC, WET and ARC, plain or compressed (gzip, lz4, zstd), local or remote; also HTML files and folders of them.

Only pages come out: responses with a status of 2xx, resources, and the text records of WET files. Everything else is counted in
`outcomes`, under "skipped: ..." where it is no page, and under a short name ("truncated record", "wrong length", "broken member", "bad
chunk", ...) where something is damaged. One bad record costs that record and never the rest of the file. "pages" counts what came out.

What an archive holds is told by its first bytes, not by its name. The layers: `stored_bytes.py` (stored bytes), `compressed_members.py`
(decompression, members), `archive_records.py` (records), `http_response.py` (the response's body), and here the choice among them.
Left out: revisit records are not followed to what they repeat, and records split by continuation are not joined.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from data_pipeline.archives.archive_records import Record, Rewind, arc_records, begins_arc, begins_warc, warc_records
from data_pipeline.archives.compressed_members import ArchiveStream
from data_pipeline.archives.http_response import TooLarge, media_type, response
from data_pipeline.archives.named_inputs import HTML, expand, is_index
from data_pipeline.archives.record_buffer import Reader
from data_pipeline.archives.stored_bytes import Source, is_remote, local_path, open_source
from data_pipeline.documents.document import Origin, Page
from verifiers.input_error import InputError

__all__ = ["LARGEST", "NoArchive", "Oversized", "expand", "pages_of", "read_pages", "starts_by_count"]


class NoArchive(InputError):
    """A file that is there and can be read, but holds no records: no later attempt will find any."""


class Oversized(Page):
    """A page over the limit, without its body: so that it too has an outcome under its address."""

    __slots__ = ()


LARGEST = 10_000_000
"""Bytes of a page, stored or decompressed; larger ones are counted as "too large"."""
_WANTED = frozenset(("response", "resource", "conversion"))


def starts_by_count(source: str) -> bool:
    """Whether `start` counts pages to pass over (folders, single pages, record indexes) and not bytes."""
    return not is_remote(source) and (local_path(source).is_dir() or source.lower().endswith(HTML) or is_index(source))


def read_pages(source: str, *, start: int = 0, outcomes: Counter[str], limit: int = LARGEST, oversized: bool = False) -> Iterator[Page]:
    """The pages of a WARC, WET or ARC file, of an HTML file, of a folder of HTML files, or of a record index, in order.

    start: an `Origin.offset` of this archive, whose page is the first to come; or a number of pages, see `starts_by_count`.
    oversized: let pages over the limit come too, as `Oversized`; they are counted as "too large" either way.
    Raises InputError where the source is missing, cannot be read, or is no archive.
    """
    pages = _files_or_index(source, start, outcomes, limit) if starts_by_count(source) else _stored_pages(source, start, outcomes, limit)
    for page in pages:
        if oversized or not isinstance(page, Oversized):
            yield page


def _stored_pages(source: str, start: int, outcomes: Counter[str], limit: int) -> Iterator[Page]:
    stored = open_source(source)
    try:
        while True:
            try:
                yield from _archive(source, stored, start, outcomes, limit)
            except Rewind as rewind:
                start = rewind.position
            else:
                return
    finally:
        stored.close()


def pages_of(source: str, stored: Source, outcomes: Counter[str], *, position: int, limit: int = LARGEST) -> Iterator[Page]:
    """The pages of part of an archive, cut out by its index; `position` is where it begins there."""
    try:
        for page in _archive(source, stored, 0, outcomes, limit, sure=True):
            yield type(page)(page.url, page.body, page.content_type, page.charset, Origin(source, position, page.origin.date))
    except Rewind:
        return


def _archive(source: str, stored: Source, start: int, outcomes: Counter[str], limit: int, *, sure: bool = False) -> Iterator[Page]:
    stream = ArchiveStream(stored, outcomes, start)
    reader = Reader(iter(stream), _begins_record, start)
    if reader.ended():
        if start == 0 and not sure and not outcomes["truncated archive"] + outcomes["broken member"]:
            raise NoArchive(f"{source}: is empty, no WARC, WET or ARC file")
        return
    head = reader.peek(8192).lstrip(b"\r\n")
    if not (sure or start or begins_warc(head) or begins_arc(head) or b"\nWARC/1." in head or _is_named_archive(source)):
        raise NoArchive(f"{source}: is no WARC, WET or ARC file; it begins with {head[:20]!r}")
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


def _files_or_index(source: str, start: int, outcomes: Counter[str], limit: int) -> Iterator[Page]:
    if is_index(source):
        from data_pipeline.archives.indexed_pages import read_records

        for number, page in enumerate(read_records(local_path(source), outcomes=outcomes, limit=limit)):
            if number >= start:
                yield page
        return
    path = local_path(source)
    for number, file in enumerate(_html_files(path) if path.is_dir() else [path]):
        if number < start:
            continue
        found = _file_page(file, outcomes, limit)
        outcomes["pages"] += not isinstance(found, Oversized)
        yield found


def _html_files(folder: Path) -> list[Path]:
    """All HTML files below a folder, by name; links to folders are not followed."""
    found = [Path(root, name) for root, _, names in os.walk(folder) for name in names if name.lower().endswith(HTML)]
    if not found:
        raise NoArchive(f"{folder}: no {', '.join(HTML)} file in it")
    return sorted(found)


def _file_page(file: Path, outcomes: Counter[str], limit: int) -> Page:
    address, origin = file.absolute().as_uri(), Origin(str(file), 0)
    try:
        if file.stat().st_size > limit:
            outcomes["too large"] += 1
            return Oversized(address, b"", "", "", origin)
        body = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}") from error
    media = "application/xhtml+xml" if file.suffix.lower() == ".xhtml" else "text/html"
    return Page(address, body, media, "", origin)
