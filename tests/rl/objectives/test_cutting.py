"""Micro-batches: every row once, units whole, as many tokens as fit."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.objectives.batch import micro_batches

few = settings(max_examples=60, deadline=None, derandomize=True, database=None)


@few
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=12), budget=st.integers(1, 90), per_unit=st.integers(1, 3),
    packed=st.booleans(), data=st.data(),
)  # fmt: skip
def test_micro_batches_hold_every_row_once_within_the_budget(lengths, budget, per_unit, packed, data):
    units = range(len(lengths) // per_unit)
    chosen = data.draw(st.lists(st.sampled_from(units), unique=True)) if units else []
    rows = [unit * per_unit + n for unit in chosen for n in range(per_unit)]
    parts = micro_batches(torch.tensor(lengths), torch.tensor(rows, dtype=torch.long), budget, rows_per_unit=per_unit, packed=packed)
    assert sorted(row for part in parts for row in part.tolist()) == sorted(rows)
    for part in parts:
        own = [lengths[row] for row in part.tolist()]
        assert len(part) == per_unit or (sum(own) if packed else len(own) * max(own)) <= budget
        for unit in part.reshape(-1, per_unit).tolist():
            assert unit == list(range(unit[0], unit[0] + per_unit)), "its rows side by side and in their order"
            assert unit[0] % per_unit == 0


def test_by_hand():
    """Longest first; padded, rows of 9 and 7 cost 18 and with 5 beside them 27; packed 16 and 21."""
    lengths, rows = torch.tensor([5, 9, 2, 7]), torch.tensor([0, 1, 2, 3])
    assert [part.tolist() for part in micro_batches(lengths, rows, 21)] == [[1, 3], [0, 2]]
    assert [part.tolist() for part in micro_batches(lengths, rows, 21, packed=True)] == [[1, 3, 0], [2]]
    assert [part.tolist() for part in micro_batches(lengths, rows, 21, rows_per_unit=2)] == [[0, 1], [2, 3]]
    assert [part.tolist() for part in micro_batches(lengths, rows, 23, rows_per_unit=2, packed=True)] == [[0, 1, 2, 3]]
