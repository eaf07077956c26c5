"""What both vLLM engines, in this process and behind a server, know about vLLM: versions, what it samples, seeds, one repair.

Nothing here imports vLLM before it is called: the trainer that talks to a server need not have it.
"""

import hashlib
import warnings
from collections.abc import Sequence
from typing import Any

from rollout.engine import Sampling, require_tokens
from verifiers.input_error import InputError

OLDEST, NEWEST_TESTED = (0, 22), (0, 32)
LOWEST_TEMPERATURE = 0.01  # vLLM raises what is lower to this, with a warning in its log
LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # what --max-lora-rank can be


def request_seed(seed: int, index: int) -> int:
    """Of one prompt's request; vLLM adds a completion's place in its group. Far apart, so that no two completions share one."""
    digest = hashlib.blake2b(f"{seed}:{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 2


def require_release(version: str, what: str, remedy: str) -> None:
    """Raises InputError, `what` it is and the `remedy` in it, for a version that is too old; warns of one that is newer than tested.

    A build from source, which says "dev", is taken at its word.
    """
    parts = version.split(".")[:2]
    if len(parts) < 2 or not all(part.isdigit() for part in parts):
        return
    numbers = int(parts[0]), int(parts[1])
    if numbers < OLDEST:
        raise InputError(f"{what} older than {dotted(OLDEST)}, {remedy}")
    if numbers > NEWEST_TESTED:
        said = f"{what} newer than {dotted(NEWEST_TESTED)}, the newest that was tested; each sync is checked all the same"
        warnings.warn(said, stacklevel=4)


def dotted(numbers: tuple[int, int]) -> str:
    return ".".join(map(str, numbers))


def require_samplable(prompts: Sequence[Sequence[int]], sampling: Sampling) -> None:
    """Raises for prompts or a temperature that vLLM would change in silence."""
    require_tokens(prompts)
    if 0 < sampling.temperature < LOWEST_TEMPERATURE:
        raise InputError(f"vLLM samples at temperature 0 or from {LOWEST_TEMPERATURE} up, not at {sampling.temperature}")


def require_room(prompts: Sequence[Sequence[int]], new_tokens: int, limit: int, name: str, remedy: str) -> None:
    """Raises InputError for a prompt that has no room for so many more tokens; `name` and `remedy` are of the limit."""
    for index, prompt in enumerate(prompts):
        if len(prompt) + new_tokens > limit:
            raise InputError(
                f"prompt {index} has {len(prompt)} tokens and may get {new_tokens} more: {len(prompt) + new_tokens} do not fit into "
                f"{name} of {limit}; shorten one of them, or {remedy}"
            )


def lora_room(rank: int) -> int:
    """The smallest --max-lora-rank that an adapter of this rank fits in."""
    fitting = [each for each in LORA_RANKS if each >= rank]
    if not fitting:
        raise InputError(
            f"a LoRA of rank {rank} is above the largest that vLLM takes, {LORA_RANKS[-1]}; lower --lora-rank or use --engine hf"
        )
    return fitting[0]


def repack_tied_head(model: Any) -> None:
    """vLLM's CPU build multiplies by a packed copy of a tied output head that its reload leaves as it was: pack it again."""
    from vllm.model_executor.layers.utils import dispatch_cpu_unquantized_gemm

    head: Any = getattr(model, "lm_head", None)
    if head is not None and hasattr(head, "cpu_linear"):
        dispatch_cpu_unquantized_gemm(head, remove_weight=False)
