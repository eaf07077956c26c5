"""How two fronts are compared: at equal KL, between a front's points, beyond its last, and what dominating means."""

import pytest

from benchmarks.warp import at_equal_kl, compared, draw

SINGLE = [
    {"kl": 1.0, "reward": 0.4, "reward_error": 0.02, "kl_error": 0.1},
    {"kl": 3.0, "reward": 0.6, "reward_error": 0.04, "kl_error": 0.1},
]


def front(*rows: tuple[float | None, float, float]) -> list[dict[str, float | None]]:
    return [{"name": f"{eta}", "eta": eta, "kl": kl, "reward": reward, "reward_error": 0.01, "kl_error": 0.1} for eta, kl, reward in rows]


def test_between_points_a_front_is_a_straight_line_and_beyond_them_its_best() -> None:
    assert at_equal_kl(2.0, SINGLE) == pytest.approx((0.5, 0.03))
    assert at_equal_kl(1.0, SINGLE) == pytest.approx((0.4, 0.02))
    assert at_equal_kl(9.0, SINGLE) == pytest.approx((0.6, 0.04))
    assert at_equal_kl(0.5, SINGLE) == pytest.approx((0.4, 0.02))
    falling = [*SINGLE, {"kl": 4.0, "reward": 0.5, "reward_error": 0.01, "kl_error": 0.1}]
    assert at_equal_kl(9.0, falling) == pytest.approx((0.6, 0.04)), "not punished for having gone too far"


def test_the_difference_is_over_points_at_equal_kl() -> None:
    warp = front((0.0, 0.0, 0.2), (0.5, 0.5, 0.5), (1.0, 2.0, 0.7), (None, 5.0, 0.1))
    found = compared(warp, SINGLE)
    # at 0.5, between the start's 0.2 and 0.4 at 1: 0.3; at 2: 0.5. The last policies are no points of the front
    assert [row["single"] for row in found["points"]] == pytest.approx([0.3, 0.5])
    assert found["difference"] == pytest.approx(0.2)
    assert found["dominates"]
    assert found["best"] == {"warp": 0.7, "single": 0.6}


def test_a_point_that_is_clearly_worse_does_not_dominate() -> None:
    assert not compared(front((0.0, 0.0, 0.2), (0.5, 0.5, 0.1), (1.0, 2.0, 0.9)), SINGLE)["dominates"]
    assert not compared(front((0.0, 0.0, 0.2), (0.5, 0.5, 0.29), (1.0, 2.0, 0.49)), SINGLE)["dominates"], "nor one that is no better"


def test_both_are_drawn(tmp_path) -> None:  # type: ignore[no-untyped-def]
    warp = front((0.0, 0.0, 0.2), (0.5, 0.5, 0.5), (None, 5.0, 0.1))
    draw([{"seed": 0, "warp": warp, "single": SINGLE}], tmp_path / "warp.svg")
    assert "one policy, on its way" in (tmp_path / "warp.svg").read_text()
