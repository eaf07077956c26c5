"""Formulas that MathJax rendered, to TeX: CommonHTML and SVG of version 3, CommonHTML and HTML-CSS of version 2.

For pages saved after rendering, where neither source nor assistive MathML is left. The renderer's elements still are the MathML
(`mjx-msup`, `class="mjx-msubsup"`, `data-mml-node="mfrac"`); characters stand in class names (`mjx-c1D465`), `data-c` attributes or as
text; where only positions tell a superscript from a subscript, they do. Version 2 keeps the author's `alttext` as `aria-label`, which is
TeX when LaTeXML wrote the page: what looks like TeX there is taken as it is; version 4 keeps the TeX in `data-latex`. SVG of version 2
has no names and is not read.
"""

import re
from collections.abc import Callable

from selectolax.lexbor import LexborNode

from data_pipeline.formulas.notations.mathml_elements import Element, names
from data_pipeline.formulas.notations.rendered_glyphs import classes, delimiter, element, finished, letters, row, style_length, tree_of

_CODE = re.compile(r"\bmjx-c([0-9A-F]{2,6})\b")
_TRANSLATE = re.compile(r"translate\(\s*(-?[0-9.]{1,12})[ ,]+(-?[0-9.]{1,12})\s*\)")
_TOKENS = frozenset({"mi", "mo", "mn", "mtext", "ms"})
_ROWS = frozenset({"mrow", "texatom", "mstyle", "mpadded", "math", "mphantom", "merror", "semantics", "inferredmrow", "mathchoice"})
_LAYOUT = names(
    "mfrac msub msup msubsup munder mover munderover msqrt mroot mtable mtr mlabeledtr mtd mspace menclose mmultiscripts mfenced"
)
_KNOWN = _TOKENS | _ROWS | _LAYOUT
_FONTS = (
    ("cal", "script"), ("script", "script"), ("frak", "fraktur"), ("ams", "double-struck"), ("double-struck",
    "double-struck"), ("sans", "sans-serif"),
    ("type", "monospace"), ("typewriter", "monospace"), ("math-bi", "bold-italic"), ("main-bi", "bold-italic"), ("main-b", "bold"),
    ("math-i", "italic"), ("math-italic", "italic"), ("main-i", "italic"), ("general-bold", "bold"), ("general-italic", "italic"),
    ("main-r", "normal"), ("main", "normal"), ("tex-n", "normal"), ("mjx-n", "normal"), ("mjx-b", "bold"), ("mjx-i", "italic"),
)  # fmt: skip
_SKIPPED = names(
    "mjx-assistive-mml mjx-nstrut mjx-dstrut mjx-tstrut mjx-strut mjx-line mjx-surd mjx-spacer mjx-mark mjx-vsize"
    " mjx-block-strut mjx_assistive_mathml"
    " defs title desc script style mjx-speech mjx-tool mjx-tip"
)


def chtml_to_tex(node: LexborNode) -> str:
    """The TeX of a formula that MathJax rendered: `mjx-container`, `span.MathJax`, `span.mjx-chtml`, or something around one of them."""
    tree = tree_of(node)
    if tree is None:
        return ""
    return _label_text(tree) or _rebuilt(tree)


def glyphs_to_tex(node: LexborNode) -> str:
    """The same from the glyphs alone, labels not looked at."""
    tree = tree_of(node)
    return _rebuilt(tree) if tree is not None else ""


def _rebuilt(tree: Element) -> str:
    try:
        return finished(element("math", _Reader().children(tree)))
    except RecursionError:
        return ""


def _label_text(tree: Element) -> str:
    """The author's TeX where the renderer kept it: version 4 in `data-latex`, version 2 as the label of the formula."""
    pending = [tree]
    for _ in range(12):
        if not pending:
            break
        at = pending.pop()
        source = at.attributes.get("data-latex", "").strip()
        if source and (at.tag == "mjx-math" or at.attributes.get("data-mml-node") == "math"):
            return source
        text = at.attributes.get("aria-label", "").strip()
        if text and ("mjx-math" in classes(at) or "math" in classes(at)) and any(mark in text for mark in "\\^_{="):
            return text.replace("%\n", "").removeprefix("\\displaystyle").strip()
        pending.extend(at.children[:2])
    return ""


def _name(node: Element) -> str:
    """The MathML name of a rendered element; "" for what only positions things, "-" for what is not part of the formula."""
    data = node.attributes.get("data-mml-node")
    if data:
        return data.lower()
    names = classes(node)
    if node.tag in _SKIPPED or any(name.lower() in _SKIPPED for name in names):
        return "-"
    if node.tag.startswith("mjx-"):
        return node.tag[4:] if node.tag[4:] in _KNOWN else ""
    for name in names:
        bare = name.removeprefix("mjx-").lower()
        if bare in _KNOWN and (name.startswith("mjx-") or name == bare):
            return bare
    return ""


class _Reader:
    """Reads one formula; holds nothing."""

    def children(self, node: Element) -> list[Element]:
        """The MathML elements inside a node."""
        found: list[Element] = []
        for child in node.children:
            found.extend(self.read(child))
        return found

    def read(self, node: Element) -> list[Element]:
        name = _name(node)
        if name == "-":
            return []
        if name in _TOKENS:
            return [self.token(name, node)]
        handler = _READERS.get(name)
        if handler is not None:
            return handler(self, node)
        if not name and not node.children and (text := _glyphs(node)):
            return [letters(text, _font(node))]
        inside = self.children(node)
        return [row(inside)] if inside and name in ("texatom", "mrow") and len(inside) > 1 else inside

    def token(self, name: str, node: Element) -> Element:
        text = _glyphs(node)
        if name == "mtext":
            font = _font(node)
            return element("mtext", text=text, attributes={"mathvariant": font} if font not in ("", "normal") else {})
        if name == "mo":
            return element(
                "mo", text=delimiter(text) if _stretched(node) else text, attributes={} if _stretched(node) else {"stretchy": "false"}
            )
        font = _font(node)
        plain = text.isascii() and text.isalpha()
        if font in ("", "italic") or (font == "normal" and not (name == "mi" and plain)) or (font == "double-struck" and not plain):
            return element(name, text=text)
        return element(name, text=text, attributes={"mathvariant": font})

    def part(self, node: Element, *names: str) -> Element:
        """The part of a layout element whose class or tag is one of `names`, as one element."""
        found = _descendant(node, names)
        return row(self.children(found)) if found is not None else element("mrow")

    def scripts(self, node: Element) -> list[Element]:
        """msub, msup, msubsup of every renderer."""
        if "data-mml-node" in node.attributes:
            return [self.placed(node, "msub", "msup", "msubsup")]
        if any(child.tag == "mjx-script" for child in node.children):
            return [self.scripts_v3(node)]
        if _descendant(node, ("mjx-base",)) is not None:
            sub, sup = _descendant(node, ("mjx-sub",)), _descendant(node, ("mjx-sup",))
            return [
                _scripted(self.part(node, "mjx-base"), row(self.children(sub)) if sub else None, row(self.children(sup)) if sup else None)
            ]
        return [self.positioned(node, "msub", "msup", "msubsup")]

    def scripts_v3(self, node: Element) -> Element:
        script = next(child for child in node.children if child.tag == "mjx-script")
        base = row([item for child in node.children if child is not script for item in self.read(child)])
        parts = [row(self.read(child)) for child in script.children if _name(child) != "-"]
        name = _name(node)
        if len(parts) == 2:
            return element("msubsup", [base, parts[1], parts[0]])
        below = name in ("msub", "munder") or (name in ("msubsup", "munderover") and (style_length(script, "vertical-align") or 0) < 0)
        return element("msub" if below else "msup", [base, *(parts or [element("mrow")])])

    def fraction(self, node: Element) -> list[Element]:
        if "data-mml-node" in node.attributes:
            parts = sorted((-_height(child), index, child) for index, child in enumerate(node.children) if child.tag == "g")
            drawn = any(child.tag == "rect" for child in node.children)
            above, below = (
                (row(self.read(part[2])) for part in (parts[0], parts[-1])) if len(parts) > 1 else (element("mrow"), element("mrow"))
            )
        elif _descendant(node, ("mjx-num", "mjx-numerator")) is not None:
            above, below = self.part(node, "mjx-num", "mjx-numerator"), self.part(node, "mjx-den", "mjx-denominator")
            drawn = _descendant(node, ("mjx-line",)) is not None
        else:
            parts_ = self.levels(node)
            above, below = (parts_[0], parts_[-1]) if len(parts_) > 1 else (row(parts_), element("mrow"))
            drawn = True
        return [element("mfrac", [above, below], attributes={} if drawn else {"linethickness": "0"})]

    def levels(self, node: Element) -> list[Element]:
        """Version 2 HTML-CSS: the absolutely placed parts of a fraction or stack, from the top down."""
        placed = [(top, index, child) for index, (top, child) in enumerate(_positioned(node))]
        return [row(inside) for _, _, child in sorted(placed, key=lambda part: part[:2]) if (inside := self.children(child))]

    def positioned(self, node: Element, under: str, over: str, both: str) -> Element:
        """Version 2 HTML-CSS: a base and what stands higher or lower than it."""
        parts = [(top, row(inside)) for top, child in _positioned(node) if (inside := self.children(child))]
        if not parts:
            return row(self.children(node))
        top, base = parts[0]
        above = next((part for at, part in parts[1:] if at < top), None)
        below = next((part for at, part in parts[1:] if at >= top), None)
        return _scripted(base, below, above, under, over, both)

    def placed(self, node: Element, under: str, over: str, both: str) -> Element:
        """SVG: a base and what is moved up or down from it."""
        parts = [(_height(child), row(inside)) for child in node.children if (inside := self.read(child))]
        if not parts:
            return element("mrow")
        level, base = parts[0]
        above = next((part for at, part in parts[1:] if at > level), None)
        below = next((part for at, part in parts[1:] if at <= level), None)
        return _scripted(base, below, above, under, over, both)

    def limits(self, node: Element) -> list[Element]:
        if "data-mml-node" in node.attributes:
            return [self.placed(node, "munder", "mover", "munderover")]
        if any(child.tag == "mjx-script" for child in node.children):
            return [self.scripts_v3(node)]
        over = _descendant(node, ("mjx-over",))
        under = _descendant(node, ("mjx-under",))
        if over is None and under is None:
            return [self.positioned(node, "munder", "mover", "munderover")]
        base = _descendant(node, ("mjx-op", "mjx-base"))
        kernel = row(self.children(base)) if base is not None else element("mrow")
        below = row(self.children(under)) if under is not None else None
        above = row(self.children(over)) if over is not None else None
        return [_scripted(kernel, below, above, "munder", "mover", "munderover")]

    def root(self, node: Element) -> list[Element]:
        index = _descendant(node, ("mjx-root",))
        box = _descendant(node, ("mjx-box",))
        if box is not None:
            inside = row(self.children(box))
        elif "data-mml-node" in node.attributes:
            parts = [
                child
                for child in node.children
                if child.tag == "g" and not (_name(child) == "mo" and _glyphs(child).startswith(("√", "⎷")))
            ]
            inside = row(self.read(parts[0])) if parts else element("mrow")
            if len(parts) > 1:
                return [element("mroot", [inside, row(self.read(parts[1]))])]
        else:
            parts_ = [
                row(content)
                for _, child in _positioned(node)
                if (content := self.children(child)) and not _glyphs(child).startswith(("√", "⎷"))
            ]
            inside = parts_[0] if parts_ else element("mrow")
            if _name(node) == "mroot" and len(parts_) > 1:
                return [element("mroot", [inside, parts_[-1]])]
        if index is not None:
            return [element("mroot", [inside, row(self.children(index))])]
        return [element("msqrt", [inside])]

    def table(self, node: Element) -> list[Element]:
        rows = _all(node, ("mtr", "mlabeledtr"))
        if rows:
            made = [element("mtr", [self.cell(cell) for cell in _all(each, ("mtd",))]) for each in rows]
        else:
            made = self.columns(node)
        align = node.attributes.get("columnalign") or node.attributes.get("data-columnalign", "")
        return [element("mtable", made, attributes={"columnalign": align} if align else {})]

    def cell(self, node: Element) -> Element:
        """A cell with the alignment that its style gives it."""
        style = node.attributes.get("style", "").replace(" ", "")
        align = next((side for side in ("left", "right") if f"text-align:{side}" in style), "")
        return element("mtd", self.children(node), attributes={"columnalign": align} if align else {})

    def columns(self, node: Element) -> list[Element]:
        """Version 2 HTML-CSS sets tables by columns: cells stand beside each other by their place in a column."""
        parts = [child for _, child in _positioned(node)]
        columns = [_all(child, ("mtd",)) for child in parts]
        if len({style_length(child, "left") for child in parts}) == 1:
            columns = [[cell for column in columns for cell in column]]
        columns = [column for column in columns if column]
        height = max(map(len, columns), default=0)
        return [
            element("mtr", [element("mtd", self.children(column[index]) if index < len(column) else []) for column in columns])
            for index in range(height)
        ]

    def space(self, node: Element) -> list[Element]:
        width = style_length(node, "width") or style_length(node, "margin-right") or 0.0
        return [element("mspace", attributes={"width": f"{width:.3f}em"})] if width >= 0.9 else []

    def phantom(self, _node: Element) -> list[Element]:
        return []

    def error(self, node: Element) -> list[Element]:
        return [] if "error" in _glyphs(node) else self.children(node)


def _scripted(
    base: Element, below: Element | None, above: Element | None, under: str = "msub", over: str = "msup", both: str = "msubsup"
) -> Element:
    if below is not None and above is not None:
        return element(both, [base, below, above])
    if below is not None:
        return element(under, [base, below])
    return element(over, [base, above]) if above is not None else base


def _descendant(node: Element, names: tuple[str, ...]) -> Element | None:
    """The first element with one of these tags or classes that belongs to `node` itself and not to a formula part inside it."""
    pending = list(reversed(node.children))
    while pending:
        at = pending.pop()
        marks = (at.tag, *classes(at))
        if any(mark in names for mark in marks):
            return at
        inner = node.tag == "mjx-munderover" and at.tag in ("mjx-munder", "mjx-mover")
        if inner or (_name(at) == "" and not any(mark in _PARTS for mark in marks)):
            pending.extend(reversed(at.children))
    return None


_PARTS = names("mjx-over mjx-under mjx-base mjx-op mjx-sub mjx-sup mjx-num mjx-den mjx-numerator mjx-denominator mjx-script mjx-root")


def _all(node: Element, names: tuple[str, ...]) -> list[Element]:
    """The elements of these MathML names nearest to `node`."""
    found: list[Element] = []
    pending = list(reversed(node.children))
    while pending:
        at = pending.pop()
        if _name(at) in names:
            found.append(at)
        elif _name(at) == "":
            pending.extend(reversed(at.children))
    return found


def _positioned(node: Element) -> list[tuple[float, Element]]:
    """Version 2 HTML-CSS: the parts of a layout element with their `top`, in their order."""
    at = node
    for _ in range(3):
        parts = [(top, child) for child in at.children if (top := style_length(child, "top")) is not None]
        if len(parts) > 1 or len(at.children) != 1:
            return parts or [(0.0, child) for child in at.children if "position: absolute" in child.attributes.get("style", "")]
        at = at.children[0]
    return [(0.0, at)]


def _height(node: Element) -> float:
    match = _TRANSLATE.search(node.attributes.get("transform", ""))
    return float(match[2]) if match and match[2].count(".") < 2 and match[2] not in ("-", ".", "-.") else 0.0


def _glyphs(node: Element) -> str:
    """The characters of a token: text, code points in class names, or in `data-c`."""
    found: list[str] = []
    pending: list[Element | str] = [node]
    while pending:
        at = pending.pop()
        if isinstance(at, str):
            found.append(at.strip("\n\t ") if at != "\u00a0" else at)
            continue
        if at.tag in _SKIPPED:
            continue
        code = at.attributes.get("data-c", "")
        if not code and at.tag.startswith("mjx-"):
            match = _CODE.search(at.attributes.get("class", ""))
            code = match[1] if match else ""
        if 0 < len(code) <= 6 and all(char in "0123456789ABCDEFabcdef" for char in code) and 0x1F < int(code, 16) < 0x110000:
            found.append(chr(int(code, 16)))
            continue
        pending.extend(reversed(at.text))
    return "".join(found)


def _stretched(node: Element) -> bool:
    """Whether an operator was drawn larger than its line: from pieces, or in a size font."""
    pending = [node]
    for _ in range(40):
        if not pending:
            break
        at = pending.pop()
        mark = at.attributes.get("class", "")
        if at.tag in ("mjx-stretchy-v", "mjx-stretchy-h") or "mjx-delim" in mark or "-size" in mark or "TEX-S" in mark:
            return True
        if "Size" in at.attributes.get("style", "") or (at.tag == "use" and "-S" in at.attributes.get("href", "")):
            return True
        pending.extend(at.children)
    return False


def _font(node: Element) -> str:
    """The mathvariant of a token, from the font classes of its glyphs."""
    pending = [node]
    for _ in range(6):
        if not pending:
            break
        at = pending.pop()
        mark = f"{at.attributes.get('class', '')} {at.attributes.get('style', '')}".lower()
        if "font-weight: bold" in mark or "font-weight:bold" in mark:
            return "bold"
        if "tex-" in mark or "mathjax_" in mark or "stixgeneral" in mark or "mjx-n" in mark or "mjx-b" in mark:
            for part, variant in _FONTS:
                if part in mark:
                    return variant
        pending.extend(at.children[:1])
    return ""


_READERS: dict[str, Callable[[_Reader, Element], list[Element]]] = {
    "msub": _Reader.scripts, "msup": _Reader.scripts, "msubsup": _Reader.scripts, "mfrac": _Reader.fraction, "munder": _Reader.limits,
    "mover": _Reader.limits, "munderover": _Reader.limits, "msqrt": _Reader.root, "mroot": _Reader.root, "mtable": _Reader.table,
    "mspace": _Reader.space, "mphantom": _Reader.phantom, "merror": _Reader.error,
}  # fmt: skip
