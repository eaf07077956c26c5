r"""A page's DOM as a flat list of text blocks: paragraphs, headings, list items, tables, code.

The tree is serialised once by lexbor, which gives well-formed HTML with only `&amp; &lt; &gt; &nbsp;` left as entities and every `<`
of an attribute escaped, and that string is read token by token: in Python this is faster than walking nodes. One pass, no recursion, a
bounded amount of work for a token. What is decided here is structure only; which blocks are the page's content is `main_text.py`'s
question and how they look is `block_markdown.py`'s. So nothing is dropped but what no reader sees (`unread_elements.py`): scripts, form
controls, hidden elements (those that hold mathematics stay: a click shows them), permalink signs, line numbers of listings, edit links.
Where nearly all of a page's prose is hidden, a script would show it, and the large hidden elements are read.

Inline markup becomes text: links and emphasis without their markers (they would break phrases), `sub`/`sup` as `_x`/`^{..}`, code as a
placeholder \ue002index\ue003 whose text is in `Blocks.codes` (so that dollar signs in code are never taken for formulas). Left out: images
(formula images were lifted before, other alternative texts are noise on most pages), except alternative texts of one to three characters.
"""

import re
from collections.abc import Sequence

from selectolax.lexbor import LexborHTMLParser

from data_pipeline.extraction.layout.block_reader import Handler, Reader
from data_pipeline.extraction.layout.code_listings import language_of, trimmed, unescape
from data_pipeline.extraction.layout.hidden_parts import holds_mathematics
from data_pipeline.extraction.layout.markup_cues import ARTICLE, BAD, BODY, MAIN, NAV, POST, THEOREM, TITLE_CLASS, zone_of
from data_pipeline.extraction.layout.page_tokens import LINE, serialised
from data_pipeline.extraction.layout.table_blocks import table_text
from data_pipeline.extraction.layout.text_blocks import Block, Blocks, Cell, OpenList, OpenTable
from data_pipeline.formulas.formula import Formula
from data_pipeline.formulas.placeholders import CODE_OPEN, OPEN, code_placeholder

_START = re.compile(r'(?:start|value)="\s*(-?[0-9]{1,9})')
_UNMARKED = frozenset(["div", "li", "td", "th", "dl", "dd", "ul", "ol", "table", "section"])
"""Elements that say nothing by their name."""
_LONG, _SHARE = 80, 0.15


def blocks_of(tree: LexborHTMLParser, found: Sequence[Formula] = ()) -> Blocks:
    """The blocks of a page whose formulas are placeholders already: the indices of those found."""
    html = serialised(tree)
    out = _Builder(html, found).out
    if (out.hidden >= _LONG or (out.hidden and not out.blocks)) and (seen := _prose(out)) < _SHARE * out.hidden:
        whole = _Builder(html, found, least=max(1, out.largest_hidden // 2)).out
        if seen < _SHARE * _prose(whole) or not out.blocks:
            return whole
    return out


def _prose(found: Blocks) -> int:
    """How much of a page is prose or holds formulas, and stands in no menu."""
    zones = found.boxes.zones
    return sum(
        len(block.text)
        for block in found.blocks
        if block.links < 0.4 * len(block.text)
        and ((len(block.text) >= _LONG and not zones[block.box] & (NAV | BAD)) or holds_mathematics(block.text))
    )


class _Builder(Reader):
    """What the elements of a page are to its blocks."""

    # ---- blocks

    def open(self, name: str, attrs: str, text: str) -> str:
        if self.buffer:
            self.flush()
        boxes, stack = self.out.boxes, self.stack
        parent, zones, own = stack[-1], boxes.zones, 0
        zone = zones[parent]
        if attrs or name not in _UNMARKED:
            own, label = zone_of(name, attrs)
            if own & (MAIN | ARTICLE):
                zone &= ~BAD
            if label:
                self.label = label
            if attrs and ("lang" in attrs or "highlight" in attrs or "src" in attrs):
                language = language_of(attrs)
                if language:
                    self.hint = (language, len(self.out.blocks))
        stack.append(len(zones))
        zones.append(zone | own)
        boxes.parents.append(parent)
        boxes.owns.append(own)
        return text

    def close(self, name: str, attrs: str, text: str) -> str:
        if self.buffer:
            self.flush()
        self.label = ""
        if len(self.stack) > 1:
            self.stack.pop()
        return text

    def paragraph(self, name: str, attrs: str, text: str) -> str:
        if self.buffer:
            self.flush()
        self.kind = "bold" if attrs and TITLE_CLASS.search(attrs) else "p"
        return text

    def lone(self, name: str, attrs: str, text: str) -> str:
        """A paragraph whose class matters: a box of its own, closed by the next paragraph's end."""
        if TITLE_CLASS.search(attrs):
            return self.paragraph(name, attrs, text)
        self.open(name, attrs, "")
        self.kind = "p"
        self.lone_box = self.stack[-1]
        return text

    def end_paragraph(self, name: str, attrs: str, text: str) -> str:
        if self.buffer:
            self.flush()
        self.kind = "p"
        if self.stack[-1] == self.lone_box:
            self.lone_box = -1
            self.stack.pop()
        return text

    def heading(self, name: str, attrs: str, text: str) -> str:
        if self.buffer:
            self.flush()
        theorem = self.out.boxes.owns[self.stack[-1]] & THEOREM
        self.kind = "bold" if theorem or (attrs and TITLE_CLASS.search(attrs)) else name
        return text

    # ---- lists and quotations

    def open_list(self, name: str, attrs: str, text: str) -> str:
        self.open(name, attrs, "")
        start = _START.search(attrs) if attrs else None
        self.lists.append(OpenList(name == "ol", int(start[1]) if start else 1))
        return text

    def close_list(self, name: str, attrs: str, text: str) -> str:
        self.close(name, attrs, "")
        if self.lists:
            self.lists.pop()
        self.marker = ""
        return text

    def item(self, name: str, attrs: str, text: str) -> str:
        self.open(name, attrs, "")
        if self.lists:
            current = self.lists[-1]
            value = _START.search(attrs) if attrs and current.ordered else None
            if value:
                current.number = int(value[1])
            self.marker = f"{current.number}." if current.ordered else "-"
            current.number += 1
        return text

    def end_item(self, name: str, attrs: str, text: str) -> str:
        self.close(name, attrs, "")
        self.marker = ""
        return text

    def term(self, name: str, attrs: str, text: str) -> str:
        if self.buffer:
            self.flush()
        self.kind = name
        return text

    def description(self, name: str, attrs: str, text: str) -> str:
        self.open(name, attrs, "")
        self.kind = "p"
        self.marker = ":"
        return text

    def quote(self, name: str, attrs: str, text: str) -> str:
        """A quotation; forum software that calls its posts so is not believed."""
        self.open(name, attrs, "")
        self.quoted.append(not self.out.boxes.owns[-1] & (POST | BODY))
        self.quotes += self.quoted[-1]
        return text

    def end_quote(self, name: str, attrs: str, text: str) -> str:
        self.close(name, attrs, "")
        if self.quoted:
            self.quotes -= self.quoted.pop()
        return text

    # ---- tables

    def table(self, name: str, attrs: str, text: str) -> str:
        self.open(name, attrs, "")
        if self.tables:
            self.tables[-1].nested = True
        self.tables.append(OpenTable(attrs, len(self.out.blocks), self.stack[-1]))
        return text

    def row(self, name: str, attrs: str, text: str) -> str:
        if self.buffer:
            self.flush()
        if self.tables:
            self.tables[-1].rows.append([])
        return text

    def cell(self, name: str, attrs: str, text: str) -> str:
        self.open(name, attrs, "")
        if self.tables:
            rows = self.tables[-1].rows or [[]]
            rows[-1].append(Cell(len(self.out.blocks), name == "th", attrs))
        return text

    def end_table(self, name: str, attrs: str, text: str) -> str:
        self.close(name, attrs, "")
        if not self.tables:
            return text
        table, blocks = self.tables.pop(), self.out.blocks
        cells = blocks[table.first :]
        if not cells or table.nested:
            return text
        rendered = table_text(table.attrs, table.rows, cells, table.first)
        if rendered is not None:
            del blocks[table.first :]
            for kind, line in rendered:
                blocks.append(Block(kind, line, 0, table.box, cells[0].marker, len(self.lists), self.quotes))
            blocks[-1].links = sum(cell.links for cell in cells)
        return text

    def pre(self, name: str, attrs: str, text: str) -> str:
        self.flush()
        self.code_attrs = ""
        inside, after = self.consume(name, text)
        if inside[:1] == CODE_OPEN and inside[1:-1].isdecimal() and int(inside[1:-1]) < len(self.languages):
            index = int(inside[1:-1])
            if self.out.codes[index]:
                self.add("code", inside, 0, self.languages[index] or self.hinted())
        else:
            self.listing(inside, attrs)
        return after

    def listing(self, inside: str, attrs: str) -> None:
        if OPEN in inside or CODE_OPEN in inside:
            self.buffer.append(inside.replace("\n", LINE))
            self.flush()
        elif inside.strip():
            self.out.codes.append(trimmed(inside))
            language = language_of(attrs) or language_of(self.code_attrs) or self.hinted()
            self.add("code", code_placeholder(len(self.out.codes) - 1), 0, language)

    def code(self, name: str, attrs: str, text: str) -> str:
        inside, after = self.consume(name, text)
        if self.anchors:
            self.links += len(inside)
        words = " ".join(inside.split())
        if not words or OPEN in words or CODE_OPEN in words:
            return words + after
        lines = inside.strip().count("\n") + (self.broken and not "".join(self.buffer).strip())
        if lines > 1 and not self.anchors:
            self.flush()
            self.listing(inside, attrs)
            return after
        self.out.codes.append(unescape(words))
        return code_placeholder(len(self.out.codes) - 1) + after


_BOXES = (
    "div section article main nav header footer aside form dl td th figure figcaption details summary center fieldset menu dialog "
    "hgroup address search"
)
_DROPPED = "noscript template select button textarea svg object audio video canvas datalist option map head title iframe rp rt"
_PARAGRAPHS = "p caption legend"
_HANDLERS: dict[str, Handler] = {
    "p ": _Builder.lone, "time": _Builder.dated,
    **dict.fromkeys(_BOXES.split(), _Builder.open),
    **{"/" + tag: _Builder.close for tag in _BOXES.split()},
    **dict.fromkeys(_PARAGRAPHS.split(), _Builder.paragraph),
    **{"/" + tag: _Builder.end_paragraph for tag in [*_PARAGRAPHS.split(), "h1", "h2", "h3", "h4", "h5", "h6", "dt", "tr", "hr"]},
    **{f"h{level}": _Builder.heading for level in range(1, 7)},
    **dict.fromkeys(("ul", "ol"), _Builder.open_list),
    **dict.fromkeys(("/ul", "/ol"), _Builder.close_list),
    **dict.fromkeys(_DROPPED.split(), _Builder.drop),
    **dict.fromkeys(("code", "tt", "kbd", "samp"), _Builder.code),
    **dict.fromkeys(("sub", "sup"), _Builder.script),
    "li": _Builder.item, "/li": _Builder.end_item, "dt": _Builder.term, "dd": _Builder.description, "/dd": _Builder.end_item,
    "blockquote": _Builder.quote, "/blockquote": _Builder.end_quote, "hr": _Builder.paragraph,
    "table": _Builder.table, "/table": _Builder.end_table,
    "tr": _Builder.row, "td": _Builder.cell, "th": _Builder.cell, "a": _Builder.anchor, "/a": _Builder.end_anchor, "br": _Builder.line,
    "img": _Builder.image, "q": _Builder.quotation, "/q": _Builder.quotation, "pre": _Builder.pre, "listing": _Builder.pre,
}  # fmt: skip
Reader.handlers = _HANDLERS
