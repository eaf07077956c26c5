r"""A page's DOM as a flat list of text blocks: paragraphs, headings, list items, tables, code.

The tree is serialised once by lexbor, which gives well-formed HTML with only `&amp; &lt; &gt; &nbsp;` left as entities and every `<`
of an attribute escaped, and that string is read token by token: in Python this is faster than walking nodes. One pass, no recursion, a
bounded amount of work for a token. What is decided here is structure only; which blocks are the page's content is `main_text.py`'s
question and how they look is `markdown.py`'s. So nothing is dropped but what no reader sees: scripts, form controls, hidden elements
(those that hold mathematics stay: a click shows them), permalink signs, line numbers of listings, edit links. Hidden elements with more
text than the rest are shown.

Inline markup becomes text: links and emphasis without their markers (they would break phrases), `sub`/`sup` as `_x`/`^{..}`, code as a
placeholder \ue002index\ue003 whose text is in `Blocks.codes` (so that dollar signs in code are never taken for formulas). Left out: images
(formula images were lifted before, other alternative texts are noise on most pages), except alternative texts of one to three characters.
"""

import re
from collections.abc import Callable, Sequence

from selectolax.lexbor import LexborHTMLParser

from data_pipeline.block_types import Block, Blocks, OpenList, OpenTable
from data_pipeline.cues import ARTICLE, BAD, BODY, HIDDEN, MAIN, POST, SPOILER, THEOREM, TITLE_CLASS, is_junk, zone_of
from data_pipeline.hidden import holds_mathematics, repeats
from data_pipeline.listings import language_of, trimmed, unescape, without_code
from data_pipeline.serialised import LINE, serialised, tokens
from data_pipeline.tables import Cell, table_text
from data_pipeline.tex_source import Formula

_FORMULA = re.compile("\ue000[0-9]+\ue001")
_ORDINAL = frozenset(["st", "nd", "rd", "th", "er", "re", "e", "o", "a", "ème", "eme", "tm", "®", "™", "©"])
_REFERENCE = re.compile(r"\[[^\]]{0,20}\]")
_START = re.compile(r'(?:start|value)="\s*(-?[0-9]{1,9})')
_ALT = re.compile(r'alt="([^"]{1,3})"')
_PARAGRAPH = re.compile(f"{LINE} ?{LINE}[ {LINE}]*")
_EDGE = " " + LINE
_HIDDEN, _JUNK = 1, 2
_MOST_SHOWN, _NEAR = 300, 1000
_REPEATED, _MOST_KNOWN = 300, 20_000
"""The length of a tag that is worth remembering, and how many are."""
_VOIDS = "area base br col embed hr img input link meta source track wbr param basefont bgsound frame keygen"
_VOID = frozenset(_VOIDS.split())
_UNMARKED = frozenset(["div", "li", "td", "th", "dl", "dd", "ul", "ol", "table", "section"])
"""Elements that say nothing by their name."""
_LINES = frozenset(["br", "/div", "/p", "/li", "/tr", "/dt", "/dd"])


def blocks_of(tree: LexborHTMLParser, found: Sequence[Formula] = ()) -> Blocks:
    """The blocks of a page whose formulas are placeholders already: the indices of those found."""
    html = serialised(tree)
    out = _Builder(html, found, hide=True).out
    if out.hidden > 400 and out.hidden > sum(len(block.text) for block in out.blocks):
        out = _Builder(html, found, hide=False).out
    return out


class _Builder:
    """The state of one pass: every token goes to the handler of its tag, which returns the text that is to follow."""

    def __init__(self, html: str, found: Sequence[Formula], *, hide: bool) -> None:
        self.found = found
        self.hide = hide
        self.out = Blocks()
        self.languages: list[str] = []
        self.tokens = tokens(without_code(html, self.out.codes, self.languages))
        self.stack = [0]
        self.buffer: list[str] = []
        self.links = 0
        self.anchors = 0
        self.lists: list[OpenList] = []
        self.quotes = 0
        self.quoted: list[bool] = []
        self.tables: list[OpenTable] = []
        self.kind = "p"
        self.marker = ""
        self.label = ""
        self.shown = 0
        self.scripts: list[int] = []
        self.lone_box = -1
        self.hint = ("", 0)
        self.code_attrs = ""
        self.known = _KNOWN[hide]
        if len(self.known) > _MOST_KNOWN:
            self.known.clear()
        self.run()

    def run(self) -> None:
        self.read()
        self.flush()

    def read(self) -> None:
        buffer, find, learn = self.buffer, self.known.get, self.learn
        append = buffer.append
        for tag, text in self.tokens:
            handler, name, attrs, _ = find(tag) or learn(tag)
            if handler is not None:
                text = handler(self, name, attrs, text)
            if text and (buffer or not text.isspace()):
                append(text)
                if self.anchors:
                    self.links += len(text)

    def learn(self, tag: str) -> "_Tag":
        """What to do at a tag. Remembered, for this page and those after it: templates repeat theirs."""
        if tag[:2] == "a " and 'class="' not in tag and not ("hid" in tag or "none" in tag):
            return _ANCHOR  # most of what is not remembered
        name, _, attrs = tag.partition(" ")
        handler = _HANDLERS.get(name)
        if not attrs:
            found = self.known[tag] = handler, name, "", 0
            return found
        attrs = " " + attrs
        if name in _VOID:
            return handler, name, attrs, 0
        unread = 0
        if self.hide and ("hid" in attrs or "none" in attrs) and HIDDEN.search(attrs):
            unread, handler = _HIDDEN, _Builder.hidden
        elif (start := attrs.find('class="')) >= 0 and is_junk(attrs[start + 7 : attrs.find('"', start + 7)]):
            unread, handler = _JUNK, _Builder.junk
        elif name == "a":
            return _ANCHOR
        found = handler, name, attrs, unread
        if name != "a" and len(tag) < _REPEATED:
            self.known[tag] = found
        return found

    def hidden(self, name: str, attrs: str, text: str) -> str:
        """A hidden element: shown where a click would show mathematics (a solution, an equation referred to), else only its formulas."""
        inside, depth, close, start = [(name + attrs, text)], 1, "/" + name, name + " "
        after = ""
        for tag, text in self.tokens:
            if tag == close:
                depth -= 1
                if not depth:
                    inside.append((close, ""))
                    after = text
                    break
            elif tag == name or tag.startswith(start):
                depth += 1
            inside.append((tag, text))
        raw = "".join([text for _, text in inside])
        words = " ".join(raw.split())
        if "\ue000" in words:
            before = "".join([block.text[-_NEAR:] for block in self.out.blocks[-2:]] + self.buffer[-20:])
            if repeats(words, before[-_NEAR:], self.found):
                return after
        menu = sum(tag.startswith("a ") for tag, _ in inside) > 2 + len(words) // 200
        if SPOILER.search(attrs) and not menu and self.worth(words):
            outer = self.tokens, self.hide, self.known
            self.tokens, self.hide, self.known = iter(inside), False, _KNOWN[False]
            self.read()
            self.tokens, self.hide, self.known = outer
            return after
        self.out.hidden += len(raw)
        return " ".join(_FORMULA.findall(words)) + after if "\ue000" in words else after

    def worth(self, words: str) -> bool:
        """Whether hidden text holds mathematics that the page has not shown before; definitions of macros are none."""
        if self.shown > _MOST_SHOWN or not holds_mathematics(words):
            return False
        self.shown += 1
        return not any(words in block.text for block in self.out.blocks) and words not in " ".join("".join(self.buffer).split())

    def junk(self, name: str, attrs: str, text: str) -> str:
        return self.skip(name, text, formulas=False)

    # ---- blocks

    def add(self, kind: str, text: str, links: int, language: str = "") -> None:
        self.out.blocks.append(Block(kind, text, links, self.stack[-1], self.marker, len(self.lists), self.quotes, language))
        self.marker = ""

    def flush(self) -> None:
        """What was gathered becomes a block; two line breaks in a row make two."""
        buffer = self.buffer
        if not buffer:
            return
        raw = "".join(buffer) if len(buffer) > 1 else buffer[0]
        buffer.clear()
        links, self.links = self.links, 0
        text = " ".join(raw.split())
        if not text or text == LINE:
            return
        if self.label:
            label, self.label = self.label, ""
            if not text[:40].lower().lstrip("*([ ").startswith(label.lower()) and self.kind == "p":
                self.add("bold", label + ".", 0)
        if LINE not in text:
            self.out.blocks.append(Block(self.kind, text, links, self.stack[-1], self.marker, len(self.lists), self.quotes))
            self.marker = ""
            return
        parts = [part for part in _PARAGRAPH.split(text) if part.strip(_EDGE)]
        for part in parts:
            lines = "\n".join(line for line in (line.strip() for line in part.split(LINE)) if line)
            self.add(self.kind, lines, links * len(part) // len(text))

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
        self.kind = "p"
        if attrs and TITLE_CLASS.search(attrs):
            self.kind = "bold"
        elif attrs and ("caption" in attrs or "credit" in attrs or "meta" in attrs):
            return self.lone(name, attrs, text)
        return text

    def lone(self, name: str, attrs: str, text: str) -> str:
        """A paragraph whose class matters: a box of its own, closed by the next paragraph's end."""
        self.open(name, attrs, "")
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

    # ---- inline

    def anchor(self, name: str, attrs: str, text: str) -> str:
        self.anchors += 1
        return text

    def end_anchor(self, name: str, attrs: str, text: str) -> str:
        self.anchors = max(0, self.anchors - 1)
        return text

    def line(self, name: str, attrs: str, text: str) -> str:
        self.buffer.append(LINE)
        return text

    def image(self, name: str, attrs: str, text: str) -> str:
        alt = _ALT.search(attrs)
        return alt[1] + text if alt else text

    def space(self, name: str, attrs: str, text: str) -> str:
        return " " + text

    def quotation(self, name: str, attrs: str, text: str) -> str:
        return '"' + text

    def script(self, name: str, attrs: str, text: str) -> str:
        """`sub` or `sup`: read whole, shown as TeX writes it unless it is an ordinal's ending or a reference to a note."""
        inside, after = self.consume(name, text)
        inside = " ".join(inside.split())
        if not inside or (name == "sup" and (_REFERENCE.fullmatch(inside) or inside.lower() in _ORDINAL)):
            return (inside if inside.lower() in _ORDINAL else "") + after
        mark = "^" if name == "sup" else "_"
        return f"{mark}{inside}{after}" if len(inside) == 1 or inside[0] == "\ue000" else f"{mark}{{{inside}}}{after}"

    # ---- what is not shown, and code

    def consume(self, name: str, text: str) -> tuple[str, str]:
        """The text of the element just opened, and what follows it. Line breaks and the ends of lines' elements are kept as line breaks."""
        parts, depth, close = [text], 1, "/" + name
        mute, muted = "", 0
        known = self.known
        for whole, text in self.tokens:
            _, tag, attrs, unread = known.get(whole) or self.learn(whole)
            if muted:
                muted += (tag == mute) - (tag == "/" + mute)
                if not muted:
                    parts.append(text)
                continue
            if tag == close:
                depth -= 1
                if not depth:
                    return "".join(parts), text
            elif tag == name:
                depth += 1
            elif tag in _LINES:
                if tag == "br" or parts[-1][-1:] != "\n":
                    parts.append("\n")
            elif tag == "code":
                self.code_attrs = self.code_attrs or attrs
            elif unread == _JUNK:
                mute, muted = tag, 1
                continue
            parts.append(text)
        return "".join(parts), ""

    def skip(self, name: str, text: str, *, formulas: bool = True) -> str:
        inside, after = self.consume(name, text)
        if not formulas:
            return after
        self.out.hidden += len(inside)
        return " ".join(_FORMULA.findall(inside)) + after if "\ue000" in inside else after

    def drop(self, name: str, attrs: str, text: str) -> str:
        """Form controls and `noscript`; a formula in them stays, unless it repeats the one just before (a lazy image and its fallback)."""
        repeated = name == "noscript" and self.buffer and self.buffer[-1].rstrip().endswith("\ue001")
        hidden = self.out.hidden
        after = self.skip(name, text, formulas=not repeated)
        self.out.hidden = hidden
        return after

    def pre(self, name: str, attrs: str, text: str) -> str:
        self.flush()
        self.code_attrs = ""
        inside, after = self.consume(name, text)
        if inside[:1] == "\ue002" and inside[1:-1].isdecimal() and int(inside[1:-1]) < len(self.languages):
            index = int(inside[1:-1])
            if self.out.codes[index]:
                self.add("code", inside, 0, self.languages[index] or self.hinted())
        else:
            self.listing(inside, attrs)
        return after

    def listing(self, inside: str, attrs: str) -> None:
        if "\ue000" in inside or "\ue002" in inside:
            self.buffer.append(inside.replace("\n", LINE))
            self.flush()
        elif inside.strip():
            self.out.codes.append(trimmed(inside))
            language = language_of(attrs) or language_of(self.code_attrs) or self.hinted()
            self.add("code", f"\ue002{len(self.out.codes) - 1}\ue003", 0, language)

    def hinted(self) -> str:
        """The language that an element around the listing names, if nothing stands between."""
        return self.hint[0] if self.hint[1] == len(self.out.blocks) else ""

    def code(self, name: str, attrs: str, text: str) -> str:
        inside, after = self.consume(name, text)
        if self.anchors:
            self.links += len(inside)
        words = " ".join(inside.split())
        if not words or "\ue000" in words or "\ue002" in words:
            return words + after
        if inside.strip().count("\n") > 1 and not self.anchors:
            self.flush()
            self.listing(inside, attrs)
            return after
        self.out.codes.append(unescape(words))
        return f"\ue002{len(self.out.codes) - 1}\ue003{after}"


_Handler = Callable[[_Builder, str, str, str], str]
_Tag = tuple[_Handler | None, str, str, int]
"""What a tag's handler is, its name, its attributes (from the blank before them on), and whether its element is left out."""
_ANCHOR: _Tag = (_Builder.anchor, "a", "", 0)
_KNOWN: dict[bool, dict[str, _Tag]] = {True: {}, False: {}}
_BOXES = (
    "div section article main nav header footer aside form dl td th figure figcaption details summary center fieldset menu dialog "
    "hgroup address search"
)
_DROPPED = "noscript template select button textarea svg object audio video canvas datalist option map head title iframe rp rt"
_PARAGRAPHS = "p caption legend"
_HANDLERS: dict[str, _Handler] = {
    **dict.fromkeys(_BOXES.split(), _Builder.open),
    **{"/" + tag: _Builder.close for tag in [*_BOXES.split(), "tr"][:-1]},
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
