"""The prefilter on every spelling of mathematics and its look-alikes, and addresses, well-formed and hostile."""

from pathlib import Path

import pytest

from benchmarks.parts import result_of, verdict
from data_pipeline.documents.addresses import UrlList, host, normalise_url
from data_pipeline.documents.document import Origin, Page
from data_pipeline.extraction.media_kind import kind_of
from data_pipeline.extraction.page_prefilter import Prefilter, has_mathematics, prefilter
from tests.clock import stopwatch
from verifiers.input_error import InputError

MATHEMATICS = [
    '<script src="https://cdn.example/MathJax.js?config=TeX"></script>',
    '<script src="https://cdn.example/npm/mathjax@3/es5/tex-mml-chtml.js">',
    '<link rel="stylesheet" href="katex.min.css">',
    '<span class="KATEX">x</span>',
    '<math xmlns="http://www.w3.org/1998/Math/MathML"><mi>x</mi></math>',
    "<p>so <math><mi>x</mi></math>",
    "<mml:math><mml:mi>x</mml:mi></mml:math>",
    "<m:math><m:mi>x</m:mi></m:math>",
    '<script type="math/tex">x</script>',
    '<script type="math/asciimath">x</script>',
    '<span class="math notranslate">x</span>',
    "<span class='math inline'>x</span>",
    "<div class=math>x</div>",
    '<div class="section math">x</div>',
    '<img class="math" src="a.png" alt="x">',
    '<img class="tex" alt="x^2" src="a.png">',
    '<img src="https://latex.codecogs.com/gif.latex?x">',
    '<img src="/cgi-bin/mimetex.cgi?x">',
    '<img src="/latex.php?latex=x">',
    '<img src="https://www.zhihu.com/equation?tex=x">',
    '<img src="https://s0.wp.com/latex.php?latex=x&bg=ffffff" class="latex">',
    '<img src="https://chart.apis.google.com/chart?cht=tx&chl=x">',
    '<annotation encoding="application/x-tex">x</annotation>',
    '<math alttext="x">',
    '<span class="mwe-math-element">x</span>',
    '<span class="ltx_Math">x</span>',
    '<mjx-container class="MathJax">x</mjx-container>',
    "<p>[tex]x[/tex]",
    "<p>[latex]x[/latex]",
    "<p>[itex]x[/itex]",
    "<p>[math]x[/math]",
    "<p>$latex x^2$",
    r"<p>\begin{equation} x \end{equation}",
    r"<p>\begin{align*} x \end{align*}",
    r"<p>\begin{eqnarray} x \end{eqnarray}",
    r"<p>the map \(f\) is",
    r"<p>\[ a = b \]",
    "<p>$$ a = b $$",
    "<p>so $x^2 + 1$ is",
    r"<p>so $\alpha$ is",
    r"<p>\frac{1}{2}",
    "<script src='ASCIIMathML.js'>",
    '<span class="AMath">`x`</span>',
]
NONE = [
    "<p>mathematics is a word, and so is Math; a mathematician's texts in context",
    "<script>var x = Math.floor(Math.random() * 10); var text = 'latex gloves and texture';</script>",
    "<script>var a = s.match(/^\\s*\\(([^)]+)\\)/), b = /\\[(.*?)\\]/g; $(function(){ $('.a').b = $('#c'); });</script>",
    "<p>It costs $5, or $10 and $15 for two; US$ 3 = C$ 4.",
    "<script>jQuery.$$ = 1; foo($$('a')); var $x = $y; `${a}_${b}`</script>",
    r"<p>C:\Users\new \network \xyz\temp_1",
    '<div class="text textbox context">a</div>',
    "text/template context=1 textarea",
]


@pytest.mark.parametrize("markup", MATHEMATICS)
def test_mathematics_is_seen_in_this_spelling(markup: str) -> None:
    assert has_mathematics(("<html><body>" + "filler " * 50 + markup).encode())


@pytest.mark.parametrize("markup", NONE)
def test_what_looks_like_it_is_not_mathematics(markup: str) -> None:
    assert not has_mathematics(("<html><body>" + markup + " filler" * 50).encode())


def test_mathematics_is_seen_in_utf_16() -> None:
    assert has_mathematics("<html><p><math><mi>x</mi></math>".encode("utf-16"))


HOSTILE = [
    b"\\(" * 500_000,
    b"$a" * 500_000,
    b"$$" * 500_000,
    b"\\[ a" * 250_000,
    b"math" * 250_000,
    b"tex" * 300_000,
    b"\\(" + b"a" * 1_000_000,
]
HOSTILE += [b"$" + b"x_" * 500_000, b"class=" * 150_000, b"\0" * 1_000_000, b"$$^" * 300_000]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_hostile_megabyte_takes_less_than_a_second(number: int) -> None:
    took = stopwatch()
    has_mathematics(HOSTILE[number])
    assert took() < 1.0


def page(body: bytes, media: str = "text/html", url: str = "http://a.example/b") -> Page:
    return Page(url, body, media, "", Origin("x", 0))


def test_types_are_told_by_bytes_where_the_header_lies() -> None:
    markup, prose = b"<!-- x -->\n<!DOCTYPE html><p>some text", b"nothing but prose here, " * 5
    accepted = [
        (markup, "text/html"),
        (markup, ""),
        (markup, "application/octet-stream"),
        (markup, "image/png"),
        (prose, "text/plain"),
        (prose, ""),
    ]
    accepted += [
        (b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">', "text/xml"),
        (markup.decode().encode("utf-16"), "text/html"),
    ]
    refused = [(b"%PDF-1.4 " + markup, "text/html"), (b"\x89PNG" + markup, "text/html"), (b"PK\x03\x04", ""), (prose, "application/json")]
    refused += [(b"<rss><channel>", "text/xml"), (bytes(500), "text/plain"), (prose, "application/pdf"), (b"\x00\x01" * 100, "")]
    assert [kind_of(page(*case)) is not None for case in accepted] == [True] * len(accepted)
    assert [kind_of(page(*case)) is not None for case in refused] == [False] * len(refused)


def test_each_reason_to_drop_a_page() -> None:
    text = b"<html><p>" + b"words " * 50
    assert prefilter(page(text), Prefilter()) is None
    assert prefilter(page(b"$x^2$"), Prefilter()) is None
    assert prefilter(page(b""), Prefilter()) == "prefilter: too small"
    assert prefilter(page(text), Prefilter(largest=100)) == "prefilter: too large"
    assert prefilter(page(text, "image/png"), Prefilter(smallest=1)) is None
    assert prefilter(page(b"{}" * 100, "application/json"), Prefilter()) == "prefilter: media type"
    assert prefilter(page(text), Prefilter(markup=has_mathematics)) == "prefilter: no mathematics"
    assert prefilter(page(text), Prefilter(block=UrlList(["a.example"]))) == "prefilter: blocked"
    assert prefilter(page(text), Prefilter(allow=UrlList(["b.example"]))) == "prefilter: not allowed"
    assert prefilter(page(text), Prefilter(allow=UrlList(["a.example"]), markup=True)) is None


def test_pages_with_known_formulas_pass(data_dir: Path) -> None:
    for name in (
        "llmwebkit_ccmath/asciimath.html",
        "llmwebkit_ccmath/img_codecogs_com.html",
        "llmwebkit_bench/math_mathhelpforum_2_0.html",
    ):
        assert has_mathematics((data_dir / "web" / "html" / "math" / name).read_bytes())


SAME = [
    ("http://www.Example.com:80/a/../b/./c/?utm_source=x&b=2&a=1#top", "https://example.com/b/c?a=1&b=2"),
    ("HTTP://EXAMPLE.COM", "http://example.com/"),
    ("http://user:secret@example.com/%7Ejoe/%e4%bd%a0", "http://example.com/~joe/你"),
    ("http://example.com/a;jsessionid=1A2B?PHPSESSID=9&fbclid=z&gclid=y", "http://example.com/a"),
    ("http://bücher.example/", "http://xn--bcher-kva.example/"),
    ("//example.com/a", "http://example.com/a"),
    ("  http://example.com/a b ", "http://example.com/a%20b"),
    ("http://example.com./a?", "http://example.com/a"),
]
OTHER = [
    ("http://example.com/A", "http://example.com/a"),
    ("http://example.com/a?id=1", "http://example.com/a?id=2"),
    ("http://example.com/a%2Fb", "http://example.com/a/b"),
    ("http://a.example.com/", "http://example.com/"),
    ("http://example.com:8080/", "http://example.com/"),
    ("http://example.com/#!a", "http://example.com/#!b"),
    ("http://example.com/?q=a%26b", "http://example.com/?q=a&b"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_spellings_of_one_page_are_one(one: str, other: str) -> None:
    assert normalise_url(one) == normalise_url(other)
    assert normalise_url(normalise_url(one)) == normalise_url(one)


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_two_pages_stay_two(one: str, other: str) -> None:
    assert normalise_url(one) != normalise_url(other)


def test_hosts() -> None:
    assert host("https://User@WWW.Example.com:8443/a") == "www.example.com"
    assert host("http://[::1]:80/") == "[::1]"
    assert host("mailto:a@b.example") == host("") == host("/a/b") == ""


def test_lists_cover_hosts_below_and_paths_by_segment(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("# remark\nexample.com\nhttps://www.other.example/math/\n\n")
    listed = UrlList.load(tmp_path / "list.txt")
    inside = ["http://example.com/", "https://a.b.example.com/x", "http://other.example/math", "https://other.example/math/1?x=2"]
    outside = [
        "http://notexample.com/",
        "http://example.com.evil.example/",
        "http://other.example/mathematics",
        "http://other.example/",
        "",
        "x",
    ]
    assert [url in listed for url in inside] == [True] * 4
    assert [url in listed for url in outside] == [False] * 6
    with pytest.raises(InputError, match="gone"):
        UrlList.load(tmp_path / "gone")


def test_hostile_addresses_are_quick_and_never_fail() -> None:
    hostile = [
        "http://" + "a" * 1_000_000,
        "http://[",
        "http://]",
        "http://[::1",
        "http://a]b:99999999999/",
        "http://xn--\udcff/",
        "http://" + "é" * 5000,
    ]
    hostile += [
        "http://a/" + "%" * 100_000,
        "http://a/" + "../" * 100_000,
        "http://a/?" + "&" * 100_000,
        "http://:@:@/",
        "\0",
        "javascript:alert(1)",
    ]
    hostile += [
        "http://a/\ud800",
        "http://" + "." * 5000,
        "http://xn--a" + "é" * 60 + "/",
        "data:text/html," + "x" * 10_000,
        "http://a/?" + "a=%ff&" * 10_000,
    ]
    listed = UrlList(["example.com", "example.com/a", *hostile])
    took = stopwatch()
    for url in hostile:
        key = normalise_url(url)
        assert len(key) <= 60_000
        host(url)
        assert isinstance(url in listed, bool)
    assert took() < 2.0


def test_a_benchmark_without_a_result_has_failed() -> None:
    assert result_of('table\nRESULT {"passed": false, "failed": ["speed"]}\nRESULT {"passed": true}\n', 0) == {"passed": True}
    assert verdict(result_of("Traceback", 1)) == "BELOW A BAR: exit code 1, no result"
    assert verdict({"passed": True}) == "all bars met"
