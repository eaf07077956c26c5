"""Training on what is already written: supervised fine-tuning, a second short loop over the same Policy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from rl.learning.policy import Policy
from rl.learning.schedule import Schedule
from rl.loop.seeds import Shuffled, reseed
from rl.objectives.losses import token_mean


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and the completion to imitate, stop token included."""

    prompt: list[int]
    completion: list[int]


def sft(
    *,
    policy: Policy,
    examples: Sequence[Example],
    steps: int,
    examples_per_step: int,
    lr: Schedule,
    pad_id: int,
    seed: int = 0,
    should_stop: Callable[[int, float], bool] = lambda step, loss: False,
) -> int:
    """Maximum likelihood of the completions; every token of a step counts the same.

    Prompts are not trained on. `should_stop(step, loss)` is asked after each step. Returns the number of steps taken.
    """
    stream = Shuffled(len(examples), seed)
    for step in range(steps):
        reseed(seed, "sft", step)
        part = [examples[stream[step * examples_per_step + i]] for i in range(examples_per_step)]
        tokens, attention, mask = collate(part, pad_id)
        stats = policy.learn(tokens, attention, token_mean(mask), lr=lr(step))
        if should_stop(step + 1, stats.loss):
            return step + 1
    return steps


def collate(examples: Sequence[Example], pad_id: int) -> tuple[Int[Tensor, "B T"], Bool[Tensor, "B T"], Bool[Tensor, "B T"]]:
    """(tokens, attention, mask of completion tokens), padded on the right."""
    width = max(len(e.prompt) + len(e.completion) for e in examples)
    tokens = torch.full((len(examples), width), pad_id)
    attention = torch.zeros(len(examples), width, dtype=torch.bool)
    mask = torch.zeros(len(examples), width, dtype=torch.bool)
    for row, example in enumerate(examples):
        start, end = len(example.prompt), len(example.prompt) + len(example.completion)
        tokens[row, :end] = torch.tensor([*example.prompt, *example.completion])
        attention[row, :end] = True
        mask[row, start:end] = True
    return tokens, attention, mask
