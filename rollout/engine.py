"""What turns prompts into completions: the protocol that every engine obeys, and the values that cross it.

Sampling is a pure function of the weights, the prompts and `Sampling.seed`: an engine keeps no random state between calls, so
a resumed run needs none saved. An engine has no base class; it joins `tests/rollout/engines/test_engine_contract.py` instead.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from verifiers.problem import Problem
from verifiers.verdict import Verdict

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Sampling:
    """How completions are drawn. No top-p, top-k or min-p: they bias the policy gradient (see docs/numerics.md)."""

    max_tokens: int
    completions: int = 1
    """G, for each prompt."""
    temperature: float = 1.0
    """0 is greedy: the log-probabilities are then those at temperature 1."""
    stop_ids: tuple[int, ...] = ()
    """Token ids that end a completion; the id itself is kept as the completion's last token."""
    stop_texts: tuple[str, ...] = ()
    """Texts that end a completion: the token that completes one is its last. The engine needs to know the tokenizer."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_tokens < 1 or self.completions < 1 or self.temperature < 0:
            raise ValueError(f"max_tokens and completions must be at least 1 and temperature at least 0: {self}")
        if not all(self.stop_texts):
            raise ValueError("an empty stop text would end every completion")


Finish = Literal["stop", "length", "abort"]
"""How a completion ended: by itself, at the token limit, or taken back."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled response."""

    tokens: list[int]
    logprobs: list[float]
    """Log-probability of each token under the distribution that it was sampled from: softmax(logits / temperature)."""
    sampled: list[bool]
    """False for tokens that the policy did not choose (a tool's output): they are never trained on."""
    finish: Finish
    policy_version: int
    tool_errors: int = 0
    """Of the tool calls within, those that ended in an error."""
    verdict: Verdict | None = field(default=None, compare=False)
    """From the environment that it was sampled in: its reward, or why there is none. None: the verifier judges."""


OnGroup = Callable[[int, list[Completion]], None]
"""Told the index of a prompt and its completions as soon as all of them are there."""


@dataclass(frozen=True, slots=True)
class PolicyWeights:
    """A policy's parameters as an engine may take them: the live module now; tensors to copy, for engines elsewhere."""

    module: "nn.Module"
    """The policy's own model (a transformers or peft model). An engine in the same process may sample from it in place."""
    autocast: str | None = None
    """Name of the dtype under which the policy computes ("bfloat16"), None for plain float32."""


def require_tokens(prompts: Sequence[Sequence[int]]) -> None:
    """Raises ValueError for a prompt that is empty, which no engine samples from."""
    if not all(prompts):
        raise ValueError(f"prompt {next(i for i, p in enumerate(prompts) if not p)} is empty; every prompt needs a token")


OnPhase = Callable[[str], None]
"""Told the name of each phase as it begins."""


@runtime_checkable
class Engine(Protocol):
    """Anything with these five methods; checked as a whole by the contract test, and by name at run time."""

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling, on_group: OnGroup | None = None) -> list[list[Completion]]:
        """`sampling.completions` completions for each prompt (token ids, not empty), in order: P lists of G.

        `on_group` hears of each prompt once, in any order, in the caller's thread and before this returns, so that scoring
        can begin while others are sampled.
        """

    def load_policy(self, weights: PolicyWeights, version: int) -> int:
        """Sample from these weights from now on, and stamp completions with `version`. Returns the bytes that were moved."""

    def score(self, sequences: Sequence[Sequence[int]], *, temperature: float = 1.0) -> list[list[float]]:
        """Log-probability of each token given those before it; the first token of a sequence has 0.0."""

    def sleep(self) -> int:
        """Give memory back until the engine is used again, where it can. Returns the bytes given back."""

    def close(self) -> None:
        """Give back what the engine holds; it is not used afterwards."""


@runtime_checkable
class EpisodeEngine(Engine, Protocol):
    """An engine whose completions depend on the whole problem, not on its prompt alone: each talks with an environment."""

    def play(
        self,
        problems: Sequence[Problem],
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        on_group: OnGroup | None = None,
        *,
        clock: OnPhase,
    ) -> list[list[Completion]]:
        """As `generate`; phases of the environments' work are told to `clock`."""
