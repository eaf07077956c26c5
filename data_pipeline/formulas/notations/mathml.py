"""MathML to TeX: presentation markup, from a parsed HTML page or from a string.

`mathml_to_tex` takes a `<math>` element of an HTML page, `mathml_string_to_tex` XML (or HTML) as a string. Both write the TeX a person
would write: no braces that change nothing, `\\left` only around something tall. The result has no math delimiters around it and is ""
where there is nothing to say or where the input is deeper or larger than any formula.

Every element becomes an `Atom`; rows match their fences (`tex_atoms.delimit`) and join. What TeX cannot say is left out: colours, sizes,
spacing of tables, links; of `maction` the selected child is kept, of `semantics` the first one that shows something. Content markup says
what a formula means, not how it looks: it gives nothing. Annotations are not read: a caller who finds TeX there needs no converter.

Input is hostile: no entities are defined by documents, nesting and size are bounded, attributes are text, never sizes. An HTML parser
knows `<math>` but not `<mml:math>`; there, self-closing tags do not close (`<mml:mspace/>` swallows what follows), so elements that
cannot have children give them back to their parent.
"""

import html
import re
from collections.abc import Callable, Iterator, Mapping
from xml.parsers import expat

from selectolax.lexbor import LexborHTMLParser, LexborNode

from data_pipeline.formulas.notations.mathml_dictionary import VARIANTS
from data_pipeline.formulas.notations.mathml_elements import MAX_DEPTH, MAX_NODES, Element, TooLargeError, local_name, place
from data_pipeline.formulas.notations.mathml_rows import Place, argument, contents, convert, inheritable, mrow, one_atom, row_of
from data_pipeline.formulas.notations.mathml_scripts import multiscripts, scripts, under_over
from data_pipeline.formulas.notations.mathml_tokens import mi, mn, mo, ms, mspace, mtext
from data_pipeline.formulas.notations.tex_atoms import EMPTY, Atom, environment, group, render, settled
from data_pipeline.formulas.notations.tex_text import is_tex

_MAX_CHARACTERS = 2_000_000
_DOCTYPE = re.compile(r"<!DOCTYPE[^>\[]*(?:\[[^\]]*\]\s*)?>", re.IGNORECASE)
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]{0,40});")
_SAFE_XML = str.maketrans("\xab\xbb\xa8\xa7`", "<>\"&'")
"""How WIRIS and its kin write markup where angle brackets would be filtered: `\xabmath xmlns=\xa8...\xa8\xbb`."""
_XML_ENTITIES = frozenset({"amp", "lt", "gt", "quot", "apos"})
_MAX_COLUMNS = 200


def mathml_to_tex(node: LexborNode) -> str:
    """The TeX of a `<math>` element (any prefix) of an HTML page; "" where there is none."""
    try:
        root = from_lexbor(node)
        if not root.children and is_tex(text := root.content(), strict=False):
            return text  # a wiki's or forum's own `<math>` that nothing rendered
        return convert_math(root)
    except (TooLargeError, RecursionError):
        return ""


def mathml_string_to_tex(xml: str) -> str:
    """The TeX of the first `<math>` of a string: XML with any prefix and named entities, or else whatever HTML makes of it."""
    if len(xml) > _MAX_CHARACTERS:
        return ""
    if "\xab" in xml and "<" not in xml:
        xml = xml.translate(_SAFE_XML)
    try:
        tree = _from_xml(xml)
        if tree is None:
            node = next(_math_nodes(LexborHTMLParser(xml)), None)
            return mathml_to_tex(node) if node is not None else ""
        return convert_math(tree)
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


def convert_math(root: Element) -> str:
    """The TeX of a `<math>` element's tree."""
    place = Place(_HANDLERS, inherited=inheritable(root))
    if root.tag not in ("math", "mrow", "mstyle", "semantics"):
        return settled(convert(root, place)).tex.strip()
    return render(row_of(root.children, place)).strip(" ")


def _mstyle(element: Element, place: Place) -> Atom:
    inner = place._replace(inherited=inheritable(element) + place.inherited)
    variant = element.attributes.get("mathvariant", "").strip().lower()
    font = VARIANTS.get(variant)
    if not font or variant == place.variant:
        return mrow(element, inner)
    atoms = row_of(element.children, inner._replace(variant=variant))
    return Atom(f"{font}{{{render(atoms)}}}", "style") if atoms else EMPTY


def _mfrac(element: Element, place: Place) -> Atom:
    if len(element.children) != 2:
        return mrow(element, place)
    above, below = (argument(child, place._replace(form="")) for child in element.children)
    thickness = place.attribute(element, "linethickness")
    if thickness is not None and thickness.strip() and not thickness.strip().strip("0.").rstrip("emxptcin%"):
        return Atom(f"\\genfrac{{}}{{}}{{0pt}}{{}}{{{above}}}{{{below}}}", "binomial", rows=(above, below))
    return Atom(f"\\frac{{{above}}}{{{below}}}", "frac")


def _msqrt(element: Element, place: Place) -> Atom:
    return Atom(f"\\sqrt{{{contents(element, place)}}}", "root")


def _mroot(element: Element, place: Place) -> Atom:
    if len(element.children) != 2:
        return _msqrt(element, place)
    radicand, index = (argument(child, place._replace(form="")) for child in element.children)
    if "]" in index:
        index = group(index)
    return Atom(f"\\sqrt[{index}]{{{radicand}}}", "root")


def _mphantom(element: Element, place: Place) -> Atom:
    return Atom(f"\\phantom{{{contents(element, place)}}}", "phantom")


def _menclose(element: Element, place: Place) -> Atom:
    notation = element.attributes.get("notation", "").split()
    command = next((_ENCLOSURES[name] for name in notation if name in _ENCLOSURES), None)
    if command is None:
        return mrow(element, place)
    return Atom(f"{command}{{{contents(element, place)}}}", "frac")


_ENCLOSURES = {"box": "\\boxed", "roundedbox": "\\boxed", "radical": "\\sqrt", "top": "\\overline", "bottom": "\\underline",
    "actuarial": "\\overline",
               "updiagonalstrike": "\\cancel", "downdiagonalstrike": "\\bcancel", "madruwb": "\\underline"}  # fmt: skip


def _mfenced(element: Element, place: Place) -> Atom:
    opening, closing = element.attributes.get("open", "("), element.attributes.get("close", ")")
    separators = element.attributes.get("separators", ",")
    separators = "".join(separators.split()) if separators.strip() else ""
    children: list[Element] = []
    for index, child in enumerate(element.children):
        if index and separators:
            children.append(_operator_element(separators[min(index - 1, len(separators) - 1)]))
        children.append(child)
    fences = [[_operator_element(fence)] if fence else [] for fence in (opening, closing)]
    return one_atom(row_of([*fences[0], *children, *fences[1]], place))


def _operator_element(text: str) -> Element:
    element = Element("mo")
    element.text = [text]
    return element


def _maction(element: Element, place: Place) -> Atom:
    selection = element.attributes.get("selection", "1").strip()
    index = int(selection) if selection.isascii() and selection.isdigit() and len(selection) < 6 else 1
    return convert(element.children[index - 1], place) if 0 < index <= len(element.children) else EMPTY


def _semantics(element: Element, place: Place) -> Atom:
    for index, child in enumerate(element.children):
        if index and child.tag != "annotation-xml":
            continue
        atom = mrow(child, place) if child.tag == "annotation-xml" else convert(child, place)
        if atom.kind != "empty":
            return atom
    return EMPTY


def _mtable(element: Element, place: Place) -> Atom:
    """An array; one whose columns are all centred is a `matrix`, one of right-left pairs `aligned`."""
    default = place.attribute(element, "columnalign") or ""
    rows: list[list[str]] = []
    aligns: list[list[str]] = []
    inner = place._replace(form="")
    for row in element.children:
        if row.tag not in ("mtr", "mlabeledtr", "tr"):
            row = _wrapped(row)
        cells = row.children[1:] if row.tag == "mlabeledtr" else row.children
        cells = cells[:_MAX_COLUMNS]
        letters = _column_letters(row.attributes.get("columnalign", default), len(cells))
        for index, cell in enumerate(cells):
            if "columnalign" in cell.attributes:
                letters[index] = _column_letters(cell.attributes["columnalign"], 1)[0]
        aligns.append(letters)
        rows.append([_cell_tex(cell, inner) for cell in cells])
    width = max(map(len, rows), default=0)
    if not width:
        return EMPTY
    columns = "".join(_common_letter([letters[index] for letters in aligns if index < len(letters)]) for index in range(width))
    body = " " + " \\\\ ".join(" & ".join(cells + [""] * (width - len(cells))) for cells in rows) + " "
    if set(columns) <= {"c"}:
        tex = environment("matrix", "", body)
    elif columns == "rl" * (width // 2) and width % 2 == 0:
        tex = environment("aligned", "", body)
    else:
        tex = environment("array", f"{{{columns}}}", body)
    return Atom(tex, "array", rows=(columns, body))


def _wrapped(row: Element) -> Element:
    """A row of one cell for a child of a table that is no row."""
    wrapped = Element("mtr")
    wrapped.children = [row]
    return wrapped


def _cell_tex(cell: Element, place: Place) -> str:
    return render(row_of(cell.children if cell.tag in ("mtd", "td") else [cell], place)).strip(" ")


def _column_letters(align: str, count: int) -> list[str]:
    """The column letters that a columnalign value gives; its last word counts for the columns behind it."""
    sides = align.split() or ["center"]
    return [{"left": "l", "right": "r"}.get(sides[min(index, len(sides) - 1)], "c") for index in range(count)]


def _common_letter(letters: list[str]) -> str:
    return letters[0] if letters and all(letter == letters[0] for letter in letters) else "c"


def _stacked(element: Element, place: Place) -> Atom:
    """Elementary mathematics (mstack, mlongdiv): its rows below each other, right-aligned, lines as rules."""
    lines: list[str] = []
    pending = list(element.children)
    pending.reverse()
    while pending:
        child = pending.pop()
        if child.tag in ("msgroup", "mscarries"):
            pending.extend(reversed(child.children if child.tag == "msgroup" else []))
        elif child.tag == "msline":
            lines.append("\\hline")
        else:
            lines.append((contents(child, place) if child.tag == "msrow" else argument(child, place)) + " \\\\")
    if not lines:
        return EMPTY
    return Atom(environment("array", "{r}", " " + " ".join(lines) + " "), "array")


_HANDLERS: Mapping[str, Callable[[Element, Place], Atom]] = {
    "mi": mi, "mn": mn, "mo": mo, "mtext": mtext, "ms": ms, "mspace": mspace, "mstyle": _mstyle, "mfrac": _mfrac, "msqrt": _msqrt,
    "mroot": _mroot, "mphantom": _mphantom, "menclose": _menclose, "mfenced": _mfenced, "maction": _maction, "semantics": _semantics,
    "msub": scripts, "msup": scripts, "msubsup": scripts, "mmultiscripts": multiscripts, "munder": under_over, "mover": under_over,
    "munderover": under_over, "mtable": _mtable, "mstack": _stacked, "mlongdiv": _stacked, "msrow": mrow, "mrow": mrow,
}  # fmt: skip
