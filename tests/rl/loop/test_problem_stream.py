"""The order of problems: shares, epochs of each part, difficulty; and that a position alone says which problem it is."""

from collections import Counter

import pytest

from rl.loop.problem_stream import EasyFirst, Mixed


def test_a_mixture_draws_each_part_as_often_as_its_weight_says() -> None:
    stream = Mixed([range(100), range(100, 104)], [0.7, 0.3], seed=1)
    drawn = [stream[position] for position in range(10_000)]
    share = sum(place < 100 for place in drawn) / len(drawn)
    assert abs(share - 0.7) < 4 * (0.7 * 0.3 / len(drawn)) ** 0.5  # four standard errors of a binomial
    small = [place for place in drawn if place >= 100]
    for epoch in range(0, len(small) - 4, 4):
        assert set(small[epoch : epoch + 4]) == {100, 101, 102, 103}, "each part goes through epochs of its own"
    large = [place for place in drawn if place < 100]
    assert set(large[:100]) == set(range(100))
    assert large[:100] != large[100:200]


def test_a_position_says_everything() -> None:
    def make(seed: int) -> Mixed:
        return Mixed([[0, 2, 4], [1, 3]], [1, 2], seed)

    forward = [make(7)[position] for position in (0, 1, 2, 1023, 1024, 5000)]
    jumping = make(7)
    assert [jumping[position] for position in (5000, 1024, 1023, 2, 1, 0)] == forward[::-1]
    walked = make(7)
    assert [walked[position] for position in range(5001)][5000] == forward[-1]
    assert [make(8)[position] for position in range(40)] != [make(7)[position] for position in range(40)]


@pytest.mark.parametrize(("parts", "weights"), [([[0], []], [1, 1]), ([[0], [1]], [1, 0]), ([[0]], [1, 1])])
def test_a_part_has_problems_and_a_weight(parts: list[list[int]], weights: list[float]) -> None:
    with pytest.raises(ValueError, match="each part"):
        Mixed(parts, weights, 0)


def test_every_epoch_goes_from_easy_to_hard() -> None:
    rates = [0.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.9]
    stream = EasyFirst(rates, seed=3)
    epochs = [[stream[7 * epoch + offset] for offset in range(7)] for epoch in range(20)]
    for epoch in epochs:
        assert (epoch[0], epoch[1], epoch[6]) == (1, 6, 0)
        assert set(epoch[2:6]) == {2, 3, 4, 5}
    assert len({tuple(epoch[2:6]) for epoch in epochs}) > 5, "those that are equally hard come in a new order"
    assert Counter(place for epoch in epochs for place in epoch) == dict.fromkeys(range(7), 20)
    assert EasyFirst(rates, seed=3)[100] == stream[100]
