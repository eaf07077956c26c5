"""What a page is read as: one decision for prefilter and extractor, and the media type that a record's own header names."""

from collections import Counter
from pathlib import Path

import pytest

from data_pipeline.archives.archive_pages import read_pages
from data_pipeline.documents.document import Origin, Page
from data_pipeline.extraction.media_kind import kind_of
from data_pipeline.extraction.page_prefilter import Prefilter, prefilter
from data_pipeline.extraction.page_to_document import extract

HTML = b"<!DOCTYPE html><html><head><title>x</title></head><body><p>So \\(a^2\\) is what we wanted to see here.</p></body></html>"
XHTML = (
    b'<?xml version="1.0"?>\n<?xml-stylesheet href="a.css"?>\n<!-- made by hand -->\n<html xmlns="http://www.w3.org/1999/xhtml">'
    + HTML[15:]
)
TYPES = (
    "", "text/html", "application/xhtml+xml", "text/plain", "text/xml", "application/xml", "application/octet-stream",
    "binary/octet-stream",
    "application/pdf", "image/png", "application/json", "text/css", "x/y", "application/rss+xml", "unknown/unknown", "TEXT/HTML; charset=x",
)  # fmt: skip
BODIES = (
    HTML, XHTML, b"\xef\xbb\xbf \n" + HTML, HTML.decode().encode("utf-16"), b"<p>only a piece", b"prose and nothing else, " * 9,
    b"%PDF-1.4 " + HTML,
    b"\x89PNG" + HTML, b'{"a": "<p>"}', b'<?xml version="1.0"?><rss><channel><title>t</title>', b"<svg><title>x</title></svg>", bytes(500),
    b"ID3 trees are <b>decision</b> trees", b"BM25 is how a page is ranked by a machine that searches",
)  # fmt: skip


def page(body: bytes, media: str) -> Page:
    return Page("http://a.example/b", body, media, "", Origin("x", 0))


@pytest.mark.parametrize("media", TYPES)
@pytest.mark.parametrize("number", range(len(BODIES)))
def test_prefilter_and_extractor_take_one_decision_about_html(media: str, number: int) -> None:
    found = page(BODIES[number], media)
    refused = kind_of(found) is None
    assert (prefilter(found, Prefilter()) == "prefilter: media type") == refused
    assert (extract(found).dropped == "extract: not html") == refused


@pytest.mark.parametrize("media", TYPES)
@pytest.mark.parametrize("body", [HTML, XHTML, b"\xef\xbb\xbf \n" + HTML, HTML.decode().encode("utf-16")])
def test_a_document_of_html_is_read_whatever_its_header_says(media: str, body: bytes) -> None:
    assert "$a^2$" in extract(page(body, media)).text


@pytest.mark.parametrize("media", ["", "text/html", "application/xml", "binary/octet-stream", "image/svg+xml", "application/pdf"])
@pytest.mark.parametrize("body", [b"%PDF-1.4 " + HTML, b"\x89PNG" + HTML, b"GIF89a" + HTML, b'[{"a": 1}]', bytes(500)])
def test_other_formats_are_refused_whatever_their_header_says(media: str, body: bytes) -> None:
    assert kind_of(page(body, media)) is None


@pytest.mark.parametrize("media", ["application/xml", "text/xml", "application/octet-stream", "application/rss+xml"])
@pytest.mark.parametrize("body", [b"<rss><title>t", b'<?xml version="1.0"?><feed><title>t', b"<svg><title>x", b"<!-- c --><urlset><p>x"])
def test_feeds_and_drawings_are_no_pages(media: str, body: bytes) -> None:
    assert kind_of(page(body, media)) is None


@pytest.mark.parametrize(
    ("said", "identified", "expected"),
    [
        ("", "text/html", "text/html"),
        ("application/octet-stream", "application/xhtml+xml", "application/xhtml+xml"),
        ("application/pdf", "text/html", "text/html"),
        ("text/html", "application/pdf", "application/pdf"),
        ("text/html", "text/plain", "text/html"),
        ("text/html", "application/octet-stream", "text/html"),
        ("text/html", "", "text/html"),
        ("", "text/plain", "text/plain"),
        ("image/gif", "no type", "image/gif"),
    ],
)
@pytest.mark.parametrize("kind", ["response", "resource"])
def test_the_payload_type_of_the_records_own_header_is_read(tmp_path: Path, kind: str, said: str, identified: str, expected: str) -> None:
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://a.example/1\r\n"
    head += f"WARC-Identified-Payload-Type: {identified}\r\n" * bool(identified)
    served = f"Content-Type: {said}\r\n" * bool(said)
    content = f"HTTP/1.1 200 OK\r\n{served}\r\n".encode() + HTML if kind == "response" else HTML
    head += "Content-Type: application/http\r\n" if kind == "response" else served
    file = tmp_path / "one.warc"
    file.write_bytes(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content + b"\r\n\r\n")
    outcomes: Counter[str] = Counter()
    (found,) = read_pages(str(file), outcomes=outcomes)
    assert (found.content_type, found.body) == (expected, HTML)
