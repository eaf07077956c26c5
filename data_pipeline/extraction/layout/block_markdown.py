r"""Blocks as Markdown: what a model reads, so phrases stay whole and only structure is marked.

Headings are `#`, items `-` or their number, quotations `>`, listings fenced with their language, tables pipe tables, the description of a
term `: `. The heading of a theorem, proof, definition, exercise or note is a line of its own in bold, `**Theorem 1.2 (Euler).**`, whatever
element the page used for it; where a page leaves the word to its style sheet, `**Proof.**` is written. No links' addresses, no emphasis
marks, no horizontal rules, no escapes: a `*` or `_` of the text stays as it is (escapes would break formulas that are not found yet).

Code is left out of the text until `with_codes`, so that whoever looks for formulas between dollar signs does not see it.
"""

import re
from collections.abc import Iterable, Sequence

from data_pipeline.extraction.layout.code_listings import unescape
from data_pipeline.extraction.layout.text_blocks import Block
from data_pipeline.formulas.placeholders import CODE_OPEN, CODE_PLACEHOLDER

_DEEP = 6
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufffe\uffff]")
"""Soft hyphens, zero-width and direction marks, controls. Joiners (U+200C, U+200D) stay: they are letters' business in many scripts."""
_LIST_KINDS = frozenset(["p", "dt"])


def render(blocks: Iterable[Block], codes: Sequence[str]) -> tuple[str, list[str]]:
    """The Markdown of blocks with placeholders for formulas and code, and what the code placeholders stand for."""
    spelled = [_inline_code(code) for code in codes]
    out: list[str] = []
    item_before, kind_before = False, ""
    for block in blocks:
        text = block.text
        if block.kind == "code":
            index = int(text[1:-1])
            spelled[index] = _indented(_fenced(codes[index], block.language), block, first=False)
        item = bool(block.marker) and block.kind in _LIST_KINDS and len(text) < 1000
        if out:
            tight = item and (item_before if block.marker != ":" else kind_before == "dt")
            out.append("\n" if tight or kind_before == block.kind == "dt" else "\n\n")
        out.append(_indented(_marked(block), block, first=True))
        item_before, kind_before = item, block.kind
    return _UNSEEN.sub("", unescape("".join(out))), spelled


def with_codes(text: str, codes: Sequence[str]) -> str:
    """The text with its code put in."""
    if CODE_OPEN not in text:
        return text
    return CODE_PLACEHOLDER.sub(lambda match: codes[int(match[1])] if len(match[1]) < 9 and int(match[1]) < len(codes) else "", text)


def _marked(block: Block) -> str:
    kind, text = block.kind, block.text
    if kind[0] == "h" and len(kind) == 2:
        return "#" * int(kind[1]) + " " + text.replace("\n", " ")
    if kind == "bold":
        return f"**{text.rstrip()}**" if "\n" not in text else text
    return text


def _indented(text: str, block: Block, *, first: bool) -> str:
    """Lines with the marker and indentation of a list item and the marks of a quotation. `first`: the first line takes the marker."""
    if not block.indent and not block.quote and not block.marker:
        return text
    level = min(block.indent, _DEEP)
    start = rest = "  " * level
    if block.marker:
        start = "  " * max(0, level - (block.marker != ":")) + block.marker + " "
    quote = "> " * min(block.quote, 3)
    start, rest = start + quote, rest + quote
    lines = text.split("\n")
    return (start if first else "") + lines[0] + "".join("\n" + (rest + line).rstrip() for line in lines[1:])


def _fenced(code: str, language: str) -> str:
    longest = max(map(len, re.findall("`{3,}", code)), default=2) if "```" in code else 2
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{code}\n{fence}"


def _inline_code(code: str) -> str:
    if "`" not in code:
        return f"`{code}`"
    ticks = "`" * (max(map(len, re.findall("`+", code)), default=0) + 1)
    pad = " " if code.startswith("`") or code.endswith("`") else ""
    return f"{ticks}{pad}{code}{pad}{ticks}"
