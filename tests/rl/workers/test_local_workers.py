"""Worker processes from the driver's side: errors come back, a call can be given up, and whoever dies or falls silent is named in time."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from rl.learning.reference import initial_reference
from rl.objectives.batch import lay_out
from rl.objectives.policy_gradient import KL
from rl.objectives.supervised import sft
from rl.workers import local_workers
from rl.workers.local_workers import LocalWorkers
from rl.workers.policy_workers import PolicyWorkers, WorkersReference
from rl.workers.sharded_learner import ShardedPolicy
from rl.workers.workers import WorkerLost
from rollout.interruption import Interrupted, interruptible, raise_if_interrupted
from tests.rl.rollouts import algorithm
from tests.rl.workers.test_sharded_learner import make_model
from verifiers.child_environment import PACKAGE_ROOT


class _Slow(ShardedPolicy):
    """Passes of a tenth of a second; rank 1 alone refuses a batch of seven sequences."""

    def _within(self, run):
        time.sleep(0.1)
        return super()._within(run)

    def score(self, batch):
        if self.rank == 1 and len(batch) == 7:
            raise RuntimeError("out of luck\nin detail")
        return super().score(batch)


def build(device, asked_to_stop):
    policy = _Slow(make_model("qwen2"), device=device, asked_to_stop=asked_to_stop, tokens_per_micro_batch=8)
    return policy, initial_reference(policy)


def batch_of(count):
    rows = [[2 + n % 20, 3, 4, 5] for n in range(count)]
    return lay_out(rows, [[False, True, True, True]] * count, [1] * count)


def something_else(until):
    while time.monotonic() < until:
        raise_if_interrupted()
        time.sleep(0.05)


def gone(workers):
    until = time.monotonic() + 10
    while any(process.is_alive() for process in workers.processes) and time.monotonic() < until:
        time.sleep(0.05)
    return not any(process.is_alive() for process in workers.processes)


def test_calls_errors_and_interruptions(one_thread, monkeypatch):
    monkeypatch.setattr(local_workers, "_COMPANY", 1.0)
    workers = LocalWorkers(build, count=2)
    policy, reference = PolicyWorkers(workers), WorkersReference(workers)
    # what it says is what the mirror says
    logits = policy.weights().module(torch.tensor([[2, 3, 4]])).logits.detach().log_softmax(-1)
    assert policy.score_sequences([[2, 3, 4]])[0][1:] == pytest.approx([float(logits[0, 0, 3]), float(logits[0, 1, 4])], abs=1e-5)
    torch.testing.assert_close(reference.score(batch_of(4)), policy.score(batch_of(4)))
    # an error of all is the caller's, and changes nothing
    with pytest.raises(ValueError, match="no column 'ref_logp'"):
        policy.update(batch_of(4), algorithm("grpo", kl=KL(0.1)).objective, lr=0.1)
    # a call that is given up leaves everything as it was
    before = policy.weights().module.model.norm.weight.detach().clone()
    threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(Interrupted), interruptible():
        policy.update(batch_of(400), sft(), lr=0.1)
    assert time.monotonic() - began < 10
    assert policy.version == 0
    assert policy.update(batch_of(4), sft(), lr=0.1).updates == 1
    assert policy.version == 1
    assert not torch.equal(policy.weights().module.model.norm.weight, before)
    torch.testing.assert_close(policy.alone().score(batch_of(4)), policy.score(batch_of(4)), atol=1e-5, rtol=1e-5)
    # ranks that no longer agree cannot go on
    with pytest.raises(WorkerLost, match="policy worker 1 failed alone: RuntimeError: out of luck; its log is"):
        policy.score(batch_of(7))
    assert gone(workers)
    with pytest.raises(WorkerLost, match="failed alone"):
        policy.score(batch_of(4))
    assert (workers.folder / "worker-1.log").exists()
    shutil.rmtree(workers.folder)
    workers.close()


def test_a_silent_worker_is_named(one_thread):
    workers = LocalWorkers(build, count=2, patience=5.0)
    os.kill(workers.pids[0], signal.SIGSTOP)
    with pytest.raises(WorkerLost, match=rf"policy worker 0 \(process {workers.pids[0]}\) gave no sign for 5 s"):
        workers.call("score", batch_of(4))
    assert gone(workers)
    workers.close()
    shutil.rmtree(workers.folder)


def test_one_that_dies_between_calls_is_heard_of_while_something_else_is_done(one_thread):
    workers = LocalWorkers(build, count=2)
    os.kill(workers.pids[1], signal.SIGKILL)
    until = time.monotonic() + 30
    with pytest.raises(WorkerLost, match=r"policy worker 1 died \(exit code -9, SIGKILL\)"), interruptible():
        something_else(until)
    workers.close()
    assert gone(workers)
    shutil.rmtree(workers.folder)


def broken(device, asked_to_stop):
    raise ValueError("no such model")


def test_a_policy_that_cannot_be_built_says_why(one_thread):
    with pytest.raises(ValueError, match="no such model"):
        LocalWorkers(broken, count=2)


DRIVER = """
import time
from rl.workers.local_workers import LocalWorkers
from tests.rl.workers.test_local_workers import build
workers = LocalWorkers(build, count=2)
print(*workers.pids, workers.folder, flush=True)
time.sleep(300)
"""


@pytest.mark.slow
def test_workers_end_when_their_driver_is_killed(one_thread):
    with subprocess.Popen([sys.executable, "-c", DRIVER], cwd=PACKAGE_ROOT, stdout=subprocess.PIPE, text=True) as driver:
        *pids, folder = driver.stdout.readline().split()
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
        driver.kill()
    until = time.monotonic() + 30
    while (left := [pid for pid in pids if lives(pid)]) and time.monotonic() < until:
        time.sleep(0.1)
    shutil.rmtree(folder)
    assert len(pids) == 2
    assert left == []


def lives(pid):
    """Not as a zombie, which nobody has asked for its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
