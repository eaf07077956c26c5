"""Scripts and limits of Presentation MathML: sub- and superscripts, what stands under and over, accents, prescripts."""

from data_pipeline.formulas.notations import mathml_dictionary as tables
from data_pipeline.formulas.notations.mathml_elements import Element
from data_pipeline.formulas.notations.mathml_rows import Place, convert, mrow, whole
from data_pipeline.formulas.notations.tex_atoms import EMPTY, Atom, base, settled
from data_pipeline.formulas.notations.unicode_tex_table import ACCENTS_OVER, ACCENTS_UNDER


def _in_script(element: Element, place: Place) -> Atom:
    return whole(element, place._replace(script=True, form="postfix"))


def _script(mark: str, atom: Atom, place: Place) -> str:
    """`^{..}` or `_{..}`; primes are apostrophes; an empty one is nothing unless the structure is wanted."""
    tex = atom.tex.strip(" ")
    if not tex and not place.structure:
        return ""
    if mark == "^" and (atom.char == "′" or (not place.structure and tex and not tex.strip("'"))):
        return tex
    return f"{mark}{{{tex}}}"


def scripts(element: Element, place: Place) -> Atom:
    count = 3 if element.tag == "msubsup" else 2
    if len(element.children) != count:
        return mrow(element, place)
    marks = {"msub": "_", "msup": "^"}.get(element.tag, "_^")
    kernel = convert(element.children[0], place)
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


def multiscripts(element: Element, place: Place) -> Atom:
    if not element.children:
        return EMPTY
    kernel = whole(element.children[0], place)
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


def under_over(element: Element, place: Place) -> Atom:
    count = 3 if element.tag == "munderover" else 2
    if len(element.children) != count:
        return mrow(element, place)
    kernel = whole(element.children[0], place)
    under, over = None, None
    if element.tag != "mover":
        under = _limit(element.children[1], element.attributes.get("accentunder"), place)
    if element.tag != "munder":
        over = _limit(element.children[-1], element.attributes.get("accent"), place)
    if under is not None and over is not None and under.kind != "accent" and over.kind != "accent" and kernel.kind != "op":
        arrow = _arrow(kernel, place)
        if arrow:
            return Atom(f"{arrow}[{under.tex}]{{{over.tex}}}", "over")
    if kernel.kind == "op" and not any(
        limit is not None and limit.kind == "accent" and _accent(limit, kernel, place) for limit in (under, over)
    ):
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
    return (
        {"→": "\\xrightarrow", "←": "\\xleftarrow", "⟶": "\\xrightarrow", "⟵": "\\xleftarrow"}.get(kernel.char, "")
        if not place.structure
        else ""
    )


def _accent(limit: Atom, kernel: Atom, place: Place) -> str:
    return ACCENTS_OVER.get(limit.char, "") or ACCENTS_UNDER.get(limit.char, "") if place.structure else limit.char


def _over(kernel: Atom, over: Atom, place: Place) -> Atom:
    if not over.tex and not place.structure:
        return kernel
    command = ACCENTS_OVER.get(over.char) if over.kind == "accent" else None
    if not place.structure:
        command = command or ACCENTS_OVER.get(over.char) or tables.OVER_EXTRA.get(over.char)
        narrow = kernel.kind in ("ord", "style") and (len(kernel.char) == 1 or kernel.kind == "style" or len(kernel.tex) == 1)
        if over.kind == "accent" or command != "\\overline":
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
        command = ACCENTS_UNDER.get(under.char) or tables.UNDER_EXTRA.get(under.char)
    if command is not None:
        return Atom(f"{command}{{{kernel.tex}}}", "over")
    if not place.structure and kernel.tex.startswith("\\underbrace{"):
        return Atom(f"{kernel.tex}_{{{under.tex}}}", "over")
    return Atom(f"\\underset{{{under.tex}}}{{{kernel.tex}}}", "over")
