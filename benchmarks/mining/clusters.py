"""What Ray costs: the same archives extracted by the processes of one machine and by a Ray cluster of several nodes on it.

`python -m benchmarks.mining.clusters [--pages 20000] [--nodes 2] [--rounds 4]`

The archives hold the labelled pages again and again under other addresses, some 800 an archive. Both sides have as many cores, take turns
(`--rounds` times, each on its part of the archives, so that a slow hour of the machine meets both), and must give the same bytes. Time is
processor time of all processes of a side, daemons of Ray, its workers and what they start included, counted while its turn lasts; what
starting the cluster takes is told apart, since a cluster is started once for many commands. The last line is `RESULT {json}`.
"""

import gzip
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.parts import WEB, labelled_rows, options, report
from data_pipeline.commands.demo_web import records_of_page
from data_pipeline.extraction.extract_archives import Progress, extract_archives
from data_pipeline.extraction.extraction_options import ExtractionOptions
from verifiers.child_environment import PACKAGE_ROOT

BARS = {
    "ray_processor_seconds": lambda x: x <= 1.10,
    "files_that_differ": lambda x: x == 0,
    "pages": lambda x: x >= 20_000,
}
HOW = ExtractionOptions(page_seconds=60)  # a machine with other work must not drop pages on one side only
SMALL = {"object_store_memory": 80 << 20}


def write_archives(folder: Path, pages: int) -> list[str]:
    bodies = [(WEB / row["path"]).read_bytes() for row in labelled_rows()]
    made = []
    for copy in range(-(-pages // len(bodies))):
        path = folder / f"{copy:04}.warc.gz"
        with path.open("wb") as file:
            for number, body in enumerate(bodies):
                for record in records_of_page(f"https://a.example/{number}?copy={copy}", body):
                    file.write(gzip.compress(record, 6, mtime=0))
        made.append(str(path))
    return made


def processor_seconds() -> float:
    """Of this process and all that descend from it, the ended children of each that still runs included."""
    parents, ticks = dict[int, int](), dict[int, int]()
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            values = file.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(file.parent.name)] = int(values[1])
        ticks[int(file.parent.name)] = sum(map(int, values[11:15]))
    mine = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in mine} - mine:
        mine |= more
    return sum(ticks[pid] for pid in mine) / os.sysconf("SC_CLK_TCK")


def turn(sources: Sequence[str], out: Path, on: str, workers: int) -> tuple[float, float, Progress]:
    """(processor seconds, seconds, how far it came), until the last archive is done: ending processes would hide what they took."""
    began, before = time.monotonic(), processor_seconds()
    run = extract_archives(sources, out, HOW, workers=workers, on=on)
    for progress in run:
        if progress.finished == progress.archives:
            found = processor_seconds() - before, time.monotonic() - began, progress
            run.close()  # type: ignore[attr-defined]
            return found
    raise RuntimeError(f"{progress.finished} of {progress.archives} archives were done")


def idle(seconds: float = 5.0) -> float:
    """Processor seconds a second of a cluster without work."""
    before = processor_seconds()
    time.sleep(seconds)
    return (processor_seconds() - before) / seconds


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--pages", type=int, default=20_000)
    parser.add_argument("--nodes", type=int, default=2, help="of the cluster, a core each")
    parser.add_argument("--rounds", type=int, default=4)
    given = parser.parse_args()
    os.environ["PYTHONPATH"], os.environ["RAY_USAGE_STATS_ENABLED"] = PACKAGE_ROOT, "0"
    import ray
    from ray.cluster_utils import Cluster

    spent: dict[str, list[tuple[float, float]]] = {"": [], "ray": []}
    pages = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = write_archives(folder, given.pages)
        before = processor_seconds()
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, **SMALL})
        for _ in range(given.nodes - 1):
            cluster.add_node(num_cpus=1, **SMALL)
        time.sleep(5)  # what the nodes begin in the background belongs to their start
        result: dict[str, Any] = {"cluster_start_seconds": round(processor_seconds() - before, 1), "cluster_idle": round(idle(), 3)}
        for number in range(given.rounds):
            part = sources[number :: given.rounds]
            for kind in ("", "ray") if number % 2 == 0 else ("ray", ""):
                on = f"ray://{cluster.address}" if kind else ""
                quiet = 0.0 if kind else result["cluster_idle"]
                seconds, clock, progress = turn(part, folder / f"out-{kind}", on, given.nodes)
                spent[kind].append((seconds - quiet * clock, clock))
                print(f"{kind or 'local':5} {progress.pages:,} pages, {seconds:.1f} processor seconds, {clock:.1f} s", flush=True)
                pages += progress.pages if kind else 0
        outputs = [{file.name: file.read_bytes() for file in (folder / f"out-{kind}").iterdir()} for kind in spent]
        ray.shutdown()
        cluster.shutdown()
    differ = [name for name in outputs[0].keys() | outputs[1].keys() if outputs[0].get(name) != outputs[1].get(name)]
    here, there = (sum(seconds for seconds, _ in spent[kind]) for kind in spent)
    result |= {
        "pages": pages, "archives": len(sources), "nodes": given.nodes, "files": len(outputs[0]), "files_that_differ": len(differ),
        "local_seconds": round(here, 1), "ray_seconds": round(there, 1), "ray_processor_seconds": round(there / here, 3),
        "ray_processor_seconds_by_round": [round(b[0] / a[0], 3) for a, b in zip(spent[""], spent["ray"], strict=True)],
        "ray_clock": round(sum(c for _, c in spent["ray"]) / sum(c for _, c in spent[""]), 3),
        "pages_a_core_second": round(pages / there, 1),
    }  # fmt: skip
    return report(result, BARS)


if __name__ == "__main__":
    sys.exit(main())
