"""Names of Parquet files as DuckDB's `read_parquet` takes them: of this very file, whatever its folders are called.

It reads `[`, `*` and `?` as patterns, which other folders' files may match, and a folder `host=x` as a column of every page. So names go
through `literal`, and the queries that read files of our own say `hive_partitioning = false`.
"""

import re

from data_pipeline.documents.stored_bytes import is_remote

_PATTERN = re.compile(r"[\[*?]")


def literal(file: str) -> str:
    """The name that matches this file alone. An address stays as it is."""
    return file if is_remote(file) else _PATTERN.sub(r"[\g<0>]", file)
