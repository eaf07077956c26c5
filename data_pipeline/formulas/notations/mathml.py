"""MathML to TeX: presentation markup, from a parsed HTML page or from a string.

`mathml_to_tex` takes a `<math>` element of an HTML page and writes the TeX a person would write: no braces that change nothing, `\\left`
only around something tall. `mathml_string_to_tex` takes XML (or HTML) as a string and by default keeps the author's structure visible:
every `mrow` is a group, every stretching fence has its `\\left` and `\\right`, which is how texmath writes it and what its test pairs
hold. Both are the same converter; `structure` chooses. The result has no math delimiters around it and is "" where there is nothing
to say or where the input is deeper or larger than any formula. Annotations are not read: a caller who finds TeX there needs no
converter.

Input is hostile: no entities are defined by documents, nesting and size are bounded, attributes are text, never sizes. An HTML parser
knows `<math>` but not `<mml:math>`; there, self-closing tags do not close (`<mml:mspace/>` swallows what follows), so elements that
cannot have children give them back to their parent.
"""

import html
import re
from collections.abc import Iterator
from xml.parsers import expat

from selectolax.lexbor import LexborHTMLParser, LexborNode

from data_pipeline.formulas.notations.mathml_elements import MAX_DEPTH, MAX_NODES, Element, TooLargeError, local_name, place
from data_pipeline.formulas.notations.mathml_presentation import convert_math
from data_pipeline.formulas.notations.tex_text import is_tex

_MAX_CHARACTERS = 2_000_000
_DOCTYPE = re.compile(r"<!DOCTYPE[^>\[]*(?:\[[^\]]*\]\s*)?>", re.IGNORECASE)
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]{0,40});")
_SAFE_XML = str.maketrans("\xab\xbb\xa8\xa7`", "<>\"&'")
"""How WIRIS and its kin write markup where angle brackets would be filtered: `\xabmath xmlns=\xa8...\xa8\xbb`."""
_XML_ENTITIES = frozenset({"amp", "lt", "gt", "quot", "apos"})


def mathml_to_tex(node: LexborNode, *, structure: bool = False) -> str:
    """The TeX of a `<math>` element (any prefix) of an HTML page; "" where there is none."""
    try:
        root = from_lexbor(node)
        if not root.children and is_tex(text := root.content(), strict=False):
            return text  # a wiki's or forum's own `<math>` that nothing rendered
        return convert_math(root, structure=structure)
    except (TooLargeError, RecursionError):
        return ""


def mathml_string_to_tex(xml: str, *, structure: bool = True) -> str:
    """The TeX of the first `<math>` of a string: XML with any prefix and named entities, or else whatever HTML makes of it."""
    if len(xml) > _MAX_CHARACTERS:
        return ""
    if "\xab" in xml and "<" not in xml:
        xml = xml.translate(_SAFE_XML)
    try:
        tree = _from_xml(xml)
        if tree is None:
            node = next(_math_nodes(LexborHTMLParser(xml)), None)
            return mathml_to_tex(node, structure=structure) if node is not None else ""
        return convert_math(tree, structure=structure)
    except (TooLargeError, RecursionError):
        return ""


def from_lexbor(node: LexborNode, *, max_depth: int = MAX_DEPTH, math: bool = True) -> Element:
    """The element tree of a parsed node; `math` repairs what unclosed elements swallowed. Raises TooLargeError beyond the bounds."""
    root = Element(local_name(node.tag or ""), _attributes(node))
    open_elements: list[tuple[Element, LexborNode | None]] = [(root, node.child)]
    count = 0
    while open_elements:
        parent, at = open_elements.pop()
        while at is not None:
            if at.is_text_node:
                parent.text.append(at.text_content or "")
            elif at.is_element_node:
                count += 1
                if count > MAX_NODES or len(open_elements) >= max_depth:
                    raise TooLargeError
                child = Element(local_name(at.tag or ""), _attributes(at))
                parent.children.append(child)
                parent.text.append(child)
                if at.child is not None:
                    open_elements.append((parent, at.next))
                    parent, at = child, at.child
                    continue
            at = at.next
        if math:
            place(parent)
    return root


def _attributes(node: LexborNode) -> dict[str, str]:
    return {local_name(name): value or "" for name, value in node.attributes.items()}


def _math_nodes(tree: LexborHTMLParser) -> Iterator[LexborNode]:
    """`<math>` elements of a parsed page, with any prefix."""
    root = tree.root
    if root is None:
        return
    for node in root.traverse(include_text=False):
        if local_name(node.tag or "") == "math":
            yield node


def _from_xml(xml: str) -> Element | None:
    """The first `<math>` of a string that is well-formed XML once its entities are resolved; None where it is not.

    The document type is taken off before parsing, so that a document can define no entities of its own.
    """
    text = _ENTITY.sub(_resolved, _DOCTYPE.sub("", xml, count=1).lstrip())
    found: list[Element] = []
    stack: list[Element] = []
    count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        tag = local_name(name)
        count += 1
        if count > MAX_NODES or len(stack) >= MAX_DEPTH:
            raise TooLargeError
        if not stack and (tag != "math" or found):
            return
        element = Element(tag, {local_name(key): value for key, value in attributes.items()})
        if stack:
            stack[-1].children.append(element)
            stack[-1].text.append(element)
        else:
            found.append(element)
        stack.append(element)

    def end(_name: str) -> None:
        if stack:
            stack.pop()

    def characters(data: str) -> None:
        if stack:
            stack[-1].text.append(data)

    def declared(*_entity: object) -> None:
        raise TooLargeError

    parser = expat.ParserCreate("utf-8")
    parser.EntityDeclHandler = declared
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError:
        return None
    return found[0] if found else None


def _resolved(match: re.Match[str]) -> str:
    """A named entity of HTML and MathML as characters that XML accepts; an unknown one is nothing."""
    name = match[1]
    if name in _XML_ENTITIES:
        return match[0]
    return html.escape(html.entities.html5.get(name + ";", ""))  # type: ignore[attr-defined]
