r"""A table element as Markdown: is it data, an equation with its number, or only a means of layout?

Data is what has at least two columns, two rows and small cells without structure of their own; it becomes a pipe table whose first row is
its head, with the cells that `colspan` and `rowspan` cover left empty (spans above 30 count as 30). Rows that hold a formula and its
number, as LaTeXML and old converters lay out displayed equations, become a line each. Everything else is layout and its blocks stay as
they are. Tables of more than 20,000 cells are lines of text.

A bar inside a cell is escaped as `\|`, but never inside a formula, where `\|` is another sign (a norm). So `|x|` of a formula stays:
pandoc's reader takes such a cell as one, GitHub's sees a border there; no spelling means the same formula to both without rewriting it.
Where a cell holds dollar signs or backslashes that pair to no formula, its bars stay too.
"""

import re
from collections.abc import Sequence

from data_pipeline.extraction.layout.text_blocks import Block, Cell
from data_pipeline.formulas.placeholders import CLOSE, OPEN

MAX_CELLS = 20_000
MAX_SPAN = 30
MAX_COLUMNS = 200
MAX_EXTRA = 5_000
"""Places that spans may fill in one table; after that spans are not looked at."""

_SPAN = re.compile(r'(col|row)span="\s*([0-9]{1,20})')
_EQUATION_TABLE = re.compile(r'class="(?:[^"]*[\s_-])?(?:(?:equations?|equationgroup|eqns?|displaymath|eqnarray)[\s_"-]|align\*?[\s"])')
_HOLDS_TEX = re.compile(OPEN + r"|\\[A-Za-z(\[]|\$")
_FORMULAS = re.compile(rf"(?:{OPEN}[0-9]+{CLOSE}[\s.,;:]*)+")
_TEX = re.compile(r"(\$\$[^$]{1,2000}\$\$|\$[^$]{1,1000}\$|\\\([^$\n]{1,1000}?\\\)|\\\[[^$\n]{1,2000}?\\\])")
"""Formulas between delimiters that nobody has looked for yet."""
_NUMBER = re.compile(r"[\[(]?[A-Z]?[0-9.]{0,8}[a-z']?[\])]?")


def table_text(attrs: str, rows: Sequence[Sequence[Cell]], blocks: Sequence[Block], first: int) -> list[tuple[str, str]] | None:
    """(kind, text) of the blocks that replace a table's blocks, of which the first has the index `first`; None for a layout table."""
    starts = [cell.first for row in rows for cell in row]
    if not starts:
        return None
    head = any(cell.head for row in rows for cell in row)
    before = [(block.kind, block.text) for block in blocks[: starts[0] - first]]
    ends = [*starts[1:], first + len(blocks)]
    filled: list[list[str]] = []
    position = 0
    limit = 1200 if head else 400
    plain = True
    for row in rows:
        texts = []
        for cell in row:
            inside = blocks[cell.first - first : ends[position] - first]
            position += 1
            text = " ".join(block.text for block in inside).replace("\n", " ") if inside else ""
            texts.append(text)
            plain = plain and len(inside) <= 6 and len(text) <= limit and all(block.kind in "pbold" for block in inside)
        filled.append(texts)
    if _is_equation(attrs, filled):
        return before + [("p", " ".join(filter(None, row))) for row in filled if any(row)]
    wide = [row for row in filled if sum(map(bool, row)) > 1]
    if not plain or not wide or (len(wide) < 2 and not head):
        return None
    if len(starts) > MAX_CELLS:
        return [*before, ("table", "\n".join(" | ".join(filter(None, row)) for row in filled if any(row)))]
    return [*before, ("table", _pipe_table(_spread_cells(rows, filled)))]


def _is_equation(attrs: str, filled: Sequence[Sequence[str]]) -> bool:
    if _EQUATION_TABLE.search(attrs) and any(_HOLDS_TEX.search(text) for row in filled for text in row):
        return True
    contents = [[text for text in row if text] for row in filled]
    contents = [row for row in contents if row]
    return bool(contents) and all(
        _FORMULAS.fullmatch(row[0]) and len(row) <= 2 and (len(row) == 1 or _NUMBER.fullmatch(row[1]) is not None) for row in contents
    )


def _spread_cells(rows: Sequence[Sequence[Cell]], filled: Sequence[Sequence[str]]) -> list[list[str]]:
    """The cells at their columns: spanned places are empty."""
    out = []
    below: dict[int, int] = {}
    extras = MAX_EXTRA
    for row, texts in zip(rows, filled, strict=True):
        line: list[str] = []
        for cell, text in zip(row, texts, strict=True):
            while below.get(len(line), 0):
                below[len(line)] -= 1
                line.append("")
            spans = (
                {name: min(int(number), MAX_SPAN) for name, number in _SPAN.findall(cell.attrs)}
                if "span" in cell.attrs and extras > 0
                else {}
            )
            extras -= spans.get("col", 1) * spans.get("row", 1) - 1
            for extra in range(max(1, spans.get("col", 1))):
                if spans.get("row", 1) > 1:
                    below[len(line)] = spans["row"] - 1
                line.append(text if not extra else "")
            if len(line) > MAX_COLUMNS:
                break
        if any(line):
            out.append(line)
    return out


def _pipe_table(rows: Sequence[Sequence[str]]) -> str:
    width = max(map(len, rows))
    used = [column for column in range(width) if any(column < len(row) and row[column] for row in rows)]
    lines = []
    for row in rows:
        cells = [row[column] if column < len(row) else "" for column in used]
        cells = [_escaped(cell) if "|" in cell else cell for cell in cells]
        lines.append("| " + " | ".join(cells) + " |")
    lines.insert(1, "|" + " --- |" * len(used))
    return "\n".join(lines)


def _escaped(cell: str) -> str:
    """The text of a cell with its bars escaped, but for those of formulas."""
    if "$" not in cell and "\\" not in cell:
        return cell.replace("|", "\\|")
    parts = _TEX.split(cell)
    if any("$" in part or "\\" in part for part in parts[::2]):
        return cell
    parts[::2] = [part.replace("|", "\\|") for part in parts[::2]]
    return "".join(parts)
