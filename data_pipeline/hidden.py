r"""Is a hidden piece of a page mathematics that a click would show?

Solutions behind "Show", equations that a reference opens: they are part of what a page says. What is asked for is TeX that `formulas.py`
will find (delimiters, environments) or a formula that it found already. Definitions of macros are hidden too, and are none.
"""

import re

_TEX = re.compile(
    r"\\begin\{(?:equation|align|eqnarray|gather|multline|cases|[bpv]?matrix)|\\\([^\n]{1,500}?\\\)|\\\[[^\n]{1,500}?\\\]|\$\$[^$\n]{2,500}\$\$|"
    r"\$[^$\n]{0,80}[\\^_=][^$\n]{0,80}\$"
)
_MACROS = re.compile(r"\\(?:(?:re)?newcommand|providecommand|[gex]?def|DeclareMathOperator|let|require)(?![A-Za-z])")


def holds_mathematics(text: str) -> bool:
    return "\ue000" in text or (("\\" in text or "$" in text) and _TEX.search(text) is not None and _MACROS.search(text) is None)
