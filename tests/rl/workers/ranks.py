"""Functions run on several ranks at once, each in a process of its own."""

import multiprocessing
import os
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rl.workers.messages import packed, unpacked

SECONDS = 120


def on_ranks(count: int, function: Callable[..., Any], *given: Any) -> list[Any]:
    """What `function(*given)` returns on each rank of a process group (gloo), in their order; it must be a module's own."""
    with tempfile.TemporaryDirectory() as folder, started(count, _in_group, f"file://{folder}/meet", function, given) as (ends, _):
        answers = [unpacked(end.recv_bytes()) if end.poll(SECONDS) else ("no answer", "") for end in ends]
    for rank, (kind, value) in enumerate(answers):
        assert kind == "done", f"rank {rank}: {kind}\n{value}"
    return [value for _, value in answers]


@contextmanager
def started(count: int, function: Callable[..., Any], *given: Any) -> Iterator[tuple[list[Any], list[Any]]]:
    """(ends of pipes, processes) of `function(rank, count, *given)`, each in a process of its own; what it returns comes out of its end."""
    context = multiprocessing.get_context("forkserver")  # the libraries are imported once, not by every process
    context.set_forkserver_preload(["rl.workers.sharded_learner", "peft", "transformers.models.qwen2.modeling_qwen2"])
    ends = [context.Pipe(duplex=False) for _ in range(count)]
    processes: list[Any] = []
    for rank in range(count):
        processes.append(context.Process(target=_rank, args=(ends[rank][1], function, rank, count, *given), daemon=True))
        processes[rank].start()
        ends[rank][1].close()
    try:
        yield [end for end, _ in ends], processes
    finally:
        for process in processes:
            process.kill()
            process.join()


def _rank(answer: Any, function: Callable[..., Any], *given: Any) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    import torch

    torch.set_num_threads(1)
    try:
        answer.send_bytes(packed(("done", function(*given))))  # not `send`: torch would hand over open files
    except BaseException:  # noqa: BLE001  # said by the process that asked
        answer.send_bytes(packed(("raised", traceback.format_exc())))


def _in_group(rank: int, count: int, meet: str, function: Callable[..., Any], given: tuple[Any, ...]) -> Any:
    from torch import distributed

    distributed.init_process_group("gloo", init_method=meet, rank=rank, world_size=count)
    return function(*given)
