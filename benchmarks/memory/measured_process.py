"""One command of `reckon` in this process, and what its training took: `python -m benchmarks.memory.measured_process OUT WORDS...`

Resident memory is read when the model is loaded and the loop begins, and its peak when the loop ends (the kernel's high-water mark, reset
in between, since reading a model's file may take more than training it). A step of a model of a few thousand numbers comes first, so that
what the libraries take when they are first used counts as nothing.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident(name: str) -> int:
    """Bytes: VmRSS now, VmHWM at most since the last reset."""
    line = next(line for line in STATUS.read_text(encoding="ascii").splitlines() if line.startswith(name + ":"))
    return int(line.split()[1]) * 1024


def warm_up() -> None:
    """A step of each kind on a tiny model: loads what is loaded late."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from rl.learning.adapters import Lora
    from rl.learning.learner import Learner
    from rl.measuring.planned_step import batch_of_lengths
    from rl.objectives.supervised import sft

    torch.manual_seed(0)
    shape = LlamaConfig(vocab_size=256, hidden_size=128, intermediate_size=256, num_hidden_layers=1, num_attention_heads=2)
    for lora, layout in ((None, "padded"), (Lora(4), "shared")):
        learner = Learner(LlamaForCausalLM(shape), lora=lora, layout=layout, device="cpu")  # type: ignore[arg-type]
        learner.update(batch_of_lengths([(8, [8, 8])]), sft(), lr=0.0)


def around(loop: Callable[..., Any], found: dict[str, Any]) -> Callable[..., Any]:
    def measured(*args: Any, **settings: Any) -> Any:
        found["idle"] = resident("VmRSS")
        RESET.write_text("5", encoding="ascii")
        began, used = time.monotonic(), time.process_time()
        outcome = loop(*args, **settings)
        found.update(peak=resident("VmHWM"), seconds=time.monotonic() - began, processor_seconds=time.process_time() - used)
        return outcome

    return measured


def main() -> int:
    out, words = Path(sys.argv[1]), sys.argv[2:]
    warm_up()
    from recipes.commands.cli import main as command
    from recipes.setup import online
    from recipes.training import offline_run

    found: dict[str, Any] = {"libraries": resident("VmRSS")}
    online.train = around(online.train, found)
    offline_run.train_offline = around(offline_run.train_offline, found)
    code = command(words)
    out.write_text(json.dumps(found), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
