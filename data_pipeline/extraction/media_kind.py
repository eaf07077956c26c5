r"""Is a page HTML, plain text, or neither? One decision, which the prefilter and the extractor share.

What the bytes begin with decides; the media type only says how much they have to prove. Signatures of other formats (PDF, images, archives,
fonts, JSON) refuse a page whatever its header says. A page that its header calls HTML is HTML unless it looks like JSON; one without a
useful type (`application/octet-stream`, `binary/octet-stream`, none at all) has to begin with an element of HTML; one that its header
calls something else (a picture, a PDF, XML) has to begin with what only a document of HTML begins with. Before its first element may stand
white space, a byte order mark, an XML declaration, processing instructions and comments. Feeds and drawings (RSS, Atom, SVG) are none.
"""

import re
from typing import Literal

from data_pipeline.documents.document import Page
from data_pipeline.extraction.charset_decoding import utf16_without_mark

Kind = Literal["html", "plain"]

_HEAD = 4096
_TYPES = frozenset(
    ("text/html", "application/xhtml+xml", "application/html", "text/x-html", "text/xhtml", "application/vnd.wap.xhtml+xml",
     "application/x-html", "text/x-server-parsed-html")
)  # fmt: skip
_UNTOLD = frozenset(
    ("", "application/octet-stream", "binary/octet-stream", "unknown/unknown", "application/unknown", "application/x-unknown",
     "application/x-unknown-content-type", "application/binary", "application/force-download", "application/download", "content/unknown",
     "none/none", "httpd/unix-directory", "application/x-httpd-php", "application/x-php")
)  # fmt: skip
_BINARY = re.compile(
    rb"\s{0,64}(?:%PDF-|\x89PNG|GIF8[79]a|\xff\xd8\xff|PK\x03\x04|\x1f\x8b\x08|BM.{4}\x00\x00|RIFF.{4}[A-Z]|\x7fELF|OggS\x00|ID3[\x02-\x04]|"
    rb"\x00\x00\x00.ftyp|%!PS|Rar!\x1a|7z\xbc\xaf|\xd0\xcf\x11\xe0|wOF[F2]|\x00\x01\x00\x00|MZ\x90|\{\\rtf)",
    re.DOTALL,
)
_JSON = re.compile(rb"\s{0,64}(?:\{\s{0,64}[\"}]|\[\s{0,64}[\[{\"])")
_PROLOGUE = (  # its pieces are atomic: nothing to go back to
    rb"(?:\xef\xbb\xbf)?(?>\s{1,1000}|\xef\xbb\xbf|<\?.{0,2000}?>|<!--.{0,3000}?-->|"
    rb"<!doctype\s{1,20}(?!html)[^>]{0,500}>){0,12}"
)
_DOCUMENT = re.compile(_PROLOGUE + rb"<(?:!doctype\s{1,20}html|(?:[a-z]{1,8}:)?html|head|body|title|meta)\b", re.IGNORECASE | re.DOTALL)
_ELEMENT = re.compile(
    _PROLOGUE + rb"<(?:!doctype\s{1,20}html|html|head|body|title|meta|base|link|style|script|noscript|div|table|h[1-6]|p|article|main|"
    rb"section|header|nav|form|span|a|b|i|em|strong|br|center|font|ul|ol|dl|pre|img)\b",
    re.IGNORECASE | re.DOTALL,
)
_OTHER = re.compile(_PROLOGUE + rb"<(?:svg|rss|feed|rdf|urlset|sitemapindex|opml|wml|math)\b", re.IGNORECASE | re.DOTALL)
"""What feeds, drawings and other XML that is no page begin with."""
_MARKUP = re.compile(rb"<(?:!doctype\s{1,9}html|html|head|body|div|p|table|title|meta|article|span|h1|a)\b", re.IGNORECASE)
_LEAST_PROSE = 32
"""Bytes of text, of which nothing says what they are, that are believed to be text."""


def kind_of(page: Page) -> Kind | None:
    """What to read a page as; None for what is no text, or a text of another kind."""
    head = page.body[:_HEAD]
    if _BINARY.match(head):
        return None
    zeros = head.count(0)
    if zeros:
        if zeros * 10 >= len(head) and not (head.startswith((b"\xff\xfe", b"\xfe\xff")) or utf16_without_mark(head)):
            return None
        head = head.replace(b"\0", b"").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
    media = page.content_type.split(";", 1)[0].strip().lower()
    if media in _TYPES:
        return None if _JSON.match(head) and not _MARKUP.search(head[:2048]) else "html"
    if media == "text/plain":
        return "html" if _ELEMENT.match(head) else "plain"
    if media in _UNTOLD:
        if _ELEMENT.match(head):
            return "html"
        if _JSON.match(head) or _OTHER.match(head):
            return None
        if _MARKUP.search(head):
            return "html"
        return "plain" if not media and len(head.strip()) >= _LEAST_PROSE and _is_printable(head) else None
    proof = _ELEMENT if media.startswith("text/") and media != "text/xml" else _DOCUMENT
    return "html" if proof.match(head) else None


def _is_printable(head: bytes) -> bool:
    return sum(byte < 9 or 13 < byte < 32 for byte in head) * 50 < len(head)
