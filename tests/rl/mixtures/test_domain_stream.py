"""Examples drawn by weights: as often as the weights say, each of a domain before one of them comes again, by position alone."""

from collections import Counter

import pytest

from rl.mixtures.domain_stream import DomainStream

PLACES = [list(range(50)), list(range(50, 60)), list(range(60, 1060))]


def stream(*phases: tuple[int, list[float]], seed: int = 3) -> DomainStream:
    made = DomainStream(PLACES, seed)
    for position, weights in phases:
        made.begin_phase(position, weights)
    return made


def domain(place: int) -> int:
    return 0 if place < 50 else 1 if place < 60 else 2


def test_domains_come_as_often_as_their_weights_say():
    drawn = stream((0, [0.5, 0.3, 0.2]))
    counts = Counter(domain(drawn[n]) for n in range(6000))
    assert [counts[number] / 6000 for number in range(3)] == pytest.approx([0.5, 0.3, 0.2], abs=0.02)


def test_each_of_a_domain_comes_before_any_comes_again_through_all_phases():
    drawn = stream((0, [0.2, 0.6, 0.2]), (7, [0.7, 0.2, 0.1]), (1500, [0.1, 0.1, 0.8]))
    places = [drawn[n] for n in range(5000)]
    for number, mine in enumerate(PLACES):
        order = [place for place in places if domain(place) == number]
        for start in range(0, len(order) - len(mine) + 1, len(mine)):
            assert sorted(order[start : start + len(mine)]) == mine


def test_a_position_is_the_same_whatever_was_read_before():
    phases = [(0, [0.5, 0.3, 0.2]), (1100, [0.1, 0.2, 0.7])]
    whole = [stream(*phases)[n] for n in range(0, 3000, 7)]
    one = stream(*phases)
    assert [one[n] for n in reversed(range(0, 3000, 7))] == whole[::-1]


def test_a_later_phase_changes_nothing_before_it():
    early, late = stream((0, [1.0, 1.0, 1.0])), stream((0, [1.0, 1.0, 1.0]), (1030, [0.0, 0.0, 1.0]))
    assert [early[n] for n in range(1030)] == [late[n] for n in range(1030)]
    assert {domain(late[n]) for n in range(1030, 1500)} == {2}


def test_a_weight_of_nothing_leaves_a_domain_out():
    made = DomainStream([[0, 1], []], 0)
    made.begin_phase(0, [1.0, 0.0])
    assert {made[n] for n in range(10)} == {0, 1}
    with pytest.raises(ValueError, match="an example"):
        made.begin_phase(5, [0.5, 0.5])
    with pytest.raises(ValueError, match="rise"):
        made.begin_phase(0, [1.0, 0.0])
