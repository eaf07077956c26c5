"""Problems sampled and scored in chunks, each of which is on the disk before the next begins: what `reckon sample` and rounds of RFT do.

A chunk is a function of the weights, its problems and the seed, so one that is found on the disk is the one that would be sampled again.
Which weights these are is whoever calls' business: a store is of one policy.
"""

import math
from collections.abc import Iterator, Sequence

from rl.loop.seeds import derive_seed
from rollout.interruption import uninterrupted
from rollout.player import Group, Player
from rollout.progress import watched
from rollout.store import RolloutStore
from verifiers.input_error import InputError
from verifiers.problem import Problem


def sample_chunks(
    problems: Sequence[Problem], player: Player, store: RolloutStore, *, size: int, seed: int, first: int = 1
) -> Iterator[list[Group]]:
    """The groups of each chunk of `size` problems, in order, those of the store first. `first`: the number of the first chunk there.

    Raises InputError for a stored chunk that is damaged or of other problems, and for a model whose log-probabilities are no numbers.
    """
    chunks = {step: problems[start : start + size] for step, start in enumerate(range(0, len(problems), size), first)}
    missing = {step: chunk for step, chunk in chunks.items() if not store.path(step).exists()}
    sampling = player.sampling
    total = sum(map(len, missing.values())) * sampling.completions
    text = f"sampling {total:,} completions, up to {sampling.max_tokens:,} tokens each"
    yield from (_stored(step, chunk, player, store) for step, chunk in chunks.items() if step not in missing)
    with watched(text, total) as progress:
        progress.calls = len(missing) or 1
        for step, chunk in missing.items():
            groups = player.seeded(derive_seed(seed, "sampling", step)).collect(chunk)
            _require_finite(groups)
            with uninterrupted():
                store.write(step, groups, cursor=0)
            yield groups


def _stored(step: int, chunk: Sequence[Problem], player: Player, store: RolloutStore) -> list[Group]:
    found = store.read(step, {problem.id: problem for problem in chunk})
    assert found is not None
    groups = found[0]
    same = [group.problem.id for group in groups] == [problem.id for problem in chunk]
    if not same or any(len(group.completions) != player.sampling.completions for group in groups):
        raise InputError(f"{store.path(step)} holds other problems or another number of completions; remove it, and it is sampled again")
    return groups


def _require_finite(groups: Sequence[Group]) -> None:
    for group in groups:
        if not all(math.isfinite(logp) for completion in group.completions for logp in completion.logprobs):
            raise InputError(
                f"the model's log-probabilities are not finite (first on problem {group.problem.id}): its weights hold no numbers, or its "
                "precision is too low; give --dtype fp32, or another model"
            )
