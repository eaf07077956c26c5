"""The loop on a real tiny policy: verifiers that misbehave, dynamic sampling, silence, divergence, and what is logged."""

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rl.learning.learner import Diverged
from rl.learning.policy import Policy
from rl.learning.schedule import Schedule
from rl.loop.train import Loop, train
from rl.objectives.algorithms import Algorithm, named
from rl.objectives.policy_gradient import Correction, surrogate
from rl.runs.run_folder import RunFolder, read_lines
from rl.runs.tracking import Service, Tracker
from rollout.canary import SamplerIsNotThePolicy
from rollout.chat import Chat
from rollout.engine import PolicyWeights, Sampling
from rollout.engines.hf_engine import HFEngine
from rollout.player import Player
from verifiers.problem import Problem, make_problem
from verifiers.verdict import Status, StepScore, Verdict, right, wrong
from verifiers.worker_pool.verifier_pool import VerifierPool

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

        from recipes.setup.arithmetic import make_model

        torch.manual_seed(0)
        chat = Chat(tokenizer)
        policy = Policy(make_model(len(tokenizer), hidden=16, layers=1))
        folder = RunFolder.create(tmp_path / f"run-{time.monotonic_ns()}", {"options": {}})
        tracker = Tracker(folder.metrics_path, steps=steps)
        tracker.console.quiet = True
        said: list[str] = []
        tracker.say = said.append  # type: ignore[method-assign]
        completions = settings.pop("completions", 4)
        figures = settings.pop("figures", dict)
        loop = Loop(steps=steps, problems_per_step=settings.pop("problems_per_step", 16), lr=Schedule(5e-3, steps), **settings)
        sampling = Sampling(5, completions, stop_ids=chat.stop_ids)
        player = Player(engine or HFEngine(pad_id=chat.pad_id), chat, sampling, verify, figures)
        with tracker:
            train(loop=loop, policy=policy, player=player, problems=problems, algorithm=algorithm, run=folder, tracker=tracker)
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
    rows, _, _, _ = build(hostile_pool.verify_many, grpo(), steps=2, figures=hostile_pool.take_figures)
    assert time.monotonic() - began < 25, "4 hanging completions a step, half a second each on two workers"
    for row in rows:  # every problem is in every step: 16 problems x 4 completions, 4 of each bad kind
        assert row["verdicts/timeout"] == 4
        assert row["verdicts/crash"] == 8
        assert row["speed/verify_verdicts"] == 64
        assert row["speed/verify_replaced_workers"] >= 4 + 4, "a hanging verifier costs a worker, and so does one that leaves"
        assert row["speed/verify_p99_seconds"] >= 0.5 > row["speed/verify_p50_seconds"]
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


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (wrong(), "all 12 answers were cut at the length limit, and none was right"),
        (right(), "all 12 answers were right; the problems are too easy"),
        (Verdict(None, Status.TIMEOUT), r"12 of 12 answers got no verdict (12 timeout)"),
    ],
)
def test_three_silent_steps_say_why_in_counts(build: Callable[..., Any], verdict: Verdict, reason: str) -> None:
    """3 steps of 2 problems with 2 completions each; the next line comes after twenty more."""
    rows, said, policy, _ = build(lambda pairs: [verdict for _ in pairs], grpo(), steps=22, problems_per_step=2, completions=2)
    assert len(said) == 1
    assert said[0].startswith("No group had a signal in the last 3 steps, so nothing was learnt: ")
    assert "\n" not in said[0]
    if "cut" not in reason or all(row["truncated_share"] == 1 for row in rows[:3]):
        assert reason in said[0]
    assert policy.version == 0, "no update happened"
    assert all(row["updates"] == 0 for row in rows)


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


def graded(score: Callable[[Problem, int], Verdict]) -> Any:
    return lambda pairs: [score(problem, n) for n, (problem, _) in enumerate(pairs)]


def test_dynamic_sampling_asks_whether_correctness_differs(build: Callable[..., Any]) -> None:
    """A right answer that is shorter scores more; a group of right ones alone is replaced all the same."""

    def score(problem: Problem, n: int) -> Verdict:
        if problem.meta["index"] % 4 == 0:
            return (
                Verdict(1.0 - 0.1 * (n % 3), Status.RIGHT)
                if n % 2
                else Verdict(-0.1 * (n % 3), Status.NO_ANSWER if n % 3 else Status.WRONG)
            )
        return Verdict(1.0 - 0.1 * (n % 3), Status.RIGHT)

    dapo = grpo(name="dapo", overlong_cache=0, max_refills=9)
    row, folder = build(graded(score), dapo, steps=1, problems_per_step=4)[::3]
    groups, replaced, _ = folder.rollouts.read(1, {p.id: p for p in PROBLEMS})
    assert {group.problem.meta["index"] % 4 for group in groups} == {0}
    assert {group.problem.meta["index"] % 4 for group in replaced} == {1, 2, 3} or len(replaced) < 12
    assert all(group.informative and not group.contested for group in replaced)
    assert row[0]["groups_replaced"] == len(replaced) > 0


def test_a_step_is_filled_up_with_groups_whose_scores_differ_first(build: Callable[..., Any]) -> None:
    def score(problem: Problem, n: int) -> Verdict:
        return Verdict(1.0 + (n % 3 if problem.meta["index"] % 2 else 0), Status.RIGHT)

    dapo = grpo(name="dapo", overlong_cache=0, max_refills=3)
    rows, _, _, folder = build(graded(score), dapo, steps=1, problems_per_step=4)
    groups, replaced, _ = folder.rollouts.read(1, {p.id: p for p in PROBLEMS})
    assert len(groups) + len(replaced) == 16
    assert all(group.informative for group in groups)
    assert rows[0]["effective_batch"] > 0


def test_curves_average_over_all_groups_sampled(build: Callable[..., Any]) -> None:
    """Half right in the groups that are kept, none in those that are replaced: 16 x 4 completions were sampled, 8 of them right."""

    def score(problem: Problem, n: int) -> Verdict:
        return right() if problem.meta["index"] % 4 == 0 and n % 2 else wrong()

    dapo = grpo(name="dapo", overlong_cache=0, max_refills=9)
    rows, _, _, folder = build(graded(score), dapo, steps=1, problems_per_step=4)
    groups, replaced, _ = folder.rollouts.read(1, {p.id: p for p in PROBLEMS})
    scores = [v.score for group in [*groups, *replaced] for v in group.verdicts]
    row = rows[0]
    assert row["groups_replaced"] == len(replaced) > 0
    assert row["accuracy"] == row["reward"] == pytest.approx(8 / len(scores))
    assert row["verdicts/right"] == 8
    assert row["verdicts/wrong"] == len(scores) - 8
    lengths = [len(c.tokens) for group in [*groups, *replaced] for c in group.completions]
    assert row["length"] == pytest.approx(sum(lengths) / len(lengths))
    assert (row["completions"], row["groups_mixed"]) == (16, 1.0), "what trains"


def test_a_completion_that_the_engine_aborted_has_no_verdict(build: Callable[..., Any]) -> None:
    class Aborting(HFEngine):
        def generate(self, prompts: Any, sampling: Any, on_group: Any = None) -> Any:
            def heard(index: int, group: Any) -> None:
                group[0] = replace(group[0], finish="abort")
                on_group(index, group)

            return super().generate(prompts, sampling, heard)

    judged: list[str] = []

    def verify(pairs: Iterable[tuple[Problem, str]]) -> list[Verdict]:
        responses = [response for _, response in pairs]
        judged.extend(responses)
        return [right() if n % 2 else wrong() for n in range(len(responses))]

    rows, _, _, folder = build(verify, grpo(), steps=1, engine=Aborting(pad_id=0))
    groups, _, _ = folder.rollouts.read(1, {p.id: p for p in PROBLEMS})
    assert [[v.status for v in group.verdicts].index(Status.CRASH) for group in groups] == [0] * 16
    assert all(group.verdicts[0].score is None and "gave up" in group.verdicts[0].detail for group in groups)
    assert len(judged) == 16 * 3, "the verifier is not asked about them"
    assert (rows[0]["verdicts/crash"], rows[0]["trained_sequences"]) == (16, 48)


def test_a_run_that_diverges_stops_and_says_what_it_saw(build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    chosen = grpo()
    broken = replace(chosen, objective=surrogate(lambda terms, batch: terms["logp"] * torch.nan, chosen.objective.weight))
    verify: Any = lambda pairs: [right() if n % 2 else wrong() for n, _ in enumerate(pairs)]  # noqa: E731
    with pytest.raises(Diverged, match="3 steps in a row were not finite"):
        build(verify, broken, steps=5)


@pytest.mark.parametrize(
    "name",
    ["grpo", "dr_grpo", "dapo", "gspo", "cispo", "rloo", "reinforce++", "reinforce++-baseline", "maxrl", "raft", "pass-at-k", "best-of-n"],
)
def test_every_algorithm_learns_to_say_less(build: Callable[..., Any], name: str) -> None:
    """The reward prefers short completions; each algorithm must shorten them within a few steps."""

    def verify(pairs: Iterable[tuple[Problem, str]]) -> list[Verdict]:
        return [right() if len(response) <= 2 else wrong() for _, response in pairs]

    options = {"overlong_cache": 0} if name == "dapo" else {}
    rows = build(verify, grpo(name=name, **options), steps=25, completions=8)[0]
    assert rows[-1]["reward"] > rows[0]["reward"] + 0.15


def sevens(pairs: Iterable[tuple[Problem, str]]) -> list[Verdict]:
    """Every response is wrong, and each of its characters a step, right where it is a 7."""
    return [
        Verdict(0.0, Status.WRONG, steps=tuple(StepScore(n, float(character == "7")) for n, character in enumerate(response, 1)))
        for _, response in pairs
    ]


def test_steps_teach_what_outcomes_cannot(build: Callable[..., Any]) -> None:
    assert build(sevens, grpo(), steps=1)[2].version == 0
    folder = build(sevens, grpo(name="grpo-ps"), steps=20, completions=8)[3]
    problems, share = {problem.id: problem for problem in PROBLEMS}, []
    for step in (1, 20):
        groups, _, _ = folder.rollouts.read(step, problems)
        text = "".join(response for group in groups for response in group.responses)
        share.append(text.count("7") / len(text))
    assert share[1] > 2 * share[0] + 0.1


def test_tensorboard_gets_the_numbers(build: Callable[..., Any], tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = Tracker(tmp_path / "metrics.jsonl", steps=2, name="r", tracker=Service("tensorboard"), config={"lr": 0.1, "reward": ("a",)})
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
