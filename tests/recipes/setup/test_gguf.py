"""A GGUF file as a model: written here by the package gguf in llama.cpp's own layout, read by transformers, trained and merged by us."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers.modeling_gguf_pytorch_utils as modeling_gguf_pytorch_utils
from gguf import GGUFWriter, TokenType
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from recipes.commands.cli import main
from recipes.setup.model_source import find_model
from tests.conftest import CHAT_TEMPLATE
from tests.progress_lines import without_progress

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TOKENS = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet()), "ab"]
NAMES = {  # llama.cpp's of a Llama's tensors
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output", "model.layers.": "blk.",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


@pytest.fixture(scope="module")
def llama(one_thread: None) -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    return LlamaForCausalLM(
        LlamaConfig(vocab_size=len(TOKENS), max_position_embeddings=1024, eos_token_id=0, initializer_range=0.3, rms_norm_eps=1e-6, **sizes)
    ).eval()


@pytest.fixture(scope="module")
def gguf(llama: LlamaForCausalLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write(path, llama)
    return path


def write(path: Path, llama: LlamaForCausalLM, architecture: str = "llama") -> None:
    config, file = llama.config, GGUFWriter(str(path), architecture)
    file.add_block_count(config.num_hidden_layers)
    file.add_context_length(config.max_position_embeddings)
    file.add_embedding_length(config.hidden_size)
    file.add_feed_forward_length(config.intermediate_size)
    file.add_head_count(config.num_attention_heads)
    file.add_head_count_kv(config.num_key_value_heads)
    file.add_layer_norm_rms_eps(config.rms_norm_eps)
    file.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    file.add_rope_freq_base(10000.0)
    file.add_vocab_size(config.vocab_size)
    file.add_tokenizer_model("gpt2")
    file.add_token_list(TOKENS)
    file.add_token_types([TokenType.CONTROL if token in SPECIAL else TokenType.NORMAL for token in TOKENS])
    file.add_token_merges(["a b"])
    file.add_bos_token_id(0)
    file.add_eos_token_id(0)
    file.add_chat_template(CHAT_TEMPLATE)
    for name, tensor in llama.state_dict().items():
        array, heads = tensor.numpy(), config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
        if "q_proj" in name or "k_proj" in name:  # llama.cpp turns pairs of neighbours, transformers halves
            array = array.reshape(heads, 2, len(array) // heads // 2, -1).swapaxes(1, 2).reshape(array.shape)
        for ours, theirs in NAMES.items():
            name = name.replace(ours, theirs)
        file.add_tensor(name, np.ascontiguousarray(array))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.arange(3, 43)[None]).logits


def test_its_weights_tokenizer_and_template_are_read(gguf: Path, llama: LlamaForCausalLM) -> None:
    for place in (gguf, gguf.parent):
        source = find_model(str(place))
        assert (source.base, source.gguf) == (str(gguf.parent), "tiny.gguf")
    assert torch.equal(logits(source.load_model()), logits(llama))
    own = Tokenizer(models.BPE({token: i for i, token in enumerate(TOKENS)}, [("a", "b")]))
    own.pre_tokenizer, own.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    read = source.load_tokenizer()
    assert read.encode("1 + 1 = 2, about", add_special_tokens=False) == own.encode("1 + 1 = 2, about").ids
    assert (read.chat_template, read.eos_token) == (CHAT_TEMPLATE, "<|endoftext|>")


def test_an_adapter_is_trained_on_it_and_merged(gguf: Path, llama: LlamaForCausalLM, tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps({"problem": f"{n}+1=", "answer": str(n + 1)}) + "\n" for n in range(4)))
    (tmp_path / "mine.py").write_text("def varied(problem, response):\n    return len(set(response)) / 10\n")
    words = [
        "grpo-math",
        "--model",
        gguf,
        "--data",
        data,
        "--run",
        tmp_path / "run",
        "--reward",
        f"{tmp_path}/mine.py:varied",
        "--steps",
        "2",
    ]
    words += ["--problems-per-step", "2", "--completions-per-problem", "4", "--max-completion-length", "5", "--workers", "1"]
    assert main([*map(str, words), "--engine", "hf", "--lr", "1e-2", "--warmup", "1"]) == 0
    source = find_model(str(tmp_path / "run"))
    assert (source.base, source.gguf, source.adapter) == (str(gguf.parent), "tiny.gguf", str(tmp_path / "run" / "final"))
    assert main(["merge", str(tmp_path / "run"), "--out", str(tmp_path / "plain")]) == 0
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "plain")
    assert (logits(plain) - logits(source.load_model())).abs().max() < 1e-4
    assert (logits(plain) - logits(llama)).abs().max() > 1e-3
    assert AutoTokenizer.from_pretrained(tmp_path / "plain").chat_template == CHAT_TEMPLATE


def _of_no_known_architecture(path: Path, llama: LlamaForCausalLM, patch: pytest.MonkeyPatch) -> None:
    write(path, llama, "abacus")


def _damaged(path: Path, llama: LlamaForCausalLM, patch: pytest.MonkeyPatch) -> None:
    write(path, llama)
    path.write_bytes(path.read_bytes()[:3000])


def _without_the_package(path: Path, llama: LlamaForCausalLM, patch: pytest.MonkeyPatch) -> None:
    write(path, llama)
    patch.setattr(modeling_gguf_pytorch_utils, "is_gguf_available", lambda: False)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (_of_no_known_architecture, "abacus"),
        (_damaged, "it is damaged, or of a kind"),
        (_without_the_package, "pip install 'reckon-rl[gguf]'"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_line(
    spoil: Callable[..., None], expected: str, llama: LlamaForCausalLM, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / "tiny.gguf"
    spoil(path, llama, monkeypatch)
    assert main(["merge", str(path), "--out", str(tmp_path / "out")]) == 2
    said = without_progress(capsys.readouterr().err)
    assert said.startswith("error: ")
    assert "\n" not in said
    assert expected in said
    assert not (tmp_path / "out").exists()
