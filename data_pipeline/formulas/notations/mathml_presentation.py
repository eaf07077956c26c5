"""Presentation MathML to TeX.

Every element becomes an `Atom`; rows match their fences (`tex_atoms.delimit`) and join. Two spellings, chosen by `structure`: see
`mathml.py`. What TeX cannot say is left out: colours, sizes, spacing of tables, links; of `maction` the selected child is kept, of
`semantics` the first one that shows something. Content markup says what a formula means, not how it looks: it gives nothing.
"""

from data_pipeline.formulas.notations import mathml_dictionary as tables
from data_pipeline.formulas.notations.mathml_elements import Element
from data_pipeline.formulas.notations.mathml_rows import HANDLERS, Place, argument, contents, convert, inheritable, mrow, one, row_of
from data_pipeline.formulas.notations.mathml_scripts import multiscripts, scripts, under_over
from data_pipeline.formulas.notations.mathml_tokens import mi, mn, mo, ms, mspace, mtext
from data_pipeline.formulas.notations.tex_atoms import EMPTY, Atom, environment, group, render, settled

_MAX_COLUMNS = 200


def convert_math(root: Element, *, structure: bool) -> str:
    """The TeX of a `<math>` element's tree."""
    place = Place(structure, inherited=inheritable(root))
    if root.tag != "math" and root.tag not in ("mrow", "mstyle", "semantics"):
        return settled(convert(root, place)).tex.strip()
    atoms = row_of(root.children, place)
    return (one(atoms, place).tex if len(atoms) == 1 else render(atoms)).strip(" ")


# Layout


def _mstyle(element: Element, place: Place) -> Atom:
    inner = place._replace(inherited=inheritable(element) + place.inherited)
    variant = element.attributes.get("mathvariant", "").strip().lower()
    font = tables.VARIANTS.get(variant)
    if not font or variant == place.variant:
        return mrow(element, inner)
    atoms = row_of(element.children, inner._replace(variant=variant))
    return Atom(f"{font}{{{one(atoms, place).tex}}}", "style") if atoms else EMPTY


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
    if "]" in index and not place.structure:
        index = group(index)
    return Atom(f"\\sqrt[{index}]{{{radicand}}}", "root")


def _mphantom(element: Element, place: Place) -> Atom:
    return Atom(f"\\phantom{{{contents(element, place)}}}", "phantom")


def _menclose(element: Element, place: Place) -> Atom:
    notation = element.attributes.get("notation", "").split()
    command = next((_ENCLOSURES[name] for name in notation if name in _ENCLOSURES and (name == "box" or not place.structure)), None)
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
    row = Element("mrow")
    row.children = children
    outer = Element("mrow")
    outer.children = [*([_operator_element(opening)] if opening else []), row, *([_operator_element(closing)] if closing else [])]
    if not place.structure:
        outer.children = [*outer.children[: bool(opening)], *children, *outer.children[bool(opening) + 1 :]]
    return one(row_of(outer.children, place), place)


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


# Tables


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
        letters = _letters(row.attributes.get("columnalign", default), len(cells), place)
        for index, cell in enumerate(cells):
            if "columnalign" in cell.attributes:
                letters[index] = _letters(cell.attributes["columnalign"], 1, place)[0]
        aligns.append(letters)
        rows.append([_cell(cell, inner) for cell in cells])
    width = max(map(len, rows), default=0)
    if not width:
        return EMPTY
    columns = "".join(_common([letters[index] for letters in aligns if index < len(letters)]) for index in range(width))
    separator = " \\\\\n" if place.structure else " \\\\ "
    end = "\n" if place.structure else " "
    body = end + separator.join(" & ".join(cells + [""] * (width - len(cells))) for cells in rows) + end
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


def _cell(cell: Element, place: Place) -> str:
    atoms = row_of(cell.children if cell.tag in ("mtd", "td") else [cell], place)
    whole = one(atoms, place)
    return group(whole.tex) if whole.kind == "group" and place.structure else whole.tex.strip(" ")


def _letters(align: str, count: int, place: Place) -> list[str]:
    """The column letters that a columnalign value gives; with `structure`, a list of several values counts as none."""
    words = align.split()
    if not words or (place.structure and len(words) > 1):
        return ["c"] * count
    return [{"left": "l", "right": "r"}.get(words[min(index, len(words) - 1)], "c") for index in range(count)]


def _common(letters: list[str]) -> str:
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


HANDLERS.update({
    "mi": mi, "mn": mn, "mo": mo, "mtext": mtext, "ms": ms, "mspace": mspace, "mstyle": _mstyle, "mfrac": _mfrac, "msqrt": _msqrt,
    "mroot": _mroot, "mphantom": _mphantom, "menclose": _menclose, "mfenced": _mfenced, "maction": _maction, "semantics": _semantics,
    "msub": scripts, "msup": scripts, "msubsup": scripts, "mmultiscripts": multiscripts, "munder": under_over, "mover": under_over,
    "munderover": under_over, "mtable": _mtable, "mstack": _stacked, "mlongdiv": _stacked, "msrow": mrow, "mrow": mrow,
})  # fmt: skip
