r"""The answer of a solution that is a displayed table of steps, as textbooks set their worked examples.

    \begin{array}{ll} {} & {7(-2)-6} \\ {\text{Multiply first.}} & {-14-6} \\ {\text{Subtract.}} & {-20} \end{array}

The last row with a value gives the answer, and only where the verifier finds it equal to the row before: a step that cannot be followed, a
table of something else or the check of an answer gives none.
"""

import re

from verifiers.mathematics.equality.math_answer import equivalent

_ENVIRONMENT = re.compile(
    r"\\begin\{(array|aligned|align\*?|split|eqnarray\*?|alignedat|gathered)\} {0,4}(?:\{[^{}]{0,40}\})?(.{0,4000}?)\\end\{\1\}", re.DOTALL
)
_ROW = re.compile(r"\\\\(?:\[[^\]]{0,20}\])?|\\cr\b")
_COLOUR = re.compile(r"\\(?:color|textcolor)\{[a-zA-Z]{1,20}\}")
_WORDS = re.compile(r"\\(?:text|mbox|mathrm|hbox)[a-z]{0,4}\{")
_CHECK = re.compile(r"\bcheck", re.IGNORECASE)
_STEPS, _BRACES = 30, 4


def last_step(solution: str) -> str | None:
    """What the only table of steps of a solution, at its end, comes to."""
    tables = list(_ENVIRONMENT.finditer(solution[-8000:]))
    if len(tables) != 1 or _CHECK.search(solution) or tables[0].string[tables[0].end() :].strip(" \t\n$.]\\"):
        return None
    rows = _ROW.split(tables[0][2])
    values = [value for row in rows if (value := _value(row))]
    if not 2 <= len(values) <= _STEPS or "=" in values[-1] or not any(sign.isdigit() for sign in values[-1]):
        return None
    return values[-1] if values[-1] != values[-2] and equivalent(values[-2], values[-1], require_closed_form=False) else None


def _value(row: str) -> str:
    """The formula in the last cell of a row; "" for a row that ends in words or nothing."""
    cell = next((cell for part in reversed(row.split("&")) if (cell := _bare(part))), "")
    return "" if _WORDS.search(cell) else cell


def _bare(cell: str) -> str:
    """A cell without its colours, the equals sign before it and the braces around it."""
    cell = _COLOUR.sub("", cell).strip().removeprefix("=").strip(" \t\n.,")
    for _ in range(_BRACES):
        if not (cell.startswith("{") and _closing(cell) == len(cell) - 1):
            break
        cell = cell[1:-1].strip()
    return cell


def _closing(cell: str) -> int:
    """Where the brace closes with which it begins."""
    depth = 0
    for place, sign in enumerate(cell):
        depth += (sign == "{") - (sign == "}")
        if not depth:
            return place
    return -1
