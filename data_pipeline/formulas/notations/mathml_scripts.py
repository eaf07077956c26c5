"""Scripts and limits of Presentation MathML: sub- and superscripts, what stands under and over, accents, prescripts."""

from data_pipeline.formulas.notations.mathml_dictionary import NARROW, OVER_EXTRA, UNDER_EXTRA, WIDE
from data_pipeline.formulas.notations.mathml_elements import Element
from data_pipeline.formulas.notations.mathml_rows import Place, convert, mrow, whole
from data_pipeline.formulas.notations.tex_atoms import EMPTY, Atom, script_base, settled
from data_pipeline.formulas.notations.unicode_tex_table import ACCENTS_OVER, ACCENTS_UNDER


def _in_script(element: Element, place: Place) -> Atom:
    return whole(element, place._replace(script=True, form="postfix"))


def _script(mark: str, element: Element, place: Place) -> str:
    """`^{..}` or `_{..}`; primes are apostrophes; an empty one is nothing."""
    atom = _in_script(element, place)
    tex = atom.tex.strip(" ")
    if not tex or (mark == "^" and (atom.char == "′" or not tex.strip("'"))):
        return tex
    return f"{mark}{{{tex}}}"


def scripts(element: Element, place: Place) -> Atom:
    count = 3 if element.tag == "msubsup" else 2
    if len(element.children) != count:
        return mrow(element, place)
    marks = {"msub": "_", "msup": "^"}.get(element.tag, "_^")
    kernel = convert(element.children[0], place)
    scripts = [_script(mark, child, place) for mark, child in zip(marks, element.children[1:], strict=True)]
    if len(scripts) == 2 and scripts[1].startswith("'"):
        scripts.reverse()
    if count == 2 and kernel.kind in ("open", "close", "middle"):
        kernel.script += scripts[0]
        return kernel
    kernel = settled(kernel)
    written = "".join(scripts)
    if not written:
        return kernel
    flat = kernel.flat and len(written) < 30 and "frac" not in written and "_" + "{\\substack" not in written
    return Atom(script_base(kernel) + written, "script", flat=flat)


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
    written = script_base(kernel) + trail if trail else kernel.tex
    return Atom(("{}" + lead if lead else "") + written, "script" if lead or trail else kernel.kind)


def _pairs(children: list[Element], place: Place) -> str:
    """Pairs of subscripts and superscripts; the second pair hangs on an empty base."""
    written: list[str] = []
    for index in range(0, len(children), 2):
        scripts = [_script(mark, child, place) for mark, child in zip("_^", children[index : index + 2], strict=False)]
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
        under = _limit_atom(element.children[1], element.attributes.get("accentunder"), place)
    if element.tag != "munder":
        over = _limit_atom(element.children[-1], element.attributes.get("accent"), place)
    accents = [limit for limit in (under, over) if limit is not None and limit.kind == "accent"]
    arrow = _ARROWS.get(kernel.char)
    if under is not None and over is not None and not accents and kernel.kind != "op" and arrow:
        return Atom(f"{arrow}[{under.tex}]{{{over.tex}}}", "over")
    if kernel.kind == "op" and not any(accent.char for accent in accents):
        return _limits(kernel, under, over)
    if under is not None and over is not None and under.kind != "accent" and over.kind == "accent":
        return _with_over(_with_under(kernel, under), over)
    if over is not None:
        kernel = _with_over(kernel, over)
    return _with_under(kernel, under) if under is not None else kernel


_ARROWS = {"→": "\\xrightarrow", "←": "\\xleftarrow", "⟶": "\\xrightarrow", "⟵": "\\xleftarrow"}


def _limit_atom(element: Element, accent: str | None, place: Place) -> Atom:
    if accent is not None:
        place = place._replace(inherited=(("accent", accent.strip()), *place.inherited))
    return _in_script(element, place)


def _limits(kernel: Atom, under: Atom | None, over: Atom | None) -> Atom:
    """Limits of a large operator or of a function such as lim."""
    limits = [f"{mark}{{{_stacked_limit(limit)}}}" for mark, limit in (("_", under), ("^", over)) if limit is not None and limit.tex]
    return Atom(kernel.tex + "".join(limits), "script")


def _stacked_limit(limit: Atom) -> str:
    """A one-column table as a limit is a `\\substack`."""
    if limit.kind == "array" and limit.rows is not None and limit.rows[0] == "c":
        return f"\\substack{{{limit.rows[1].strip()}}}"
    return limit.tex


def _with_over(kernel: Atom, over: Atom) -> Atom:
    if not over.tex:
        return kernel
    command = ACCENTS_OVER.get(over.char) or OVER_EXTRA.get(over.char)
    narrow = kernel.kind in ("ord", "style") and (len(kernel.char) == 1 or kernel.kind == "style" or len(kernel.tex) == 1)
    if over.kind == "accent" or command != "\\overline":
        command = (NARROW if narrow else WIDE).get(command or "", command)
    if command is not None:
        return Atom(f"{command}{{{kernel.tex}}}", "over", flat=kernel.flat)
    arrow = _ARROWS.get(kernel.char)
    return Atom(f"{arrow}{{{over.tex}}}" if arrow else f"\\overset{{{over.tex}}}{{{kernel.tex}}}", "over")


def _with_under(kernel: Atom, under: Atom) -> Atom:
    if not under.tex:
        return kernel
    command = ACCENTS_UNDER.get(under.char) or UNDER_EXTRA.get(under.char)
    if command is not None:
        return Atom(f"{command}{{{kernel.tex}}}", "over")
    if kernel.tex.startswith("\\underbrace{"):
        return Atom(f"{kernel.tex}_{{{under.tex}}}", "over")
    return Atom(f"\\underset{{{under.tex}}}{{{kernel.tex}}}", "over")
