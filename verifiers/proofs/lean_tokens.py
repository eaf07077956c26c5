r"""The tokens of Lean text, where it can be read with certainty: what is read here must be read alike by every version of Lean.

Where reading alike is uncertain (a string with a brace, which may be interpolated code; a comment or a quote glued to an operator; a
doc comment) the text is refused. What words may stand in a proof is `lean_screen.py`'s business.
"""

import re
from typing import NamedTuple

MAX_PROOF = 200_000
"""Characters of a proof."""

# Lean's own letters of names, not Python's: not λ, Π, Σ, ᶜ, and subscripts only behind the first letter.
_FIRST = (
    r"A-Za-z_\u0391-\u039f\u03a1\u03a2\u03a4-\u03a9\u03b1-\u03ba\u03bc-\u03c9\u03ca-\u03fb\u1f00-\u1ffe\u2100-\u214f\U0001d49c-\U0001d59f"
)
_PART = rf"(?:[{_FIRST}][{_FIRST}\d'!?\u2080-\u2089\u2090-\u209c\u1d62-\u1d6a]*|«[^«»\n]*»)"
_TOKEN = re.compile(
    rf"""(?P<space>[ \n]+) | (?P<line>--[^\n]*) | (?P<block>/-)
    | (?P<raw>r(?P<hashes>\#{{0,32}})") | (?P<string>"(?:[^"\\]|\\(?:x[0-9a-fA-F]{{2}}|u[0-9a-fA-F]{{4}}|[\\"'nrt]))*(?P<closed>")?)
    | (?P<word>{_PART}(?:\.{_PART})*)
    | (?P<number>[0-9]\w*(?:\.(?:[0-9]|[eE][0-9])\w*)?)
    | (?P<prime>''|(?:⁻¹|[∑∏∐⋃⋂⨆⨅])')
    | (?P<char>'(?:[^'\\\n]|\\(?:x[0-9a-fA-F]{{2}}|u[0-9a-fA-F]{{4}}|[\\"'nrt]))')
    | (?P<hash>\#[A-Za-z_]+[!?]?) | (?P<symbol>:=|.)""".replace(r"\w", "[0-9A-Za-z_]").replace(r"\d", "0-9"),
    re.VERBOSE | re.DOTALL,
)
_LATER_LETTER = re.compile(r"[À-ÖØ-öø-ſⱼ](?![ \n()\[\]{}⟨⟩,;·]|\Z)")  # a letter of names in newer versions of Lean only
_BLOCK_EDGE = re.compile(r"/-|-/")
_CONTROL = re.compile(r"[^\n\x20-\x7e\x80-\U0010ffff]|[\u2028\u2029\ud800-\udfff]")
_QUOTE_BEHIND = re.compile(r"'(?:[^\\\n]'|\\)")  # the prime of an operator that might begin a character
APART = frozenset([*"()[]{}⟨⟩,;·", ":="])  # what may stand right before a comment or a quote: no longer token begins so


class ScreenError(Exception):
    """What is refused, and on which line."""


class LeanToken(NamedTuple):
    text: str
    kind: str
    """word, number, string, char, hash or symbol."""
    begin: int
    end: int


def read_tokens(text: str) -> list[LeanToken]:
    """The tokens of Lean text without comments and spaces. Raises ScreenError where it cannot be read with certainty.

    Operators come as single characters, `:=` excepted. Linear in the length of the text.
    """
    if len(text) > MAX_PROOF:
        raise ScreenError(f"{len(text)} characters, more than {MAX_PROOF}")
    if bad := _CONTROL.search(text):
        raise ScreenError(at_line(text, bad.start(), f"the character {bad[0]!r}, which Lean does not read"))
    found: list[LeanToken] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        assert match is not None  # the last alternative takes any character
        kind, end = str(match.lastgroup), match.end()
        before = found[-1] if found else None
        glued = before is not None and before.end == place and before.kind in ("symbol", "hash") and before.text not in APART
        if (kind in ("line", "block", "char", "raw") and glued) or (
            kind in ("char", "raw", "string") and before is not None and before.end == place and before.kind == "number"
        ):
            raise ScreenError(at_line(text, place, f"{match[0][:3]!r} right behind an operator or a number, which can be read in two ways"))
        if kind == "block":
            end = _block_end(text, place)
        elif kind == "raw":
            end = _raw_end(text, match)
            kind = "string"
        elif kind == "string":
            _check_string(text, match)
        elif kind == "prime" and _QUOTE_BEHIND.match(text, end - 1):
            raise ScreenError(at_line(text, place, "a ' that may belong to an operator or begin a character"))
        elif kind == "symbol" and _LATER_LETTER.match(text, place):
            raise ScreenError(at_line(text, place, f"{match[0]} within a word, which versions of Lean read in two ways"))
        elif kind == "symbol" and match[0] in "'«»`":
            raise ScreenError(at_line(text, place, f"a {match[0]} that belongs to no name or character"))
        if kind not in ("space", "line", "block"):
            found.append(LeanToken(text[place:end], "symbol" if kind == "prime" else kind, place, end))
        place = end
    return found


def _block_end(text: str, begin: int) -> int:
    """Where the comment that begins here ends; comments nest."""
    if text[begin + 2 : begin + 3] in ("-", "!"):
        raise ScreenError(at_line(text, begin, f"{text[begin : begin + 3]} begins a doc comment, which belongs to a declaration"))
    depth = 1
    for edge in _BLOCK_EDGE.finditer(text, begin + 2):
        depth += 1 if edge[0] == "/-" else -1
        if depth == 0:
            return edge.end()
    raise ScreenError(at_line(text, begin, "a comment that does not end"))


def _raw_end(text: str, match: re.Match[str]) -> int:
    close = '"' + match["hashes"]
    end = text.find(close, match.end())
    if end < 0:
        raise ScreenError(at_line(text, match.start(), "a string that does not end"))
    return end + len(close)


def _check_string(text: str, match: re.Match[str]) -> None:
    if not match["closed"]:
        raise ScreenError(at_line(text, match.start(), "a string that does not end, or with an escape that Lean does not know"))
    if "{" in match[0]:
        raise ScreenError(at_line(text, match.start(), "a string with {, which may be interpolated code"))


def at_line(text: str, place: int, what: str) -> str:
    return f"line {text.count(chr(10), 0, place) + 1}: {what}"
