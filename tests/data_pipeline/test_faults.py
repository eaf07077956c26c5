"""Pages that extraction once got wrong, each made small from what real pages do (`faults/pages.jsonl` of the shared data)."""

import json
from pathlib import Path

import pytest

from data_pipeline.documents.document import Origin, Page
from data_pipeline.extraction.page_prefilter import Prefilter, prefilter
from data_pipeline.extraction.page_to_document import extract


def read(html: str) -> str:
    page = Page("http://a.example/1", html.encode(), "text/html", "", Origin("faults", 0))
    assert prefilter(page, Prefilter()) is None
    doc = extract(page)
    return doc.text or str(doc.dropped)


def test_pages_that_failed_are_read_as_expected(data_dir: Path) -> None:
    file = data_dir / "faults" / "pages.jsonl"
    if not file.is_file():
        pytest.skip("no pages that failed (faults/pages.jsonl of the shared data)")
    rows = [json.loads(line) for line in file.read_text("utf8").splitlines()]
    assert len(rows) >= 25
    wrong = []
    for number, row in enumerate(rows):
        text, expected = read(row["html"]), row["expected"]
        if row["kind"] == "forum-author-box-left":
            text, expected = (" ".join(part.replace("> ", "").split()) for part in (text, expected))
        if text != expected:
            wrong.append((number, row["kind"], text))
    assert wrong == []


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('<body class="et_pb_gutter"><p>{}</p>', "{}"),
        ('<article><h1>Q. 4</h1><p>Solve for x.</p><p>2x + 3 = 11</p><p>{}</p></article>', "# Q. 4\n\nSolve for x.\n\n2x + 3 = 11\n\n{}"),
        ('<body style="visibility:hidden"><p>{}</p>', "{}"),
    ],
)  # fmt: skip
def test_the_worst_of_them_here(body: str, text: str) -> None:
    prose = "A right triangle has one right angle, and the two shorter sides that meet there are called its legs by everyone."
    assert read(f"<!DOCTYPE html><html><head><title>x</title></head>{body.format(prose)}</html>") == text.format(prose)
