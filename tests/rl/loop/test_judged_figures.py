"""How a reward model judges: by hand, and against the plainest way to count."""

import pytest
import torch

from rl.loop.judged_figures import auc, label_figures, pair_figures, reliability


@pytest.mark.parametrize("seed", range(4))
def test_the_area_is_the_share_of_pairs_in_order(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    score = torch.randint(0, 6, (40,), generator=random).double()  # with ties
    label = torch.rand(40, generator=random).round()
    good, bad = score[label == 1].tolist(), score[label == 0].tolist()
    plain = sum((g > b) + (g == b) / 2 for g in good for b in bad) / (len(good) * len(bad))
    assert auc(score, label) == pytest.approx(plain, abs=1e-12)


def test_of_one_kind_there_is_no_area() -> None:
    assert auc(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 1.0])) is None
    assert "eval/auc" not in label_figures(torch.tensor([1.0]), torch.tensor([1.0]))


def test_pairs_by_hand() -> None:
    """Margins 2, -1 and 0: one of three ranked right, a tie is not."""
    found = pair_figures(torch.tensor([2.0, 0.0, 1.0]), torch.tensor([0.0, 1.0, 1.0]))
    assert found["eval/accuracy"] == pytest.approx(1 / 3)
    assert found["eval/total"] == 3
    assert found["eval/auc"] == pytest.approx((3 + 0.5 + 2 * 1 / 2 + 1) / 9)  # 2 beats 3, 0 ties with one, 1 beats one and ties with two


def test_calibration_by_hand() -> None:
    """Three of four say 0.85 and half of those are so; one says 0.05 and is not."""
    found = reliability(torch.tensor([0.85, 0.85, 0.05, 0.85, 0.85]), torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0]))
    assert found["eval/ece"] == pytest.approx(0.8 * 0.35 + 0.2 * 0.05, abs=1e-6)
    assert found["eval/reliability/8/right"] == 0.5
    assert found["eval/reliability/0/count"] == 1
    assert "eval/reliability/5/right" not in found
    assert reliability(torch.tensor([1.0]), torch.tensor([1.0]))["eval/reliability/9/count"] == 1


def test_who_means_what_it_says_has_no_error() -> None:
    random = torch.Generator().manual_seed(0)
    says = torch.rand(20_000, generator=random, dtype=torch.float64)
    is_so = (torch.rand(20_000, generator=random, dtype=torch.float64) < says).double()
    assert label_figures(says.logit(), is_so)["eval/ece"] < 0.02
    assert label_figures(3 * says.logit(), is_so)["eval/ece"] > 0.1
