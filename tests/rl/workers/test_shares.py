"""Shares: nothing is lost or done twice, units stay whole, and a rank waits for no other for long."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.learning.layout import LAYOUTS
from rl.objectives.batch import lay_out, micro_batches, shared_micro_batches
from rl.workers.shares import Cost, evened, rounds


def batch_of(lengths, unit=1, groups=None):
    """Prompts of half of each sequence's tokens, the same within a group."""
    rows = [list(range(1, length + 1)) for length in lengths for _ in range(unit)]
    return lay_out(rows, [[n > 0 for n in range(len(row))] for row in rows], [len(row) // 2 for row in rows], groups=groups)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=24), ranks=st.integers(1, 5), budget=st.integers(1, 200),
    unit=st.sampled_from([1, 2]), layout=st.sampled_from(["padded", "packed", "shared"]),
)  # fmt: skip
def test_every_unit_is_somewhere_once(lengths, ranks, budget, unit, layout):
    batch = batch_of(lengths, unit, groups=[n // 4 for n in range(len(lengths) * unit)])
    rows, cost = torch.arange(len(batch)), Cost(batch, layout)
    if layout == "shared":
        plan = shared_micro_batches(batch, rows, budget, rows_per_unit=unit)
    else:
        plan = micro_batches(batch.lengths, rows, budget, rows_per_unit=unit, packed=layout == "packed")
    parts = evened(plan, cost, ranks, rows_per_unit=unit)
    assert sorted(torch.cat(parts).tolist()) == list(range(len(batch)))
    for part in parts:
        assert cost(part) == LAYOUTS[layout](batch.take(part)).inputs["input_ids"].numel()
        units = part.reshape(-1, unit)
        assert (units // unit == units[:, :1] // unit).all()
        assert (units.diff(dim=1) == 1).all()
    if len(parts) % ranks:
        assert all(len(part) == unit for part in parts)
    assert max(map(cost, parts)) <= max(map(cost, plan))
    shared = rounds(parts, cost, ranks)
    assert [len(each) for each in shared[:-1]] == [ranks] * (len(shared) - 1)
    assert sorted(torch.cat([part for each in shared for part in each]).tolist()) == list(range(len(batch)))


def test_one_long_micro_batch_is_cut_where_its_tokens_are_halved():
    first, second = evened([torch.arange(4)], Cost(batch_of([12, 4, 4, 4]), "packed"), 2, rows_per_unit=1)
    assert first.tolist() == [0]
    assert second.tolist() == [1, 2, 3]


def test_a_cut_between_groups_reads_no_prompt_twice():
    cost = Cost(batch_of([8] * 6, groups=[0, 0, 1, 1, 1, 1]), "shared")
    first, second = evened([torch.arange(6)], cost, 2, rows_per_unit=1)
    assert (cost(torch.arange(6)), cost(first), cost(second)) == (4 + 8 + 4 + 16, 12, 20)
    assert first.tolist() == [0, 1]
