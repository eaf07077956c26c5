"""The cut of a token budget against a sort of all pages."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipeline.columns.token_budget import Cut, budget_cut
from verifiers.input_error import InputError


def write(folder: Path, number: int, ids, tokens, given, score, group: int) -> tuple[Path, Path]:
    pages, scores = folder / f"pages-{number}.parquet", folder / f"scores-{number}.parquet"
    columns = {"id": pa.array(ids, pa.uint64()), "tokens": pa.array(tokens, pa.int64()), "given": pa.array(given, pa.bool_())}
    pq.write_table(pa.table(columns), pages, row_group_size=group)
    pq.write_table(pa.table({"id": pa.array(ids, pa.uint64()), "score": pa.array(score, pa.float32())}), scores, row_group_size=group + 3)
    return pages, scores


def by_sorting(ids, tokens, given, score, budget: int) -> Cut | None:
    order = np.lexsort((ids, -score, ~given))
    paid = int((np.cumsum(tokens[order]) <= budget).sum())
    if not paid:
        return None
    last = order[paid - 1]
    return Cut(bool(given[last]), float(score[last]), int(ids[last]))


@pytest.mark.parametrize("kind", ["spread", "rounded", "one score", "negative", "given"])
def test_the_cut_is_that_of_a_sort(tmp_path, kind):
    draw = np.random.default_rng(5)
    count = 3000
    ids = draw.integers(0, 1 << 64, count, np.uint64, endpoint=False)
    if kind == "one score":
        ids = (ids & np.uint64(0xFFF)) | np.uint64(7 << 40)  # alike in all digits but the last
        ids = np.unique(ids)[: count // 2]
        count = len(ids)
        draw.shuffle(ids)
    tokens = draw.integers(1, 2000, count)
    score = draw.random(count).astype(np.float32)
    if kind == "rounded":
        score = np.round(score, 2)
    elif kind == "one score":
        score[:] = 0.25
    elif kind == "negative":
        score -= np.float32(0.5)
        score[:3] = (0.0, -0.0, np.inf)
    given = draw.random(count) < (0.6 if kind == "given" else 0.05)
    cuts = np.array_split(np.arange(count), 4)
    files = [write(tmp_path, n, ids[rows], tokens[rows], given[rows], score[rows], 50 + n) for n, rows in enumerate(cuts)]
    pages, scores = [pair[0] for pair in files], [pair[1] for pair in files]
    whole = int(tokens.sum())
    first = int(tokens[np.lexsort((ids, -score, ~given))[0]])
    for budget in (0, first - 1, first, first + 1, whole // 100, whole // 3, whole // 2 + 1, whole - 1, whole, whole * 2):
        expected = by_sorting(ids, tokens, given, score, budget)
        for few in (1, 100, 1 << 20):
            assert budget_cut(pages, scores, budget, few=few) == expected


def test_scores_of_other_pages_are_one_line(tmp_path):
    one = write(tmp_path, 1, [1, 2], [5, 5], [False, False], [0.1, 0.2], 10)
    two = write(tmp_path, 2, [1], [5], [False], [0.1], 10)
    with pytest.raises(InputError, match="scores of 1 pages, for 2 of"):
        budget_cut([one[0]], [two[1]], 7)
    assert budget_cut([], [], 7) is None
