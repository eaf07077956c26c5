"""Rows of Presentation MathML: where an element stands, and how the children of a row become atoms.

`convert` sends an element to the function that knows its tag, one of the handlers that its place carries; rows infer the form of their
operators from the position, match fences and tidy signs and fonts.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from data_pipeline.formulas.notations.mathml_elements import Element
from data_pipeline.formulas.notations.tex_atoms import EMPTY, Atom, delimit, render, settled
from data_pipeline.formulas.notations.unicode_to_tex import kind

_SPACELIKE = frozenset({"mtext", "mspace", "maligngroup", "malignmark"})
_SPACELIKE_ROWS = frozenset({"mrow", "mstyle", "mphantom", "mpadded"})
_IGNORED = frozenset({"merror", "annotation", "annotation-xml", "maligngroup", "malignmark", "none", "mprescripts", "script", "style"})


class Place(NamedTuple):
    """Where an element stands."""

    handlers: Mapping[str, Callable[[Element, "Place"], Atom]]
    """Tag -> the function that converts it."""
    form: str = ""
    """The operator form its position implies; "" outside rows."""
    script: bool = False
    """Whether it is inside a script, where nothing stretches."""
    variant: str = "normal"
    """The mathvariant of the style around it."""
    inherited: tuple[tuple[str, str], ...] = ()
    """Attributes that an `mstyle` or `math` around it sets."""

    def attribute(self, element: Element, name: str) -> str | None:
        value = element.attributes.get(name)
        if value is None and self.inherited:
            for key, inherited in self.inherited:
                if key == name:
                    return inherited
        return value


def inheritable(element: Element) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in element.attributes.items() if name in _INHERITED)


_INHERITED = frozenset({"stretchy", "fence", "accent", "form", "columnalign", "linethickness", "lquote", "rquote", "selection"})


def convert(element: Element, place: Place) -> Atom:
    handler = place.handlers.get(element.tag)
    if handler is not None:
        return handler(element, place)
    return EMPTY if element.tag in _IGNORED else mrow(element, place)


def row_of(children: list[Element], place: Place) -> list[Atom]:
    """The atoms of a row, fences matched."""
    return delimit(_tidy(_items(children, place)))


def _tidy(atoms: list[Atom]) -> list[Atom]:
    """Signs without an operand on their left stand close to the right one; letters of one font share its command."""
    out: list[Atom] = []
    for atom in atoms:
        before = out[-1] if out else None
        if atom.kind == "accent" and len(atoms) > 1 and kind(atom.char[:1]) == "rel":
            atom = Atom(atom.tex, "spaced", atom.char, True)
        if atom.kind == "spaced" and atom.tex in _SIGNS:
            if before is None or before.kind in ("spaced", "open", "op", "space") or before.tex in _BEFORE_SIGN:
                atom = Atom(atom.tex, "ord", atom.char, atom.flat)
        elif before is not None and before.kind in ("ord", "style") and atom.kind in ("ord", "style") and atom.tex[-1:] == "}":
            font, brace, rest = atom.tex.partition("{")
            letters = rest[:-1]
            if font in _FONTS and before.tex.startswith(font + brace) and letters.isalnum() and before.tex[len(font) + 1 : -1].isalnum():
                out[-1] = Atom(before.tex[:-1] + rest, before.kind, "", True)
                continue
        out.append(atom)
    return out


_SIGNS = frozenset({"-", "+", "\\pm", "\\mp"})
_BEFORE_SIGN = frozenset({"(", "[", "\\{", ",", ";", "\\lbrack", ":"})
_FONTS = frozenset({"\\mathrm", "\\mathbf", "\\mathit", "\\mathsf", "\\mathtt"})


def _items(children: list[Element], place: Place) -> list[Atom]:
    first, last = 0, len(children)
    while first < last and _spacelike(children[first]):
        first += 1
    while last > first and _spacelike(children[last - 1]):
        last -= 1
    outside = place._replace(form="")
    atoms: list[Atom] = []
    for index, child in enumerate(children):
        if not first <= index < last:
            atom = convert(child, outside)
        else:
            form = "infix" if last - first == 1 else "prefix" if index == first else "postfix" if index == last - 1 else "infix"
            atom = convert(child, place._replace(form=form))
        if atom.kind != "empty":
            atoms.append(atom)
    return atoms


def _spacelike(element: Element) -> bool:
    depth = 0
    while element.tag in _SPACELIKE_ROWS and len(element.children) == 1 and depth < 4:
        element, depth = element.children[0], depth + 1
    if element.tag in _SPACELIKE_ROWS:
        return all(child.tag in _SPACELIKE for child in element.children)
    return element.tag in _SPACELIKE


def one_atom(atoms: list[Atom]) -> Atom:
    """A row as one atom."""
    if len(atoms) > 1:
        return Atom(render(atoms), "group", flat=all(atom.flat for atom in atoms))
    return atoms[0] if atoms else EMPTY


def mrow(element: Element, place: Place) -> Atom:
    if len(element.children) == 1:
        return convert(element.children[0], place._replace(form="infix"))
    return one_atom(row_of(element.children, place))


def whole(element: Element, place: Place) -> Atom:
    """An argument of a layout element: its fences have no partners outside."""
    return settled(convert(element, place))


def argument(element: Element, place: Place) -> str:
    return whole(element, place).tex.strip(" ")


def contents(element: Element, place: Place) -> str:
    """The children of an element with an implied row, as TeX."""
    return render(row_of(element.children, place)).strip(" ")
