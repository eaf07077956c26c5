"""`reckon mine extract` into a folder: a file an archive, with its marker; and where the work is done."""

import gzip
import json
from pathlib import Path

import pytest

from data_pipeline.commands import mine_command
from data_pipeline.documents.document_files import read_docs

PAGE = "<html><title>T</title><body><p>The area of a circle of radius three is nine times pi, as everybody has to learn.</p></body>"


def archive(path: Path, pages: int) -> str:
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + PAGE.encode()
    head = "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://a.example/{}\r\nContent-Length: {}\r\n\r\n"
    members = [head.format(number, len(answer)).encode() + answer + b"\r\n\r\n" for number in range(pages)]
    path.write_bytes(b"".join(map(gzip.compress, members)))
    return str(path)


def test_a_folder_gets_a_file_and_a_marker_for_each_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sources = [archive(tmp_path / f"{number}.warc.gz", number + 1) for number in range(3)]
    out = tmp_path / "out"
    assert mine_command.main(["extract", *sources[:2], "--out", f"{out}/"]) == 0
    assert "extract: 3 documents, 3 kept; 2 of 2 archives done:" in capsys.readouterr().err
    assert mine_command.main(["extract", *sources, "--out", str(out)]) == 0  # the third alone
    assert "extract: 3 documents, 3 kept; 3 of 3 archives done:" in capsys.readouterr().err
    markers = sorted(out.glob("*.json"))
    assert [json.loads(marker.read_text())["pages"] for marker in markers] == [1, 2, 3]
    assert len(list(read_docs(out))) == 6
    assert sorted(file.name for file in out.iterdir()) == sorted(
        name for marker in markers for name in (marker.name, f"{marker.stem}.jsonl.zst")
    )


def test_where_nobody_works_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = archive(tmp_path / "a.warc.gz", 1)
    assert mine_command.main(["extract", source, "--out", str(tmp_path / "o.jsonl"), "--on", "spark"]) == 2
    assert "--on spark: should be ray, ray://HOST:PORT or slurm" in capsys.readouterr().err
    assert mine_command.main(["extract", source, "--out", str(tmp_path / "o.jsonl"), "--on", "slurm"]) == 2
    assert "sbatch" in capsys.readouterr().err
    assert mine_command.main(["extract", source, "--out", str(tmp_path / "o.jsonl")]) == 0
    assert len(list(read_docs(tmp_path / "o.jsonl"))) == 1
    assert not list(tmp_path.glob(".o*"))
