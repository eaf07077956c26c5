"""Formulas that KaTeX rendered, to TeX, for pages that lost the annotation: `span.katex-html` and what is in it.

KaTeX's spans name classes of atoms (`mord`, `mbin`, `mop`), fonts (`mathbf`), and stacks (`vlist`) whose children stand at heights
given by `top`; the document order of a stack is not that of reading. Stacks are sorted by height: a script is above or below, a
fraction its numerator and denominator. The result is rebuilt as MathML and converted. Colours, sizes and spaces under a quad are lost,
as is the difference between commands that draw alike (`\\to` and `\\rightarrow`).
"""

from selectolax.lexbor import LexborNode

from data_pipeline.formulas.notations.mathml_elements import Element
from data_pipeline.formulas.notations.rendered_glyphs import classes, delimiter, element, finished, letters, row, style_length, tree_of

_FONTS = {
    "mathbf": "bold", "textbf": "bold", "boldsymbol": "bold", "mathbb": "double-struck", "mathcal": "script", "mathscr": "script",
    "mathfrak": "fraktur", "mathrm": "normal", "mathsf": "sans-serif", "textsf": "sans-serif", "mathtt": "monospace", "texttt": "monospace",
    "mathit": "italic", "textit": "italic", "amsrm": "",
}  # fmt: skip
_NOTHING = frozenset({"strut", "pstrut", "vlist-s", "nulldelimiter", "katex-mathml", "frac-line", "overline-line",
    "underline-line", "hide-tail", "arraycolsep",
                      "vertical-separator", "hline", "tag"})  # fmt: skip
_ACCENTS = {"ˆ": "^", "^": "^", "˜": "~", "~": "~", "ˉ": "¯", "¯": "¯", "⃗": "→", "→": "→", "˙": "˙", "¨": "¨", "ˇ": "ˇ",
    "˘": "˘", "´": "´", "ˊ": "´", "ˋ": "`", "`": "`", "˚": "˚"}  # fmt: skip
_STRETCHED = {
    "overbrace": "⏞", "underbrace": "⏟", "overrightarrow": "→", "overleftarrow": "←", "widehat": "^", "widetilde": "~", "xrightarrow": "→",
    "xleftarrow": "←", "brace-left": "⏞",
}  # fmt: skip


def katex_html_to_tex(node: LexborNode) -> str:
    """The TeX of rendered KaTeX: `span.katex-html`, `span.katex` or something around them."""
    tree = tree_of(node)
    if tree is None:
        return ""
    try:
        return finished(element("math", _read_all(tree.children)))
    except RecursionError:
        return ""


def _read_all(nodes: list[Element]) -> list[Element]:
    """A row: script stacks attach to what stands before them, letters of a number or a name become one token."""
    found: list[Element] = []
    for node in nodes:
        names = classes(node)
        if "msupsub" in names:
            base = found.pop() if found else element("mrow")
            found.append(_scripts(base, node))
            continue
        for item in _read(node, names):
            before = found[-1] if found else None
            if before is not None and item.tag == before.tag == "mn" and item.attributes == before.attributes:
                before.text.extend(item.text)
            else:
                found.append(item)
    return found


def _read(node: Element, names: list[str]) -> list[Element]:
    if _NOTHING.intersection(names) or node.tag in ("svg", "math", "annotation", "style", "script"):
        return []
    if "mspace" in names:
        width = style_length(node, "margin-right") or style_length(node, "width") or 0.0
        return [element("mspace", attributes={"width": f"{width:.3f}em"})] if width >= 0.9 else []
    if "mfrac" in names:
        return [_fraction(node)]
    if "sqrt" in names:
        return [_root(node)]
    if "accent" in names and _stacked_rows(node):
        return [_accent(node)]
    if "mtable" in names:
        return [_table(node)]
    if "delimsizing" in names or "delim-size1" in names or "delim-size4" in names:
        return [element("mo", text=delimiter(_glyph_text(node)))]
    if "text" in names:
        return [_words(node, names)]
    if _is_line(node, "underline"):
        return [element("munder", [row(_read_all(_parts(node))), element("mo", text="_")])]
    if _is_line(node, "overline"):
        return [element("mover", [row(_read_all(_parts(node))), element("mo", text="¯")])]
    if ("op-limits" in names or "mover" in names or "munder" in names or "x-arrow" in names) and len(_stacked_rows(node)) > 1:
        return [_limits(node)]
    return _plain_elements(node, names)


def _plain_elements(node: Element, names: list[str]) -> list[Element]:
    """An atom: its glyphs, or the row inside it."""
    text = "".join(part for part in node.text if isinstance(part, str)).strip("\u200b \n\t")
    if not node.children:
        return [_glyph(text, names)] if text else []
    if text and "mop" in names:
        return [element("mi", text=text)]
    if "mop" in names and all(
        "mathrm" in classes(child) or "mord" in classes(child) or "mspace" in classes(child) for child in node.children
    ):
        name = _glyph_text(node)
        if name.isascii() and name.isalpha():
            return [element("mi", text=name)]
    inside = _read_all(node.children)
    return [row(inside)] if len(inside) > 1 and "minner" in names else inside


def _glyph(text: str, names: list[str]) -> Element:
    font = next((_FONTS[name] for name in names if name in _FONTS), "")
    if "mopen" in names or "mclose" in names or "mbin" in names or "mrel" in names or "mpunct" in names:
        return element("mo", text=text, attributes={"stretchy": "false"} if "mopen" in names or "mclose" in names else {})
    if "op-symbol" in names:
        return element("mo", text=text)
    italic = "mathnormal" in names or "mathdefault" in names  # the latter up to KaTeX 0.12
    if text.isalpha() and not italic and not font and len(text) == 1 and "mop" not in names:
        font = "" if not text.isascii() else "normal"
    return letters(text, font)


def _words(node: Element, names: list[str]) -> Element:
    inner = [name for child in node.children for name in classes(child)]
    font = next((_FONTS[name] for name in [*names, *inner] if name in _FONTS), "normal")
    return element("mtext", text=_glyph_text(node).replace("\u00a0", " "), attributes={"mathvariant": font})


def _glyph_text(node: Element) -> str:
    """All characters under a node in document order, without KaTeX's own marks."""
    found: list[str] = []
    pending: list[Element | str] = [node]
    while pending:
        at = pending.pop()
        if isinstance(at, str):
            found.append(at)
        elif not _NOTHING.intersection(classes(at)) and at.tag != "svg":
            pending.extend(reversed(at.text))
    return "".join(found).replace("\u200b", "").strip("\n\t ")


def _stacked_rows(node: Element) -> list[tuple[float, Element]]:
    """The parts of the nearest stack under a node with their heights, the highest first."""
    pending = list(reversed(node.children))
    while pending:
        at = pending.pop()
        if "vlist" in classes(at):
            parts = [(top, child) for child in at.children if (top := style_length(child, "top")) is not None]
            return sorted(parts, key=lambda part: part[0])
        if "vlist-t" in classes(at) or "vlist-r" in classes(at) or at is node or not _is_part(at):
            pending.extend(reversed(at.children))
    return []


def _is_part(node: Element) -> bool:
    """Whether a node is a formula part of its own, whose stacks are not those of its parent."""
    return any(name in ("mfrac", "msupsub", "sqrt", "accent", "mtable", "mord", "mop", "mbin", "mrel") for name in classes(node))


def _parts(node: Element) -> list[Element]:
    """Contents of the parts of a stack, the lines and struts left out."""
    return [child for _, part in _stacked_rows(node) for child in part.children if not _NOTHING.intersection(classes(child))]


def _scripts(base: Element, node: Element) -> Element:
    parts = [(top, row(inside)) for top, part in _stacked_rows(node) if (inside := _read_all(part.children))]
    if not parts:
        return base
    if len(parts) > 1:
        return element("msubsup", [base, parts[-1][1], parts[0][1]])
    lowered = any("vlist-t2" in classes(child) for child in node.children)
    return element("msub" if lowered else "msup", [base, parts[0][1]])


def _fraction(node: Element) -> Element:
    stack = _stacked_rows(node)
    drawn = any("frac-line" in classes(child) for _, part in stack for child in part.children)
    parts = [row(_read_all(part.children)) for _, part in stack if not any("frac-line" in classes(child) for child in part.children)]
    if len(parts) < 2:
        return row(parts)
    return element("mfrac", [parts[0], parts[-1]], attributes={} if drawn else {"linethickness": "0"})


def _root(node: Element) -> Element:
    index = next((child for child in node.children if "root" in classes(child)), None)
    body = Element("span")
    body.children = [child for child in node.children if child is not index]
    inside = [
        item
        for _, part in _stacked_rows(body)
        if not any("hide-tail" in classes(child) or child.tag == "svg" for child in part.children)
        for item in _read_all(part.children)
    ]
    if index is not None:
        degree = [item for _, part in _stacked_rows(index) for item in _read_all(part.children)]
        return element("mroot", [row(inside), row(degree)])
    return element("msqrt", inside)


def _accent(node: Element) -> Element:
    base: list[Element] = []
    mark = ""
    for _, part in _stacked_rows(node):
        body = next((child for child in part.children if "accent-body" in classes(child)), None)
        stretched = next((name for child in part.children for name in classes(child) if name in ("svg-align", "stretchy")), None)
        if body is not None:
            mark = _ACCENTS.get(_glyph_text(body), "") or ("→" if _has_svg(body) else _glyph_text(body)[:1])
        elif stretched is not None and not mark:
            mark = _wide(part)
        else:
            base.extend(_read_all(part.children))
    return element("mover", [row(base), element("mo", text=mark or "^")])


def _has_svg(node: Element) -> bool:
    pending = [node]
    for _ in range(8):
        if pending:
            at = pending.pop()
            if at.tag == "svg" or "overlay" in classes(at):
                return True
            pending.extend(at.children)
    return False


def _wide(part: Element) -> str:
    """The stretched mark that a part draws; braces are drawn in three pieces."""
    pending = [part]
    for _ in range(12):
        if not pending:
            break
        at = pending.pop()
        for name in classes(at):
            if name in _STRETCHED:
                return _STRETCHED[name]
        pending.extend(at.children)
    return ""


def _limits(node: Element) -> Element:
    """A large operator, a brace or an arrow with what stands over and under it."""
    parts = _stacked_rows(node)
    kernel = next((index for index, (_, part) in enumerate(parts) if _has_class(part, ("mop", "op-symbol"))), None)
    brace = next((index for index, (_, part) in enumerate(parts) if _wide(part)), None)
    if kernel is None and brace is not None:
        return _braced(parts, brace, "munder" in classes(node))
    if kernel is None:
        kernel = len(parts) - 1 if "mover" in classes(node) else 0
    base = row(_read_all(parts[kernel][1].children))
    above = [item for _, part in parts[:kernel] for item in _read_all(part.children)]
    below = [item for _, part in parts[kernel + 1 :] for item in _read_all(part.children)]
    if above and below:
        return element("munderover", [base, row(below), row(above)])
    if below:
        return element("munder", [base, row(below)])
    return element("mover", [base, row(above)]) if above else base


def _braced(parts: list[tuple[float, Element]], brace: int, under: bool) -> Element:
    rest = [row(inside) for index, (_, part) in enumerate(parts) if index != brace and (inside := _read_all(part.children))]
    mark = element("mo", text=("⏟" if under else "⏞") if _wide(parts[brace][1]) in "⏞⏟" else _wide(parts[brace][1]))
    if not rest:
        return mark
    if mark.text[0] in ("→", "←") and len(rest) == 1 and not under and "x-arrow" in " ".join(classes(parts[brace][1])):
        return element("mover", [mark, rest[0]])
    return element("munder" if under else "mover", [rest[0] if under else rest[-1], mark])


def _has_class(node: Element, names: tuple[str, ...]) -> bool:
    pending = [node]
    for _ in range(4):
        if not pending:
            break
        at = pending.pop()
        if any(name in names for name in classes(at)):
            return True
        pending.extend(child for child in at.children if "pstrut" not in classes(child))
    return False


def _table(node: Element) -> Element:
    """KaTeX sets tables by columns: each is a stack of cells."""
    columns: list[list[Element]] = []
    aligns: list[str] = []
    for column in node.children:
        name = next((name for name in classes(column) if name.startswith("col-align-")), "")
        if name:
            columns.append([element("mtd", _read_all(part.children)) for _, part in _stacked_rows(column)])
            aligns.append({"l": "left", "r": "right"}.get(name[-1], "center"))
    height = max(map(len, columns), default=0)
    rows = [element("mtr", [column[index] if index < len(column) else element("mtd") for column in columns]) for index in range(height)]
    return element("mtable", rows, attributes={"columnalign": " ".join(aligns)})


def _is_line(node: Element, name: str) -> bool:
    """Whether a node is `\\overline` or `\\underline`."""
    return name in classes(node) and any(f"{name}-line" in classes(child) for _, part in _stacked_rows(node) for child in part.children)
