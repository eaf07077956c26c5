"""How well a reward model judges what it has not seen: how often it ranks or decides right, how it orders, whether it means what it says.

Numbers go into a run's log under the names that its plots know: `eval/accuracy` with its interval, `eval/auc`, `eval/ece`, and the bins
of the reliability plot, `eval/reliability/3/right` and the like.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from rl.evaluation.accuracy import Accuracy, evaluation_metrics
from rl.learning.learner import Learner
from rl.objectives.batch import Batch
from rl.objectives.reward_models import last_scores

BINS = 10
Kind = Literal["outcome-pairs", "outcome", "process"]
"""What a reward model learnt from: a better and a worse answer, right and wrong ones, steps with labels."""


def judged_figures(kind: Kind, learner: Learner, batch: Batch) -> Mapping[str, float]:
    """Of what is held out, laid out as its objective has it."""
    score = learner.look(batch, ("score",))["score"]
    if kind == "process":
        return label_figures(score[batch.mask], batch.column("step_label")[batch.mask])
    rewards = last_scores(score, batch)
    return pair_figures(rewards[0::2], rewards[1::2]) if kind == "outcome-pairs" else label_figures(rewards, batch.column("label"))


def pair_figures(better: Float[Tensor, "U"], worse: Float[Tensor, "U"]) -> dict[str, float]:
    """Of the rewards of pairs: the share ranked right (a tie is not), and whether σ(difference) is the chance of being better.

    The area under the curve is over all answers, whichever prompt they answer.
    """
    right = Accuracy(int((better > worse).sum()), len(better))
    margin = better - worse
    # each pair in both orders: which side is named first is nobody's doing
    says, is_so = torch.cat([margin.sigmoid(), (-margin).sigmoid()]), torch.cat([torch.ones_like(margin), torch.zeros_like(margin)])
    labels = torch.cat([torch.ones_like(better), torch.zeros_like(worse)])
    return _figures(right, torch.cat([better, worse]), labels) | reliability(says, is_so)


def label_figures(score: Float[Tensor, "M"], label: Float[Tensor, "M"]) -> dict[str, float]:
    """Of logits and labels from 0 to 1: the share decided as the label rounds, and whether σ(score) is the label's mean."""
    right = Accuracy(int(((score > 0) == (label > 0.5)).sum()), len(score))
    return _figures(right, score, label) | reliability(score.sigmoid(), label)


def _figures(right: Accuracy, score: Tensor, label: Tensor) -> dict[str, float]:
    area = auc(score, label)
    return evaluation_metrics({"": right}) | ({} if area is None else {"eval/auc": area})


def auc(score: Float[Tensor, "M"], label: Float[Tensor, "M"]) -> float | None:
    """The chance that one whose label is above 1/2 scores above one whose is not, a tie counting half; None without both kinds."""
    good, bad = score[label > 0.5].double(), score[label <= 0.5].double().sort().values
    if not len(good) or not len(bad):
        return None
    below, up_to = torch.searchsorted(bad, good), torch.searchsorted(bad, good, right=True)
    return float((below + up_to).double().mean() / 2 / len(bad))


def reliability(says: Float[Tensor, "M"], is_so: Float[Tensor, "M"]) -> Mapping[str, float]:
    """Expected calibration error, arXiv:1706.04599: the mean over all of |mean prediction - mean label| of its bin; and the bins.

    Ten bins of equal width from 0 to 1; a bin without any has no numbers but its count.
    """
    bins = (says.double() * BINS).long().clamp(0, BINS - 1)
    found: dict[str, float] = {}
    error = 0.0
    for number in range(BINS):
        inside = bins == number
        count = int(inside.sum())
        found[f"eval/reliability/{number}/count"] = count
        if count:
            predicted, right = float(says[inside].double().mean()), float(is_so[inside].double().mean())
            found |= {f"eval/reliability/{number}/predicted": predicted, f"eval/reliability/{number}/right": right}
            error += count / len(says) * abs(predicted - right)
    return {"eval/ece": error, **found}
