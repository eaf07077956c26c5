"""One file, one task: what ends well once and only once, what is tried again, what is set aside, and that nothing outlives its driver."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_pipeline.tasks.file_work import FileWork
from data_pipeline.tasks.run_all import Progress, run_all, sums
from data_pipeline.tasks.running_task import Limits
from verifiers.child_environment import PACKAGE_ROOT
from verifiers.input_error import InputError

TASK = "tests.data_pipeline.file_tasks:letters"
QUICK = Limits(back_off=0.01, stall_seconds=1.0, megabytes=600)


def works(folder: Path, *texts: str, config: str = "1") -> list[FileWork]:
    (folder / "in").mkdir(exist_ok=True)
    found = []
    for number, text in enumerate(texts):
        source = folder / "in" / f"{number}.txt"
        source.write_text(text)
        found.append(FileWork(f"file{number}", str(source), str(folder / "out"), config, {"log": str(folder / "log")}))
    return found


def run(given: list[FileWork], *, workers: int = 2, limits: Limits = QUICK) -> Progress:
    return list(run_all(TASK, given, workers=workers, limits=limits))[-1]


def tries(folder: Path) -> list[str]:
    return [line.split()[0] for line in (folder / "log").read_text().splitlines()]


def test_every_file_is_done_once_and_its_marker_says_what_it_gave(tmp_path: Path) -> None:
    given = works(tmp_path, *(f"text {number}" for number in range(5)))
    last = run(given)
    assert (last.finished, last.files, last.failed, last.aside, last.retries) == (5, 5, {}, {}, 0)
    assert last.counts == {"letters": 30, "kinds": {"vowels": 5}}
    assert (tmp_path / "out" / "file3.txt").read_text() == "TEXT 3"
    marker = json.loads((tmp_path / "out" / "file3.json").read_text())
    assert marker == {"source": given[3].source, "config": "1", "letters": 6, "kinds": {"vowels": 1}}
    lines = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    assert len({process for _, process, _ in lines}) <= 2  # processes are kept for the next file
    assert max(int(number) for _, _, number in lines) >= 2
    again = run(given)
    assert (again.finished, again.counts, len(tries(tmp_path))) == (5, {}, 5)
    run(works(tmp_path, "text 0", config="2"))
    assert tries(tmp_path)[5:] == ["file0"]


def test_what_breaks_is_tried_again_and_then_set_aside_with_its_reason(tmp_path: Path) -> None:
    given = works(tmp_path, "raise x", "signal SIGSEGV", "hang", "eat 900", "fine", "first SIGSEGV")
    last = run(given)
    assert last.finished == 2
    assert last.failed == {}
    assert sorted(last.aside) == ["file0", "file1", "file2", "file3"]
    expected = {
        "file0": "KeyError: 'x'",
        "file1": "the process that worked on it ended by signal SIGSEGV",
        "file2": "nothing was heard of it for 1 s",
        "file3": "MB of memory; it may take 600",
    }
    for key, reason in expected.items():
        assert reason in last.aside[key]
        assert last.aside[key].endswith("; set aside after 3 tries")
        assert json.loads((tmp_path / "out" / f"{key}.failed.json").read_text())["reason"] == last.aside[key]
    assert [tries(tmp_path).count(f"file{number}") for number in range(6)] == [3, 3, 3, 3, 1, 2]
    again = run(given)
    assert (again.finished, sorted(again.aside), len(tries(tmp_path))) == (2, sorted(last.aside), 15)
    Path(given[0].source).write_text("well again")
    asked = run(given[:1], limits=Limits(set_aside_too=True))
    assert (asked.finished, asked.aside) == (1, {})
    assert not (tmp_path / "out" / "file0.failed.json").exists()
    assert run([FileWork(given[1].key, given[1].source, given[1].out, "2", given[1].options)]).aside  # another configuration: tried again
    assert tries(tmp_path).count("file1") == 6


def test_an_input_that_is_wrong_is_not_tried_again_in_this_run(tmp_path: Path) -> None:
    given = works(tmp_path, "refuse is no file of the kind", "fine")
    last = run(given)
    assert last.failed == {"file0": f"{given[0].source}: is no file of the kind"}
    assert (last.finished, last.aside, tries(tmp_path).count("file0")) == (1, {}, 1)
    Path(given[0].source).write_text("well again")
    assert run(given).finished == 2


def test_a_full_disk_ends_the_run_after_some_tries_and_sets_nothing_aside(tmp_path: Path) -> None:
    given = works(tmp_path, "full", "sleep 60")
    with pytest.raises(InputError, match="No space left on device; what is done so far is kept"):
        run(given)
    assert tries(tmp_path).count("file0") == 3
    assert not list((tmp_path / "out").glob("*.json"))


def test_a_process_killed_from_outside_costs_its_file_nothing(tmp_path: Path) -> None:
    given = works(tmp_path, "first SIGKILL", "signal SIGKILL")
    last = run(given, limits=Limits(back_off=0.001, losses=5))
    assert last.finished == 1
    assert "signal SIGKILL; set aside after 5 tries" in last.aside["file1"]


def test_a_task_that_cannot_be_found_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tests.data_pipeline.nothing:task cannot be started: No module named"):
        list(run_all("tests.data_pipeline.nothing:task", works(tmp_path, "a")))
    with pytest.raises(InputError, match="--on slum: should be ray, ray://HOST:PORT or slurm"):
        list(run_all(TASK, works(tmp_path, "a"), on="slum"))


DRIVER = """
import json, sys
from data_pipeline.tasks.file_work import FileWork
from data_pipeline.tasks.run_all import run_all
for progress in run_all(sys.argv[1], [FileWork(**row) for row in json.loads(sys.argv[2])], workers=2):
    pass
"""


def test_kill_9_of_the_driver_ends_its_processes_and_loses_the_files_in_flight_only(tmp_path: Path) -> None:
    given = works(tmp_path, "a", "b", "sleep 30", "sleep 31", "c")
    rows = json.dumps([work.row() for work in given])
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, TASK, rows], cwd=PACKAGE_ROOT)
    until = time.monotonic() + 30
    while time.monotonic() < until and (not (tmp_path / "log").exists() or len(tries(tmp_path)) < 4):
        time.sleep(0.02)
    processes = {int(line.split()[1]) for line in (tmp_path / "log").read_text().splitlines()}
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    until = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in processes) and time.monotonic() < until:
        time.sleep(0.02)
    assert not [pid for pid in processes if Path(f"/proc/{pid}").exists()]
    for work in given[2:4]:
        Path(work.source).write_text("short")
    assert run(given).finished == 5
    assert tries(tmp_path).count("file0") == tries(tmp_path).count("file1") == 1


def test_leaving_the_iteration_ends_all_processes(tmp_path: Path) -> None:
    progress = run_all(TASK, works(tmp_path, "sleep 30"), workers=1)
    next(progress)
    [pid] = [int(line.split()[1]) for line in (tmp_path / "log").read_text().splitlines()] if (tmp_path / "log").exists() else [0]
    progress.close()  # type: ignore[attr-defined]
    assert not pid or not Path(f"/proc/{pid}").exists()


def test_sums() -> None:
    assert sums({"a": 1, "b": {"x": 2}}, {"a": 2.5, "b": {"x": 1, "y": 1}, "c": "text", "d": True}) == {"a": 3.5, "b": {"x": 3, "y": 1}}
