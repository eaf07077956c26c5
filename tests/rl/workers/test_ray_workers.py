"""Policy workers as Ray actors: the same numbers as one process, and one that dies is named. Needs the `ray` extra."""

import os
import signal

import pytest
import torch

from rl.learning.policy import Policy
from rl.objectives.supervised import sft
from rl.workers.policy_workers import PolicyWorkers
from rl.workers.workers import WorkerLost
from tests.rl.workers.test_local_workers import batch_of, broken
from tests.rl.workers.test_local_workers import build as built_slowly
from tests.rl.workers.test_sharded_learner import make_model

ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'reckon-rl[ray]'")
from rl.workers.ray_workers import RayWorkers  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_two_actors_learn_what_one_process_learns_and_a_dead_one_is_named(one_thread):
    workers = RayWorkers(built_slowly, count=2, beside=1)
    try:
        policy = PolicyWorkers(workers)
        alone = Policy(make_model("qwen2"), device="cpu", tokens_per_micro_batch=8)
        for _ in range(2):
            mine, theirs = (each.update(batch_of(8), sft(), lr=1e-3) for each in (policy, alone))
            assert mine.loss == pytest.approx(theirs.loss, rel=1e-5)
            assert mine.grad_norm == pytest.approx(theirs.grad_norm, rel=1e-5)
        assert policy.version == 2
        for name, parameter in policy.weights().module.named_parameters():
            torch.testing.assert_close(parameter, alone.trainable[name], atol=1e-5, rtol=1e-5)
        with pytest.raises(ValueError, match="teacher_top"):
            policy.look(batch_of(4), ("top_logp",))
        os.kill(workers.pids[1], signal.SIGKILL)
        with pytest.raises(WorkerLost, match="policy worker 1 died"):
            policy.score(batch_of(4))
    finally:
        workers.close()
    assert not ray.is_initialized()


def test_a_policy_that_cannot_be_built_says_why(one_thread):
    with pytest.raises(ValueError, match="no such model"):
        RayWorkers(broken, count=2)
    assert not ray.is_initialized()
