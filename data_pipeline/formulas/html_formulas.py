r"""Mathematics that a page spells with HTML alone, as TeX: `<span class="texhtml"><i>a</i><sub>1</sub> &ge; &radic;2</span>`.

For elements whose class says that all in them is one formula (Wikipedia `texhtml`, Codeforces `tex-span`, pandoc `math inline` without
MathJax): scripts, italics and bold, Wikipedia's fractions and roots with a line, and characters by `tex_symbols`. An element that holds
anything else (links, images, a backslash, prose) gives "": its text is not touched.
"""

import re

from selectolax.lexbor import LexborNode

from data_pipeline.formulas.notations.mathml_elements import names
from data_pipeline.formulas.notations.unicode_to_tex import join, to_tex
from data_pipeline.formulas.placeholders import OPEN

_TRANSPARENT = frozenset(("i", "em", "var", "span", "font", "small", "big", "cite", "bdi", "wbr", "br", "nobr", "center"))
_BOLD = frozenset(("b", "strong"))
_FUNCTIONS = names(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh coth log ln lg exp lim max min sup inf det dim ker deg gcd arg Pr"
)
_WORD = re.compile(r"[A-Za-z]{2,}")
_ESCAPED = re.compile(r"[{}#%&_$]")
_LINE = re.compile(r"border-top|overline", re.I)
_ITALIC = re.compile(r"font-style:\s{0,3}italic", re.I)
_LONGEST, _MOST, _DEEPEST, _MOST_WORDS = 2_000, 300, 10, 4


class _UnreadableError(ValueError):
    """Something in the element is no mathematics."""


class _Reader:
    def __init__(self) -> None:
        self.nodes = 0
        self.words = 0
        self.length = 0

    def row(self, node: LexborNode, *, italic: bool, depth: int) -> str:
        """The TeX of all that an element holds."""
        if depth > _DEEPEST:
            raise _UnreadableError
        parts: list[str] = []
        child = node.first_child
        while child is not None:
            self.nodes += 1
            if self.nodes > _MOST:
                raise _UnreadableError
            if child.is_text_node:
                parts.append(self.letters(child.text_content or "", italic=italic))
            elif not child.is_comment_node:
                piece = self.element(child, italic=italic, depth=depth + 1)
                if parts and parts[-1].endswith("\\surd") and _LINE.search(_style(child)):
                    parts[-1] = parts[-1][:-5]
                    piece = f"\\sqrt{{{self.row(child, italic=italic, depth=depth + 1)}}}"
                parts.append(piece)
            child = child.next
        return join(parts)

    def element(self, node: LexborNode, *, italic: bool, depth: int) -> str:
        tag = node.tag or ""
        names = (node.attributes.get("class") or "").split()
        if "sr-only" in names or tag in ("br", "wbr"):
            return ""
        if "sfrac" in names or "frac" in names:
            return self.fraction(node, italic=italic, depth=depth)
        if tag in ("sub", "sup"):
            inside = self.row(node, italic=italic, depth=depth).strip()
            return f"{'^' if tag == 'sup' else '_'}{{{inside}}}" if inside else ""
        style = _style(node)
        if tag in _BOLD:
            inside = self.row(node, italic=True, depth=depth)
            return f"\\mathbf{{{inside}}}" if inside.strip() else ""
        if tag not in _TRANSPARENT:
            raise _UnreadableError
        slanted = italic or tag in ("i", "em", "var", "cite") or _ITALIC.search(style) is not None or "mvar" in names
        inside = self.row(node, italic=slanted, depth=depth)
        return f"\\overline{{{inside}}}" if "overline" in style and inside.strip() else inside

    def fraction(self, node: LexborNode, *, italic: bool, depth: int) -> str:
        """Wikipedia's: an integer that may be there, a numerator and a denominator."""
        above, below = node.css_first(".num"), node.css_first(".den")
        if above is None or below is None:
            raise _UnreadableError
        first = node.first_child
        whole = (first.text_content or "") if first is not None and first.is_text_node else ""
        top, bottom = (self.row(part, italic=italic, depth=depth + 1).strip() for part in (above, below))
        return f"{self.letters(whole, italic=italic).strip()}\\frac{{{top}}}{{{bottom}}}"

    def letters(self, text: str, *, italic: bool) -> str:
        """Characters as TeX; a word that is not slanted is a function's name or upright."""
        self.length += len(text)
        if self.length > _LONGEST or "\\" in text or OPEN in text:
            raise _UnreadableError
        pieces: list[str] = []
        at = 0
        for word in () if italic else _WORD.finditer(text):
            pieces += (_characters(text[at : word.start()]), self.word(word[0]))
            at = word.end()
        return join([*pieces, _characters(text[at:])])

    def word(self, word: str) -> str:
        if word in _FUNCTIONS:
            return "\\" + word
        self.words += 1
        if self.words > _MOST_WORDS:
            raise _UnreadableError
        return f"\\mathrm{{{word}}}"


def _style(node: LexborNode) -> str:
    return (node.attributes.get("style") or "")[:500]


def _characters(text: str) -> str:
    """Running text as TeX, what TeX would take for a command escaped."""
    return to_tex(_ESCAPED.sub(r"\\\g<0>", text.replace("\u2061", "").replace("\u2060", "").replace("\xa0", " ")))


def html_formula(node: LexborNode) -> str:
    """The TeX of an element that is one formula written in HTML; "" where it holds anything else."""
    names = (node.attributes.get("class") or "").split()
    try:
        if "sfrac" in names or "frac" in names:
            tex = _Reader().fraction(node, italic=False, depth=0)
        else:
            tex = _Reader().row(node, italic="mvar" in names, depth=0)
    except _UnreadableError:
        return ""
    return " ".join(tex.split())
