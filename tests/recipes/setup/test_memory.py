"""The memory of a plan: the tokens that a step can have, and a real update measured against the estimate."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile
from transformers import LlamaConfig, LlamaForCausalLM

from recipes.setup import choices
from recipes.setup.memory import Memory, estimate, micro_batch_tokens, of_worker, parameters
from recipes.setup.options import Options
from rl.learning.adapters import Lora
from rl.learning.policy import Policy
from rl.objectives.algorithms import named
from rl.objectives.batch import micro_batches
from tests.rl.grids import grid

ROWS, WIDTH = 16, 128


@pytest.mark.parametrize(
    ("options", "length", "tokens"),
    [
        (Options(problems_per_step=2, completions_per_problem=4), 300, 2400),  # 8 sequences are all that there is
        (Options(problems_per_step=64, completions_per_problem=8), 300, 16384),
        (Options(problems_per_step=4, completions_per_problem=4, updates_per_rollout=2), 500, 4000),  # 2 of the 4 groups at a time
        (Options(problems_per_step=3, completions_per_problem=4, updates_per_rollout=2), 500, 4000),
        (Options(tokens_per_micro_batch=100), 500, 500),  # a longer single sequence is a part of its own
    ],
)
def test_a_plan_counts_the_tokens_that_a_step_can_have(options: Options, length: int, tokens: int) -> None:
    assert micro_batch_tokens(options, length) == tokens


@pytest.mark.parametrize("seed", range(20))
def test_no_micro_batch_is_larger_than_planned(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    options = Options(problems_per_step=3 + seed, completions_per_problem=4, tokens_per_micro_batch=700)
    lengths = torch.randint(1, 101, (options.problems_per_step * 4,), generator=generator)
    parts = micro_batches(lengths, torch.arange(len(lengths)), options.tokens_per_micro_batch)
    assert max(len(part) * int(lengths[part].max()) for part in parts) <= micro_batch_tokens(options, 100)


def peak_bytes(work: Callable[[], object]) -> int:
    """The most bytes that were allocated and not yet freed at once: torch's own count, the same at each run (resident memory is not)."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        work()
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]  # type: ignore[union-attr]
    live = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        most = max(most, live)
    assert live == 0, "work left tensors behind, or the profiler missed some"
    return most


def update(policy: Policy, rows: int) -> None:
    mask = torch.ones(rows, WIDTH, dtype=torch.bool)
    mask[:, 0] = False
    advantage = torch.where(mask, 1.0, 0.0)
    batch = grid(mask, sampler_logp=advantage - 5, advantage=advantage)
    policy.update(batch, named("grpo", max_completion_length=100).objective, lr=0.0)


def test_bytes_are_counted_by_hand(one_thread: None) -> None:
    def work() -> None:
        first = torch.zeros(1000)
        second = first + 1
        del first
        second.sum()

    assert 8000 <= peak_bytes(work) < 8200  # 4000 of each; allocations are rounded up


@pytest.mark.parametrize(
    ("shape", "lora", "checkpointing"),
    [
        ({}, None, False),
        ({}, Lora(8), False),
        ({"intermediate_size": 3072}, None, False),
        ({"vocab_size": 8192, "num_hidden_layers": 2}, None, False),
        ({"vocab_size": 32_000, "num_hidden_layers": 2}, None, False),  # more logits than one chunk holds
        ({"num_hidden_layers": 12}, None, True),
    ],
)
def test_planned_activations_are_near_a_measured_update(
    shape: dict[str, Any], lora: Lora | None, checkpointing: bool, one_thread: None
) -> None:
    """The peak of the tensors that a second update of a Llama makes: the first one has made the optimiser's state."""
    config = LlamaConfig(
        **{
            "vocab_size": 512, "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 6, "num_attention_heads": 4,
            "num_key_value_heads": 2, "max_position_embeddings": 512,
        } | shape
    )  # fmt: skip
    policy = Policy(LlamaForCausalLM(config), lora=lora, gradient_checkpointing=checkpointing, tokens_per_micro_batch=1 << 20)
    update(policy, rows=1)
    measured = peak_bytes(lambda: update(policy, ROWS))
    planned = estimate(
        config, lora, bf16=False, checkpointing=checkpointing, micro_batch=ROWS * WIDTH, copy_reference=False, sequences=1, length=WIDTH
    ).activations
    assert 0.85 < planned / measured < 1.2, (planned, measured)


def test_a_critic_takes_what_it_holds(one_thread: None) -> None:
    """On the trunk next to nothing, as an adapter that and its moments, of its own what the policy takes without its activations."""
    asked: dict[str, Any] = {"bf16": False, "checkpointing": False, "micro_batch": 64, "copy_reference": False, "sequences": 1, "length": 8}
    shape = LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)
    for lora in (None, Lora(4)):
        alone = estimate(shape, lora, **asked)
        own = alone.weights + alone.gradients + alone.optimizer
        held = {
            type(critic): estimate(shape, lora, critic=critic, **asked)
            for critic in (choices.TrunkCritic(), choices.AdapterCritic(), choices.SeparateCritic())
        }
        assert held[choices.TrunkCritic] == alone
        assert held[choices.SeparateCritic].critic == own
        assert held[choices.SeparateCritic].peak == alone.peak + own
        assert held[choices.AdapterCritic].critic == 16 * parameters(shape, lora)[1]


def test_a_policy_worker_holds_its_part_and_computes_a_pass_of_its_own() -> None:
    whole = Memory(weights=101, gradients=40, optimizer=80, reference=40, activations=7, kv_cache=1000)
    assert of_worker(whole, 4) == Memory(weights=26, gradients=10, optimizer=20, reference=10, activations=7, kv_cache=0)
    assert of_worker(whole, 4).peak == 26 + 10 + 20 + 10 + 7
