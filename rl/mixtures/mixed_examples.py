"""A run on written examples whose domains are drawn by weights: how rows are read, marked, ordered and measured by domain."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from rl.examples.batches import Unit
from rl.examples.example import Intake
from rl.learning.learner import Learner
from rl.loop.offline import measure
from rl.mixtures.domain_stream import DomainStream
from rl.mixtures.domains import DOMAIN, DomainNames, Row, Rows, folder_rows, places_by_domain
from rl.mixtures.mixture_file import Mixture, normalised
from rl.objectives.batch import Batch
from rl.objectives.supervised import sft
from verifiers.input_error import InputError

ReadIntake = Callable[[Rows, Any, str, Any], Intake]


class MixedExamples:
    """What a method of training needs beside its own when its examples are mixed."""

    def __init__(self, column: str | None, mixture: Mixture, read: Callable[[str], Rows]):
        """`column`: the field that names a row's domain; None: the data is a folder, and a domain a file of it. `read`: rows of a file."""
        self.column, self.mixture, self.read = column, mixture, read

    @cached_property
    def domains(self) -> list[str]:
        """By number."""
        return sorted(self.mixture.weights)

    def rows(self, data: str) -> Iterator[tuple[str, Row]]:
        """Those of every file of the folder."""
        return folder_rows(Path(data), self.read)

    def intake(self, inner: ReadIntake) -> ReadIntake:
        """`inner`, with the domain of every example."""

        def marked(rows: Rows, chat: Any, source: str, limits: Any) -> Intake:
            names = DomainNames(self.column)
            return names.marked(inner(names.noted(rows, source), chat, source, limits), self.mixture.weights)

        return marked

    def order(self, options: Any, learner: Learner, units: Sequence[Unit], held_out: Sequence[Unit]) -> DomainStream:
        """By the mixture's phases, each from its share of the steps on. Raises InputError for a weight without an example."""
        places = places_by_domain(units, len(self.domains))
        stream = DomainStream(places, options.seed)
        for begin, phase in self.mixture.begins(options.steps).items():
            for name, mine in zip(self.domains, places, strict=True):
                if phase.weights[name] > 0 and not mine:
                    raise InputError(f"the mixture weighs {name!r} with {phase.weights[name]:g}, and the data have none of it to train on")
            stream.begin_phase(begin * options.examples_per_step, normalised(self.domains, phase.weights))
        return stream

    def figures(self, learner: Learner, held_out: Batch) -> Mapping[str, float]:
        """The held-out loss of each domain, in nats a token."""
        return domain_losses(learner, held_out, self.domains)


def domain_losses(learner: Learner, held_out: Batch, domains: Sequence[str]) -> dict[str, float]:
    """Of every domain of which something is held out, as eval/loss/NAME."""
    numbers = held_out.column(DOMAIN).long()
    found = {}
    for number, name in enumerate(domains):
        rows = (numbers == number).nonzero().squeeze(1)
        if len(rows):
            found[f"eval/loss/{name}"] = measure(held_out.take(rows), learner=learner, objective=sft())["eval/loss"]
    return found
