"""The formula that one element of a page holds: which source of it is the best, and whether it is displayed.

The order of preference is the order of faithfulness: TeX that the author wrote (a `script`, an annotation, an attribute, an `alttext`),
then structure that can be turned into TeX without loss (MathML), then an image's alt text, then what a renderer made of it (KaTeX spans,
MathJax glyphs). The first that gives something wins and the rest of the element is dropped, so a formula is there exactly once.

Nothing here changes the tree; `lifted_elements.py` does. Content of attributes and elements that merely may be TeX (`data-math`,
`class="math"`) must look like it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from selectolax.lexbor import LexborNode

from data_pipeline.formulas.formula import Formula, clean, undelimit
from data_pipeline.formulas.html_formulas import html_formula
from data_pipeline.formulas.image_formulas import image_formula
from data_pipeline.formulas.notations.asciimath import asciimath_to_tex
from data_pipeline.formulas.notations.katex_glyphs import katex_html_to_tex
from data_pipeline.formulas.notations.mathjax_glyphs import chtml_to_tex
from data_pipeline.formulas.notations.mathml import mathml_string_to_tex, mathml_to_tex
from data_pipeline.formulas.notations.tex_text import LONGEST, is_tex, prose_words
from data_pipeline.formulas.tex_commands import is_private

Attributes = Mapping[str, str | None]

TEX_ATTRIBUTES = (
    "data-tex", "data-latex", "data-katex", "data-equation", "data-math", "data-formula", "data-expr", "data-value",
    "data-asciimath", "data-mathml", "latex", "tex",
)  # fmt: skip
ATTRIBUTE_NAMES = frozenset(TEX_ATTRIBUTES)
_SURE_ATTRIBUTES = frozenset(("data-tex", "data-latex", "data-katex"))
TEXT_CLASSES = (
    "math", "tex", "latex", "mathjax", "math-container", "math-tex", "math-inline", "math-display", "math-block", "inline-math",
    "display-math", "inline-formula", "inline-equation", "display-formula", "disp-formula", "formula", "equation", "katex-src",
    "katex-eq", "wp-katex-eq", "mathjax-tex", "mathjax_process", "process-math", "arithmatex", "kdmath", "tex2jax_process",
    "MathTex", "mathtex", "language-math", "js-inline-math", "js-display-math", "notion-equation", "mathjaxEqu", "mathJaxEqu",
    "asciimath", "equation-text", "reqn", "mathquill-embedded-latex", "mathquill-static-math",
    "katex-error", "latex-rendered",
)  # fmt: skip
TEXT_TAGS = (
    "tex", "latex", "d-math", "mathjax", "katex", "formula", "tex-math", "math-field", "math-renderer", "la-tex", "anki-mathjax",
    "amp-mathml", "md-math", "md-latex", "asciimath", "x-equation", "eq", "eqn", "inline-math", "math-inline",
)  # fmt: skip
_SURE_CLASSES = frozenset(("katex-eq", "wp-katex-eq", "math-tex", "math-container", "arithmatex", "katex-src", "katex-error"))
_PANDOC_CLASSES = frozenset(("math", "inline", "display"))
_HTML_CLASSES = frozenset(("math", "equation", "formula"))
_RELATED = re.compile(r"[=^_]")
_DISPLAY = re.compile(
    r"(?:^|[\s_-])(?:display|Display|DisplayMath|block|displaymath|displayed|disp|gather|eqn_table|katex-display|mathjax-block)(?=$|[\s_-])|_Display|mjpage__block|DisplayMath|MJXc-display"
)
_INLINE = re.compile(r"(?:^|[\s_-])inline(?:$|[\s_-])", re.I)
_MARK = re.compile(r"\n[ \t]*\n")
_DOCUMENT = re.compile(r"\\begin\{document\}(.{1,20000}?)\\end\{document\}", re.S)
_RENDERED_FAMILIES = frozenset(("mathml", "katex", "mathjax"))
_SPACED_SIGN = re.compile(r" ([=<>+-]) ")
_FAILED = re.compile(r"\\(?:backslash|textbackslash)(?![A-Za-z])|\\(?:text|mathrm|mathtt)\{\s*\\")
"""What a renderer writes for a command that it does not know."""
_GLYPHS = 'mjx-math, svg, [class*="mjx-"], [class*="MJX"], .mi, .mo, .mn, nobr'
_PARTS = 40


def script_formula(node: LexborNode, kind: str) -> Formula | None:
    """The formula of a `<script type="math/...">`."""
    text = node.text()
    if len(text) > LONGEST:
        return None
    display = "mode=display" in kind.replace(" ", "")
    if "asciimath" in kind:
        return _formula_of(asciimath_to_tex(text), display, "asciimath")
    if "mml" in kind or "mathml" in kind:
        return _formula_of(mathml_string_to_tex(text), display or 'display="block"' in text[:300], "mathml")
    return _formula_of(text, display, "script")


def _formula_of(tex: str | None, display: bool, family: str) -> Formula | None:
    tex, said = clean(tex or "")
    return Formula(tex, display or bool(said), family) if tex else None


def is_display(node: LexborNode, attributes: Attributes) -> bool:
    """Whether an element's own markup says display."""
    names = attributes.get("class") or ""
    mode = attributes.get("display") or attributes.get("mode") or attributes.get("data-display") or attributes.get("display-mode")
    mode = mode or attributes.get("data-katex-display")
    if mode is not None:
        return mode.lower() in {"block", "true", "display", "display-block", "1"}
    if "display" in attributes or "block" in attributes:
        return True
    if attributes.get("data-eeimg") == "2":
        return True
    return _display_class(names)


@lru_cache(maxsize=1024)
def _display_class(names: str) -> bool:
    """Whether a class says display; a page has few classes and many formulas."""
    return bool(_DISPLAY.search(names)) and not _INLINE.search(names)


def holds_several(node: LexborNode) -> bool:
    """Whether an element with a renderer's class is a wrapper around a whole text: it holds more than one formula."""
    return len(node.css("math, .katex-html, mjx-math, .mjx-math, .MathJax_SVG, .mwe-math-element .mwe-math-element")) > 2 and (
        len(node.css("math")) > 1
        or len(node.css(".katex-html")) > 1
        or len(node.css("mjx-math, .mjx-math")) > 1
        or len(node.css(".MathJax_SVG")) > 1
    )


def container_formula(node: LexborNode, attributes: Attributes, prefix: str = "") -> Formula | None:
    """The formula of an element that a renderer or an author made for one formula, from its best source."""
    display = is_display(node, attributes)
    private: Formula | None = None
    for family, tex, shown in _sources(node, attributes, prefix):
        formula = _formula_of(tex, display or shown, family)
        if formula is None or (private is not None and (family not in _RENDERED_FAMILIES or _FAILED.search(formula.tex))):
            continue
        formula = formula._replace(display=False) if "inline" in attributes else formula
        if private is None and family not in _RENDERED_FAMILIES and is_private(formula.tex):
            private = formula  # what was made of the page's own macros says it in words that others know
            continue
        return formula if private is None else formula._replace(tex=_spelled_as(private.tex, formula.tex))
    return private


def _spelled_as(private: str, tex: str) -> str:
    """TeX made of a rendering, without spaces around signs where the page's own has none."""
    return tex if "\\text" in tex or _SPACED_SIGN.search(private) else _SPACED_SIGN.sub(r"\1", tex)


def _sources(node: LexborNode, attributes: Attributes, prefix: str) -> Iterator[tuple[str, str, bool]]:
    """What an element offers, best first, as (family, TeX, displayed); each is computed only when those before gave nothing."""
    script = node.css_first('script[type^="math/tex"]')
    if script is not None:
        yield "script", script.text(), "mode=display" in (script.attributes.get("type") or "").replace(" ", "")
    tag = node.tag or ""
    name = f"{prefix}\\:math" if prefix else "math"
    math = node if tag == "math" or tag.endswith(":math") else node.css_first(name)
    shown = math is not None and (math.attributes.get("display") == "block" or math.attributes.get("mode") == "display")
    if math is not None:
        for annotation in node.css(f"{prefix}\\:annotation" if prefix else "annotation")[:_PARTS]:
            encoding = (annotation.attributes.get("encoding") or "").lower().replace("text/", "")
            if "tex" in encoding:
                yield "annotation", annotation.text(), shown
    yield from _attribute_sources(attributes, shown)
    if math is not None:
        text = (math.attributes.get("alttext") or "").strip()
        if text and (is_tex(text, strict=False) or _is_short(text)):
            yield "alttext", text, shown
    names = attributes.get("class") or ""
    if "katex" in names or tag == "katex":
        yield from _katex_sources(node, math)
    if math is not None:
        if math.mem_id != node.mem_id:
            yield from _attribute_sources(math.attributes, shown)
        if math.text().strip() or "alttext" not in math.attributes:
            yield "mathml", mathml_to_tex(math), shown
    if attributes.get("data-mathml"):
        text = attributes.get("data-mathml") or ""
        yield "mathml", mathml_string_to_tex(text), 'display="block"' in text[:300]
    yield from _image_sources(node)
    if "mj" in names.lower() or "mathjax" in names.lower() or "ltx_" in names or tag.startswith("mjx"):
        yield from _glyph_sources(node)


def _is_short(text: str) -> bool:
    return len(text) <= 12 and " " not in text


def _attribute_sources(attributes: Attributes, shown: bool) -> Iterator[tuple[str, str, bool]]:
    if ATTRIBUTE_NAMES.isdisjoint(attributes):
        return
    for name in TEX_ATTRIBUTES:
        text = attributes.get(name) if name in attributes else None
        if not text or name == "data-mathml" or len(text) > LONGEST:
            continue
        if name == "data-asciimath":
            yield "asciimath", asciimath_to_tex(text), shown
            continue
        tex, said = undelimit(text.strip())
        doubtful = said is None and name in {"data-value", "data-math", "data-formula", "latex", "tex"}
        if name in _SURE_ATTRIBUTES or is_tex(tex, strict=doubtful):
            yield "attribute", text, shown


def _katex_sources(node: LexborNode, math: LexborNode | None) -> Iterator[tuple[str, str, bool]]:
    """KaTeX without an annotation: sites that strip tags leave `.katex-mathml` as text, glyphs first and the TeX as its last lines."""
    own = node if "katex-mathml" in (node.attributes.get("class") or "") else None
    part = own or node.css_first(".katex-mathml")
    if math is not None:
        return
    lines = part.text().strip() if part is not None else ""
    around = node if own is None else node.parent
    rendered = around.css_first(".katex-html") if around is not None else None
    if rendered is not None and "\n" not in lines:  # on one line nothing tells where the glyphs end and the TeX begins
        yield "katex", katex_html_to_tex(rendered), False
    if last := _MARK.split(lines)[-1].strip():
        yield "katex", last, False
    if rendered is not None:
        yield "katex", katex_html_to_tex(rendered), False


def _image_sources(node: LexborNode) -> Iterator[tuple[str, str, bool]]:
    image = node.css_first("img, .lazy-image-placeholder")
    if image is None:
        return
    attributes = image.attributes
    found = image_formula(attributes)
    if found is not None:
        yield "image", found.tex, found.display
    elif "mwe-math" in (attributes.get("class") or "") or "media/math" in (attributes.get("src") or attributes.get("data-src") or ""):
        yield "image", attributes.get("alt") or attributes.get("data-alt") or "", False


def _glyph_sources(node: LexborNode) -> Iterator[tuple[str, str, bool]]:
    """MathJax's output without MathML: a label with the TeX (mathjax-node), the title of its SVG, or its glyphs."""
    if node.css_first(_GLYPHS) is None:
        return  # a wrapper that only has the name; its text may be the TeX
    label = node.css_first("[aria-label]")
    if label is not None:
        text = (label.attributes.get("aria-label") or "").strip()
        if is_tex(text, strict=False) or _is_short(text):
            yield "mathjax", text, False
    title = node.css_first("svg title")
    if title is not None and is_tex(title.text().strip(), strict=False):
        yield "mathjax", title.text(), False
    yield "mathjax", chtml_to_tex(node), False


def plain_text(node: LexborNode) -> str | None:
    """The text of an element that holds nothing but text and line breaks; None where it holds more."""
    child = node.first_child
    if child is not None and child.is_text_node and child.next is None:
        return child.text_content or ""
    pieces: list[str] = []
    count = 0
    while child is not None:
        count += 1
        if child.is_text_node:
            pieces.append(child.text_content or "")
        elif child.tag in ("br", "wbr"):
            pieces.append("\n" if child.tag == "br" else "")
        elif not child.is_comment_node:
            return None
        if count > _PARTS:
            return None
        child = child.next
    return "".join(pieces)


def text_formula(node: LexborNode, attributes: Attributes, names: list[str]) -> Formula | None:
    """The formula that an element of a mathematical class or name holds: as text, with or without delimiters, or written in HTML."""
    tag = node.tag or ""
    if "latex-rendered" in names and attributes.get("data-attrs"):
        return _formula_of(_expression(attributes.get("data-attrs") or ""), tag == "div", "attribute")
    text = plain_text(node)
    if text is None and not _HTML_CLASSES.isdisjoint(names):
        return _written_formula(node, attributes, _PANDOC_CLASSES.issuperset(names))
    if text is None or not text.strip() or len(text) > LONGEST:
        return None
    if tag == "tex-math":
        document = _DOCUMENT.search(text)
        text = document[1] if document else text
    tex, said = undelimit(text.strip())
    if tag == "asciimath" or "asciimath" in names:
        tex = asciimath_to_tex(tex.strip("` \n"))
        return _formula_of(tex, is_display(node, attributes), "asciimath")
    if "\\(" in tex or "\\[ " in tex or "$$" in tex or "`" in tex:
        return None  # several formulas, or prose with formulas: the text's own delimiters tell
    sure = tag in {"tex", "latex", "d-math", "tex-math", "math-field", "math-renderer", "la-tex", "anki-mathjax"}
    if said is None and not _is_formula(tex, tag, names, sure):
        return None
    around = node.parent
    display = (
        bool(said)
        or is_display(node, attributes)
        or (around is not None and around.tag == "mjx-container" and is_display(around, around.attributes))
    )
    display = display or (said is None and tag in {"div", "p", "pre"})
    return _formula_of(tex, display, "attribute" if sure or said is None else "delimiter")


def _is_formula(tex: str, tag: str, names: list[str], sure: bool) -> bool:
    """Whether an element's text without delimiters is TeX: some classes leave no doubt, and `math` on a paragraph may mean its subject."""
    loose = tag in {"span", "div"} and "math" in names and _PANDOC_CLASSES.issuperset(names)
    if sure or not _SURE_CLASSES.isdisjoint(names) or (loose and len(names) > 1):
        return is_tex(tex, strict=False) or _is_short(tex) or not prose_words(tex)
    return is_tex(tex, strict=not loose)


def _expression(attributes: str) -> str:
    """The TeX that Substack keeps in its JSON; "" where there is none."""
    if len(attributes) > LONGEST:
        return ""
    try:
        kept = json.loads(attributes)
    except (ValueError, RecursionError):
        return ""
    tex = kept.get("persistentExpression") if isinstance(kept, dict) else None
    return tex if isinstance(tex, str) else ""


def _written_formula(node: LexborNode, attributes: Attributes, sure: bool) -> Formula | None:
    """A formula written in HTML; where the class may mean something else, it must hold a relation or a script, and hardly a word."""
    tex = html_formula(node)
    if not tex or not (sure or (_RELATED.search(tex) is not None and tex.count("\\mathrm{") <= 2)):
        return None
    return _formula_of(tex, is_display(node, attributes) or node.tag in {"div", "p"}, "superscript")
