"""A step at its limits, against TRL in the same run: `python -m benchmarks.update --model FOLDER [--cases short long] [--steps 5]`.

Three parts. *Gradients*: of small Llama-, Qwen2-, Qwen3- and Gemma-type models, full and with a LoRA, by GRPO, SFT and DPO, in the shared
layout with the chunked head, against padded sequences and whole logits in float32; the largest relative difference. *Head*: the most
resident memory that log-probabilities and their gradient take over their inputs at 32,768 tokens x 151,936 tokens of vocabulary.
*Steps*: GRPO of a LoRA on SmolLM2-135M-Instruct, 8 problems x 8 completions, `reckon grpo-math` and `trl.GRPOTrainer` at the same time on a
core and a thread each (`benchmarks/recipe/grpo_peer.py`): seconds of processor time a step and peak memory; "short" has prompts of about 30
tokens and completions of up to 24, "long" of about 256 and 64.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.parts import ROOT, report
from benchmarks.recipe.additions import MAX_TOKENS, SYSTEM, checked_model, write_problems
from benchmarks.recipe.grpo_peer import runs_of
from benchmarks.recipe.pace import side_by_side

LONG_SYSTEM = " ".join([SYSTEM, *(f"{a} + {b} is {a + b}." for a in range(21, 25) for b in range(21, 26))])
CASES: dict[str, dict[str, Any]] = {  # what a step is, and the largest share of TRL's seconds and memory
    "short": {"system": SYSTEM, "max_tokens": MAX_TOKENS, "seconds": 1 / 4, "memory": 1 / 2},
    "long": {"system": LONG_SYSTEM, "max_tokens": 64, "seconds": 1 / 6, "memory": 1 / 2},
}
HEAD_TOKENS, HEAD_VOCABULARY, HEAD_WIDTH = 32_768, 151_936, 64
BARS = {
    "gradients": lambda worst: worst <= 1e-5,
    "head_gb": lambda sizes: max(sizes.values()) <= 1.5,
    **{name: lambda found, case=case: found["seconds_over_trl"] <= case["seconds"] and found["memory_over_trl"] <= case["memory"]
       for name, case in CASES.items()},
}  # fmt: skip


# --- gradients -----------------------------------------------------------------------------------------------------------


def worst_difference() -> float:
    """Of gradients, relative to the reference's norm."""
    import torch

    from rl.learning.adapters import Lora
    from rl.learning.learner import Learner
    from rl.objectives.algorithms import named
    from rl.objectives.preferences import preference
    from rl.objectives.supervised import sft

    objectives = {"grpo": named("grpo", max_completion_length=24).objective, "sft": sft(), "dpo": preference("sigmoid")}
    worst, batch = 0.0, _ragged_groups()
    for kind in ("Llama", "Qwen2", "Qwen3", "Gemma"):
        for lora in (None, Lora(rank=4, alpha=8.0)):
            learner = Learner(_small(kind), lora=lora, layout="auto", device="cpu")
            assert learner.layout == "shared", kind
            for name, parameter in learner.trainable.items():
                if "lora_B" in name:
                    torch.nn.init.normal_(parameter, std=0.1)
            for objective in objectives.values():
                mine = _gradient(learner, batch, objective)
                learner.layout, learner.token_terms.chunked = "padded", False
                expected = _gradient(learner, batch, objective)
                learner.layout, learner.token_terms.chunked = "shared", True
                worst = max(worst, float((mine - expected).norm() / expected.norm()))
    return worst


def _small(kind: str) -> Any:
    import torch
    import transformers

    torch.manual_seed(0)
    sizes = {"vocab_size": 512, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 4, "num_attention_heads": 8}
    config = getattr(transformers, f"{kind}Config")(**sizes, num_key_value_heads=2, head_dim=16, initializer_range=0.05, pad_token_id=0)
    return transformers.AutoModelForCausalLM.from_config(config)


def _ragged_groups() -> Any:
    import torch

    from rl.objectives.batch import lay_out

    random = torch.Generator().manual_seed(0)
    draw = lambda count: torch.randint(2, 512, (count,), generator=random).tolist()  # noqa: E731
    prompts = [draw(30) for _ in range(4)]
    rows = [prompt + draw(int(torch.randint(2, 25, (), generator=random))) for prompt in prompts for _ in range(8)]
    masks = [[place >= 30 for place in range(len(row))] for row in rows]
    batch = lay_out(rows, masks, [30] * len(rows), groups=[group for group in range(4) for _ in range(8)])
    given = torch.randn(len(rows), generator=random)
    around = lambda: -6 + 0.1 * torch.randn(len(batch.tokens), generator=random)  # noqa: E731
    names = ("old_logp", "ref_logp", "sampler_logp")
    return batch.with_columns({"advantage": given[batch.row] * batch.mask, **{name: around() for name in names}})


def _gradient(learner: Any, batch: Any, objective: Any) -> Any:
    import torch

    found: list[Any] = []
    learner._step = lambda stats, lr: found.extend(p.grad.flatten().clone() for p in learner.trainable.values() if p.grad is not None)
    learner.update(batch, objective, lr=1.0)
    return torch.cat(found)


# --- the head ------------------------------------------------------------------------------------------------------------


def head_gigabytes(trains: bool, tokens: int = HEAD_TOKENS) -> float:
    """In a process of its own, over what its inputs take."""
    command = [sys.executable, "-m", "benchmarks.update", "--head", "full" if trains else "adapter", "--tokens", str(tokens)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return round(float(done.stdout.split()[-1]), 3)


def _head_memory(kind: str, tokens: int) -> None:
    import torch

    from rl.forward.output_head import HeadRule, chosen_terms
    from rl.learning.token_terms import MAX_LOGITS

    def most_resident() -> int:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])

    torch.set_num_threads(1)
    hidden = torch.randn(tokens, HEAD_WIDTH, requires_grad=True)
    weight = torch.randn(HEAD_VOCABULARY, HEAD_WIDTH, requires_grad=kind == "full")
    before = most_resident()
    rule = HeadRule(1.0, None, 1.0, False, MAX_LOGITS // HEAD_VOCABULARY)
    logp, _ = chosen_terms(hidden, weight, None, torch.randint(HEAD_VOCABULARY, (tokens,)), rule)
    logp.sum().backward()
    print((most_resident() - before) / 1e9)


# --- steps ---------------------------------------------------------------------------------------------------------------


def step_of(case: dict[str, Any], model: str, steps: int, folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True)
    train, _ = write_problems(folder)
    runs = runs_of(model, folder.resolve(), train.resolve(), steps, 0, system=case["system"], max_tokens=case["max_tokens"])
    side_by_side(list(runs.values()))
    found: dict[str, Any] = {name: run.pace() | {"peak_gb": round(run.peak_bytes / 1e9, 2)} for name, run in runs.items()}
    ours, theirs = found["reckon"], found["trl"]
    found["seconds_over_trl"] = round(ours["processor_seconds_a_step"] / theirs["processor_seconds_a_step"], 3)
    found["memory_over_trl"] = round(ours["peak_gb"] / theirs["peak_gb"], 3)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder of SmolLM2-135M-Instruct; without it no steps are taken")
    parser.add_argument("--cases", nargs="*", choices=list(CASES), default=list(CASES))
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--keep", type=Path, help="a new folder for the runs (default: a temporary one)")
    parser.add_argument("--no-parts", action="store_true", help="steps alone, without gradients and head")
    parser.add_argument("--head", choices=["adapter", "full"], help=argparse.SUPPRESS)
    parser.add_argument("--tokens", type=int, default=HEAD_TOKENS, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.head:
        _head_memory(given.head, given.tokens)
        return 0
    result: dict[str, Any] = {}
    if not given.no_parts:
        result["gradients"] = worst_difference()
        result["head_gb"] = {"adapter": head_gigabytes(False), "full": head_gigabytes(True), "adapter, half the tokens": head_gigabytes(
            False, HEAD_TOKENS // 2)}  # fmt: skip
    if given.model:
        model = checked_model(given.model)
        with tempfile.TemporaryDirectory() as scratch:
            for name in given.cases:
                result[name] = step_of(CASES[name], model, given.steps, (given.keep or Path(scratch)) / name)
    return report(result, BARS)


if __name__ == "__main__":
    sys.exit(main())
