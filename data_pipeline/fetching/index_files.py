"""Files of Common Crawl's columnar index, named by a user, for DuckDB to read wherever they lie.

Named are Parquet files, folders of them, addresses (http, s3 and whatever fsspec knows), and lists of paths as Common Crawl publishes
them (`cc-index-table.paths.gz`, local or by address). Local files DuckDB reads itself. Those behind http go through the polite client,
so that the limits which hold for pages hold for the index too, and DuckDB asks for the columns and row groups that a query needs and no
more (no extension of DuckDB is downloaded). Others go through their own fsspec file system.
"""

import gzip
import io
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import fsspec
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from data_pipeline.archives.named_inputs import COMMON_CRAWL
from data_pipeline.documents.parquet_names import literal
from data_pipeline.documents.stored_bytes import is_remote, local_path
from data_pipeline.fetching.polite_client import PoliteClient, RequestFailed
from verifiers.input_error import InputError, near_place

_LISTS = (".paths", ".paths.gz")
_LONGEST_LIST = 50_000_000
_TABLE = "cc-index/"
"""How Common Crawl's own paths begin."""
_SCHEME = "polite+"


def index_files(names: Sequence[str], client: PoliteClient) -> list[str]:
    """Paths and addresses of Parquet files, in order. Raises InputError for what is missing, holds none, or is something else."""
    found = dict.fromkeys(file for name in names for file in _files_of(name, client))
    if not found:
        raise InputError("no index; give Parquet files of Common Crawl's columnar index, their folder, or a cc-index-table.paths.gz")
    return list(found)


def is_index_name(name: str) -> bool:
    """Whether a name can only mean an index, and no archive."""
    bare = name.partition("?")[0].lower()
    if not is_remote(name) and local_path(name).is_dir():
        return next(local_path(name).rglob("*.parquet"), None) is not None
    return bare.endswith(".parquet") or (bare.endswith(_LISTS) and "index" in bare.rsplit("/", 1)[-1])


def _files_of(name: str, client: PoliteClient) -> Iterable[str]:
    if name.partition("?")[0].lower().endswith(_LISTS):
        return _listed(name, client)
    if is_remote(name):
        return [name]
    path = local_path(name)
    if path.is_dir():
        files = sorted(str(file) for file in path.rglob("*.parquet"))
        if not files:
            raise InputError(f"{name}: holds no Parquet file")
        return files
    if path.is_file():
        return [str(path)]
    near = near_place(path)
    raise InputError(f"{name}: no such file or folder" + (f"; did you mean {near}?" if near else ""))


def _listed(name: str, client: PoliteClient) -> list[str]:
    """The lines of a list. A relative one is beside it where it is there, and at Common Crawl's address otherwise."""
    try:
        if name.startswith(("http://", "https://")):
            data = client.whole(name, _LONGEST_LIST)
        elif is_remote(name):
            with fsspec.open(name, "rb") as file:
                data = file.read(_LONGEST_LIST)
        else:
            data = local_path(name).read_bytes()
        if data.startswith(b"\x1f\x8b"):
            with gzip.open(io.BytesIO(data)) as unpacked:
                data = unpacked.read(_LONGEST_LIST)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name}: cannot be read: {error}") from error
    lines = [line.strip() for line in data.decode("utf-8", "replace").splitlines()]
    tables = [line for line in lines if line.lower().endswith(".parquet") and ("/subset=" not in line or "/subset=warc/" in line)]
    return [_place_of(line, name) for line in tables]


def _place_of(line: str, name: str) -> str:
    if is_remote(line):
        return line
    if not is_remote(name):
        beside = local_path(name).parent / line
        if beside.is_file():
            return str(beside)
    if line.startswith(_TABLE):
        return COMMON_CRAWL + line
    raise InputError(f"{name}: names {line[:200]!r}, which is not there; paths begin at the list's folder or with {_TABLE}")


class _WebFile(AbstractBufferedFile):
    def _fetch_range(self, start: int, end: int) -> bytes:
        try:
            return b"".join(self.fs.client.read(self.path, start, min(end, self.size)))
        except RequestFailed as failure:
            self.fs.failure = InputError(f"{self.path}: {failure}; check the address, or give a local copy")
            raise OSError(str(failure)) from failure
        except InputError as error:
            self.fs.failure = error
            raise


class _WebFiles(AbstractFileSystem):
    """Files behind http as DuckDB reads them: size and ranges, by the polite client."""

    protocol = (f"{_SCHEME}http", f"{_SCHEME}https")
    cachable = False

    def __init__(self, client: PoliteClient) -> None:
        super().__init__(skip_instance_cache=True)
        self.client = client
        self.failure: InputError | None = None
        """Of the last read that came to nothing: DuckDB makes a text with a traceback of it."""
        self._sizes: dict[str, int] = {}

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix(_SCHEME)

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        url = self._strip_protocol(path)
        if url not in self._sizes:
            try:
                self._sizes[url] = self.client.size(url)
            except InputError as error:
                self.failure = error
                raise
        return {"name": url, "size": self._sizes[url], "type": "file"}

    def modified(self, path: str) -> datetime:
        """A file of a published crawl does not change: DuckDB may keep what it read of it."""
        return datetime.fromtimestamp(0, UTC)

    def glob(self, path: str, **_: Any) -> list[str]:
        return [path]

    def _open(self, path: str, mode: str = "rb", **_: Any) -> _WebFile:
        return _WebFile(self, self._strip_protocol(path), mode, cache_type="none", size=self.info(path)["size"])


_BAD_FILES = (
    duckdb.IOException, duckdb.InvalidInputException, duckdb.BinderException, duckdb.HTTPException, duckdb.OutOfMemoryException,
    duckdb.PermissionException, duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.TypeMismatchException,
)  # fmt: skip


@dataclass(slots=True)
class IndexTable:
    """A DuckDB connection that knows where the index's files lie, and which columns they have."""

    files: list[str]
    client: PoliteClient
    temporary: Path
    memory_megabytes: int = 2000
    connection: duckdb.DuckDBPyConnection = field(init=False)
    columns: frozenset[str] = field(init=False)
    _web: _WebFiles | None = field(init=False)

    def __post_init__(self) -> None:
        settings = {
            "memory_limit": f"{self.memory_megabytes}MB",
            "temp_directory": str(self.temporary),
            "preserve_insertion_order": "false",
        }
        self.connection = duckdb.connect(config={**settings, "autoinstall_known_extensions": "false", "parquet_metadata_cache": "true"})
        schemes = {file.partition("://")[0] for file in self.files if is_remote(file)}
        self._web = _WebFiles(self.client) if schemes & {"http", "https"} else None
        if self._web is not None:
            self.connection.register_filesystem(self._web)
        for scheme in sorted(schemes - {"http", "https"}):
            try:
                self.connection.register_filesystem(fsspec.filesystem(scheme))
            except (ImportError, ValueError) as error:
                raise InputError(f"{scheme}://: {error}") from error
        self.columns = frozenset(str(row[0]) for row in self.query("DESCRIBE SELECT * FROM " + TABLE, {}).fetchall())

    def query(self, text: str, values: dict[str, Any]) -> duckdb.DuckDBPyConnection:
        """Runs a query over `TABLE`. Raises InputError for files that cannot be read as Parquet."""
        return self._run(text, {**values, "files": [_for_duckdb(file) for file in self.files]}, "the index")

    def query_files(self, text: str, files: list[str]) -> None:
        """Runs a query over `TABLE_OF_URLS` of other files."""
        self._run(text, {"files": [literal(file) for file in files]}, files[0])

    def _run(self, text: str, values: dict[str, Any], what: str) -> duckdb.DuckDBPyConnection:
        try:
            return self.connection.execute(text, values)
        except duckdb.Error as error:
            if self._web is not None and self._web.failure is not None:
                raise self._web.failure from error
            if not isinstance(error, _BAD_FILES):
                raise
            raise InputError(f"{what} cannot be read: {str(error).splitlines()[0][:300]}") from error

    def close(self) -> None:
        self.connection.close()


TABLE = "read_parquet($files, hive_partitioning = true, union_by_name = true)"
TABLE_OF_URLS = "read_parquet($files, hive_partitioning = false)"


def _for_duckdb(file: str) -> str:
    return f"{_SCHEME}{file}" if file.startswith(("http://", "https://")) else literal(file)
