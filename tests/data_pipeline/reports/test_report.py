"""The report of a run, drawn from files as the loop writes them."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipeline.documents.corpus_shards import write_shards
from data_pipeline.documents.document import Doc, Origin, to_line
from data_pipeline.reports import report_plots
from data_pipeline.reports.run_report import write_report
from verifiers.input_error import InputError

HOSTILE = "<script>alert(1)</script>"
FUNNEL = [
    {"step": "extract", "unit": "pages", "in": 100, "out": 90, "dropped": {"extract: too slow": 7, "extract: empty": 3}, "seconds": 2.0,
     "processes": 2},
    {"step": "round-01", "unit": "pages", "in": 90, "out": 40, "dropped": {"round: not collected": 50}, "seconds": 8.0,
     "training_seconds": 3.0},
]  # fmt: skip


def make_run(out: Path, *, archive: str = "gone.warc.gz") -> Path:
    out.mkdir()
    (out / "funnel.json").write_text(json.dumps({"steps": FUNNEL}))
    (out / "config.json").write_text(json.dumps({"inputs": ["a.warc"], "settings": {"rounds": 1}}))
    folder = out / "round-01"
    folder.mkdir()
    figures = {"round": 1, "positives": 5, "negatives": 6, "threshold": 0.5, "collected": 40, "collected_tokens": 900, "overlap": 0.0,
               "domains": 1, "patterns_accepted": 2}  # fmt: skip
    (folder / "figures.json").write_text(json.dumps(figures))
    (folder / "domains.json").write_text(json.dumps({"domains": [
        {"host": f"{HOSTILE}.org", "pages": 50, "collected": 40, "mathematical": True},
        {"host": "a$_$.org", "pages": 50, "collected": 40, "mathematical": True}]}))  # fmt: skip
    calibration = [{"from": 0.9, "to": 1.0, "documents": 3, "mean_score": 0.95, "share_positive": 1.0},
                   {"from": 0.5, "to": 0.6, "documents": 0, "mean_score": 0.0, "share_positive": 0.0}]  # fmt: skip
    (folder / "training.json").write_text(json.dumps({"held_out_sources": {"calibration": calibration}}))
    (folder / "pages").mkdir()
    pq.write_table(pa.table({"score": [0.1, 0.9], "collected": [False, True]}), folder / "pages" / "a.parquet")
    docs = [
        Doc("0" * 16, "https://a.org/1", f"The square of the sum {HOSTILE} is $x^2$", Origin(archive, 0), formulas={"script": 3},
            scores={"math": 0.9}),
        Doc("1" * 16, "https://a.org/2", "Nothing but words here", Origin(archive, 9), dropped="quality: too short"),
    ]  # fmt: skip
    write_shards(docs, out / "corpus")
    (out / "rejected.jsonl").write_text(to_line(docs[1]))
    return out


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run, for tests that only read it."""
    return write_report(make_run(tmp_path_factory.mktemp("report") / "run"))


def test_the_report_holds_the_funnel_the_rounds_and_the_cost_of_a_billion_pages(drawn: Path) -> None:
    page = drawn.read_text()
    for said in ("extract: too slow 7, extract: empty 3", "round: not collected 50", "gone.warc.gz is not where it was"):
        assert said in page
    # 2 s on 2 processes and, without the training, 5 s on one, for 100 pages: 4e7 and 5e7 core-seconds for 1e9
    assert f"{round(4e7 / 3600):,}" in page
    assert f"{round(9e7 / 3600):,}" in page
    assert f"${9e7 / 3600 * 0.02:,.0f}".split(".")[0][:6] in page
    assert {path.name for path in (drawn.parent / "plots").iterdir()} == {
        "funnel.png", "families.png", "rounds.png", "scores.png", "domains.png", "calibration.png"
    }  # fmt: skip


def test_what_comes_from_pages_is_escaped(drawn: Path) -> None:
    page = drawn.read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_page_is_shown_as_its_archive_holds_it(tmp_path: Path) -> None:
    source = tmp_path / "page.html"
    source.write_text("<html><head><title>t</title></head><body><nav>menu</nav><p>The square of the sum <b>bold</b></p></body></html>")
    page = write_report(make_run(tmp_path / "run", archive=str(source))).read_text()
    assert "&lt;nav&gt;menu&lt;/nav&gt;" in page


def test_an_unfinished_run_is_drawn_as_far_as_it_went(tmp_path: Path) -> None:
    (tmp_path / "funnel.json").write_text(json.dumps({"steps": FUNNEL[:1]}))
    page = write_report(tmp_path).read_text()
    assert "too slow" in page
    assert "Rounds" not in page


def test_a_folder_without_a_finished_step_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no funnel\.json with a finished step"):
        write_report(tmp_path)
    (tmp_path / "funnel.json").write_text('{"steps": [')
    with pytest.raises(InputError, match=r"funnel\.json: damaged"):
        write_report(tmp_path)


def test_the_same_run_draws_the_same_bytes(drawn: Path) -> None:
    assert drawn.read_bytes() == write_report(drawn.parent).read_bytes()


@pytest.mark.parametrize("name", [r"$\frac{$", "a$b$c", "$", "\x00", "\ud800", "two\nlines", "^_{", None])
def test_plots_survive_names_that_are_no_formulas_and_nulls(name: str | None, tmp_path: Path) -> None:
    step = {"step": str(name), "unit": "pages", "in": 9, "out": 4, "dropped": {str(name): 5}}
    drawn = [
        report_plots.funnel([step], tmp_path / "funnel.png"),
        report_plots.families({str(name): 3, "script": 2}, tmp_path / "families.png"),
        report_plots.domains(
            [{"host": name, "pages": 5, "collected": 4}, {"host": "a.org", "pages": 5, "collected": 4}], tmp_path / "d.png"
        ),
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)
