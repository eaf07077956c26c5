"""What each step of offline training sees: the next units of an endless stream, as one batch."""

from collections.abc import Callable, Sequence

import torch

from rl.examples.example import Example
from rl.loop.problem_stream import Stream
from rl.loop.seeds import Shuffled
from rl.objectives.batch import Batch, lay_out

Unit = tuple[Example, ...]


def batch_of(units: Sequence[Unit]) -> Batch:
    """Whole units side by side, each a group of its own; numbers that belong to examples become columns [B].

    Labels of tokens become the column `step_label` [N], 0 where the mask is False.
    """
    rows = [(example, number) for number, unit in enumerate(units) for example in unit]
    examples = [example for example, _ in rows]
    batch = lay_out(
        [example.tokens for example in examples],
        [example.mask for example in examples],
        [example.prompt_length for example in examples],
        groups=[number for _, number in rows],
    )
    names = examples[0].columns
    columns = {name: torch.tensor([example.columns[name] for example in examples]) for name in names}
    if examples[0].labels:
        labels = torch.tensor([label for example in examples for label in example.labels], dtype=torch.float32)
        columns["step_label"] = torch.zeros(len(batch.tokens)).masked_scatter(batch.mask, labels)
    return batch.with_columns(columns)


def unit_batches(
    units: Sequence[Unit], per_step: int, seed: int, *, shuffle: bool = True, order: Stream | None = None
) -> Callable[[int], Batch]:
    """Step 1, 2, ... -> its batch: the next `per_step` units, every epoch in a new order, or always as they are given; or as `order` says.

    An epoch that is no multiple of `per_step` ends within a step, which goes on with the next one.
    """
    stream: Stream | None = order if order is not None else Shuffled(len(units), seed) if shuffle else None

    def batch_of_step(step: int) -> Batch:
        places = range((step - 1) * per_step, step * per_step)
        return batch_of([units[stream[place] if stream else place % len(units)] for place in places])

    return batch_of_step
