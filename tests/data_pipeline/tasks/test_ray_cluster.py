"""A Ray cluster of several nodes on this machine: extraction gives the bytes of a local run, whatever is killed under it, and whenever."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_pipeline.extraction.extract_archives import Progress, extract_archives
from data_pipeline.extraction.extraction_options import ExtractionOptions
from tests.data_pipeline.extraction.test_workers import archive, descendants, rows
from tests.data_pipeline.page_tasks import echo
from verifiers.child_environment import PACKAGE_ROOT
from verifiers.input_error import InputError

ray = pytest.importorskip("ray")
cluster_utils = pytest.importorskip("ray.cluster_utils")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]
SMALL = {"num_cpus": 1, "object_store_memory": 80 << 20}
PATIENT = ExtractionOptions(page_seconds=20)


class Nodes:
    """A head and two more."""

    def __init__(self) -> None:
        os.environ["PYTHONPATH"] = os.pathsep.join([PACKAGE_ROOT, os.environ.get("PYTHONPATH", "")])
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        self.cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={**SMALL, "include_dashboard": False})
        self.others = [self.cluster.add_node(**SMALL) for _ in range(2)]

    @property
    def on(self) -> str:
        return f"ray://{self.cluster.address}"

    def kill_one(self, choice: random.Random) -> None:
        """The raylet of a node that is not the head's, by SIGKILL; another node takes its place."""
        node = choice.choice(self.others)
        self.others.remove(node)
        os.kill(raylet(node), signal.SIGKILL)
        self.cluster.remove_node(node, allow_graceful=False)
        self.others.append(self.cluster.add_node(**SMALL))


def raylet(node: Any) -> int:
    [process] = node.all_processes["raylet"]
    return int(process.process.pid)


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    found = Nodes()
    yield found
    ray.shutdown()
    found.cluster.shutdown()


def run(sources: list[str], out: Path, on: str) -> Progress:
    *_, last = extract_archives(sources, out, PATIENT, task=echo, on=on)
    return last


def files(out: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in out.iterdir()}


def test_the_bytes_are_those_of_a_local_run(tmp_path: Path, nodes: Nodes) -> None:
    pages = [f"text {j}" for j in range(30)] + ["raise x", "signal SIGSEGV"]
    sources = [archive(tmp_path / f"{i}.warc.gz", [f"{page} of {i}" if page[0] == "t" else page for page in pages]) for i in range(12)]
    here, there = run(sources, tmp_path / "here", ""), run(sources, tmp_path / "there", nodes.on)
    assert (there.finished, there.outcomes, there.pages) == (here.finished, here.outcomes, here.pages) == (12, here.outcomes, 12 * 32)
    assert files(tmp_path / "there") == files(tmp_path / "here")


START = """
import sys
from pathlib import Path
from data_pipeline.extraction.extract_archives import extract_archives
from data_pipeline.extraction.extraction_options import ExtractionOptions
from tests.data_pipeline.page_tasks import echo
for progress in extract_archives(sys.argv[3:], Path(sys.argv[1]), ExtractionOptions(page_seconds=20), task=echo, on=sys.argv[2]):
    pass
print("finished", progress.finished, progress.failed)
"""


def driver(sources: list[str], out: Path, on: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", START, str(out), on, *sources]
    return subprocess.Popen(command, cwd=PACKAGE_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def named(pids: list[int], *names: bytes) -> list[int]:
    found = []
    for pid in pids:
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if any(name in line for name in names):
            found.append(pid)
    return found


@pytest.mark.parametrize("seed", [0, 1])
def test_ten_kills_anywhere_lose_nothing_and_double_nothing(tmp_path: Path, nodes: Nodes, seed: int) -> None:
    sources = [archive(tmp_path / f"{i}.warc.gz", [f"sleep 0.0{1 + j % 9}" for j in range(60)]) for i in range(10)]
    run(sources, tmp_path / "here", "")
    choice, out = random.Random(seed), tmp_path / "there"
    running = driver(sources, out, nodes.on)
    killed: list[str] = []
    while len(killed) < 10:
        time.sleep(choice.uniform(0.5, 2.5))
        if running.poll() is not None:  # it was through, or gave up with its cluster: given again
            running = driver(sources, out, nodes.on)
            if len(list(out.glob("*.json"))) == len(sources):
                for file in out.iterdir():  # through before ten kills: all of it again
                    file.unlink()
            continue
        kind = choice.choice(["page worker", "task process", "ray worker", "raylet", "driver"])
        mine = descendants(os.getpid())
        tasks = named(mine, b"task_process")
        victims = {
            "page worker": [child for pid in tasks for child in descendants(pid)], "task process": tasks,
            "ray worker": named(mine, b"ray::_relay"), "driver": [running.pid],
        }  # fmt: skip
        if kind == "raylet":
            nodes.kill_one(choice)
        elif found := victims[kind]:
            os.kill(choice.choice(found), signal.SIGKILL)
        else:
            continue
        killed.append(kind)
        if kind == "driver":
            running.wait()
            running = driver(sources, out, nodes.on)
    running.wait(timeout=240)
    last = run(sources, out, nodes.on)
    assert (last.finished, last.failed) == (10, {}), killed
    wrong = {file: data for file, data in files(tmp_path / "here").items() if files(out).get(file) != data}
    lost = {url for source in sources for url in (row["url"] for row in rows(out, source) if row["dropped"])}
    assert (sorted(wrong), lost) == ([], set()), killed


def test_without_its_head_a_run_ends_and_the_same_command_goes_on_elsewhere(tmp_path: Path, nodes: Nodes) -> None:
    sources = [archive(tmp_path / f"{i}.warc.gz", ["sleep 0.1"] * 60) for i in range(4)]
    run(sources, tmp_path / "here", "")
    out = tmp_path / "there"
    running = driver(sources, out, nodes.on)
    until = time.monotonic() + 60
    while not list(out.glob(".part-*.jsonl")) and time.monotonic() < until:
        time.sleep(0.2)
    os.kill(raylet(nodes.cluster.head_node), signal.SIGKILL)
    began = time.monotonic()
    assert running.wait(timeout=120) != 0
    assert time.monotonic() - began < 90
    ray.shutdown()
    again = Nodes()
    last = run(sources, out, again.on)
    ray.shutdown()
    again.cluster.shutdown()
    assert (last.finished, last.failed) == (4, {})
    assert {name: data for name, data in files(out).items() if not name.startswith(".")} == files(tmp_path / "here")


def test_the_command_is_the_same_on_a_cluster(tmp_path: Path, nodes: Nodes) -> None:
    """As the guide has it: `ray start --head` on one machine, and the command with `--on ray` there."""
    sources = [archive(tmp_path / f"{i}.warc.gz", [f"A page of plain text, number {i} {j}." for j in range(20)]) for i in range(4)]
    command = [sys.executable, "-m", "recipes.commands.cli", "mine", "extract", *sources, "--out"]
    subprocess.run([*command, f"{tmp_path}/here/"], cwd=PACKAGE_ROOT, check=True, timeout=120)
    environment = os.environ | {"RAY_ADDRESS": nodes.cluster.address}
    subprocess.run([*command, f"{tmp_path}/there/", "--on", "ray"], cwd=PACKAGE_ROOT, check=True, timeout=120, env=environment)
    assert files(tmp_path / "there") == files(tmp_path / "here")
    assert len(files(tmp_path / "here")) == 8


def test_a_cluster_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the Ray cluster 127.0.0.1:9 cannot be reached: .*start one with `ray start --head`"):
        run([archive(tmp_path / "x.warc.gz", ["one"])], tmp_path / "out", "ray://127.0.0.1:9")
