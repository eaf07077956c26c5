"""What a policy on several workers moves, measured, and what a larger one would: `python -m benchmarks.policy_traffic [--parameters 70e9
--workers 64]`.

Measured: `reckon sft` and `reckon grpo-math` with N policy workers of this machine (gloo, which speaks TCP over the loopback device,
whose counters are read), on a small Llama made on the spot, all parameters training, a micro-batch a worker and step; two runs of each
that differ in their number of steps, so that starting and ending cancel out. The unit is what a gather of all parameters moves in all: N
- 1 times their bytes. By the way FSDP2 works a micro-batch costs two gathers and a scattered sum of gradients, which is a unit with NCCL;
gloo has none, so that it is a whole sum of two. That makes 4 for SFT, which is the bar; what GRPO moves beyond that (scores of what was
sampled, the weights to the driver) is measured and taken over into the model.

Modelled: a policy of `--parameters` on `--workers`, all parameters training in float32 (which is also what gathers move), all cut
over the workers. Rates of network and arithmetic are inputs, printed with the result; they are not measured here.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.parts import ended, options
from verifiers.child_environment import child_environment

STEPS = (2, 6)
BYTES = 4
"""Of a parameter that trains, at rest and in a gather: float32."""
METHODS = ("sft", "grpo-math")
VOCABULARY, WIDTH, LAYERS = 256, 256, 8
REWARD = "def by_letters(problem, response):\n    return sum(map(ord, response)) % 97 / 97\n"


def make_model(folder: Path) -> int:
    """A Llama with a byte tokenizer; its number of parameters."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    shape = {"hidden_size": WIDTH, "intermediate_size": 3 * WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": 4}
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=VOCABULARY + 2, num_key_value_heads=4, tie_word_embeddings=True, eos_token_id=0, **shape)
    )
    model.save_pretrained(folder)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {"<pad>": 1, "<end>": 0, **{letter: number for number, letter in enumerate(letters, start=2)}}
    tokenizer = Tokenizer(models.BPE(vocab=words, merges=[]))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<pad>").save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


def moved_by(method: str, folder: Path, workers: int, steps: int) -> int:
    """Bytes over the loopback device in a run, of whose step each worker takes one micro-batch."""
    run = folder / f"{method}-{workers}-{steps}"
    command = [sys.executable, "-m", "recipes.commands.cli", method, "--model", str(folder), "--data", str(folder / f"{method}.jsonl")]
    command += ["--steps", str(steps), "--tune", "full", "--policy-workers", str(workers), "--run", str(run), "--checkpoint-every", "1000"]
    if method == "grpo-math":
        command += ["--reward", f"{folder}/mine.py:by_letters", "--problems-per-step", "4", "--completions-per-problem", "4"]
        command += ["--max-completion-length", "16", "--engine", "hf", "--workers", "1"]
    before = loopback_bytes()
    environment = {**child_environment(), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, timeout=900)
    return loopback_bytes() - before


def loopback_bytes() -> int:
    """Received over the loopback device since the machine started (Linux)."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, counts = line.partition(":")
        if name.strip() == "lo":
            return int(counts.split()[0])
    raise RuntimeError("/proc/net/dev names no loopback device")


def model_of(parameters: float, workers: int, beyond: float, given: Any) -> dict[str, Any]:
    """A step of a policy in float32. beyond: units that GRPO moves besides the update."""
    units = 3 * given.rounds + beyond
    moved = units * BYTES * parameters * (workers - 1) / workers
    network = given.gigabits / 8 * 1e9
    seconds = {
        "arithmetic": 6 * parameters * given.tokens / (workers * given.teraflops * 1e12),
        "collectives": moved / network,
        "weights to the driver and on to an engine": 2 * BYTES * parameters / network,
    }
    return {
        "parameters": parameters, "workers": workers, "gigabits_a_worker": given.gigabits, "teraflops_a_worker": given.teraflops,
        "tokens_a_step": given.tokens, "micro_batches_a_worker": given.rounds,
        "gigabytes_a_worker": {
            "parameters and gradients": round(2 * BYTES * parameters / workers / 1e9, 2),
            "moments": round(2 * BYTES * parameters / workers / 1e9, 2),
            "moved in a step": round(moved / 1e9, 1),
        },
        "gigabytes_of_the_driver": round(BYTES * parameters / 1e9, 1),
        "gigabytes_of_a_machine_of_8_while_loading": round(8 * BYTES * parameters / 1e9, 1),
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "bottleneck": max(seconds, key=lambda name: seconds[name]),
    }  # fmt: skip


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--parameters", type=float, default=70e9)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--gigabits", type=float, default=400.0, help="of a worker's network, a second")
    parser.add_argument("--teraflops", type=float, default=400.0, help="that a worker reaches, a second")
    parser.add_argument("--tokens", type=float, default=1024 * 2048.0, help="trained in a step")
    parser.add_argument("--rounds", type=int, default=4, help="micro-batches of each worker in a step")
    given = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        parameters = make_model(folder)
        rows = [{"prompt": f"{n} + 1 =", "answer": str(n + 1), "completion": f" {n + 1}"} for n in range(64)]
        for method in METHODS:
            left_out = "completion" if method == "grpo-math" else "answer"
            lines = (json.dumps({name: value for name, value in row.items() if name != left_out}) for row in rows)
            (folder / f"{method}.jsonl").write_text("\n".join(lines) + "\n")
        (folder / "mine.py").write_text(REWARD)
        for workers in (2, 4):
            unit = (workers - 1) * parameters * BYTES
            found[f"{workers} workers"] = row = {"megabytes of a unit": round(unit / 1e6, 1)}
            for method in METHODS:
                few, many = (moved_by(method, folder, workers, steps) for steps in STEPS)
                row[method] = round((many - few) / (STEPS[1] - STEPS[0]) / unit, 3)
            print(f"{workers} workers: {row}", flush=True)
    beyond = max(row["grpo-math"] - row["sft"] for row in found.values())
    modelled = model_of(given.parameters, given.workers, beyond, given)
    print(json.dumps(modelled, indent=1))
    wrong = [name for name, row in found.items() if not 3.8 <= row["sft"] <= 4.2]
    return ended({"units_a_step": found, "model": modelled}, wrong)


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(main())
