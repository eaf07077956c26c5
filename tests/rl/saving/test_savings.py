"""Ways to train with less memory change no gradient, and their optimisers are what their papers say."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import LlamaConfig, LlamaForCausalLM

from rl.learning.adapters import Lora
from rl.learning.learner import VALUE_HEAD, Learner, Optimizer, ValueHead
from rl.measuring.live_memory import LiveMemory
from rl.measuring.planned_step import batch_of_lengths
from rl.objectives.supervised import sft
from rl.saving.optimizers import GaLoreAdamW, InBackward, parameter_groups
from rl.saving.savings import Savings
from tests.rl.rollouts import assert_same, gradient, randomise_adapter
from verifiers.input_error import InputError

LORA = Lora(rank=4, alpha=8.0)


def batch_of():
    """Four sequences of two prompts, of tokens that differ."""
    batch = batch_of_lengths([(6, [8, 5]), (4, [7, 9])])
    tokens = torch.arange(len(batch.tokens)) * 7 % 11 + 1
    shared = torch.where(batch.completion, tokens, batch.position + 2)  # a group's prompts are the same
    return replace(batch, tokens=shared)


def counted(learner, batch, objective, layout="shared"):
    """(gradients, calls of the second layer's MLP, bytes of the pass)."""
    calls = []
    layer = next(module for name, module in learner.model.named_modules() if name.endswith("layers.1.mlp"))
    layer.register_forward_pre_hook(lambda *_: calls.append(1))
    with LiveMemory(learner.model.parameters()) as memory:
        found = gradient(learner, batch, objective, layout=layout)[0]
    return found, len(calls), memory.peak


class Calls(TorchDispatchMode):
    """How often operators whose name has a word in it were computed."""

    def __init__(self, *words):
        super().__init__()
        self.count = dict.fromkeys(words, 0)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        for word in self.count:
            self.count[word] += word in func.__name__ and "backward" not in func.__name__
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "lora"])
def test_selective_checkpoints_give_the_same_gradient_and_compute_again_what_they_say(make_qwen2, lora):
    found, calls = {}, {}
    for name in ("plain", "all", "all-but-attention", "all-but-products"):
        savings = Savings() if name == "plain" else Savings(recompute=name)
        learner = Learner(make_qwen2(), lora=lora, gradient_checkpointing=name != "plain", savings=savings, device="cpu")
        randomise_adapter(learner)
        with Calls("attention", "mm", "rsqrt") as counted_calls:
            found[name] = gradient(learner, batch_of(), sft(), layout="shared")[0]
        calls[name] = counted_calls.count
        assert_same(found[name], found["plain"])
    assert calls["all"]["attention"] == 2 * calls["plain"]["attention"]
    assert calls["all-but-attention"]["attention"] == calls["plain"]["attention"] == calls["all-but-products"]["attention"]
    assert calls["all-but-products"]["mm"] <= 1.1 * calls["plain"]["mm"] < calls["all-but-attention"]["mm"]
    assert calls["plain"]["rsqrt"] < calls["all-but-products"]["rsqrt"] == calls["all"]["rsqrt"]


def test_every_second_layer_is_computed_again(make_qwen2):
    batch = batch_of()
    plain = Learner(make_qwen2(), device="cpu")
    some = Learner(make_qwen2(), gradient_checkpointing=True, savings=Savings(recompute_every=2), device="cpu")
    expected, found = counted(plain, batch, sft()), counted(some, batch, sft())
    assert_same(found[0], expected[0])
    assert found[1] == expected[1], "the second layer is not"
    assert found[2] < expected[2], "the first is"


def test_lora_plus_is_pefts(make_qwen2):
    from peft.optimizers import create_loraplus_optimizer

    ours = Learner(make_qwen2(), lora=Lora(rank=4, alpha=8.0, plus=16.0), optimizer=Optimizer(max_grad_norm=1e9), device="cpu")
    theirs = Learner(make_qwen2(), lora=LORA, optimizer=Optimizer(max_grad_norm=1e9), device="cpu")
    randomise_adapter(ours)
    randomise_adapter(theirs)
    theirs.optimizer = create_loraplus_optimizer(theirs.model, torch.optim.AdamW, lr=1e-2, loraplus_lr_ratio=16.0)
    for group in theirs.optimizer.param_groups:
        group["lr_scale"] = group["lr"] / 1e-2
    for learner in (ours, theirs):
        learner.update(batch_of(), sft(), lr=1e-2)
    assert_same(dict(ours.model.named_parameters()), dict(theirs.model.named_parameters()))
    plain = Learner(make_qwen2(), lora=LORA, optimizer=Optimizer(max_grad_norm=1e9), device="cpu")
    randomise_adapter(plain)
    plain.update(batch_of(), sft(), lr=1e-2)
    name = next(name for name in plain.trainable if "lora_B" in name)
    assert not torch.allclose(plain.trainable[name], ours.trainable[name])


def test_lora_plus_goes_on_from_a_checkpoint(make_qwen2, tmp_path: Path):
    """The optimiser's state is counted in its own order: A first, then B."""
    lora = Lora(rank=4, alpha=8.0, plus=4.0)
    first, second = (Learner(make_qwen2(), lora=lora, device="cpu") for _ in range(2))
    first.update(batch_of(), sft(), lr=1e-2)
    first.save(tmp_path)
    second.load(tmp_path)
    for learner in (first, second):
        learner.update(batch_of(), sft(), lr=1e-2)
    assert_same(second.trainable, first.trainable)


def test_rslora_scales_by_the_root_of_the_rank(make_qwen2, tmp_path: Path):
    learner = Learner(make_qwen2(), lora=Lora(rank=16, alpha=8.0, rslora=True), device="cpu")
    scales = {layer.scaling["default"] for layer in learner.model.modules() if hasattr(layer, "lora_A")}
    assert scales == {8.0 / 4.0}
    from rl.learning.adapters import saved_lora

    learner.save_model(tmp_path)
    assert saved_lora(str(tmp_path)).rslora


@pytest.mark.parametrize("budget", [1 << 20, 8])
def test_a_step_in_the_backward_pass_is_the_step_behind_it(make_qwen2, budget):
    """With one micro-batch and with several, the last of which makes it; weights that two modules share step once."""
    unclipped = Optimizer(max_grad_norm=1e9, weight_decay=0.1)
    plain, within = (
        Learner(make_qwen2(), optimizer=unclipped, tokens_per_micro_batch=budget, savings=savings, device="cpu")
        for savings in (Savings(), Savings(update_in_backward=True))
    )
    for _ in range(2):
        expected, found = (learner.update(batch_of(), sft(), lr=1e-2) for learner in (plain, within))
    assert found.grad_norm == pytest.approx(expected.grad_norm, rel=1e-4)
    assert (found.updates, within.version) == (1, 2)
    assert_same(within.trainable, plain.trainable)
    assert all(p.grad is None for p in within.trainable.values())


def test_a_step_in_the_backward_pass_holds_one_gradient_at_a_time():
    parameters = [nn.Parameter(torch.ones(1000)) for _ in range(8)]
    optimizer = torch.optim.AdamW(parameters, lr=0.0)
    within = InBackward(optimizer)
    within.run(sum(p.square().sum() for p in parameters), 0.0)  # moments are there
    loss = sum(p.square().sum() for p in parameters)
    with LiveMemory([*parameters, *(x for state in optimizer.state.values() for x in state.values())]) as memory:
        within.run(loss, 0.0)
    assert memory.peak < 5 * 4000, "eight gradients would be 32,000 bytes"


def test_a_value_head_that_came_after_the_model_steps_in_the_backward_pass_too(make_qwen2):
    judged = replace(sft(), terms=("logp", "value"), loss=lambda terms, batch: (terms["value"] - 1).square() - terms["logp"])
    unclipped = Optimizer(max_grad_norm=1e9)
    plain, within = (
        Learner(make_qwen2(), optimizer=unclipped, value_head=ValueHead(lr_scale=3.0), savings=savings, device="cpu")
        for savings in (Savings(), Savings(update_in_backward=True))
    )
    for learner in (plain, within):
        for _ in range(2):
            learner.update(batch_of(), judged, lr=1e-2)
    assert plain.trainable[VALUE_HEAD].abs().sum() > 0
    assert_same(within.trainable, plain.trainable)


def test_what_the_last_micro_batch_does_not_reach_steps_in_the_backward_pass_too():
    """An expert that none of its tokens is sent to."""
    reached, left = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    within = InBackward(torch.optim.SGD([reached, left], lr=0.0))
    (reached.sum() + left.sum()).backward()
    square, _, _ = within.run(reached.sum(), 0.5)
    assert (reached.tolist(), left.tolist()) == ([0.0] * 3, [0.5] * 3)
    assert square == pytest.approx(3 * 4.0 + 3 * 1.0)
    assert left.grad is None


def test_a_gradient_that_is_not_finite_leaves_its_parameter_alone_and_is_counted(make_qwen2):
    learner = Learner(make_qwen2(), savings=Savings(update_in_backward=True), device="cpu")
    learner.trainable["model.norm.weight"].register_hook(lambda g: g * torch.nan)
    before = learner.trainable["model.norm.weight"].detach().clone()
    stats = learner.update(batch_of(), sft(), lr=1e-2)
    assert (stats.skipped, stats.updates, learner.version) == (1, 1, 1)
    assert torch.equal(before, learner.trainable["model.norm.weight"])


def test_a_step_in_the_backward_pass_of_which_nothing_was_finite_is_none(make_qwen2):
    learner = Learner(make_qwen2(), savings=Savings(update_in_backward=True), device="cpu")
    broken = replace(sft(), loss=lambda terms, batch: terms["logp"] * torch.nan)
    stats = learner.update(batch_of(), broken, lr=1e-2)
    assert (stats.skipped, stats.updates, learner.version) == (1, 0, 0)


def test_galore_with_the_whole_rank_is_adamw_in_another_basis_and_with_a_low_one_moves_within_it():
    torch.manual_seed(0)
    weight, target = nn.Parameter(torch.zeros(6, 10)), torch.randn(6, 10)
    galore = GaLoreAdamW([weight], lr=0.1, rank=2, every=3, scale=1.0)
    for _ in range(3):
        weight.grad = (weight - target).detach()
        galore.step()
        weight.grad = None
    assert torch.linalg.matrix_rank(weight.detach(), rtol=1e-4) == 2
    assert galore.state[weight]["exp_avg"].shape == (2, 10)
    vector, plain = nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(5))
    one, other = (
        GaLoreAdamW([vector], lr=0.1, rank=2, every=3, scale=0.25, weight_decay=0.1),
        torch.optim.AdamW([plain], lr=0.1, weight_decay=0.1),
    )
    for _ in range(4):
        for parameter, optimizer in ((vector, one), (plain, other)):
            parameter.grad = torch.arange(5.0) - parameter.detach()
            optimizer.step()
    torch.testing.assert_close(vector, plain)  # what is no matrix is AdamW's


def test_galore_goes_on_from_a_checkpoint_and_learns(make_qwen2, tmp_path: Path):
    savings = Savings(optimizer="galore", galore_rank=4, galore_every=2)
    first, second = (Learner(make_qwen2(), savings=savings, device="cpu") for _ in range(2))
    losses = [first.update(batch_of(), sft(), lr=1e-2).loss for _ in range(6)]
    assert losses[-1] < losses[0]
    first.save(tmp_path)
    second.load(tmp_path)
    for learner in (first, second):
        learner.update(batch_of(), sft(), lr=1e-2)
    assert_same(second.trainable, first.trainable)


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
def test_moments_of_eight_bits_are_a_quarter_and_go_on_from_a_checkpoint(one_thread, tmp_path: Path):
    def made():
        torch.manual_seed(0)
        shape = LlamaConfig(vocab_size=256, hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
        return Learner(LlamaForCausalLM(shape), savings=Savings(optimizer="adamw-8bit"), device="cpu")

    first, second = made(), made()
    first.update(batch_of(), sft(), lr=1e-2)
    first.save(tmp_path)
    second.load(tmp_path)
    for learner in (first, second):
        learner.update(batch_of(), sft(), lr=1e-2)
    assert_same(second.trainable, first.trainable)
    large = max(first.trainable.values(), key=lambda p: p.numel())
    assert first.optimizer.state[large]["state1"].dtype == torch.uint8


@pytest.mark.parametrize(
    ("savings", "settings", "words"),
    [
        (Savings(recompute="all-but-attention"), {}, "--recompute would be ignored without --gradient-checkpointing"),
        (Savings(recompute_every=2), {}, "--recompute-every would be ignored"),
        (Savings(galore_rank=4), {}, "--galore-rank would be ignored with --optimizer adamw"),
        (Savings(optimizer="galore"), {"full": False}, "use --tune full"),
        (Savings(optimizer="galore"), {"one_process": False}, "--policy-workers cuts"),
        (Savings(update_in_backward=True), {"full": False}, "an adapter has few"),
        (Savings(update_in_backward=True), {"one_process": False}, "with --policy-workers"),
        (Savings(update_in_backward=True), {"clips": True}, "--max-grad-norm"),
    ],
)
def test_what_cannot_be_is_one_line(savings, settings, words):
    with pytest.raises(InputError, match=words):
        savings.check(**{"gradient_checkpointing": False, "full": True} | settings)


def test_groups_are_one_without_lora_plus():
    p = nn.Parameter(torch.ones(1))
    assert parameter_groups({"a.lora_B": p}) == [{"params": [p]}]
