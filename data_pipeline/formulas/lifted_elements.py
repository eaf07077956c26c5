"""Every formula of a page as LaTeX, exactly once.

Three steps around the rendering of a page's text. `lift` takes the formulas that are elements (scripts, MathML, KaTeX, MathJax, images,
...) out of the parsed tree and leaves placeholders, so that a renderer sees neither glyphs nor source twice. `delimit`, on the
rendered text, does the same for formulas written between delimiters. `spell` puts `$...$` and `$$...$$` in place of the placeholders.

`lift` looks only for what the page's source mentions: one search of the raw text decides which selectors run. Elements inside an
element that became a formula are passed by. Where a formula cannot be read, its element stays as it is.
Left out: formulas drawn by scripts, in frames, or as pictures without text.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from selectolax.lexbor import LexborHTMLParser, LexborNode

from data_pipeline.formulas.configured_delimiters import Delimiters as Delimiters
from data_pipeline.formulas.configured_delimiters import read_config as read_config
from data_pipeline.formulas.delimited_formulas import delimit as delimit
from data_pipeline.formulas.delimited_formulas import families as families
from data_pipeline.formulas.element_sources import (
    ATTRIBUTE_NAMES,
    TEX_ATTRIBUTES,
    TEXT_CLASSES,
    TEXT_TAGS,
    Attributes,
    container_formula,
    holds_several,
    plain_text,
    script_formula,
    text_formula,
)
from data_pipeline.formulas.formula import Formula, clean
from data_pipeline.formulas.html_formulas import html_formula
from data_pipeline.formulas.image_formulas import image_formula
from data_pipeline.formulas.notations.tex_text import is_tex, prose_words
from data_pipeline.formulas.placeholders import CLOSE, OPEN, PLACEHOLDER, placeholder
from data_pipeline.formulas.sub_and_superscripts import lift_scripts

_RENDERED = frozenset(
    ("katex-display", "katex--display", "katex--inline", "katex", "katex-mathml", "mwe-math-element", "mjx-chtml", "MJXc-display", "mjpage",
     "MathJax_Display", "MathJax_SVG_Display", "MathJax_SVG", "MathJax_CHTML", "MathJax_MathML", "MathJax")
)  # fmt: skip
_MATH_TAGS = tuple(tag for tag in TEXT_TAGS if "math" in tag)
_MATH_ATTRIBUTES = tuple(name for name in TEX_ATTRIBUTES if "math" in name)
_LATEX_ATTRIBUTES = tuple(name for name in TEX_ATTRIBUTES if "atex" in name)
_TEXT_CLASSES, _TEXT_TAGS = frozenset(TEXT_CLASSES), frozenset(TEXT_TAGS)
_ROW_PARTS = "math, .mjpage, .mjx-chtml, .katex, img.ltx_Math, .MathJax"
_PREFIX = re.compile(r"<([A-Za-z][A-Za-z0-9]{0,9}):math[\s>]")
_WORDS = re.compile(r"[^\W_]")
_BLOCKS = frozenset(("dd", "p", "div", "td", "center"))
_DISPLAYING = frozenset(("math", "equation", "displaymath", "formulaDsp"))
_CENTRED = re.compile(r"text-align:\s{0,5}center", re.I)
_NUMBER = re.compile(r"\(\d{1,3}(?:\.\d{1,3}){0,2}[a-z]?\)")
_SIDES, _LONGEST_NUMBER = 4, 40
_CLIMB = 8
_WRAPPERS, _UNCHECKED, _DEPTH = 50, 200, 150
_OWN_TAGS = ("tex", "latex", "katex", "la-tex", "md-latex", "eq", "eqn", "formula", "x-equation")
_MOST = 50_000
_NEAR = 16
_LONGEST_VARIABLE = 200


class _Lifter:
    """One page being worked on: the formulas found so far and the elements that are gone."""

    def __init__(self, tree: LexborHTMLParser) -> None:
        self.tree = tree
        self.found: list[Formula] = []
        self.gone: set[int] = set()
        self.unread: set[int] = set()
        self.read = 0
        self.wrappers = 0

    def put(self, node: LexborNode, formula: Formula) -> None:
        """The formula's placeholder in place of an element; a displayed one in a block of its own."""
        self.gone.add(node.mem_id)
        self.found.append(formula)
        mark = placeholder(len(self.found) - 1)
        if not formula.display:
            node.replace_with(mark)
            return
        block = self.tree.create_node("div")
        block.insert_child(mark)
        node.replace_with(block)

    def drop(self, node: LexborNode) -> None:
        self.gone.add(node.mem_id)
        node.replace_with("")

    def is_gone(self, node: LexborNode) -> bool:
        """Whether the element is gone, or inside one that is."""
        if node.mem_id not in self.gone and not _inside(node, self.gone):
            return False
        self.gone.add(node.mem_id)
        return True

    def give_up(self, node: LexborNode) -> bool:
        """Whether to leave a rendered element alone: inside one that could not be read, or nested beyond all reason.

        Reading an element costs as much as its subtree is large, and a hostile page nests 10,000 that hold nothing.
        """
        if self.unread and _inside(node, self.unread):
            self.unread.add(node.mem_id)
            return True
        self.read += 1
        if self.read < _UNCHECKED:
            return False
        depth, parent = 0, node.parent
        while parent is not None and depth <= _DEPTH:
            depth, parent = depth + 1, parent.parent
        return depth > _DEPTH


def _inside(node: LexborNode, elements: set[int]) -> bool:
    parent = node.parent
    for _ in range(_CLIMB):
        if parent is None:
            return False
        if parent.mem_id in elements:
            return True
        parent = parent.parent
    return False


def lift(tree: LexborHTMLParser, raw: str) -> list[Formula]:
    """Replaces every formula element of the tree by its placeholder and returns the formulas; `raw` is the page's source."""
    lifter = _Lifter(tree)
    if tree.body is None:
        return lifter.found
    rendered, plain, prefix = _selectors(tree, raw)
    for chosen in (rendered, plain):  # one after the other: what is inside a rendered formula is gone when plain text is looked for
        if chosen:
            for node in tree.css(", ".join(chosen))[:_MOST]:
                _lift_element(lifter, node, prefix)
    _lift_rest(lifter)
    return lifter.found


def _selectors(tree: LexborHTMLParser, raw: str) -> tuple[list[str], list[str], str]:
    """The selectors worth running on a page: for rendered formulas, for plain ones; and the namespace prefix of its MathML.

    A search of the source costs as much as a selector (25 us on a page of 50 kB): three words open the way to all the others, which are
    looked for where those two stand.
    """
    mathematics, latex = _around(raw, "math"), _around(raw, "atex")
    mathjax = "MathJax" in raw
    if not (mathematics or latex or mathjax):
        return [], [], ""
    rendered: list[str] = []
    plain: list[str] = []
    prefix = ""
    if mathematics:
        rendered += ["math", 'script[type^="math/"]']
        plain.append('[class*="math"]')
        if "mwe-math" in mathematics:
            rendered.append(".mwe-math-element")
        if ":math" in mathematics and (found := _PREFIX.search(mathematics)) is not None:
            prefix = found[1].lower()
            rendered.append(f"{prefix}\\:math")
        plain += [tag for tag in _MATH_TAGS if f"<{tag}" in mathematics]
        plain += [f"[{name}]" for name in _MATH_ATTRIBUTES if f"{name}=" in mathematics]
    if mathjax:
        rendered.append('[class*="MathJax"]')
    rendered.append("mjx-container, .mjx-chtml, .MJXc-display, .mjpage, table.ltx_eqn_table")
    if latex:
        rendered += ['[class*="katex"]'] * ("katex" in latex)
        plain += [f'[class*="{name}"]' for name in ("latex", "katex") if name in latex]
        plain += [f"[{name}]" for name in _LATEX_ATTRIBUTES if f"{name}=" in latex]
    if "ormula" in raw:
        plain.append('[class*="formula"], [data-formula]')
    if "quation" in raw:
        plain.append('[class*="equation"], [data-equation]')
    plain += [tag for tag in _OWN_TAGS if tree.tags(tag)]  # names that are not HTML's: free where the page has none
    plain.append(".tex, .MathTex, [tex], [data-tex], [data-expr]")
    return rendered, plain, prefix


def _around(raw: str, word: str) -> str:
    """The different surroundings in which a word stands in a page's source, a line each: few even where the word comes often."""
    pieces = raw.split(word)
    if len(pieces) == 1:
        return ""
    return "\n".join({f"{before[-_NEAR:]}{word}{after[:_NEAR]}" for before, after in pairwise(pieces)})


def _lift_element(lifter: _Lifter, node: LexborNode, prefix: str) -> None:
    attributes: Attributes = node.attributes
    tag = node.tag or ""
    names = (attributes.get("class") or "").split()
    rendered = tag in ("math", "mjx-container") or tag.endswith(":math") or not _RENDERED.isdisjoint(names)
    textual = tag in _TEXT_TAGS or not _TEXT_CLASSES.isdisjoint(names)
    offered = not ATTRIBUTE_NAMES.isdisjoint(attributes)
    if not (rendered or textual or offered or tag in ("script", "table") or "MathJax_Preview" in names) or lifter.is_gone(node):
        return
    if tag == "script":
        formula = script_formula(node, (attributes.get("type") or "").lower())
        if formula is not None:
            lifter.put(node, formula)
        return
    if tag == "table" and "ltx_eqn_table" in names:
        _lift_equation_table(lifter, node)
        return
    if rendered and lifter.give_up(node):
        return
    if rendered and tag != "math" and holds_several(node):
        lifter.wrappers += 1
        if lifter.wrappers > _WRAPPERS:
            lifter.unread.add(node.mem_id)
        return
    if (rendered or "MathJax_Preview" in names) and tag != "math" and _source_follows(node):
        lifter.drop(node)
        return
    formula = None
    if rendered or offered:
        formula = container_formula(node, attributes, prefix)
        if formula is None and rendered:
            lifter.unread.add(node.mem_id)
    if formula is None and textual and not rendered:
        formula = text_formula(node, attributes, names)
    if formula is not None:
        lifter.put(node, formula if formula.display else _displayed(node, formula))


def _displayed(node: LexborNode, formula: Formula) -> Formula:
    """Displayed where it is all there is in a block that displays: Wikipedia's `<dd>`, Sphinx' `div.math`, a centred paragraph."""
    before = node.prev
    if before is not None and _says_something(before):  # most formulas: a sentence goes before
        return formula
    parent = node.parent
    if parent is None or parent.tag not in _BLOCKS:
        return formula
    after = node.next
    for _ in range(_SIDES):
        if after is not None and _says_something(after):
            return formula
        before, after = before.prev if before is not None else None, after.next if after is not None else None
        if before is not None and _says_something(before):
            return formula
    return formula._replace(display=True) if before is None and after is None and _displays(parent) else formula


def _says_something(side: LexborNode) -> bool:
    """Whether what stands beside a formula is more than punctuation or the number of an equation."""
    text = side.text_content or side.text()
    return _WORDS.search(text) is not None and (len(text) > _LONGEST_NUMBER or _WORDS.search(_NUMBER.sub("", text)) is not None)


def _displays(block: LexborNode) -> bool:
    if block.tag in ("dd", "center"):
        return True
    attributes = block.attributes
    if block.tag != "td" and ((attributes.get("align") or "").lower() == "center" or _CENTRED.search(attributes.get("style") or "")):
        return True
    around = block.parent
    names = f"{attributes.get('class') or ''} {(around.attributes.get('class') or '') if around is not None else ''}"
    return not _DISPLAYING.isdisjoint(names.split())


def _source_follows(node: LexborNode) -> bool:
    """Whether the `<script type="math/...">` that an element was rendered from stands behind it."""
    following = node.next
    for _ in range(5):
        if following is None:
            return False
        if following.tag == "script":
            return (following.attributes.get("type") or "").startswith("math/")
        if following.is_text_node:
            if (following.text_content or "").strip():
                return False
        elif "mathjax" not in (following.attributes.get("class") or "").lower():
            return False
        following = following.next
    return False


def _lift_equation_table(lifter: _Lifter, table: LexborNode) -> None:
    """A LaTeXML table of equations: a paragraph for each row, its cells in order, its number behind them."""
    blocks: list[LexborNode] = []
    for row in table.css("tr")[:2000]:
        parts: list[Formula] = []
        inner: set[int] = set()
        for part in row.css(_ROW_PARTS)[:200]:
            parent = part.parent
            if any(
                up.mem_id in inner
                for up in (parent, parent.parent if parent else None, parent.parent.parent if parent and parent.parent else None)
                if up
            ):
                continue
            formula = container_formula(part, part.attributes)
            if formula is not None:
                inner.add(part.mem_id)
                parts.append(formula)
        if not parts:
            if row.text().strip():
                return  # a row that cannot be read: the table stays
            continue
        number = row.css_first(".ltx_tag_equation, .ltx_tag_equationgroup")
        blocks.append(_row_block(lifter, parts, number.text().strip() if number else ""))
    if not blocks:
        return
    whole = lifter.tree.create_node("div")
    for block in blocks:
        whole.insert_child(block)
    lifter.gone.add(table.mem_id)
    table.replace_with(whole)


def _row_block(lifter: _Lifter, parts: Sequence[Formula], number: str) -> LexborNode:
    marks = []
    for formula in parts:
        lifter.found.append(formula._replace(display=len(parts) == 1))
        marks.append(placeholder(len(lifter.found) - 1))
    block = lifter.tree.create_node("div")
    block.insert_child(" ".join([*marks, number]).strip())
    return block


_REST = 'img, sup, sub, var, .lazy-image-placeholder, .texhtml, .tex-span, span[class*="frac"]'
"""What is looked for on every page; one selection costs less than three."""
_WRITTEN = frozenset(("texhtml", "tex-span", "sfrac", "frac"))
_CODE_TAGS = frozenset(("pre", "code", "kbd", "samp", "tt"))
_VARIABLE = re.compile(r"(?:^|[\s({\d,])\\[a-z]{2,}|(?<![A-Za-z0-9_])[A-Za-z]_(?:\{|[A-Za-z0-9](?![A-Za-z0-9_]))")


def _lift_rest(lifter: _Lifter) -> None:
    """Images, formulas written in HTML, variables, and scripts that are left, in this order."""
    images: list[LexborNode] = []
    scripts: list[LexborNode] = []
    variables: list[LexborNode] = []
    written: list[LexborNode] = []
    for node in lifter.tree.css(_REST):
        tag = node.tag
        if tag == "img":
            images.append(node)
        elif tag in ("sup", "sub"):
            scripts.append(node)
        else:
            names = (node.attributes.get("class") or "").split()
            if not _WRITTEN.isdisjoint(names):
                written.append(node)
            elif tag == "var":
                variables.append(node)
            elif "lazy-image-placeholder" in names:
                images.append(node)
    _lift_images(lifter, images)
    _lift_written(lifter, written)
    _lift_variables(lifter, variables)
    lift_scripts([node for node in scripts if not lifter.is_gone(node)] if written else scripts, lifter.put, lifter.found)


def _lift_written(lifter: _Lifter, nodes: Sequence[LexborNode]) -> None:
    """Formulas written in HTML: Wikipedia's and Codeforces'."""
    unread = 0
    for node in nodes[:_MOST]:
        if lifter.is_gone(node):
            continue
        tex, _ = clean(html_formula(node))
        if tex:
            lifter.put(node, _displayed(node, Formula(tex, False, "superscript")))
            continue
        unread += 1
        if unread > _UNCHECKED:
            return


def _lift_variables(lifter: _Lifter, nodes: Sequence[LexborNode]) -> None:
    """AtCoder's `<var>`: on a page where one holds TeX, all are formulas; elsewhere they name what a program is given."""
    texts = [(node, (plain_text(node) or "").strip()) for node in nodes[:_MOST]]
    if not any(len(text) <= _LONGEST_VARIABLE and _VARIABLE.search(text) and is_tex(text) for _, text in texts):
        return
    for node, text in texts:
        if not text or not (is_tex(text, strict=False) or (len(text) <= _LONGEST_VARIABLE and not prose_words(text))):
            continue
        parent = node.parent
        if lifter.is_gone(node) or (
            parent is not None and (parent.tag in _CODE_TAGS or (parent.parent and parent.parent.tag in _CODE_TAGS))
        ):
            continue
        tex, _ = clean(text)
        if tex:
            lifter.put(node, Formula(tex, False, "attribute"))


def _lift_images(lifter: _Lifter, nodes: Sequence[LexborNode]) -> None:
    last = ""
    for node in nodes[:_MOST]:
        attributes = node.attributes
        if not (attributes.get("alt") or attributes.get("src") or attributes.get("title") or attributes.get("data-alt")) or lifter.is_gone(
            node
        ):
            continue
        formula = image_formula(attributes)
        if formula is None:
            last = ""
            continue
        parent = node.parent
        if parent is not None and parent.tag == "noscript" and formula.tex == last:
            lifter.drop(parent)  # the copy of a lazily loaded image
            continue
        last = formula.tex
        lifter.put(node, _displayed(node, formula))


_LINES = re.compile(r"\s*\n\s*")
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_TOUCHING = re.compile(f"{CLOSE}(?={OPEN})")


def _escaped(text: str) -> str:
    """The text with a backslash before each dollar that has none (an even number of them is none)."""
    *pieces, last = text.split("$")
    return "".join(piece + ("$" if (len(piece) - len(piece.rstrip("\\"))) % 2 else "\\$") for piece in pieces) + last


def spell(text: str, found: Sequence[Formula]) -> str:
    """The text with formulas as `$...$` and `$$...$$`; in a text that has some, other dollars are escaped."""
    if OPEN not in text:
        return text

    def written(mark: re.Match[str]) -> str:
        index = int(mark[1])
        if index >= len(found):
            return ""
        formula = found[index]
        if formula.display:
            return "$$" + _BLANK_LINES.sub("\n", formula.tex) + "$$"
        return "$" + _LINES.sub(" ", formula.tex) + "$"

    if "$" in text and PLACEHOLDER.search(text):
        text = _escaped(text)
    text = PLACEHOLDER.sub(written, _TOUCHING.sub(f"{CLOSE} ", text))
    return text.replace(OPEN, "").replace(CLOSE, "")
