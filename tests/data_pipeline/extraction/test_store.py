"""Extraction into a store without a rename: a small S3 server gets the bytes that a folder gets, whatever is killed meanwhile.

Needs s3fs and moto[server], which the development tools leave out: they do not go together with a package that others pin.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from data_pipeline.documents import places
from data_pipeline.extraction.extract_archives import archive_key, extract_archives
from data_pipeline.extraction.extraction_options import ExtractionOptions
from tests.data_pipeline.extraction.test_workers import archive, children, watchers
from tests.data_pipeline.page_tasks import echo
from verifiers.input_error import InputError

pytest.importorskip("s3fs")
pytest.importorskip("moto")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    import s3fs

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with suppress(OSError), urllib.request.urlopen(address, timeout=5):
            break
        time.sleep(0.1)
    for name, value in {"ENDPOINT_URL": address, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("pages")
    yield "s3://pages"
    server.kill()
    server.wait()


def contents(place: str) -> dict[str, bytes]:
    found = {}
    for name in places.names(place):
        with places.local(places.join(place, name)) as path:
            found[name] = path.read_bytes()
    return found


def test_a_store_gets_what_a_folder_gets(tmp_path: Path, bucket: str) -> None:
    sources = [archive(tmp_path / f"{i}.warc.gz", [f"text {i} {j}" for j in range(20)] + ["raise", "signal SIGSEGV"]) for i in range(3)]
    (tmp_path / "none.bin").write_bytes(b"nothing of the kind")
    sources.append(str(tmp_path / "none.bin"))
    *_, here = extract_archives(sources, tmp_path / "out", ExtractionOptions(), task=echo)
    *_, there = extract_archives(sources, f"{bucket}/run/", ExtractionOptions(), task=echo)
    assert (there.finished, there.outcomes, there.failed) == (here.finished, here.outcomes, here.failed)
    folder = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert contents(f"{bucket}/run") == folder
    assert len(folder) == 7
    *_, again = extract_archives(sources, f"{bucket}/run", ExtractionOptions(), task=echo)
    assert (again.pages, again.finished) == (0, 4)
    places.remove(f"{bucket}/run/{archive_key(sources[0])}.jsonl.zst")  # somebody wants it made again
    *_, again = extract_archives(sources, f"{bucket}/run", ExtractionOptions(), task=echo)
    assert again.pages == 22
    assert contents(f"{bucket}/run") == folder


def test_what_is_killed_goes_on_where_it_was(tmp_path: Path, bucket: str) -> None:
    source = archive(tmp_path / "x.warc.gz", ["sleep 0.1"] * 20)
    run = extract_archives([source], f"{bucket}/run", ExtractionOptions(), workers=1, task=echo)
    while next(run).pages < 5:
        pass
    [watcher] = watchers()
    assert children(watcher)
    os.kill(watcher, signal.SIGKILL)
    *_, last = run
    assert (last.pages, last.failed) == (20, {})
    *_, _ = extract_archives([source], tmp_path / "out", ExtractionOptions(), task=echo)
    assert contents(f"{bucket}/run") == {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}


def test_a_bucket_that_is_not_there_is_one_line(tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_WAITS", ())
    source = archive(tmp_path / "x.warc.gz", ["one"])
    with pytest.raises(InputError, match="s3://nothing/run"):
        list(extract_archives([source], "s3://nothing/run", ExtractionOptions(), workers=1, task=echo))
