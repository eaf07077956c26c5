"""Whether a string is TeX at all.

`is_tex` decides for strings that may be something else (the alt text of an image, the text of `class="math"`): a command, a sub- or
superscript, or a short relation between short names. A sentence is not TeX, nor is a file name ("x_1.jpg").
"""

import re

LONGEST = 20_000
"""Longer "formulas" are something else: a data set in an attribute, a page swallowed by a delimiter."""
_COMMAND = re.compile(r"\\(?:[a-zA-Z]{2,}|[,;!{}|\\%])")
_SCRIPT = re.compile(r"[A-Za-z0-9)\]}|'][_^](?:\{|[A-Za-z0-9+\-*]|\\)")
_FILE = re.compile(r"\.(?:jpe?g|png|gif|svg|webp|bmp|pdf|html?|php|tex|txt|js)$|://|^[A-Za-z]:\\", re.I)
_WORD = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{4,}(?![A-Za-z])")
_RELATION = re.compile(r"[=<>≤≥≠≈∈⊂∀∃∑∏∫√±×÷∞→⇒∂∇+]|\d\s?[-*/]\s?\d")
_FUNCTIONS = frozenset(
    ("sinh", "cosh", "tanh", "sqrt", "arcsin", "arccos", "arctan", "prod", "frac", "lcm", "mathrm", "text", "operatorname")
)


def prose_words(text: str) -> int:
    """How many words of prose: four letters or more, no command, no function's name, not in `\\text{...}`."""
    return sum(word not in _FUNCTIONS for word in _WORD.findall(text[:2000]))


def is_tex(text: str, *, strict: bool = True) -> bool:
    """Whether a string is TeX. Strict wants a command or a script; else a short relation or a name of one or two letters will do."""
    text = text.strip()
    if not text or len(text) > LONGEST or _FILE.search(text):
        return False
    prose = prose_words(text)
    if _COMMAND.search(text):
        return prose <= 3 + text.count("\\")
    if _SCRIPT.search(text):
        return prose == 0 and (" " in text or len(text) <= 24 or bool(_RELATION.search(text)))
    if strict:
        return False
    if len(text) <= 2:
        return text.isalpha()
    return prose == 0 and len(text) <= 120 and bool(_RELATION.search(text))
