"""The small element tree that the MathML converters read, the same for XML and for HTML parsers.

Made once per formula: namespace prefixes are gone, names are lower case, text and children keep their order in `text`. Bounds stand
here too. HTML parsers do not close `<mml:mspace/>`, so `place` hands what such an element swallowed back to its parent.
"""

from functools import lru_cache


def names(text: str) -> frozenset[str]:
    """The words of a text: how sets of names are written in these modules."""
    return frozenset(text.split())


MAX_NODES = 20_000
MAX_DEPTH = 110

_TOKENS = frozenset({"mi", "mn", "mo", "mtext", "ms"})
_EMPTY = names("mspace mprescripts none maligngroup malignmark mglyph msline")
_ARITY = {"mfrac": 2, "mroot": 2, "msub": 2, "msup": 2, "msubsup": 3, "munder": 2, "mover": 2, "munderover": 3}


class TooLargeError(ValueError):
    """Deeper or larger than any formula."""


class Element:
    """An element: `text` holds strings and children in order, `children` the elements alone."""

    __slots__ = ("attributes", "children", "tag", "text")

    def __init__(self, tag: str, attributes: dict[str, str] | None = None) -> None:
        self.tag = tag
        self.attributes = attributes or {}
        self.children: list[Element] = []
        self.text: list[str | Element] = []

    def content(self) -> str:
        """The text of a token, spaces at the ends removed and runs of them made one."""
        parts = [part if isinstance(part, str) else part.spelling() for part in self.text]
        raw = parts[0] if len(parts) == 1 else "".join(parts)
        if " " in raw or "\n" in raw or "\t" in raw:
            raw = " ".join(word for word in raw.replace("\n", " ").replace("\t", " ").replace("\r", " ").split(" ") if word)
        return raw

    def spelling(self) -> str:
        """What a child of a token contributes: its text, or the alternative text of a glyph."""
        if self.tag in ("mglyph", "img"):
            return self.attributes.get("alt", "")
        return "".join(part if isinstance(part, str) else part.spelling() for part in self.text)


@lru_cache(maxsize=1024)
def local_name(name: str) -> str:
    """An element or attribute name without its prefix, in lower case."""
    if ":" in name:
        name = name.rsplit(":", 1)[1]
    return name.lower()


def place(parent: Element) -> None:
    """Puts children in their place once `parent` is complete: an HTML parser's swallowed siblings come back out."""
    for index in range(len(parent.children) - 1, -1, -1):
        child = parent.children[index]
        if child.children:
            lost = child.children if child.tag in _EMPTY else _swallowed(child)
            if lost:
                parent.children[index + 1 : index + 1] = lost
                gone = {id(element) for element in lost}
                child.children = [element for element in child.children if id(element) not in gone]
                child.text = [part for part in child.text if id(part) not in gone]
    wanted = _ARITY.get(parent.tag, 0)
    missing = wanted - len(parent.children)
    if missing > 0 and parent.children and parent.children[-1].tag == "mrow" and len(parent.children[-1].children) >= missing:
        row = parent.children[-1]
        parent.children.extend(row.children[-missing:])
        row.children = row.children[:-missing]


def _swallowed(child: Element) -> list[Element]:
    """Elements inside a token that no token has, or rows inside a cell: siblings behind an unclosed empty element."""
    if child.tag in _TOKENS and not any(isinstance(part, str) and part.strip() for part in child.text):
        return [
            element for element in child.children if element.tag.startswith("m") and element.tag not in ("malignmark", "mglyph", "math")
        ]
    if child.tag == "mtd":
        return [element for element in child.children if element.tag == "mtd"]
    if child.tag == "mtr":
        return [element for element in child.children if element.tag == "mtr"]
    return []
