"""One round of the loop: train, score, collect, look at the domains, choose the next seed.

The user's own seed pages are collected whatever their score. Pages that patterns brought in are not: they train, and then they must score.
Where the user gave neither a budget nor a threshold, the held-out pages decide it (`calibrated`).

A round's folder: `model.bin`, `training.json`, `scores.parquet`, `domains.json`, `patterns.json`, and `figures.json`, written last.
Nothing in it depends on time, place or the number of workers.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data_pipeline.classifier.math_classifier import Classifier, train, training_for
from data_pipeline.classifier.parallel_scoring import score_texts
from data_pipeline.classifier.training_examples import Example
from data_pipeline.documents.addresses import host
from data_pipeline.loop import math_domains
from data_pipeline.loop.extracted_pages import processes
from data_pipeline.loop.page_pool import Mask, PagePool
from data_pipeline.loop.round_examples import Round, Sample, draw_sample
from data_pipeline.loop.run_settings import Settings
from data_pipeline.loop.seed_pages import Seed
from data_pipeline.loop.step_records import Record, Watch, round_folder
from verifiers.atomic_files import atomic_path, remove_leftovers, write_json
from verifiers.input_error import InputError

Scores = NDArray[np.float32]
TELLING = 100  # held-out pages of a kind without which the threshold stays


def before_all_rounds(pool: PagePool, seed: Seed) -> Round:
    """What stands before the first round: the user's seed, nothing collected."""
    given = seed.pages_of(pool)
    nothing = np.zeros(len(pool), np.bool_)
    return Round(0, nothing, given, frozenset())


def run_round(pool: PagePool, seed: Seed, before: Round, settings: Settings, out: Path, watch: Watch, record: Record) -> Round:
    """The round after `before`, from wherever an earlier attempt stopped. `record` learns how long the training took."""
    number = before.number + 1
    folder = round_folder(out, number)
    sample = draw_sample(pool, seed, before, settings)
    folder.mkdir(exist_ok=True)
    remove_leftovers(folder)  # of a training that was killed
    start = time.perf_counter()
    model = _train_model(pool, seed, sample, settings, folder, watch)
    record.details["training_seconds"] = round(time.perf_counter() - start, 3)
    scores = _score_pages(pool, model, settings, watch)
    threshold, collected = collect(pool, scores, seed.pages_of(pool), sample, settings)
    _write_scores(pool, scores, collected, before.seed, folder / "scores.parquet")
    domains, patterns = _domains_and_patterns(pool, collected, settings)
    math_domains.write_domains(domains, folder / "domains.json")
    math_domains.write_patterns(patterns, folder / "patterns.json")
    overlap = float((collected & before.collected).sum() / max(1, collected.sum()))
    figures = {
        "round": number, "positives": len(sample.good) + seed.count, "negatives": len(sample.bad), "held_out": int(sample.held.sum()),
        "threshold": round(threshold, 6), "collected": int(collected.sum()), "collected_tokens": int(pool.tokens[collected].sum()),
        "pool": len(pool), "pool_tokens": int(pool.tokens.sum()), "overlap": round(overlap, 6),
        "domains": sum(found.mathematical for found in domains),
        "patterns_proposed": len(patterns), "patterns_accepted": sum(found.accept for found in patterns),
        "settled": number > 1 and overlap >= settings.stop_overlap,
    }  # fmt: skip
    write_json(folder / "figures.json", figures, indent=1)
    return load_round(pool, out, number)


def load_round(pool: PagePool, out: Path, number: int) -> Round:
    """A finished round from its folder, with the patterns as a person may have edited them since. Raises InputError for a damaged one."""
    folder = round_folder(out, number)
    table = pq.read_table(folder / "scores.parquet", columns=["collected", "seed"])
    if len(table) != len(pool):
        raise InputError(
            f"{folder}: scores of {len(table)} pages for a pool of {len(pool)}; take another --out, or delete the round's folder"
        )
    collected, seed = (table[name].to_numpy().astype(np.bool_) for name in ("collected", "seed"))
    under_patterns = math_domains.accepted_paths(math_domains.read_patterns(folder / "patterns.json"))
    under = np.array([math_domains.covers(under_patterns, host, url) for host, url in zip(pool.hosts, pool.urls, strict=True)], np.bool_)
    mathematical = frozenset(found.host for found in math_domains.read_domains(folder / "domains.json") if found.mathematical)
    return Round(number, collected, seed | under, mathematical)


# The steps ------------------------------------------------------------------------------------------------------------------------------


def _train_model(pool: PagePool, seed: Seed, sample: Sample, settings: Settings, folder: Path, watch: Watch) -> Path:
    """The round's classifier; the first round may start from the user's."""
    if sample.number == 1 and seed.model is not None:
        return seed.model
    model = folder / "model.bin"
    if not (folder / "training.json").is_file():
        watch.begin(f"round {sample.number}: training", len(sample.good) + len(sample.bad) + seed.count)
        report = train(_examples(pool, seed, sample), model, training_for(settings.preset, len(pool), settings.random_seed))
        write_json(folder / "training.json", report, indent=1)
    return model


def _examples(pool: PagePool, seed: Seed, sample: Sample) -> Iterator[Example]:
    for doc in seed.docs():
        yield Example(doc.text, True, host(doc.url) or doc.origin.archive)
    good = np.zeros(len(pool), np.bool_)
    good[sample.good] = True
    wanted = good.copy()
    wanted[sample.bad] = True
    for row, doc in pool.docs(wanted & ~sample.held):
        yield Example(doc.text, bool(good[row]), pool.hosts[row])


def _score_pages(pool: PagePool, model: Path, settings: Settings, watch: Watch) -> Scores:
    """The probability of mathematics of every page, rounded to what a float holds in text too."""
    found = np.zeros(len(pool), np.float32)
    watch.begin("scoring", len(pool))
    done = size = 0

    def texts() -> Iterator[str]:
        nonlocal size
        for _, doc in pool.docs():
            size += len(doc.text)
            yield doc.text

    for scores in score_texts(Classifier.load(model), texts(), processes=processes(settings)):
        found[done : done + len(scores)] = scores
        done += len(scores)
        watch.advance(done, size=size)
    return np.round(found, 6)


def collect(pool: PagePool, scores: Scores, given: Mask, sample: Sample, settings: Settings) -> tuple[float, Mask]:
    """The threshold and the collected pages: the given ones, and the best others up to the budget or down to the threshold."""
    collected = given.copy()
    if settings.budget:
        order = np.lexsort((pool.ids, -scores, ~given))  # given first, then the best; equal scores by id
        fits = np.cumsum(pool.tokens[order]) <= settings.budget
        collected[order[fits]] = True
        return float(scores[order[fits]].min(initial=1.0)), collected
    threshold = settings.threshold or calibrated(scores, sample)
    return threshold, collected | (scores >= threshold)


def calibrated(scores: Scores, sample: Sample) -> float:
    """The score that best tells held-out seed pages from held-out negatives.

    Of the thresholds with the highest balanced accuracy, the one nearest to 0.5, where a balanced classifier has its own. Too few pages
    held out (fewer than 100 of a kind) to move it: 0.5. A dozen pages moved it by chance, to a precision of 0.67 in one of three draws.
    """
    held = sample.held
    good, bad = (np.sort(scores[[row for row in rows.tolist() if held[row]]]) for rows in (sample.good, sample.bad))
    if min(len(good), len(bad)) < TELLING:
        return 0.5
    edges = np.unique(np.concatenate([good, bad, [0.5]]))
    kept = 1 - np.searchsorted(good, edges) / len(good)
    refused = np.searchsorted(bad, edges) / len(bad)
    value = np.round(kept + refused, 9)
    best = edges[value == value.max()]
    return float(best[np.argmin(np.abs(best - 0.5))])


def check_budget(pool: PagePool, settings: Settings) -> None:
    """Raises InputError for a budget that would collect everything."""
    whole = int(pool.tokens.sum())
    if settings.budget > whole:
        raise InputError(
            f"a budget of {settings.budget:,} tokens is larger than the corpus, about {whole:,} tokens on {len(pool):,} pages; "
            "give less, or no budget"
        )


def _domains_and_patterns(
    pool: PagePool, collected: Mask, settings: Settings
) -> tuple[list[math_domains.Domain], list[math_domains.Pattern]]:
    """The domains and the proposed patterns."""

    def visits() -> Iterator[math_domains.Visit]:
        for name, url, taken in zip(pool.hosts, pool.urls, collected.tolist(), strict=True):
            yield math_domains.Visit(name, url, taken)

    found = math_domains.domain_shares(visits(), more_than=settings.domain_share, least_pages=settings.domain_pages)
    patterns = math_domains.propose_patterns(
        visits(), found, share=settings.pattern_share, pages=settings.pattern_pages, least_share=settings.domain_share
    )  # fmt: skip
    return found, patterns


def _write_scores(pool: PagePool, scores: Scores, collected: Mask, seed: Mask, path: Path) -> None:
    table = pa.table({
        "id": [pool.id_of(row) for row in range(len(pool))], "url": list(pool.urls), "host": list(pool.hosts), "score": scores,
        "collected": collected, "seed": seed,
    })  # fmt: skip
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
