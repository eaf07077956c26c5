"""Pieces of TeX on their way from MathML: what the presentation converter builds and joins.

An `Atom` is TeX with what its surroundings must know of it. `delimit` turns a row of atoms into the row without loose fences: a fence
that stretches waits as an atom of kind open, middle or close until its partner is known.
"""

from dataclasses import dataclass

from data_pipeline.formulas.notations.mathml_dictionary import DELIMITERS, MATRICES
from data_pipeline.formulas.notations.unicode_to_tex import ends_in_word, kind, symbol

_NO_BASES = ("\\overset", "\\underset", "\\xrightarrow", "\\xleftarrow", "\\underbrace", "\\overbrace")
"""Commands whose result a script would take for limits, or that a script does not attach to as a whole."""
_FANCY = frozenset({"script", "root", "over", "phantom"})


@dataclass(slots=True)
class Atom:
    """A piece of TeX. `kind` is "ord", "op", "spaced" (relations and binary operators), "accent", "space", "text", "group" (a row),
    "script", "root", "over", "phantom", "frac", "array", "binomial", "style", "empty", or a waiting fence: "open", "middle", "close"."""

    tex: str
    kind: str = "ord"
    char: str = ""
    """The characters of a symbol or a fence."""
    flat: bool = False
    """Whether it is as high as a letter, so that brackets around it need not grow."""
    script: str = ""
    """The scripts of a waiting fence."""
    rows: tuple[str, str] | None = None
    """Column letters and rows of an array, or numerator and denominator of a fraction without a line."""


EMPTY = Atom("", "empty")


def render(atoms: list[Atom]) -> str:
    """Atoms side by side: one space around relations and binary operators, none where TeX needs none."""
    out: list[str] = []
    pending = False
    for atom in atoms:
        tex = atom.tex
        if not tex:
            continue
        spaced = atom.kind == "spaced"
        if out:
            if spaced or pending:
                if tex[0] not in "^_" and not out[-1].endswith(" "):
                    out.append(" ")
            elif tex[0].isalnum() and ends_in_word(out[-1]):
                out.append(" ")
        out.append(tex)
        pending = spaced
    return "".join(out)


def group(tex: str) -> str:
    """`{tex}`, without doubling a group that is there."""
    return "{" + tex + "}"


def base(atom: Atom, *, structure: bool) -> str:
    """An atom as the base of a script: in braces where the script would attach to a part of it."""
    if not structure and atom.kind in ("over", "root") and not atom.tex.startswith(_NO_BASES):
        return atom.tex
    if atom.kind in _FANCY or atom.kind == "group" or not atom.tex:
        return group(atom.tex)
    if not structure and (atom.kind == "frac" or (atom.kind == "spaced" and len(atom.tex) > 1 and not atom.tex.startswith("\\"))):
        return group(atom.tex)
    return atom.tex


def settled(atom: Atom) -> Atom:
    """A waiting fence that will not grow: the plain symbol, with its scripts."""
    if atom.kind not in ("open", "middle", "close"):
        return atom
    name = kind(atom.char) if atom.kind == "middle" and len(atom.char) == 1 else "ord"
    return Atom(atom.tex + atom.script, {"rel": "spaced", "bin": "spaced", "op": "op"}.get(name, "ord"), atom.char, not atom.script)


def delimit(atoms: list[Atom], *, structure: bool) -> list[Atom]:
    """The row with its fences matched. A fence without a partner embraces the rest of the row (`\\left( .. \\right.`) in `structure`,
    and is a plain symbol otherwise."""
    if not structure and sum(atom.char == "|" for atom in atoms) > 2:
        atoms = [Atom(atom.tex + atom.script, "ord", flat=not atom.script) if atom.char == "|" else atom for atom in atoms]
    if not any(atom.kind in ("open", "close") for atom in atoms):
        return [settled(atom) for atom in atoms] if len(atoms) == 1 or not structure else atoms
    stack: list[tuple[Atom | None, list[Atom]]] = [(None, [])]
    for atom in atoms:
        if atom.kind == "open":
            stack.append((atom, []))
        elif atom.kind != "close":
            stack[-1][1].append(atom)
        elif len(stack) > 1:
            opening, body = stack.pop()
            stack[-1][1].append(fenced(opening, body, atom, structure=structure))
        elif structure:
            stack[0] = (None, [fenced(None, stack[0][1], atom, structure=True)])
        else:
            stack[0][1].append(settled(atom))
    while len(stack) > 1:
        opening, body = stack.pop()
        if structure:
            stack[-1][1].append(fenced(opening, body, None, structure=True))
        elif opening is not None and opening.char == "{" and len(body) == 1 and body[0].kind == "array":
            stack[-1][1].append(fenced(opening, body, None, structure=False))
        else:
            stack[-1][1].extend([settled(opening) if opening is not None else EMPTY, *body])
    row = stack[0][1]
    return row if structure else [settled(atom) for atom in row]


def fenced(opening: Atom | None, body: list[Atom], closing: Atom | None, *, structure: bool) -> Atom:
    """A body between fences: a matrix environment, a binomial, plain brackets or growing ones."""
    left, right = (opening.char if opening else ""), (closing.char if closing else "")
    scripts = closing.script if closing else ""
    lead = "{}" + opening.script if opening and opening.script else ""
    done = _environment(left, right, body, structure=structure) if not lead else None
    if done is None:
        plain = all(atom.flat and atom.kind not in ("middle", "open", "close") for atom in body)
        if not structure and all(atom.flat or atom.kind == "middle" for atom in body):
            plain = True
            body = [Atom("\\mid", "spaced", flat=True) if atom.kind == "middle" and atom.char == "|" else atom for atom in body]
        if structure:
            plain = plain and left in ("(", "[", "|") and right in (")", "]", "|")
        if not body and structure:
            done = (
                group(render([atom for atom in (opening, closing) if atom is not None]))
                if opening and closing
                else (opening or closing or EMPTY).tex
            )
        elif plain or (not structure and not (left and right) and not (len(body) == 1 and body[0].kind == "array")):
            inner = [settled(atom) for atom in body]
            done = (opening.tex if opening else "") + lead
            done = render([Atom(done), Atom(render(inner)), Atom(closing.tex if closing else "")])
        else:
            done = _growing(opening, lead, body, closing, structure=structure)
    if scripts:
        return Atom(done + scripts, "script")
    return Atom(done, "ord", flat=not structure and all(atom.flat for atom in body))


def _environment(left: str, right: str, body: list[Atom], *, structure: bool) -> str | None:
    """`\\begin{pmatrix}`, `\\begin{cases}` or `\\binom` where the fences and what is between them make one."""
    if len(body) != 1 or body[0].rows is None:
        return None
    first, second = body[0].rows
    if body[0].kind == "binomial":
        return f"\\binom{{{first}}}{{{second}}}" if (left, right) == ("(", ")") else None
    if (left, right) == ("{", "") and (first == "ll" or (not structure and len(first) <= 2)):
        name = "cases"
    else:
        key = (left, right) if structure else (left.replace("|", "∣").replace("‖", "∥"), right.replace("|", "∣").replace("‖", "∥"))
        if key not in MATRICES or set(first) - {"c"}:
            return None
        name = MATRICES[key]
    return environment(name, "", second)


def environment(name: str, columns: str, rows: str) -> str:
    """An environment; rows bring their own line ends."""
    return f"\\begin{{{name}}}{columns}{rows}\\end{{{name}}}"


def _growing(opening: Atom | None, lead: str, body: list[Atom], closing: Atom | None, *, structure: bool) -> str:
    """`\\left( .. \\right)`; what TeX cannot grow stands beside an invisible fence."""
    inner: list[Atom] = []
    for atom in body:
        if atom.kind == "middle":
            tex = f" \\middle{atom.tex}{atom.script} " if atom.tex in DELIMITERS else atom.tex + atom.script
            inner.append(Atom(tex))
        else:
            inner.append(settled(atom))
    left, outside_left = _delimiter(opening, structure=structure)
    right, outside_right = _delimiter(closing, structure=structure)
    content = render([Atom(outside_left + lead), *inner]).strip(" ")
    return f"\\left{left} {content} \\right{right}{outside_right}"


def _delimiter(fence: Atom | None, *, structure: bool) -> tuple[str, str]:
    """What follows `\\left` or `\\right`, and the symbol itself where it cannot."""
    if fence is None:
        return ".", ""
    tex = fence.tex
    if not structure:
        tex = {"\\mid": "|", "\\parallel": "\\|"}.get(tex, tex)
        if tex in _ARROWS:
            return tex, ""
    return (tex, "") if tex in DELIMITERS else (".", tex)


_ARROWS = frozenset(map(symbol, "↑↓↕⇑⇓⇕")) | {"/", "\\backslash"}
