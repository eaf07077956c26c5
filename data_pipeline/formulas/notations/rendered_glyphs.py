"""What rendered formulas have in common: trees of spans whose glyphs and positions say what the MathML was.

`mathjax_glyphs.py` and `katex_glyphs.py` read their renderer's elements and rebuild MathML from them, which the presentation converter then
turns into TeX. Here are the pieces both need: building elements, reading lengths from style attributes, and the character that a tall
delimiter is made of.
"""

from collections.abc import Mapping

from selectolax.lexbor import LexborNode

from data_pipeline.formulas.notations.mathml import convert_math, from_lexbor
from data_pipeline.formulas.notations.mathml_elements import Element, TooLargeError

MAX_DEPTH = 240

_PIECES = {
    "⎛": "(", "⎜": "(", "⎝": "(", "⎞": ")", "⎟": ")", "⎠": ")", "⎡": "[", "⎢": "[", "⎣": "[", "⎤": "]", "⎥": "]", "⎦": "]", "⎧": "{",
    "⎨": "{", "⎩": "{", "⎫": "}", "⎬": "}", "⎭": "}", "⏐": "|", "∣": "|", "∥": "‖", "∣∣": "|",
}  # fmt: skip
_BRACES = ("⏞", "⏟")


def tree_of(node: LexborNode) -> Element | None:
    """The element tree of a rendered formula; None where it is larger than any formula."""
    try:
        return from_lexbor(node, max_depth=MAX_DEPTH, math=False)
    except TooLargeError:
        return None


def finished(root: Element) -> str:
    """The TeX of rebuilt MathML."""
    try:
        return convert_math(root)
    except (TooLargeError, RecursionError):
        return ""


def element(tag: str, children: list[Element] | None = None, text: str = "", attributes: Mapping[str, str] | None = None) -> Element:
    """A MathML element."""
    made = Element(tag, dict(attributes or {}))
    if text:
        made.text.append(text)
    for child in children or []:
        made.children.append(child)
        made.text.append(child)
    return made


def row(children: list[Element]) -> Element:
    """One element for several."""
    return children[0] if len(children) == 1 else element("mrow", children)


def classes(node: Element) -> list[str]:
    return node.attributes.get("class", "").split()


def style_length(node: Element, name: str) -> float | None:
    """A length of the style attribute in em; None where it is not given in em."""
    for declaration in node.attributes.get("style", "").split(";"):
        key, _, value = declaration.partition(":")
        if key.strip() == name:
            value = value.strip()
            try:
                return float(value.removesuffix("em")) if value.endswith("em") and len(value) < 16 else None
            except ValueError:
                return None
    return None


def delimiter(pieces: str) -> str:
    """The delimiter that was built from these pieces."""
    for piece in pieces:
        if piece in _PIECES:
            return "{" if "⎨" in pieces else "}" if "⎬" in pieces else _PIECES[piece]
    for brace in _BRACES:
        if brace in pieces:
            return brace
    for arrow in "←→↔⇐⇒⇔↑↓⇑⇓√":
        if arrow in pieces:
            return arrow
    return pieces[:1]


def letters(text: str, font: str) -> Element:
    """A token for glyphs as they stand: a number, an identifier or an operator by its characters."""
    if text and all(char.isdigit() or char in ".,\u2009" for char in text) and any(char.isdigit() for char in text):
        return element("mn", text=text, attributes={"mathvariant": font} if font not in ("", "normal", "italic") else {})
    if text and (text.isalpha() or text[0].isalpha()):
        return element("mi", text=text, attributes={"mathvariant": font} if font and (font != "italic" or len(text) > 1) else {})
    return element("mo", text=text)
