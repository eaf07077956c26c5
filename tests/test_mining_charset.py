"""Texts in many encodings, with headers that tell the truth and headers that lie."""

from data_pipeline.charset import decode
from data_pipeline.doc import Origin, Page


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
