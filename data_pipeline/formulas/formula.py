"""A formula's TeX as its page spelt it, made clean.

Cleaning takes away what is packing: tags and escapes of HTML (`tex_repair.py`), dollars inside, surrounding delimiters, no-break and
zero-width spaces, Wikipedia's `{\\displaystyle ...}`, comments (a comment in a formula set in one line would hide the rest of it; a
percent sign that ends no line is one that was not escaped). It never changes the mathematics: macros, spacing commands and labels stay.
"""

import re
from typing import NamedTuple

from data_pipeline.formulas.notations.tex_text import LONGEST
from data_pipeline.formulas.placeholders import RESERVED
from data_pipeline.formulas.tex_repair import without_dollars, without_html


class Formula(NamedTuple):
    """One formula of a page."""

    tex: str
    """LaTeX without surrounding delimiters."""
    display: bool
    """Set off as a block; else in a line of text."""
    family: str
    """Which kind of markup it was found in: what `Doc.formulas` counts."""


_SPACES = str.maketrans(
    dict.fromkeys("\xa0\u2009\u202f", " ")
    | dict.fromkeys(("\u200b", "\u200c", "\u2060", "\ufeff", "\0", *RESERVED))
    | {"\r": "\n"}
)  # fmt: skip
_PAIRS = (
    ("$$", "$$", True),
    ("\\[", "\\]", True),
    ("\\(", "\\)", False),
    ("$", "$", False),
    ("\\\\[", "\\\\]", True),
    ("\\\\(", "\\\\)", False),
)
_DISPLAYSTYLE = re.compile(r"\{?\\(?:displaystyle|textstyle)(?![a-zA-Z])\s*")
_ENVIRONMENT = re.compile(r"\\begin\{((equation\*?|displaymath|math)|(?:eqnarray|align|alignat|flalign|gather|multline)\*?)\}")
_PERCENT = re.compile(r"(?<!\\)((?:\\\\)*)%")
_NOTHING = re.compile(r"(?:\\(?:tag|label|eqref|ref)\{[^{}]{0,80}\}|\\[,;:! ]|[\s{}~]|\\q?quad|\\displaystyle|\\textstyle)*")
_NEW_LINES = re.compile(r"(?<!\\)(?:\s*\\\\)+$")
_TRAILING_BACKSLASH = re.compile(r"(?<!\\)(?:\\\\)*\\$")


def clean(tex: str) -> tuple[str, bool | None]:
    """The TeX without its packing, and whether its own delimiters said display (None where it had none). "" for what is no formula."""
    if len(tex) > LONGEST:
        return "", None
    raw = tex
    if "&" in tex or "<" in tex:
        tex = without_html(tex)
    tagged = tex is not raw and "<" in raw
    if not tex.isascii() or "\r" in tex or "\0" in tex:
        tex = tex.translate(_SPACES)
    tex = tex.strip()
    if tex.startswith("<![CDATA["):
        tex = tex[9:].removesuffix("]]>").strip()
    if tex.startswith("% <![CDATA["):  # kramdown's script math/tex
        tex = tex[11:].removesuffix("%]]>").strip()
    if "%" in tex:
        tex = _without_comments(tex)
    tex, display = undelimit(tex)
    tex, block = _outside_environment(_undisplay(tex))
    display = block or display
    tex = without_dollars(_without_loose_end(tex))
    aligned = "&" in tex and "\\\\" in tex and _has_loose_columns(tex)
    if tagged and tex.endswith("\\\\"):  # the new line whose `<br>` went
        tex = _NEW_LINES.sub("", tex)
    if aligned:
        tex, display = f"\\begin{{align*}}{tex}\\end{{align*}}", True  # what Sphinx means: outside an environment `&` is an error
    if _NOTHING.fullmatch(tex):
        return "", display
    return tex, display


def _without_loose_end(tex: str) -> str:
    """Without backslashes that a strip left of `\\ ` at the end: a lone one would escape our delimiter."""
    end = len(tex)
    while end and tex[end - 1] == "\\":
        first = end
        while first and tex[first - 1] == "\\":
            first -= 1
        if (end - first) % 2 == 0:
            break
        end -= 1
        while end and tex[end - 1].isspace():
            end -= 1
    return tex[:end]


_EDGE = re.compile(r"\\begin|\\.|[{}&]", re.S)


def _has_loose_columns(tex: str) -> bool:
    """Whether an alignment mark stands in no environment and no braces."""
    depth, loose = 0, False
    for edge in _EDGE.finditer(tex):
        if edge[0] == "\\begin":
            return False
        depth += {"{": 1, "}": -1}.get(edge[0], 0)
        loose = loose or (edge[0] == "&" and depth == 0)
    return loose


def _without_comments(tex: str) -> str:
    """Without what stands behind a percent sign on a line; on the only line, which HTML may have made of several, the sign is escaped."""
    *lines, last = tex.split("\n")
    kept = [line if (sign := _PERCENT.search(line)) is None else line[: sign.end() - 1].rstrip() for line in lines]
    last = "" if lines and last.startswith("%") else _PERCENT.sub(r"\1\\%", last)
    return "\n".join(line for line in [*kept, last] if line.strip()).strip()


def undelimit(tex: str) -> tuple[str, bool | None]:
    """Without one pair of surrounding delimiters, where they belong to each other."""
    if tex[:1] not in ("$", "\\"):
        return tex, None
    for left, right, display in _PAIRS:
        if len(tex) > len(left) + len(right) and tex.startswith(left) and tex.endswith(right):
            inside = tex[len(left) : -len(right)]
            if left not in inside and right not in inside and not _TRAILING_BACKSLASH.search(inside[-40:] if right[0] == "$" else ""):
                return inside.strip(), display
    return tex, None


def _outside_environment(tex: str) -> tuple[str, bool | None]:
    """Without an environment that only means "a formula" (`$$\\begin{equation}` is no LaTeX); and True where one says display."""
    found = _ENVIRONMENT.match(tex)
    if found is None or not tex.endswith(f"\\end{{{found[1]}}}") or tex.count(f"\\end{{{found[1]}}}") > 1:
        return tex, None
    if found[2] is None:
        return tex, True
    inside = tex[found.end() : -len(found[1]) - 6].strip()
    return (tex, None) if "\n\n" in inside else (inside, None if found[1] == "math" else True)


def _undisplay(tex: str) -> str:
    """Without a leading `\\displaystyle`, and without the braces around it where they span the formula."""
    found = _DISPLAYSTYLE.match(tex) if tex[:1] in ("{", "\\") else None
    if found is None:
        return tex
    if not tex.startswith("{"):
        return tex[found.end() :]
    depth = 0
    for brace in re.finditer(r"\\.|[{}]", tex, re.S):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0 and brace[0] == "}":
            return tex[found.end() : -1].strip() if brace.end() == len(tex) else tex
    return tex
