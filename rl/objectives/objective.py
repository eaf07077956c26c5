"""What one optimiser step minimises, as a value made of pure functions.

    loss of a step = sum over its units of  weight * loss          a unit is a token, or a fixed number of neighbouring sequences

Weights are made once for a whole optimiser step; however the step is then cut into micro-batches, laid out or spread over ranks, the
gradient is the same sum. An objective is no subclass and no ladder of flags: a new one is a function and a line. What it says of itself
(`reckon plan`) comes from the functions that it is made of, each of which carries its formula.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from jaxtyping import Bool
from torch import Tensor

from rl.objectives.batch import Batch

Terms = Mapping[str, Tensor]
"""What one forward pass gives for every token of a batch, [N]: `logp`, on demand `entropy`; 0 where the mask is False."""
LossFn = Callable[[Terms, Batch], Tensor]
WeightFn = Callable[[Batch], Tensor]
MeasureFn = Callable[[Terms, Batch], Tensor]


@dataclass(frozen=True)
class Objective:
    """A loss of each unit, [N] (one a token) or [U] (one for each `rows_per_unit` sequences), and what each unit counts."""

    loss: LossFn
    """Additive over units: what a unit's loss is depends on no other unit."""
    weight: WeightFn
    """Of one whole optimiser step; the same shape as the loss."""
    terms: tuple[str, ...] = ("logp",)
    """What the forward pass must give, with its gradient."""
    watches: tuple[str, ...] = ()
    """Further terms that only the log wants, without gradient."""
    reads: tuple[str, ...] = ()
    """Columns that must have been scored before the step."""
    rows_per_unit: int = 1
    """Sequences that no micro-batch may part (2: a pair)."""
    idle: Callable[[Batch], Bool[Tensor, "B"]] | None = None
    """Sequences whose gradient is exactly 0, so that their passes can be left out."""
    measures: Mapping[str, MeasureFn] = field(default_factory=dict)
    """Numbers for the log by their names there, [N] or [U] each, without gradient: a step's is the mean over its trained tokens or
    units, or the largest where the name has the word max in it."""


# --- in words ------------------------------------------------------------------------------------------------------------

F = TypeVar("F", bound=Callable[..., Any])


def formula(text: str) -> Callable[[F], F]:
    """Gives a function the line by which it is printed. `{name}` in it is the keyword of that name, as bound by `partial`."""

    def attach(function: F) -> F:
        function.formula = text  # type: ignore[attr-defined]
        return function

    return attach


def formula_of(function: Callable[..., Any]) -> str:
    """The formula of a function, of one with keywords bound, or of a value that makes its own. Raises TypeError where there is none."""
    if isinstance(function, partial):
        return str(function.func.formula).format(**_defaults(function.func) | function.keywords)  # type: ignore[attr-defined]
    own = getattr(function, "formula", None)
    if own is None:
        raise TypeError(f"{function!r} has no formula; give it one with @formula")
    return str(own()) if callable(own) else str(own).format(**_defaults(function))


def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.default is not parameter.empty}


def describe(objective: Objective) -> str:
    """The loss as formulas, a line each, with the numbers that this value holds."""
    unit = "n" if objective.rows_per_unit == 1 else "u"
    first, *more = formula_of(objective.loss).splitlines()
    return "\n".join([f"loss = Σ_{unit} w · [ {first} ]", *more, f"w = {formula_of(objective.weight)}"])
