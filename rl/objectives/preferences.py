"""Learning from preferences as values: the DPO family, SimPO, ORPO over pairs of completions, KTO over single ones.

Rows 2u and 2u + 1 of a batch are the chosen and the rejected completion of pair u. Each side is scored, the difference of the two scores is
the margin x, and a curve of x is the pair's loss; a term that imitates the chosen side may be added. Members of the family differ in
nothing else, so nothing else is here: no model, no data, no logging. Scores are of completions only, also where prompts train.
A factory's parameters are all the options that the objective obeys. Where a name means two things (length-normalised or not, a mean over
sequences or over tokens), both are here and the docstring says which is whose. No method that samples while it trains is here.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from rl.objectives.batch import Batch, by_row, lay_out, trained
from rl.objectives.objective import MeasureFn, Objective, Terms, formula, formula_of
from rl.objectives.weights import pair_mean, row_mean
from verifiers.input_error import did_you_mean

ScoreFn = Callable[[Float[Tensor, "N"], Batch], Float[Tensor, "B"]]
CurveFn = Callable[[Float[Tensor, "U"]], Float[Tensor, "U"]]
MeanOver = Literal["sequence", "token"]

CERTAIN = -1e-6
"""A mean log-probability above this counts as this in ORPO's odds: float32 tells 1 - p no better, and the slope grows as 1 / (1 - p)."""


# --- scores: what one completion is worth --------------------------------------------------------------------------------


def _answer(batch: Batch) -> Bool[Tensor, "N"]:
    """The trained tokens of completions; those of prompts, where they train, are not what is compared."""
    return batch.mask & batch.completion


def _mean(x: Float[Tensor, "N"], batch: Batch) -> Float[Tensor, "B"]:
    answer = _answer(batch)
    return by_row(x, batch, answer) / trained(batch, answer).clamp(min=1)


@formula("Σ_t (lp - ref)")
def gain(logp: Float[Tensor, "N"], batch: Batch) -> Float[Tensor, "B"]:
    """The completion's log-probability against the reference's: DPO's implicit reward, arXiv:2305.18290, without its beta."""
    return by_row(logp - batch.column("ref_logp"), batch, _answer(batch))


@formula("Σ_t lp")
def sum_logp(logp: Float[Tensor, "N"], batch: Batch) -> Float[Tensor, "B"]:
    """The completion's log-probability."""
    return by_row(logp, batch, _answer(batch))


@formula("mean_t (lp - ref)")
def mean_gain(logp: Float[Tensor, "N"], batch: Batch) -> Float[Tensor, "B"]:
    """The same a token: long completions no longer move the margin by their length alone."""
    return _mean(logp - batch.column("ref_logp"), batch)


@formula("mean_t lp")
def mean_logp(logp: Float[Tensor, "N"], batch: Batch) -> Float[Tensor, "B"]:
    """The completion's log-probability a token; needs no reference. SimPO, arXiv:2405.14734, without its beta."""
    return _mean(logp, batch)


@formula("a - log(1 - exp(a)),  a = mean_t lp")
def log_odds(logp: Float[Tensor, "N"], batch: Batch) -> Float[Tensor, "B"]:
    """The log of p / (1 - p), p the geometric mean of the token probabilities. ORPO, arXiv:2403.07691, equations 3 to 4."""
    a = mean_logp(logp, batch).clamp(max=CERTAIN)
    return a - log1mexp(a)


def log1mexp(x: Tensor) -> Tensor:
    """log(1 - exp(x)) for x < 0, to rounding in value and slope: by expm1 near 0 and by log1p below -log 2 (Mächler, 2012)."""
    near = x > -math.log(2)
    # a branch that is not taken must not see x either: its infinite slope, times 0, would be nan
    return torch.where(near, torch.log(-torch.expm1(torch.where(near, x, -1.0))), torch.log1p(-torch.exp(torch.where(near, -1.0, x))))


# --- curves: what a margin costs -----------------------------------------------------------------------------------------


@formula("-logσ({beta} x)")
def sigmoid(x: Float[Tensor, "U"], *, beta: float) -> Float[Tensor, "U"]:
    """DPO, arXiv:2305.18290, equation 7."""
    return -functional.logsigmoid(beta * x)


@formula("-(1 - {label_smoothing}) logσ({beta} x) - {label_smoothing} logσ(-{beta} x)")
def smoothed(x: Float[Tensor, "U"], *, beta: float, label_smoothing: float) -> Float[Tensor, "U"]:
    """cDPO (E. Mitchell, 2023): a share of the labels is taken to be wrong, so that the margin has an optimum.

    TRL's `sigmoid` ignores its label smoothing; OpenRLHF's and TRL's experimental CPO are this.
    """
    return -(1 - label_smoothing) * functional.logsigmoid(beta * x) - label_smoothing * functional.logsigmoid(-beta * x)


@formula("[-(1 - {label_smoothing}) logσ({beta} x) + {label_smoothing} logσ(-{beta} x)] / (1 - 2·{label_smoothing})")
def robust(x: Float[Tensor, "U"], *, beta: float, label_smoothing: float) -> Float[Tensor, "U"]:
    """Robust DPO, arXiv:2403.00409: unbiased for the loss of clean labels when that share of them was flipped."""
    kept = (1 - label_smoothing) * functional.logsigmoid(beta * x)
    return -(kept - label_smoothing * functional.logsigmoid(-beta * x)) / (1 - 2 * label_smoothing)


@formula("max(0, 1 - {beta} x)")
def hinge(x: Float[Tensor, "U"], *, beta: float) -> Float[Tensor, "U"]:
    """SLiC's margin, arXiv:2305.10425, on DPO's scores, as RSO has it (arXiv:2309.06657)."""
    return torch.relu(1 - beta * x)


@formula("(x - 1 / (2·{beta}))²")
def squared(x: Float[Tensor, "U"], *, beta: float) -> Float[Tensor, "U"]:
    """IPO, arXiv:2310.12036, equation 17 (its tau is beta here): the margin is drawn to a value, not to infinity."""
    return (x - 1 / (2 * beta)).square()


# --- losses --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PairLoss:
    """coef * curve(score of chosen - score of rejected - target) + nll_coef * negative log-likelihood of the chosen side, one a pair."""

    curve: CurveFn
    score: ScoreFn
    target: float = 0.0
    coef: float = 1.0
    nll_coef: float = 0.0
    nll_mean: MeanOver = "sequence"
    """"sequence": each chosen side's mean. "token": every trained token of the step's chosen sides counts the same, by the column
    `chosen_length` (their average number in the step)."""
    nll_prompt: bool = False
    """Whether the chosen side's prompt is imitated too; the batch's mask must then hold it (`with_trained_prompts`)."""

    def __call__(self, terms: Terms, batch: Batch) -> Float[Tensor, "U"]:
        chosen, rejected = _sides(self.score(terms["logp"], batch))
        loss = self.coef * self.curve(chosen - rejected - self.target)
        return loss + self.nll_coef * self.nll(terms, batch) if self.nll_coef else loss

    def nll(self, terms: Terms, batch: Batch) -> Float[Tensor, "U"]:
        """Of the chosen sides, as this loss takes it."""
        imitated = batch.mask if self.nll_prompt else _answer(batch)
        if self.nll_prompt and bool((~batch.mask & _prompts_of_chosen(batch)).any()):
            raise ValueError("the prompts of chosen sides are to be imitated, but the mask leaves them out; see with_trained_prompts")
        count = trained(batch, imitated).clamp(min=1) if self.nll_mean == "sequence" else batch.column("chosen_length")
        return _sides(-by_row(terms["logp"], batch, imitated) / count)[0]

    def formula(self) -> str:
        coef = "" if self.coef == 1 else f"{self.coef} · "
        curve = f"({formula_of(self.curve)})" if coef else formula_of(self.curve)
        target = f" - {self.target}" if self.target else ""
        lines = [f"x = s(chosen) - s(rejected){target},  s = {formula_of(self.score)}"]
        if not self.nll_coef:
            return "\n".join([coef + curve, *lines])
        tokens = "prompt and completion" if self.nll_prompt else "completion"
        mean = "each sequence's mean" if self.nll_mean == "sequence" else "mean over the step's tokens"
        lines.append(f"nll = -lp of the chosen {tokens}, {mean}")
        return "\n".join([f"{coef}{curve} + {self.nll_coef} nll", *lines])


def _sides(x: Float[Tensor, "B"]) -> tuple[Float[Tensor, "U"], Float[Tensor, "U"]]:
    return x[0::2], x[1::2]


def _prompts_of_chosen(batch: Batch) -> Bool[Tensor, "N"]:
    """What of the chosen sides' prompts something predicts: all but the first token."""
    return ~batch.completion & (batch.position > 0) & (batch.row % 2 == 0)


@formula(
    "λ (1 - σ(±{beta} (s - z0)))\n"
    "±, λ = +, {desirable_weight} where the label is desirable, -, {undesirable_weight} where not;  s = Σ_t (lp - ref)\n"
    "z0 = max(0, mean of s over the step's mismatched pairs)"
)
def prospect(
    terms: Terms, batch: Batch, *, beta: float, desirable_weight: float = 1.0, undesirable_weight: float = 1.0
) -> Float[Tensor, "B"]:
    """KTO, arXiv:2402.01306, equation 7, one completion a unit: s = Σ_t (lp - ref), `label` [B] True where it is desirable.

    z0 [B], the same in every row, estimates KL(policy || reference) of the step from mismatched pairs and has no gradient
    (`mismatched`, `reference_point`).
    """
    good = batch.column("label").bool()
    distance = gain(terms["logp"], batch) - batch.column("z0")
    return torch.where(good, desirable_weight, undesirable_weight) * torch.sigmoid(-beta * torch.where(good, distance, -distance))


# --- what is made before the step ----------------------------------------------------------------------------------------


def with_trained_prompts(batch: Batch) -> Batch:
    """The batch whose mask holds the chosen sides' prompts too (their first token excepted, which nothing predicts)."""
    return replace(batch, mask=batch.mask | _prompts_of_chosen(batch))


def chosen_length(batch: Batch) -> Float[Tensor, "B"]:
    """Average number of trained tokens of the step's chosen sides, in every row. Of a whole step, before any cut."""
    count = trained(batch)[0::2].float().mean().clamp(min=1)
    return count.expand(len(batch)).clone()


def mismatched(batch: Batch, *, most: int | None = None) -> Batch | None:
    """Each prompt of the step with the completion of the next row, cyclically, whose prompt is another. KTO's section 4.1.

    `most`: tokens that the model can read, where a long prompt that meets a long completion ends.

    None where all prompts are equal. TRL pairs neighbours of a device's batch, whatever their prompts are, so that what it measures
    depends on memory settings and on the order of the data.
    """
    rows = [batch.places(torch.tensor([row], device=batch.tokens.device)) for row in range(len(batch))]
    starts = batch.prompt_length.tolist()
    prompts = [batch.tokens[place[:start]].tolist() for place, start in zip(rows, starts, strict=True)]
    sequences, masks, lengths = [], [], []
    for row, prompt in enumerate(prompts):
        others = [(row + step) % len(rows) for step in range(1, len(rows))]
        other = next((other for other in others if prompts[other] != prompt), None)
        if other is not None:
            answer = rows[other][starts[other] :][: None if most is None else max(0, most - len(prompt))]
            sequences.append([*prompt, *batch.tokens[answer].tolist()])
            masks.append([False] * len(prompt) + batch.mask[answer].tolist())
            lengths.append(len(prompt))
    return lay_out(sequences, masks, lengths, temperature=batch.temperature).to(batch.tokens.device) if sequences else None


def reference_point(gains: Float[Tensor, "B"]) -> Float[Tensor, ""]:
    """KTO's z0 from the gains of a step's mismatched rows: their mean, never below 0. In TRL's log it is `kl`."""
    return gains.mean().clamp(min=0)


# --- for the log, under the names that users of TRL know -----------------------------------------------------------------


@dataclass(frozen=True)
class _OfSides:
    """What `of` makes of the two sides' scores. A value, not a closure, as all of an objective: it goes to other processes."""

    score: ScoreFn
    of: Callable[[Tensor, Tensor], Tensor]
    scale: float = 1.0

    def __call__(self, terms: Terms, batch: Batch) -> Float[Tensor, "U"]:
        return self.of(*_sides(self.scale * self.score(terms["logp"], batch)))


def _chosen(chosen: Tensor, rejected: Tensor) -> Tensor:
    return chosen


def _rejected(chosen: Tensor, rejected: Tensor) -> Tensor:
    return rejected


def _margin(chosen: Tensor, rejected: Tensor) -> Tensor:
    return chosen - rejected


def _wins(chosen: Tensor, rejected: Tensor) -> Tensor:
    return torch.gt(chosen, rejected).float()


def _log_ratio(chosen: Tensor, rejected: Tensor) -> Tensor:
    return functional.logsigmoid(chosen - rejected)


def _pair_measures(score: ScoreFn, beta: float, logp: ScoreFn) -> dict[str, MeasureFn]:
    rewards = {"chosen": _chosen, "rejected": _rejected, "margins": _margin, "accuracies": _wins}
    found: dict[str, MeasureFn] = {f"rewards/{name}": _OfSides(score, of, beta) for name, of in rewards.items()}
    return found | {"logps/chosen": _OfSides(logp, _chosen), "logps/rejected": _OfSides(logp, _rejected)}


def _nll_measure(loss: PairLoss) -> dict[str, MeasureFn]:
    return {"nll_loss": loss.nll} if loss.nll_coef else {}


@dataclass(frozen=True)
class _OfLabel:
    """Scores of rows with that label; the others are nan, which a mean leaves out."""

    desirable: bool
    score: ScoreFn
    scale: float = 1.0

    def __call__(self, terms: Terms, batch: Batch) -> Float[Tensor, "B"]:
        return torch.where(batch.column("label").bool() == self.desirable, self.scale * self.score(terms["logp"], batch), torch.nan)


def _reference_point(terms: Terms, batch: Batch) -> Float[Tensor, "B"]:
    return batch.column("z0")


def _prospect_measures(beta: float) -> dict[str, MeasureFn]:
    labels = {"chosen": True, "rejected": False}
    found: dict[str, MeasureFn] = {f"rewards/{name}": _OfLabel(label, gain, beta) for name, label in labels.items()}
    return found | {f"logps/{name}": _OfLabel(label, sum_logp) for name, label in labels.items()} | {"kl": _reference_point}


# --- the objectives ------------------------------------------------------------------------------------------------------
# A factory's parameters are all the options that the objective obeys; `preference` refuses any other.


def _pairs(loss: PairLoss, beta: float, *, reward: ScoreFn = gain, logp: ScoreFn = sum_logp) -> Objective:
    reads: tuple[str, ...] = ("ref_logp",) if loss.score in (gain, mean_gain) else ()
    reads += ("chosen_length",) if loss.nll_coef and loss.nll_mean == "token" else ()
    measures = _pair_measures(reward, beta, logp) | _nll_measure(loss)
    return Objective(loss, pair_mean, reads=reads, rows_per_unit=2, measures=measures)


def _gain(length_normalised: bool) -> ScoreFn:
    return mean_gain if length_normalised else gain


def dpo(
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
    length_normalised: bool = False,
    nll_coef: float = 0.0,
    nll_mean: MeanOver = "sequence",
) -> Objective:
    """Direct preference optimisation, arXiv:2305.18290; beta 0.1 is the paper's. With label smoothing cDPO.

    Length-normalised it is TRL's `sigmoid_norm`, there divided by lengths of the same tokens. nll_coef 1 is RPO's (iterative reasoning
    preference optimisation, arXiv:2404.19733, equation 1, each sequence's mean; TRL's `sft` beside it takes the mean over tokens).
    """
    curve = partial(smoothed, beta=beta, label_smoothing=label_smoothing) if label_smoothing else partial(sigmoid, beta=beta)
    return _pairs(PairLoss(curve, _gain(length_normalised), nll_coef=nll_coef, nll_mean=nll_mean), beta)


def dpo_hinge(*, beta: float = 0.1, length_normalised: bool = False, nll_coef: float = 0.0, nll_mean: MeanOver = "sequence") -> Objective:
    """DPO's scores under SLiC's hinge, arXiv:2309.06657. Pairs whose margin is over 1 / beta no longer train."""
    return _pairs(PairLoss(partial(hinge, beta=beta), _gain(length_normalised), nll_coef=nll_coef, nll_mean=nll_mean), beta)


def ipo(*, beta: float = 0.1, length_normalised: bool = True, nll_coef: float = 0.0, nll_mean: MeanOver = "sequence") -> Objective:
    """Identity preference optimisation, arXiv:2310.12036. Length-normalised as TRL has it and, by its account, the authors had.

    Without, as OpenRLHF has it, the margin is of whole sequences.
    """
    return _pairs(PairLoss(partial(squared, beta=beta), _gain(length_normalised), nll_coef=nll_coef, nll_mean=nll_mean), beta)


def dpo_robust(
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.1,
    length_normalised: bool = False,
    nll_coef: float = 0.0,
    nll_mean: MeanOver = "sequence",
) -> Objective:
    """Robust DPO, arXiv:2403.00409; `label_smoothing` below 1/2 is the share of pairs that are taken to be flipped."""
    curve = partial(robust, beta=beta, label_smoothing=label_smoothing)
    return _pairs(PairLoss(curve, _gain(length_normalised), nll_coef=nll_coef, nll_mean=nll_mean), beta)


def simpo(
    *,
    beta: float = 2.0,
    gamma: float = 1.0,
    label_smoothing: float = 0.0,
    nll_coef: float = 0.0,
    nll_mean: MeanOver = "sequence",
) -> Objective:
    """Simple preference optimisation, arXiv:2405.14734: no reference. beta 2 and gamma / beta 0.5 are where its authors begin."""
    curve = partial(smoothed, beta=beta, label_smoothing=label_smoothing) if label_smoothing else partial(sigmoid, beta=beta)
    loss = PairLoss(curve, mean_logp, target=gamma / beta, nll_coef=nll_coef, nll_mean=nll_mean)
    return _pairs(loss, beta, reward=mean_logp, logp=mean_logp)


def orpo(*, beta: float = 0.1, nll_over: Literal["completion", "everything"] = "completion", nll_mean: MeanOver = "sequence") -> Objective:
    """Odds-ratio preference optimisation, arXiv:2403.07691: likelihood and preference in one, no reference. beta is its lambda.

    The likelihood is the completion's, each sequence's mean, as in the paper. TRL's experimental trainer has nll_over "everything"
    (prompt and completion) and nll_mean "token".
    """
    loss = PairLoss(partial(sigmoid, beta=1), log_odds, coef=beta, nll_coef=1.0, nll_mean=nll_mean, nll_prompt=nll_over == "everything")
    objective = _pairs(loss, beta, reward=mean_logp, logp=mean_logp)

    odds = {"log_odds_chosen": _OfSides(log_odds, _margin), "log_odds_ratio": _OfSides(log_odds, _log_ratio)}
    return replace(objective, measures={**objective.measures, **odds})


def kto(*, beta: float = 0.1, desirable_weight: float = 1.0, undesirable_weight: float = 1.0) -> Objective:
    """Kahneman-Tversky optimisation, arXiv:2402.01306: single completions with a label, no pairs.

    The paper's equation 8 would have desirable_weight * desirable rows between 1 and 4/3 of undesirable_weight * undesirable rows.
    """
    loss = partial(prospect, beta=beta, desirable_weight=desirable_weight, undesirable_weight=undesirable_weight)
    return Objective(loss, row_mean, reads=("ref_logp", "label", "z0"), measures=_prospect_measures(beta))


PREFERENCES: dict[str, Callable[..., Objective]] = {
    "sigmoid": dpo,
    "hinge": dpo_hinge,
    "ipo": ipo,
    "robust": dpo_robust,
    "simpo": simpo,
    "orpo": orpo,
    "kto": kto,
}
"""By the names that TRL gives its losses."""


def preference(name: str, **options: Any) -> Objective:
    """The objective called `name`, with the options that were set (None means not set).

    Raises ValueError for an unknown name (the nearest is given), for an option that this objective would ignore, and for one out of range.
    """
    if name not in PREFERENCES:
        raise ValueError(f"unknown loss {name!r}{did_you_mean(name.lower(), PREFERENCES)} (one of {', '.join(PREFERENCES)})")
    factory = PREFERENCES[name]
    obeyed = inspect.signature(factory).parameters
    given = {key: value for key, value in options.items() if value is not None}
    if ignored := sorted(given.keys() - set(obeyed)):
        raise ValueError(f"{name} ignores {', '.join(ignored)}; leave it out (options that {name} obeys: {', '.join(obeyed)})")
    if "nll_mean" in given and "nll_coef" in obeyed and not given.get("nll_coef"):
        raise ValueError(f"{name} ignores nll_mean without nll_coef; leave it out, or give that too")
    for key, value in given.items():
        if key in _RANGES and not (math.isfinite(value) and _RANGES[key][1](value)):
            raise ValueError(f"{key} must be {_RANGES[key][0]}, not {value}")
    return factory(**given)


_RANGES: dict[str, tuple[str, Callable[[float], bool]]] = {
    "beta": ("above 0", lambda value: value > 0),
    "label_smoothing": ("from 0 to below 0.5", lambda value: 0 <= value < 0.5),
    **dict.fromkeys(("gamma", "nll_coef", "desirable_weight", "undesirable_weight"), ("0 or more", lambda value: value >= 0)),
}
