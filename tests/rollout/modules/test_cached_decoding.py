"""Sampling with every prompt read once draws what `generate` draws, whoever leaves the batch, and is refused to models that cannot."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import transformers

from rl.learning.adapters import Lora
from rl.learning.policy import Policy
from rollout.engine import Completion, Sampling
from rollout.engines.hf_engine import HFEngine
from rollout.modules.cached_decoding import decodes, draw

PROMPTS = [[3, 4, 5], [6], [7, 8, 9, 10, 11, 12, 2], [6, 6]]


def test_a_token_is_drawn_where_the_cumulated_probability_passes_the_number() -> None:
    logits = torch.tensor([0.1, 0.2, 0.0, 0.7]).log().expand(6, 4)
    uniform = torch.tensor([0.0, 0.0999, 0.1001, 0.2999, 0.3001, 1 - 2**-53], dtype=torch.float64)
    tokens, logp = draw(logits, uniform, 1.0)
    assert tokens.tolist() == [0, 0, 1, 1, 3, 3], "the third is impossible"
    torch.testing.assert_close(logp.exp(), torch.tensor([0.1, 0.1, 0.2, 0.2, 0.7, 0.7]))
    # at temperature 0.5: 0.01, 0.04 and 0.49 of 0.54
    tokens, logp = draw(logits, torch.tensor([0.018, 0.019, 0.092, 0.093, 0.5, 0.9], dtype=torch.float64), 0.5)
    assert tokens.tolist() == [0, 1, 1, 3, 3, 3]
    assert logp[0].exp().item() == pytest.approx(0.01 / 0.54, rel=1e-5)
    tokens, logp = draw(logits, uniform, 0.0)
    assert tokens.tolist() == [3] * 6
    assert logp[0].exp().item() == pytest.approx(0.7, rel=1e-6)


def test_a_large_vocabularys_tail_is_drawn_as_often_as_it_is_likely(monkeypatch: pytest.MonkeyPatch) -> None:
    """One token of half the mass first, then 100,000 of 5e-6 each: the k-th of them is drawn by the middle of its own interval."""
    logits = torch.cat([torch.tensor([0.5]), torch.full((100_000,), 5e-6)]).log()[None].expand(3, -1)
    places = torch.tensor([1, 50_000, 99_999])
    monkeypatch.setattr("rollout.modules.cached_decoding._MOST_DRAWN_AT_ONCE", 100_001)  # a row at a time
    tokens, _ = draw(logits, 0.5 + 5e-6 * (places.double() - 0.5), 1.0)
    assert (tokens - places).abs().max() <= 1


def test_a_broken_policy_draws_something_and_says_nan() -> None:
    tokens, logp = draw(torch.full((2, 5), torch.nan), torch.tensor([0.0, 0.9], dtype=torch.float64), 1.0)
    assert ((tokens >= 0) & (tokens < 5)).all()
    assert logp.isnan().all()


def engine_of(policy: Policy, **told: Any) -> HFEngine:
    engine = HFEngine(pad_id=0)
    engine.load_policy(policy.weights(), 0)
    for name, value in told.items():
        setattr(engine, name, value)
    return engine


def policy_of(model: Any, lora: bool) -> Policy:
    policy, generator = Policy(model, lora=Lora(rank=2, alpha=4.0) if lora else None, device="cpu"), torch.Generator().manual_seed(0)
    for name, parameter in policy.trainable.items():
        if "lora_B" in name:
            parameter.data.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return policy


def flat(groups: list[list[Completion]]) -> list[Completion]:
    return [completion for group in groups for completion in group]


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("make", ["make_qwen2", "make_llama"])
def test_the_tokens_are_those_of_generate(make: str, lora: bool, request: pytest.FixtureRequest) -> None:
    policy = policy_of(request.getfixturevalue(make)(), lora)
    sampling = Sampling(max_tokens=16, completions=5, temperature=0.9, stop_ids=(1, 9), seed=4)
    mine, plain = engine_of(policy), engine_of(policy, shares_prompts=False)
    found, expected = flat(mine.generate(PROMPTS, sampling)), flat(plain.generate(PROMPTS, sampling))
    assert mine.shares_prompts
    assert len({len(completion.tokens) for completion in expected}) > 5, "rows end at different steps"
    for one, other in zip(found, expected, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
        assert replace(one, logprobs=other.logprobs) == other


def test_a_row_draws_the_same_whoever_leaves_the_batch(make_qwen2: Callable[..., Any]) -> None:
    policy = policy_of(make_qwen2(), lora=False)
    free = Sampling(max_tokens=20, completions=6, seed=4)
    whole = flat(engine_of(policy).generate(PROMPTS, free))
    cut = flat(engine_of(policy).generate(PROMPTS, replace(free, stop_ids=(1, 9, 14))))
    assert min(len(completion.tokens) for completion in cut) < 5 < max(len(completion.tokens) for completion in cut)
    for one, other in zip(cut, whole, strict=True):
        assert one.tokens == other.tokens[: len(one.tokens)]


def test_a_prompt_is_read_once_and_rows_that_ended_leave(make_llama: Callable[..., Any]) -> None:
    policy, shapes = policy_of(make_llama(), lora=True), list[tuple[int, int]]()
    engine = engine_of(policy, shares_prompts=True)
    heads = list[int]()
    base = policy.model.get_base_model()
    base.model.register_forward_pre_hook(lambda module, args, kwargs: shapes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True)
    base.lm_head.register_forward_hook(lambda module, args, output: heads.append(output.numel()))
    completions = flat(engine.generate(PROMPTS, Sampling(max_tokens=12, completions=8, stop_ids=(1, 9, 14, 3), seed=1)))
    (first, *rest) = shapes
    assert first == (4, 7)
    assert {width for _, width in rest} == {1}
    rows = [count for count, _ in rest]
    assert rows == sorted(rows, reverse=True)
    assert rows[-1] < 8 < rows[0] <= 32
    needed = sum(len(completion.tokens) - 1 for completion in completions)
    assert sum(rows) < 1.2 * needed
    assert sum(heads) == 24 * (4 + sum(rows)), "the last position alone"


@pytest.mark.parametrize("mode", ["merged", "autocast"])
def test_sampling_by_cache_leaves_what_it_used_as_it_was(mode: str, make_llama: Callable[..., Any]) -> None:
    policy = Policy(make_llama(), lora=Lora(rank=2, alpha=4.0), dtype="bf16" if mode == "autocast" else "fp32", device="cpu")
    before = {name: (p.data_ptr(), p.clone()) for name, p in policy.model.named_parameters()}
    attention = policy.model.config._attn_implementation
    engine_of(policy).generate(PROMPTS, Sampling(max_tokens=9, completions=2))
    assert policy.model.config._attn_implementation == attention
    for name, parameter in policy.model.named_parameters():
        assert parameter.data_ptr() == before[name][0]
        assert torch.equal(parameter, before[name][1])


SMALL: dict[str, Any] = {
    "vocab_size": 24, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0,
}  # fmt: skip
KINDS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "qwen3": ("Qwen3Config", {"head_dim": 8}, True),
    "gemma": ("GemmaConfig", {"head_dim": 8}, True),
    "gpt2": ("GPT2Config", {"n_embd": 32, "n_layer": 2, "n_head": 4}, True),
    "opt": ("OPTConfig", {"word_embed_proj_dim": 32, "ffn_dim": 64}, True),
    "bloom": ("BloomConfig", {"n_head": 4, "n_layer": 2}, True),
    "mistral": ("MistralConfig", {"sliding_window": 4}, False),
    "gemma3": ("Gemma3TextConfig", {"head_dim": 8, "sliding_window": 4}, False),
    "lfm2": ("Lfm2Config", {"layer_types": ["conv", "full_attention"]}, False),
}


@pytest.mark.parametrize("kind", KINDS)
def test_models_are_told_apart_and_all_sample_from_their_distribution(kind: str, one_thread: None) -> None:
    name, own, shares = KINDS[kind]
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, name)(**SMALL | own | {"initializer_range": 0.2}))
    policy = Policy(model, device="cpu")
    engine = engine_of(policy)
    groups = engine.generate(PROMPTS, Sampling(max_tokens=10, completions=2, seed=3))
    assert engine.shares_prompts is shares
    for prompt, group in zip(PROMPTS, groups, strict=True):
        for completion, said in zip(group, policy.score_sequences([prompt + each.tokens for each in group]), strict=True):
            assert completion.logprobs == pytest.approx(said[len(prompt) :], abs=2e-4)


def test_a_model_that_ignores_the_mask_is_found_out(make_llama: Callable[..., Any]) -> None:
    model = make_llama().eval()
    assert decodes(model)
    own = model.model.forward
    model.model.forward = lambda *args, attention_mask=None, **kwargs: own(*args, **kwargs)
    assert not decodes(model)
