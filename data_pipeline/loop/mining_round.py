"""One round of the loop: train, score, collect, look at the domains, choose the next seed.

The user's own seed pages are collected whatever their score. Pages that patterns brought in are not: they train, and then they must score.
Where the user gave neither a budget nor a threshold, the held-out pages decide it (`calibrated`).

A round's folder: `model.bin`, `training.json`, `pages/KEY.parquet` (what the round found out of each page of an extraction file: id, URL,
host, score, collected, seed), `domains.json`, `patterns.json`, and `figures.json`, written last. What is done with every file is a task of
its own (`page_tasks.py`); here are the steps between, whose memory does not grow with the corpus. Nothing in the folder depends on time,
place or the number of workers.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_pipeline.classifier.math_classifier import train, training_for
from data_pipeline.classifier.training_examples import Example
from data_pipeline.columns.parquet_queries import connected
from data_pipeline.columns.token_budget import Cut, budget_cut
from data_pipeline.documents.addresses import host
from data_pipeline.loop import math_domains
from data_pipeline.loop.page_pool import PagePool, by_file
from data_pipeline.loop.round_examples import Sample, draw_sample, scores_of
from data_pipeline.loop.run_settings import Settings
from data_pipeline.loop.seed_pages import Seed
from data_pipeline.loop.spread_work import Spread
from data_pipeline.loop.step_records import Record, core_seconds, read_json, round_folder
from data_pipeline.subjects.named_subject import fingerprint, subject_of
from verifiers.atomic_files import remove_leftovers, write_json
from verifiers.input_error import InputError

TELLING = 100  # held-out pages of a kind without which the threshold stays
_PASSING = ("flags", "scores")
"""Folders of a round that nobody needs once it is over."""


@dataclass(frozen=True, slots=True)
class Round:
    """A finished round."""

    number: int
    folder: Path | None
    """Of its files; None for what stands before the first round: the user's seed, nothing collected."""
    collected: int

    @property
    def pages(self) -> Path:
        assert self.folder is not None
        return self.folder / "pages"


BEFORE_ALL = Round(0, None, 0)


@dataclass(frozen=True, slots=True)
class Collection:
    """What is collected: pages from a score on, or down to the last one that a budget of tokens pays for."""

    threshold: float
    least: float | None = None
    cut: Cut | None = None


def run_round(pool: PagePool, seed: Seed, before: Round, settings: Settings, out: Path, spread: Spread, record: Record) -> Round:
    """The round after `before`, from wherever an earlier attempt stopped. `record` learns how long the training took."""
    number = before.number + 1
    folder = round_folder(out, number)
    folder.mkdir(exist_ok=True)
    remove_leftovers(folder)  # of a training that was killed
    flagged = f"{number}:{settings.random_seed}:{digest_of(before.folder / 'patterns.json') if before.folder else ''}"
    places = {"before": str(before.folder or ""), "number": number, "random_seed": settings.random_seed}
    flags = spread.each(pool, "write_flags", folder / "flags", places, flagged)
    sample = draw_sample(pool, folder / "flags", [marker["flags"] for marker in flags], seed, number, settings)
    start, cores = time.perf_counter(), core_seconds()
    model = _train_model(pool, seed, sample, settings, folder, spread)
    record.details |= {
        "training_seconds": round(time.perf_counter() - start, 3),
        "training_core_seconds": round(core_seconds() - cores, 3),
    }
    scored = f"{digest_of(model)}:{fingerprint(settings.subject)}"
    spread.each(pool, "write_scores", folder / "scores", {"model": str(model), "subject": settings.subject}, scored, label="scoring")
    collection = collect(pool, folder / "scores", sample, settings)
    places |= {"flags": str(folder / "flags"), "scores": str(folder / "scores"), "least": collection.least, "cut": collection.cut}
    found = spread.each(pool, "write_pages", folder / "pages", places, f"{flagged}:{scored}:{collection}")
    counts = {name: sum(marker[name] for marker in found) for name in ("collected", "collected_tokens", "both")}
    overlap = counts["both"] / max(1, counts["collected"])
    _, mathematical = math_domains.write_domains(domains_of(pool, folder / "pages", settings), folder / "domains.json")
    proposed, accepted = math_domains.write_patterns(_patterns(pool, folder, settings), folder / "patterns.json")
    figures = {
        "round": number, "positives": sample.count(good=True) + seed.count, "negatives": sample.count(good=False),
        "held_out": sample.held, "threshold": round(collection.threshold, 6), "collected": counts["collected"],
        "collected_tokens": counts["collected_tokens"], "pool": len(pool), "pool_tokens": pool.tokens, "overlap": round(overlap, 6),
        "domains": mathematical, "patterns_proposed": proposed, "patterns_accepted": accepted,
        "settled": number > 1 and overlap >= settings.stop_overlap,
    }  # fmt: skip
    write_json(folder / "figures.json", figures, indent=1)
    return load_round(pool, out, number)


def load_round(pool: PagePool, out: Path, number: int) -> Round:
    """A finished round from its folder. Raises InputError for one of other pages, or whose patterns cannot be read."""
    folder = round_folder(out, number)
    figures = read_json(folder / "figures.json")
    if figures.get("pool") != len(pool):
        raise InputError(
            f"{folder}: a round over {figures.get('pool')} pages, a pool of {len(pool)}; take another --out, or delete the round's folder"
        )
    math_domains.read_patterns(folder / "patterns.json")
    for name in _PASSING:
        shutil.rmtree(folder / name, ignore_errors=True)
    return Round(number, folder, int(figures["collected"]))


# The steps ------------------------------------------------------------------------------------------------------------------------------


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _train_model(pool: PagePool, seed: Seed, sample: Sample, settings: Settings, folder: Path, spread: Spread) -> Path:
    """The round's classifier, trained unless one of these examples is there; the first round may start from the user's."""
    if sample.number == 1 and seed.model is not None:
        return seed.model
    model, made_by = folder / "model.bin", _decides(pool, seed, sample, settings)
    if read_json(folder / "training.json").get("made_by") != made_by:  # the patterns may have been edited since
        spread.watch.begin(f"round {sample.number}: training", len(sample.rows) + seed.count)
        target = subject_of(settings.subject).target
        report = train(_examples(pool, seed, sample), model, training_for(settings.preset, len(pool), settings.random_seed), target=target)
        write_json(folder / "training.json", {"made_by": made_by, **report}, indent=1)
    return model


def _decides(pool: PagePool, seed: Seed, sample: Sample, settings: Settings) -> str:
    """A hash of what decides a model, besides settings that do not change in a run."""
    told = hashlib.blake2b(f"{len(pool)} {fingerprint(settings.subject)}".encode(), digest_size=8)
    told.update(digest_of(seed.documents).encode() if seed.documents else b"")
    rows = sample.rows.sort_by("id")
    told.update(json.dumps([rows[name].to_pylist() for name in ("id", "good", "held")]).encode())
    return told.hexdigest()


def _examples(pool: PagePool, seed: Seed, sample: Sample) -> Iterator[Example]:
    for doc in seed.docs():
        yield Example(doc.text, True, host(doc.url) or doc.origin.archive)
    for key, rows in by_file(sample.trained_on(), pool.keys):
        labels = zip(rows["good"].to_pylist(), rows["host"].to_pylist(), pool.docs(key, rows), strict=True)
        yield from (Example(doc.text, good, name) for good, name, doc in labels)


def collect(pool: PagePool, scores: Path, sample: Sample, settings: Settings) -> Collection:
    """Where the collection ends: at the budget, at the threshold, or where held-out pages are told apart best."""
    if settings.budget:
        cut = budget_cut(pool.files(), pool.files(scores), settings.budget)
        return Collection(cut.score if cut and not cut.given else 1.0, cut=cut)
    if settings.threshold:
        return Collection(settings.threshold, least=settings.threshold)
    good, bad = (scores_of(pool, scores, sample.held_ids(good=kind)) for kind in (True, False))
    threshold = calibrated(good, bad)
    return Collection(threshold, least=threshold)


def calibrated(good: Sequence[float], bad: Sequence[float]) -> float:
    """The score that best tells held-out seed pages from held-out negatives, whose scores these are, lowest first.

    Of the thresholds with the highest balanced accuracy, the one nearest to 0.5, where a balanced classifier has its own. Too few pages
    held out (fewer than 100 of a kind) to move it: 0.5. A dozen pages moved it by chance, to a precision of 0.67 in one of three draws.
    """
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
    if settings.budget > pool.tokens:
        raise InputError(
            f"a budget of {settings.budget:,} tokens is larger than the corpus, about {pool.tokens:,} tokens on {len(pool):,} pages; "
            "give less, or no budget"
        )


def domains_of(pool: PagePool, pages: Path, settings: Settings) -> Iterator[math_domains.Domain]:
    """Every domain with its share of collected pages; most collected pages first, then by name."""
    with connected(pages.parent) as database:
        rows = database.execute(
            "SELECT host, count(*) AS pages, count(*) FILTER (collected) AS taken FROM read_parquet($files, hive_partitioning = false) "
            "GROUP BY host ORDER BY taken DESC, pages DESC, host", {"files": pool.named(pages)},
        )  # fmt: skip
        while some := rows.fetchmany(10_000):
            for name, count, taken in some:
                more_than, least = settings.domain_share, settings.domain_pages
                known = math_domains.is_mathematical(name, count, taken, more_than=more_than, least_pages=least)
                yield math_domains.Domain(name, count, taken, known)


def _patterns(pool: PagePool, folder: Path, settings: Settings) -> Iterator[math_domains.Pattern]:
    """The proposed patterns of the mathematical domains."""
    wanted = sorted(math_domains.mathematical_hosts(folder / "domains.json"))
    with connected(folder) as database:
        rows = database.execute(
            "SELECT host, url, collected FROM read_parquet($files, filename = true, hive_partitioning = false) "
            "WHERE host IN (SELECT unnest($wanted)) ORDER BY host, filename, frame, line",
            {"files": pool.named(folder / "pages"), "wanted": wanted},
        )
        yield from math_domains.propose_patterns(
            _visits(rows), share=settings.pattern_share, pages=settings.pattern_pages, least_share=settings.domain_share
        )


def _visits(rows: Any) -> Iterator[math_domains.Visit]:
    while some := rows.fetchmany(10_000):
        yield from (math_domains.Visit(*row) for row in some)
