r"""Is a hidden piece of a page mathematics that a click would show?

Solutions behind "Show", equations that a reference opens: they are part of what a page says. What is asked for is TeX that
`lifted_elements.py` will find (delimiters, environments) or a formula that it found already. Definitions of macros are hidden too, and are
none. A formula that stands right before, for eyes, and again in a hidden element, for a search or a screen reader, is told by its TeX.
"""

import re
from collections.abc import Sequence

from data_pipeline.formulas.formula import Formula
from data_pipeline.formulas.placeholders import OPEN, PLACEHOLDER

_TEX = re.compile(
    r"\\begin\{(?:equation|align|eqnarray|gather|multline|cases|[bpv]?matrix)|\\\([^\n]{1,500}?\\\)|\\\[[^\n]{1,500}?\\\]|\$\$[^$\n]{2,500}\$\$|"
    r"\$[^$\n]{0,80}[\\^_=][^$\n]{0,80}\$"
)
_MACROS = re.compile(r"\\(?:(?:re)?newcommand|providecommand|[gex]?def|DeclareMathOperator|let|require)(?![A-Za-z])")


def holds_mathematics(text: str) -> bool:
    return OPEN in text or (("\\" in text or "$" in text) and _TEX.search(text) is not None and _MACROS.search(text) is None)


def repeats(words: str, before: str, found: Sequence[Formula]) -> bool:
    """Whether a hidden text is nothing but formulas that the text before it shows too, by their TeX."""
    if OPEN not in words or PLACEHOLDER.sub("", words).strip(" .,;:"):
        return False
    shown = {found[int(index)].tex for index in PLACEHOLDER.findall(before) if int(index) < len(found)}
    return all(int(index) < len(found) and found[int(index)].tex in shown for index in PLACEHOLDER.findall(words))
