"""OpenEnv environments (package `openenv`) as environments: a client of a running server, or an environment object in this process.

OpenEnv's `reset()` and `step(action)` return an observation with a reward and whether it is over: a client in a StepResult around it,
an environment in the observation itself. Both are read. The policy's turn is one field of the action; the observation is shown as the
one text that it holds, or as JSON. A problem's `meta["reset"]` holds the keywords of its reset (a seed, a task), if there are any. Of
several fields, or of actions with parts, write an environment of your own around the client.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from rollout.tools.environment import Reply
from verifiers.input_error import InputError
from verifiers.problem import Problem

_NOT_SHOWN = ("done", "reward", "metadata")


class OpenEnvEnvironment:
    """One episode with one client or environment, which `make` makes."""

    scores = True

    def __init__(self, make: Callable[[], Any], action: Callable[[str], Any]):
        self.inner = make()
        self.action = action

    def reset(self, problem: Problem) -> str:
        return shown(self.inner.reset(**problem.meta.get("reset", {})))

    def step(self, text: str) -> Reply:
        result = self.inner.step(self.action(text))
        return Reply(shown(result), done=bool(result.done), reward=None if result.reward is None else float(result.reward))

    def close(self) -> None:
        self.inner.close()


def openenv_client(url: str, *, action: str, seconds: float) -> Callable[[], OpenEnvEnvironment]:
    """What makes one for a server at `url`, with actions {action: text}. Raises InputError where the package is not installed."""
    try:
        from openenv.core import GenericEnvClient
    except ImportError:
        raise InputError("--environment openenv:... needs the package openenv; install it with: pip install openenv") from None

    def make() -> Any:
        return GenericEnvClient(base_url=url, message_timeout_s=seconds).sync()

    return partial(OpenEnvEnvironment, make, lambda text: {action: text})


def shown(result: Any) -> str:
    """The observation of a StepResult, or an observation, as text."""
    observation = getattr(result, "observation", result)
    if isinstance(observation, str):
        return observation
    if hasattr(observation, "model_dump"):
        observation = observation.model_dump()
    elif dataclasses.is_dataclass(observation) and not isinstance(observation, type):
        observation = dataclasses.asdict(observation)
    if not isinstance(observation, Mapping):
        return str(observation)
    fields = {key: value for key, value in observation.items() if key not in _NOT_SHOWN and value is not None}
    texts = [value for value in fields.values() if isinstance(value, str)]
    return texts[0] if len(texts) == 1 and len(fields) <= 2 else json.dumps(fields, ensure_ascii=False, default=str)
