"""The loop on a real tiny policy: verifiers that misbehave, dynamic sampling, silence, divergence, and what is logged."""

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rl.algorithms import Algorithm, named
from rl.losses import Correction
from rl.policy import Diverged, Policy
from rl.run_folder import RunFolder, read_lines
from rl.schedule import Schedule
from rl.signal_report import no_signal_message
from rl.tracking import Tracker
from rl.train import Loop, train
from rollout.canary import SamplerIsNotThePolicy
from rollout.chat import Chat
from rollout.engine import PolicyWeights, Sampling
from rollout.hf_engine import HFEngine
from verifiers.pool import VerifierPool
from verifiers.problem import Problem, make_problem
from verifiers.verdict import Verdict, right, wrong

PROBLEMS = [make_problem(f"{a}+{b}=", str(a + b), meta={"index": a * 4 + b}) for a in range(4) for b in range(4)]

HOSTILE = """
import os, time

def reward(problem, response):
    kind = problem.meta["index"]
    if kind == 3:
        time.sleep(1000)
    if kind == 5:
        os._exit(7)
    if kind == 7:
        return "garbage"
    return len(response) % 2 == 0
"""


@pytest.fixture
def build(one_thread: None, tokenizer: Any, tmp_path: Path) -> Callable[..., Any]:
    """(verify, algorithm, options) -> run one loop, return (metrics, what was said, policy)."""

    def run(
        verify: Any, algorithm: Algorithm, *, steps: int, problems: Sequence[Problem] = PROBLEMS, engine: Any = None, **settings: Any
    ) -> Any:
        import torch

        from recipes.arithmetic import make_model

        torch.manual_seed(0)
        chat = Chat(tokenizer)
        policy = Policy(make_model(len(tokenizer), hidden=16, layers=1))
        folder = RunFolder.create(tmp_path / f"run-{time.monotonic_ns()}", {"options": {}})
        tracker = Tracker(folder.metrics_path, steps=steps)
        tracker.console.quiet = True
        said: list[str] = []
        tracker.say = said.append  # type: ignore[method-assign]
        completions = settings.pop("completions", 4)
        loop = Loop(steps=steps, problems_per_step=settings.pop("problems_per_step", 16), lr=Schedule(5e-3, steps), **settings)
        with tracker:
            train(
                loop=loop, policy=policy, engine=engine or HFEngine(pad_id=chat.pad_id), chat=chat, problems=problems,
                sampling=Sampling(5, completions, stop_ids=chat.stop_ids), verify=verify, algorithm=algorithm, run=folder, tracker=tracker,
            )  # fmt: skip
        return read_lines(folder.metrics_path)[1:], said, policy, folder

    return run


@pytest.fixture
def hostile_pool(tmp_path: Path) -> Iterator[VerifierPool]:
    (tmp_path / "hostile.py").write_text(HOSTILE)
    with VerifierPool([f"{tmp_path / 'hostile.py'}:reward"], workers=2, deadline=0.5) as pool:
        yield pool


def grpo(**options: Any) -> Algorithm:
    return named(options.pop("name", "grpo"), max_completion_length=5, **options)


def test_hanging_crashing_and_garbage_verifiers_in_a_run(build: Callable[..., Any], hostile_pool: VerifierPool) -> None:
    began = time.monotonic()
    rows, _, _, _ = build(hostile_pool.verify_many, grpo(), steps=2)
    assert time.monotonic() - began < 25, "4 hanging completions a step, half a second each on two workers"
    for row in rows:  # every problem is in every step: 16 problems x 4 completions, 4 of each bad kind
        assert row["verdicts/timeout"] == 4
        assert row["verdicts/crash"] == 8
        assert row["verdicts/right"] + row["verdicts/wrong"] == 64 - 12
        assert row["groups_no_verdict"] == pytest.approx(3 / 16)
        assert row["trained_sequences"] <= 64 - 12
        assert row["updates"] == 1


def test_shares_of_groups_are_counted(build: Callable[..., Any]) -> None:
    def verify(pairs: Iterable[tuple[Problem, str]]) -> list[Verdict]:
        return [
            right() if problem.meta["index"] < 4 else wrong() if problem.meta["index"] < 12 else _alternate(n)
            for n, (problem, _) in enumerate(pairs)
        ]

    def _alternate(n: int) -> Verdict:
        return right() if n % 2 else wrong()

    row = build(verify, grpo(), steps=1)[0][0]
    assert (row["groups_all_right"], row["groups_all_wrong"], row["groups_mixed"], row["groups_dead"]) == (0.25, 0.5, 0.25, 0.75)
    assert row["effective_batch"] == row["trained_sequences"] == 16
    assert row["accuracy"] == pytest.approx((16 + 8) / 64)
    assert row["accuracy_low"] < row["accuracy"] < row["accuracy_high"]
    assert row["sampler_kl"] < 1e-9
    assert row["sampler_max_gap"] < 1e-5
    assert 0 < row["entropy"] < 5
    assert {"time/sample", "time/verify", "time/update", "time/sync", "speed/tokens_per_s"} <= row.keys()
    assert {"sync/seconds", "sync/canary_seconds", "sync/samples_seconds"} <= row.keys()
    assert row["sync/bytes"] == 0, "it samples from the policy in place"
    assert max(row["canary/weights_worst"], row["canary/samples_worst"]) < 1e-5


class Forgetful(HFEngine):
    """Samples from the first policy that it was given, for ever, and stamps the later versions."""

    def load_policy(self, weights: PolicyWeights, version: int) -> int:
        first = self._weights or PolicyWeights(copy.deepcopy(weights.module))
        return super().load_policy(first, version)


def test_a_sampler_that_is_not_the_policy_stops_the_run_at_the_next_sync(build: Callable[..., Any]) -> None:
    with pytest.raises(SamplerIsNotThePolicy, match="engine did not change: its scores are those of policy version 0 to the last bit"):
        build(alternating, grpo(), steps=3, engine=Forgetful(pad_id=0))


@pytest.mark.parametrize(("verdict", "reason"), [(wrong(), "too hard"), (right(), "too easy")])
def test_twenty_silent_steps_say_why(build: Callable[..., Any], verdict: Verdict, reason: str) -> None:
    rows, said, policy, _ = build(lambda pairs: [verdict for _ in pairs], grpo(), steps=21, problems_per_step=2, completions=2)
    assert len(said) == 1
    assert "No group had a signal in the last 20 steps" in said[0]
    assert reason in said[0]
    assert policy.version == 0, "no update happened"
    assert all(row["updates"] == 0 for row in rows)


def test_the_message_names_the_commonest_reason() -> None:
    step = {"groups_all_wrong": 0.1, "groups_all_right": 0.0, "groups_no_verdict": 0.7, "groups_equal": 0.2, "truncated_share": 0.9}
    text = no_signal_message([step] * 20)
    assert "the verifier reaches no verdict" in text
    assert "90% of completions reached the length limit" in text


def test_dynamic_sampling_refills_and_is_bounded(build: Callable[..., Any]) -> None:
    def verify(pairs: Iterable[tuple[Problem, str]]) -> list[Verdict]:
        return [(right() if n % 2 else wrong()) if problem.meta["index"] % 4 == 0 else wrong() for n, (problem, _) in enumerate(pairs)]

    dapo = grpo(name="dapo", overlong_cache=0, max_refills=9)
    row = build(verify, dapo, steps=1, problems_per_step=4)[0][0]
    assert row["groups_mixed"] == 1.0, "4 of the 16 problems are mixed; refills go on until all four are found"
    assert 0 < row["groups_replaced"] <= 12
    dapo = grpo(name="dapo", overlong_cache=0, max_refills=3)
    hopeless = build(lambda pairs: [wrong() for _ in pairs], dapo, steps=1, problems_per_step=4)[0][0]
    assert (hopeless["groups_dead"], hopeless["groups_replaced"], hopeless["completions"]) == (1.0, 12, 16)


def test_a_run_that_diverges_stops_and_says_what_it_saw(build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from rl import losses

    broken = Algorithm(grpo().advantage, lambda logp, old, advantage, mask: logp * torch.nan, losses.sequence_mean)
    verify: Any = lambda pairs: [right() if n % 2 else wrong() for n, _ in enumerate(pairs)]  # noqa: E731
    with pytest.raises(Diverged, match="3 steps in a row were not finite"):
        build(verify, broken, steps=5)


@pytest.mark.parametrize("name", ["grpo", "dr_grpo", "dapo", "gspo", "cispo", "rloo", "reinforce++", "reinforce++-baseline", "maxrl"])
def test_every_algorithm_learns_to_say_less(build: Callable[..., Any], name: str) -> None:
    """The reward prefers short completions; each algorithm must shorten them within a few steps."""

    def verify(pairs: Iterable[tuple[Problem, str]]) -> list[Verdict]:
        return [right() if len(response) <= 2 else wrong() for _, response in pairs]

    options = {"overlong_cache": 0} if name == "dapo" else {}
    rows = build(verify, grpo(name=name, **options), steps=25, completions=8)[0]
    assert rows[-1]["reward"] > rows[0]["reward"] + 0.15


def test_tensorboard_gets_the_numbers(build: Callable[..., Any], tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = Tracker(tmp_path / "metrics.jsonl", steps=2, name="r", tracker="tensorboard", config={"lr": 0.1, "reward": ("a",)})
    tracker.console.quiet = True
    with tracker:
        tracker.step(1, {"reward": 0.25})
        tracker.step(2, {"reward": 0.5})
    events = EventAccumulator(str(tmp_path / "tensorboard" / "r"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("reward")] == [(1, 0.25), (2, 0.5)]


def alternating(pairs: Iterable[tuple[Problem, str]]) -> list[Verdict]:
    return [right() if n % 2 else wrong() for n, _ in enumerate(pairs)]


def test_sampling_ahead_goes_on_during_the_update(build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[float] = []
    during_update: list[int] = []

    class Watched(HFEngine):
        def generate(self, *arguments: Any) -> Any:
            begun.append(time.monotonic())
            return super().generate(*arguments)

    update = Policy.update

    def slow(policy: Policy, *arguments: Any, **named: Any) -> Any:
        time.sleep(0.3)
        during_update.append(len(begun))
        return update(policy, *arguments, **named)

    def run(ahead: int) -> list[int]:
        begun.clear()
        during_update.clear()
        algorithm = grpo(correction=Correction("truncate", "token"))
        rows = build(alternating, algorithm, steps=3, engine=Watched(pad_id=0, copy=True), ahead=ahead)[0]
        assert [row["staleness"] for row in rows] == [0, ahead, ahead]
        return list(during_update)

    monkeypatch.setattr(Policy, "update", slow)
    assert run(ahead=0) == [1, 2, 3]
    assert run(ahead=1) == [2, 3, 3], "the next rollout is begun before an update has ended; after the last there is none"


def test_what_goes_wrong_ahead_ends_the_run(build: Callable[..., Any]) -> None:
    class Failing(HFEngine):
        calls = 0

        def generate(self, *arguments: Any) -> Any:
            self.calls += 1
            if self.calls == 3:
                raise MemoryError("no room for the cache")
            return super().generate(*arguments)

    with pytest.raises(MemoryError, match="no room"):
        build(alternating, grpo(), steps=5, engine=Failing(pad_id=0, copy=True), ahead=1)
