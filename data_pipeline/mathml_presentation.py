"""Presentation MathML to TeX.

Every element becomes an `Atom`; rows match their fences (`mathml_atoms.delimit`) and join. Two spellings, chosen by `structure`: see
`mathml.py`. What TeX cannot say is left out: colours, sizes, spacing of tables, links; of `maction` the selected child is kept, of
`semantics` the first one. Content markup inside goes to `mathml_content`.
"""

from collections.abc import Callable
from typing import NamedTuple

from data_pipeline import mathml_tables as tables
from data_pipeline.mathml_atoms import EMPTY, Atom, base, delimit, environment, group, render, settled
from data_pipeline.mathml_content import content_to_tex
from data_pipeline.mathml_content_tables import CONTENT
from data_pipeline.mathml_tree import Element
from data_pipeline.tex_symbol_table import ACCENTS_OVER, ACCENTS_UNDER, EXTENDED, SPACES
from data_pipeline.tex_symbols import ALPHABETS, join, kind, symbol, text_mode, token

_SPACELIKE = frozenset({"mtext", "mspace", "maligngroup", "malignmark"})
_SPACELIKE_ROWS = frozenset({"mrow", "mstyle", "mphantom", "mpadded"})
_IGNORED = frozenset({"merror", "annotation", "annotation-xml", "maligngroup", "malignmark", "none", "mprescripts", "script", "style"})
_MAX_COLUMNS = 200


class Place(NamedTuple):
    """Where an element stands."""

    structure: bool
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


def convert_math(root: Element, *, structure: bool) -> str:
    """The TeX of a `<math>` element's tree."""
    place = Place(structure, inherited=_inheritable(root))
    if root.tag != "math" and root.tag not in ("mrow", "mstyle", "semantics"):
        return settled(_convert(root, place)).tex.strip()
    atoms = _row(root.children, place)
    return (_one(atoms, place).tex if len(atoms) == 1 else render(atoms)).strip(" ")


def _inheritable(element: Element) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in element.attributes.items() if name in _INHERITED)


_INHERITED = frozenset({"stretchy", "fence", "accent", "form", "columnalign", "linethickness", "lquote", "rquote", "selection"})


def _convert(element: Element, place: Place) -> Atom:
    handler = _HANDLERS.get(element.tag)
    if handler is not None:
        return handler(element, place)
    if element.tag in _IGNORED:
        return EMPTY
    if element.tag in CONTENT:
        tex = content_to_tex(element, lambda children: render(_row(children, Place(place.structure))).strip(" "))
        return Atom(tex, "group" if len(tex) > 1 else "ord") if tex else EMPTY
    return _mrow(element, place)


# Rows


def _row(children: list[Element], place: Place) -> list[Atom]:
    """The atoms of a row, fences matched."""
    atoms = _items(children, place)
    return delimit(atoms if place.structure else _tidy(atoms), structure=place.structure)


def _tidy(atoms: list[Atom]) -> list[Atom]:
    """Signs without an operand on their left stand close to the right one; letters of one font share its command."""
    out: list[Atom] = []
    for atom in atoms:
        before = out[-1] if out else None
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
            atom = _convert(child, outside)
        else:
            form = "infix" if last - first == 1 else "prefix" if index == first else "postfix" if index == last - 1 else "infix"
            atom = _convert(child, place._replace(form=form))
        if atom.kind == "empty":
            continue
        if atom.kind == "group":
            atom = Atom(group(atom.tex), "braced") if place.structure else atom
        atoms.append(atom)
    return atoms


def _spacelike(element: Element) -> bool:
    depth = 0
    while element.tag in _SPACELIKE_ROWS and len(element.children) == 1 and depth < 4:
        element, depth = element.children[0], depth + 1
    if element.tag in _SPACELIKE_ROWS:
        return all(child.tag in _SPACELIKE for child in element.children)
    return element.tag in _SPACELIKE


def _one(atoms: list[Atom], place: Place) -> Atom:
    """A row as one atom."""
    if not atoms:
        return EMPTY
    if len(atoms) == 1:
        return Atom(atoms[0].tex[1:-1], "group") if atoms[0].kind == "braced" else atoms[0]
    if place.structure and any(atom.kind == "middle" for atom in atoms):
        return Atom(_loose(atoms))
    return Atom(render(atoms), "group", flat=not place.structure and all(atom.flat for atom in atoms))


def _loose(atoms: list[Atom]) -> str:
    """A row with stretching operators but no fences: between invisible ones, so that they can stretch."""
    inner = [
        Atom(f" \\middle{atom.tex} " if atom.tex in tables.DELIMITERS else atom.tex + atom.script) if atom.kind == "middle" else atom
        for atom in atoms
    ]
    return f"\\left. {render(inner).strip(' ')} \\right."


def _mrow(element: Element, place: Place) -> Atom:
    if len(element.children) == 1:
        return _convert(element.children[0], place._replace(form="infix"))
    return _one(_row(element.children, place), place)


def _whole(element: Element, place: Place) -> Atom:
    """An argument of a layout element: its fences have no partners outside."""
    return settled(_convert(element, place))


def _argument(element: Element, place: Place) -> str:
    return _whole(element, place).tex.strip(" ")


def _contents(element: Element, place: Place) -> str:
    """The children of an element with an implied row, as TeX."""
    atoms = _row(element.children, place)
    return _one(atoms, place).tex.strip(" ") if place.structure else render(atoms).strip(" ")


# Tokens


def _plain(text: str, place: Place) -> str:
    """Letters of the alphabet that the style around already sets are plain letters."""
    font = tables.VARIANTS.get(place.variant)
    if font is None or text.isascii():
        return text
    return "".join(ALPHABETS[char][1] if ALPHABETS.get(char, ("",))[0] == font else char for char in text)


def _mi(element: Element, place: Place) -> Atom:
    text = _plain(element.content(), place)
    if not text:
        return EMPTY
    variant = place.variant if element.attributes.get("mathvariant") is None else element.attributes["mathvariant"].strip().lower()
    name = text.replace(" ", "").replace("\u2009", "").replace("\u00a0", "")
    if name in tables.FUNCTIONS:
        atom = Atom("\\" + name, "op", name)
    elif place.structure:
        symbols = token(text)
        atom = Atom(join(symbols), "ord" if len(symbols) == 1 else "group", text if len(text) == 1 else "", True)
        if len(symbols) == 1 and symbols[0] in SPACES.values():
            atom.kind = "space"
    else:
        atom = _identifier(text, variant if "mathvariant" in element.attributes else "")
    if variant == place.variant:
        return atom
    font = tables.VARIANTS.get(variant)
    if font is None:
        return atom
    return Atom(f"{font}{{{_unstyled(text, font, atom)}}}", "style", flat=True)


def _unstyled(text: str, font: str, atom: Atom) -> str:
    """The letter inside its font command: a character that already is of that alphabet is its plain letter."""
    if any(ALPHABETS.get(char, ("",))[0] == font for char in text):
        return join([symbol(ALPHABETS[char][1] if char in ALPHABETS else char) for char in text])
    return atom.tex


def _identifier(text: str, variant: str) -> Atom:
    """An identifier as a person writes it: names of functions and upright names have their commands."""
    if text in tables.OPERATOR_NAMES and variant in ("", "normal"):
        return Atom(f"\\operatorname{{{text}}}", "op", text)
    if len(text) == 1:
        tex = EXTENDED.get(text) or symbol(text)
        if variant == "normal" and text.isascii() and text.isalpha():
            tex = f"\\mathrm{{{tex}}}"
        return Atom(tex, "space" if tex in SPACES.values() else "ord", text, True)
    if " " in text:
        return Atom(f"\\text{{{text_mode(text)}}}", "text", flat=True)
    tex = join(token(text))
    letters = text.isascii() and text.isalpha()
    return Atom(f"\\mathrm{{{tex}}}" if letters and variant in ("", "normal") else tex, "ord" if letters else "group", flat=True)


def _mn(element: Element, place: Place) -> Atom:
    text = _plain(element.content(), place)
    if not text:
        return EMPTY
    if place.structure:
        tex = join(token(text))
    else:
        tex = join([EXTENDED.get(char) or symbol(char) for char in text])
    variant = element.attributes.get("mathvariant")
    font = tables.VARIANTS.get(variant.strip().lower()) if variant and variant != place.variant else None
    return Atom(f"{font}{{{tex}}}" if font else tex, "ord", flat=True)


def _mo(element: Element, place: Place) -> Atom:
    text = _plain(element.content(), place)
    form = element.attributes.get("form", "").strip() or place.form or "infix"
    side = _side(text, form, place)
    stretchy = place.attribute(element, "stretchy")
    stretches = text in tables.STRETCHY or (side in ("open", "close", "middle") and text not in tables.QUOTES)
    if stretchy is not None:
        stretches = stretchy.strip() == "true"
    tex = _operator(text, place)
    if stretches and not place.script and tex:
        return Atom(tex, side if side in ("open", "close") else "middle", text)
    accent = place.attribute(element, "accent")
    if (text in tables.ACCENTS if accent is None else accent.strip() == "true") or text in tables.ALWAYS_ACCENTS:
        return Atom(tex, "accent", text, True)
    if side in ("open", "close"):
        return Atom(tex, "ord", text)
    return _symbol(text, tex, place)


def _side(text: str, form: str, place: Place) -> str:
    """Which side a fence is on, by the operator dictionary; "" for what is no fence."""
    if text in tables.OPENING:
        return "open"
    if text in tables.CLOSING:
        return "close"
    if text in tables.BARS:
        if form == "prefix":
            return "open"
        if form == "postfix" or (text != "|" and place.structure):
            return "close"
        return "middle"
    return tables.QUOTES.get(text, "")


def _operator(text: str, place: Place) -> str:
    """An operator's TeX."""
    if len(text) == 1:
        if not place.structure:
            return _PLAIN_OPERATORS.get(text) or EXTENDED.get(text) or symbol(text)
        return symbol(text)
    if not place.structure and len(text) == 2 and text[1] == "\u0338":
        return "\\not" + symbol(text[0])
    return join(token(text))


_PLAIN_OPERATORS = {"[": "[", "]": "]", "∗": "*", "ⅆ": "\\mathrm{d}", "ⅇ": "\\mathrm{e}", "ⅈ": "\\mathrm{i}", "^": "\\wedge", "∧": "\\wedge",
                    "\u0302": "\\hat{}", "‐": "-", "–": "-", "≔": "\\coloneqq", "∕": "/", "⊨": "\\models", "∥": "\\|", "△": "\\triangle"}  # fmt: skip


def _symbol(text: str, tex: str, place: Place) -> Atom:
    """An operator that is no fence: a symbol of its class, or the name of a function."""
    if len(text) == 1:
        if not tex:
            return EMPTY
        name = kind(text)
        if text in SPACES:
            return Atom(tex, "space", text, True)
        classes = {"rel": "spaced", "bin": "spaced", "op": "op", "accent": "accent"}
        return Atom(tex, classes.get(name, "ord"), text, name not in ("open", "close", "fence", "accent"))
    if text in tables.DICTIONARY_WORDS:
        return Atom(tex, "ord" if place.structure else "spaced", text, True)
    name = text.replace(" ", "").replace("\u2009", "").replace("\u00a0", "")
    if name in tables.FUNCTIONS:
        return Atom("\\" + name, "op", name)
    if place.structure:
        return Atom(f"\\operatorname{{{tex}}}", "op", text)
    if not text:
        return EMPTY
    if text in ("mod", "bmod"):
        return Atom("\\bmod", "spaced")
    if not text.isascii() or not text.replace(" ", "").isalpha():
        return Atom(tex, "spaced" if any(not char.isalnum() for char in text) else "ord", text, True)
    if text in tables.OPERATOR_NAMES or " " not in text:
        return Atom(f"\\operatorname{{{tex}}}", "op", text)
    return Atom(f"\\text{{ {text_mode(text)} }}", "text", flat=True)


def _mtext(element: Element, place: Place) -> Atom:
    text = _plain(element.content(), place)
    if not text:
        return EMPTY
    if not place.structure and len(text) > 1:
        text = text.replace("\u00a0", " ")
    return _text(text, place.attribute(element, "mathvariant") or "normal")


def _text(text: str, variant: str) -> Atom:
    if len(text) == 1 and text in tables.CHARACTER_SPACES and variant == "normal":
        tex = tables.space(tables.CHARACTER_SPACES[text])
        return Atom(tex, "space", flat=True) if tex else EMPTY
    return Atom(_styled_text(text, variant), "text")


def _styled_text(text: str, variant: str) -> str:
    tex = text_mode(text)
    for command in reversed(tables.TEXT_VARIANTS.get(variant, ("\\text",))):
        tex = f"{command}{{{tex}}}"
    return tex


def _ms(element: Element, place: Place) -> Atom:
    left, right = place.attribute(element, "lquote"), place.attribute(element, "rquote")
    quoted = ("“" if left is None else left) + element.content() + ("”" if right is None else right)
    return Atom(_styled_text(quoted, place.attribute(element, "mathvariant") or "normal"), "text") if quoted else EMPTY


def _mspace(element: Element, place: Place) -> Atom:
    width = element.attributes.get("width", "0")
    tex = "" if place.structure and width.strip().endswith("px") else tables.space(tables.length(width))
    return Atom(tex, "space", flat=True) if tex else EMPTY


# Layout


def _mstyle(element: Element, place: Place) -> Atom:
    inner = place._replace(inherited=_inheritable(element) + place.inherited)
    variant = element.attributes.get("mathvariant", "").strip().lower()
    font = tables.VARIANTS.get(variant)
    if not font or variant == place.variant:
        return _mrow(element, inner)
    atoms = _row(element.children, inner._replace(variant=variant))
    return Atom(f"{font}{{{_one(atoms, place).tex}}}", "style") if atoms else EMPTY


def _mfrac(element: Element, place: Place) -> Atom:
    if len(element.children) != 2:
        return _mrow(element, place)
    above, below = (_argument(child, place._replace(form="")) for child in element.children)
    thickness = place.attribute(element, "linethickness")
    if thickness is not None and thickness.strip() and not thickness.strip().strip("0.").rstrip("emxptcin%"):
        return Atom(f"\\genfrac{{}}{{}}{{0pt}}{{}}{{{above}}}{{{below}}}", "binomial", rows=(above, below))
    return Atom(f"\\frac{{{above}}}{{{below}}}", "frac")


def _msqrt(element: Element, place: Place) -> Atom:
    return Atom(f"\\sqrt{{{_contents(element, place)}}}", "root")


def _mroot(element: Element, place: Place) -> Atom:
    if len(element.children) != 2:
        return _msqrt(element, place)
    radicand, index = (_argument(child, place._replace(form="")) for child in element.children)
    if "]" in index and not place.structure:
        index = group(index)
    return Atom(f"\\sqrt[{index}]{{{radicand}}}", "root")


def _mphantom(element: Element, place: Place) -> Atom:
    return Atom(f"\\phantom{{{_contents(element, place)}}}", "phantom")


def _menclose(element: Element, place: Place) -> Atom:
    notation = element.attributes.get("notation", "").split()
    command = next((_ENCLOSURES[name] for name in notation if name in _ENCLOSURES and (name == "box" or not place.structure)), None)
    if command is None:
        return _mrow(element, place)
    return Atom(f"{command}{{{_contents(element, place)}}}", "frac")


_ENCLOSURES = {"box": "\\boxed", "roundedbox": "\\boxed", "radical": "\\sqrt", "top": "\\overline", "bottom": "\\underline", "actuarial": "\\overline",
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
    return _one(_row(outer.children, place), place)


def _operator_element(text: str) -> Element:
    element = Element("mo")
    element.text = [text]
    return element


def _maction(element: Element, place: Place) -> Atom:
    selection = element.attributes.get("selection", "1").strip()
    index = int(selection) if selection.isascii() and selection.isdigit() and len(selection) < 6 else 1
    return _convert(element.children[index - 1], place) if 0 < index <= len(element.children) else EMPTY


def _semantics(element: Element, place: Place) -> Atom:
    for index, child in enumerate(element.children):
        if index and child.tag != "annotation-xml":
            continue
        atom = _mrow(child, place) if child.tag == "annotation-xml" else _convert(child, place)
        if atom.kind != "empty":
            return atom
    return EMPTY


# Scripts


def _in_script(element: Element, place: Place) -> Atom:
    return _whole(element, place._replace(script=True, form="postfix"))


def _script(mark: str, atom: Atom, place: Place) -> str:
    """`^{..}` or `_{..}`; primes are apostrophes; an empty one is nothing unless the structure is wanted."""
    tex = atom.tex.strip(" ")
    if not tex and not place.structure:
        return ""
    if mark == "^" and (atom.char == "′" or (not place.structure and tex and not tex.strip("'"))):
        return tex
    return f"{mark}{{{tex}}}"


def _scripts(element: Element, place: Place) -> Atom:
    count = 3 if element.tag == "msubsup" else 2
    if len(element.children) != count:
        return _mrow(element, place)
    marks = {"msub": "_", "msup": "^"}.get(element.tag, "_^")
    kernel = _convert(element.children[0], place)
    scripts = [_script(mark, _in_script(child, place), place) for mark, child in zip(marks, element.children[1:], strict=True)]
    if len(scripts) == 2 and scripts[1].startswith("'"):
        scripts.reverse()
    if count == 2 and kernel.kind in ("open", "close", "middle"):
        kernel.script += scripts[0]
        return kernel
    kernel = settled(kernel)
    written = "".join(scripts)
    if not written:
        return kernel
    flat = not place.structure and kernel.flat and len(written) < 30 and "frac" not in written and "_" + "{\\substack" not in written
    return Atom(base(kernel, structure=place.structure) + written, "script", flat=flat)


def _multiscripts(element: Element, place: Place) -> Atom:
    if not element.children:
        return EMPTY
    kernel = _whole(element.children[0], place)
    before: list[Element] = []
    after: list[Element] = []
    side = after
    for child in element.children[1:]:
        if child.tag == "mprescripts":
            side = before
        else:
            side.append(child)
    lead, trail = _pairs(before, place), _pairs(after, place)
    written = base(kernel, structure=place.structure) + trail if trail else kernel.tex
    return Atom(("{}" + lead if lead else "") + written, "script" if lead or trail else kernel.kind)


def _pairs(children: list[Element], place: Place) -> str:
    """Pairs of subscripts and superscripts; the second pair hangs on an empty base."""
    written: list[str] = []
    for index in range(0, len(children), 2):
        scripts = [_script(mark, _in_script(child, place), place) for mark, child in zip("_^", children[index : index + 2], strict=False)]
        if any(scripts):
            written.append("".join(scripts))
    return "{}".join(written)


def _under_over(element: Element, place: Place) -> Atom:
    count = 3 if element.tag == "munderover" else 2
    if len(element.children) != count:
        return _mrow(element, place)
    kernel = _whole(element.children[0], place)
    under, over = None, None
    if element.tag != "mover":
        under = _limit(element.children[1], element.attributes.get("accentunder"), place)
    if element.tag != "munder":
        over = _limit(element.children[-1], element.attributes.get("accent"), place)
    if under is not None and over is not None and under.kind != "accent" and over.kind != "accent" and kernel.kind != "op":
        arrow = _arrow(kernel, place)
        if arrow:
            return Atom(f"{arrow}[{under.tex}]{{{over.tex}}}", "over")
    if kernel.kind == "op" and not any(limit is not None and limit.kind == "accent" and _accent(limit, kernel, place) for limit in (under, over)):
        return _limits(kernel, under, over, place)
    if under is not None and over is not None and under.kind == "accent":
        return _under(_over(kernel, over, place), under, place)
    if under is not None and over is not None and over.kind == "accent":
        return _over(_under(kernel, under, place), over, place)
    if over is not None:
        kernel = _over(kernel, over, place)
    return _under(kernel, under, place) if under is not None else kernel


def _limit(element: Element, accent: str | None, place: Place) -> Atom:
    if accent is not None:
        place = place._replace(inherited=(("accent", accent.strip()), *place.inherited))
    return _in_script(element, place)


def _limits(kernel: Atom, under: Atom | None, over: Atom | None, place: Place) -> Atom:
    """Limits of a large operator or of a function such as lim."""
    parts = [kernel.tex, "\\limits" if place.structure else ""]
    for mark, limit in (("_", under), ("^", over)):
        if limit is not None and (limit.tex or place.structure):
            parts.append(f"{mark}{{{_stack(limit)}}}")
    return Atom("".join(parts), "over" if place.structure else "script")


def _stack(limit: Atom) -> str:
    """A one-column table as a limit is a `\\substack`."""
    if limit.kind == "array" and limit.rows is not None and limit.rows[0] == "c":
        return f"\\substack{{{limit.rows[1].strip()}}}"
    return limit.tex


def _arrow(kernel: Atom, place: Place) -> str:
    return {"→": "\\xrightarrow", "←": "\\xleftarrow", "⟶": "\\xrightarrow", "⟵": "\\xleftarrow"}.get(kernel.char, "") if not place.structure else ""


def _accent(limit: Atom, kernel: Atom, place: Place) -> str:
    return ACCENTS_OVER.get(limit.char, "") or ACCENTS_UNDER.get(limit.char, "") if place.structure else limit.char


def _over(kernel: Atom, over: Atom, place: Place) -> Atom:
    if not over.tex and not place.structure:
        return kernel
    command = ACCENTS_OVER.get(over.char) if over.kind == "accent" else None
    if not place.structure:
        command = command or tables.OVER_EXTRA.get(over.char)
        narrow = kernel.kind in ("ord", "style") and (len(kernel.char) == 1 or kernel.kind == "style" or len(kernel.tex) == 1)
        command = (tables.NARROW if narrow else tables.WIDE).get(command or "", command)
    if command is not None:
        return Atom(f"{command}{{{kernel.tex}}}", "over", flat=not place.structure and kernel.flat)
    arrow = _arrow(kernel, place)
    if arrow:
        return Atom(f"{arrow}{{{over.tex}}}", "over")
    return Atom(f"\\overset{{{over.tex}}}{{{kernel.tex}}}", "over")


def _under(kernel: Atom, under: Atom, place: Place) -> Atom:
    if not under.tex and not place.structure:
        return kernel
    command = ACCENTS_UNDER.get(under.char) if under.kind == "accent" else None
    if command is None and not place.structure:
        command = tables.UNDER_EXTRA.get(under.char)
    if command is not None:
        return Atom(f"{command}{{{kernel.tex}}}", "over")
    if not place.structure and kernel.tex.startswith("\\underbrace{"):
        return Atom(f"{kernel.tex}_{{{under.tex}}}", "over")
    return Atom(f"\\underset{{{under.tex}}}{{{kernel.tex}}}", "over")


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
    atoms = _row(cell.children if cell.tag in ("mtd", "td") else [cell], place)
    one = _one(atoms, place)
    return group(one.tex) if one.kind == "group" and place.structure else one.tex.strip(" ")


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
            lines.append((_contents(child, place) if child.tag == "msrow" else _argument(child, place)) + " \\\\")
    if not lines:
        return EMPTY
    return Atom(environment("array", "{r}", " " + " ".join(lines) + " "), "array")


Handler = Callable[[Element, Place], Atom]
_HANDLERS: dict[str, Handler] = {
    "mi": _mi, "mn": _mn, "mo": _mo, "mtext": _mtext, "ms": _ms, "mspace": _mspace, "mstyle": _mstyle, "mfrac": _mfrac, "msqrt": _msqrt,
    "mroot": _mroot, "mphantom": _mphantom, "menclose": _menclose, "mfenced": _mfenced, "maction": _maction, "semantics": _semantics,
    "msub": _scripts, "msup": _scripts, "msubsup": _scripts, "mmultiscripts": _multiscripts, "munder": _under_over, "mover": _under_over,
    "munderover": _under_over, "mtable": _mtable, "mstack": _stacked, "mlongdiv": _stacked, "msrow": _mrow, "mrow": _mrow,
}  # fmt: skip
