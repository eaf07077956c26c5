"""How long a run over written data is."""

import pytest

from recipes.training.offline_options import with_length
from recipes.training.sft import Config


@pytest.mark.parametrize(
    ("options", "units", "steps", "per_step"),
    [
        ({}, 6, 1, 6),  # not one step of 32 that sees each five times
        ({"epochs": 3.0}, 6, 3, 6),
        ({"epochs": 0.5, "examples_per_step": 4}, 40, 5, 4),
        ({"epochs": 2.0, "examples_per_step": 4}, 41, 21, 4),
        ({"steps": 7, "examples_per_step": 4}, 3, 7, 3),
    ],
)
def test_an_epoch_sees_each_unit_once(options: dict[str, float], units: int, steps: int, per_step: int) -> None:
    found = with_length(Config(**options), units)  # type: ignore[arg-type]
    assert (found.steps, found.examples_per_step, found.epochs) == (steps, per_step, None)
