"""Where flash attention is at work a packed row comes with where its sequences end, so that no layer has to find that out.

Flash attention needs a GPU: one that is told the same, and attends to each sequence by itself, stands for it.
"""

import itertools
from typing import Any

import pytest
import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from rl.learning.learner import Learner
from rl.objectives.batch import lay_out

TOLD: list[tuple[list[int], int]] = []


def attend(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, cu_seq_lens_q: Any = None, **more: Any) -> Any:
    if cu_seq_lens_q is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **more)
    assert torch.equal(cu_seq_lens_q, more["cu_seq_lens_k"])
    assert cu_seq_lens_q.dtype == torch.int32
    TOLD.append((cu_seq_lens_q.tolist(), more["max_length_q"]))
    parts = [
        torch.nn.functional.scaled_dot_product_attention(
            *(x[:, :, begin:end] for x in (query, key, value)), is_causal=True, enable_gqa=True, scale=more["scaling"]
        )
        for begin, end in itertools.pairwise(cu_seq_lens_q.tolist())
    ]
    return torch.cat(parts, 2).transpose(1, 2), None


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
def test_flash_attention_is_told_the_lengths_and_numbers_are_the_padded_ones(make_llama: Any, lora: bool) -> None:
    from rl.learning.adapters import Lora

    AttentionInterface.register("flash_by_hand", attend)
    AttentionMaskInterface.register("flash_by_hand", sdpa_mask)
    model = make_llama()
    model.config._attn_implementation = "flash_by_hand"
    learner = Learner(model, layout="auto", lora=Lora(rank=2) if lora else None, device="cpu")
    assert learner.layout == "packed"
    batch = lay_out([[3, 4, 5, 6, 7], [4, 5], [9, 8, 7]], [[False, *[True] * n] for n in (4, 1, 2)], [1, 1, 1])
    TOLD.clear()
    packed = learner.score(batch)
    told = [([0, 5, 8, 10], 5)] * model.config.num_hidden_layers  # longest first
    assert told == TOLD
    learner.layout = "padded"
    torch.testing.assert_close(packed, learner.score(batch), atol=1e-5, rtol=0)
