r"""A page as it came becomes a document: its main text as Markdown with every formula as TeX between `$` or `$$`.

The order is what matters. Formulas are taken out of the tree first and leave placeholders (`lifted_elements.py`), so that nothing later can
cut, escape or drop them; then the page becomes blocks (`block_builder.py`), the blocks that are content are chosen (`main_text.py`, which
sees where formulas are) and written as Markdown (`block_markdown.py`); in that text formulas between delimiters are found
(`configured_delimiters.py`), with code still out of it; then formulas and code are put in their places.

A page is dropped only where there is nothing to read: "extract: not html", "extract: empty", "extract: too large". Time and memory are
bounded by the size of the page; the deadline for one page is `extract_archives.py`'s. Plain text (a WET record) has no markup: only
formulas between delimiters are found in it, and its text stays as it is.
"""

import re
from collections import Counter

from selectolax.lexbor import LexborHTMLParser

from data_pipeline.documents.document import Doc, Page, doc_id
from data_pipeline.extraction.bounded_markup import bounded
from data_pipeline.extraction.charset_decoding import decode
from data_pipeline.extraction.layout.block_builder import blocks_of
from data_pipeline.extraction.layout.block_markdown import render, with_codes
from data_pipeline.extraction.layout.main_text import main_text
from data_pipeline.extraction.media_kind import kind_of
from data_pipeline.formulas.formula import Formula
from data_pipeline.formulas.lifted_elements import delimit, families, lift, read_config, spell
from data_pipeline.formulas.placeholders import RESERVED

MAX_CHARACTERS = 50_000_000

_RESERVED = "".join(RESERVED)
_ABOUT_RESERVED = RESERVED[0].encode()[:2]
"""How the reserved characters, and hardly any others, begin in UTF-8."""
_WRITTEN = re.compile(r"&#(?:x0{0,8}e00[0-3]|0{0,8}5734[4-7])(?![0-9a-f]);?", re.IGNORECASE)


def extract(page: Page) -> Doc:
    """The document of a page; with a reason in `dropped`, and no text, where the page holds none."""
    identity = doc_id(page.url, page.origin)
    kind = kind_of(page)
    reason = "extract: empty" if not page.body.strip() else "extract: not html" if kind is None else None
    raw, source = ("", b"") if reason else _without_reserved(decode(page))
    reason = reason or ("extract: too large" if len(raw) > MAX_CHARACTERS else None)
    if reason:
        return Doc(identity, page.url, "", page.origin, dropped=reason)
    if kind == "plain":
        text, title, found = _plain_document(raw)
    else:
        text, title, found = _html_document(raw, source)
    if not text:
        return Doc(identity, page.url, "", page.origin, title=title, dropped="extract: empty")
    return Doc(identity, page.url, text, page.origin, title=title, formulas=found)


def _html_document(raw: str, source: bytes) -> tuple[str, str, Counter[str]]:
    """Text, title and formulas by family of a page with markup, given as text and in UTF-8."""
    parsed = bounded(raw)
    source = source if parsed is raw else parsed.encode("utf-8", "replace")
    tree = LexborHTMLParser(source)
    title = _title(tree)
    searched = source.decode("latin-1")  # a character a byte: what is looked for in the source is ASCII, and found there twice as fast
    delimiters = read_config(searched)
    found = lift(tree, searched)
    blocks = blocks_of(tree, found)
    text, codes = render(main_text(blocks), blocks.codes)
    text = delimit(text, found, delimiters)
    counts = families(text, found)
    return with_codes(spell(text, found), codes).strip(), title, counts


def _plain_document(raw: str) -> tuple[str, str, Counter[str]]:
    found: list[Formula] = []
    text = delimit(raw.replace("\r\n", "\n"), found, read_config(""))
    return spell(text, found).strip(), "", families(text, found)


def _without_reserved(raw: str) -> tuple[str, bytes]:
    """The page as text and in UTF-8, without the characters that mark placeholders: they are nobody's but ours.

    Fonts of icons use them too, often as `&#xe001;`.
    """
    source = raw.encode("utf-8", "replace")
    if b"&#" not in source and _ABOUT_RESERVED not in source:
        return raw, source
    cleaned = _WRITTEN.sub("", raw)
    if _ABOUT_RESERVED in source:
        cleaned = cleaned.translate(dict.fromkeys(map(ord, _RESERVED)))
    return (raw, source) if cleaned == raw else (cleaned, cleaned.encode("utf-8", "replace"))


def _title(tree: LexborHTMLParser) -> str:
    """What `<title>` says, else the first heading. Taken before formulas are lifted: a title is shown, not read."""
    for selector in ("head title", "h1"):
        node = tree.css_first(selector)
        text = " ".join(node.text().split()) if node is not None else ""
        if text:
            return text[:500]
    return ""
