"""What the page is told of runs: also of old ones, damaged ones and one that is still going on."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.viewer import make_run
from recipes.commands.cli import main
from recipes.looking.explained import rewards_of
from recipes.viewer import watch
from recipes.viewer.run_data import Reader
from rl.runs.run_folder import RunFolder, append_line
from rollout.store import RolloutStore
from tests.recipes.viewer.test_packs import unpack
from tests.rl.rollouts import make_groups

DEADLINE = 120.0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("viewer") / "run", steps=3, groups=2, completions=3, tokens=(2, 9))


def read(*paths: Path, **settings: Any) -> tuple[Any, dict[str, np.ndarray], dict[str, str]]:
    """(facts, arrays, the other packs) of the page of these runs."""
    packs: dict[str, str] = {}
    reader = Reader(paths, packs.__setitem__, **settings)
    reader.read()
    facts, arrays = unpack(reader.index())
    return facts, arrays, packs


def test_the_index_says_of_every_rollout_what_its_row_says(run: Path) -> None:
    import pyarrow.parquet as pq

    facts, arrays, packs = read(run)
    rows = [row for step in (1, 2, 3) for row in pq.read_table(RunFolder(run).rollouts.path(step)).to_pylist()]
    own = arrays["set"] == facts["sets"].index("train")
    assert own.sum() == len(rows)
    for name in ("step", "group"):
        np.testing.assert_array_equal(arrays[name][own], [row[name] for row in rows])
    np.testing.assert_array_equal(arrays["length"][own], [len(row["tokens"]) for row in rows])
    np.testing.assert_allclose(arrays["score"][own], [np.nan if row["score"] is None else row["score"] for row in rows], rtol=1e-6)
    assert [facts["statuses"][status] for status in arrays["status"][own]] == [row["status"] for row in rows]
    assert [facts["problems"]["id"][problem] for problem in arrays["problem"][own]] == [row["problem_id"] for row in rows]
    part = facts["parts"].index("format")
    np.testing.assert_allclose(arrays[f"part-{part}"][own], [dict(row["parts"]).get("format", np.nan) for row in rows], rtol=1e-6)
    for place in (0, 7, len(rows) - 1):
        n = np.flatnonzero(own)[place]
        name = "-".join(str(arrays[key][n]) for key in ("run", "set", "file", "slice"))
        said, numbers = unpack(packs[name])
        at = arrays["row"][n]
        assert said["response"][at] == rows[place]["response"]
        begin = int(numbers["length"][:at].sum())
        own_tokens = slice(begin, begin + len(rows[place]["tokens"]))
        assert numbers["tokens"][own_tokens].tolist() == rows[place]["tokens"]
        np.testing.assert_allclose(numbers["logp"][own_tokens], rows[place]["logprobs"], rtol=1e-3, atol=1e-4)
    assert facts["colours"].keys() == {"logp", "advantage", "trains", "entropy", "log_ratio", "value"}


def test_a_run_of_an_earlier_reckon_opens_without_the_colours_it_lacks(tmp_path: Path) -> None:
    old = RunFolder.create(tmp_path / "old", {"options": {"steps": 1}})
    old.rollouts.write(1, make_groups([[1.0, 0.0], [None, 1.0]]), cursor=2, replaced=make_groups([[1.0, 1.0]], seed=1))
    old.close()
    facts, arrays, _ = read(old.path)
    assert facts["colours"].keys() == {"logp"}
    assert facts["runs"][0]["words"] is None
    assert arrays["group"].tolist() == [0, 0, 1, 1, -1, -1]
    old.tokens.write(1, [len(c.tokens) for g in make_groups([[1.0, 0.0], [None, 1.0]]) for c in g.completions], {
        "entropy": np.ones(sum(len(c.tokens) for g in make_groups([[1.0, 0.0], [None, 1.0]]) for c in g.completions), np.float32)
    })  # fmt: skip
    _, _, packs = read(old.path)
    _, numbers = unpack(packs["0-0-1-0"])
    replaced = int(numbers["length"][4:].sum())
    assert np.isnan(numbers["entropy"][-replaced:]).all(), "what was replaced was in no update"
    assert (numbers["entropy"][:-replaced] == 1).all()


def test_a_damaged_file_is_named_and_the_others_are_shown(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_run(tmp_path / "run", steps=2, groups=1, completions=2, tokens=(2, 3))
    RunFolder(path).rollouts.path(1).write_bytes(b"PAR1 no more")
    RunFolder(path).tokens.path(2).write_bytes(b"nor this")
    facts, arrays, packs = read(path)
    assert "step-000001.parquet cannot be read" in capsys.readouterr().err
    own = arrays["set"] == facts["sets"].index("train")
    assert set(arrays["step"][own].tolist()) == {2}
    assert f"0-{facts['sets'].index('train')}-1-0" not in packs


def test_what_is_read_again_is_only_what_is_new(run: Path, tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", steps=2, groups=1, completions=2, tokens=(2, 3))
    packs: list[str] = []
    reader = Reader([path], lambda name, text: packs.append(name))
    assert reader.read()
    seen = len(packs)
    assert not reader.read()
    assert len(packs) == seen
    RolloutStore(path / "rollouts").write(3, make_groups([[1.0, 0.0]]), cursor=3)
    assert reader.read()
    assert [name.split("-")[2] for name in packs[seen:] if not name.startswith("words")] == ["3"]


def test_verdicts_are_explained_where_that_is_asked_for(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", steps=1, groups=1, completions=2, tokens=(2, 3))
    assert main(["view", str(path), "--explain", "1", "--out", str(tmp_path / "out"), "--steps", "1"]) == 0
    texts = [file.read_text() for file in (tmp_path / "out" / "data").glob("0-*.js")]
    facts = [unpack(text.split('"')[3])[0] for text in texts]
    lines = [line for each in facts for explained in each["explained"] if explained for line in explained]
    assert any(line.startswith("gold text: ") for line in lines)
    assert sum(1 for each in facts for explained in each["explained"] if explained) == 1


def test_the_rewards_of_a_run_are_those_of_its_options(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"options": {"reward": ["math_answer", "format=0.1"]}}))
    assert rewards_of(tmp_path) == ["math_answer", "format=0.1"]
    (tmp_path / "config.json").write_text("{")
    assert rewards_of(tmp_path) == ()


def test_a_run_is_watched_until_it_ends(tmp_path: Path) -> None:
    """Beside a run that this test plays."""
    path = make_run(tmp_path / "run", steps=2, groups=1, completions=2, tokens=(2, 3))
    run = RunFolder(path)
    run.lock()
    run.write_manifest(status="running")
    ended: list[int] = []
    watched = watch.Config((path,), every=0.05, patience=DEADLINE)
    watching = threading.Thread(target=lambda: ended.append(watch.run(watched)), daemon=True)
    watching.start()
    live = path / "view" / "live.js"
    assert _said(live, "step 2 of 2, running") == 1
    run.rollouts.write(3, make_groups([[1.0, 0.0]]), cursor=3)
    append_line(run.metrics_path, {"step": 3, "reward": 0.5})
    assert _said(live, "step 3 of 2, running") == 2
    assert list((path / "view" / "data").glob("0-*-3-0.js"))
    run.write_manifest(status="done")
    run.close()
    watching.join(DEADLINE)
    assert ended == [0]
    assert "done" in live.read_text()


def _said(live: Path, words: str) -> int:
    """The version of the page once it says this."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if live.exists() and words in (text := live.read_text()):
            return int(text.split("(")[1].split(",")[0])
        time.sleep(0.05)
    raise AssertionError(f"{live} does not say {words!r}")


def test_a_watch_that_sees_nothing_ends_with_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunFolder.create(tmp_path / "run", {"options": {"steps": 5}})  # locked by this process: running
    assert main(["watch", str(run.path), "--every", "0.01", "--patience", "0.05"]) == 1
    assert "nothing new for 0.05 s" in capsys.readouterr().err
    run.close()


def test_what_lies_where_the_page_would_is_not_lost(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named, plain = tmp_path / "notes.html", tmp_path / "file"
    (named / "within").mkdir(parents=True)
    plain.write_text("mine")
    for out in (named, plain, plain / "page", plain / "page.html"):
        assert main(["view", str(run), "--out", str(out)]) == 2
        assert str(out) in capsys.readouterr().err
    assert (named / "within").is_dir()
    assert plain.read_text() == "mine"


def test_a_page_is_made_anew_behind_a_link_and_after_a_kill(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place, link = tmp_path / "place", tmp_path / "link"
    place.mkdir()
    link.symlink_to(place)
    assert main(["view", str(run), "--out", str(link)]) == 0
    (place / "index.html").unlink()  # as one that was killed before its end leaves it
    (place / "data" / ".tmp-1-0-index.js").write_text("half")
    assert main(["view", str(run), "--out", str(link), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"page": str(link / "index.html")}
    assert (place / "index.html").is_file()
    assert not (place / "data" / ".tmp-1-0-index.js").exists()


def test_the_name_of_a_run_may_end_like_datas_and_be_no_text(run: Path, tmp_path: Path) -> None:
    for name in ("run.json", "no-\udcff-utf-8"):
        (tmp_path / name).symlink_to(run)
        assert main(["view", str(tmp_path / name), "--out", str(tmp_path / "page")]) == 0


def test_a_run_is_looked_at_again_within_a_day(run: Path, tmp_path: Path) -> None:
    assert main(["watch", str(run), "--every", "inf", "--out", str(tmp_path / "page")]) == 2


def test_of_data_at_least_a_row_is_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data.jsonl").write_text("{}\n")
    assert main(["view", str(tmp_path / "data.jsonl"), "--model", "m", "--limit", "-1"]) == 2
    assert "--limit -1" in capsys.readouterr().err


def test_two_runs_of_one_name_are_told_apart(run: Path, tmp_path: Path) -> None:
    other = tmp_path / run.name
    other.symlink_to(run)
    assert [each["name"] for each in read(run, other)[0]["runs"]] == [str(run), str(other)]
