"""Pieces of TeX on their way from MathML: what the presentation converter builds and joins.

An `Atom` is TeX with what its surroundings must know of it. `delimit` turns a row of atoms into the row without loose fences: a fence
that stretches waits as an atom of kind open, middle or close until its partner is known.
"""

from dataclasses import dataclass

from data_pipeline.formulas.notations.mathml_dictionary import DELIMITERS, MATRICES
from data_pipeline.formulas.notations.unicode_to_tex import ends_in_word, kind, symbol

_NO_BASES = ("\\overset", "\\underset", "\\xrightarrow", "\\xleftarrow", "\\underbrace", "\\overbrace")
"""Commands whose result a script would take for limits, or that a script does not attach to as a whole."""
_BRACED_BASES = frozenset({"script", "root", "over", "phantom", "group", "frac"})


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


def script_base(atom: Atom) -> str:
    """An atom as the base of a script: in braces where the script would attach to a part of it."""
    if atom.kind in ("over", "root") and not atom.tex.startswith(_NO_BASES):
        return atom.tex
    several = atom.kind == "spaced" and len(atom.tex) > 1 and not atom.tex.startswith("\\")
    return group(atom.tex) if several or atom.kind in _BRACED_BASES or not atom.tex else atom.tex


def settled(atom: Atom) -> Atom:
    """A waiting fence that will not grow: the plain symbol, with its scripts."""
    if atom.kind not in ("open", "middle", "close"):
        return atom
    name = kind(atom.char) if atom.kind == "middle" and len(atom.char) == 1 else "ord"
    return Atom(atom.tex + atom.script, {"rel": "spaced", "bin": "spaced", "op": "op"}.get(name, "ord"), atom.char, not atom.script)


def delimit(atoms: list[Atom]) -> list[Atom]:
    """The row with its fences matched. A fence without a partner is a plain symbol, but for a brace before a table: cases."""
    if sum(atom.char == "|" for atom in atoms) > 2:
        atoms = [Atom(atom.tex + atom.script, "ord", flat=not atom.script) if atom.char == "|" else atom for atom in atoms]
    stack: list[tuple[Atom, list[Atom]]] = [(EMPTY, [])]
    for atom in atoms:
        if atom.kind == "open":
            stack.append((atom, []))
        elif atom.kind == "close" and len(stack) > 1:
            opening, body = stack.pop()
            stack[-1][1].append(fenced(opening, body, atom))
        else:
            stack[-1][1].append(atom)
    while len(stack) > 1:
        opening, body = stack.pop()
        if opening.char == "{" and len(body) == 1 and body[0].kind == "array":
            stack[-1][1].append(fenced(opening, body, EMPTY))
        else:
            stack[-1][1].extend([settled(opening), *body])
    return [settled(atom) for atom in stack[0][1]]


def fenced(opening: Atom, body: list[Atom], closing: Atom) -> Atom:
    """A body between fences: a matrix environment, a binomial, plain brackets or growing ones; a closing one may be empty."""
    lead = "{}" + opening.script if opening.script else ""
    done = _environment(opening.char, closing.char, body) if not lead else None
    if done is None:
        plain = all(atom.flat or atom.kind == "middle" for atom in body)
        if plain:
            body = [Atom("\\mid", "spaced", flat=True) if atom.kind == "middle" and atom.char == "|" else atom for atom in body]
        one_sided = not (opening.char and closing.char) and not (len(body) == 1 and body[0].kind == "array")
        if plain or one_sided:
            inner = render([settled(atom) for atom in body])
            done = render([Atom(opening.tex + lead), Atom(inner), Atom(closing.tex)])
        else:
            done = _growing(opening, lead, body, closing)
    if closing.script:
        return Atom(done + closing.script, "script")
    return Atom(done, "ord", flat=all(atom.flat for atom in body))


def _environment(left: str, right: str, body: list[Atom]) -> str | None:
    """`\\begin{pmatrix}`, `\\begin{cases}` or `\\binom` where the fences and what is between them make one."""
    if len(body) != 1 or body[0].rows is None:
        return None
    first, second = body[0].rows
    if body[0].kind == "binomial":
        return f"\\binom{{{first}}}{{{second}}}" if (left, right) == ("(", ")") else None
    if (left, right) == ("{", "") and len(first) <= 2:
        return environment("cases", "", second)
    name = MATRICES.get((left.replace("∣", "|").replace("∥", "‖"), right.replace("∣", "|").replace("∥", "‖")))
    return environment(name, "", second) if name and not set(first) - {"c"} else None


def environment(name: str, columns: str, rows: str) -> str:
    """An environment; rows bring their own line ends."""
    return f"\\begin{{{name}}}{columns}{rows}\\end{{{name}}}"


def _growing(opening: Atom, lead: str, body: list[Atom], closing: Atom) -> str:
    """`\\left( .. \\right)`; what TeX cannot grow stands beside an invisible fence."""
    inner: list[Atom] = []
    for atom in body:
        if atom.kind == "middle":
            tex = f" \\middle{atom.tex}{atom.script} " if atom.tex in DELIMITERS else atom.tex + atom.script
            inner.append(Atom(tex))
        else:
            inner.append(settled(atom))
    left, outside_left = _delimiter(opening)
    right, outside_right = _delimiter(closing)
    content = render([Atom(outside_left + lead), *inner]).strip(" ")
    return f"\\left{left} {content} \\right{right}{outside_right}"


def _delimiter(fence: Atom) -> tuple[str, str]:
    """What follows `\\left` or `\\right`, and the symbol itself where it cannot."""
    tex = {"\\mid": "|", "\\parallel": "\\|"}.get(fence.tex, fence.tex)
    return (tex, "") if tex in DELIMITERS or tex in _ARROWS else (".", tex)


_ARROWS = frozenset(map(symbol, "↑↓↕⇑⇓⇕")) | {"/", "\\backslash"}
