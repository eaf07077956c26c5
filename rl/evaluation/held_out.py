"""Evaluation while a run is going on: the sets of problems that are only looked at, and what the policy said to them, kept on disk."""

from collections.abc import Callable, Mapping, Sequence

from rl.evaluation.accuracy import Accuracy, evaluate, evaluation_metrics
from rollout.player import Player
from rollout.store import RolloutStore, Source
from verifiers.problem import Problem


def held_out_evaluation(
    sets: Mapping[str, Sequence[Problem]], player: Player, store_of: Callable[[str], RolloutStore], *, model: str
) -> Callable[[int], dict[str, float]]:
    """What `train` calls with a step: greedy accuracy of each set by its name, "" for that without one.

    Responses are kept. `store_of`: where those of a set go, such as `RunFolder.held_out`. `model`: its name, as rollouts say it.
    """

    def evaluate_at(step: int) -> dict[str, float]:
        results: dict[str, Accuracy] = {}
        for name, problems in sets.items():
            results[name], groups = evaluate(problems, player, what=f"{name or 'held-out'} problems")
            if groups:
                store = store_of(name)
                store.source = Source.of(model, player.greedy())
                store.write(step, groups, cursor=0)
        return evaluation_metrics(results)

    return evaluate_at
