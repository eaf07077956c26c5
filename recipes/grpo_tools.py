"""GRPO where the policy may run programs while it thinks, or talk with an environment of yours.

    reckon grpo-tools --model Qwen/Qwen2.5-1.5B-Instruct --data openai/gsm8k --subset main
    reckon grpo-tools --model ./my-model --data problems.jsonl --environment guess.py:Guess
    reckon grpo-tools --model ./my-model --data problems.jsonl --environment openenv:http://localhost:8000

All of `grpo-math`'s options, and those for tools. A ```python block that the policy closes runs in the sandbox, and the policy goes
on after its output; `--style tags` takes <python>...</python> instead. Programs of one completion share their variables. Outputs are
masked, and the verifier reads only what the policy said. --max-completion-length bounds both together. An environment of yours is a
class with `reset` and `step` (`rollout/tools/environment.py`); where it `scores`, its rewards are the verdict. Numbers of a real run are
not here yet: none was measured on a GPU.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from recipes import grpo_math
from recipes.setup.command_line import guarded, parse_options
from recipes.setup.resuming import resumed
from verifiers.input_error import InputError

if TYPE_CHECKING:
    from rollout.chat import Chat
    from rollout.engine import Engine

PROMPTS = {
    "fence": "Please reason step by step. You may write Python programs: close a ```python block, and its output follows. "
    r"Put your final answer within \boxed{}.",
    "tags": "Please reason step by step. You may write Python programs as <python>...</python>; the output follows. "
    r"Put your final answer within \boxed{}.",
}
OPENENV = "openenv:"


@dataclass(frozen=True, kw_only=True)
class Config(grpo_math.Config):
    """GRPO where the policy may run programs, or talk with an environment of yours."""

    max_turns: int = 4
    """Replies of the environment in one completion."""
    tool_seconds: float = 10.0
    """For each program, or each reply of an environment of yours."""
    tool_output: int = 2000
    """Characters of a reply; of a longer one the first and the last are kept."""
    tools_at_once: int = 64
    """Environments that are called at a time."""
    style: Literal["fence", "tags"] | None = None
    """How a program is marked: ```python blocks (default), or <python>...</python>."""
    environment: str | None = None
    """Instead of the interpreter: your own class, `file.py:Class`, or `openenv:http://...`, an OpenEnv server."""
    openenv_action: str | None = None
    """The field of an OpenEnv action that takes the policy's turn (default "message")."""

    system_prompt: str | None = None  # type: ignore[assignment]  # what it says depends on the style
    """First message; "" for none (default: asks for programs, or for nothing with an environment)."""
    run: Path = Path("runs/grpo_tools")


def run(config: Config) -> int:
    """Check, load, train. Returns the exit code."""
    config = resolve(resumed(config))
    scores = environment_of(config)[2]
    if scores and config.reward:
        raise InputError(f"--reward would be ignored: {config.environment} scores by itself; leave it out, or set its `scores` to False")
    return grpo_math.train(config, equip=equipped(config), check_golds=not scores)


def equipped(config: Config) -> "Callable[[Engine, Chat], Engine]":
    """What puts the environment of the options around an engine. Raises InputError where it cannot be had."""
    make, stop_texts, scores, grace = environment_of(config)

    def equip(engine: "Engine", chat: "Chat") -> "Engine":
        from rollout.tools.tool_use import ToolEngine

        return ToolEngine(
            engine, chat=chat, make_environment=make, stop_texts=stop_texts, scores=scores, max_turns=config.max_turns,
            deadline=config.tool_seconds + grace, max_reply=config.tool_output, at_once=config.tools_at_once,
        )  # fmt: skip

    return equip


def resolve(config: Config) -> Any:
    """Paths made absolute, the system prompt chosen. Raises InputError for options that would be ignored."""
    place = config.environment or ""
    if place and config.style:
        raise InputError("--style would be ignored with --environment; leave one of them out")
    if config.openenv_action and not place.startswith(OPENENV):
        raise InputError("--openenv-action would be ignored without --environment openenv:http://...; leave it out")
    if place.rpartition(":")[0].endswith(".py"):
        file, _, name = place.rpartition(":")
        config = replace(config, environment=f"{Path(file).expanduser().resolve()}:{name}")
    elif place and not place.startswith((OPENENV + "http://", OPENENV + "https://")):
        raise InputError(f"--environment {place!r}: write FILE.py:CLASS, or openenv:http://HOST:PORT")
    if config.system_prompt is None:
        config = replace(config, system_prompt="" if place else PROMPTS[config.style or "fence"])
    return grpo_math.resolve(config)


def environment_of(config: Config) -> tuple[Callable[[], Any], tuple[str, ...], bool, float]:
    """(what makes one, its stop texts, whether it scores, seconds of grace). Raises InputError where it cannot be had."""
    from rollout.tools.interpreter_environment import GRACE, STOPS, Interpreter

    place = config.environment
    if place is None:
        from verifiers.sandboxes.interpreter import interpreter_sandbox

        interpreter_sandbox()
        style = config.style or "fence"
        return partial(Interpreter, style=style, seconds=config.tool_seconds, max_output=config.tool_output), (STOPS[style],), False, GRACE
    if place.startswith(OPENENV):
        from rollout.tools.openenv_environment import openenv_client

        make = openenv_client(place.removeprefix(OPENENV), action=config.openenv_action or "message", seconds=config.tool_seconds)
        return make, (), True, 0.0
    kind = _class_of(place)
    return kind, _stop_texts(kind, place), bool(getattr(kind, "scores", False)), 0.0


def _class_of(place: str) -> Any:
    from verifiers.rewards.named_functions import import_file

    file, _, name = place.rpartition(":")
    kind = getattr(import_file(Path(file), "an environment is FILE.py:CLASS"), name, None)
    if kind is None:
        raise InputError(f"--environment {place}: {file} defines no {name!r}")
    missing = [method for method in ("reset", "step") if not callable(getattr(kind, method, None))]
    if not isinstance(kind, type) or missing:
        what = f"has no {' and no '.join(missing)}" if missing else "is not a class"
        raise InputError(f"--environment {place} {what}; an environment is a class with reset(problem) and step(text)")
    return kind


def _stop_texts(kind: Any, place: str) -> tuple[str, ...]:
    texts = getattr(kind, "stop_texts", ())
    if isinstance(texts, str) or not all(isinstance(text, str) and text for text in texts):
        raise InputError(f"--environment {place}: stop_texts must be a tuple of texts, not {texts!r:.80}")
    return tuple(texts)


def plan_facts(config: Config) -> Any:
    """What `reckon plan` needs to know."""
    return grpo_math.plan_facts(resolve(config))


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parse_options(Config, sys.argv[1:], name="grpo-tools"))))
