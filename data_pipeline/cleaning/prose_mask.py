"""What is left of a Markdown text when everything that is no prose stands aside: for whoever counts words or asks for the language.

Formulas become the one word `FORMULA` and a displayed one joins the lines around it, whose sentence it belongs to; fenced code and tables
go; headings, items and quotations lose their marks, bold its stars, and a code span its content. One pass of patterns without nested
repeats: linear time.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from data_pipeline.documents.formula_spans import FORMULA_SPAN

FORMULA = "formula"
CODE = "code"

_FENCED = re.compile(
    r"^[ \t]{0,12}(?:[-*+] |\d{1,4}[.)] )?(`{3,500}+|~{3,500}+)[^\n]*\n.*?(?:^[ \t]{0,12}\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL
)
_SPAN = re.compile(FORMULA_SPAN.pattern + r"|`[^`\n]{1,500}`|https?://\S{1,2000}", re.MULTILINE)
_DISPLAYED = "\ue004"
_GOES_ON = re.compile(_DISPLAYED + r"\s{0,4}(?=[a-z])")
_TABLE = re.compile(r"^[ \t]{0,12}\|[^\n]*$", re.MULTILINE)
_MARK = re.compile(r"^[ \t]{0,40}(?:#{1,6}[ \t]|>[ \t]?|[-*+•][ \t]|\(?[\da-zA-Z]{1,3}[.)][ \t]|:[ \t]){1,4}", re.MULTILINE)


class Masked(NamedTuple):
    prose: str
    formulas: int
    formula_characters: int
    rows: int
    """Rows of tables."""


@lru_cache(maxsize=1)
def mask(text: str) -> Masked:
    """A Markdown text as prose, and how much of what else was in it. The last one is remembered: a document goes from rule to rule."""
    if "```" in text or "~~~" in text:
        text = _FENCED.sub("", text)
    formulas, characters = 0, 0

    def spell(match: re.Match[str]) -> str:
        nonlocal formulas, characters
        if match.lastgroup is None:
            return CODE if match[0][0] == "`" else "link"
        formulas += 1
        characters += len(match[match.lastgroup])
        return FORMULA if match["display"] is None else _DISPLAYED

    text = _SPAN.sub(spell, text)
    if _DISPLAYED in text:
        text = text.replace("\n" + _DISPLAYED, _DISPLAYED).replace("\n" + _DISPLAYED, _DISPLAYED)
        text = _GOES_ON.sub(f" {FORMULA} ", text).replace(_DISPLAYED, f" {FORMULA} ")
    rows = 0
    if "|" in text:
        text, rows = _TABLE.subn("", text)
    return Masked(_MARK.sub("", text).replace("**", ""), formulas, characters, rows)
