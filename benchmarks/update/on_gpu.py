"""One optimiser step on a GPU: models of 0.5B and 1.5B parameters with random weights, in bf16, sequences of 2,048 to 16,384 tokens.

GRPO, PPO with its critic on the trunk, DPO with its reference, SFT; a LoRA and all parameters. Of each: tokens a second (a shared prompt
counts once for every sequence that has it), the share of the machine's arithmetic that the model's own products took, peak memory, and
where the time went. A configuration that does not fit is tried again with gradient checkpointing, and said to be. Written to
`benchmarks/results/`, with the hardware named. Nothing is learnt: targets are as random as the weights.
"""

import itertools
import json
import os
import platform
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.parts import ROOT

RESULTS = ROOT / "benchmarks" / "results"
_QWEN = {"vocab_size": 151_936, "num_key_value_heads": 2, "tie_word_embeddings": True, "max_position_embeddings": 32_768}
SHAPES: dict[str, dict[str, Any]] = {  # Qwen2.5's
    "0.5B": _QWEN | {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14},
    "1.5B": _QWEN | {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12},
    "tiny": _QWEN | {"vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4},
}
METHODS, TUNES = ("sft", "dpo", "grpo", "ppo"), ("lora", "full")
LENGTHS = (2048, 4096, 8192, 16_384)
DENSE_BF16 = {  # floating-point operations a second without sparsity, by their makers' data sheets
    "B200": 2250e12, "H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "RTX 4090": 165e12, "L4": 121e12, "A10": 125e12,
}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    shape: str
    method: str
    tune: str
    length: int
    checkpointing: bool = False


@dataclass(frozen=True)
class Machine:
    device: Any
    name: str
    """Of the processor that computes."""
    product_rate: float
    """Floating-point operations a second of a large bfloat16 product, measured here."""

    @property
    def data_sheet(self) -> float | None:
        return next((rate for part, rate in DENSE_BF16.items() if part in self.name), None)

    def wait(self) -> None:
        import torch

        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def peak_bytes(self, *, anew: bool = False) -> int:
        import torch

        if self.device.type == "cuda":
            if anew:
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            return torch.cuda.max_memory_allocated()
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])


def machine(device: str) -> Machine:
    import torch

    place = torch.device(device)
    if place.type == "cuda":
        name = torch.cuda.get_device_name(place)
    else:
        told = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
        name = f"{told.group(1) if told else platform.machine()}, {os.cpu_count()} cores"
    found = Machine(place, name, 0.0)
    size = 8192 if place.type == "cuda" else 256
    one, other = (torch.randn(size, size, device=place, dtype=torch.bfloat16) for _ in range(2))
    best = min(_seconds(found, lambda: one @ other) for _ in range(5))
    return Machine(place, name, 2 * size**3 / best)


def _seconds(where: Machine, action: Callable[[], object]) -> float:
    where.wait()
    start = time.perf_counter()
    action()
    where.wait()
    return time.perf_counter() - start


# --- one configuration ---------------------------------------------------------------------------------------------------


def measured(setting: Setting, where: Machine, tokens: int) -> dict[str, Any]:
    """`tokens`: of the whole step, about."""
    import torch

    from rl.learning.layout import LAYOUTS

    torch.manual_seed(0)
    where.peak_bytes(anew=True)
    learner = _learner(setting, where)
    batch, step = _step_of(setting, learner, tokens)
    step()  # kernels are chosen, the optimiser's state is made
    seconds = _seconds(where, step)
    with _phases(learner, where) as phases:
        whole = _seconds(where, step)
    phases["backward and the rest"] = whole - sum(phases.values())
    laid = len(LAYOUTS[learner.layout](batch).inputs["input_ids"].flatten()) if learner.layout != "padded" else len(batch.tokens)
    rate = _operations(setting, learner, batch, laid) / seconds
    sheet = where.data_sheet
    return {
        **vars(setting), "layout": learner.layout, "attention": learner.model.config._attn_implementation, "sequences": len(batch),
        "tokens": len(batch.tokens), "tokens_computed": laid, "tokens_a_second": round(len(batch.tokens) / seconds, 1),
        "model_flop_utilisation": round(rate / sheet, 4) if sheet else None,
        "of_measured_product_rate": round(rate / where.product_rate, 4),
        "peak_gb": round(where.peak_bytes() / 1e9, 2), "seconds": round(seconds, 4),
        "phases": {name: round(value / whole, 3) for name, value in phases.items()},
    }  # fmt: skip


def _learner(setting: Setting, where: Machine) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, Qwen2Config

    from rl.learning.adapters import Lora
    from rl.learning.learner import Learner, ValueHead

    lora = Lora(rank=16, alpha=32.0) if setting.tune == "lora" else None
    with torch.device(where.device):
        dtype = torch.bfloat16 if lora else torch.float32  # as `reckon` loads them for bf16
        shape = Qwen2Config(**SHAPES[setting.shape], pad_token_id=0)
        model = AutoModelForCausalLM.from_config(shape, dtype=dtype, trust_remote_code=False)
    return Learner(
        model, lora=lora, dtype="bf16", layout="auto", tokens_per_micro_batch=max(16_384, setting.length), device=where.device,
        value_head=ValueHead() if setting.method == "ppo" else None, gradient_checkpointing=setting.checkpointing,
    )  # fmt: skip


def _step_of(setting: Setting, learner: Any, tokens: int) -> tuple[Any, Callable[[], object]]:
    """(the batch, one step on it): what the objective reads is scored within, if a model scores it."""
    import torch

    from rl.learning.reference import initial_reference
    from rl.objectives.algorithms import named
    from rl.objectives.batch import lay_out
    from rl.objectives.preferences import preference
    from rl.objectives.supervised import sft
    from rl.objectives.values import with_value

    together = {"sft": 1, "dpo": 2, "grpo": 8, "ppo": 8}[setting.method]
    groups = max(1, tokens // (setting.length * together))
    prompt = setting.length // 8 if together > 1 else 1
    random = torch.Generator().manual_seed(0)
    draw = lambda count: torch.randint(1, SHAPES[setting.shape]["vocab_size"], (count,), generator=random).tolist()  # noqa: E731
    prompts = [draw(prompt) for _ in range(groups)]
    rows = [begin + draw(setting.length - prompt) for begin in prompts for _ in range(together)]
    masks = [[place >= prompt for place in range(setting.length)]] * len(rows)
    batch = lay_out(rows, masks, [prompt] * len(rows), groups=[n // together for n in range(len(rows))])
    alternating = (batch.row % 2 - 0.5) * batch.mask
    batch = batch.with_columns({"advantage": alternating, "returns": alternating, "sampler_logp": -12.0 * batch.mask})
    if setting.method == "dpo":
        reference, objective = initial_reference(learner), preference("sigmoid")
        return batch, lambda: learner.update(batch.with_columns({"ref_logp": reference.score(batch)}), objective, lr=1e-5)
    if setting.method == "sft":
        return batch, lambda: learner.update(batch, sft(), lr=1e-5)
    objective = named(setting.method, max_completion_length=setting.length).objective
    if setting.method == "grpo":
        return batch, lambda: learner.update(batch, objective, lr=1e-5)
    both = with_value(objective, coef=0.5)
    return batch, lambda: learner.update(batch.with_columns(learner.look(batch, ("value",))), both, lr=1e-5)


def _operations(setting: Setting, learner: Any, batch: Any, laid: int) -> float:
    """Of the model's products in one pass forward and back, none counted that is done again; of a LoRA's frozen weights no gradient.

    Scoring passes (DPO's reference, PPO's values) count forward.
    """
    shape = SHAPES[setting.shape]
    trunk = sum(m.weight.numel() for n, m in learner.model.named_modules() if _is_product(n, m))
    head = shape["hidden_size"] * shape["vocab_size"]
    trained, whole, before = int(batch.mask.sum()), batch.lengths.double().square().sum(), batch.prompt_length.double().square()
    # a prompt that is computed once looks back once
    area = whole - before.sum() * (1 - len(batch.group.unique()) / len(batch)) if laid < len(batch.tokens) else whole
    attention = 2 * shape["hidden_size"] * shape["num_hidden_layers"] * float(area)
    passes = 2.0 if setting.tune == "lora" else 3.0
    scored = {"dpo": 1.0, "ppo": 1.0}.get(setting.method, 0.0)
    # attention has no weights: its backward pass is two products for each of the forward pass in any case
    of_head = (passes + (scored if setting.method == "dpo" else 0.0)) * trained * 2 * head
    return (passes + scored) * laid * 2 * trunk + of_head + (3.0 + scored) * attention


def _is_product(name: str, module: Any) -> bool:
    from torch import nn

    return isinstance(module, nn.Linear) and "lora_" not in name and "lm_head" not in name


@contextmanager
def _phases(learner: Any, where: Machine) -> Iterator[dict[str, float]]:
    """Seconds of laying out, of passes without a gradient, of the forward pass and of the optimiser; to tell them apart costs waiting."""
    import torch

    spent: dict[str, float] = defaultdict(float)
    layout, forward, optimiser = learner.token_terms._laid, learner._forward, learner._step

    def timed(run: Callable[..., Any], name: Callable[[], str]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            where.wait()
            start, inside = time.perf_counter(), spent["layout"]
            found = run(*args, **kwargs)
            where.wait()
            spent[name()] += time.perf_counter() - start - (spent["layout"] - inside)
            return found

        return call

    learner.token_terms._laid = timed(layout, lambda: "layout")
    learner._forward = timed(forward, lambda: "forward" if torch.is_grad_enabled() else "score")
    learner._step = timed(optimiser, lambda: "optimiser")
    try:
        yield spent
    finally:
        del learner.token_terms._laid, learner._forward, learner._step


# --- all of them ---------------------------------------------------------------------------------------------------------


def measure_all(device: str, shapes: Sequence[str], lengths: Sequence[int], tokens: int, *, results: Path = RESULTS) -> dict[str, Any]:
    import torch

    where = machine(device)
    rows = []
    for shape, method, tune, length in itertools.product(shapes, METHODS, TUNES, lengths):
        row = _or_again(Setting(shape, method, tune, length), where, tokens)
        rows.append(row)
        print(json.dumps(row), flush=True)
    hardware = {
        "name": where.name, "product_tflops_measured": round(where.product_rate / 1e12, 3), "system": platform.platform(),
        "torch": torch.__version__,
    }  # fmt: skip
    found = {"hardware": hardware, "tokens_of_a_step": tokens, "rows": rows}
    file = results / f"{re.sub('[^a-z0-9]+', '-', where.name.lower()).strip('-')}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return {"file": str(file), **found}


def _or_again(setting: Setting, where: Machine, tokens: int) -> dict[str, Any]:
    import torch

    for checkpointing in (False, True):
        try:
            return measured(Setting(**{**vars(setting), "checkpointing": checkpointing}), where, tokens)
        except torch.OutOfMemoryError:
            continue
    return {**vars(setting), "out_of_memory": True}
