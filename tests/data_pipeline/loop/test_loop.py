"""The loop on a small made-up web: what it finds, what it writes, and that stopping it anywhere changes nothing."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipeline.commands.demo_pages import SEED_HOST
from data_pipeline.commands.demo_web import BENCHMARK, QUESTION, web, write_web
from data_pipeline.documents.document import Doc, Origin, drop_if
from data_pipeline.documents.document_files import read_docs
from data_pipeline.loop import collected_corpus, mining_round, page_tasks, spread_work
from data_pipeline.loop.corpus_tasks import measured
from data_pipeline.loop.mining_round import collect
from data_pipeline.loop.mining_run import mine
from data_pipeline.loop.page_pool import PagePool, lot
from data_pipeline.loop.round_examples import Sample, _draw
from data_pipeline.loop.run_settings import Settings
from data_pipeline.loop.step_records import Record, recorded
from data_pipeline.tasks.file_work import FileWork
from tests.data_pipeline import stand_ins as mining_stand_ins
from verifiers.input_error import InputError

SHARE = 0.2  # of the demo's pages
DURATIONS = ("steps", "funnel.json", ".lock")


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return [str(path) for path in write_web(tmp_path_factory.mktemp("web"), share=SHARE)]


@pytest.fixture(scope="module")
def extracted(archives, tmp_path_factory):
    """A run that has extracted and deduplicated: its folder is copied where a test needs no more than that."""
    out = tmp_path_factory.mktemp("runs") / "base"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mining_round, "run_round", _stop)
        with pytest.raises(KeyboardInterrupt):
            mine(settings(archives), archives, out)
    return out


def _stop(*_):
    raise KeyboardInterrupt


def quick_classifier(patch: pytest.MonkeyPatch, tasks: str = "quick_tasks") -> None:
    patch.setattr(mining_round, "train", mining_stand_ins.train)
    patch.setattr(spread_work, "TASK", f"tests.data_pipeline.loop.{tasks}:page_task")


@pytest.fixture(autouse=True)
def _quick_classifier(monkeypatch):
    quick_classifier(monkeypatch)


@pytest.fixture
def out(extracted, tmp_path):
    return Path(shutil.copytree(extracted, tmp_path / "out"))


def settings(archives: list[str], **changes) -> Settings:
    values = {
        "seed_domains": (SEED_HOST,), "rounds": 2, "stop_overlap": 1.0, "workers": 2, "problems": False,
        "benchmarks": (str(Path(archives[0]).parent / BENCHMARK),),
    }  # fmt: skip
    return Settings(**{**values, **changes})


def fingerprint(out: Path) -> dict[str, str]:
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and path.relative_to(out).parts[0] not in DURATIONS]
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def table(folder: Path) -> list[dict[str, Any]]:
    """The rows of all files of a folder."""
    return [row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def corpus_urls(out: Path) -> Counter[str]:
    return Counter(doc.url for doc in read_docs(out / "corpus") if doc.dropped is None)


@pytest.fixture(scope="module")
def finished(archives, extracted, tmp_path_factory):
    """A whole run, for tests that only read it: its folder and its outcome."""
    out = Path(shutil.copytree(extracted, tmp_path_factory.mktemp("whole") / "out"))
    with pytest.MonkeyPatch.context() as patch:
        quick_classifier(patch)
        return out, mine(settings(archives), archives, out)


# What it finds --------------------------------------------------------------------------------------------------------------------------


def test_mathematics_of_sites_outside_the_seed_is_found_and_little_else(finished):
    out, outcome = finished
    truth = {page.url: page.mathematical for page in web(share=SHARE)}
    found = corpus_urls(out)
    hidden = {url for url, mathematical in truth.items() if mathematical and SEED_HOST not in url and "mirror" not in url}
    assert outcome.kept == found.total() == len(found)
    assert len(hidden & set(found)) >= 0.9 * len(hidden)
    assert sum(truth[url] for url in found) >= 0.95 * len(found)


def test_copies_are_in_the_corpus_once(finished):
    out, _ = finished
    found = corpus_urls(out)
    reasons = Counter(row["reason"] for row in table(out / "duplicates"))
    assert not any("utm_source" in url for url in found) or reasons["duplicate: url"] + reasons["duplicate: exact"] >= 6
    assert sum("mirror.example.com" in url for url in found) + reasons["duplicate: near"] + reasons["duplicate: exact"] >= 6
    ids = [doc.id for doc in read_docs(out / "corpus")]
    assert len(ids) == len(set(ids))


def test_the_planted_question_is_gone_from_the_corpus_and_listed(finished):
    out, _ = finished
    assert not any(QUESTION[:60] in doc.text for doc in read_docs(out / "corpus"))
    assert any("tulips" in line for line in (out / "contamination.jsonl").read_text().splitlines())


def test_the_funnel_adds_up_and_every_page_has_one_outcome(finished):
    out, outcome = finished
    steps = {row["step"]: row for row in json.loads((out / "funnel.json").read_text())["steps"]}
    for row in steps.values():
        assert row["in"] == row["out"] + sum(row["dropped"].values()), row
    assert steps["duplicates"]["in"] == steps["extract"]["out"]
    assert steps["round-01"]["in"] == steps["duplicates"]["out"] == outcome.pool
    assert steps["language"]["in"] == steps["round-02"]["out"] == outcome.collected
    assert steps["corpus"]["out"] == outcome.kept
    rejected = list(read_docs(out / "rejected.jsonl.zst"))
    assert len(rejected) + outcome.kept == outcome.collected
    assert all(doc.dropped and not doc.text for doc in rejected)


def test_accepted_patterns_bring_pages_to_the_next_seed_and_an_edit_takes_them_away(archives, out, monkeypatch):
    quick_classifier(monkeypatch, "reluctant_tasks")
    given = settings(archives, threshold=0.5)
    first = mine(given, archives, out, review=True)
    assert first.review == out / "round-01" / "patterns.json"
    assert not (out / "round-02").exists()
    rows = json.loads(first.review.read_text())
    accepted = [row for row in rows["patterns"] if row["accept"] and row["host"] != SEED_HOST]
    assert accepted
    kept = accepted[0]["host"]
    for row in rows["patterns"]:
        row["accept"] = row["host"] == kept
    first.review.write_text(json.dumps(rows))
    mine(given, archives, out, review=True)
    rows = table(out / "round-02" / "pages")
    assert {row["host"] for row in rows if row["seed"]} == {SEED_HOST, kept}
    before = table(out / "round-01" / "pages")
    joined = {row["url"] for row in rows if row["seed"]} - {row["url"] for row in before if row["collected"]}
    assert joined, "pages that were not collected joined the seed"


def test_the_loop_stops_when_a_round_finds_what_the_last_one_found(archives, out):
    outcome = mine(settings(archives, rounds=5, stop_overlap=0.9), archives, out)
    figures = [json.loads(path.read_text()) for path in sorted(out.glob("round-*/figures.json"))]
    assert outcome.rounds == len(figures) < 5
    assert [row["settled"] for row in figures] == [False] * (len(figures) - 1) + [True]
    assert figures[-1]["overlap"] >= 0.9


def test_a_seed_of_documents_and_of_urls_works_like_one_of_hosts(archives, out, tmp_path):
    lessons = [page for page in web(share=SHARE) if SEED_HOST in page.url]
    urls = tmp_path / "urls.txt"
    urls.write_text("# known good\n" + "\n".join(page.url for page in lessons[:10]))
    documents = tmp_path / "seed.jsonl"
    documents.write_text(
        "".join(
            json.dumps(
                {"url": f"https://elsewhere.org/{n}", "text": "We prove the theorem: $x^2$ is continuous, hence bounded. " * (5 + n)}
            )
            + "\n"
            for n in range(20)
        )
    )
    outcome = mine(settings(archives, seed_domains=(), seed=(str(urls), str(documents)), rounds=1), archives, out)
    figures = json.loads((out / "round-01" / "figures.json").read_text())
    assert 20 <= figures["positives"] <= 40
    assert outcome.kept > 20


# Stopping and going on ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def undisturbed(finished):
    return fingerprint(finished[0])


def test_the_same_run_gives_the_same_bytes(archives, undisturbed, tmp_path):
    mine(settings(archives, workers=1), archives, tmp_path / "again")
    again = fingerprint(tmp_path / "again")
    assert {**again, "config.json": ""} == {**undisturbed, "config.json": ""}


STOPS = [(mining_round, "train", 1), (mining_round, "train", 2), (mining_round, "collect", 1), (mining_round, "write_json", 2),
         (mining_round, "load_round", 2), (collected_corpus, "write_shards", 1), (collected_corpus, "write_json", 2)]  # fmt: skip


@pytest.mark.parametrize(("module", "name", "call"), STOPS, ids=[f"{name} {call}" for _, name, call in STOPS])
def test_a_run_stopped_anywhere_ends_in_the_same_bytes(archives, out, undisturbed, module, name, call):
    real, calls = getattr(module, name), iter(range(1, 100))

    def stops(*arguments, **named):
        if next(calls) == call:
            raise KeyboardInterrupt
        return real(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, stops)
        with pytest.raises(KeyboardInterrupt):
            mine(settings(archives), archives, out)
    mine(settings(archives), archives, out)
    assert fingerprint(out) == undisturbed


def test_the_names_of_folders_choose_no_other_pages(archives, extracted, undisturbed, tmp_path):
    out, other = (tmp_path / "host=x.org" / name for name in ("run[1]*", "run1*"))
    shutil.copytree(extracted, out)
    for path in shutil.copytree(extracted, other).rglob("*.parquet"):
        pq.write_table(pq.read_table(path, partitioning=None)[:2], path)
    mine(settings(archives), archives, out)
    assert fingerprint(out) == undisturbed


def test_patterns_edited_after_a_round_was_stopped_decide_its_model(archives, out, tmp_path, monkeypatch):
    mine(settings(archives), archives, out, review=True)
    straight = Path(shutil.copytree(out, tmp_path / "straight"))
    with monkeypatch.context() as patch:
        patch.setattr(mining_round, "collect", _stop)
        with pytest.raises(KeyboardInterrupt):
            mine(settings(archives), archives, out)
    for folder in (out, straight):
        path = folder / "round-01" / "patterns.json"
        path.write_text(path.read_text().replace('"accept": true', '"accept": false'))
        mine(settings(archives), archives, folder)
    assert fingerprint(out) == fingerprint(straight)


def test_files_that_were_set_aside_between_rounds_are_tried_anew(archives, out, undisturbed, monkeypatch):
    with monkeypatch.context() as patch:
        quick_classifier(patch, "broken_tasks")
        with pytest.raises(InputError, match="no library"):
            mine(settings(archives), archives, out)
    mine(settings(archives), archives, out)
    assert fingerprint(out) == undisturbed


def test_a_finished_run_is_only_read_again(archives, finished, monkeypatch):
    out, outcome = finished
    for name in ("train", "collect"):
        monkeypatch.setattr(mining_round, name, _stop)
    monkeypatch.setattr(collected_corpus, "write_shards", _stop)
    assert mine(settings(archives), archives, out) == outcome


def test_seconds_of_a_stopped_attempt_are_counted(tmp_path):
    with pytest.raises(KeyboardInterrupt), recorded(tmp_path, "x"):
        raise KeyboardInterrupt
    (tmp_path / "steps" / "x.tries.json").write_text('{"seconds": 100}')
    with recorded(tmp_path, "x"):
        pass
    assert json.loads((tmp_path / "steps" / "x.json").read_text())["seconds"] >= 100


# Bad input ------------------------------------------------------------------------------------------------------------------------------


def refused(message: str, *arguments, **named) -> None:
    with pytest.raises(InputError, match=message) as error:
        mine(*arguments, **named)
    assert "\n" not in str(error.value)


def test_an_empty_seed_is_one_line(archives, out, tmp_path):
    refused("the seed is empty", settings(archives, seed_domains=()), archives, out)
    refused("the seed is empty.*nowhere.org", settings(archives, seed_domains=("nowhere.org",)), archives, out)
    (tmp_path / "none.txt").write_text("# nothing\n")
    refused("the seed is empty", settings(archives, seed_domains=(), seed=(str(tmp_path / "none.txt"),)), archives, out)
    refused("no such file", settings(archives, seed=("missing.jsonl",)), archives, out)


def test_a_seed_of_one_class_is_one_line(archives, out):
    hosts = {page.url.split("/")[2] for page in web(share=SHARE)}
    refused("one class", settings(archives, seed_domains=tuple(hosts)), archives, out)


def test_a_budget_larger_than_the_corpus_is_one_line_and_costs_nothing(archives, out, monkeypatch):
    refused("larger than the corpus", settings(archives, budget=10**9), archives, out)
    monkeypatch.setattr("data_pipeline.loop.extracted_pages.extract_archives", _stop)
    monkeypatch.setattr("data_pipeline.loop.extracted_pages.find_copies", _stop)
    assert mine(settings(archives, budget=20_000, rounds=1), archives, out).kept > 0


def test_a_folder_of_another_run_is_refused_by_the_names_of_what_differs(archives, finished, undisturbed):
    out, _ = finished
    refused("other rounds, random_seed;", settings(archives, rounds=3, random_seed=1), archives, out)
    refused("other inputs;", settings(archives), archives[:1], out)
    refused("other languages;", settings(archives, languages=("de",)), archives, out)
    assert fingerprint(out) == undisturbed


def test_a_folder_of_something_else_is_refused(archives, tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    refused("holds other files", settings(archives), archives, tmp_path)
    refused("is a file", settings(archives), archives, tmp_path / "thesis.tex")


# The arithmetic -------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def pages(tmp_path) -> Callable[..., PagePool]:
    """A pool of two files, whose pages have these tokens and scores."""

    def make(tokens: list[int], scores: list[float], given: Sequence[int] = ()) -> PagePool:
        half = len(tokens) // 2
        for folder in ("pool", "scores", "flags"):
            (tmp_path / folder).mkdir()
        for key, rows in (("a", range(half)), ("b", range(half, len(tokens)))):
            ids = pa.array(rows, pa.uint64())
            columns = {"id": ids, "url": ["u"] * len(rows), "host": ["h"] * len(rows), "tokens": [tokens[row] for row in rows],
                       "frame": [0] * len(rows), "line": list(range(len(rows))), "formulas": [False] * len(rows),
                       "given": [row in given for row in rows]}  # fmt: skip
            pq.write_table(pa.table(columns), tmp_path / "pool" / f"{key}.parquet")
            pq.write_table(
                pa.table({"id": ids, "score": np.array([scores[row] for row in rows], np.float32)}), tmp_path / "scores" / f"{key}.parquet"
            )
            lots = pa.array([lot(f"{row:016x}", 0, "x") for row in rows], pa.uint64())
            pq.write_table(pa.table({"id": ids, "seed": [False] * len(rows), "lot": lots}), tmp_path / "flags" / f"{key}.parquet")
        return PagePool(tmp_path / "pool", tmp_path, ("a", "b"), len(tokens), sum(tokens), "")

    return make


def taken(pool: PagePool, settings: Settings) -> tuple[float, list[int]]:
    """The threshold, and the ids of the pages that are collected."""
    out = pool.folder.parent
    found = collect(pool, out / "scores", NO_SAMPLE, settings)
    (out / "pages").mkdir()
    options = {"pool": str(pool.folder), "flags": str(out / "flags"), "scores": str(out / "scores"), "before": "", "least": found.least,
               "cut": found.cut}  # fmt: skip
    for key in pool.keys:
        page_tasks.write_pages(FileWork(key, "", str(out / "pages"), "", options), lambda counts: None)
    return found.threshold, [row["id"] for row in table(out / "pages") if row["collected"]]


NO_SAMPLE = Sample(1, pa.table({"id": pa.array([], pa.uint64()), "good": pa.array([], pa.bool_()), "held": pa.array([], pa.bool_())}))


def test_a_budget_takes_the_best_pages_that_fit(pages):
    threshold, ids = taken(pages([10, 10, 10, 10], [0.2, 0.9, 0.5, 0.8]), Settings(budget=25))
    assert ids == [1, 3]
    assert threshold == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("settings", "expected"), [(Settings(budget=20), [0, 1]), (Settings(threshold=0.8), [0, 1, 3]), (Settings(budget=5), [0])]
)
def test_the_users_own_pages_are_collected_first_whatever_their_score(pages, settings, expected):
    assert taken(pages([10] * 4, [0.0, 0.9, 0.5, 0.8], given=[0]), settings)[1] == expected


def test_random_pages_do_not_depend_on_the_other_pages(pages):
    pool = pages([1] * 100, [0.5] * 100)
    flags = pool.folder.parent / "flags"

    def drawn(condition: str, count: int) -> set[int]:
        return set(_draw(pool, flags, condition, count)["id"].to_pylist())

    chosen = drawn("NOT seed", 10)
    assert len(chosen) == 10
    assert drawn(f"id <> {min(chosen)}", 9) <= chosen | drawn("NOT seed", 11)
    lowest = sorted(range(100), key=lambda page: lot(f"{page:016x}", 0, "x"))[:10]
    assert chosen == set(lowest)


def test_a_stage_is_charged_with_what_it_drops_and_no_other():
    docs = [Doc(str(n), "", "x" * 10, Origin("", n)) for n in range(10)]
    records: list[Record] = []
    stages = [
        ("a", drop_if(lambda doc: "a: few" if int(doc.id) < 3 else None)),
        ("b", drop_if(lambda doc: "b: odd" if int(doc.id) % 2 else None)),
    ]
    assert len(list(measured(iter(docs), stages, records))) == 10
    assert [(r.step, r.entered, r.kept, r.dropped, r.bytes_in, r.bytes_out) for r in records] == [
        ("a", 10, 7, {"a: few": 3}, 100, 70), ("b", 7, 3, {"b: odd": 4}, 70, 30),
    ]  # fmt: skip
