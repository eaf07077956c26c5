"""What the user names, as the list of things to read: files, folders, globs, lists of paths, record indexes, addresses.

A folder gives the archives below it, each for itself, and the folder as a whole where it holds HTML files. A list is a text file
(`.paths`, `.txt` or `.lst`, also gzipped) with one path or address a line, as Common Crawl's `archive_pages.paths.gz`; relative lines
follow `base`, or else the list's own folder, or else, where they begin with `crawl-data/`, Common Crawl's address. The order is that of the
user, and by name inside folders and globs; each source comes once.
"""

import glob
import gzip
import itertools
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_pipeline.documents.stored_bytes import is_remote, local_path
from verifiers.input_error import InputError, near_place

HTML = (".html", ".htm", ".xhtml")
ARCHIVES = tuple(
    f".{kind}{packed}" for kind in ("warc", "wet", "arc", "warc.wet", "warc.wat") for packed in ("", ".gz", ".zst", ".lz4", ".gz.bad")
)
_LISTS = (".paths", ".paths.gz", ".txt", ".txt.gz", ".lst")
_INDEXES = (".csv", ".csv.gz", ".parquet", ".jsonl", ".jsonl.gz", ".cdxj")
COMMON_CRAWL, _CRAWL = "https://data.commoncrawl.org/", "crawl-data/"
_LONGEST_LIST = 10_000_000


def is_index(source: str) -> bool:
    return source.lower().endswith(_INDEXES)


def expand(inputs: Sequence[str], *, base: str = "") -> list[str]:
    """Raises InputError for what is missing, a glob or folder without an archive or page, and a list without lines."""
    found: dict[str, None] = {}
    for name in inputs:
        found.update(dict.fromkeys(_expand_one(name, base)))
    if not found:
        raise InputError("no input: give WARC, WET, ARC or HTML files, folders, or a list of paths")
    return list(found)


def _expand_one(name: str, base: str) -> Iterator[str]:
    if is_remote(name):
        yield name
        return
    if name == "-":
        raise InputError("-: standard input cannot be read twice, which going on after a stop takes; save it to a file and name that")
    path = local_path(name)
    if path.is_dir():
        yield from _folder(path)
    elif path.exists():
        yield from _list(path, base) if name.lower().endswith(_LISTS) else iter([str(path)])
    elif glob.has_magic(name):
        matches = sorted(glob.glob(name, recursive=True))
        if not matches:
            raise InputError(f"{name}: no file matches")
        for match in matches:
            yield from _expand_one(match, base)
    else:
        near = near_place(path)
        raise InputError(f"{name}: no such file or folder" + (f"; did you mean {near}?" if near else ""))


def _folder(folder: Path) -> Iterator[str]:
    files = sorted(Path(root, name) for root, _, names in os.walk(folder) for name in names)
    archives = [str(file) for file in files if file.name.lower().endswith(ARCHIVES)]
    pages = any(file.name.lower().endswith(HTML) for file in files)
    if not archives and not pages:
        raise InputError(f"{folder}: holds no archive ({', '.join(ARCHIVES[:3])}, ...) and no HTML file")
    yield from archives
    if pages:
        yield str(folder)


def _list(path: Path, base: str) -> Iterator[str]:
    """The lines of a list; none may itself be a list or a folder, so that nothing nests."""
    empty = True
    try:
        with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as lines:
            for number, line in enumerate(itertools.islice(iter(lambda: lines.readline(10_000), b""), _LONGEST_LIST), 1):
                entry = line.decode("utf-8", "replace").strip()
                if not entry or entry.startswith("#"):
                    continue
                empty = False
                yield resolve(entry, path, base, number)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if empty:
        raise InputError(f"{path}: a list of paths without a line")


def resolve(entry: str, path: Path, base: str, number: int) -> str:
    if is_remote(entry):
        return entry
    if base:
        return f"{base.rstrip('/')}/{entry.lstrip('/')}"
    local = path.parent / entry
    if entry.startswith(_CRAWL) and not local.is_file():
        return COMMON_CRAWL + entry
    if not local.is_file():
        raise InputError(
            f"{path}{f':{number}' if number else ''}: no such file {entry[:200]!r}; relative paths begin at {path.parent}, and addresses "
            "are given whole (https://...)"
        )
    return str(local)
