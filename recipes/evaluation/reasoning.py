"""How the problems of an evaluation are to be solved: in words, by a program, or in words with programs that run meanwhile.

The three ways of DeepSeekMath's tables (arXiv:2402.03300, section 3): chain of thought, program of thought (arXiv:2211.12588), and
tool-integrated reasoning (arXiv:2309.17452). What a way says and who judges it are defaults: options that are given win.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rollout.chat import Chat
    from rollout.engine import Engine

Reasoning = Literal["cot", "pot", "tools"]
PROGRAM = (
    "Write a Python program that solves the problem, in one ```python block. It takes no input, and the last line that it prints is the "
    "final answer and nothing else."
)


def as_reasoned(config: Any, given: Collection[str]) -> Any:
    """The options with the prompt, and for programs the judge, of their way of reasoning, but for those that are `given`."""
    if config.reasoning == "pot":
        prompt, reward = PROGRAM, ("program_answer",)
    elif config.reasoning == "tools":
        from recipes.grpo_tools import PROMPTS

        prompt, reward = PROMPTS["fence"], ()
    else:
        return config
    own = {"system_prompt": prompt} | ({"reward": reward} if reward else {})
    return replace(config, **{name: value for name, value in own.items() if name not in given})


def equipment(config: Any) -> "Callable[[Engine, Chat], Engine] | None":
    """What gives an engine its tools; None where there are none. Raises InputError where programs cannot be run on this machine."""
    if config.reasoning != "tools":
        return None
    from recipes.grpo_tools import Config, equipped

    return equipped(Config())
