"""Texts in many encodings, with headers that tell the truth and headers that lie."""

import pytest

from data_pipeline.documents.document import Origin, Page
from data_pipeline.extraction.charset_decoding import decode
from tests.clock import stopwatch


def html(body: bytes, charset: str = "") -> str:
    return decode(Page("http://a.example", body, "text/html", charset, Origin("x", 0)))


def test_charsets_come_from_mark_header_meta_or_detection() -> None:
    text = "<p>Größe – naïve café"
    russian = "<p>Теорема Пифагора: сумма квадратов катетов равна квадрату гипотенузы."
    assert html(text.encode("utf-8-sig"), "iso-8859-1").endswith(text)
    assert html(russian.encode("cp1251"), "windows-1251") == russian
    assert html(b'<meta charset="koi8-r">' + russian.encode("koi8-r")).endswith(russian)
    assert html(b'<meta http-equiv=Content-Type content="text/html; charset=windows-1251">' + russian.encode("cp1251")).endswith(russian)
    assert html((russian * 3).encode("cp1251"), "utf-8") == russian * 3  # the header lies
    assert html(text.encode(), "iso-8859-1") == text  # and lies
    assert html("“quoted” – €".encode("cp1252"), "iso-8859-1") == "“quoted” – €"  # what browsers take it for
    assert html(text.encode("utf-16-le")) == html(text.encode("utf-16-be")) == text
    assert html("数学の定理".encode("shift_jis") * 20, "Shift_JIS") == "数学の定理" * 20
    assert html("数学的定理".encode("gb18030") * 20, "gb2312") == "数学的定理" * 20
    assert html(text.encode()[:-1], "utf-8").startswith("<p>Größe")


def test_hostile_bytes_are_text_without_nul_and_surrogates() -> None:
    assert html(b"a\0b\0c" + b"x" * 100) == "abc" + "x" * 100
    assert "\ud800" not in html(b"\xed\xa0\x80 abc", "utf-8")
    for charset in ("none", "\0", "x" * 1000, "hex", "rot13", "utf-7", "idna", "unicode_escape", "punycode", "base64"):
        assert "abc" in html(b"abc <p> text", charset)
    for body in (
        b"",
        b"\xff",
        b"\xff\xfe",
        b"\xfe\xff\xd8",
        bytes(range(256)) * 100,
        b"<meta " * 10_000,
        b"<meta charset=" + b" " * 100_000,
    ):
        assert "\0" not in html(body)


TEXTS = {
    "euc-kr": "피타고라스의 정리는 직각삼각형에서 빗변의 제곱이 두 변의 제곱의 합과 같다는 정리이다.",
    "gbk": "勾股定理说明了直角三角形的斜边的平方等于两条直角边的平方之和。",
    "big5": "畢氏定理說明了直角三角形的斜邊的平方等於兩條直角邊的平方之和。",
    "shift_jis": "直角三角形の斜辺の二乗は、他の二辺の二乗の和に等しいという定理である。",
    "euc-jp": "直角三角形の斜辺の二乗は、他の二辺の二乗の和に等しいという定理である。",
    "iso-2022-jp": "直角三角形の斜辺の二乗は、他の二辺の二乗の和に等しいという定理である。",
    "windows-1251": "Теорема Пифагора: сумма квадратов катетов равна квадрату гипотенузы.",
    "koi8-r": "Теорема Пифагора: сумма квадратов катетов равна квадрату гипотенузы.",
    "koi8-u": "Теорема Піфагора: у прямокутному трикутнику площа квадрата дорівнює сумі площ",
    "windows-1252": "Le théorème établit une égalité entre carrés: «élevé» à côté, où l’été a été.",
    "iso-8859-7": "Το πυθαγόρειο θεώρημα είναι σχέση της ευκλείδειας γεωμετρίας",
    "utf-8": "Größe, 定理, теорема, 정리",
}


@pytest.mark.parametrize("charset", TEXTS)
@pytest.mark.parametrize(
    "claimed", ["", "utf-8", "iso-8859-1", "windows-1251", "koi8-r", "euc-kr", "gbk", "big5", "shift_jis", "euc-jp", "own"]
)
def test_a_charset_that_the_bytes_refute_never_wins(charset: str, claimed: str) -> None:
    text = f"<html><title>x</title><p>{TEXTS[charset]}</p>\n"
    assert html(text.encode(charset), charset if claimed == "own" else claimed) == text


@pytest.mark.parametrize(("charset", "text"), [("euc-kr", "수학 문제와 풀이"), ("gb18030", "数学的定理"), ("shift_jis", "数学の定理")])
def test_a_few_undeclared_letters_are_read(charset: str, text: str) -> None:
    page = f"<html><head><script>var x = 1;</script></head><body><div class='a b'>{'<p>plain</p>' * 50}{text}</div>"
    assert html(page.encode(charset)) == page


def test_a_claim_that_reads_as_well_as_the_best_holds() -> None:
    polish = "<p>W trójkącie prostokątnym suma kwadratów długości"
    assert html(polish.encode("iso-8859-2"), "iso-8859-2") == polish
    assert html("<p>şöyle ğ ile bağlı".encode("windows-1254"), "windows-1254") == "<p>şöyle ğ ile bağlı"
    assert html("<p>naïve".encode("windows-1252"), "windows-1252") == "<p>naïve"


def test_hostile_bytes_are_judged_in_bounded_time() -> None:
    took = stopwatch()
    for body in (b"\x80a" * 2_000_000, b"\xc0" * 4_000_000, b"a" * 3_000_000 + b"\xe9", b"\x1b$B" + b"\x80" * 1_000_000):
        html(body, "gbk")
    assert took() < 4
