"""Questions to many Parquet files: what goes wrong is one line."""

import pytest

from data_pipeline.columns.parquet_queries import connected
from verifiers.input_error import InputError


def test_more_than_memory_and_disk_hold_is_one_line(tmp_path):
    sorts = "SELECT b FROM (SELECT md5(range::VARCHAR) AS b FROM range(2000000)) ORDER BY b"
    with pytest.raises(InputError, match="what is done so far is kept") as raised, connected(tmp_path, megabytes=30, threads=1) as database:
        database.execute(f"SET max_temp_directory_size = '1MB'; {sorts}").fetchall()
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())
