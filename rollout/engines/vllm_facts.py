"""What both vLLM engines, in this process and behind a server, know about vLLM: versions, bounds, seeds, one repair.

Nothing here imports vLLM before it is called: the trainer that talks to a server need not have it.
"""

import hashlib
from typing import Any

OLDEST, NEWEST_TESTED = (0, 22), (0, 32)
LOWEST_TEMPERATURE = 0.01  # vLLM raises what is lower to this, with a warning in its log
LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # what --max-lora-rank can be


def request_seed(seed: int, index: int) -> int:
    """Of one prompt's request; vLLM adds a completion's place in its group. Far apart, so that no two completions share one."""
    digest = hashlib.blake2b(f"{seed}:{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 2


def version_numbers(version: str) -> tuple[int, int] | None:
    """(0, 32) of "0.32.0"; None of what is no release (a build from source says "dev")."""
    parts = version.split(".")[:2]
    return (int(parts[0]), int(parts[1])) if len(parts) == 2 and all(part.isdigit() for part in parts) else None


def repack_tied_head(model: Any) -> None:
    """vLLM's CPU build multiplies by a packed copy of a tied output head that its reload leaves as it was: pack it again."""
    from vllm.model_executor.layers.utils import dispatch_cpu_unquantized_gemm

    head: Any = getattr(model, "lm_head", None)
    if head is not None and hasattr(head, "cpu_linear"):
        dispatch_cpu_unquantized_gemm(head, remove_weight=False)
