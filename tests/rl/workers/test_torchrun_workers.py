"""Ranks as torchrun starts them, without torchrun: who hangs, dies or gets no further is named by the others, in time."""

import os
import re
import signal
import threading
import time

import pytest
from torch.distributed import TCPStore

from rl.objectives.supervised import sft
from rl.workers import signs_of_life
from rl.workers.messages import unpacked
from rl.workers.signs_of_life import Silence
from rl.workers.torchrun_workers import TorchrunWorkers, serve
from rl.workers.workers import WorkerLost
from tests.rl.workers.ranks import started
from tests.rl.workers.test_local_workers import batch_of, build

PATIENCE = 3.0


def rank(number, count, port, fate):
    """Rank 0 drives; the last one meets its fate in the middle of a long update."""
    os.environ |= {
        "RANK": str(number), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "test", "TORCHELASTIC_USE_AGENT_STORE": "True",
    }  # fmt: skip
    signs_of_life.BEAT = 0.25
    if number:
        if number == count - 1:
            meet(fate)
        serve(patience=PATIENCE, timeout=3.0 if fate == "stands still" else 60.0)
        return "served"
    workers = TorchrunWorkers(
        stands_still if fate == "stands still" else build, patience=PATIENCE, timeout=3.0 if fate == "stands still" else 60.0
    )
    try:
        for _ in range(2 if fate == "lives" else 1000):
            workers.call("update", batch_of(4), sft(), lr=0.1)
        return workers.stamp
    except WorkerLost as error:
        return str(error)
    finally:
        workers.close()


def meet(fate):
    if fate in ("hangs", "dies"):
        threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGSTOP if fate == "hangs" else signal.SIGKILL)).start()


def stands_still(device, asked_to_stop):
    """Its process lives, and its last rank gets no further."""
    policy, reference = build(device, asked_to_stop)
    if policy.rank == policy.ranks - 1:
        policy.update = lambda *given, **named: time.sleep(300)
    return policy, reference


def fates_of(fate, count=2):
    """What each rank says, None where it says nothing; and how long rank 0 took."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    with started(count, rank, store.port, fate) as (ends, processes):
        began = time.monotonic()
        assert ends[0].poll(60)
        seconds = time.monotonic() - began
        said = [unpacked(ends[0].recv_bytes())]
        for end, process in zip(ends[1:], processes[1:], strict=True):
            process.join(30)
            assert not process.is_alive()
            said.append(unpacked(end.recv_bytes()) if end.poll() and not process.exitcode else process.exitcode)
    return said, seconds


def test_ranks_that_live_end_well(one_thread):
    assert fates_of("lives")[0] == [("done", (2, 0)), ("done", "served")]


def test_one_that_hangs_is_named_and_ended(one_thread):
    assert_named("hangs", r"policy worker 1 \(process \d+ of this machine\) gave no sign for 3 s; torchrun's summary", -signal.SIGKILL)


def assert_named(fate, said, *exit_codes):
    (first, *others), seconds = fates_of(fate, 1 + len(exit_codes))
    assert re.match(said, first[1])
    assert others == list(exit_codes)
    assert seconds < 30


@pytest.mark.slow
def test_one_that_dies_is_named(one_thread):
    assert_named("dies", r"policy worker 1 died \(process \d+ of this machine\); torchrun's summary", -signal.SIGKILL)


@pytest.mark.slow
def test_one_that_lives_and_stands_still_is_named(one_thread):
    assert_named("stands still", "no policy worker got any further for 3 s; the furthest behind is 1, in pass 0 of its call 1, update; ", 1)


@pytest.mark.slow
def test_all_ranks_end_with_one_and_name_it_alike(one_thread):
    assert_named("hangs", r"policy worker 2 \(process \d+ of this machine\) gave no sign for 3 s", 1, -signal.SIGKILL)


def test_a_suspended_run_counts_no_silence(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    silence = Silence(2)
    for step in (2.0, 600.0, 2.0):
        now[0] += step
        silence.passes()
        silence.heard(1)
    assert silence.of == [9.0, 0.0]
