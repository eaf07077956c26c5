"""Sliding-window models in the packed layout: the window counts within a sequence, as it does padded, or the layout is refused."""

from typing import Any

import pytest
import torch
import transformers

from rl.learning.learner import Learner
from rl.objectives.batch import lay_out
from rl.objectives.supervised import sft

SMALL: dict[str, Any] = {
    "vocab_size": 40, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128, "initializer_range": 0.3, "bos_token_id": None, "eos_token_id": 1,
    "pad_token_id": 0,
}  # fmt: skip
GEMMA = {"head_dim": 8, "query_pre_attn_scalar": 8}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {  # some layers of all but the first two see everything
    "mistral": ("MistralConfig", {}),
    "phi3": ("Phi3Config", {}),
    "gemma2": ("Gemma2Config", GEMMA),
    "gemma3": ("Gemma3TextConfig", {**GEMMA, "sliding_window_pattern": 2}),
    "qwen2": ("Qwen2Config", {"use_sliding_window": True, "max_window_layers": 2}),
    "cohere2": ("Cohere2Config", {"sliding_window_pattern": 2}),
}


def made(name: str, attention: str, **more: Any) -> Any:
    kind, own = MODELS[name]
    torch.manual_seed(0)
    config = getattr(transformers, kind)(**SMALL | own | more, attn_implementation=attention)
    return transformers.AutoModelForCausalLM.from_config(config)


def learnt(model: Any, layout: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """(log-probabilities, gradient of SFT's loss) of sequences shorter and far longer than the window."""
    learner, objective, draw = Learner(model, layout=layout), sft(), torch.Generator().manual_seed(0)
    sequences = [torch.randint(2, 40, (length,), generator=draw).tolist() for length in (23, 3, 17, 40, 9)]
    batch = lay_out(sequences, [[n > 0 for n in range(len(sequence))] for sequence in sequences], [1] * 5, temperature=1.0)
    assert learner.layout == layout, "it is refused"
    terms = learner.token_terms(batch, layout=layout, terms=("logp",))
    torch.where(batch.mask, objective.weight(batch) * objective.loss(terms, batch), 0.0).sum().backward()
    return terms["logp"].detach(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize(("attention", "layout"), [("eager", "packed"), ("sdpa", "packed"), ("sdpa", "shared")])
@pytest.mark.parametrize("name", MODELS)
def test_a_window_is_the_same_packed_and_padded(name: str, attention: str, layout: str, one_thread: None) -> None:
    (logp, gradient), (beside, other) = (learnt(made(name, attention, sliding_window=4), each) for each in (layout, "padded"))
    assert torch.allclose(logp, beside, atol=1e-4)
    assert (gradient - other).norm() < 1e-5 * other.norm()
    wide, _ = learnt(made(name, attention, sliding_window=100), layout)
    assert (logp - wide).abs().max() > 0.01, "the window is there"
