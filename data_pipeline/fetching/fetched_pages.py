"""Chosen pages of Common Crawl to archives on this disk: `fetch_pages`.

    out/selection.parquet, selection.json     the rows of the index that the query chose, in the order in which they are fetched
    out/NAME-00000.warc.gz                    records, each the gzip member that the crawl holds, byte for byte: an archive like others
    out/NAME-00000.failed.jsonl               rows that came to nothing, each with its reason; only where there are such
    out/NAME-00000.json                       rows, pages, bytes, digest, failures: written last, so that the file is finished

The chosen rows are cut into files of some 256 MB, one file is made at a time by all connections, and its records stand in the order of the
rows however they came: the same rows give the same bytes. A rerun passes by what has its marker, and one that was killed loses the file
it was at. A record that is not what the index says is asked for twice more, and listed with its reason if it stays so; a failure of the
server as a whole ends the run in one line, and the same command goes on. Files are asked for at `base` and nowhere else, whatever the
index says: it may be somebody else's.
"""

import fcntl
import hashlib
import json
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from data_pipeline.archives.indexed_pages import requests
from data_pipeline.archives.named_inputs import COMMON_CRAWL
from data_pipeline.documents.stored_bytes import is_remote, local_path, open_source
from data_pipeline.fetching.checked_record import wrong_with
from data_pipeline.fetching.chosen_rows import LONGEST, Volume, volume_of, write_chosen
from data_pipeline.fetching.fetch_query import FetchQuery
from data_pipeline.fetching.index_files import IndexTable, index_files
from data_pipeline.fetching.pace import Limits
from data_pipeline.fetching.polite_client import CHUNK, PoliteClient, RequestFailed
from verifiers.atomic_files import atomic_path, json_text, remove_leftovers, write_json
from verifiers.input_error import InputError

FILE_BYTES = 256_000_000
"""Of the records of one output file."""
FILE_ROWS = 20_000
_AGAIN = 2
"""Times that a record is asked for again which is not what the index says."""
_TELL = 0.5  # seconds between two words about the progress
_FORMAT = 1
"""Part of the configuration: raise it when the same rows give other bytes."""
Read = Callable[[str, int, int], Iterator[bytes]]
"""The bytes of a file of the crawl, from one position to before another."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """How far a run is; the numbers are totals, those of earlier runs counted."""

    rows: int
    of: int
    pages: int
    bytes: int
    """Of the records kept."""
    moved: int
    """Bytes that crossed the wire in this run, gaps, the index and vain answers counted."""
    failed: Mapping[str, int] = field(default_factory=dict)
    files: int = 0
    paused: float = 0.0
    """Seconds for which the server wanted to be left alone, in this run."""
    silent: float = 0.0
    """Seconds since the last good answer of a server, while one is waited for; `of` is 0 while the index is read."""


class _Wanted(NamedTuple):
    """A row of the selection."""

    file: str
    offset: int
    length: int
    url: str
    digest: str


class _Got(NamedTuple):
    """Where a record lies in the spool of its request, or why it is not there."""

    row: _Wanted
    spool: Path
    at: int
    wrong: str


def fetch_pages(
    index: Sequence[str],
    query: FetchQuery,
    out: Path,
    *,
    limits: Limits | None = None,
    base: str = COMMON_CRAWL,
    name: str = "",
    watch: Callable[[Fetched], None] = lambda fetched: None,
    file_bytes: int = FILE_BYTES,
    again: bool = False,
) -> list[Path]:
    """The archives of the pages that `query` chooses from the index, in `out`, made where they are missing; those without a page left out.

    `base`: where the index's file names begin, an address or a folder. `name`: how the archives' names begin, by default as the folder;
    a document's id depends on it. `again`: make files anew in which a record failed. Raises InputError for an index that cannot be read,
    a folder that holds another query's pages, and a server that refuses for longer than the limits' patience. `watch` is told twice a
    second, by a thread of its own too, so that a server that does not answer is no silence.
    """
    name = name or out.resolve().name
    with closing(PoliteClient(limits)) as client, _claimed(out), closing(_Told(watch, client)) as told:
        selection = out / "selection.parquet"
        asked = {
            "format": _FORMAT,
            "index": list(index),
            "query": json.loads(json.dumps(asdict(query))),
            "name": name,
            "file_bytes": file_bytes,
        }
        told.chosen(_selected(index, query, selection, asked, client))
        if again:
            _forget_failed(out, name)
        read = _reader(base, client)
        made: list[Path] = []
        for number, rows in enumerate(_files_of(selection, file_bytes)):
            path = out / f"{name}-{number:05d}.warc.gz"
            marker = path.with_name(path.name.removesuffix(".warc.gz") + ".json")
            if not marker.is_file():
                _make_file(path, marker, rows, read, client, told)
            done = json.loads(marker.read_text(encoding="utf-8"))
            told.finished(done)
            if done["pages"]:
                made.append(path)
        return made


def fetch_volume(index: Sequence[str], query: FetchQuery, *, limits: Limits | None = None) -> Volume:
    """What fetching would move; nothing is fetched but what the query reads of the index."""
    with closing(PoliteClient(limits)) as client, tempfile.TemporaryDirectory(prefix="reckon-plan-") as folder:
        return _choose(index, query, Path(folder) / "selection.parquet", client)


# The selection ---------------------------------------------------------------------------------------------------------------------------


def _selected(index: Sequence[str], query: FetchQuery, selection: Path, asked: dict[str, Any], client: PoliteClient) -> Volume:
    """The chosen rows, from an earlier run that asked the same where there was one."""
    marker = selection.with_suffix(".json")
    if marker.is_file():
        before = json.loads(marker.read_text(encoding="utf-8"))
        if before["asked"] != asked:
            raise InputError(f"{selection.parent}: holds the pages of another query; give another folder, or the same index and options")
        return Volume(**before["volume"])
    volume = _choose(index, query, selection, client)
    write_json(marker, {"asked": asked, "volume": asdict(volume)})
    return volume


def _choose(index: Sequence[str], query: FetchQuery, selection: Path, client: PoliteClient) -> Volume:
    with tempfile.TemporaryDirectory(dir=selection.parent, prefix=".tmp-") as folder:
        files = [file for file in index_files(index, client) if _may_hold(file, query.crawls)]
        if not files:
            raise InputError(f"no file of the index is of {', '.join(query.crawls)}; its paths say crawl=...")
        with closing(IndexTable(files, client, Path(folder))) as table:
            write_chosen(table, query, selection)
            return volume_of(table, selection)


def _may_hold(file: str, crawls: Sequence[str]) -> bool:
    return not crawls or "/crawl=" not in file or any(f"/crawl={crawl}/" in file for crawl in crawls)


def _files_of(selection: Path, file_bytes: int) -> Iterator[list[_Wanted]]:
    """The rows of each output file."""
    rows: list[_Wanted] = []
    size = 0
    for batch in pq.ParquetFile(selection).iter_batches(batch_size=5_000):
        for raw in batch.to_pylist():
            row = _Wanted(raw["warc_filename"], raw["warc_record_offset"], raw["warc_record_length"], raw["url"], raw["digest"])
            if rows and (size + row.length > file_bytes or len(rows) >= FILE_ROWS):
                yield rows
                rows, size = [], 0
            rows.append(row)
            size += row.length
    if rows:
        yield rows


# One file ---------------------------------------------------------------------------------------------------------------------------------


def _make_file(path: Path, marker: Path, rows: list[_Wanted], read: Read, client: PoliteClient, told: "_Told") -> None:
    """The file, the list of its failures and its marker."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".tmp-") as folder:
        got = _fetch_all(rows, read, Path(folder), client, told)
        digest, size = hashlib.sha256(), 0
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            for record in (one for one in got if not one.wrong):
                with record.spool.open("rb") as spool:
                    spool.seek(record.at)
                    member = spool.read(record.row.length)
                file.write(member)
                digest.update(member)
                size += len(member)
    failed = [one for one in got if one.wrong]
    if len(failed) == len(got):
        path.unlink()
    failures = marker.with_suffix(".failed.jsonl")
    failures.unlink(missing_ok=True)
    if failed:
        with atomic_path(failures) as temporary:
            temporary.write_text("".join(json_text({**one.row._asdict(), "reason": one.wrong}) + "\n" for one in failed), encoding="utf-8")
    reasons = dict(Counter(one.wrong for one in failed).most_common())
    write_json(
        marker,
        {"rows": len(rows), "pages": len(got) - len(failed), "bytes": size, "sha256": digest.hexdigest(), "failed": reasons},
    )


def _fetch_all(rows: list[_Wanted], read: Read, folder: Path, client: PoliteClient, told: "_Told") -> list[_Got]:
    """What became of every row, in their order. The first exception of a thread ends the others."""
    groups = [group for of_file in _by_file(rows) for group in requests(of_file, longest=LONGEST)]
    with ThreadPoolExecutor(client.limits.connections, thread_name_prefix="fetch") as threads:
        tasks: list[Future[list[_Got]]] = [
            threads.submit(_fetch_group, group, read, folder / str(number)) for number, group in enumerate(groups)
        ]
        try:
            waiting = set(tasks)
            while waiting:
                ended, waiting = wait(waiting, timeout=_TELL, return_when=FIRST_COMPLETED)
                for task in ended:
                    told.became(task.result())
        except BaseException:
            client.close()
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    return [record for task in tasks for record in task.result()]


def _by_file(rows: list[_Wanted]) -> Iterator[list[_Wanted]]:
    begin = 0
    for at in range(1, len(rows) + 1):
        if at == len(rows) or rows[at].file != rows[begin].file:
            yield rows[begin:at]
            begin = at


def _fetch_group(rows: list[_Wanted], read: Read, spool: Path) -> list[_Got]:
    """The records of one request, checked, in the spool; those that are wrong asked for again, each for itself."""
    found: list[_Got] = []
    with spool.open("wb") as file:

        def keep(row: _Wanted, member: bytes) -> None:
            found.append(_Got(row, spool, file.tell(), ""))
            file.write(member)

        reason, came = "", 0
        wrong: list[tuple[_Wanted, str]] = []
        try:
            for row, member in _cut(rows, read(rows[0].file, rows[0].offset, max(row.offset + row.length for row in rows))):
                came += 1
                if bad := wrong_with(member, row.url, row.digest):
                    wrong.append((row, bad))
                else:
                    keep(row, member)
        except RequestFailed as failure:
            reason = str(failure)
        for row, bad in wrong:
            for _ in range(_AGAIN):
                try:
                    member = b"".join(read(row.file, row.offset, row.offset + row.length))
                except RequestFailed as failure:
                    bad = str(failure)
                    break
                bad = wrong_with(member, row.url, row.digest)
                if not bad:
                    keep(row, member)
                    break
            if bad:
                found.append(_Got(row, spool, 0, bad))
        found += [_Got(row, spool, 0, reason) for row in rows[came:]]
    place = {row: number for number, row in enumerate(rows)}
    return sorted(found, key=lambda record: place[record.row])


def _cut(rows: Sequence[_Wanted], pieces: Iterator[bytes]) -> Iterator[tuple[_Wanted, bytes]]:
    """Each row's bytes out of those from the first row on. Rows may overlap; what lies between them is let go."""
    held, at = bytearray(), rows[0].offset
    for row in rows:
        while True:
            past = min(max(0, row.offset - at), len(held))
            del held[:past]
            at += past
            if at == row.offset and len(held) >= row.length:
                break
            piece = next(pieces, b"")
            if not piece:
                raise RequestFailed(f"the file ends at byte {at + len(held)}")
            held += piece
        yield row, bytes(held[: row.length])


# The rest -------------------------------------------------------------------------------------------------------------------------------


def _reader(base: str, client: PoliteClient) -> Read:
    """How files at `base` are read: by the polite client behind http, otherwise as archives are."""
    if base.startswith(("http://", "https://")):
        return lambda file, start, end: client.read(f"{base.rstrip('/')}/{file}", start, end)

    def read(file: str, start: int, end: int) -> Iterator[bytes]:
        place = f"{base.rstrip('/')}/{file}" if is_remote(base) else str(local_path(base) / file)
        if not is_remote(base) and not Path(place).is_file():  # opening a pipe waits for a writer that may never come
            raise RequestFailed(f"{place}: no such file")
        try:
            with closing(open_source(place)) as source:
                source.seek(start, end)
                while start < end and (data := source.read(min(CHUNK, end - start))):
                    start += len(data)
                    yield data
        except (InputError, OSError, ValueError) as error:  # a position or a name that no system takes
            raise RequestFailed(str(error)) from error

    return read


class _Told:
    """What a run says about its progress; until it is closed, also while nothing comes."""

    def __init__(self, watch: Callable[[Fetched], None], client: PoliteClient) -> None:
        self._watch, self._pages, self._client = watch, 0, client
        self._done = Counter[str]()
        self._failed = Counter[str]()
        self._current = Counter[str]()
        self._current_failed = Counter[str]()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._beat = threading.Thread(target=self._keep_saying, name="fetch-progress", daemon=True)
        self._beat.start()

    def chosen(self, volume: Volume) -> None:
        with self._lock:
            self._pages = volume.pages

    def became(self, got: Sequence[_Got]) -> None:
        with self._lock:
            for record in got:
                self._current["rows"] += 1
                if record.wrong:
                    self._current_failed[record.wrong] += 1
                else:
                    self._current["pages"] += 1
                    self._current["bytes"] += record.row.length
            self._say()

    def finished(self, marker: Mapping[str, Any]) -> None:
        with self._lock:
            self._current.clear()
            self._current_failed.clear()
            self._done.update({name: marker[name] for name in ("rows", "pages", "bytes")} | {"files": 1})
            self._failed.update(marker["failed"])
            self._say()

    def close(self) -> None:
        self._closed.set()
        self._beat.join()

    def _keep_saying(self) -> None:
        while not self._closed.wait(_TELL):
            with self._lock:
                self._say()

    def _say(self) -> None:
        total = self._done + self._current
        failed = dict((self._failed + self._current_failed).most_common())
        moved, paused, silent = self._client.moved, self._client.pace.paused, self._client.pace.silent()
        self._watch(Fetched(total["rows"], self._pages, total["pages"], total["bytes"], moved, failed, total["files"], paused, silent))


def _forget_failed(out: Path, name: str) -> None:
    for failures in out.glob(f"{name}-*.failed.jsonl"):
        failures.with_name(failures.name.removesuffix(".failed.jsonl") + ".json").unlink(missing_ok=True)


@contextmanager
def _claimed(out: Path) -> Iterator[None]:
    """The folder for this process alone, without what killed ones left in it."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; the pages need a folder")
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"{out}: another process is fetching into it") from error
        remove_leftovers(out)
        for left in out.glob(".tmp-*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
