"""What a step looked like is added up on the device, and read once."""

import pickle
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rl.learning import token_terms
from rl.learning.learner import Learner
from rl.learning.update_stats import UpdateStats, metrics
from rl.objectives.algorithms import named
from rl.objectives.batch import Batch, lay_out
from rl.objectives.objective import Objective, Terms

READS = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero")
"""Operators whose result the program must have before it can go on."""


class Reads(TorchDispatchMode):
    """Counts them, but for what is done while a layout is made, which stays on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.off = False

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        boolean = name == "index" and any(x is not None and x.dtype == torch.bool for x in args[1])
        if not self.off and (name in READS or boolean):
            self.seen.append(name)
        return function(*args, **(kwargs or {}))


def batch() -> Batch:
    rows = [[3, 4, 5, 6 + n, 7] for n in range(4)]
    found = lay_out(rows, [[False, False, True, True, n > 1] for n in range(4)], [2] * 4, groups=[0, 0, 1, 1])
    return found.with_columns({"advantage": (found.row % 2 - 0.5) * found.mask, "sampler_logp": torch.full((20,), -3.0)})


def test_from_forward_to_backward_nothing_is_read(make_llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    learner, reads, given = Learner(make_llama(), layout="shared", device="cpu"), Reads(), batch()
    assert learner.layout == "shared"  # padded, transformers itself asks whether a mask masks anything
    own = token_terms.TokenTerms._laid

    def laid(*args: Any) -> Any:
        reads.off = True
        try:
            return own(*args)
        finally:
            reads.off = False

    monkeypatch.setattr(token_terms.TokenTerms, "_laid", laid)
    objective, stats = named("grpo", max_completion_length=4).objective, UpdateStats(lr=0.0)
    with reads:
        loss = learner._loss(given, objective.weight(given), objective, stats)
        stats.add_loss(loss)
        loss.backward()
    assert reads.seen == []
    with reads:
        stats.settle()
    assert len(reads.seen) <= 1
    assert (stats.trained_sequences, stats.trained_tokens, stats.loss) == (4, 10, pytest.approx(loss.item()))


def _logp(terms: Terms, batch: Batch) -> torch.Tensor:
    return terms["logp"]


def test_sums_means_and_maxima_over_parts() -> None:
    given = batch()
    measures = {"gap": _logp, "gap_max": _logp, "of_pairs": lambda terms, batch: torch.tensor([float("nan"), 3.0])}
    told = Objective(_logp, lambda batch: batch.mask.float(), measures=measures)
    stats = UpdateStats(lr=0.1, measured=dict.fromkeys(told.measures, 0.0))
    for scale in (1.0, 2.0):
        stats.add(given, told, {"logp": scale * torch.arange(20.0)})
        stats.add_loss(torch.tensor(scale))
    again = pickle.loads(pickle.dumps(stats))  # noqa: S301  # our own, as it goes to another process
    assert again.pending == {}
    assert again == stats
    places = given.mask.nonzero().squeeze(1).double()
    assert again.measured == {"gap": 3 * float(places.sum()), "gap_max": 2 * float(places.max()), "of_pairs": 6.0}
    assert again.counted == {"gap": 20, "gap_max": 20, "of_pairs": 2}
    assert metrics([again])["gap"] == pytest.approx(3 * float(places.mean()) / 2)
    assert (again.loss, again.trained_tokens, again.trained_sequences) == (3.0, 20, 8)
