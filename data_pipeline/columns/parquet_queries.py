"""Questions to many Parquet files at once, asked of DuckDB with a bound of memory: what does not fit goes to a folder beside the data."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from verifiers.input_error import InputError

MEGABYTES = 1024


@contextmanager
def connected(folder: Path, *, megabytes: int = MEGABYTES, threads: int = 0) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory, of at most so much, that spills into a folder of its own below `folder`, removed at the end.

    Raises InputError where that folder's disk is full.
    """
    with tempfile.TemporaryDirectory(prefix=".tmp-queries-", dir=folder) as spill:
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{megabytes}MB", "temp_directory": spill, "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }  # fmt: skip
        if threads:
            settings["threads"] = threads
        with duckdb.connect(config=settings) as database:
            try:
                yield database
            except (duckdb.IOException, duckdb.OutOfMemoryException) as error:  # what spilled has filled the disk
                raise InputError(f"{folder}: {str(error).splitlines()[0][:300]}; what is done so far is kept") from error
