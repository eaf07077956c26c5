"""What sequences have in common is computed once, and every number is what it is when each is computed by itself."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers

from rl.forward.block_attention import Stretch, blocks_of
from rl.learning.adapters import Lora
from rl.learning.layout import shared
from rl.learning.learner import Learner, ValueHead
from rl.objectives.batch import Batch, lay_out, micro_batches, shared_micro_batches
from tests.rl.double_precision import doubled

SMALL: dict[str, Any] = {
    "vocab_size": 24, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0, "initializer_range": 0.3,
}  # fmt: skip
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", {}),
    "qwen2": ("Qwen2Config", {"tie_word_embeddings": True}),
    "qwen3": ("Qwen3Config", {"head_dim": 8}),
    "gemma": ("GemmaConfig", {"head_dim": 8}),
    "gemma3": ("Gemma3TextConfig", {"head_dim": 8, "sliding_window": 4, "query_pre_attn_scalar": 8, "layer_types": [
        "sliding_attention", "full_attention", "sliding_attention"]}),
}  # fmt: skip
TERMS = ("logp", "entropy", "value", "score")


def made(kind: str, **more: Any) -> Any:
    name, own = KINDS[kind]
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(getattr(transformers, name)(**SMALL | own | more))


def learner_of(model: Any, **settings: Any) -> Learner:
    learner = Learner(doubled(model), value_head=ValueHead(torch.linspace(-1, 1, 32)), device="cpu", **settings)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in learner.trainable.items():
        if "lora_" in name:
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator).double()
    return learner


def groups() -> Batch:
    """Three that share a prompt, one by itself, two whose prompts differ though their group is one, and one that has no completion."""
    random = torch.Generator().manual_seed(1)

    def some(count: int) -> list[int]:
        return torch.randint(2, 24, (count,), generator=random).tolist()

    prompt, other = some(6), some(5)
    rows = [(prompt, 4), (prompt, 9), (some(3), 7), (other, 3), (some(5), 6), (prompt, 1), (prompt, 0)]
    sequences = [begin + some(rest) for begin, rest in rows]
    masks = [[place > 1 and (place + n) % 4 > 0 for place in range(len(each))] for n, each in enumerate(sequences)]
    lengths = [len(begin) for begin, _ in rows]
    return lay_out(sequences, masks, lengths, groups=[0, 0, 1, 2, 2, 0, 0], temperature=1.3)


def gradient_of(learner: Learner, layout: Any) -> list[torch.Tensor]:
    """Terms, and the gradient of a sum of all of them, prompts' tokens among them."""
    batch = groups()
    learner.model.train()
    found = learner.token_terms(batch, layout=layout, terms=TERMS)
    factor = torch.randn(len(TERMS), len(batch.tokens), generator=torch.Generator().manual_seed(2)).double()
    total = sum((factor[n] * found[name]).sum() for n, name in enumerate(TERMS))
    parameters = list(learner.trainable.values())
    return [*(found[name] for name in TERMS), *torch.autograd.grad(total, parameters, allow_unused=True, materialize_grads=True)]


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("kind", KINDS)
def test_terms_and_gradient_are_those_of_padded_sequences(kind: str, lora: bool, one_thread: None) -> None:
    learner = learner_of(made(kind), lora=Lora(rank=2, alpha=4.0) if lora else None, layout="auto")
    assert learner.layout == "shared"
    for mine, expected in zip(gradient_of(learner, "shared"), gradient_of(learner, "padded"), strict=True):
        assert (mine - expected).norm() <= 1e-10 * expected.norm()
        assert expected.norm() > 1e-3


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
def test_a_layer_that_is_computed_again_attends_the_same(lora: bool, one_thread: None) -> None:
    adapter = Lora(rank=2, alpha=4.0) if lora else None
    plain, again = (learner_of(made("llama"), lora=adapter, gradient_checkpointing=each) for each in (False, True))
    for mine, expected in zip(gradient_of(again, "shared"), gradient_of(plain, "padded"), strict=True):
        assert (mine - expected).norm() <= 1e-10 * expected.norm()


def test_a_prompt_lies_in_the_row_once() -> None:
    batch = groups()
    laid = shared(batch)
    tokens, places = laid.inputs["input_ids"], laid.inputs["position_ids"]
    assert tokens.shape == (1, (6 + 4 + 9 + 1 + 0) + (3 + 7) + (5 + 3) + (5 + 6))
    assert torch.equal(tokens[0, laid.own], batch.tokens)
    assert torch.equal(places[0, laid.own], batch.position)
    inside = batch.position > 0
    assert torch.equal(places[0, laid.source[inside]], batch.position[inside] - 1)
    blocks = laid.inputs["blocks"]
    assert blocks.order.unique().numel() == tokens.numel(), "every token has an output of its own"


def test_attention_is_padded_little_and_in_few_blocks() -> None:
    """Lengths as reasoning has them: log-normal, mean about 200, none over 2,048; eight to a prompt of 50 to 256 tokens."""
    random = torch.Generator().manual_seed(0)
    stretches, laid = list[Stretch](), 0
    for _ in range(32):
        prompt = int(torch.randint(50, 257, (), generator=random))
        stretches.append(Stretch(laid, prompt))
        start, laid = laid, laid + prompt
        for length in (4.8 + torch.randn(8, generator=random)).exp().clamp(2, 2048).int().tolist():
            stretches.append(Stretch(laid, length, start, prompt))
            laid += length
    blocks = blocks_of(stretches, laid)
    area = sum(block.queries.numel() * block.keys.shape[1] for block in blocks.blocks)
    assert area < 1.3 * sum(stretch.area for stretch in stretches)
    assert len(blocks.blocks) < 80 < len(stretches) // 3
    widest = max(len(block.queries) * block.queries.shape[1] * block.keys.shape[1] for block in blocks.blocks)
    assert widest <= 2**26


@pytest.mark.parametrize("layout", ["shared", "packed"])
def test_less_than_three_hundredths_of_the_budget_are_left_free(layout: str) -> None:
    """In all micro-batches but the emptiest, of 512 sequences as above. Where groups stay whole, budgets hold a few of them."""
    random = torch.Generator().manual_seed(0)
    lengths = (4.8 + torch.randn(512, generator=random)).exp().clamp(2, 2048).long()
    prompts = torch.randint(50, 257, (64,), generator=random).repeat_interleave(8)
    whole, group, rows = prompts + lengths, torch.arange(512) // 8, torch.arange(512)
    row = rows.repeat_interleave(whole)
    batch = Batch(group[row] + 2, row, torch.ones(len(row), dtype=torch.bool), prompts, group)
    for budget in (8192, 16_384) if layout == "shared" else (2304, 4096, 16_384):
        if layout == "shared":
            parts = shared_micro_batches(batch, rows, budget)
            assert sum(len(group[part].unique()) for part in parts) == 64, "no prompt is computed twice"
            laid = [int(lengths[part].sum() + prompts[part[group[part].diff(prepend=torch.tensor([-1])) != 0]].sum()) for part in parts]
        else:
            parts = micro_batches(whole, rows, budget, packed=True)
            laid = [int(whole[part].sum()) for part in parts]
        assert torch.equal(torch.cat(parts).sort().values, rows)
        assert max(laid) <= budget
        fullest = sorted(laid)[1:]
        assert sum(fullest) > 0.97 * budget * len(fullest)


def test_a_model_that_takes_no_blocks_is_told_apart(make_llama: Callable[..., Any], one_thread: None) -> None:
    eager = made("llama", attn_implementation="eager")
    assert Learner(eager, layout="shared", device="cpu").layout == "padded"
    assert Learner(eager, layout="auto", device="cpu").layout == "padded"
    deaf = make_llama()
    own = deaf.model.forward
    deaf.model.forward = lambda *args, blocks=None, **kwargs: own(*args, **kwargs)
    assert Learner(deaf, layout="auto", device="cpu").layout == "padded"


def test_micro_batches_keep_groups_and_units_together_and_count_a_prompt_once() -> None:
    sizes = {0: (10, [3, 4, 5, 6]), 1: (2, [9, 9, 1, 1]), 2: (30, [1, 1, 1, 1]), 3: (5, [40, 3, 3, 3])}
    sequences, owners, prompts = list[list[int]](), list[int](), list[int]()
    for group, (prompt, rest) in sizes.items():
        for length in rest:
            sequences.append([group + 2] * prompt + [9] * length)
            owners.append(group)
            prompts.append(prompt)
    batch = lay_out(sequences, [[False] * len(each) for each in sequences], prompts, groups=owners)
    every = torch.arange(len(batch))

    def told(budget: int, unit: int) -> list[list[int]]:
        return [part.tolist() for part in shared_micro_batches(batch, every, budget, rows_per_unit=unit)]

    # whole: 10 + 18, 2 + 20, 30 + 4, 5 + 49; the last is over the budget and cut
    assert told(60, 1) == [[12, 13, 14, 15], [8, 9, 10, 11, 4, 5, 6, 7], [0, 1, 2, 3]]
    assert told(45, 1) == [[12], [8, 9, 10, 11], [0, 1, 2, 3, 13, 14, 15], [4, 5, 6, 7]]
    for budget in (1, 20, 45, 60, 1000):
        parts = told(budget, 2)
        assert sorted(row for part in parts for row in part) == every.tolist()
        assert all(part[n] % 2 == 0 and part[n + 1] == part[n] + 1 for part in parts for n in range(0, len(part), 2))
        laid = [len(shared(batch.take(torch.tensor(part))).inputs["input_ids"][0]) for part in parts]
        assert all(tokens <= budget or len(part) == 2 for tokens, part in zip(laid, parts, strict=True))
    assert told(1000, 2) == [[12, 13, 14, 15, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 6, 7]]
