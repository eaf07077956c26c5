"""The text of a page's bytes, whatever it claims to be encoded in.

In the order of the WHATWG's encoding standard: byte order mark, HTTP header, META tag in the first 2 kB, detection (uchardet through
resiliparse). A claim holds only as long as the bytes allow it: a page that says UTF-8 and is not, is detected; one that says anything
else and is valid UTF-8 with characters outside ASCII, is UTF-8, since no text in another encoding is that by chance; and of any other
claim, of the guess and of the encodings that are common on the web, that one wins in which the page's words read like text
(`charset_evidence.py`), the claim where it reads about as well as the best. Labels mean what browsers mean by them ("iso-8859-1" is
windows-1252; KOI8-R is read as KOI8-U, which has letters where nobody draws boxes any more). What cannot be decoded becomes U+FFFD; NUL
and surrogates do not occur in the result.
"""

import codecs
import re
from functools import lru_cache

from data_pipeline.documents.document import Page
from data_pipeline.extraction.charset_evidence import CANDIDATES, sample, score

_HEAD = 2048
_META = re.compile(rb"<meta\b[^>]{0,300}?\bcharset\s{0,5}=\s{0,5}[\"']?\s{0,5}([\w.:-]{2,40})", re.IGNORECASE)
_XML = re.compile(rb"\s{0,100}<\?xml\b[^>]{0,200}?\bencoding\s{0,5}=\s{0,5}[\"']([\w.:-]{2,40})", re.IGNORECASE)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_PYTHON = {"x-mac-cyrillic": "mac-cyrillic", "macintosh": "mac-roman", "iso-8859-8-i": "iso-8859-8",
           "windows-874": "cp874", "iso8859-11": "cp874", "koi8-r": "koi8-u", "gbk": "gb18030",
           "gb2312": "gb18030", "shift_jis": "cp932", "euc-kr": "cp949", "big5": "big5hkscs", "x-user-defined": "windows-1252"}  # fmt: skip
_ENOUGH = 1 << 16
_ESCAPES = re.compile(rb"\x1b\$[@B]")
"""What ISO-2022-JP, which has no byte beyond ASCII, puts before its characters."""
_CLAIMED, _DETECTED, _LEAST, _FEW = 0.2, 0.1, 0.0, 6


def decode(page: Page) -> str:
    """The text, never failing."""
    body = page.body
    for mark, name in _MARKS:
        if body.startswith(mark):
            return _clean(body[len(mark) :].decode(name, "replace"))
    utf16 = utf16_without_mark(body)
    if utf16:
        return _clean(body.decode(utf16, "replace"))
    claimed = _python_name(page.charset) or _python_name(_declared(body))
    shifted = b"\x1b" in body and _ESCAPES.search(body) is not None
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        if claimed in (None, "utf-8") and (_is_cut(body, error) or _mostly_utf8(body)):
            return _clean(body.decode("utf-8", "replace"))
    else:
        if not shifted and (claimed in (None, "utf-8") or _is_single_byte(claimed) or _is_utf8_by_no_chance(text)):
            return text.replace("\0", "").removeprefix("\ufeff")  # the decoder saw to surrogates
    return _clean(body.decode("iso2022_jp" if shifted else _read_best(body, claimed), "replace"))


def _read_best(body: bytes, claimed: str | None) -> str:
    """The encoding in which the page's words read like text: the claimed one, unless another reads much better."""
    words = sample(body)
    if not words:
        return claimed or "windows-1252"
    detected = _detected(body)
    favour = {claimed: _CLAIMED} if claimed and claimed != "utf-8" else {}
    favour.setdefault(detected, _DETECTED)
    scores = {codec: score(words, codec) + favour.get(codec, 0.0) for codec in dict.fromkeys([*favour, *CANDIDATES])}
    best = max(scores, key=lambda codec: scores[codec])
    return best if scores[best] > _LEAST or not claimed or claimed == "utf-8" else claimed


def _is_utf8_by_no_chance(text: str) -> bool:
    """Whether valid UTF-8 is that for good: a few letters in an encoding of two bytes a character may look like it."""
    beyond = "".join(_BEYOND_ASCII.findall(text[: 4 * _ENOUGH]))
    return len(beyond) > _FEW or any(character > "\u07ff" for character in beyond)


def _declared(body: bytes) -> str:
    head = body[:_HEAD]
    found = _META.search(head) or _XML.match(head)
    name = found[1].decode("latin-1").lower() if found else ""
    return "utf-8" if name.startswith(("utf-16", "utf-32", "utf16", "ucs")) else name  # it was read as ASCII, so it is not that


@lru_cache(maxsize=1000)
def _python_name(label: str) -> str | None:
    """Python's codec for a label as browsers understand it; None for none."""
    label = label.strip().lower()
    if not label or not label.isascii():
        return None
    from resiliparse.parse.encoding import map_encoding_to_html5

    name = (map_encoding_to_html5(label, fallback_utf8=False) or "").lower()
    if not name or name.startswith(("utf-16", "replacement")):  # UTF-16 is seen in the bytes or not there
        return None
    try:
        return codecs.lookup(_PYTHON.get(name, name)).name
    except LookupError:
        return None


def _detected(body: bytes) -> str:
    from resiliparse.parse.encoding import detect_encoding

    return _python_name(detect_encoding(body, max_len=_ENOUGH, from_html_meta=False) or "") or "windows-1252"


def _is_single_byte(name: str) -> bool:
    return name.startswith(("cp125", "iso8859", "cp874", "koi8", "mac-", "ascii", "latin"))


def _mostly_utf8(body: bytes) -> bool:
    """Whether broken bytes are rare against those that are UTF-8 beyond ASCII: a damaged page, not another encoding."""
    text = body[: 4 * _ENOUGH].decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    right = sum(map(len, _BEYOND_ASCII.findall(text))) - wrong
    return right >= 4 * wrong


_BEYOND_ASCII = re.compile("[^\x00-\x7f]+")


def _is_cut(body: bytes, error: UnicodeDecodeError) -> bool:
    """Whether only the last character is incomplete."""
    return error.end == len(body) and error.start > len(body) - 4


def utf16_without_mark(body: bytes) -> str | None:
    """UTF-16 shows in markup: every second byte of it is NUL."""
    head = body[: _HEAD - _HEAD % 2]
    if head.count(0) * 4 < len(head) or len(head) < 8:
        return None
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) < 4 * (min(even, odd) + 1):
        return None
    return "utf-16-be" if even > odd else "utf-16-le"


def _clean(text: str) -> str:
    return _SURROGATE.sub("\ufffd", text.replace("\0", "")).removeprefix("\ufeff")
