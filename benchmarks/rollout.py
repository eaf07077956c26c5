"""How fast do the engines sample, and what does a sync cost? `python -m benchmarks.rollout [--shapes 4M 130M] [--sequences 8 64 256]`

Random Llama-type models, prompts of 32 (`--prompt`) random tokens in groups of 8, completions of 64 tokens without a stop. Every
engine does the same work; `generate` is plain transformers' batch generation, without log-probabilities. The first run of each size warms
up, the second counts. A sync is `load_policy` after the weights changed, full and with a LoRA of rank 16. On a GPU in bfloat16,
with the shapes 0.5B and 1.5B, and with the memory that sleeping gives back. On a machine that others use too, `--cpu-seconds` counts
the process's own processor seconds. The last line is RESULT and JSON.
"""

import argparse
import gc
import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from recipes.setup.command_line import named_values
from rl.learning.adapters import Lora
from rl.learning.policy import Policy
from rollout.engine import Engine, Sampling
from rollout.engines.hf_engine import HFEngine
from rollout.engines.vllm_engine import VLLMEngine, installed

SHAPES = {  # hidden, layers, heads, inner, vocabulary
    "tiny": (64, 2, 2, 128, 256),
    "4M": (256, 4, 4, 688, 4096),
    "130M": (768, 12, 12, 2048, 32_000),
    "0.5B": (1024, 24, 16, 2816, 64_000),
    "1.5B": (2048, 24, 32, 5632, 64_000),
}
NEW, GROUP = 64, 8


def make_model(shape: str) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    hidden, layers, heads, inner, vocabulary = SHAPES[shape]
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary, hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=heads,
            num_key_value_heads=heads, max_position_embeddings=1024, bos_token_id=None, eos_token_id=None, pad_token_id=0,
        )
    )  # fmt: skip


@dataclass(frozen=True)
class Work:
    """What is sampled, and by which clock it is timed."""

    sequences: tuple[int, ...]
    prompt: int
    clock: Callable[[], float]

    def rates(self, generate: Callable[[list[list[int]], Sampling], object], vocabulary: int) -> dict[str, float]:
        """Sampled tokens a second, by the number of sequences; of the second of two runs."""
        rates = {}
        for count in self.sequences:
            generator = torch.Generator().manual_seed(1)
            prompts = torch.randint(vocabulary, (max(1, count // GROUP), self.prompt), generator=generator).tolist()
            sampling = Sampling(NEW, min(GROUP, count))
            generate(prompts, sampling)
            began = self.clock()
            generate(prompts, sampling)
            rates[str(count)] = round(len(prompts) * sampling.completions * NEW / (self.clock() - began), 1)
        return rates


def plain_generate(model: Any, prompts: list[list[int]], sampling: Sampling) -> None:
    ids = torch.tensor([prompt for prompt in prompts for _ in range(sampling.completions)], device=model.device)
    model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW, do_sample=True, top_k=0)


def sync_cost(engine: Engine, policy: Policy) -> dict[str, float]:
    """Median of five, each after a change of everything that trains."""
    seconds, moved = [], 0
    for version in range(1, 6):
        with torch.no_grad():
            for parameter in policy.trainable.values():
                parameter.mul_(1.001)
        began = time.perf_counter()
        moved = engine.load_policy(policy.weights(), version)
        seconds.append(time.perf_counter() - began)
    return {"seconds": round(sorted(seconds)[2], 4), "bytes": moved}


def measure(shape: str, work: Work, dtype: Any, *, vllm_options: dict[str, Any], others: bool) -> dict[str, Any]:
    vocabulary = SHAPES[shape][-1]
    found: dict[str, Any] = {}
    policy = Policy(make_model(shape), dtype=dtype)
    found["parameters"] = sum(p.numel() for p in policy.model.parameters())
    if others:
        hf = HFEngine(pad_id=0)
        hf.load_policy(policy.weights(), 0)
        found["hf"] = work.rates(hf.generate, vocabulary)
        found["generate"] = work.rates(partial(plain_generate, policy.model.eval()), vocabulary)
    if not installed():
        return found
    for kind, each in (("full", lambda: policy), ("lora", lambda: Policy(make_model(shape), lora=Lora(16), dtype=dtype))):
        subject = each()
        engine = VLLMEngine(max_model_len=work.prompt + 256, options=vllm_options, sleep_between_uses=torch.cuda.is_available())
        began = time.perf_counter()
        engine.load_policy(subject.weights(), 0)
        name = "vllm" if kind == "full" else "vllm lora"
        found[f"{name} start seconds"] = round(time.perf_counter() - began, 1)
        found[name] = work.rates(engine.generate, vocabulary)
        found[f"sync {kind}"] = sync_cost(engine, subject)
        if torch.cuda.is_available():
            began = time.perf_counter()
            given_back = engine.sleep()
            asleep = time.perf_counter()
            engine.load_policy(subject.weights(), 9)
            found[f"sleep {kind}"] = {
                "bytes": given_back, "seconds": round(asleep - began, 3), "wake_and_sync_seconds": round(time.perf_counter() - asleep, 3),
            }  # fmt: skip
        engine.close()
        del subject, engine
        gc.collect()
    return found


def main() -> int:
    on_gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=["0.5B", "1.5B"] if on_gpu else ["4M", "130M"])
    parser.add_argument("--sequences", type=int, nargs="+", default=[8, 64, 256])
    parser.add_argument("--prompt", type=int, default=32, help="tokens of a prompt")
    parser.add_argument("--cpu-seconds", action="store_true", help="count processor seconds")
    parser.add_argument("--vllm-only", action="store_true", help="leave the other engines out")
    parser.add_argument("--engine-option", action="append", default=[], help="for vllm.LLM, such as block_size=128")
    arguments = parser.parse_args()
    work = Work(tuple(arguments.sequences), arguments.prompt, time.process_time if arguments.cpu_seconds else time.perf_counter)
    options = named_values(tuple(arguments.engine_option), "--engine-option", "block_size=128")
    hardware = torch.cuda.get_device_name() if on_gpu else f"{platform.machine()}, {torch.get_num_threads()} threads"
    result: dict[str, Any] = {"hardware": hardware, "dtype": "bf16" if on_gpu else "fp32", "prompt": work.prompt}
    result |= {"clock": "CPU" if arguments.cpu_seconds else "wall", "vllm options": options}
    for shape in arguments.shapes:
        found = measure(shape, work, result["dtype"], vllm_options=options, others=not arguments.vllm_only)
        result[shape] = found
        said = f"sampled tokens a {result['clock']} second at {arguments.sequences} sequences"
        print(f"{shape} ({found['parameters'] / 1e6:.1f}M parameters), {said}")
        for name in ("vllm", "vllm lora", "hf", "generate"):
            if name in found:
                print(f"  {name:10}" + "".join(f"{rate:>12,.0f}" for rate in found[name].values()))
        for kind in ("full", "lora"):
            if f"sync {kind}" in found:
                cost = found[f"sync {kind}"]
                print(f"  sync {kind:5} {cost['seconds'] * 1000:>9.1f} ms {cost['bytes'] / 2**20:>10.1f} MiB")
    print(f"RESULT {json.dumps(result)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
