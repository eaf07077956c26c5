"""Shares: nothing is lost or done twice, units stay whole, and a rank waits for no other for long."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.objectives.batch import micro_batches
from rl.workers.shares import cost, evened, rounds


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=24), ranks=st.integers(1, 5), budget=st.integers(1, 200),
    unit=st.sampled_from([1, 2]), packed=st.booleans(),
)  # fmt: skip
def test_every_unit_is_somewhere_once(lengths, ranks, budget, unit, packed):
    widths = torch.tensor(lengths * unit)
    plan = micro_batches(widths, torch.arange(len(widths)), budget, rows_per_unit=unit, packed=packed)
    parts = evened(plan, widths, ranks, rows_per_unit=unit, packed=packed)
    rows = torch.cat(parts)
    assert sorted(rows.tolist()) == list(range(len(widths)))
    for part in parts:
        units = part.reshape(-1, unit)
        assert (units // unit == units[:, :1] // unit).all()
        assert (units.diff(dim=1) == 1).all()
    if len(parts) % ranks:
        assert all(len(part) == unit for part in parts)
    assert max(cost(part, widths, packed=packed) for part in parts) <= max(cost(part, widths, packed=packed) for part in plan)
    shared = rounds(parts, widths, ranks, packed=packed)
    assert [len(each) for each in shared[:-1]] == [ranks] * (len(shared) - 1)
    assert sorted(torch.cat([part for each in shared for part in each]).tolist()) == list(range(len(widths)))


def test_one_long_micro_batch_is_cut_where_its_tokens_are_halved():
    lengths = torch.tensor([12, 4, 4, 4])
    first, second = evened([torch.arange(4)], lengths, 2, rows_per_unit=1, packed=True)
    assert first.tolist() == [0]
    assert second.tolist() == [1, 2, 3]
