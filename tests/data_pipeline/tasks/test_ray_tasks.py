"""The same files on Ray: the same bytes, and what a cluster loses is done again."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_pipeline.tasks.file_work import FileWork
from data_pipeline.tasks.run_all import Progress, run_all
from data_pipeline.tasks.running_task import Limits

ray = pytest.importorskip("ray")
TASK = "tests.data_pipeline.file_tasks:letters"
pytestmark = pytest.mark.filterwarnings("ignore")


def works(folder: Path, *texts: str) -> list[FileWork]:
    (folder / "in").mkdir(exist_ok=True)
    found = []
    for number, text in enumerate(texts):
        source = folder / "in" / f"{number}.txt"
        source.write_text(text)
        found.append(FileWork(f"file{number}", str(source), str(folder / "out"), "1", {"log": str(folder / "log")}))
    return found


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=80 << 20, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def test_on_ray_the_outcomes_are_those_of_a_local_run(tmp_path: Path, local_ray: None) -> None:
    limits = Limits(tries=2, back_off=0.01, megabytes=500)
    texts = ("one", "raise x", "refuse nothing there", "first SIGKILL", "two")
    results: list[Progress] = []
    for on in ("", "ray"):
        (folder := tmp_path / f"on-{on}").mkdir()
        results.append(list(run_all(TASK, works(folder, *texts), on=on, workers=2, limits=limits))[-1])
    here, there = results
    assert (there.finished, there.files, there.counts) == (here.finished, here.files, here.counts) == (3, 5, here.counts)
    strip = lambda reasons: {key: reason.replace("on-ray", "on-") for key, reason in reasons.items()}  # noqa: E731
    assert strip(there.aside) == strip(here.aside)
    assert strip(there.failed) == strip(here.failed)
    names = sorted(file.name for file in (tmp_path / "on-" / "out").iterdir())
    assert sorted(file.name for file in (tmp_path / "on-ray" / "out").iterdir()) == names
    for name in names:
        bytes_here = (tmp_path / "on-" / "out" / name).read_bytes()
        assert (tmp_path / "on-ray" / "out" / name).read_bytes().replace(b"on-ray", b"on-") == bytes_here
    processes = {line.split()[1] for line in (tmp_path / "on-ray" / "log").read_text().splitlines()}
    assert len(processes) < 7  # kept for the next file where it did not die


def test_leaving_the_iteration_ends_what_runs_on_ray(tmp_path: Path, local_ray: None) -> None:
    progress = run_all(TASK, works(tmp_path, "sleep 60"), on="ray")
    until = time.monotonic() + 30
    while time.monotonic() < until and not (tmp_path / "log").exists():
        next(progress)
    [pid] = [int(line.split()[1]) for line in (tmp_path / "log").read_text().splitlines()]
    progress.close()  # type: ignore[attr-defined]
    until = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


def test_a_killed_ray_worker_takes_its_process_along_and_costs_nothing(tmp_path: Path, local_ray: None) -> None:
    given = works(tmp_path, "sleep 3", "two")
    progress = run_all(TASK, given, on="ray", limits=Limits(back_off=0.01))
    until = time.monotonic() + 30
    while time.monotonic() < until and "file0" not in ((tmp_path / "log").read_text() if (tmp_path / "log").exists() else ""):
        next(progress)
    pid = next(int(line.split()[1]) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("file0"))
    relay = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(relay, signal.SIGKILL)
    last = list(progress)[-1]
    assert (last.finished, last.aside, last.failed, last.retries) == (2, {}, {}, 1)
    assert not Path(f"/proc/{pid}").exists()


def test_what_lags_behind_is_begun_a_second_time_and_the_first_to_end_counts(tmp_path: Path, local_ray: None) -> None:
    given = works(tmp_path, "lag behind", "one", "two", "three")
    began = time.monotonic()
    last = list(run_all(TASK, given, on="ray"))[-1]
    assert (last.finished, last.retries, last.aside, last.failed) == (4, 1, {}, {})
    assert time.monotonic() - began < 45
    assert (tmp_path / "out" / "file0.txt").read_text() == "LAG BEHIND"
    first, second = (int(line.split()[1]) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("file0"))
    until = time.monotonic() + 10
    while Path(f"/proc/{first}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{first}").exists()  # cancelled
    assert first != second
