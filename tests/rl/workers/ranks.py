"""Functions run on several ranks at once, each in a process of its own."""

import multiprocessing
import os
import tempfile
import traceback
from collections.abc import Callable
from typing import Any

from rl.workers.messages import packed, unpacked

SECONDS = 120


def on_ranks(count: int, function: Callable[..., Any], *given: Any) -> list[Any]:
    """What `function(*given)` returns on each rank of a process group (gloo), in their order; it must be a module's own."""
    context = multiprocessing.get_context("forkserver")  # the libraries are imported once, not by every process
    context.set_forkserver_preload(["rl.workers.sharded_learner", "peft", "transformers.models.qwen2.modeling_qwen2"])
    with tempfile.TemporaryDirectory() as folder:
        ends = [context.Pipe(duplex=False) for _ in range(count)]
        processes = [
            context.Process(target=_rank, args=(rank, count, f"file://{folder}/meet", ends[rank][1], function, given), daemon=True)
            for rank in range(count)
        ]
        for process in processes:
            process.start()
        try:
            answers = [unpacked(end.recv_bytes()) if end.poll(SECONDS) else ("no answer", "") for end, _ in ends]
        finally:
            for process in processes:
                process.kill()
                process.join()
    for rank, (kind, value) in enumerate(answers):
        assert kind == "done", f"rank {rank}: {kind}\n{value}"
    return [value for _, value in answers]


def _rank(rank: int, count: int, meet: str, answer: Any, function: Callable[..., Any], given: tuple[Any, ...]) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    import torch
    from torch import distributed

    torch.set_num_threads(1)
    try:
        distributed.init_process_group("gloo", init_method=meet, rank=rank, world_size=count)
        answer.send_bytes(packed(("done", function(*given))))  # not `send`: torch would hand over open files
    except BaseException:  # noqa: BLE001  # said by the process that asked
        answer.send_bytes(packed(("raised", traceback.format_exc())))
