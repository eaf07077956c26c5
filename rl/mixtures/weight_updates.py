"""How sampling weights over domains follow from losses, in the equations of two papers. Pure functions of arrays in double precision.

Both raise a weight by the exponential of what is still to be gained in its domain. DoReMi asks the domain itself how far a small model is
behind a reference; Skill-It asks, along a graph of who helps whom, how large the losses are that a domain would lower.
"""

import numpy as np
from jaxtyping import Float

Weights = Float[np.ndarray, "M"]


def uniform(count: int) -> Weights:
    return np.full(count, 1.0 / count)


def doremi_step(weights: Weights, excess: Weights, *, step_size: float = 1.0, smoothing: float = 1e-3) -> Weights:
    """One step of group DRO: w' = w exp(step_size * excess) to a sum of 1, then (1 - smoothing) w' + smoothing / K.

    `excess`: of each domain, the mean over its tokens of max(0, loss of the proxy - loss of the reference), in nats. Source: DoReMi,
    arXiv:2305.10429, algorithm 1, whose step size is 1 and smoothing 1e-3.
    """
    if step_size <= 0 or not 0 <= smoothing <= 1:
        raise ValueError(f"a step size above 0 and a smoothing from 0 to 1 are needed, not {step_size} and {smoothing}")
    return (1 - smoothing) * _exponential(np.log(weights) + step_size * excess) + smoothing / len(weights)


def skill_it_weights(graph: Float[np.ndarray, "M T"], losses: Float[np.ndarray, "R T"], *, step_size: float = 0.2) -> Weights:
    """p_i in proportion to exp(step_size * sum over rounds and targets j of graph[i, j] * losses[t, j]).

    `losses`: held-out losses of the M targets in nats a token, a row for each round of the window; before the first round, one row of
    ones. `graph[i, j]`: how much training on domain i lowers the loss of target j. Source: Skill-It, arXiv:2307.14430, algorithm 1.
    """
    if step_size <= 0:
        raise ValueError(f"a step size above 0 is needed, not {step_size}")
    return _exponential(step_size * (graph @ losses.sum(0)))


def _exponential(logits: Weights) -> Weights:
    raised = np.exp(logits - logits.max())
    return raised / raised.sum()


def graph_of_drops(drops: Float[np.ndarray, "M T"], own: Float[np.ndarray, "T"]) -> Float[np.ndarray, "M T"]:
    """graph[i, j] = max(0, drops[i, j]) / own[j], at most 1: what training on i is worth to j beside training on j itself.

    `drops[i, j]`: how far the loss of j fell in some steps on domain i alone; `own[j]`: in as many on j alone. A target that its own data
    do not lower is helped by nobody. Skill-It's approximate LearnGraph takes the drops as they are; divided, `step_size` means the same
    whatever their size.
    """
    learnt = np.where(own > 0, own, np.inf)
    return np.clip(drops / learnt, 0.0, 1.0)
