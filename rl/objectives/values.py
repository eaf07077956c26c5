"""The loss of a critic, alone or beside a policy's in one objective: one forward and backward pass for both."""

from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from rl.objectives import weights
from rl.objectives.batch import Batch
from rl.objectives.objective import LossFn, MeasureFn, Objective, Terms, WeightFn, formula, formula_of


@formula("½ max((V - R)², (clip(V, V_old ± {clip}) - R)²)")
def value_error(terms: Terms, batch: Batch, *, clip: float = 0.2, term: str = "value") -> Float[Tensor, "N"]:
    """PPO's clipped value loss, arXiv:1707.06347 as in its code: `value` before the rollout's first update, `returns` from credit.

    The larger of both, so that clipping never makes a step too long look good. `clip` 0: ½ (V - R)².
    """
    value, target = terms[term], batch.column("returns")
    plain = (value - target).square()
    if not clip:
        return plain / 2
    old = batch.column("value")
    near = old + (value - old).clamp(-clip, clip)
    return torch.max(plain, (near - target).square()) / 2


def _value_measures(loss: LossFn, term: str) -> dict[str, MeasureFn]:
    return {
        "value_loss": loss,
        "value_mean": lambda terms, batch: terms[term],
        "value_square_error": lambda terms, batch: (terms[term] - batch.column("returns")).square(),
    }


def value_objective(*, clip: float = 0.2, apart: bool = False, weight: WeightFn = weights.token_mean) -> Objective:
    """What a critic minimises. `apart`: its head alone learns, whatever carries it stays."""
    term = "value_apart" if apart else "value"
    loss = partial(value_error, clip=clip, term=term)
    reads = ("returns", "value") if clip else ("returns",)
    return Objective(loss, weight, terms=(term,), reads=reads, measures=_value_measures(loss, term))


@dataclass(frozen=True)
class WithValue:
    """policy_loss + coef * value_loss, of each token."""

    policy_loss: LossFn
    value_loss: LossFn
    coef: float

    def __call__(self, terms: Terms, batch: Batch) -> Float[Tensor, "N"]:
        return self.policy_loss(terms, batch) + self.coef * self.value_loss(terms, batch)

    def formula(self) -> str:
        first, *more = formula_of(self.policy_loss).splitlines()
        return "\n".join([f"{first} + {self.coef} value_loss", *more, f"value_loss = {formula_of(self.value_loss)}"])


def with_value(objective: Objective, *, coef: float, clip: float = 0.2) -> Objective:
    """A policy's objective with the critic's beside it, for a value head on the policy. No sequence is idle: each has a value to learn."""
    loss = partial(value_error, clip=clip)
    return replace(
        objective,
        loss=WithValue(objective.loss, loss, coef),
        terms=(*objective.terms, "value"),
        reads=(*objective.reads, "returns", *(("value",) if clip else ())),
        idle=None,
        measures={**objective.measures, **_value_measures(loss, "value")},
    )
