"""Slerp against numbers by hand and plain numpy; degenerate vectors; groups; TIES and DARE on a few numbers."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from rl.interpolation.task_vectors import (
    Angle,
    Dare,
    Ties,
    combined,
    group_of,
    inner_products,
    slerp_pair,
    slerp_weights,
    sparsely_combined,
)  # fmt: skip


def double(*rows: Sequence[float]) -> list[torch.Tensor]:
    return [torch.tensor(row, dtype=torch.float64) for row in rows]


def slerp(vectors: Sequence[torch.Tensor], shares: Sequence[float]) -> torch.Tensor:
    return combined(vectors, slerp_weights(inner_products(vectors), shares))


def slowly(vectors: Sequence[np.ndarray], shares: Sequence[float]) -> np.ndarray:
    """Two at a time, on the vectors themselves."""
    merged, total = vectors[0], shares[0]
    for vector, share in zip(vectors[1:], shares[1:], strict=True):
        total += share
        part = share / total
        angle = math.acos(float(merged @ vector) / math.sqrt(float(merged @ merged) * float(vector @ vector)))
        merged = (math.sin((1 - part) * angle) * merged + math.sin(part * angle) * vector) / math.sin(angle)
    return merged


def test_a_right_angle() -> None:
    """sin 45° = 0.70711 of each: the length of both is kept, where the mean of them would have 0.70711 of it."""
    found = slerp(double([3, 0], [0, 3]), [0.5, 0.5])
    assert found.tolist() == pytest.approx([3 / math.sqrt(2)] * 2, abs=1e-12)
    assert found.norm().item() == pytest.approx(3, abs=1e-12)
    third = slerp(double([3, 0], [0, 3]), [2 / 3, 1 / 3])  # 30 degrees from the first
    assert third.tolist() == pytest.approx([3 * math.cos(math.pi / 6), 1.5], abs=1e-12)


def test_sixty_degrees_and_two_lengths() -> None:
    # lengths 2 and 1: sin 30° / sin 60° = 0.57735 of each
    found = slerp(double([2, 0], [0.5, math.sqrt(3) / 2]), [0.5, 0.5])
    assert found.tolist() == pytest.approx([2.5 / math.sqrt(3), 0.5], abs=1e-12)


def test_equal_vectors_stay_as_they_are() -> None:
    assert slerp(double([1, -2, 3], [1, -2, 3]), [0.5, 0.5]).tolist() == pytest.approx([1, -2, 3], abs=1e-12)
    assert slerp(double([1, 2], [2, 4]), [0.5, 0.5]).tolist() == pytest.approx([1.5, 3], abs=1e-12)


def test_with_a_vector_that_is_0_it_is_the_straight_line() -> None:
    assert slerp(double([4, 2], [0, 0]), [0.75, 0.25]).tolist() == pytest.approx([3, 1.5], abs=1e-12)
    assert slerp(double([0, 0], [0, 0]), [0.5, 0.5]).tolist() == [0, 0]
    assert slerp(double([0, 0], [0, 0], [3, 0]), [1 / 3] * 3).tolist() == pytest.approx([1, 0], abs=1e-12)


def test_opposite_vectors_meet_on_the_straight_line_too() -> None:
    assert slerp(double([1, 1], [-1, -1]), [0.5, 0.5]).tolist() == pytest.approx([0, 0], abs=1e-12)
    assert slerp(double([1, 0], [-3, 0]), [0.75, 0.25]).tolist() == pytest.approx([0, 0], abs=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_ends_are_the_vectors(share: float) -> None:
    vectors = double([1, 2, -1], [0.5, -1, 4])
    found = slerp(vectors, [1 - share, share])
    if share in (0, 1):
        torch.testing.assert_close(found, vectors[int(share)], atol=1e-12, rtol=0)
    torch.testing.assert_close(found, torch.tensor(slowly([v.numpy() for v in vectors], [1 - share, share])), atol=1e-12, rtol=0)


def test_near_the_limit_it_goes_over_smoothly() -> None:
    for angle in (1e-5, 1e-6, 1e-7):
        a, b = slerp_pair(math.cos(angle), 0.3)
        assert (a, b) == pytest.approx((0.7, 0.3), abs=1e-9)


@pytest.mark.parametrize("shares", [[0.25] * 4, [0.1, 0.4, 0.3, 0.2], [0.0, 0.5, 0.0, 0.5]])
def test_several_are_taken_in_one_after_the_other(shares: list[float]) -> None:
    generator = torch.Generator().manual_seed(1)
    vectors = [torch.randn(50, dtype=torch.float64, generator=generator) for _ in range(4)]
    torch.testing.assert_close(slerp(vectors, shares), torch.tensor(slowly([v.numpy() for v in vectors], shares)), atol=1e-12, rtol=0)


def test_three_right_angles_keep_the_length() -> None:
    found = slerp(double([1, 0, 0], [0, 1, 0], [0, 0, 1]), [1 / 3] * 3)
    # two thirds of the way back from the third: sin 60° of the half of the first two, sin 30° of the third
    assert found.tolist() == pytest.approx([math.sin(math.pi / 3) / math.sqrt(2)] * 2 + [0.5], abs=1e-12)
    assert found.norm().item() == pytest.approx(1, abs=1e-12)


def test_inner_products_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = [torch.randn(7, 11, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    monkeypatch.setattr("rl.interpolation.task_vectors.CHUNK", 10)
    flat = torch.stack([vector.double().reshape(-1) for vector in vectors])
    torch.testing.assert_close(inner_products(vectors), flat @ flat.T, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("name", "angle", "group"),
    [
        ("model.layers.3.mlp.up_proj.weight", "layer", "model.layers.3"),
        ("model.layers.13.mlp.up_proj.weight", "layer", "model.layers.13"),
        ("transformer.h.0.attn.c_attn.weight", "layer", "transformer.h.0"),
        ("model.embed_tokens.weight", "layer", "model.embed_tokens.weight"),
        ("model.layers.3.mlp.up_proj.weight", "tensor", "model.layers.3.mlp.up_proj.weight"),
        ("lm_head.weight", "model", ""),
    ],
)
def test_groups(name: str, angle: Angle, group: str) -> None:
    assert group_of(name, angle) == group


def test_ties_by_hand() -> None:
    """Of each, the two largest of four stay; where signs differ the larger sum prevails; the mean is of those that agree."""
    first, second = double([4, 1, -3, 0.5], [2, -1, 5, 0.1])  # trimmed: [4, 0, -3, 0], [2, 0, 5, 0]
    found = sparsely_combined(Ties(density=0.5), "w", [first, second], [0.5, 0.5])
    assert found.tolist() == pytest.approx([3, 0, 5, 0], abs=1e-12)


def test_dare_is_unbiased_and_a_function_of_its_seed_and_the_name() -> None:
    vectors = double([1.0] * 4000, [3.0] * 4000)
    found = sparsely_combined(Dare(density=0.25, seed=1), "w", vectors, [0.5, 0.5])
    assert set(found.tolist()) == {0.0, 2.0, 6.0, 8.0}  # each kept one is four times as large
    assert found.mean().item() == pytest.approx(2, abs=0.3)
    torch.manual_seed(5)
    again = sparsely_combined(Dare(density=0.25, seed=1), "w", vectors, [0.5, 0.5])
    assert torch.equal(found, again)
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1)), "it draws from nobody else's randomness"
    for other, name in ((Dare(density=0.25, seed=2), "w"), (Dare(density=0.25, seed=1), "v")):
        assert not torch.equal(found, sparsely_combined(other, name, vectors, [0.5, 0.5]))
    assert sparsely_combined(Dare(density=1.0), "w", vectors, [0.5, 0.5])[0].item() == 2
