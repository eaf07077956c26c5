"""Offline, one thread, shapes checked at run time; and the tiny models that tests train and sample from.

Models come from factories (`make_qwen2`, `make_llama`) so that a test can have several, and as fresh ones a test
(`tiny_qwen2`, `tiny_llama`). Their weights are drawn wide, so that next-token distributions are peaked: near uniform ones
would forgive a wrong temperature or position.
"""

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jaxtyping import install_import_hook

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
# with the numeric tower, an int is a float, as everywhere in typing
install_import_hook(["rl", "rollout"], "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

VOCABULARY = 24


@pytest.fixture(scope="session", autouse=True)
def default_signals() -> Iterator[None]:
    """The signals as a program started at a terminal has them: `nohup` and a script's background ignore some, and children inherit it."""
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM, signal.SIGUSR1)
    before = {number: signal.getsignal(number) for number in numbers}
    blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    for number, handler in before.items():
        if handler is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        if handler is not None:
            signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The shared data: $RECKON_DATA, or ../shared/data beside the repository."""
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("RECKON_DATA") or root.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; set RECKON_DATA to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def one_thread() -> None:
    """Tiny matrices are faster on one thread, and sums are then in one order."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """The arithmetic tokenizer: a token for each digit, sign and tag."""
    from recipes.setup.arithmetic import make_tokenizer

    return make_tokenizer()


def _settings(tied: bool) -> dict[str, Any]:
    return {
        "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 128, "tie_word_embeddings": tied, "initializer_range": 0.3,
        "bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0,
    }  # fmt: skip


@pytest.fixture(scope="session")
def make_qwen2(one_thread: None) -> Callable[..., Any]:
    """seed -> a random Qwen2 model with tied embeddings, float32."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    def make(seed: int = 0) -> Any:
        torch.manual_seed(seed)
        return Qwen2ForCausalLM(Qwen2Config(**_settings(tied=True)))

    return make


@pytest.fixture(scope="session")
def make_llama(one_thread: None) -> Callable[..., Any]:
    """seed -> a random Llama model with an output head of its own, float32."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    def make(seed: int = 0) -> Any:
        torch.manual_seed(seed)
        return LlamaForCausalLM(LlamaConfig(**_settings(tied=False)))

    return make


@pytest.fixture(scope="session")
def make_vllm_qwen2(one_thread: None) -> Callable[..., Any]:
    """seed -> as make_qwen2, with heads as wide as vLLM's CPU build asks for, and narrower weights: rounding grows with the logits."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    def make(seed: int = 0) -> Any:
        torch.manual_seed(seed)
        wide = {"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1, "initializer_range": 0.15}
        return Qwen2ForCausalLM(Qwen2Config(**_settings(tied=True) | wide))

    return make


@pytest.fixture(scope="session")
def make_vllm_llama(one_thread: None) -> Callable[..., Any]:
    """seed -> a Llama model with heads as wide as vLLM's CPU build asks for, and an output head of its own."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    def make(seed: int = 0) -> Any:
        torch.manual_seed(seed)
        wide = {"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1, "initializer_range": 0.12}
        model = LlamaForCausalLM(LlamaConfig(**_settings(tied=False) | wide))
        model.lm_head.weight.data *= 2.0
        return model

    return make


@pytest.fixture
def tiny_qwen2(make_qwen2: Callable[..., Any]) -> Any:
    return make_qwen2()


@pytest.fixture
def tiny_llama(make_llama: Callable[..., Any]) -> Any:
    return make_llama()


@pytest.fixture(scope="session")
def vllm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """(model, lora_rank) -> the address of a real vLLM server on this machine that serves it, as `server_command` starts it."""
    from rollout.engines.vllm_command import server_command, server_environment

    if importlib.util.find_spec("vllm") is None:
        pytest.skip("vLLM is not installed")
    processes = []

    def start(model: Any, lora_rank: int | None = None, options: tuple[str, ...] = ()) -> str:
        folder = tmp_path_factory.mktemp("served")
        model.save_pretrained(folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        small = ("--skip-tokenizer-init", "--dtype", "float32", "--kv-cache-memory-bytes", str(2**28), *options)
        command = server_command(str(folder), port=port, lora_rank=lora_rank, cpu=True, python=sys.executable, options=small)
        quiet = {"VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1"}
        with (folder / "log.txt").open("wb") as log:
            process = subprocess.Popen(
                command, env=os.environ | server_environment() | quiet, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        processes.append(process)
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 240
        while time.monotonic() < until:
            assert process.poll() is None, (folder / "log.txt").read_text()[-3000:]
            with contextlib.suppress(OSError), urllib.request.urlopen(url + "/health", timeout=5):
                return url
            time.sleep(0.5)
        raise AssertionError(f"no server after 240 s: {(folder / 'log.txt').read_text()[-3000:]}")

    yield start
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def model_folder(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random chat model on disk, as from a hub: a byte-level tokenizer with a chat template, and Qwen2 weights."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path_factory.mktemp("model")
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {token: i for i, token in enumerate([*special, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    inner = Tokenizer(models.BPE(vocabulary, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token=special[0], pad_token=special[0], additional_special_tokens=special[1:]
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    settings = _settings(tied=True) | {"vocab_size": len(tokenizer), "max_position_embeddings": 1024, "eos_token_id": 0}
    Qwen2ForCausalLM(Qwen2Config(**settings)).save_pretrained(folder)
    return folder
