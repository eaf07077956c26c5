"""A whole run on a Ray cluster of three nodes: the bytes of a local one, also when workers, nodes and the driver are killed under it."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from data_pipeline.commands.demo_pages import SEED_HOST
from data_pipeline.commands.demo_web import write_web
from tests.data_pipeline.extraction.test_workers import descendants
from tests.data_pipeline.loop.test_loop import fingerprint
from tests.data_pipeline.tasks.test_ray_cluster import Nodes, named, nodes, ray
from verifiers.child_environment import PACKAGE_ROOT

__all__ = ["nodes"]
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]
KILLS = 10


def command(web: Path, out: Path, on: str) -> list[str]:
    inputs = [str(web / f"demo-0{number}.warc.gz") for number in range(2)]
    options = ["--seed-domains", SEED_HOST, "--preset", "small", "--rounds", "2", "--stop-overlap", "1", "--workers", "2"]
    return [
        sys.executable,
        "-m",
        "recipes.commands.cli",
        "mine",
        "run",
        *inputs,
        *options,
        "--out",
        str(out),
        *(["--on", on] if on else []),
    ]


def result(out: Path) -> dict[str, str]:
    """Without what says where it was made, and when."""
    found = fingerprint(out)
    return {name: digest for name, digest in found.items() if name not in ("config.json", "report.html") and not name.startswith("plots/")}


KINDS = {"task process": b"task_process", "ray worker": b"ray::_relay"}


def _kill_one(name: bytes, running: subprocess.Popen[bytes]) -> bool:
    """The first process of that name to be seen: tasks are short."""
    until = time.monotonic() + 10
    while time.monotonic() < until and running.poll() is None:
        for victim in named(descendants(os.getpid()), name):
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
                return True
        time.sleep(0.02)
    return False


def test_a_whole_run_under_ten_kills_ends_in_the_bytes_of_a_local_one(tmp_path: Path, nodes: Nodes) -> None:
    write_web(tmp_path / "web", share=0.5)
    quiet = {"cwd": PACKAGE_ROOT, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(command(tmp_path / "web", tmp_path / "here", ""), check=True, timeout=300, **quiet)  # type: ignore[call-overload]
    choice, there = random.Random(0), command(tmp_path / "web", tmp_path / "there", nodes.on)
    killed: list[str] = []
    deadline = time.monotonic() + 800
    running = subprocess.Popen(there, **quiet)  # type: ignore[call-overload]
    while len(killed) < KILLS and time.monotonic() < deadline:
        time.sleep(choice.uniform(1.0, 5.0))
        if running.poll() is not None:
            if running.returncode == 0:
                break
            running = subprocess.Popen(there, **quiet)  # type: ignore[call-overload]
            continue
        kind = choice.choice(["task process", "ray worker", "raylet", "driver"])
        if kind == "raylet":
            nodes.kill_one(choice)
        elif kind == "driver":
            running.kill()
        elif not _kill_one(KINDS[kind], running):
            continue
        killed.append(kind)
        if kind == "driver":
            running.wait()
            running = subprocess.Popen(there, **quiet)  # type: ignore[call-overload]
    for _ in range(3):
        if running.wait(timeout=400) == 0:
            break
        running = subprocess.Popen(there, **quiet)  # type: ignore[call-overload]
    ray.shutdown()
    print("killed:", killed)
    assert len(killed) >= KILLS // 2, killed
    assert result(tmp_path / "there") == result(tmp_path / "here"), killed
