"""Scored groups to tensors: the batch of a rollout, and the signal that credit is given from."""

from collections.abc import Sequence

import torch

from rl.objectives.algorithms import LengthPenaltyFn
from rl.objectives.batch import Batch, lay_out, trained
from rl.objectives.credit import Signal, StepScores
from rollout.chat import Chat
from rollout.player import Group
from verifiers.input_error import InputError


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
    truncated = torch.tensor([completion.finish == "length" for _, _, completion, _ in rows])
    return batch.with_columns({"sampler_logp": torch.tensor(said), "truncated": truncated})


def signal_of(groups: Sequence[Group], batch: Batch, *, length_penalty: LengthPenaltyFn | None = None, chat: Chat | None = None) -> Signal:
    """The verdicts as tensors, beside the batch that was made of the same groups.

    `chat` knows where a step ends in tokens; without one, the scores of steps are left out. Raises InputError for a step that ends outside
    of its response.
    """
    scores = [[verdict.score for verdict in group.verdicts] for group in groups]
    valid = torch.tensor([[score is not None for score in row] for row in scores])
    outcome = torch.tensor([[0.0 if score is None else score for score in row] for row in scores])
    if length_penalty:
        lengths = torch.tensor([[float(sum(completion.sampled)) for completion in group.completions] for group in groups])
        outcome = outcome + length_penalty(lengths)
    return Signal(outcome, valid, batch, steps=_step_scores(groups, batch, chat) if chat else None)


def _step_scores(groups: Sequence[Group], batch: Batch, chat: Chat) -> StepScores | None:
    """The steps of all verdicts, each at its last token; None where there are none. A step that the prompt gave whole is nobody's doing."""
    found: list[tuple[float, int, int]] = []
    judged = [
        (group, completion, verdict) for group in groups for completion, verdict in zip(group.completions, group.verdicts, strict=True)
    ]
    begins = (batch.first + batch.prompt_length).tolist()
    for row, (group, completion, verdict) in enumerate(judged):
        if not verdict.steps or not verdict.valid:
            continue
        try:
            places = chat.token_ends(completion, group.prompt, [step.end for step in verdict.steps])
        except InputError as error:
            raise InputError(f"problem {group.problem.id}: {error}") from error
        scored = zip(verdict.steps, places, strict=True)
        found += [(step.score, begins[row] + place, row) for step, place in scored if place >= 0]
    if not found:
        return None
    scores, tokens, rows = zip(*found, strict=True)
    return StepScores(torch.tensor(scores, dtype=torch.float32), torch.tensor(tokens), torch.tensor(rows))


def taught(batch: Batch) -> int:
    """Sequences with something to teach: those that have an advantage."""
    return int((trained(batch, batch.mask & (batch.column("advantage") != 0)) > 0).sum())
