"""Whole pages through `extract`: what comes out as a document, and what is dropped with which reason."""

import json
from pathlib import Path

import pytest

from data_pipeline.documents.document import Doc, Origin, Page
from data_pipeline.extraction.page_to_document import MAX_CHARACTERS, extract
from tests.clock import stopwatch

PROSE = "A group is a set with an associative operation that has a neutral element and inverses, and nothing else is asked of it."


def document(body: str | bytes, kind: str = "text/html", charset: str = "utf-8") -> Doc:
    content = body.encode() if isinstance(body, str) else body
    return extract(Page("http://a.org/x", content, kind, charset, Origin("a.warc.gz", 7)))


def test_a_page_becomes_its_text_with_formulas_title_and_counts() -> None:
    html = f"""<html><head><title>Groups &amp; rings</title></head><body><nav><a href=1>Home</a></nav><h1>Groups</h1><p>{PROSE}</p>
    <p>The inverse of <script type="math/tex">x</script> is <script type="math/tex">x^{{-1}}</script>, and
    <script type="math/tex; mode=display">x x^{{-1}} = e</script><p>so \\(y < z\\) in <code>$z</code>.</p></body></html>"""
    doc = document(html)
    assert doc.dropped is None
    assert doc.title == "Groups & rings"
    assert doc.text.startswith(f"# Groups\n\n{PROSE}\n\nThe inverse of $x$ is $x^{{-1}}$, and")
    assert "$$x x^{-1} = e$$" in doc.text
    assert "$y < z$" in doc.text
    assert "`$z`" in doc.text
    assert sum(doc.formulas.values()) == 4
    assert "Home" not in doc.text


def test_private_characters_of_a_page_cannot_pose_as_placeholders() -> None:
    doc = document(f"<p>{PROSE} \ue0000\ue001 \ue0020\ue003 <code>\ue0005\ue001</code></p>")
    assert doc.dropped is None
    assert not doc.formulas
    assert not any(mark in doc.text for mark in "\ue000\ue001\ue002\ue003")


def test_private_characters_written_as_entities_forge_no_formula() -> None:
    doc = document(f"<p>{PROSE} <script type='math/tex'>a^b</script> &#xE000;0&#xe001; &#57344;0&#x0e001 &#xe0001;</p>")
    assert doc.text.count("$a^b$") == 1
    assert sum(doc.formulas.values()) == 1
    assert "\U000e0001" in doc.text


def test_only_formulas_of_the_text_that_is_kept_are_counted() -> None:
    html = f"<p>{PROSE}<p>{PROSE} <script type='math/tex'>a</script><nav><a href=1>why <script type='math/tex'>b+c</script></a></nav>"
    doc = document(html)
    assert sum(doc.formulas.values()) == 1
    assert "b+c" not in doc.text


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (b"", "text/html", "extract: empty"),
        (b"  \n\t", "text/html", "extract: empty"),
        (b"<html><head><script>x()</script></head><body></body></html>", "text/html", "extract: empty"),
        (b'{"a": "<p>"}', "application/json", "extract: not html"),
        (b'{"a": 1}', "text/html", "extract: not html"),
        (b"%PDF-1.4 ...", "text/html", "extract: not html"),
        (b"\x89PNG\r\n\x1a\n....", "", "extract: not html"),
        (b"just words", "", "extract: not html"),
        (b"<rss><item><title>x</title></item></rss>", "application/rss+xml", "extract: not html"),
        (b"<p>x", "image/png", "extract: not html"),
    ],
)
def test_what_holds_nothing_to_read_is_dropped_with_its_reason(body: bytes, kind: str, reason: str) -> None:
    doc = document(body, kind)
    assert (doc.dropped, doc.text) == (reason, "")
    assert doc.id
    assert doc.url == "http://a.org/x"


def test_a_page_too_large_to_parse_is_dropped_and_not_parsed() -> None:
    took = stopwatch()
    assert document(b"<p>" + b"a" * (MAX_CHARACTERS + 1)).dropped == "extract: too large"
    assert took() < 4


def test_plain_text_keeps_its_lines_and_its_formulas() -> None:
    doc = document("Theorem. If \\(a < b\\) then\n    $$a^2 < b^2$$\n<none of this is a tag>", "text/plain")
    assert "$a < b$" in doc.text
    assert "$$a^2 < b^2$$" in doc.text
    assert "<none of this is a tag>" in doc.text
    assert sum(doc.formulas.values()) == 2


def test_the_charset_of_the_page_is_used() -> None:
    body = f"<meta charset=iso-8859-2><p>{PROSE} Erdős".encode("iso-8859-2")
    assert "Erdős" in document(body, charset="").text


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 100_000 + "x \\(a\\)",
        "<math>" + "<mrow>" * 50_000 + "<mi>x",
        "<p>" + "$" * 200_000,
        "<p>" + "\\(" * 100_000,
        "\0" * 100_000 + "<p>x",
    ],
    ids=lambda html: html[:12],
)
def test_hostile_pages_finish(html: str) -> None:
    took = stopwatch()
    document(html)
    assert took() < 4


def test_stress_pages_finish_in_two_seconds(data_dir: Path) -> None:
    web = data_dir / "web"
    rows = [json.loads(line) for line in (web / "MANIFEST.jsonl").read_text().splitlines()]
    stress = [row for row in rows if row["label"] == "stress"]
    assert stress
    for row in stress:
        took = stopwatch()
        document((web / row["path"]).read_bytes())
        assert took() < 2, row["path"]


def test_a_formula_shown_and_hidden_right_after_comes_in_once_and_another_one_stays() -> None:
    page = (
        "<p>So <span><math><mi>a</mi><mo>+</mo><mi>b</mi></math></span><span style='display:none'>"
        "<math><mi>a</mi><mo>+</mo><mi>{}</mi></math></span> is positive.</p>"
    )
    assert document(page.format("b")).text == "So $a + b$ is positive."
    assert document(page.format("c")).text == "So $a + b$ $a + c$ is positive."
