"""Learning what an answer is worth, as values: pairs (Bradley-Terry), right or wrong, and step by step.

A reward is the term `score`, what a head says of the text that has been read up to and with a token, and the batch's mask says at which
tokens it is read: of a whole answer the sequence's last masked token, whatever stands before it, never a pad (there are none in a
batch); of steps every masked token. Nothing here knows a model, or how a reward is used.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from rl.objectives.batch import Batch, by_row, ends
from rl.objectives.objective import MeasureFn, Objective, Terms, WeightFn, formula
from rl.objectives.weights import pair_mean, row_mean, token_mean


def last_scores(score: Float[Tensor, "N"], batch: Batch) -> Float[Tensor, "B"]:
    """The score at each sequence's last masked token; 0 of a sequence without one."""
    return by_row(score, batch, ends(batch))


@dataclass(frozen=True)
class RankedPairs:
    """-logσ(r_w - r_l - margin) + centering (r_w + r_l)², one a pair; rows 2u and 2u + 1 are the better and the worse answer."""

    margin: float = 0.0
    margins: bool = False
    """Whether each pair has a margin of its own besides, in the column `margin` [B], the same in both rows."""
    centering: float = 0.0

    def __call__(self, terms: Terms, batch: Batch) -> Float[Tensor, "U"]:
        better, worse = _sides(terms, batch)
        asked = batch.column("margin")[0::2] + self.margin if self.margins else self.margin
        loss = -functional.logsigmoid(better - worse - asked)
        return loss + self.centering * (better + worse).square() if self.centering else loss

    def formula(self) -> str:
        margin = (f" - {self.margin}" if self.margin else "") + (" - m" if self.margins else "")
        centering = f" + {self.centering} (r_w + r_l)²" if self.centering else ""
        own = "\nm = the pair's own margin" if self.margins else ""
        return f"-logσ(r_w - r_l{margin}){centering}\nr = score after the answer's last token, w better, l worse{own}"


def _sides(terms: Terms, batch: Batch) -> tuple[Float[Tensor, "U"], Float[Tensor, "U"]]:
    rewards = last_scores(terms["score"], batch)
    return rewards[0::2], rewards[1::2]


def _cross_entropy(score: Tensor, label: Tensor) -> Tensor:
    """Binary, of a logit; a label between 0 and 1 is a share of right continuations."""
    return functional.binary_cross_entropy_with_logits(score, label.to(score.dtype), reduction="none")


@formula("-y logσ(r) - (1 - y) logσ(-r)\nr = score after the answer's last token, y = 1 where it is right, 0 where wrong")
def right_or_wrong(terms: Terms, batch: Batch) -> Float[Tensor, "B"]:
    """Of each answer, by the column `label` [B]. Cobbe et al., arXiv:2110.14168, whose verifier reads its score at every token."""
    return _cross_entropy(last_scores(terms["score"], batch), batch.column("label"))


@formula("-y logσ(r) - (1 - y) logσ(-r)\nr = score after the last token of a step, y = the step's label, 0 to 1")
def each_step(terms: Terms, batch: Batch) -> Float[Tensor, "N"]:
    """Of each step, by the column `step_label` [N] at the step's last token. Math-Shepherd, arXiv:2312.08935, equation 4."""
    # a column may hold anything where the mask is False, and 0 * nan would be nan
    return _cross_entropy(terms["score"], torch.where(batch.mask, batch.column("step_label"), 0.0))


# --- for the log ---------------------------------------------------------------------------------------------------------


def _pair_measures() -> dict[str, MeasureFn]:
    return {
        "rewards/chosen": lambda terms, batch: _sides(terms, batch)[0],
        "rewards/rejected": lambda terms, batch: _sides(terms, batch)[1],
        "rewards/margins": lambda terms, batch: torch.sub(*_sides(terms, batch)),
        "rewards/accuracies": lambda terms, batch: torch.gt(*_sides(terms, batch)).float(),
    }


def _only(good: bool, label: Tensor, reward: Tensor) -> Tensor:
    """Where the label says so; the others are nan, which a mean leaves out."""
    return torch.where((label > 0.5) == good, reward, torch.nan)


def _agrees(reward: Tensor, label: Tensor) -> Tensor:
    return ((reward > 0) == (label > 0.5)).float()


def _label_measures() -> dict[str, MeasureFn]:
    def reward(terms: Terms, batch: Batch) -> Float[Tensor, "B"]:
        return last_scores(terms["score"], batch)

    return {
        "rewards/chosen": lambda terms, batch: _only(True, batch.column("label"), reward(terms, batch)),
        "rewards/rejected": lambda terms, batch: _only(False, batch.column("label"), reward(terms, batch)),
        "rewards/accuracies": lambda terms, batch: _agrees(reward(terms, batch), batch.column("label")),
    }


def _step_measures() -> dict[str, MeasureFn]:
    return {"rewards/accuracies": lambda terms, batch: _agrees(terms["score"], batch.column("step_label"))}


# --- the objectives ------------------------------------------------------------------------------------------------------


def bradley_terry(*, margin: float = 0.0, margins: bool = False, centering: float = 0.0) -> Objective:
    """Rewards by which the better answer of a pair is better with probability σ(r_w - r_l): InstructGPT, arXiv:2203.02155, equation 1.

    A margin, of all pairs or, with `margins`, of each, as in Llama 2 (arXiv:2307.09288, equation 2). Differences alone leave the rewards'
    level open; `centering` draws it to 0 (arXiv:2312.09244, section 3.2; TRL's `center_rewards_coefficient`, there 0.01).
    """
    loss = RankedPairs(margin, margins, centering)
    reads = ("margin",) if margins else ()
    return Objective(loss, pair_mean, terms=("score",), reads=reads, rows_per_unit=2, measures=_pair_measures())


def outcome_bce() -> Objective:
    """The probability, σ(r), that an answer is right; all answers count the same."""
    return Objective(right_or_wrong, row_mean, terms=("score",), reads=("label",), measures=_label_measures())


def step_bce(*, weight: WeightFn = token_mean) -> Objective:
    """The probability, σ(r), that a step is right, or its share of right continuations where labels are soft; all steps count the same."""
    return Objective(each_step, weight, terms=("score",), reads=("step_label",), measures=_step_measures())
