"""Pages out of archives: WARC, WET and ARC, plain or compressed (gzip, lz4, zstd), local or remote; also HTML files and folders of them.

Only pages come out: responses with a status of 2xx, resources, and the text records of WET files. Everything else is counted in
`outcomes`, under "skipped: ..." where it is no page, and under a short name ("truncated record", "wrong length", "broken member", "bad
chunk", ...) where something is damaged. One bad record costs that record and never the rest of the file. "pages" counts what came out.

The layers: `stored_bytes.py` (stored bytes), `compressed_members.py` (decompression, members), `archive_records.py` (records),
`http_response.py` (the response's body), `record_pages.py` (an archive's pages), and here the choice among archives, files and indexes.
Left out: records split by continuation are not joined.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from data_pipeline.archives.archive_records import Rewind
from data_pipeline.archives.indexed_pages import read_records
from data_pipeline.archives.named_inputs import HTML, is_index
from data_pipeline.archives.record_pages import LARGEST, NoArchive, Oversized, archive_pages
from data_pipeline.documents.document import Origin, Page
from data_pipeline.documents.stored_bytes import is_remote, local_path, open_source
from verifiers.input_error import InputError


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
                yield from archive_pages(source, stored, start, outcomes, limit)
            except Rewind as rewind:
                start = rewind.position
            else:
                return
    finally:
        stored.close()


def _files_or_index(source: str, start: int, outcomes: Counter[str], limit: int) -> Iterator[Page]:
    if is_index(source):
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
