"""Scored groups to tensors: the batch of a rollout, and the signal that credit is given from."""

from collections.abc import Sequence

import torch

from rl.objectives.algorithms import LengthPenaltyFn
from rl.objectives.batch import Batch, lay_out, trained
from rl.objectives.credit import Signal
from rollout.player import Group


def batch_of_groups(groups: Sequence[Group], *, temperature: float, mask_truncated: bool = False) -> Batch:
    """Row p * G + g is completion g of group p, its prompt before it. Every group must have G completions.

    What trains is what the policy sampled, of completions that have a verdict; with `mask_truncated` not of those that were cut at the
    length limit (`mask_truncated_completions` of TRL, overlong filtering of DAPO, arXiv:2503.14476, section 3.4).
    """
    rows = [
        (number, group.prompt, completion, verdict.score is not None and not (mask_truncated and completion.finish == "length"))
        for number, group in enumerate(groups)
        for completion, verdict in zip(group.completions, group.verdicts, strict=True)
    ]
    batch = lay_out(
        [[*prompt, *completion.tokens] for _, prompt, completion, _ in rows],
        [[*[False] * len(prompt), *(own and trains for own in completion.sampled)] for _, prompt, completion, trains in rows],
        [len(prompt) for _, prompt, _, _ in rows],
        groups=[number for number, _, _, _ in rows],
        temperature=temperature,
    )
    said = [logp for _, prompt, completion, _ in rows for logp in [*[0.0] * len(prompt), *completion.logprobs]]
    return batch.with_columns({"sampler_logp": torch.tensor(said)})


def signal_of(groups: Sequence[Group], batch: Batch, *, length_penalty: LengthPenaltyFn | None = None) -> Signal:
    """The verdicts as tensors, beside the batch that was made of the same groups."""
    scores = [[verdict.score for verdict in group.verdicts] for group in groups]
    valid = torch.tensor([[score is not None for score in row] for row in scores])
    outcome = torch.tensor([[0.0 if score is None else score for score in row] for row in scores])
    if length_penalty:
        lengths = torch.tensor([[float(sum(completion.sampled)) for completion in group.completions] for group in groups])
        outcome = outcome + length_penalty(lengths)
    return Signal(outcome, valid, batch)


def taught(batch: Batch) -> int:
    """Sequences with something to teach: those that have an advantage."""
    return int((trained(batch, batch.mask & (batch.column("advantage") != 0)) > 0).sum())
