"""Credit from the scores of steps: GRPO with process supervision, its mixture with the outcome, and rewards by token for a critic.

A step's score sits on its last token. Steps of one token add up. A completion without a verdict never trains and influences nobody, its
steps included; one without steps has a process part of 0. Shapes as in `credit.py`, and S steps.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rl.objectives.batch import Batch, ends
from rl.objectives.credit import Credit, Signal, StepScores, zscore
from rl.objectives.objective import formula


@formula(
    "A = {process_weight} Σ_(steps that end at or after the token) z + {outcome_weight} (r - mean_G) / (std_G + {eps})\n"
    "z = (s - mean_S) / (std_S + {eps}),  S = all steps of the group"
)
def process_zscore(signal: Signal, *, process_weight: float = 1.0, outcome_weight: float = 0.0, eps: float = 1e-4) -> Credit:
    """Process supervision of DeepSeekMath, arXiv:2402.03300, section 4.1.3; with an `outcome_weight`, GRPO's outcome advantage beside it.

    Scores are normalised over all steps S of all G completions of a problem (ddof 1, exactly 0 where they are equal or fewer than two); the
    advantage of a token is the sum of those of its completion's steps that end at or after it, so a token after the last step has none.
    A rollout in which no step has a score teaches nothing by them: it may be the chance of one step, and the loop says so if it stays.
    """
    advantage = signal.outcome.new_zeros(len(signal.batch.tokens))
    if signal.steps is not None:
        advantage = process_weight * _to_come(normalised(signal, eps=eps), signal.steps, signal.batch)
    if outcome_weight:
        advantage = advantage + outcome_weight * zscore(signal, eps=eps)["advantage"]
    return {"advantage": advantage}


def normalised(signal: Signal, *, eps: float = 1e-4) -> Float[Tensor, "S"]:
    """(s - mean) / (std + eps) over all valid steps of each problem; 0 for the steps of completions without a verdict."""
    steps = signal.steps
    assert steps is not None
    problem, problems = steps.row // signal.outcome.shape[1], len(signal.outcome)
    known = signal.valid.reshape(-1)[steps.row]
    score = torch.where(known, steps.score, 0.0)

    def total(x: Float[Tensor, "S"]) -> Float[Tensor, "P"]:
        return x.new_zeros(problems).index_add(0, problem, x)

    count = total(known.to(score.dtype))
    centered = torch.where(known, score - (total(score) / count.clamp(min=1))[problem], 0.0)
    std = (total(centered.square()) / (count - 1).clamp(min=1)).sqrt()
    inf = float("inf")
    high = score.new_full((problems,), -inf).scatter_reduce(0, problem, torch.where(known, score, -inf), "amax")
    low = score.new_full((problems,), inf).scatter_reduce(0, problem, torch.where(known, score, inf), "amin")
    # where all are equal, s - mean need not be 0 (0.1 + 0.1 + 0.1 != 0.3)
    return torch.where((high > low)[problem], centered / (std + eps)[problem], 0.0)


def _to_come(value: Float[Tensor, "S"], steps: StepScores, batch: Batch) -> Float[Tensor, "N"]:
    """Of each trained token the sum of the values of its sequence's steps that end at or after it; exactly 0 after the last.

    Sums run over the few steps of a sequence, not over its tokens, so that nothing of another sequence's rounding comes in.
    """
    order = steps.token.argsort(stable=True)
    row = steps.row[order]
    ended = _ended_before(steps.token, batch)
    nth = ended[steps.token[order]] + _place_among_equals(steps.token[order])
    width = int(torch.bincount(steps.row, minlength=1).max())
    table = value.new_zeros(len(batch), width + 1)
    table[row, nth] = value[order]
    suffix = table.flip(1).cumsum(1).flip(1)
    return torch.where(batch.mask, suffix[batch.row, ended], 0.0)


def _ended_before(token: Int[Tensor, "S"], batch: Batch) -> Int[Tensor, "N"]:
    """How many of its sequence's steps have ended before each token."""
    ends = torch.bincount(token, minlength=len(batch.tokens))
    before = ends.cumsum(0) - ends
    return before - before[batch.first][batch.row]


def _place_among_equals(rising: Int[Tensor, "S"]) -> Int[Tensor, "S"]:
    """0, 1, ... along each run of equal numbers: steps that end with the same token."""
    return torch.arange(len(rising), device=rising.device) - torch.searchsorted(rising, rising)


def step_rewards(signal: Signal, *, process_weight: float = 1.0, outcome_weight: float = 1.0) -> Float[Tensor, "N"]:
    """Rewards by token, for GAE: each step's score on its last token, the outcome on the sequence's last sampled token.

    Scores as they are, not normalised; where both fall on one token, and where steps share one, they add up. 0 on every token that does
    not train. Without step scores only the outcomes.
    """
    batch = signal.batch
    told = ends(batch) & signal.valid.reshape(-1)[batch.row]
    reward = torch.where(told, outcome_weight * signal.outcome.reshape(-1)[batch.row], 0.0)
    if signal.steps is not None:
        known = signal.valid.reshape(-1)[signal.steps.row]
        reward = reward.index_add(0, signal.steps.token[known], process_weight * signal.steps.score[known].to(reward.dtype))
    return torch.where(batch.mask, reward, 0.0)
