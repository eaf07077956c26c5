"""Which pages a round trains on: the seed as positive examples, and negatives that a small pool can afford.

* Positive examples are the seed: the user's, and the pages that accepted URL patterns brought in. The trainer balances sources.
* Negative examples are random pages of the pool that are not in the seed. DeepSeekMath draws them from all of Common Crawl, where one page
  in a hundred is mathematics; in a pool chosen for mathematics that would teach the classifier to reject it. So pages on which extraction
  found formulas, pages of the last collection and pages of mathematical domains are no negatives as long as there are others.
* They are drawn anew each round and are at most half of what may be drawn: a page that was wrongly called negative is judged fairly later.
* A tenth of both is held out of training.

Known limit: mathematics without a single formula that no seed page resembles (manual pages of a numerics language) is drawn as a negative
and not found. Drawing negatives from a part of the hosts was tried and does not help; a few such pages in the seed do.

Every lot depends on a page's id, the run's random seed and the round alone.
"""

from dataclasses import dataclass

import numpy as np

from data_pipeline.loop.page_pool import Mask, PagePool, Rows, draw, lot
from data_pipeline.loop.run_settings import Settings
from data_pipeline.loop.seed_pages import Seed
from verifiers.input_error import InputError

HELD_OUT = 10  # one page in so many
LEAST = 2  # examples of a class
FEW = 50  # negatives drawn even for a tiny seed


@dataclass(frozen=True, slots=True)
class Sample:
    """The examples of a round, as rows of the pool."""

    number: int
    good: Rows
    bad: Rows
    held: Mask
    """Over the pool: which of them are not trained on."""


@dataclass(frozen=True, slots=True)
class Round:
    """A finished round."""

    number: int
    collected: Mask
    seed: Mask
    """The pages of the pool that the next round trains on as positives."""
    mathematical: frozenset[str]
    """Hosts of mathematical domains."""


def draw_sample(pool: PagePool, seed: Seed, before: Round, settings: Settings) -> Sample:
    """Raises InputError for a seed of one class: nothing known to be mathematics, or nothing else."""
    number = before.number + 1
    good = draw(pool, np.flatnonzero(before.seed), settings.seed_pages, random_seed=settings.random_seed, purpose=f"positives {number}")
    known = len(good) + seed.count
    if known < LEAST and not (number == 1 and seed.model):
        named = ", ".join([*settings.seed, *settings.seed_domains][:3])
        raise InputError(f"the seed is empty: {named} name {known} of the pool's {len(pool)} pages; check its URLs and hosts")
    bad = _negatives(pool, before, settings, max(FEW, min(settings.seed_pages, known)))
    held = np.zeros(len(pool), np.bool_)
    for rows in (good, bad):
        if len(rows) >= 2 * HELD_OUT:
            held[[row for row in rows.tolist() if lot(pool.id_of(row), settings.random_seed, "held out") % HELD_OUT == 0]] = True
    return Sample(number, good, bad, held)


def _negatives(pool: PagePool, before: Round, settings: Settings, wanted: int) -> Rows:
    """Random pages of those least likely to be mathematics, at most half of them."""
    related = np.array([host in before.mathematical for host in pool.hosts], np.bool_)
    possible = ~before.seed
    for doubt in (before.collected, related, pool.formulas):
        if (possible & ~doubt).sum() >= 2 * LEAST:
            possible &= ~doubt
    rows = np.flatnonzero(possible)
    if len(rows) < LEAST:
        raise InputError(
            f"the seed has one class: it covers all but {len(rows)} of the pool's {len(pool)} pages, so there is nothing to tell "
            "mathematics from; add other pages"
        )
    most = max(LEAST, len(rows) // 2)
    return draw(pool, rows, min(wanted, most), random_seed=settings.random_seed, purpose=f"negatives {before.number + 1}")
