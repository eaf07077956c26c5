"""A formula's TeX as its page spelt it, made clean; and the question whether a string is TeX at all.

Cleaning takes away what is packing: tags and escapes of HTML (`tex_repair.py`), dollars inside, surrounding delimiters, no-break and
zero-width spaces, Wikipedia's `{\\displaystyle ...}`, comments (a comment in a formula set in one line would hide the rest of it; a
percent sign that ends no line is one that was not escaped). It never changes the mathematics: macros, spacing commands and labels stay.

`is_tex` decides for strings that may be something else (the alt text of an image, the text of `class="math"`): a command, a sub- or
superscript, or a short relation between short names. A sentence is not TeX, nor is a file name ("x_1.jpg").
"""

import re
from typing import NamedTuple

from data_pipeline.formulas.tex_repair import without_dollars, without_html

OPEN, CLOSE = "\ue000", "\ue001"
PLACEHOLDER = re.compile("\ue000(\\d{1,7})\ue001")
LONGEST = 20_000
"""Longer "formulas" are something else: a data set in an attribute, a page swallowed by a delimiter."""


class Formula(NamedTuple):
    """One formula of a page."""

    tex: str
    """LaTeX without surrounding delimiters."""
    display: bool
    """Set off as a block; else in a line of text."""
    family: str
    """Which kind of markup it was found in: what `Doc.formulas` counts."""


def placeholder(index: int) -> str:
    return f"{OPEN}{index}{CLOSE}"


_SPACES = str.maketrans(
    dict.fromkeys("\xa0\u2009\u202f", " ")
    | dict.fromkeys("\u200b\u200c\u2060\ufeff\0\ue000\ue001\ue002\ue003")
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
    tex = tex.translate(_SPACES).strip()
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
    found = _DISPLAYSTYLE.match(tex)
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


_COMMAND = re.compile(r"\\(?:[a-zA-Z]{2,}|[,;!{}|\\%])")
_SCRIPT = re.compile(r"[A-Za-z0-9)\]}|'][_^](?:\{|[A-Za-z0-9+\-*]|\\)")
_FILE = re.compile(r"\.(?:jpe?g|png|gif|svg|webp|bmp|pdf|html?|php|tex|txt|js)$|://|^[A-Za-z]:\\", re.I)
_WORD = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{4,}(?![A-Za-z])")
_RELATION = re.compile(r"[=<>≤≥≠≈∈⊂∀∃∑∏∫√±×÷∞→⇒∂∇+]|\d\s?[-*/]\s?\d")
_FUNCTIONS = frozenset(
    ("sinh", "cosh", "tanh", "sqrt", "arcsin", "arccos", "arctan", "prod", "frac", "lcm", "mathrm", "text", "operatorname")
)


def words(text: str) -> int:
    """How many words of prose: four letters or more, no command, no function's name, not in `\\text{...}`."""
    return sum(word not in _FUNCTIONS for word in _WORD.findall(text[:2000]))


def is_tex(text: str, *, strict: bool = True) -> bool:
    """Whether a string is TeX. Strict wants a command or a script; else a short relation or a name of one or two letters will do."""
    text = text.strip()
    if not text or len(text) > LONGEST or _FILE.search(text):
        return False
    prose = words(text)
    if _COMMAND.search(text):
        return prose <= 3 + text.count("\\")
    if _SCRIPT.search(text):
        return prose == 0 and (" " in text or len(text) <= 24 or bool(_RELATION.search(text)))
    if strict:
        return False
    if len(text) <= 2:
        return text.isalpha()
    return prose == 0 and len(text) <= 120 and bool(_RELATION.search(text))
