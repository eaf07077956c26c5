"""A planted stall is named, with the stacks of all processes; what does not hear of it is ended all the same."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from rollout.interruption import interruptible, uninterrupted
from rollout.progress import Progress, watched
from rollout.watchdog import EXIT_CODE, Stalled, announce_stacks, stacks_of_children, watchdog

CHILD = """
import time
from rollout.watchdog import announce_stacks
def asleep():
    print("up", flush=True)
    time.sleep(60)
announce_stacks()
asleep()
"""
HANG = """
import sys, time
from pathlib import Path
from rollout.interruption import interruptible, uninterrupted
from rollout.watchdog import watchdog
with interruptible(), watchdog(lambda: "the checkpoint", after=0.3, report=Path(sys.argv[1]), grace=0.5), uninterrupted():
    time.sleep(60)
"""


def _hang_here() -> None:
    time.sleep(60)


def _work_then_hang(progress: Progress, until: float) -> None:
    while time.monotonic() < until:
        progress.finished(1)
        time.sleep(0.02)
    time.sleep(60)


def _write_whole(path: Path) -> None:
    with uninterrupted():
        time.sleep(1.5)
        path.touch()
    raise AssertionError("the stall was forgotten")


def test_a_wait_past_its_deadline_ends_with_who_waited_and_where(tmp_path: Path) -> None:
    report = tmp_path / "stalled.txt"
    began = time.monotonic()
    with (
        pytest.raises(Stalled, match=f"the sampling of step 3 has not come on for 0.5 s.*{report}"),
        interruptible(),
        watchdog(lambda: "the sampling of step 3", after=0.5, report=report, facts=lambda: ["verdicts/right=7"]),
    ):
        _hang_here()
    assert time.monotonic() - began < 30
    text = report.read_text()
    assert "_hang_here" in text
    assert "verdicts/right=7" in text


def test_progress_is_no_stall_and_its_end_is(tmp_path: Path) -> None:
    began = time.monotonic()
    with (
        pytest.raises(Stalled),
        interruptible(),
        watchdog(lambda: "the update", after=1.0, report=tmp_path / "stalled.txt"),
        watched("updating", 1000) as progress,
    ):
        _work_then_hang(progress, began + 3)
    assert time.monotonic() - began >= 4
    assert "updating" in (tmp_path / "stalled.txt").read_text()


def test_zero_is_never_and_a_block_that_ends_is_let_go(tmp_path: Path) -> None:
    with interruptible():
        for after in (0.0, 0.4):
            with watchdog(lambda: "x", after=after, report=tmp_path / "stalled.txt"):
                time.sleep(0.05)
        time.sleep(0.6)
    assert not (tmp_path / "stalled.txt").exists()
    assert "reckon-watchdog" not in [thread.name for thread in threading.enumerate()]


def test_what_must_not_be_half_done_is_not_broken_into(tmp_path: Path) -> None:
    with pytest.raises(Stalled), interruptible(), watchdog(lambda: "x", after=0.2, report=tmp_path / "stalled.txt"):
        _write_whole(tmp_path / "written")
    assert (tmp_path / "written").exists()


def test_a_process_that_does_not_hear_is_ended_with_its_own_code(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", HANG, tmp_path / "stalled.txt"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == EXIT_CODE, done.stderr
    assert done.stderr.startswith("error: the checkpoint has not come on for 0.3 s")
    assert "MainThread" in (tmp_path / "stalled.txt").read_text()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are found by /proc")
def test_children_tell_where_they_are_and_those_without_an_ear_live_on() -> None:
    with (
        subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True) as known,
        subprocess.Popen(["sleep", "60"]) as deaf,
    ):
        try:
            assert known.stdout is not None
            assert known.stdout.readline() == "up\n"
            told = {pid: (what, stacks) for pid, what, stacks in stacks_of_children()}
            assert "asleep" in told[known.pid][1]
            assert told[deaf.pid] == ("sleeping; sleep 60", "")
            assert deaf.poll() is None
        finally:
            known.kill()
            deaf.kill()


@pytest.mark.parametrize("made", ["a link", "open to others"])
def test_stacks_are_written_to_nobody_elses_folder(made: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ours, place = tmp_path / "ours", tmp_path / f"reckon-stacks-{os.getuid()}"
    ours.mkdir()
    if made == "a link":
        place.symlink_to(ours)
    else:
        place.mkdir()
        place.chmod(0o777)
    announce_stacks()
    assert not list(place.iterdir())
    assert not list(ours.iterdir())


def test_a_deadline_of_many_years_is_one(tmp_path: Path) -> None:
    failed: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading, "excepthook", failed.append)
        with watchdog(lambda: "x", after=6e301, report=tmp_path / "stalled.txt"):
            time.sleep(0.1)
    assert not failed


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="who lives is found by /proc")
def test_what_ended_processes_left_goes(tmp_path: Path) -> None:
    folder = tmp_path / f"reckon-stacks-{os.getuid()}"
    folder.mkdir(mode=0o700)
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    (folder / str(ended.pid)).touch()
    (folder / str(os.getpid())).touch()
    code = "from rollout.watchdog import announce_stacks; announce_stacks()"
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"TMPDIR": str(tmp_path)}, check=True)
    assert not (folder / str(ended.pid)).exists()
    assert (folder / str(os.getpid())).exists()
