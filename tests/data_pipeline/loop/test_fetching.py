"""The loop with an index of the web: pages that its inputs do not hold are fetched between rounds, and join the pool."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow.parquet as pq
import pytest

from benchmarks.mining.hidden_sites import MadePage, made_web, write_crawl
from data_pipeline.loop import fetched_pages, mining_round, spread_work
from data_pipeline.loop.mining_run import mine
from data_pipeline.loop.run_settings import Settings
from tests.data_pipeline import stand_ins
from verifiers.input_error import InputError

SITES = 12


@pytest.fixture(autouse=True, scope="module")
def _quick_classifier():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mining_round, "train", stand_ins.train)
        patch.setattr(spread_work, "TASK", "tests.data_pipeline.loop.quick_tasks:page_task")
        yield


@pytest.fixture(scope="module")
def web(tmp_path_factory) -> tuple[list[MadePage], list[str], dict[str, Any]]:
    """All pages; the given archives; the settings of a run with the index."""
    pages, folder = made_web(SITES), tmp_path_factory.mktemp("web")
    given, index = write_crawl(pages, folder)
    fetching = {"fetch_index": tuple(index), "fetch_base": str(folder), "fetch_pages": 500, "fetch_hosts": SITES}
    common = {"seed_domains": (urlsplit(pages[0].url).netloc,), "problems": False, "quality": False, "stop_overlap": 1.0, "rounds": 3}
    return pages, given, {**common, **fetching}


@pytest.fixture(scope="module")
def whole(web, tmp_path_factory) -> Path:
    """The folder of a run with the index."""
    out = tmp_path_factory.mktemp("runs") / "out"
    mine(Settings(**web[2]), web[1], out)
    return out


def pages_of(folder: Path) -> list[dict[str, Any]]:
    return [row for path in sorted((folder / "pages").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_hidden_sites_are_found_and_every_round_keeps_its_own_pool(web, whole):
    pages = web[0]
    hidden = {page.url for page in pages if page.mathematical and not page.given}
    last = pages_of(whole / "round-03")
    assert len(hidden & {row["url"] for row in last if row["collected"]}) >= 0.9 * len(hidden)
    assert hidden.isdisjoint(row["url"] for row in pages_of(whole / "round-01"))
    assert max(Counter(row["url"] for row in last).values()) == 1
    steps = {row["step"]: row for row in json.loads((whole / "funnel.json").read_text())["steps"]}
    for row in steps.values():
        assert row["in"] == row["out"] + sum(row["dropped"].values()), row
    assert steps["round-01-pool"]["out"] == steps["round-02"]["in"]
    assert steps["round-03"]["in"] == len(last)
    assert steps["round-01-fetch"]["out"] > 0
    assert list(steps).index("round-01-fetch") < list(steps).index("round-01-pool") < list(steps).index("round-02")


def test_a_run_stopped_behind_a_fetch_ends_in_the_same_pages(web, whole, tmp_path, monkeypatch):
    _, given, values = web
    with monkeypatch.context() as patch:
        patch.setattr(fetched_pages, "extracted_files", _stop)
        with pytest.raises(KeyboardInterrupt):
            mine(Settings(**values), given, tmp_path / "stopped")
    moved = (tmp_path / "stopped").rename(tmp_path / "moved")  # where a run lies says nothing about it
    mine(Settings(**values), given, moved)
    assert pages_of(moved / "round-03") == pages_of(whole / "round-03")


def test_a_finished_run_is_read_again_where_it_has_been_moved(web, whole, tmp_path):
    _, given, values = web
    moved = Path(shutil.copytree(whole, tmp_path / "moved"))
    before = {path.relative_to(whole) for path in whole.rglob("*")}
    assert mine(Settings(**values), given, moved).collected == mine(Settings(**values), given, whole).collected
    assert {path.relative_to(moved) for path in moved.rglob("*")} == before


def _stop(*_, **__):
    raise KeyboardInterrupt


def test_fetching_no_more_than_the_budget(web, tmp_path):
    _, given, values = web
    mine(Settings(**{**values, "rounds": 2, "fetch_pages": 7}), given, tmp_path / "out")
    steps = {row["step"]: row for row in json.loads((tmp_path / "out" / "funnel.json").read_text())["steps"]}
    assert steps["round-01-fetch"]["in"] == 7


def test_an_index_that_is_not_there_is_one_line(web, tmp_path):
    _, given, values = web
    with pytest.raises(InputError, match=r"nowhere\.parquet") as error:
        mine(Settings(**{**values, "fetch_index": (str(tmp_path / "nowhere.parquet"),)}), given, tmp_path / "out")
    assert "\n" not in str(error.value)
