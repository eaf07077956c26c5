"""Skill-It: weights over domains that follow the held-out losses while a model trains, along a graph of which domain helps which.

Training goes in rounds of steps. Before each the held-out loss of every target is measured, and the round's examples are drawn by weights
made of the losses of the last `window` measurements (arXiv:2307.14430, algorithm 1; before the first, of the graph alone). The graph is
given, or learnt at the start by training on one domain at a time and measuring all targets (the paper's approximate LearnGraph), after
which the learner is put back as it was. With the identity as graph, a domain is drawn the more the worse its own loss is.

To the loop it is the run's reference, because that is what is saved beside the policy; nothing is scored against it.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from rl.examples.batches import Unit, batch_of, unit_batches
from rl.learning.learner import Learner
from rl.learning.schedule import Schedule
from rl.loop.offline import fit, measure
from rl.mixtures.domain_stream import DomainStream
from rl.mixtures.domains import places_by_domain
from rl.mixtures.weight_updates import Weights, graph_of_drops, skill_it_weights
from rl.objectives.batch import Batch
from rl.objectives.supervised import sft
from rollout.progress import watched
from verifiers.atomic_files import write_json
from verifiers.input_error import InputError

STATE = "skill_it.json"
Graph = Float[np.ndarray, "M T"]


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """How often the weights change, and by what."""

    places: int
    """Examples drawn in a round."""
    step_size: float = 0.2
    window: int = 3
    """Measurements that count."""
    graph: Graph | None = None
    """None: learnt."""
    graph_steps: int = 0
    """Steps on each domain to learn it."""
    graph_lr: float = 0.0
    examples_per_step: int = 1


class SkillIt:
    """An endless stream of places among the units, by weights that it makes as it is read; `begin` gives it what it reads."""

    def __init__(self, domains: Sequence[str], targets: Sequence[str], rounds: Rounds, seed: int):
        self.domains, self.targets, self.rounds, self.seed = domains, targets, rounds, seed
        self.graph = rounds.graph
        self.losses: list[list[float]] = []
        """Of each target, before the second, third, ... round."""
        self.weights: list[Weights] = []
        """Of each round that has begun."""

    def begin(self, learner: Learner, units: Sequence[Unit], held_out: Sequence[Unit]) -> "SkillIt":
        """Raises InputError for a domain that trains on nothing, or a target of which nothing is held out."""
        self.learner, self.units = learner, units
        self.places = places_by_domain(units, len(self.domains))
        unseen = places_by_domain(held_out, len(self.domains))
        self.held_out = {name: [held_out[place] for place in unseen[self.domains.index(name)]] for name in self.targets}
        if empty := [name for name, mine in zip(self.domains, self.places, strict=True) if not mine]:
            raise InputError(f"the domain {empty[0]!r} has nothing left to train on; hold out less, or give more of it")
        if empty := [name for name, mine in self.held_out.items() if not mine]:
            raise InputError(f"nothing of the domain {empty[0]!r} is held out, so that its loss is unknown; hold out more")
        self.stream = DomainStream(self.places, self.seed)
        return self

    def __getitem__(self, position: int) -> int:
        while len(self.weights) * self.rounds.places <= position:
            self._begin_round()
        return self.stream[position]

    def _begin_round(self) -> None:
        number = len(self.weights)
        if number and len(self.losses) < number:
            self.losses.append(list(self.measured().values()))
        if self.graph is None:
            self.graph = self.learnt_graph()
        self._open_round(number)

    def _open_round(self, number: int) -> None:
        assert self.graph is not None, "a round begins with a graph"
        seen = np.array(self.losses[max(0, number - self.rounds.window) : number]) if number else np.ones((1, len(self.targets)))
        self.weights.append(skill_it_weights(self.graph, seen, step_size=self.rounds.step_size))
        self.stream.begin_phase(number * self.rounds.places, self.weights[-1].tolist())

    def measured(self) -> dict[str, float]:
        """The held-out loss of each target as the learner is now, in nats a token."""
        return {name: measure(batch_of(mine), learner=self.learner, objective=sft())["eval/loss"] for name, mine in self.held_out.items()}

    def learnt_graph(self) -> Graph:
        """By how much some steps on one domain lower the loss of each target; the learner is left as it was."""
        before = np.array(list(self.measured().values()))
        rounds, drops = self.rounds, np.zeros((len(self.domains), len(self.targets)))
        with (
            tempfile.TemporaryDirectory(prefix="reckon-graph-") as folder,
            watched("learning which domain helps which", len(self.domains)) as told,
        ):
            self.learner.save(Path(folder))
            for number, mine in enumerate(self.places):
                batches = unit_batches([self.units[place] for place in mine], rounds.examples_per_step, self.seed)
                fit(
                    learner=self.learner, objective=sft(), batch_of_step=batches, steps=rounds.graph_steps,
                    lr=Schedule(rounds.graph_lr, rounds.graph_steps), seed=self.seed,
                )  # fmt: skip
                drops[number] = before - np.array(list(self.measured().values()))
                self.learner.load(Path(folder))
                told.finished(1)
        own = np.array([drops[self.domains.index(name), place] for place, name in enumerate(self.targets)])
        return graph_of_drops(drops, own)

    def mean_weights(self) -> Weights:
        """Over the rounds that have begun."""
        return np.mean(self.weights, axis=0)

    # --- to the loop: the run's reference ---

    def score(self, batch: Batch) -> Float[Tensor, "N"]:
        raise ValueError("nothing is measured against weights over domains")

    def reset(self) -> None: ...

    def follow(self) -> None: ...

    def save(self, folder: Path) -> None:
        graph = None if self.graph is None else self.graph.tolist()
        write_json(folder / STATE, {"domains": list(self.domains), "graph": graph, "losses": self.losses, "rounds": len(self.weights)})

    def load(self, folder: Path) -> None:
        found: dict[str, Any] = json.loads((folder / STATE).read_text())
        if found["domains"] != list(self.domains):
            raise ValueError(f"the checkpoint's weights are of the domains {found['domains']}, not of {list(self.domains)}")
        self.graph = self.rounds.graph if found["graph"] is None else np.array(found["graph"], np.float64)
        self.losses, self.weights, self.stream = found["losses"], [], DomainStream(self.places, self.seed)
        for number in range(found["rounds"]):
            self._open_round(number)

    def checkpoint_bytes(self) -> int:
        return 100 * len(self.domains) * (len(self.domains) + len(self.losses))


def graph_of(given: Mapping[str, Mapping[str, float]], domains: Sequence[str], targets: Sequence[str]) -> Graph:
    """{"from": {"to": 0.5}}, nothing where nothing is said. Raises InputError for a name that is no domain, or a number below 0."""
    graph = np.zeros((len(domains), len(targets)))
    for name, row in given.items():
        for other, value in row.items():
            if name not in domains or other not in targets:
                raise InputError(f"--graph: {name!r} to {other!r}: domains are {', '.join(domains)}, targets {', '.join(targets)}")
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
                raise InputError(f"--graph: {name!r} to {other!r} should be a number of 0 or more, not {value!r:.40}")
            graph[domains.index(name), targets.index(other)] = float(value)
    return graph
