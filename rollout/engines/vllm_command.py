"""The command line of a vLLM server that `VLLMServer` can work with, as words to run or as one line to copy.

On vLLM's CPU build, a LoRA of a model whose output head is not tied needs `--lora-target-modules` with the layers that are adapted as well:
its wrapper of such a head cannot score prompts. A GPU does not need it.
`python -m` and not `vllm serve`: the two are the same server, and the `vllm` command of the CPU build (0.32) does not start.
"""

import shlex

from rollout.engines.vllm_facts import lora_room
from verifiers.child_environment import PACKAGE_ROOT

WORKER = "rollout.engines.vllm_worker.PolicyWorker"


def server_command(
    model: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    lora_rank: int | None = None,
    max_model_len: int | None = None,
    dtype: str | None = None,
    cpu: bool = False,
    python: str = "python",
    options: tuple[str, ...] = (),
) -> list[str]:
    """To serve `model`, a hub id or a folder.

    `lora_rank`: of the adapters to come. `dtype`: what the policy computes in; vLLM's own choice is bfloat16, from which a float32 policy
    differs by more than the canary allows. `cpu`: for vLLM's CPU build. `options`: further words.
    Only this machine is listened to: `--host` and VLLM_SERVER_DEV_MODE together let whoever reaches the port replace the weights.
    Raises InputError for a rank that vLLM has no room for.
    """
    words = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", model, "--host", host, "--port", str(port)]
    words += ["--logprobs-mode", "processed_logprobs", "--generation-config", "vllm", "--worker-extension-cls", WORKER]
    if max_model_len is not None:
        words += ["--max-model-len", str(max_model_len)]
    if dtype is not None:
        words += ["--dtype", dtype]
    if lora_rank is not None:
        words += ["--enable-lora", "--max-loras", "1", "--max-lora-rank", str(lora_room(lora_rank))]
    if cpu:  # a seeded request whose prompt is cut in two needs a generator that can go back, which a CPU's cannot
        words += ["--enforce-eager", "--no-enable-chunked-prefill"]
    return [*words, *options]


def server_environment() -> dict[str, str]:
    """What the command needs besides: permission to take weights, and where `rollout` is."""
    return {
        "VLLM_SERVER_DEV_MODE": "1",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "PYTHONPATH": PACKAGE_ROOT,
    }


def server_line(model: str, *, port: int | None = None, lora_rank: int | None = None, dtype: str | None = None) -> str:
    """Both as one line of shell."""
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in server_environment().items())
    return f"{variables} {shlex.join(server_command(model, port=port or 8000, lora_rank=lora_rank, dtype=dtype))}"
