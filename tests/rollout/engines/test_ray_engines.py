"""Several engines as Ray actors: the contract's essentials, and what only many can get wrong. Needs the `ray` extra."""

import os
import signal
import sys
import threading
import time
from functools import partial

import pytest
import torch

from rl.learning.adapters import Lora
from rl.learning.policy import Policy
from rollout.engine import Sampling
from rollout.engines.fake_engine import FakeEngine
from rollout.engines.hf_engine import HFEngine
from verifiers.input_error import InputError

ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'reckon-rl[ray]'")
from rollout.engines.ray_engines import EngineLost, RayEngines  # noqa: E402

PROMPTS = [[3, 4, 5], [6], [7, 8, 9, 10, 11, 12, 2], [6, 6], [9, 3], [4], [5, 5, 5, 5]]
SAMPLING = Sampling(max_tokens=6, completions=3, temperature=0.7, stop_ids=(1,), seed=3)
HF = partial(HFEngine, pad_id=0)


class Slow(HFEngine):
    """Takes a while, so that it can be killed while at work."""

    def generate(self, prompts, sampling):
        time.sleep(0.7)
        return super().generate(prompts, sampling)


class Deaf(HFEngine):
    """The second one that is made in a folder keeps the weights that it had."""

    def __init__(self, folder):
        super().__init__(pad_id=0)
        try:
            (folder / "first").touch(exist_ok=False)
            self.deaf = False
        except FileExistsError:
            self.deaf = True

    def load_policy(self, weights, version):
        if not (self.deaf and version > 0):
            import copy
            from dataclasses import replace

            super().load_policy(replace(weights, module=copy.deepcopy(weights.module)), version)


class Doomed(HFEngine):
    def generate(self, prompts, sampling):
        os.kill(os.getpid(), signal.SIGKILL)


class Broken(HFEngine):
    def generate(self, prompts, sampling):
        raise InputError("a context of 9 tokens is longer than the engine's 8; raise max_model_len")


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """One Ray for all tests here, with more cores on paper than the machine may have: the engines are tiny."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # actors cannot import a test module
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture
def engines():
    made = []

    def make(factory=HF, **options):
        made.append(RayEngines(factory, **{"chunk": 2, "timeout": 300.0, **options}))
        return made[-1]

    yield make
    for each in made:
        each.close()


def policy_of(make, **options):
    policy = Policy(make(), device="cpu", **options)
    move(policy, 0)
    return policy


def move(policy, seed):
    generator = torch.Generator().manual_seed(seed)
    for parameter in policy.trainable.values():
        parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def tokens(groups):
    return [[completion.tokens for completion in group] for group in groups]


@pytest.mark.parametrize("options", [{}, {"lora": Lora(rank=4, alpha=8.0)}], ids=["full", "lora"])
def test_two_engines_follow_the_policy(make_qwen2, engines, options):
    policy, many = policy_of(make_qwen2, **options), engines()
    for version in range(3):
        many.load_policy(policy.weights(), version)
        here = HFEngine(pad_id=0)
        here.load_policy(policy.weights(), version)
        groups = many.generate(PROMPTS, SAMPLING)
        assert [len(group) for group in groups] == [3] * len(PROMPTS)
        for prompt, group in zip(PROMPTS, groups, strict=True):
            assert all(c.policy_version == version for c in group)
            expected = here.score([[*prompt, *c.tokens] for c in group], temperature=0.7)
            for completion, row in zip(group, expected, strict=True):
                assert completion.logprobs == pytest.approx(row[len(prompt) :], abs=1e-5)
        sequences = [[3, 4, 5, 6], [9, 9]]
        for mine, theirs in zip(many.score(sequences), here.score(sequences), strict=True):
            assert mine == pytest.approx(theirs, abs=1e-5)
        greedy = Sampling(max_tokens=8, temperature=0.0, stop_ids=(1,))
        assert [[c.tokens for c in g] for g in many.generate(PROMPTS, greedy)] == [
            [c.tokens for c in g] for g in here.generate(PROMPTS, greedy)
        ]
        move(policy, version + 1)


def test_the_number_of_engines_changes_no_sample(make_qwen2, engines):
    policy = policy_of(make_qwen2)
    found = []
    for count in (1, 3):
        many = engines(count=count)
        many.load_policy(policy.weights(), 0)
        found.append(many.generate(PROMPTS, SAMPLING))
        many.close()
    assert found[0] == found[1]
    assert len({tuple(c.tokens) for group in found[0] for c in group}) > len(PROMPTS)  # chunks do not share a seed


def test_an_engine_killed_at_work_costs_no_completion_and_doubles_none(make_qwen2, engines):
    policy = policy_of(make_qwen2, lora=Lora(rank=4, alpha=8.0))
    many = engines(partial(Slow, pad_id=0))
    many.load_policy(policy.weights(), 0)
    move(policy, 5)
    many.load_policy(policy.weights(), 1)  # the replacement must hold this, not the first weights
    expected = many.generate(PROMPTS, SAMPLING)
    victim = many.pids[1]
    threading.Timer(0.3, os.kill, (victim, signal.SIGKILL)).start()
    assert many.generate(PROMPTS, SAMPLING) == expected
    assert many.pids[1] != victim
    os.kill(many.pids[0], signal.SIGKILL)  # idle ones too
    time.sleep(0.3)
    many.load_policy(policy.weights(), 2)
    assert tokens(many.generate(PROMPTS, SAMPLING)) == tokens(expected)


@pytest.mark.slow
def test_engines_that_always_die_end_the_call(make_qwen2, engines):
    many = engines(partial(Doomed, pad_id=0), max_deaths=2)
    many.load_policy(policy_of(make_qwen2).weights(), 0)
    with pytest.raises(EngineLost, match="3 Ray engines died in one call"):
        many.generate(PROMPTS, SAMPLING)


@pytest.mark.slow
def test_an_engine_that_hangs_ends_the_call_in_time(make_qwen2, engines):
    many = engines(partial(Slow, pad_id=0), timeout=0.2)
    many.timeout = 300.0
    many.load_policy(policy_of(make_qwen2).weights(), 0)
    many.timeout = 0.2
    with pytest.raises(EngineLost, match=r"within 0.2 s"):
        many.generate(PROMPTS, SAMPLING)


def test_an_engine_with_stale_weights_is_found_by_scoring(make_qwen2, engines, tmp_path):
    policy, many = policy_of(make_qwen2), engines(partial(Deaf, tmp_path))
    many.load_policy(policy.weights(), 0)
    many.score([[3, 4, 5, 6]])
    move(policy, 1)
    many.load_policy(policy.weights(), 1)
    with pytest.raises(EngineLost, match=r"hold different weights.*at policy version 1"):
        many.score([[3, 4, 5, 6]])


@pytest.mark.slow
def test_what_an_engine_raises_arrives_as_it_was_raised(make_qwen2, engines):
    many = engines(partial(Broken, pad_id=0))
    many.load_policy(policy_of(make_qwen2).weights(), 0)
    with pytest.raises(InputError, match="raise max_model_len"):
        many.generate(PROMPTS, SAMPLING)


def test_bad_settings_end_in_one_line(make_qwen2, engines):
    with pytest.raises(InputError, match="5 Ray engines need 5 CPUs and Ray has 4"):
        engines(count=5)
    with pytest.raises(InputError, match="2 Ray engines need 2 GPUs and Ray has 0"):
        engines(gpus=1)
    with pytest.raises(InputError, match="must be at least 1"):
        engines(count=0)
    with pytest.raises(ValueError, match="call load_policy first"):
        engines(partial(FakeEngine, [[0.0]]), count=1).generate([[0]], Sampling(max_tokens=1))


def test_grpo_math_samples_through_ray(model_folder, tmp_path, capsys):
    """The recipe, from its command line: two actors, a LoRA, the canary after every sync."""
    from recipes.commands.cli import main
    from rl.runs.run_folder import read_lines

    data = tmp_path / "problems.jsonl"
    data.write_text("".join(f'{{"problem": "{a}+1=", "answer": "{a + 1}"}}\n' for a in range(8)))
    (tmp_path / "mine.py").write_text("def odd(problem, response):\n    return len(response) % 2 == 1\n")
    arguments = [
        "grpo-math", "--model", model_folder, "--data", data, "--run", tmp_path / "run", "--reward", f"{tmp_path}/mine.py:odd",
        "--engine", "ray", "--engines", "2", "--ray-engine", "hf", "--steps", "2", "--problems-per-step", "4",
        "--completions-per-problem", "4", "--max-completion-length", "8", "--lr", "1e-3", "--warmup", "0",
    ]  # fmt: skip
    assert main(list(map(str, arguments))) == 0, capsys.readouterr().err
    rows = read_lines(tmp_path / "run" / "metrics.jsonl")
    assert [row["step"] for row in rows] == [0, 1, 2]
    assert all(row["sync/bytes"] > 0 and row["canary/weights_worst"] < 1e-4 for row in rows)
