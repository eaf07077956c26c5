r"""The tokens of a page, one after the other: what is text, what stands in a line of it, and what is not read.

The half of `block_builder.py` that knows nothing of blocks' structure. Every token goes to the handler of its tag, which returns the text
that is to follow; what is to do at a tag is learnt once and remembered, for this page and those after it. Some elements must be known to
their end before they are judged (is this permalink sign a heading?); the tokens are a list, so that a handler can look ahead, as far as
`unread_elements.MOST` characters and, for a whole page, `_PATIENCE` tokens.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from operator import length_hint
from typing import Any, ClassVar

from data_pipeline.extraction.layout.code_lines import is_listing, lines_of
from data_pipeline.extraction.layout.code_listings import language_of, trimmed, without_code
from data_pipeline.extraction.layout.hidden_parts import holds_mathematics, repeats
from data_pipeline.extraction.layout.markup_cues import BAD, CAPTION, COMMENTS, FAINT, HEADER, is_faint, zone_of
from data_pipeline.extraction.layout.page_tokens import LINE, tokens
from data_pipeline.extraction.layout.text_blocks import Block, Blocks, OpenList, OpenTable
from data_pipeline.extraction.layout.unread_elements import HIDDEN, MOST, SPOILER, Kind, hides, kind_of_junk
from data_pipeline.formulas.formula import Formula
from data_pipeline.formulas.placeholders import CLOSE, CODE_OPEN, CODE_PLACEHOLDER, OPEN, code_placeholder

_FORMULA = re.compile(f"{OPEN}[0-9]+{CLOSE}")
_ORDINAL = frozenset(["st", "nd", "rd", "th", "er", "re", "e", "o", "a", "ème", "eme", "tm", "®", "™", "©"])
_REFERENCE = re.compile(r"\[[^\]]{0,20}\]")
_ALT = re.compile(r'alt="([^"]{1,3})"')
_CLASS = re.compile(r' class="([^"]*)')
_APART = re.compile(r"display:\s{0,3}(?:block|flex|grid|list-item|flow-root|table(?:-row)?)(?![\w-])")
_NOTE = re.compile(
    r"(?:^|\s)(?:ltx_note_content|side-?note|margin-?note|inline-footnote|footnote-(?:content|text)|footnotetext|note-content)(?:\s|$)"
)
_PARAGRAPH = re.compile(f"{LINE} ?{LINE}[ {LINE}]*")
_EDGE = " " + LINE
_MOST_SHOWN, _NEAR = 300, 1000
_PATIENCE = 300_000
_NOTED, _DATED, _SHORT = 3_000, 80, 600
_REPEATED, _MOST_KNOWN = 300, 20_000
"""The length of a tag that is worth remembering, and how many are."""
VOIDS = "area base br col embed hr img input link meta source track wbr param basefont bgsound frame keygen"
_VOID = frozenset(VOIDS.split())
_LINES = frozenset(["br", "/div", "/p", "/li", "/tr", "/dt", "/dd"])
_INLINE = frozenset(["span", "a", "b", "i", "em", "strong", "small", "font", "label", "time", "big", "u", "cite", "abbr", "var"])
_FAINT_TAGS = frozenset(["span", "time", "small", "em", "i", "b", "strong", "cite", "abbr", "label"])
_LISTED = frozenset(["div", "table", "ol", "ul", "figure", "section"])

Handler = Callable[[Any, str, str, str], str]
Tag = tuple[Handler | None, str, str, int]
"""What a tag's handler is, its name, its attributes (from the blank before them on), and the kind of junk that its element may be."""


class Reader:
    """The state of one pass."""

    handlers: ClassVar[dict[str, Handler]] = {}
    remembered: ClassVar[dict[bool, dict[str, Tag]]] = {True: {}, False: {}}

    def __init__(self, html: str, found: Sequence[Formula], *, least: int | None = None) -> None:
        """`least`: hidden elements of so many characters are shown; None: none are."""
        self.found = found
        self.hide = True
        self.least = least
        self.out = Blocks()
        self.languages: list[str] = []
        self.enter(tokens(without_code(html, self.out.codes, self.languages)))
        self.patience = _PATIENCE
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
        self.lone_box = -1
        self.hint = ("", 0)
        self.code_attrs = ""
        self.broken = False
        """Whether what was consumed last holds line breaks by elements."""
        self.known = self.remembered[True]
        if len(self.known) > _MOST_KNOWN:
            self.known.clear()
        self.read()
        self.flush()

    def enter(self, pieces: list[str]) -> None:
        """Goes on with these tokens: tags and the texts after them in turn."""
        self.pieces = pieces
        self.stream = iter(pieces)
        self.tokens: Iterator[tuple[str, str]] = zip(self.stream, self.stream, strict=True)

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

    def learn(self, tag: str) -> Tag:
        """What to do at a tag. Remembered, for this page and those after it: templates repeat theirs."""
        if tag[:2] == "a " and " href=" in tag and not ("hid" in tag or "none" in tag or "display" in tag):
            at = tag.find('class="') + 7  # most of what is not remembered
            if at < 7 or not kind_of_junk(tag[at : tag.find('"', at)]):
                return _ANCHOR
        name, _, attrs = tag.partition(" ")
        handler = self.handlers.get(name) if name != "a" else None
        if not attrs:
            found = self.known[tag] = handler, name, "", 0
            return found
        attrs = " " + attrs
        if name in _VOID:
            return handler, name, attrs, 0
        own = _CLASS.search(attrs)
        handler, junk = self.judged(name, attrs, own[1] if own else "", handler)
        found = handler, name, attrs, junk
        if name != "a" and len(tag) < _REPEATED:
            self.known[tag] = found
        return found

    def judged(self, name: str, attrs: str, classes: str, handler: Handler | None) -> tuple[Handler | None, int]:
        """The handler of an element with attributes, given its tag's, and the kind of junk it is by its class."""
        if self.hide and ((("hid" in attrs or "none" in attrs) and HIDDEN.search(attrs)) or (classes and hides(classes))):
            return Reader.hidden, 0
        kind = kind_of_junk(classes) if classes else Kind.NOTHING
        if kind:
            return Reader.junk, kind
        if name == "a":
            handler = Reader.anchor if " href=" in attrs else None
        if name in _INLINE:
            if "display" in attrs and _APART.search(attrs):
                return Reader.apart, 0
            if classes and _NOTE.search(classes):
                return Reader.note, 0
            if name == "span" and classes == "classifier":
                return Reader.classifier, 0
            if name in _FAINT_TAGS and (name == "time" or (classes and is_faint(classes))):
                return Reader.dated, 0
        elif name in _LISTED:
            if classes and is_listing(classes):
                return Reader.lined, 0
        elif name == "p" and classes and zone_of(name, attrs)[0] & (BAD | CAPTION | COMMENTS | HEADER | FAINT):
            handler = self.handlers["p "]
        return handler, 0

    # ---- looking ahead

    def ahead(self, name: str, text: str, most: int) -> tuple[str, int] | None:
        """The text of the element just opened and where its end tag stands; None where it is longer, or patience at its end."""
        pieces, close, start, parts, depth = self.pieces, "/" + name, name + " ", [text], 1
        size, first = len(text), len(self.pieces) - length_hint(self.stream)
        if first < len(pieces) and pieces[first] == close:
            return text, first
        for at in range(first, min(len(pieces), first + 2 * self.patience), 2):
            tag = pieces[at]
            if tag == close:
                depth -= 1
                if not depth:
                    self.patience -= (at - first) // 2
                    return "".join(parts), at
            elif tag == name or tag.startswith(start):
                depth += 1
            parts.append(pieces[at + 1])
            size += len(parts[-1])
            if size > most:
                self.patience -= (at - first) // 2
                return None
        self.patience -= (len(pieces) - first) // 2
        return None

    def skip_to(self, end: int) -> str:
        """Passes over what comes before the end tag there; the text after it."""
        text = ""
        for _ in range((end - len(self.pieces) + length_hint(self.stream)) // 2 + 1):
            _, text = next(self.tokens)
        return text

    # ---- what is not shown

    def hidden(self, name: str, attrs: str, text: str) -> str:
        """A hidden element: shown where a click would show mathematics (a solution, an equation referred to), else only its formulas."""
        if self.least is not None and self.is_large(name, text):
            handler = self.judged_open(name, attrs)
            return handler(self, name, attrs, text) if handler else text
        inside, depth, close, start = [name + attrs, text], 1, "/" + name, name + " "
        after = ""
        for tag, text in self.tokens:
            if tag == close:
                depth -= 1
                if not depth:
                    inside += (close, "")
                    after = text
                    break
            elif tag == name or tag.startswith(start):
                depth += 1
            inside += (tag, text)
        raw = "".join(inside[1::2])
        words = " ".join(raw.split())
        if OPEN in words:
            before = "".join([block.text[-_NEAR:] for block in self.out.blocks[-2:]] + self.buffer[-20:])
            if repeats(words, before[-_NEAR:], self.found):
                return after
        menu = sum(tag.startswith("a ") and " href=" in tag for tag in inside[::2]) > 2 + len(words) // 200
        if SPOILER.search(attrs) and not menu and self.worth(words):
            self.read_as_shown(inside)
            return after
        self.out.hidden += len(words)
        self.out.largest_hidden = max(self.out.largest_hidden, len(words))
        return " ".join(_FORMULA.findall(words)) + after if OPEN in words else after

    def read_as_shown(self, pieces: list[str]) -> None:
        """Reads these tokens as though nothing in them were hidden; then the page goes on where it was."""
        outer = self.pieces, self.stream, self.tokens
        self.hide, self.known = False, self.remembered[False]
        self.enter(pieces)
        self.read()
        self.hide, self.known = True, self.remembered[True]
        self.pieces, self.stream, self.tokens = outer

    def is_large(self, name: str, text: str) -> bool:
        """Whether the hidden element just opened holds so much that it is to be shown; what is hidden inside must then hold half of it."""
        pieces, close, start, depth = self.pieces, "/" + name, name + " ", 1
        size, at = len(" ".join(text.split())), len(self.pieces) - length_hint(self.stream)
        if self.patience <= 0 or self.least is None:
            return False
        first = at
        while at < len(pieces):
            tag = pieces[at]
            if tag == close:
                depth -= 1
                if not depth:
                    break
            elif tag == name or tag.startswith(start):
                depth += 1
            size += len(" ".join(pieces[at + 1].split()))
            at += 2
        self.patience -= (at - first) // 2
        if size < self.least:
            return False
        self.least = max(self.least, size // 2)
        return True

    def judged_open(self, name: str, attrs: str) -> Handler | None:
        """The handler of an element that would be hidden, were it not."""
        self.hide = False
        own = _CLASS.search(attrs)
        handler, _ = self.judged(name, attrs, own[1] if own else "", self.handlers.get(name) if name != "a" else None)
        self.hide = True
        return handler

    def worth(self, words: str) -> bool:
        """Whether hidden text holds mathematics that the page has not shown before; definitions of macros are none."""
        if self.shown > _MOST_SHOWN or not holds_mathematics(words):
            return False
        self.shown += 1
        return not any(words in block.text for block in self.out.blocks) and words not in " ".join("".join(self.buffer).split())

    def junk(self, name: str, attrs: str, text: str) -> str:
        """An element whose class says that nobody reads it, if it holds what it should; else an element as any other."""
        own = _CLASS.search(attrs)
        kind = kind_of_junk(own[1]) if own else Kind.NOTHING
        end = self.junk_end(kind, name, text)
        if end:
            return self.skip_to(end)
        handler = self.handlers.get(name)
        if name == "a" and " href=" not in attrs:
            handler = None
        return handler(self, name, attrs, text) if handler else text

    def junk_end(self, kind: int, name: str, text: str) -> int:
        """Where the element just opened ends if it holds what junk of its kind does; 0 if not."""
        found = self.ahead(name, text, MOST if kind == Kind.NUMBERS else _SHORT)
        if found is None:
            return 0
        inside = found[0]
        if CODE_OPEN in inside:
            inside = CODE_PLACEHOLDER.sub(lambda code: self.out.codes[int(code[1])], inside)
        return found[1] if Kind(kind).holds(inside) else 0

    def consume(self, name: str, text: str) -> tuple[str, str]:
        """The text of the element just opened, and what follows it. Line breaks and the ends of lines' elements are kept as line breaks."""
        parts, depth, close = [text], 1, "/" + name
        known, self.broken = self.known, False
        for whole, text in self.tokens:
            _, tag, attrs, junk = known.get(whole) or self.learn(whole)
            if tag == close:
                depth -= 1
                if not depth:
                    return "".join(parts), text
            elif junk and (end := self.junk_end(junk, tag, text)):
                text = self.skip_to(end)
            elif tag == name:
                depth += 1
            elif tag in _LINES:
                self.broken = True
                if tag == "br" or parts[-1][-1:] != "\n":
                    parts.append("\n")
            elif tag == "code":
                self.code_attrs = self.code_attrs or attrs
            parts.append(text)
        return "".join(parts), ""

    def skip(self, name: str, text: str, *, formulas: bool = True) -> str:
        inside, after = self.consume(name, text)
        return " ".join(_FORMULA.findall(inside)) + after if formulas and OPEN in inside else after

    def drop(self, name: str, attrs: str, text: str) -> str:
        """Form controls and `noscript`; a formula in them stays, unless it repeats the one just before (a lazy image and its fallback)."""
        repeated = name == "noscript" and self.buffer and self.buffer[-1].rstrip().endswith(CLOSE)
        return self.skip(name, text, formulas=not repeated)

    # ---- in a line of text

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
        return f"{mark}{inside}{after}" if len(inside) == 1 or inside[0] == OPEN else f"{mark}{{{inside}}}{after}"

    def apart(self, name: str, attrs: str, text: str) -> str:
        """An element of a line that its style sets off as a block: a paragraph of its own."""
        found = self.ahead(name, text, MOST)
        if found is not None:
            self.pieces[found[1] + 1] = LINE + LINE + self.pieces[found[1] + 1]
        if name == "a" and " href=" in attrs:
            self.anchors += 1
        return LINE + LINE + text

    def note(self, name: str, attrs: str, text: str) -> str:
        """A note that stands in the text that it belongs to, as pages show it when the mouse is on its mark: in brackets."""
        found = self.ahead(name, text, _NOTED)
        if found is None or not found[0].strip() or found[0].lstrip()[0] in "([*†‡":
            return " " + text
        end = found[1]
        self.pieces[end - 1] = self.pieces[end - 1].rstrip()
        self.pieces[end + 1] = ")" + self.pieces[end + 1]
        return " (" + (text.strip() if len(self.pieces) - length_hint(self.stream) == end else text.lstrip())

    def classifier(self, name: str, attrs: str, text: str) -> str:
        """The type of a parameter in a manual; its style sheet puts the colon."""
        before = "".join(self.buffer[-3:]).rstrip()
        return (" " if not before or before.endswith(":") else " : ") + text

    def dated(self, name: str, attrs: str, text: str) -> str:
        """A date, an author's name: as little an article's text as a link is."""
        found = self.ahead(name, text, _DATED)
        if found is not None:
            self.links += len(found[0])
        return text

    def lined(self, name: str, attrs: str, text: str) -> str:
        """A listing of lines, or else an element as any other."""
        pieces, first = self.pieces, len(self.pieces) - length_hint(self.stream)
        found = None if self.is_pre(first) else self.ahead(name, text, 20 * MOST)
        own = _CLASS.search(attrs)
        code = lines_of(own[1] if own else "", pieces, first, found[1], self.out.codes) if found is not None else None
        if found is None or code is None:
            handler = self.handlers.get(name)
            return handler(self, name, attrs, text) if handler else text
        self.flush()
        after = self.skip_to(found[1])
        self.out.codes.append(trimmed(code))
        self.add("code", code_placeholder(len(self.out.codes) - 1), 0, language_of(attrs) or self.hinted())
        return after

    def is_pre(self, at: int) -> bool:
        """Whether the first thing in an element is `pre`, which is read by itself: nearly all listings."""
        pieces = self.pieces
        while at < len(pieces) and pieces[at][0] != "/" and not pieces[at].startswith("pre"):
            if pieces[at + 1] and not pieces[at + 1].isspace():
                return False
            at += 2
        return at < len(pieces) and pieces[at].startswith("pre") and "-line" not in pieces[at]

    def hinted(self) -> str:
        """The language that an element around the listing names, if nothing stands between."""
        return self.hint[0] if self.hint[1] == len(self.out.blocks) else ""

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
        text = " ".join(raw.split())
        links, self.links = min(self.links, len(text)), 0
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


_ANCHOR: Tag = (Reader.anchor, "a", "", 0)
