"""The weights' updates against the papers' equations, worked by hand."""

import math

import numpy as np
import pytest

from rl.mixtures.weight_updates import doremi_step, graph_of_drops, skill_it_weights, uniform


def test_a_step_of_doremi_by_hand():
    """exp(ln 2) doubles the first of two equal weights: 2/3 and 1/3 before smoothing."""
    found = doremi_step(np.array([0.5, 0.5]), np.array([math.log(2), 0.0]), step_size=1.0, smoothing=0.1)
    assert found == pytest.approx([0.9 * 2 / 3 + 0.05, 0.9 / 3 + 0.05])


def test_doremi_from_unequal_weights_and_another_step_size():
    """0.2 e^(2 * 0.5) = 0.5437 and 0.8 e^0: 0.4046 and 0.5954."""
    found = doremi_step(np.array([0.2, 0.8]), np.array([0.5, 0.0]), step_size=2.0, smoothing=0.0)
    assert found == pytest.approx([0.2 * math.e / (0.2 * math.e + 0.8), 0.8 / (0.2 * math.e + 0.8)])


def test_doremi_without_excess_goes_back_to_alike_by_smoothing_alone():
    weights = np.array([0.9, 0.1])
    for _ in range(5000):
        weights = doremi_step(weights, np.zeros(2), smoothing=1e-2)
    assert weights == pytest.approx([0.5, 0.5])


def test_doremi_takes_an_excess_of_any_size():
    found = doremi_step(uniform(3), np.array([5000.0, 0.0, 0.0]), smoothing=1e-3)
    assert found == pytest.approx([0.999 + 1e-3 / 3, 1e-3 / 3, 1e-3 / 3])
    assert found.sum() == pytest.approx(1.0)


def test_skill_it_by_hand():
    """Domain 0 helps targets 0 and 1, domain 1 only itself: logits 0.5 (1 + 0.5 * 2) and 0.5 * 2."""
    graph = np.array([[1.0, 0.5], [0.0, 1.0]])
    found = skill_it_weights(graph, np.array([[1.0, 2.0]]), step_size=0.5)
    assert found == pytest.approx([0.5, 0.5])
    two = skill_it_weights(graph, np.array([[1.0, 2.0], [3.0, 0.0]]), step_size=0.5)
    raised = np.exp([0.5 * (4 + 0.5 * 2), 0.5 * 2])
    assert two == pytest.approx(raised / raised.sum())


def test_skill_it_begins_by_the_graph_alone():
    graph = np.array([[1.0, 0.5, 0.5], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    raised = np.exp(0.2 * np.array([2.0, 1.0, 1.0]))
    assert skill_it_weights(graph, np.ones((1, 3))) == pytest.approx(raised / raised.sum())


def test_skill_it_for_one_target():
    found = skill_it_weights(np.array([[0.0], [0.25], [1.0]]), np.array([[4.0]]), step_size=1.0)
    raised = np.exp([0.0, 1.0, 4.0])
    assert found == pytest.approx(raised / raised.sum())


def test_a_graph_of_drops():
    drops = np.array([[2.0, 0.5, 0.1], [-1.0, 1.0, 0.2], [3.0, 0.0, -0.1]])
    assert graph_of_drops(drops, np.diag(drops)) == pytest.approx(np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]))


@pytest.mark.parametrize("wrong", [{"step_size": 0.0}, {"smoothing": -0.1}, {"smoothing": 1.1}])
def test_settings_that_mean_nothing(wrong):
    with pytest.raises(ValueError, match="needed"):
        doremi_step(uniform(2), np.zeros(2), **wrong)
