"""What an optimiser step starts from (old log-probabilities, rates), gradients that are not finite, and the syncs between steps."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from rl.learning.learner import STEPS_BEFORE_GIVING_UP, Diverged
from rl.learning.policy import Policy
from rl.learning.reference import MovingAverage, Reference, initial_reference
from rl.learning.schedule import Schedule
from rl.learning.scoring import prepare
from rl.learning.update_stats import UpdateStats
from rl.loop.engine_sync import EngineSync
from rl.loop.train import Loop, _Step
from rl.objectives import policy_gradient
from rl.objectives.algorithms import Algorithm, named
from rl.objectives.batch import Batch, lay_out, split
from rl.objectives.objective import Terms
from rl.objectives.policy_gradient import KL, surrogate
from rl.objectives.supervised import sft
from rollout.chat import Chat
from rollout.engine import Completion, PolicyWeights, Sampling
from rollout.engines.hf_engine import HFEngine
from rollout.engines.ray_engines import _Actor
from rollout.player import Group, Player
from tests.rl.rollouts import with_credit
from verifiers.problem import make_problem
from verifiers.verdict import right, wrong


def groups_of(scores: list[list[int]], seed: int = 0) -> list[Group]:
    generator = torch.Generator().manual_seed(seed)

    def tokens(low: int, high: int) -> list[int]:
        length = int(torch.randint(low, high + 1, (1,), generator=generator))
        return [int(token) for token in torch.randint(2, 24, (length,), generator=generator)]

    def group(number: int, row: list[int]) -> Group:
        said = [tokens(2, 30) for _ in row]
        completions = tuple(Completion(text, [-1.0] * len(text), [True] * len(text), "stop", 0) for text in said)
        verdicts = tuple(right() if score else wrong() for score in row)
        return Group(make_problem(str(number), ""), tokens(1, 9), completions, ("",) * len(row), verdicts)

    return [group(number, row) for number, row in enumerate(scores)]


def learn(
    groups: list[Group], policy: Policy, algorithm: Algorithm, *, parts: int, lr: float, epochs: int = 1, reference: Reference | None = None
) -> list[UpdateStats]:
    """The optimiser steps that the loop takes on one rollout of groups of four."""
    loop = Loop(1, len(groups), Schedule(lr, 1), updates_per_rollout=parts, epochs_per_rollout=epochs)
    step = _Step.__new__(_Step)  # without what samples, which this part of it does not need
    step.__dict__.update(loop=loop, policy=policy, algorithm=algorithm, reference=reference, critic=None)
    batch = with_credit(groups, algorithm)
    scored = batch.with_columns(prepare(batch, algorithm.objective.reads, learner=policy, reference=reference))
    return step._learn(scored, rows_per_group=4, step=1)[0]


class Watched:
    """A token loss that notes how far the policy is from what it takes for old."""

    def __init__(self) -> None:
        self.gaps: list[float] = []

    def __call__(self, terms: Terms, batch: Batch) -> torch.Tensor:
        if torch.is_grad_enabled() and not terms["logp"].is_leaf:  # and not the measure's own look
            old = policy_gradient.old_logp(terms, batch)
            self.gaps.append(float((terms["logp"].detach() - old)[batch.mask].abs().max()))
        return policy_gradient.clipped_sequence_ratio(terms, batch)


def watched(watch: Watched, **terms: Any) -> Algorithm:
    gspo = named("gspo", max_completion_length=30)
    return replace(gspo, objective=surrogate(watch, gspo.objective.weight, **terms))


MIXED = [[1, 0, 1, 1], [0, 0, 0, 0], [1, 0, 0, 1], [0, 1, 1, 1]]


@pytest.mark.parametrize("layout", ["padded", "packed", "shared"])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("terms", [{}, {"kl": KL(0.1)}], ids=["taught rows", "all rows"])
def test_old_log_probabilities_come_from_the_updates_own_micro_batches(
    dtype: Any, terms: dict[str, Any], layout: Any, make_qwen2: Callable[..., Any]
) -> None:
    """As long as nothing was learnt (rate 0), every ratio is exactly 1, in bf16 too, however a step is cut and however often taken."""
    watch = Watched()
    room = 40 if layout == "shared" else 60  # so that each update has several micro-batches: a prompt that is there once takes less
    policy = Policy(make_qwen2(), dtype=dtype, device="cpu", tokens_per_micro_batch=room, layout=layout)
    assert policy.layout == layout
    reference = initial_reference(policy) if terms else None
    stats = learn(groups_of(MIXED), policy, watched(watch, **terms), parts=2, epochs=2, lr=0.0, reference=reference)
    assert [each.updates for each in stats] == [1] * 4
    assert len(watch.gaps) > 8
    assert watch.gaps == [0.0] * len(watch.gaps)
    assert [each.measured["clipped_share"] for each in stats] == [0] * 4


def test_a_rollouts_first_part_is_not_scored_twice_and_later_ones_only_where_they_teach(
    make_qwen2: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = Policy(make_qwen2(), device="cpu")
    scored: list[int] = []
    forward = Policy._forward

    def counted(self: Policy, part: Batch, **options: Any) -> Any:
        if not torch.is_grad_enabled():
            scored.append(len(part))
        return forward(self, part, **options)

    monkeypatch.setattr(Policy, "_forward", counted)
    chosen = named("grpo", max_completion_length=30)
    learn(groups_of(MIXED), policy, chosen, parts=1, lr=1e-3)
    assert scored == []
    learn(groups_of(MIXED), policy, chosen, parts=4, lr=1e-3)
    assert sum(scored) == 8, "two of the last three groups of four teach"
    scored.clear()
    learn(groups_of(MIXED), policy, chosen, parts=1, lr=1e-3, epochs=3)
    assert sum(scored) == 12, "a second epoch needs what the policy said before the first, once"


@pytest.mark.parametrize("epochs", [1, 2])
def test_two_updates_are_what_they_were_with_old_scored_for_the_whole_rollout(epochs: int, make_qwen2: Callable[..., Any]) -> None:
    """In float32 the numbers are those of scoring everything once, before the first update."""
    mine, other = Policy(make_qwen2(), device="cpu"), Policy(make_qwen2(), device="cpu")
    chosen = named("grpo", max_completion_length=30)
    learn(groups_of(MIXED), mine, chosen, parts=2, lr=1e-3, epochs=epochs)
    batch = with_credit(groups_of(MIXED), chosen)
    batch = batch.with_columns({"old_logp": other.score(batch)})
    for part in list(split(batch, 2, 4)) * epochs:
        other.update(part, chosen.objective, lr=1e-3)
    for (name, value), expected in zip(mine.trainable.items(), other.trainable.values(), strict=True):
        torch.testing.assert_close(value, expected, atol=2e-6, rtol=0, msg=name)


def test_a_moving_average_follows_each_step_that_was_taken_and_none_that_was_skipped(make_qwen2: Callable[..., Any]) -> None:
    policy = Policy(make_qwen2(), device="cpu")
    reference = MovingAverage(policy, decay=0.5)
    followed: list[int] = []
    reference.follow = lambda: followed.append(policy.version)  # type: ignore[method-assign]
    chosen = named("grpo", max_completion_length=30)
    learn(groups_of(MIXED), policy, chosen, parts=2, lr=1e-3, reference=reference)
    assert followed == [1, 2]
    poison = policy.trainable["model.norm.weight"].register_hook(lambda gradient: gradient * torch.nan)
    learn(groups_of(MIXED), policy, chosen, parts=2, lr=1e-3, reference=reference)
    poison.remove()
    assert followed == [1, 2]


@pytest.mark.parametrize("poisoned", ["model.norm.weight", "model.layers.0.mlp.up_proj.weight"])
def test_the_message_names_the_gradients_that_were_not_finite_before_clipping(poisoned: str, make_qwen2: Callable[..., Any]) -> None:
    policy = Policy(make_qwen2(), device="cpu")
    chosen = named("grpo", max_completion_length=30)
    batch = with_credit(groups_of(MIXED), chosen)
    hook = policy.trainable[poisoned].register_hook(lambda gradient: gradient * torch.nan)
    for _ in range(STEPS_BEFORE_GIVING_UP - 1):
        policy.update(batch, chosen.objective, lr=0.1)
    with pytest.raises(Diverged, match=rf"not finite in 1 of {len(policy.trainable)} tensors, first {poisoned}\."):
        policy.update(batch, chosen.objective, lr=0.1)
    hook.remove()


def test_a_norm_that_overflows_is_not_blamed_on_the_loss(make_qwen2: Callable[..., Any]) -> None:
    policy = Policy(make_qwen2(), device="cpu")
    chosen = named("grpo", max_completion_length=30)
    batch = with_credit(groups_of(MIXED), chosen)
    policy.trainable["model.norm.weight"].register_hook(lambda gradient: torch.full_like(gradient, 1e30))
    policy.skipped_in_a_row = STEPS_BEFORE_GIVING_UP - 1
    with pytest.raises(Diverged, match="gradients not finite in none; their norm is too large"):
        policy.update(batch, chosen.objective, lr=0.1)


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (2, 0), (10, 0), (10, 3), (5, 4), (4, 4)])
def test_cosines_last_step_is_not_wasted_at_rate_0(steps: int, warmup: int) -> None:
    rates = [Schedule(1.0, steps, warmup, "cosine")(step) for step in range(steps)]
    assert min(rates) > 0
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    if steps - warmup == 1:
        assert rates[-1] == pytest.approx(0.5)  # half way between the peak before it and the 0 after it


# --- between the steps ----------------------------------------------------------------------------------------------------


class Counted(HFEngine):
    """Notes the versions that were moved."""

    def __init__(self) -> None:
        super().__init__(pad_id=0)
        self.moved: list[int] = []

    def load_policy(self, weights: PolicyWeights, version: int) -> int:
        self.moved.append(version)
        return super().load_policy(weights, version) + 7


def sync_of(policy: Policy, engine: HFEngine, tokenizer: Any) -> EngineSync:
    return EngineSync(policy, Player(engine, Chat(tokenizer), Sampling(4, 1), lambda pairs: []), [make_problem("1+1=", "2")])


def test_a_sync_that_would_move_the_same_version_again_is_skipped(tokenizer: Any) -> None:
    from recipes.setup.arithmetic import make_model

    torch.manual_seed(0)
    policy, engine = Policy(make_model(len(tokenizer), hidden=16, layers=1), device="cpu"), Counted()
    sync = sync_of(policy, engine, tokenizer)
    sync.sync()
    first = sync.facts()
    sync.sync()
    assert engine.moved == [0]
    assert sync.facts() == first, "what is logged does not depend on whether it was this sync or one before"
    policy.update(lay_out([[3, 4, 5, 6]], [[False, True, True, True]], [1]), sft(), lr=1e-3)
    sync.sync()
    sync.sync()
    assert engine.moved == [0, 1]


def test_a_sync_that_failed_is_tried_again(tokenizer: Any) -> None:
    from recipes.setup.arithmetic import make_model

    class Failing(Counted):
        def score(self, *arguments: Any, **named: Any) -> Any:
            if len(self.moved) == 1:
                raise TimeoutError
            return super().score(*arguments, **named)

    policy, engine = Policy(make_model(len(tokenizer), hidden=16, layers=1), device="cpu"), Failing()
    sync = sync_of(policy, engine, tokenizer)
    with pytest.raises(TimeoutError):
        sync.sync()
    sync.sync()
    assert engine.moved == [0, 0]


def test_a_ray_actors_replica_keeps_the_policy_on_the_cpu_beside_an_engine_with_its_own_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    class OwnCopy:
        """As vLLM: it copies what it is given to the GPU."""

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert _Actor(OwnCopy).replica.device.type == "cpu"  # type: ignore[arg-type]
    assert _Actor(lambda: HFEngine(pad_id=0)).replica.device.type == "cuda", "it samples from the replica itself"


def test_engine_sleep_wakes_after_the_trainers_cache_was_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    from rollout.engines.vllm_engine import VLLMEngine

    calls: list[str] = []

    class LLM:
        def wake_up(self) -> None:
            calls.append("wake")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append("empty"))
    engine = VLLMEngine.__new__(VLLMEngine)  # vLLM itself need not be here
    engine._llm, engine._asleep = LLM(), True
    engine._wake_up()
    engine._wake_up()
    assert calls == ["empty", "wake"]
