"""Which pages a round trains on: the seed as positive examples, and negatives that a small pool can afford.

* Positive examples are the seed: the user's, and the pages that accepted URL patterns brought in. The trainer balances sources.
* Negative examples are random pages of the pool that are not in the seed. DeepSeekMath draws them from all of Common Crawl, where one page
  in a hundred is mathematics; in a pool chosen for mathematics that would teach the classifier to reject it. So pages on which something
  speaks for the subject (for mathematics: formulas), pages of the last collection and pages of mathematical domains are no negatives as
  long as there are others.
* They are drawn anew each round and are at most half of what may be drawn: a page that was wrongly called negative is judged fairly later.
* A tenth of both is held out of training.

Known limit: mathematics without a single formula that no seed page resembles (manual pages of a numerics language) is drawn as a negative
and not found. Drawing negatives from a part of the hosts was tried and does not help; a few such pages in the seed do.

Every lot depends on a page's id, the run's random seed and the round alone, and those with the lowest lots are drawn: in memory are the
examples, whatever the size of the pool.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from data_pipeline.columns.page_columns import id_text
from data_pipeline.columns.parquet_queries import connected
from data_pipeline.loop.page_pool import PagePool, key_of, lot
from data_pipeline.loop.page_tasks import DOUBTS
from data_pipeline.loop.run_settings import Settings
from data_pipeline.loop.seed_pages import Seed
from data_pipeline.subjects.named_subject import subject_of
from verifiers.input_error import InputError

HELD_OUT = 10  # one page in so many
LEAST = 2  # examples of a class
FEW = 50  # negatives drawn even for a tiny seed


@dataclass(frozen=True, slots=True)
class Sample:
    """The examples of a round from the pool: a row each, with id, key, frame, line, host, good (seed or negative) and held (out)."""

    number: int
    rows: pa.Table

    def count(self, *, good: bool) -> int:
        return int(self.rows["good"].to_pylist().count(good))

    @property
    def held(self) -> int:
        return sum(self.rows["held"].to_pylist())

    def trained_on(self) -> pa.Table:
        return self.rows.filter(pa.compute.invert(self.rows["held"]))

    def held_ids(self, *, good: bool) -> list[int]:
        rows = zip(self.rows["id"].to_pylist(), self.rows["good"].to_pylist(), self.rows["held"].to_pylist(), strict=True)
        return [page for page, kind, held in rows if held and kind is good]


def draw_sample(pool: PagePool, flags: Path, counts: Sequence[Mapping[str, int]], seed: Seed, number: int, settings: Settings) -> Sample:
    """The examples of round `number`. flags: the folder of what `write_flags` wrote; counts: how many pages have which, a mapping a file.

    Raises InputError for a seed of one class: nothing known to be of the subject, or nothing else.
    """
    total: Counter[str] = sum(map(Counter, counts), Counter())
    seeded = sum(count for combined, count in total.items() if combined.startswith("+"))
    known = min(seeded, settings.seed_pages) + seed.count
    if known < LEAST and not (number == 1 and seed.model):
        named = ", ".join([*settings.seed, *settings.seed_domains][:3])
        raise InputError(f"the seed is empty: {named} name {known} of the pool's {len(pool)} pages; check its URLs and hosts")
    doubts, possible = _doubts_that_count(total)
    if possible < LEAST:
        raise InputError(
            f"the seed has one class: it covers all but {possible} of the pool's {len(pool)} pages, so there is nothing to tell "
            f"{subject_of(settings.subject).noun} from; add other pages"
        )
    wanted = min(max(FEW, min(settings.seed_pages, known)), max(LEAST, possible // 2))
    good = _draw(pool, flags, "seed", settings.seed_pages)
    bad = _draw(pool, flags, " AND ".join(f"NOT {flag}" for flag in ("seed", *doubts)), wanted)
    return Sample(number, pa.concat_tables([_with_held(rows, settings, good=kind) for rows, kind in ((good, True), (bad, False))]))


def _doubts_that_count(total: Mapping[str, int]) -> tuple[list[str], int]:
    """Why pages outside the seed are passed over, as long as others are left; and how many are left. Flags are spelled "-+-+"."""
    left = {combined: count for combined, count in total.items() if combined.startswith("-")}
    counted: list[str] = []
    for place, doubt in enumerate(DOUBTS, start=1):
        others = {combined: count for combined, count in left.items() if combined[place] == "-"}
        if sum(others.values()) >= 2 * LEAST:
            left = others
            counted.append(doubt)
    return counted, sum(left.values())


def _draw(pool: PagePool, flags: Path, condition: str, count: int) -> pa.Table:
    """The pages of lowest lot among those of which the condition, made of names of flags, is true."""
    with connected(flags.parent) as database:
        found = database.sql(
            f"""WITH drawn AS (
                SELECT id FROM read_parquet($flags, hive_partitioning = false) WHERE {condition} ORDER BY lot, id LIMIT $count
            ) SELECT id, host, frame, line, filename FROM read_parquet($pool, filename = true, hive_partitioning = false)
            JOIN drawn USING (id)""",
            params={"flags": pool.named(flags), "pool": pool.named(), "count": count},
        ).to_arrow_table()
    keys = pa.array(map(key_of, found["filename"].to_pylist()), pa.string())
    return found.drop_columns(["filename"]).append_column("key", keys)


def _with_held(rows: pa.Table, settings: Settings, *, good: bool) -> pa.Table:
    enough = len(rows) >= 2 * HELD_OUT
    held = [enough and lot(id_text(page, None), settings.random_seed, "held out") % HELD_OUT == 0 for page in rows["id"].to_pylist()]
    return rows.append_column("good", pa.array([good] * len(rows), pa.bool_())).append_column("held", pa.array(held, pa.bool_()))


def scores_of(pool: PagePool, scores: Path, pages: Iterable[int]) -> list[float]:
    """The scores of some pages, lowest first. scores: the folder of what `write_scores` wrote."""
    wanted: Any = pa.table({"id": pa.array(pages, pa.uint64())})
    with connected(scores.parent) as database:
        database.register("wanted", wanted)
        found = database.execute(
            "SELECT score FROM read_parquet($files, hive_partitioning = false) JOIN wanted USING (id) ORDER BY score",
            {"files": pool.named(scores)},
        ).fetchall()
    return [score for (score,) in found]
