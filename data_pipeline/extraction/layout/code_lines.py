r"""Listings that a page builds of lines, without `pre`: a `div` for each line (LaTeXML, SyntaxHighlighter, CodeMirror), rows, list items.

What says so is the class of an element around them and, inside, elements whose class says that each is a line; list items and rows count
as lines only where the class is that of a known highlighter. Line numbers are left out. An element with much text beside its lines is no
listing, whatever its name: a "highlight" may be an article.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from data_pipeline.extraction.layout.unread_elements import Kind, kind_of_junk
from data_pipeline.formulas.placeholders import CODE_PLACEHOLDER, OPEN

_LISTING = re.compile(r"(?<![a-z])(?:code|listing|lst|highlight|syntax|source|program|snippet|crayon|hljs|editor|verbatim)", re.IGNORECASE)
_HIGHLIGHTER = re.compile(
    r"(?:^|\s)(?:syntaxhighlighter|dp-highlighter|dp-[a-z]{1,8}|linenums|hljs-ln|crayon-table|crayon-pre|rouge-table|highlighttable|"
    r"js-file-line-container|blob-wrapper|enlighter)(?:\s|$)",
    re.IGNORECASE,
)
_LINE = re.compile(
    r"(?:^|\s)(?:[a-z]{1,12}[-_]){0,2}(?:code|listing)?-?line(?:-code|-content|-wrapper)?(?:\s|$)|(?:^|\s)(?:loc|blob-code|hljs-ln-code)(?:\s|$)",
    re.IGNORECASE,
)
_CLASS = re.compile(r'class="([^"]*)"')
_VOID = frozenset(["br", "img", "wbr", "hr", "input", "col", "area", "source"])
_BESIDE = 0.2


@lru_cache(20_000)
def is_listing(classes: str) -> bool:
    """Whether the value of a class attribute may be that of a listing."""
    return _LISTING.search(classes) is not None or _HIGHLIGHTER.search(classes) is not None


@lru_cache(20_000)
def _is_line(name: str, classes: str, known: bool) -> bool:
    if known and name in ("li", "tr"):
        return True
    return _LINE.search(classes) is not None


def lines_of(classes: str, pieces: Sequence[str], start: int, end: int, codes: Sequence[str]) -> str | None:
    """The text of a listing whose tags and texts are `pieces[start:end]`, one line a line; None for what is no listing of lines.

    `codes` are the texts of placeholders in it.
    """
    known = _HIGHLIGHTER.search(classes) is not None
    lines: list[str] = []
    beside: list[str] = [pieces[start - 1]]
    depth, line, mute = 0, 0, 0
    for at in range(start, end, 2):
        tag, text = pieces[at], pieces[at + 1]
        name, _, attrs = tag.partition(" ")
        if name in _VOID:
            if name == "br" and line:
                lines[-1] += "\n"
        elif name[0] == "/":
            if depth == mute:
                mute = 0
            if depth == line:
                line = 0
            depth -= 1
        else:
            depth += 1
            found = _CLASS.search(attrs)
            own = found[1] if found else ""
            if name == "pre" and not _is_line(name, own, known):
                return None
            if not mute and own and kind_of_junk(own) is Kind.NUMBERS:
                mute = depth
            if not mute and _is_line(name, own, known):
                if not line or lines[-1].strip():
                    lines.append("")
                line = depth
        if mute:
            continue
        if line:
            lines[-1] += text
        else:
            beside.append(text)
    code = "\n".join(line.strip("\r\n").rstrip() for line in lines)
    if not code.strip() or OPEN in code or len("".join(beside).strip()) > _BESIDE * len(code):
        return None
    return CODE_PLACEHOLDER.sub(lambda found: codes[int(found[1])], code)
