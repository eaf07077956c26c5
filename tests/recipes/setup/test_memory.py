"""The memory of a plan: the tokens that a step can have, and real updates measured against what was planned without storage."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile
from transformers import LlamaConfig, LlamaForCausalLM, MixtralConfig

from recipes.setup import choices
from recipes.setup.memory import Facts, Memory, Sampled, Work, estimate, layout_of, of_worker, online_batch, parameters
from recipes.setup.options import Options
from rl.learning.adapters import Lora
from rl.learning.policy import Policy
from rl.measuring.planned_step import batch_of_lengths
from rl.objectives.algorithms import named
from rl.objectives.batch import Batch
from rl.saving.savings import Savings

ROWS, WIDTH = 8, 128


def facts(prompts: list[int]) -> Facts:
    return Facts(shape=None, lora=None, dtype="fp32", gradient_checkpointing=False, prompts=prompts, max_sequences=8)


@pytest.mark.parametrize(
    ("options", "prompts", "tokens"),
    [
        (Options(problems_per_step=2, completions_per_problem=4, max_completion_length=100), [200], 2400),
        (Options(problems_per_step=4, completions_per_problem=4, updates_per_rollout=2, max_completion_length=100), [400], 4000),
        (Options(problems_per_step=3, completions_per_problem=4, updates_per_rollout=2, max_completion_length=100), [400], 4000),
        (Options(problems_per_step=1, completions_per_problem=2, max_completion_length=10, steps=2), [30, 50, 40], 120),
    ],
)
def test_a_plan_counts_the_tokens_that_a_step_can_have(options: Options, prompts: list[int], tokens: int) -> None:
    """The last: two steps see two of three problems, and the one with the longer prompt counts (the seed draws 50 among the first two)."""
    assert len(online_batch(options, facts(prompts)).tokens) == tokens


def test_parts_are_counted_as_the_layout_makes_them() -> None:
    batch = batch_of_lengths([(10, [5, 5, 20])])

    def sizes(layout: Any, most: int) -> list[int]:
        return sorted(len(rows) for rows in Work(batch, layout, most).parts())

    assert sizes("padded", 60) == [1, 2]  # 30 + 15 + 15 tokens take 90 places
    assert sizes("packed", 60) == [3]
    assert sizes("shared", 40) == [3]  # the prompt once: 10 + 5 + 5 + 20
    assert sizes("shared", 39) == [1, 2]
    assert len(Work(batch, "padded", 60).largest()) == 2 or len(Work(batch, "padded", 60).largest().tokens) == 30


def test_the_layout_that_auto_means() -> None:
    shape = LlamaConfig()
    assert layout_of("auto", shape) == "shared"
    assert layout_of("auto", shape, "flash_attention_2") == "packed"
    assert layout_of("auto", shape, "eager") == "padded"
    assert layout_of("packed", shape, "eager") == "packed"


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


def groups_of(rows: int) -> Batch:
    """Two of each prompt; half of the tokens are the prompt's."""
    batch = batch_of_lengths([(WIDTH // 2, [WIDTH // 2] * 2)] * (rows // 2))
    return batch.with_columns({"sampler_logp": batch.mask * -5.0, "advantage": batch.mask * 1.0})


def test_bytes_are_counted_by_hand(one_thread: None) -> None:
    def work() -> None:
        first = torch.zeros(1000)
        second = first + 1
        del first
        second.sum()

    assert 8000 <= peak_bytes(work) < 8200  # 4000 of each; allocations are rounded up


@pytest.mark.parametrize(
    ("shape", "lora", "checkpointing", "layout", "least"),
    [
        ({}, None, False, "padded", 0.97),
        ({}, Lora(8), False, "shared", 0.97),
        ({"intermediate_size": 1536}, None, False, "packed", 0.97),
        ({"vocab_size": 8192, "num_hidden_layers": 1}, None, False, "shared", 0.97),
        ({"vocab_size": 80_000, "num_hidden_layers": 1}, None, False, "padded", 0.97),  # more logits than one chunk holds
        ({"num_hidden_layers": 6}, None, True, "padded", 0.97),
        ({"num_hidden_layers": 4}, Lora(8, dora=True), True, "shared", 0.97),
    ],
)
def test_a_planned_step_is_near_a_measured_one(
    shape: dict[str, Any], lora: Lora | None, checkpointing: bool, layout: Any, least: float, one_thread: None
) -> None:
    """The peak of the tensors that a second update of a Llama makes: the first one has made the optimiser's state."""
    config = LlamaConfig(
        **{
            "vocab_size": 512, "hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 3, "num_attention_heads": 4,
            "num_key_value_heads": 2, "max_position_embeddings": 512,
        } | shape
    )  # fmt: skip
    policy = Policy(
        LlamaForCausalLM(config), lora=lora, gradient_checkpointing=checkpointing, tokens_per_micro_batch=1 << 20, layout=layout
    )
    objective = named("grpo", max_completion_length=100).objective
    policy.update(groups_of(2), objective, lr=0.0)
    batch = groups_of(ROWS)
    measured = peak_bytes(lambda: policy.update(batch, objective, lr=0.0))
    work = Work(batch, layout, 1 << 20, terms=objective.terms, watches=objective.watches)
    planned = estimate(config, lora, work, bf16=False, checkpointing=checkpointing)
    held = sum(p.numel() * p.element_size() for p in policy.model.parameters())
    assert planned.weights == pytest.approx(held, rel=0.01)
    assert planned.optimizer == 8 * parameters(config, lora)[1]
    assert least < (planned.gradients + planned.activations) / measured < 1.05, (planned, measured)


def test_a_model_that_chooses_by_its_numbers_is_planned_by_a_formula() -> None:
    config = MixtralConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        num_local_experts=2, num_experts_per_tok=1, experts_implementation="eager",
    )  # fmt: skip
    planned = estimate(config, None, Work(batch_of_lengths([(4, [4])]), "shared", 100), bf16=False)
    assert "formula" in planned.note
    assert planned.optimizer == 8 * parameters(config, None)[1]
    assert planned.activations > 0


def test_what_other_optimisers_keep_is_counted_by_hand() -> None:
    work = Work(batch_of_lengths([(4, [4])]), "shared", 64)
    shape = LlamaConfig(vocab_size=64, hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
    matrices, norms = 2 + 7, 3  # all 64 x 64
    galore = estimate(shape, None, work, bf16=False, savings=Savings(optimizer="galore", galore_rank=16))
    assert galore.optimizer == matrices * 4 * 16 * 3 * 64 + norms * 8 * 64
    bits = estimate(shape, None, work, bf16=False, savings=Savings(optimizer="adamw-8bit"))
    assert bits.optimizer == matrices * (2 * 4096 + 2 * 4 * 16) + norms * 8 * 64


def test_a_critic_takes_what_it_holds(one_thread: None) -> None:
    """On the trunk next to nothing, as an adapter that and its moments, of its own what the policy holds between updates."""
    work = Work(batch_of_lengths([(4, [4] * 2)]), "shared", 64)
    shape = LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)
    for lora in (None, Lora(4)):
        alone = estimate(shape, lora, work, bf16=False)
        own = alone.weights + alone.optimizer
        held = {
            type(critic): estimate(shape, lora, work, bf16=False, critic=critic)
            for critic in (choices.TrunkCritic(), choices.AdapterCritic(), choices.SeparateCritic())
        }
        assert held[choices.TrunkCritic] == alone
        assert held[choices.SeparateCritic].critic == own
        assert held[choices.SeparateCritic].peak == alone.peak + own
        assert held[choices.AdapterCritic].critic == 12 * parameters(shape, lora)[1]


def test_sampling_takes_its_cache_its_logits_and_the_weights_that_an_adapter_lies_in() -> None:
    shape = LlamaConfig(vocab_size=1000, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)
    work = Work(batch_of_lengths([(4, [4] * 2)]), "shared", 64)
    planned = estimate(shape, Lora(4), work, bf16=False, sampled=Sampled(10, prompt=40, length=72, merges=True))
    assert planned.kv_cache == 10 * 72 * 2 * 2 * 32 * 4  # 40 and room for 32 more: no growth is needed
    assert planned.drawing == 10 * 1000 * 16
    assert planned.merged_weights == 2 * 4 * (4 * 32 * 32 + 3 * 32 * 64)
    grown = estimate(shape, Lora(4), work, bf16=False, sampled=Sampled(10, prompt=40, length=73))
    assert grown.kv_cache == 10 * (73 + 32) * 2 * 2 * 32 * 4
    assert grown.merged_weights == 0
    held = planned.weights + planned.optimizer
    assert planned.peak == held + planned.kv_cache + planned.merged_weights + planned.drawing


def test_a_policy_worker_holds_its_part_and_computes_a_pass_of_its_own() -> None:
    whole = Memory(
        weights=101, gradients=40, optimizer=80, reference=40, activations=7, kv_cache=1000, merged_weights=5, drawing=5
    )  # fmt: skip
    assert of_worker(whole, 4) == Memory(weights=26, gradients=10, optimizer=20, reference=10, activations=7, kv_cache=0)
    assert of_worker(whole, 4).peak == 26 + 10 + 20 + 10 + 7
