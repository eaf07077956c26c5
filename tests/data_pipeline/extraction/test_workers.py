"""Worker processes under pages that hang, eat, crash and raise, and under kill -9 of everything at any moment."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import zstandard

from data_pipeline.documents.document import Doc, Page
from data_pipeline.extraction.extract_archives import Progress, archive_key, config_hash, extract_archives
from data_pipeline.extraction.extraction_options import ExtractionOptions
from data_pipeline.tasks.file_work import FileWork
from data_pipeline.tasks.run_all import run_all
from tests.data_pipeline.page_tasks import echo
from verifiers.child_environment import PACKAGE_ROOT
from verifiers.input_error import InputError

ROOT = Path(PACKAGE_ROOT)
QUICK = ExtractionOptions(page_seconds=0.5, page_megabytes=300)


def archive(path: Path, bodies: list[str], *, whole: bool = False) -> str:
    """Pages of plain text, long enough for the prefilter."""
    members = []
    for number, body in enumerate(bodies):
        answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + body.ljust(80).encode()
        url = f"http://a.example/{path.stem}/{number}"
        head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\nContent-Length: {len(answer)}\r\n\r\n"
        members.append(head.encode() + answer + b"\r\n\r\n")
    path.write_bytes(gzip.compress(b"".join(members)) if whole else b"".join(map(gzip.compress, members)))
    return str(path)


def extract(
    sources: list[str], out: Path, *, workers: int = 2, task: Callable[[Page], Doc] = echo, how: ExtractionOptions = QUICK
) -> list[Progress]:
    return list(extract_archives(sources, out, how, workers=workers, task=task))


def begin(run: Iterator[Progress]) -> None:
    """Until the first page is done."""
    while next(run).pages < 1:
        pass


def rows(out: Path, source: str) -> list[dict[str, object]]:
    data = zstandard.ZstdDecompressor().stream_reader((out / f"{archive_key(source)}.jsonl.zst").read_bytes()).read()
    return [json.loads(line) for line in data.decode().splitlines()]


def marker(out: Path, source: str) -> dict[str, object]:
    found = json.loads((out / f"{archive_key(source)}.json").read_text())
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("whole", [False, True])
def test_a_page_that_misbehaves_costs_itself_and_nothing_else(tmp_path: Path, whole: bool) -> None:
    bodies = ["one", "sleep 60", "two", "eat 3000", "signal SIGSEGV", "three", "raise x", "exit", "signal SIGKILL", "spin", "four"]
    source = archive(tmp_path / "x.warc.gz", bodies, whole=whole)
    last = extract([source], tmp_path / "out")[-1]
    expected = [None, "extract: too slow", None, "extract: too much memory", "extract: crashed", None, "extract: failed",
                "extract: crashed",                "extract: too much memory", "extract: too slow", None]  # fmt: skip
    found = rows(tmp_path / "out", source)
    assert [row["url"] for row in found] == [f"http://a.example/x.warc/{i}" for i in range(len(bodies))]
    assert [row["dropped"] for row in found] == expected
    assert last.outcomes == {"kept": 4, "extract: too slow": 2, "extract: too much memory": 2, "extract: crashed": 2, "extract: failed": 1}
    assert (last.pages, last.finished, last.archives) == (11, 1, 1)
    counts = marker(tmp_path / "out", source)
    assert counts["records"] == {"pages": 11}
    assert counts["errors"] == [f"http://a.example/x.warc/6: KeyError: '{'x'.ljust(74)}'"]
    assert not list((tmp_path / "out").glob(".part*"))


def test_a_page_is_killed_soon_after_its_deadline(tmp_path: Path) -> None:
    source = archive(tmp_path / "x.warc.gz", ["sleep 60"] * 2)
    began = time.monotonic()
    extract([source], tmp_path / "out")
    assert time.monotonic() - began < 5


def test_the_output_is_the_same_for_any_number_of_workers(tmp_path: Path) -> None:
    sources = [archive(tmp_path / f"{i}.warc.gz", [f"text {i} {j}" for j in range(50)] + ["raise", "signal SIGSEGV"]) for i in range(4)]
    results = []
    for workers in (1, 3):
        out = tmp_path / str(workers)
        extract(sources, out, workers=workers)
        results.append({file.name: file.read_bytes() for file in sorted(out.iterdir()) if file.name != ".lock"})
    assert results[0] == results[1]
    assert len(results[0]) == 8


def test_a_finished_archive_is_passed_by_unless_the_settings_changed(tmp_path: Path) -> None:
    source = archive(tmp_path / "x.warc.gz", ["one", "two"])
    out = tmp_path / "out"
    extract([source], out)
    before = (out / f"{archive_key(source)}.jsonl.zst").stat().st_mtime_ns
    assert [step.finished for step in extract([source], out)] == [1]
    assert (out / f"{archive_key(source)}.jsonl.zst").stat().st_mtime_ns == before
    extract([source], out, how=ExtractionOptions(page_seconds=0.4))
    assert (out / f"{archive_key(source)}.jsonl.zst").stat().st_mtime_ns != before


def test_rejects_lose_their_text_unless_they_are_kept(tmp_path: Path) -> None:
    source = archive(tmp_path / "x.warc.gz", ["one"])
    how = ExtractionOptions(prefilter=True)
    extract([source], tmp_path / "out", how=how)
    assert [(row["text"], row["dropped"]) for row in rows(tmp_path / "out", source)] == [("", "prefilter: no mathematics")]


START = """
import sys
from pathlib import Path
from data_pipeline.extraction.extract_archives import extract_archives
from data_pipeline.extraction.extraction_options import ExtractionOptions
from tests.data_pipeline.page_tasks import echo
for progress in extract_archives(sys.argv[2:], Path(sys.argv[1]), ExtractionOptions(page_seconds=1), workers=2, task=echo):
    print(progress.pages, flush=True)
"""


@pytest.mark.parametrize("after", [0.2, pytest.param(0.1, marks=pytest.mark.slow), pytest.param(0.3, marks=pytest.mark.slow)])
def test_kill_9_in_the_middle_and_a_rerun_give_every_document_once(tmp_path: Path, after: float) -> None:
    sources = [archive(tmp_path / f"{i}.warc.gz", [f"sleep 0.0{j % 3}" for j in range(40)]) for i in range(3)]
    out = tmp_path / "out"
    command = [sys.executable, "-c", START, str(out), *sources]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 20
    while not list(out.glob(".part-*.slot")) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(after)
    workers = descendants(process.pid)
    assert len(workers) >= 2
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert all_end(workers)
    parts = {part.name: part.read_bytes() for part in out.glob(".part-*.jsonl")}
    assert parts
    extract(sources, out, how=ExtractionOptions(page_seconds=1))
    for source in sources:
        found = rows(out, source)
        assert [row["url"] for row in found] == [f"http://a.example/{Path(source).stem}/{i}" for i in range(40)]
        assert all(row["dropped"] is None for row in found)
        assert marker(out, source)["records"] == {"pages": 40}


def descendants(pid: int) -> list[int]:
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(file.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if parent == pid:
            found += [int(file.parent.name), *descendants(int(file.parent.name))]
    return found


def test_a_run_goes_on_inside_the_archive_where_another_was_killed(tmp_path: Path) -> None:
    """The first page is not done again: its line in the part file, here changed, is in the result."""
    source = archive(tmp_path / "x.warc.gz", ["one", "two", "sleep 60"])
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", START, str(out), source], cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
    part = out / f".part-{archive_key(source)}.jsonl"
    deadline = time.monotonic() + 20
    while (not part.exists() or part.read_bytes().count(b"\n") < 2) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    process.kill()
    process.wait()
    time.sleep(0.2)
    part.write_bytes(part.read_bytes().replace(b'"one', b'"ONE'))
    extract([source], out, how=ExtractionOptions(page_seconds=1))
    found = rows(out, source)
    assert [str(row["text"]).strip() for row in found] == ["ONE", "two", ""]
    assert found[2]["dropped"] == "extract: too slow"


def all_end(processes: Iterable[int]) -> bool:
    """Soon: what is killed is gone a moment later."""
    deadline = time.monotonic() + 5
    while (left := [pid for pid in processes if Path(f"/proc/{pid}").exists()]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not left


def watchers() -> list[int]:
    found = [pid for pid in descendants(os.getpid()) if b"task_process" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return [pid for pid in found if children(pid)]


def test_leaving_the_iteration_ends_all_processes(tmp_path: Path) -> None:
    source = archive(tmp_path / "x.warc.gz", ["sleep 0.2"] * 100)
    progress = extract_archives([source], tmp_path / "out", ExtractionOptions(), workers=1, task=echo)
    begin(progress)
    [watcher] = watchers()
    workers = children(watcher)
    progress.close()  # type: ignore[attr-defined]
    assert all_end((watcher, *workers))


def test_kill_9_of_a_watcher_ends_its_worker_and_costs_nothing(tmp_path: Path) -> None:
    source = archive(tmp_path / "x.warc.gz", ["sleep 0.05"] * 40)
    progress = extract_archives([source], tmp_path / "out", ExtractionOptions(), workers=1, task=echo)
    begin(progress)
    [watcher] = watchers()
    workers = children(watcher)
    os.kill(watcher, signal.SIGKILL)
    last = list(progress)[-1]
    assert all_end(workers)
    assert (last.pages, last.outcomes, last.failed) == (40, {"kept": 40}, {})
    assert [row["url"] for row in rows(tmp_path / "out", source)] == [f"http://a.example/x.warc/{number}" for number in range(40)]
    assert marker(tmp_path / "out", source)["records"] == {"pages": 40}


def children(pid: int) -> list[int]:
    return [child for child in descendants(pid) if f"\nPPid:\t{pid}\n" in Path(f"/proc/{child}/status").read_text()]


def test_no_archive_is_an_outcome_among_others_and_an_error_alone(tmp_path: Path) -> None:
    good, bad = archive(tmp_path / "x.warc.gz", ["one"]), tmp_path / "bad.bin"
    bad.write_bytes(b"nothing of the kind")
    last = extract([good, str(bad)], tmp_path / "out")[-1]
    assert last.outcomes == {"kept": 1, "read: no archive": 1}
    assert last.finished == 2
    assert next(iter((last.failed or {}).values())).startswith(f"{bad}: is no WARC")
    with pytest.raises(InputError, match="is no WARC, WET or ARC file"):
        extract([str(bad)], tmp_path / "alone")
    with pytest.raises(InputError, match="1 of 2 archives could not be finished"):
        extract([good, str(tmp_path / "gone.warc")], tmp_path / "gone")


def test_two_runs_at_one_archive_are_refused_and_two_in_one_folder_are_not(tmp_path: Path) -> None:
    source, other = archive(tmp_path / "x.warc.gz", ["sleep 0.2"] * 100), archive(tmp_path / "y.warc.gz", ["one"])
    first = extract_archives([source], tmp_path / "out", ExtractionOptions(), workers=1, task=echo)
    begin(first)
    assert extract([other], tmp_path / "out")[-1].finished == 1
    with pytest.raises(InputError, match="another run is writing there"):
        extract([source], tmp_path / "out")
    first.close()  # type: ignore[attr-defined]


def test_a_second_attempt_beside_the_first_keeps_to_itself_and_gives_the_same_bytes(tmp_path: Path) -> None:
    source = archive(tmp_path / "x.warc.gz", ["sleep 0.1"] * 20)
    out = tmp_path / "out"
    first = extract_archives([source], out, ExtractionOptions(), workers=1, task=echo)
    begin(first)
    options = {"task": "tests.data_pipeline.page_tasks:echo", "extraction": asdict(ExtractionOptions()), "beside": True}
    work = FileWork(archive_key(source), source, str(out), config_hash(ExtractionOptions(), options["task"]), options)
    *_, last = run_all("data_pipeline.extraction.archive_watcher:extract_archive", [work], workers=1)
    ours = {file.name: file.read_bytes() for file in out.glob("x*")}
    *_, last_of_first = first
    assert (last.finished, last_of_first.finished, last.counts["pages"], last_of_first.pages) == (1, 1, 20, 20)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == ours  # and no part or lock is left
    assert len(ours) == 2


def test_a_page_too_large_to_read_is_an_outcome(tmp_path: Path) -> None:
    source = archive(tmp_path / "x.warc.gz", ["one", "x" * 11_000_000, "two"])
    last = extract([source], tmp_path / "out")[-1]
    assert last.outcomes == {"kept": 2, "read: too large": 1}
    assert last.share == 1.0
    found = [(row["url"], str(row["text"]).strip(), row["dropped"]) for row in rows(tmp_path / "out", source)]
    assert found == [
        ("http://a.example/x.warc/0", "one", None), ("http://a.example/x.warc/1", "", "read: too large"),
        ("http://a.example/x.warc/2", "two", None),
    ]  # fmt: skip


def test_folders_of_pages_resume_by_count(tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    folder.mkdir()
    for number, body in enumerate(["one", "x" * 11_000_000, "signal SIGSEGV", "two"]):
        (folder / f"{number}.html").write_text(body.ljust(80))
    extract([str(folder)], tmp_path / "out")
    found = rows(tmp_path / "out", str(folder))
    assert [row["dropped"] for row in found] == [None, "read: too large", "extract: crashed", None]
    assert [str(row["url"])[-6:] for row in found] == ["0.html", "1.html", "2.html", "3.html"]


def test_a_task_that_other_processes_cannot_find_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="importable"):
        extract([], tmp_path, task=lambda page: echo(page))
